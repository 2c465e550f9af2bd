//! A record of permissions, replies and targets, kept independently of the bridge. It uses only the
//! messages that the bridge receives and sends. From the bridge itself it reads only the mode.

use std::time::{Duration, Instant};

use aether_bridge::arm::Gripper;
use aether_bridge::geometry::Position;
use aether_bridge::teleop::{AssumedPosition, Motion, TeleopConfig};
use aether_bridge::wire::Order;

use crate::network::ControllerMessage;
use crate::settings::Settings;

#[derive(Debug)]
pub struct Ledger {
    pub stopped: bool,
    /// Whether the operator, or `teleop.arming: automatic`, allows motion.
    pub permitted: bool,
    /// Whether the controller has reported a fault, and the operator has not armed since.
    pub fault_reported: bool,
    /// Whether the controller has reported the position or accepted a command in this session.
    pub position_known: bool,
    /// Whether the operator has let the bridge assume a position, and no command has been accepted
    /// since.
    pub assumed: bool,
    /// Whether the controller has ever reported the position or accepted a command.
    was_known: bool,
    /// The time at which the bridge's information about the arm was true.
    pub known_until: Option<Instant>,
    /// The last command that the controller accepted in this session.
    pub accepted: Option<Position>,
    /// The position from which the next command is measured: the last accepted command, or the
    /// first command of the motion.
    pub from: Option<Position>,
    /// The number of the first line of this session.
    pub session_begins: u64,
    /// The number of unanswered commands.
    pub unanswered: u32,
    /// Whether the controller rejected the last answered command.
    pub refused: bool,
    /// The number of commands that were unanswered when a connection ended. The arm may have
    /// executed them.
    pub lost: u32,
    motion: Motion,
    /// Whether the operator has sent the arm home. Home has priority over the hand.
    pub going_home: bool,
    /// Whether the present motion has sent a command.
    pub has_begun: bool,
    /// The transit time of the last received message.
    pub lag: Duration,
    /// How many lines the bridge has sent.
    pub lines: u64,
    /// Whether the bridge has sent a command.
    pub has_sent: bool,
    /// Whether the arm may no longer be where it was at the start.
    left_start: bool,
    /// When the bridge accepted the last good target.
    pub last_good: Option<Instant>,
    /// The state of the gripper, as far as the bridge can know it.
    pub gripper: Option<Gripper>,
    /// The gripper state in the last command of the present motion.
    pub carried: Option<Gripper>,
    /// Whether the controller has accepted a command on this connection.
    accepted_here: bool,
    /// Whether the controller has reported "closed" since it first accepted a command with the
    /// present gripper state.
    was_closed: bool,
    /// When that command was accepted.
    gripper_at: Option<Instant>,
    /// The gripper state that was reported in motion since the last accepted command.
    reported_gripper: Option<Gripper>,
    /// When the hand last requested each gripper state.
    requested: [Option<Instant>; 2],
    /// The last message on the gripper topic. It stays valid.
    pub gripper_message: Option<Gripper>,
    /// Requests before this time are no longer valid.
    voided_at: Instant,
    /// When the bridge last refused to arm because of the unknown position.
    pub arming_refused_at: Option<Instant>,
}

impl Ledger {
    pub fn new(now: Instant, automatic: bool) -> Self {
        Self {
            stopped: false,
            permitted: automatic,
            fault_reported: false,
            position_known: false,
            assumed: false,
            was_known: false,
            known_until: None,
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
            accepted_here: false,
            was_closed: false,
            gripper_at: None,
            reported_gripper: None,
            requested: [None; 2],
            gripper_message: None,
            voided_at: now,
            arming_refused_at: None,
        }
    }

    /// Ends the session: the position of the arm is unknown.
    pub fn end_session(&mut self) {
        (self.position_known, self.assumed, self.accepted, self.from) = (false, false, None, None);
        self.left_start |= self.has_sent;
        self.session_begins = self.lines + 1;
    }

    /// Records that the motion ends or restarts.
    fn end_motion(&mut self) {
        (self.has_begun, self.carried) = (false, None);
        self.believe_gripper();
    }

    /// Applies the reported gripper state, unless it is the commanded state.
    fn believe_gripper(&mut self) {
        if let Some(reported) =
            self.reported_gripper.take().filter(|reported| self.gripper != Some(*reported))
        {
            (self.gripper, self.accepted_here) = (Some(reported), false);
        }
    }

    /// Ends the connection and the session.
    pub fn end_connection(&mut self) {
        self.end_session();
        self.lost += std::mem::take(&mut self.unanswered);
        self.accepted_here = false;
    }

    /// Returns whether `arm.assume_position: home` still applies since the start.
    pub fn is_assumed_home(&self, config: &TeleopConfig) -> bool {
        config.assume_position == AssumedPosition::Home && !self.left_start && !self.position_known
    }

    /// Returns whether the position is known in this session, or assumed by the operator or a
    /// parameter.
    pub fn may_move(&self, config: &TeleopConfig) -> bool {
        let last = config.assume_position == AssumedPosition::Last && self.was_known;
        self.position_known || self.assumed || last || self.is_assumed_home(config)
    }

