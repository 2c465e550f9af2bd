//! What a person beside the bridge knows: what has been allowed, what has come back, and which hand was fresh. It is kept
//! by what crosses the bridge's border, and asks the bridge nothing but its mode.

use std::time::{Duration, Instant};

use aether_bridge::arm::Gripper;
use aether_bridge::geometry::Position;
use aether_bridge::teleop::{AssumedPosition, Motion, TeleopConfig};
use aether_bridge::wire::Order;

use crate::network::Speech;
use crate::settings::Settings;

#[derive(Debug)]
pub struct Ledger {
    pub stopped: bool,
    /// Whether a person, or `teleop.arming` automatic, lets the arm move.
    pub permitted: bool,
    /// Whether a fault has been reported, and no person has armed since.
    pub fault_heard: bool,
    /// Whether the place has been reported, or a command accepted, in this session.
    pub place_known: bool,
    /// Whether a person has said where the arm is, and no command has been accepted since.
    pub word: bool,
    /// Whether the place has ever been reported, or a command accepted.
    was_told: bool,
    /// When what the bridge knows of the arm was so.
    pub informed_at: Option<Instant>,
    /// The last command that was accepted in this session.
    pub accepted: Option<Position>,
    /// Where the way to the next command begins: the last accepted command, or the first of the motion.
    pub from: Option<Position>,
    /// The number of the first line of this session.
    pub session_begins: u64,
    /// The commands that wait for their replies.
    pub unanswered: u32,
    /// Whether the last command that was answered was refused.
    pub refused: bool,
    /// The commands that were unanswered when a connection ended. The arm may have done them.
    pub lost: u32,
    motion: Motion,
    /// Whether a person has sent the arm home, whatever the hand does.
    pub going_home: bool,
    /// Whether the present motion has sent a command.
    pub has_begun: bool,
    /// How long what was heard last had been on its way.
    pub lag: Duration,
    /// How many lines have been sent.
    pub lines: u64,
    /// Whether any command has been sent.
    pub has_sent: bool,
    /// Whether the arm may have left where it stood at the start.
    left_start: bool,
    /// When the last good target was taken.
    pub last_good: Option<Instant>,
    /// What the arm's gripper is as far as the bridge can know.
    pub gripper: Option<Gripper>,
    /// What the last command of the present motion carried.
    pub carried: Option<Gripper>,
    /// Whether a command has been accepted on this connection.
    obeys_here: bool,
    /// Whether "closed" has been reported since the first accepted command that carried what the gripper is.
    was_closed: bool,
    /// When that command was accepted.
    gripper_at: Option<Instant>,
    /// What has been reported in motion since the last command was accepted.
    reported_gripper: Option<Gripper>,
    /// When the hand wished each state last.
    wished: [Option<Instant>; 2],
    /// What the gripper's own topic said last, which stands.
    pub word_on_topic: Option<Gripper>,
    /// What was wished before then is void.
    voided_at: Instant,
    /// When a person asked to arm and was refused.
    pub asked_at: Option<Instant>,
}

impl Ledger {
    pub fn new(now: Instant, automatic: bool) -> Self {
        Self {
            stopped: false,
            permitted: automatic,
            fault_heard: false,
            place_known: false,
            word: false,
            was_told: false,
            informed_at: None,
            accepted: None,
            from: None,
            session_begins: 0,
            unanswered: 0,
            lost: 0,
            refused: false,
            motion: Motion::Disarmed,
            going_home: false,
            has_begun: false,
            lag: Duration::ZERO,
            lines: 0,
            has_sent: false,
            left_start: false,
            last_good: None,
            gripper: None,
            carried: None,
            obeys_here: false,
            was_closed: false,
            gripper_at: None,
            reported_gripper: None,
            wished: [None; 2],
            word_on_topic: None,
            voided_at: now,
            asked_at: None,
        }
    }

    /// The session ends: nothing is known of the arm.
    pub fn end_session(&mut self) {
        (self.place_known, self.word, self.accepted, self.from) = (false, false, None, None);
        self.left_start |= self.has_sent;
        self.session_begins = self.lines + 1;
    }

    /// The motion ends, or begins again.
    fn end_motion(&mut self) {
        (self.has_begun, self.carried) = (false, None);
        self.believe_gripper();
    }

    /// What has been reported of the gripper counts, unless it is what it was sent to.
    fn believe_gripper(&mut self) {
        if let Some(reported) =
            self.reported_gripper.take().filter(|reported| self.gripper != Some(*reported))
        {
            (self.gripper, self.obeys_here) = (Some(reported), false);
        }
    }

    /// The connection ends, and with it the session.
    pub fn end_connection(&mut self) {
        self.end_session();
        self.lost += std::mem::take(&mut self.unanswered);
        self.obeys_here = false;
    }

    /// Whether `arm.assume_position` says that the arm is at home since the start.
    pub fn is_at_home_by_word(&self, config: &TeleopConfig) -> bool {
        config.assume_position == AssumedPosition::Home && !self.left_start && !self.place_known
    }

    /// Whether the place is known in this session, or a person has said it, or a parameter does.
    pub fn may_move(&self, config: &TeleopConfig) -> bool {
        let last = config.assume_position == AssumedPosition::Last && self.was_told;
        self.place_known || self.word || last || self.is_at_home_by_word(config)
    }

    /// Notes the mode. A disarm ends the session, and the end of a motion voids what has not been delivered.
    pub fn note_motion(&mut self, now: Instant, motion: Motion) {
        let before = std::mem::replace(&mut self.motion, motion);
        self.going_home &= matches!(motion, Motion::Approach);
        let moving = |motion| matches!(motion, Motion::Approach | Motion::Tracking);
        if moving(before) && !moving(motion) {
            self.voided_at = now;
            self.end_motion();
        }
        if motion == Motion::Disarmed && before != Motion::Disarmed {
            self.end_session();
        }
    }

    /// Notes what has come back to the bridge. Only a fault is believed from a reply that nothing waited for.
    pub fn note_speech(
        &mut self,
        now: Instant,
        speech: &Speech,
        believed: bool,
        settings: &Settings,
        workspace: &TeleopConfig,
    ) {
        let state = speech.state.as_ref();
        self.fault_heard |= state.is_some_and(|state| state.fault.is_some());
        if !believed {
            return;
        }
        self.lag = now - speech.generated;
        if let Some((Order::Command(command), seq, verdict)) = &speech.answers {
            self.unanswered = self.unanswered.saturating_sub(1);
            let obeys = verdict.is_ok() && state.is_none_or(|state| state.fault.is_none());
            if verdict.is_err() {
                // The next command begins a motion, where the arm is reported or where the last accepted command leads.
                self.end_motion();
                self.refused = true;
                self.from = self.accepted;
            }
            if obeys {
                if !self.obeys_here || self.gripper != Some(command.gripper) {
                    (self.was_closed, self.gripper_at) = (false, Some(now));
                }
                (self.gripper, self.obeys_here, self.reported_gripper) = (Some(command.gripper), true, None);
                self.was_told = true;
                // The last accepted command says where the arm stays (arm.assume_position last), whatever session it was of.
                self.informed_at = self.informed_at.max(Some(speech.generated));
            }
            if obeys && *seq >= self.session_begins {
                (self.accepted, self.lost, self.refused) = (Some(command.position), 0, false);
                (self.place_known, self.word) = (true, false);
                self.from = self.accepted;
                self.informed_at = self.informed_at.max(Some(speech.generated));
            }
        }
        if let Some(position) = state.and_then(|state| state.position) {
            if matches!(speech.answers, Some((Order::Stop, _, Ok(())))) {
                // It says where the arm has stopped on its way, and the next motion begins there.
                (self.has_begun, self.from) = (false, None);
            }
            let is_zero = position.coordinates() == [0.0; 3];
            if !is_zero && is_near_workspace(workspace, position) {
                (self.place_known, self.was_told) = (true, true);
            }
            if settings.is_truthful() {
                self.lost = 0;
                self.informed_at = self.informed_at.max(Some(speech.generated));
            }
        }
        if let Some(gripper) = state.and_then(|state| state.gripper) {
            // A gripper that still moves, or holds something, reports another state than it was sent to.
            let moves = self.obeys_here && self.gripper_at.is_some_and(|at| now - at < GRIPPER_TIME);
            let is_seen = !self.obeys_here || gripper == Gripper::Closed || self.was_closed;
            self.reported_gripper = Some(gripper).filter(|_| is_seen && !moves);
            if !self.has_begun || !self.obeys_here {
                self.believe_gripper();
            }
            self.was_closed |= gripper == Gripper::Closed;
        }
    }

    /// Notes that a person has sent the arm home.
    pub fn note_going_home(&mut self) {
        (self.permitted, self.going_home, self.fault_heard) = (true, true, false);
        // It begins where the arm is seen.
        self.end_motion();
        self.from = None;
    }

    /// Notes what a good target says of the gripper.
    pub fn note_wish(&mut self, now: Instant, wanted: Option<Gripper>) {
        if let Some(gripper) = wanted {
            self.wished[gripper as usize] = Some(now);
        }
    }

    /// Whether this state has been wished, and the wish is not void.
    pub fn is_wished(&self, gripper: Gripper) -> bool {
        let fresh = self.wished[gripper as usize].is_some_and(|at| at >= self.voided_at);
        fresh || self.word_on_topic == Some(gripper)
    }

    /// Notes that a person has armed. After a refusal a moment ago, because of the place, the second call says it.
    pub fn note_armed(&mut self, now: Instant) {
        self.permitted = true;
        self.fault_heard = false;
        let second = self.asked_at.take().is_some_and(|at| now - at <= Duration::from_secs(10));
        self.word |= second;
    }
}

/// How long a gripper may take to obey.
const GRIPPER_TIME: Duration = Duration::from_secs(2);

fn is_near_workspace(config: &TeleopConfig, position: Position) -> bool {
    let [x, y, z] = position.coordinates();
    // An arm at the edge may hang a little outside.
    const OFF: [f64; 3] = [0.0, 0.01, -0.01];
    let contains =
        |dx, dy, dz| Position::new(x + dx, y + dy, z + dz).is_ok_and(|near| config.workspace.contains(near));
    OFF.iter().any(|dx| OFF.iter().any(|dy| OFF.iter().any(|dz| contains(dx, dy, dz))))
}