    /// Records the mode. A disarm ends the session. The end of a motion cancels all open gripper
    /// requests.
    pub fn record_motion(&mut self, now: Instant, motion: Motion) {
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

    /// Records a message that the bridge has received. If a reply belongs to no outstanding
    /// line, only its fault counts.
    pub fn record_message(
        &mut self,
        now: Instant,
        message: &ControllerMessage,
        believed: bool,
        settings: &Settings,
        workspace: &TeleopConfig,
    ) {
        let state = message.state.as_ref();
        self.fault_reported |= state.is_some_and(|state| state.fault.is_some());
        if !believed {
            return;
        }
        self.lag = now - message.generated;
        if let Some((Order::Command(command), seq, verdict)) = &message.reply_to {
            self.unanswered = self.unanswered.saturating_sub(1);
            let obeys = verdict.is_ok() && state.is_none_or(|state| state.fault.is_none());
            if verdict.is_err() {
                // The next command begins a motion, at the reported position or at the last
                // accepted command.
                self.end_motion();
                self.refused = true;
                self.from = self.accepted;
            }
            if obeys {
                if !self.accepted_here || self.gripper != Some(command.gripper) {
                    (self.was_closed, self.gripper_at) = (false, Some(now));
                }
                (self.gripper, self.accepted_here, self.reported_gripper) =
                    (Some(command.gripper), true, None);
                self.was_known = true;
                // The last accepted command sets the position for `arm.assume_position: last`,
                // whatever its session was.
                self.known_until = self.known_until.max(Some(message.generated));
            }
            if obeys && *seq >= self.session_begins {
                (self.accepted, self.lost, self.refused) = (Some(command.position), 0, false);
                (self.position_known, self.assumed) = (true, false);
                self.from = self.accepted;
                self.known_until = self.known_until.max(Some(message.generated));
            }
        }
        if let Some(position) = state.and_then(|state| state.position) {
            if matches!(message.reply_to, Some((Order::Stop, _, Ok(())))) {
                // The reply reports where the arm has stopped on its way. The next motion begins
                // there.
                (self.has_begun, self.from) = (false, None);
            }
            let is_zero = position.coordinates() == [0.0; 3];
            if !is_zero && is_near_workspace(workspace, position) {
                (self.position_known, self.was_known) = (true, true);
            }
            if settings.is_truthful() {
                self.lost = 0;
                self.known_until = self.known_until.max(Some(message.generated));
            }
        }
        if let Some(gripper) = state.and_then(|state| state.gripper) {
            // A gripper that still moves or holds an object reports another state than the
            // commanded state.
            let moves = self.accepted_here && self.gripper_at.is_some_and(|at| now - at < GRIPPER_TIME);
            let is_seen = !self.accepted_here || gripper == Gripper::Closed || self.was_closed;
            self.reported_gripper = Some(gripper).filter(|_| is_seen && !moves);
            if !self.has_begun || !self.accepted_here {
                self.believe_gripper();
            }
            self.was_closed |= gripper == Gripper::Closed;
        }
    }

    /// Records that the operator has sent the arm home.
    pub fn record_going_home(&mut self) {
        (self.permitted, self.going_home, self.fault_reported) = (true, true, false);
        // The motion begins at the reported position.
        self.end_motion();
        self.from = None;
    }

    /// Records the gripper state that a good target requests.
    pub fn record_request(&mut self, now: Instant, wanted: Option<Gripper>) {
        if let Some(gripper) = wanted {
            self.requested[gripper as usize] = Some(now);
        }
    }

    /// Returns whether this gripper state has been requested, and the request is valid.
    pub fn is_requested(&self, gripper: Gripper) -> bool {
        let fresh = self.requested[gripper as usize].is_some_and(|at| at >= self.voided_at);
        fresh || self.gripper_message == Some(gripper)
    }

    /// Records that the operator has armed. If the bridge refused to arm a moment ago because of
    /// the unknown position, this second call assumes a position.
    pub fn record_armed(&mut self, now: Instant) {
        self.permitted = true;
        self.fault_reported = false;
        let second = self.arming_refused_at.take().is_some_and(|at| now - at <= Duration::from_secs(10));
        self.assumed |= second;
    }
}

/// The longest time that a gripper needs to reach its commanded state.
const GRIPPER_TIME: Duration = Duration::from_secs(2);

fn is_near_workspace(config: &TeleopConfig, position: Position) -> bool {
    let [x, y, z] = position.coordinates();
    // An arm at the edge may hang a little outside.
    const OFF: [f64; 3] = [0.0, 0.01, -0.01];
    let contains =
        |dx, dy, dz| Position::new(x + dx, y + dy, z + dz).is_ok_and(|near| config.workspace.contains(near));
    OFF.iter().any(|dx| OFF.iter().any(|dy| OFF.iter().any(|dz| contains(dx, dy, dz))))
}
