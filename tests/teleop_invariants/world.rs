//! The environment of the state machine under test.
//!
//! It records independently what was sent, on which connection, which replies arrived, and which
//! input was fresh.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper, ReportedState};
use aether_bridge::geometry::{Orientation, Position};
use aether_bridge::teleop::{
    Arming, CommandKind, FilterConfig, FollowingConfig, Frame, GraphNews, GripperInput, HoldBehavior,
    LinkView, Motion, Planned, ReasonKind, ReportAbout, RetargetMode, Stamp, Target, Teleop, TeleopConfig,
};
use aether_sim::monitor::{MotionLimits, MotionMonitor};
use nalgebra::Vector3;

use crate::arm_record::ArmRecord;
use crate::checks::timed;
use crate::events::{Event, Fate};
use crate::returns::Returns;

pub struct World {
    pub teleop: Teleop,
    /// How many events the state machine has handled.
    pub handled: u64,
    pub config: TeleopConfig,
    pub start: Instant,
    pub now: Instant,
    pub link: LinkView,
    pub monitor: MotionMonitor,
    pub last_on_connection: Option<(Instant, Command)>,
    /// The velocity of the last command and its duration in seconds. `None` until the current
    /// motion has sent two commands.
    pub velocity: Option<(Vector3<f64>, f64)>,
    pub arm_record: ArmRecord,
    /// When the newest good target was taken. `None` after a refused target.
    pub good_input: Option<Instant>,
    several_publishers: bool,
    /// Whether two hands send alternately, and have done so for long enough to be detected.
    pub two_hands: bool,
    /// Since when the input has been good.
    good_since: Option<Instant>,
    /// Whether motion was interrupted since the last command: by a lost link, lost input, error
    /// replies, a disarm or a stop.
    pub interrupted: bool,
    pub permitted: bool,
    pub shut_down: bool,
    pub gripper: GripperSide,
    pub returns: Returns,
    /// Whether a stop line must be sent before the next motion.
    pub stop_line_due: bool,
    /// The last command of this connection that got a reply, if it was accepted.
    pub accepted: Option<Command>,
    /// True if nothing but commands can have moved the arm since the last command.
    pub undisturbed: bool,
    window: usize,
    /// Whether the controller reports a fault.
    pub faulty: bool,
    /// When the first command to the current goal was sent.
    aimed_at: Option<Instant>,
    /// Whether a command was refused or lost during motion, and nothing else has interrupted the
    /// motion.
    pub restarted: bool,
    /// The sent lines that have no reply yet.
    pub in_flight: VecDeque<Order>,
    /// What happens to the next lines, instead of an immediate acceptance.
    fates: VecDeque<Fate>,
    wall_clock: Duration,
    last_stamp: Option<i64>,
    stream: Stream,
    /// Consecutive error replies on this connection.
    errors: u32,
    /// How long it takes to write a line, because the system may pause the process at this moment.
    writing: Duration,
    log: Log,
}

/// A sent line that gets a reply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    Command(Command),
    Stop,
    Question,
}

/// The sent lines, with their times.
#[derive(Debug, PartialEq)]
pub struct Log(Vec<(Duration, Line)>);

#[derive(Debug, PartialEq)]
enum Line {
    Command(Command, CommandKind),
    Stop,
    Question,
}

/// The known and the requested state of the gripper.
#[derive(Debug)]
pub struct GripperSide {
    /// The state in the last accepted command or in the last report. Before the first of these, the
    /// assumed state.
    pub state: Gripper,
    /// The source of the state.
    source: Source,
    /// Whether "closed" has been reported since the first accepted command with the current state.
    was_closed: bool,
    /// When that command was accepted.
    changed_at: Option<Instant>,
    /// A contradicting report received during motion, after the last accepted command.
    contradiction: Option<Gripper>,
    /// The state in the last command of this motion, unless an event has cancelled it.
    pub sent: Option<Gripper>,
    /// Whether a request (`Wish`) has arrived, or a command has been sent.
    settled: bool,
    wish: Option<Wish>,
    /// The states that were requested for long enough since the last command.
    pub lasted: Vec<Gripper>,
    /// The state that the next command must contain, unless another event occurs before.
    pub due: Option<Gripper>,
    /// Whether a publisher has left since the request. It may have sent the request.
    orphaned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Assumed,
    Known,
    Accepted,
}

/// A request for a gripper state that no other message contradicts.
#[derive(Debug, Clone, Copy)]
struct Wish {
    wanted: Gripper,
    /// Whether it came in a state message (a bool or a text) of the gripper topic.
    names_state: bool,
    /// Whether the request is a number that replaced the assumed state.
    first: bool,
    since: Instant,
    /// When it was last repeated, and the time before that.
    last: Instant,
    before: Option<Instant>,
}

impl GripperSide {
    fn new(initial: Gripper) -> Self {
        Self {
            state: initial,
            source: Source::Assumed,
            was_closed: false,
            changed_at: None,
            contradiction: None,
            sent: None,
            settled: false,
            wish: None,
            lasted: Vec::new(),
            due: None,
            orphaned: false,
        }
    }

    /// Discards the state that was not accepted. The debounce time of the request starts again.
    fn handle_void(&mut self, now: Instant) {
        self.sent = None;
        if let Some(reported) = self.contradiction.take() {
            self.believe(now, reported);
        }
        self.restart(now);
    }

    fn restart(&mut self, now: Instant) {
        (self.due, self.lasted) = (None, Vec::new());
        let stays = |wish: &Wish| wish.names_state && !self.orphaned;
        self.wish = self.wish.filter(stays).map(|wish| Wish { since: now, ..wish });
    }

    fn handle_left(&mut self, moving: bool) {
        if self.wish.take_if(|wish| !moving || !wish.names_state).is_some() {
            (self.lasted, self.due) = (Vec::new(), None);
        }
        self.orphaned = true;
    }

    fn handle_accepted(&mut self, now: Instant, accepted: Gripper) {
        if self.source != Source::Accepted || self.state != accepted {
            (self.was_closed, self.changed_at) = (false, Some(now));
        }
        (self.state, self.source, self.contradiction) = (accepted, Source::Accepted, None);
    }

    fn handle_reported(&mut self, now: Instant, reported: Gripper) {
        let was_closed = self.was_closed;
        self.was_closed |= reported == Gripper::Closed;
        if self.source == Source::Accepted {
            // A gripper that still moves or holds an object reports another state than it was
            // commanded to.
            let moves = self.changed_at.is_some_and(|at| now - at < GRIPPER_TIME);
            let believed = !moves && (reported == Gripper::Closed || was_closed) && self.state != reported;
            self.contradiction = believed.then_some(reported);
            if self.sent.is_some() || !believed {
                return;
            }
        }
        self.contradiction = None;
        self.believe(now, reported);
    }

    fn believe(&mut self, now: Instant, reported: Gripper) {
        // A first number replaces the assumed state, but not a known state.
        let first = self.wish.is_some_and(|wish| wish.first);
        let changed = first || self.state != reported && self.due.is_none_or(|due| due == self.state);
        (self.state, self.source) = (reported, Source::Known);
        if changed && self.sent.is_none() {
            self.restart(now);
        }
    }
}

/// The recent stream of targets.
#[derive(Default)]
struct Stream {
    /// Consecutive targets that were all zero.
    zeros: u32,
    same: Option<(Position, Instant)>,
    arrivals: Vec<Instant>,
    interval_before: Option<f64>,
    /// Set after two consecutive long intervals. Cleared after two consecutive short intervals.
    slow: bool,
}

/// If two numbers are farther apart in time than this, they are separate requests.
const SILENCE: Duration = Duration::from_secs(3);
/// How long after its first message a publisher may appear in the graph.
const DISCOVERY: Duration = Duration::from_millis(500);
/// The time that a gripper takes to open or close.
const GRIPPER_TIME: Duration = Duration::from_secs(2);
/// The number of messages by which two alternating hands are detected, even after a hand that moved
/// fast.
const DETECTED_BY: usize = 40;

impl World {
    /// Creates an environment with a ready link and nothing else.
    pub fn new(config: TeleopConfig, window: usize) -> Self {
        let (now, initial_gripper) = (Instant::now(), config.initial_gripper);
        let arm_record = ArmRecord::new(&config);
        let mut world = Self {
            teleop: Teleop::new(config.clone()),
            handled: 0,
            permitted: config.arming == Arming::Automatic,
            monitor: MotionMonitor::new(MotionLimits::from(&config)),
            config,
            start: now,
            now,
            link: LinkView::Down,
            last_on_connection: None,
            velocity: None,
            arm_record,
            good_input: None,
            several_publishers: false,
            two_hands: false,
            good_since: None,
            interrupted: true,
            shut_down: false,
            gripper: GripperSide::new(initial_gripper),
            returns: Returns::default(),
            stop_line_due: false,
            accepted: None,
            undisturbed: false,
            window,
            faulty: false,
            aimed_at: None,
            restarted: false,
            in_flight: VecDeque::new(),
            fates: VecDeque::new(),
            // Late enough that no age makes a stamp negative.
            wall_clock: Duration::from_secs(100),
            last_stamp: None,
            stream: Stream::default(),
            errors: 0,
            writing: Duration::ZERO,
            log: Log(Vec::new()),
        };
        world.handle_link(LinkView::Ready);
        world
    }

    pub fn log(self) -> Log {
        self.log
    }

    pub fn set_wall_clock_forward(&mut self, by: Duration) {
        self.wall_clock += by;
    }

    pub fn handle(&mut self, event: &Event) {
        self.record_gripper();
        let mut before = self.teleop.motion();
        self.handle_event(event);
        if matches!(event, Event::Sweep { .. } | Event::TwoHands { .. } | Event::Pass { .. }) {
            // The parts of these events have been handled separately.
            before = self.teleop.motion();
        }
        // Times that follow from this event must be computed at this time.
        self.teleop.handle_timeout(self.now);
        self.record_motion_end(before);
        self.handled += 1;
        self.send();
    }

    /// Records the end of a motion, a disarm or a stop. This cancels a gripper state that the
    /// controller has not accepted.
    fn record_motion_end(&mut self, before: Motion) {
        let after = self.teleop.motion();
        let moves = |motion| matches!(motion, Motion::Approach | Motion::Tracking);
        let rests = matches!(after, Motion::Disarmed | Motion::Stopped);
        if moves(before) && !moves(after) {
            self.arm_record.handle_interrupted();
        }
        if moves(before) && !moves(after) || before != after && rests {
            self.gripper.handle_void(self.now);
        }
        if !moves(before) && moves(after) {
            self.returns.handle_begun(self.now);
        }
    }

    fn handle_event(&mut self, event: &Event) {
        match event {
            Event::Target { at, frame, age_ms, gripper } => {
                self.handle_target(position(*at), *frame, *age_ms, *gripper);
            }
            Event::NotATarget(x) => {
                let fault = Target::new(*x, 0.0, 0.0, None).unwrap_err();
                self.teleop.handle_invalid_target(self.now, fault);
                self.lose_input();
            }
            Event::Sweep { from, step, count, period_ms, stamped, frame, gripper } => {
                for i in 0..*count {
                    let at = std::array::from_fn(|axis| from[axis] + step[axis] * i as f64);
                    self.record_gripper();
                    self.handle_target(position(at), *frame, stamped.then_some(0), *gripper);
                    self.reply_and_pass(*period_ms);
                }
            }
            Event::SeveralPublishers(several) => {
                self.several_publishers = *several;
                let news = GraphNews::TargetPublishers(several.then(|| "two".into()));
                self.teleop.handle_graph(self.now, news);
            }
            Event::TwoHands { at, apart, count, period_ms } => {
                for number in 0..*count {
                    let [x, y, z] = *at;
                    let hand = position([x + apart * (number % 2) as f64, y, z]);
                    self.record_gripper();
                    self.two_hands = self.several_publishers && number >= DETECTED_BY;
                    self.handle_target(hand, Frame::Base, None, None);
                    self.reply_and_pass(*period_ms);
                }
                self.two_hands = false;
            }
            Event::Gripper(input) => {
                self.teleop.handle_gripper(self.now, *input);
                self.gripper.orphaned = false;
                self.record_wish(*input, matches!(input, GripperInput::Wanted(_)));
            }
            Event::KeptGripper(input) if self.gripper.settled => self.handle(&Event::Gripper(*input)),
            Event::KeptGripper(input) => {
                self.teleop.handle_kept_gripper(self.now, *input);
                match input {
                    GripperInput::Wanted(wanted) if self.gripper.source == Source::Assumed => {
                        self.gripper.state = *wanted;
                    }
                    _ => {}
                }
            }
            Event::ReportedGripper(gripper) => {
                self.teleop.handle_reported_gripper(self.now, *gripper);
                self.gripper.handle_reported(self.now, *gripper);
            }
            Event::OtherArm => {
                self.handle(&Event::SetArmed(false));
                self.handle_link(LinkView::Down);
                self.teleop.handle_other_arm();
                self.arm_record = ArmRecord::of_other_arm(&self.config);
                self.returns.handle_other_arm();
                self.faulty = false;
                self.gripper = GripperSide::new(self.config.initial_gripper);
            }
            Event::GripperFound => {
                self.teleop.handle_graph(self.now, GraphNews::GripperFound);
                self.interrupt_if(!self.is_moving());
            }
            Event::GripperLeft => {
                self.gripper.handle_left(self.is_moving());
                self.teleop.handle_graph(self.now, GraphNews::GripperLeft);
            }
            Event::GripperAbsent => {
                let is_unseen = |wish: Wish| wish.names_state && self.now - wish.last >= DISCOVERY;
                if self.gripper.wish.is_some_and(is_unseen) {
                    self.gripper.handle_left(self.is_moving());
                }
                self.teleop.handle_graph(self.now, GraphNews::GripperAbsent);
            }
            Event::Link(link) => self.handle_link(*link),
            Event::Reply { ok } => self.handle_reply(*ok),
            Event::Lost => self.handle_lost(),
            Event::StoppedAt(share) => self.handle_stopped_at(*share),
            Event::Reported { at, moving } => self.report(position(*at), *moving, ReportAbout::Unasked),
            Event::Sighted { by, moving } => {
                self.report(self.near_expected(*by), *moving, ReportAbout::Unasked)
            }
            Event::Nonsense(scale) => {
                let [x, y, z] = self.arm_record.expected().coordinates().map(|coordinate| coordinate * scale);
                self.report(position([x, y, z]), Some(false), ReportAbout::Unasked);
            }
            Event::Fault(fault) => {
                let fault = fault.then(|| "overload".to_owned());
                self.take_report(&ReportedState { fault, ..ReportedState::default() }, ReportAbout::Observed);
            }
            Event::SetArmed(armed) => {
                let before = self.teleop.reason(self.now);
                let result = self.teleop.handle_set_armed(self.now, *armed);
                self.arm_record.handle_set_armed(self.now, *armed, &result);
                self.faulty &= result.is_err() || !*armed;
                if !*armed
                    && self.teleop.motion() != Motion::Stopped
                    && before != self.teleop.reason(self.now)
                {
                    self.renew_arm_record();
                }
                let accepted = result.is_ok();
                assert!(!(accepted && *armed && self.shut_down), "armed during the shutdown");
                self.permitted = if *armed { self.permitted || accepted } else { false };
                self.undisturbed &= *armed || self.teleop.motion() == Motion::Stopped;
                self.interrupt_if(!armed);
            }
            Event::Stop => {
                self.arm_record.forget_confirmation();
                self.teleop.handle_stop();
                self.permitted = false;
                self.returns.expect_stop_line();
                self.interrupt_if(true);
            }
            Event::Reset => {
                self.arm_record.forget_confirmation();
                let before = self.teleop.reason(self.now);
                self.teleop.handle_reset();
                let changed = before != self.teleop.reason(self.now);
                self.permitted = false;
                self.undisturbed = false;
                self.interrupt_if(true);
                if changed {
                    self.renew_arm_record();
                }
                assert_eq!(self.teleop.motion(), Motion::Disarmed, "a reset disarms");
            }
            Event::Fates(fates) => self.fates.extend(fates),
            Event::ConfigureGripper(gripper) => {
                self.handle_config(TeleopConfig { gripper: *gripper, ..self.config.clone() });
            }
            Event::Configure(config) => self.handle_config((**config).clone()),
            Event::Writing { us } => self.writing = Duration::from_micros(*us),
            Event::Pass { ms, stalled } => self.pass(Duration::from_millis(*ms), *stalled),
            Event::Shutdown => {
                self.teleop.handle_shutdown(self.now);
                self.shut_down = true;
                self.returns.expect_stop_line();
                self.interrupt_if(true);
            }
        }
    }

    /// Replies to every line, and then lets time pass.
    fn reply_and_pass(&mut self, ms: u64) {
        self.send();
        while !self.in_flight.is_empty() {
            match self.fates.pop_front() {
                None => self.handle_reply(true),
                Some(Fate::Refused) => self.handle_reply(false),
                Some(Fate::Lost) => self.handle_lost(),
            }
            self.send();
        }
        self.pass(Duration::from_millis(ms), false);
    }

    fn handle_target(
        &mut self,
        at: Position,
        frame: Frame,
        age_ms: Option<i64>,
        gripper: Option<GripperInput>,
    ) {
        self.handled += 1;
        let received = i64::try_from((self.wall_clock + (self.now - self.start)).as_nanos()).unwrap();
        let stamp = age_ms.map(|age| Stamp { taken: received - age * 1_000_000, received, simulated: false });
        let target = Target {
            position: at,
            orientation: Some(orientation_at(at)),
            frame,
            stamp,
            gripper,
            stall: Duration::ZERO,
            publisher: None,
        };
        // Handle earlier deadlines first. A motion may begin now, and this target may end it.
        self.handle_timeout();
        let before = self.teleop.motion();
        let accepted = self.teleop.handle_target(self.now, target).is_ok();
        let good_before = self.good_input.is_some_and(|taken| self.now < taken + self.config.input_timeout);

        let zero = self.config.zero_is_lost && at.coordinates() == [0.0; 3];
        self.stream.zeros = if zero { self.stream.zeros + 1 } else { 0 };
        let skipped = self.stream.zeros == 1 && good_before;
        let mut acceptable = !zero;
        if self.stream.zeros != 1 {
            acceptable &= self.stream.is_live(self.now, at, &self.config);
        }
        let sane = zero || self.is_sane(stamp, age_ms);
        acceptable &= sane;
        self.returns.handle_target(self.now, &target, (accepted, sane && !zero), &self.config);
        let inside = self.is_inside(at, frame);
        acceptable &= inside != Some(false);
        assert!(!accepted || acceptable, "{at:?} {age_ms:?} was accepted");
        // An unnecessary refusal is a fault too, unless a rule applies that this environment does
        // not model.
        let c = &self.config;
        let unknown = inside.is_none()
            || c.jump.distance > 0.0
            || c.stream_health.min_rate > 0.0
            || !c.stream_health.frozen_timeout.is_zero();
        assert!(accepted || !acceptable || unknown, "{at:?} {age_ms:?} was refused");
        if accepted {
            let gap = self.good_input.is_none_or(|taken| self.now >= taken + self.config.input_timeout);
            self.interrupt_if(gap);
            if gap {
                self.good_since = Some(self.now);
                if matches!(before, Motion::Approach | Motion::Tracking) {
                    self.gripper.handle_void(self.now);
                }
            }
            match gripper {
                Some(GripperInput::Wanted(Gripper::Open)) if !self.config.gripper.target_opens => {
                    self.record_no_opening();
                }
                Some(GripperInput::Opening(opening))
                    if opening > self.config.gripper.open_above
                        && opening.is_finite()
                        && !self.config.gripper.target_opens =>
                {
                    self.record_no_opening();
                }
                Some(input) => self.record_wish(input, false),
                None => {}
            }
            self.record_due();
            let age = Duration::from_millis(age_ms.unwrap_or(0).max(0) as u64);
            self.good_input = Some(self.now - age);
        } else if !skipped {
            self.lose_input();
        }
        // Several senders may hold motion. This environment does not know when they are detected.
        self.interrupt_if(self.several_publishers && !self.is_moving());
        self.record_motion_end(before);
        // Only the state machine knows which paths around obstacles it finds. If it finds no path,
        // motion ends, but the input is not lost.
        let no_way = self.teleop.reason(self.now).kind() == ReasonKind::NoWay;
        self.interrupt_if(no_way && !self.is_moving());
    }

    fn is_sane(&mut self, stamp: Option<Stamp>, age_ms: Option<i64>) -> bool {
        let (Some(stamp), Some(age_ms)) = (stamp, age_ms) else { return true };
        let backwards = self.last_stamp.is_some_and(|last| stamp.taken < last);
        self.last_stamp = Some(stamp.taken);
        let age = Duration::from_millis(age_ms.max(0) as u64);
        age <= self.config.input_timeout && age_ms >= -50 && !backwards
    }

    /// Returns whether the position of a target is allowed. `None` if that depends on earlier
    /// targets.
    fn is_inside(&self, at: Position, frame: Frame) -> Option<bool> {
        let base = match frame {
            Frame::Tracker => self.config.retarget.apply(at),
            Frame::Base => Ok(at),
            Frame::Transformed(transform) => transform.position(at),
        };
        let Ok(base) = base else { return Some(false) };
        let known =
            self.config.retarget_mode == RetargetMode::Absolute && self.config.filter == FilterConfig::None;
        known.then(|| self.config.workspace.admit(base).is_ok())
    }

    fn lose_input(&mut self) {
        (self.good_input, self.good_since) = (None, None);
        self.returns.handle_loss();
        self.interrupt_if(true);
    }

    fn interrupt_if(&mut self, condition: bool) {
        self.restarted &= !condition;
        if condition && !self.interrupted {
            self.interrupted = true;
            self.stop_line_due =
                self.config.hold_behavior == HoldBehavior::Stop && self.link != LinkView::Down;
        }
    }

    fn record_gripper(&mut self) {
        self.gripper.lasted.extend(self.lasting_wish());
    }

    /// Returns the state that was requested for its debounce time while a hand was visible.
    fn lasting_wish(&self) -> Option<Gripper> {
        let (wish, in_sight) = (self.gripper.wish?, self.good_since?);
        let debounce = match wish.wanted {
            Gripper::Open => self.config.gripper.open_debounce,
            Gripper::Closed => self.config.gripper.close_debounce,
        };
        let is_repeated =
            wish.before.is_some_and(|before| before >= in_sight) && self.now - wish.last <= SILENCE;
        let has_lasted = self.now - wish.since.max(in_sight) >= debounce;
        (has_lasted && (wish.names_state || is_repeated)).then_some(wish.wanted)
    }

    /// Records that a good target has arrived, or that motion may have begun. During motion, the
    /// next command must contain the state that was requested for its debounce time.
    fn record_due(&mut self) {
        if self.is_moving() {
            self.gripper.due = self.lasting_wish();
        }
    }

    /// Records "open" in a target that may only close the gripper.
    fn record_no_opening(&mut self) {
        if self.gripper.wish.take_if(|wish| !wish.names_state).is_some() {
            (self.gripper.due, self.gripper.lasted) = (None, Vec::new());
        }
    }

    fn record_wish(&mut self, input: GripperInput, names_state: bool) {
        let wanted = match input {
            GripperInput::Wanted(gripper) => Some(gripper),
            GripperInput::Opening(opening) if !opening.is_finite() => None,
            GripperInput::Opening(opening) if opening < self.config.gripper.close_below => {
                Some(Gripper::Closed)
            }
            GripperInput::Opening(opening) if opening > self.config.gripper.open_above => Some(Gripper::Open),
            GripperInput::Opening(_) => None,
        };
        let (now, side) = (self.now, &mut self.gripper);
        if names_state && side.source == Source::Assumed {
            side.state = wanted.unwrap_or(side.state);
        }
        let continues = |wish: &Wish| {
            wanted == Some(wish.wanted)
                && wish.names_state == names_state
                && (names_state || now - wish.last <= SILENCE)
        };
        match &mut side.wish {
            Some(wish) if continues(wish) => (wish.before, wish.last) = (Some(wish.last), now),
            wish => {
                *wish = wanted.map(|wanted| Wish {
                    wanted,
                    names_state,
                    first: false,
                    since: now,
                    last: now,
                    before: None,
                });
                (side.due, side.lasted) = (None, Vec::new());
            }
        }
        let first = side.wish.filter(|wish| !side.settled && (names_state || wish.before.is_some()));
        if let Some(first) = first {
            side.settled = true;
            if side.source == Source::Assumed && !names_state {
                // The number replaces the assumed state only until the number is cancelled.
                (side.lasted, side.due) = (vec![first.wanted], Some(first.wanted));
                side.wish = Some(Wish { first: true, ..first });
            }
        }
    }

    fn handle_link(&mut self, link: LinkView) {
        self.interrupt_if(link != LinkView::Ready);
        if link.is_down() {
            self.renew_arm_record();
        } else if link == LinkView::Unresponsive {
            self.arm_record.handle_silence(&self.config);
        }
        if link == LinkView::Down {
            self.in_flight.clear();
            self.arm_record.earlier = 0;
            self.last_on_connection = None;
            self.monitor.handle_connected();
            self.accepted = None;
        }
        if link.is_down() {
            self.undisturbed = false;
            self.errors = 0;
            // The connected controllers still receive the stop line.
            self.stop_line_due &= link == LinkView::Partial;
            self.permitted &= self.config.arming == Arming::Automatic;
            if self.gripper.source == Source::Accepted {
                self.gripper.source = Source::Known;
            }
            self.gripper.handle_void(self.now);
        }
        self.link = link;
        let before = self.teleop.motion();
        self.teleop.handle_link(self.now, link);
        self.record_motion_end(before);
        if !matches!(before, Motion::Approach | Motion::Tracking) {
            self.record_due();
        }
    }

    fn handle_reply(&mut self, ok: bool) {
        let Some(order) = self.in_flight.pop_front() else { return };
        self.handled += 1;
        let is_earlier = self.record_reply();
        let before = self.teleop.motion();
        match order {
            Order::Command(command) if ok && self.faulty => {
                // Some controllers accept commands that their arm does not execute.
                self.accepted = None;
                self.errors = 0;
                self.teleop.handle_acknowledged(self.now, &command);
                self.gripper.handle_void(self.now);
            }
            Order::Command(command) if ok => {
                self.gripper.handle_accepted(self.now, command.gripper);
                if is_earlier {
                    self.arm_record.handle_earlier(command.position, &self.config);
                } else {
                    self.arm_record.handle_acknowledged(self.now, &command);
                }
                self.accepted = Some(command);
                self.errors = 0;
                self.teleop.handle_acknowledged(self.now, &command);
            }
            Order::Command(_) => {
                self.accepted = None;
                self.gripper.handle_void(self.now);
                self.arm_record.handle_interrupted();
                self.teleop.handle_rejected(self.now);
                self.errors += 1;
                self.restarted |= !self.interrupted;
                self.interrupt_if(self.errors >= self.config.max_consecutive_errors);
                self.interrupted = true;
            }
            Order::Stop => self.teleop.handle_stop_answered(false),
            Order::Question => {
                self.report(self.near_expected([0.0; 3]), Some(false), ReportAbout::Observed);
                self.arm_record.handle_answered(self.now, !self.awaits_replies());
                self.teleop.handle_answered(self.now);
            }
        }
        self.teleop.handle_timeout(self.now);
        self.record_motion_end(before);
    }

    fn handle_lost(&mut self) {
        let lost = self.in_flight.pop_front();
        if lost.is_some() {
            self.record_reply();
        }
        match lost {
            Some(Order::Command(_)) => {
                self.accepted = None;
                self.gripper.handle_void(self.now);
                self.arm_record.handle_interrupted();
                self.teleop.handle_lost();
                self.restarted |= !self.interrupted;
                self.interrupted = true;
                self.teleop.handle_timeout(self.now);
            }
            Some(Order::Question) => self.teleop.handle_question_lost(self.now),
            Some(Order::Stop) => {
                self.returns.expect_stop_line();
                self.teleop.handle_stop_lost();
            }
            None => {}
        }
    }

    /// Accepts every line before a stop line. The arm has stopped at a share of the way back from
    /// the last command.
    fn handle_stopped_at(&mut self, share: f64) {
        let Some(index) = self.in_flight.iter().position(|order| *order == Order::Stop) else { return };
        (0..index).for_each(|_| self.handle_reply(true));
        self.in_flight.pop_front();
        self.record_reply();
        let last = self.last_on_connection.map_or(self.config.home, |(_, last)| last.position);
        let back = last.point().lerp(&self.config.home.point(), 0.1 * share);
        let at = Position::new(back.x, back.y, back.z).unwrap();
        let state = ReportedState {
            position: Some(at),
            orientation: self.tool_orientation(),
            ..ReportedState::default()
        };
        self.take_report(&state, ReportAbout::Stopped);
        self.teleop.handle_stop_answered(true);
        self.arm_record.handle_stopped(self.now, at, &self.config);
    }

    /// Lets the controller report the arm's position.
    fn report(&mut self, at: Position, moving: Option<bool>, about: ReportAbout) {
        let state = ReportedState {
            position: Some(at),
            orientation: self.tool_orientation(),
            moving,
            ..ReportedState::default()
        };
        let in_motion = self.is_moving() && !self.interrupted && self.arm_record.has_accepted();
        let unbelievable = self.arm_record.is_unbelievable(at, &self.config);
        self.take_report(&state, about);
        if about == ReportAbout::Unasked {
            self.arm_record.handle_unasked();
        }
        self.arm_record.handle_report(self.now, at, moving, in_motion, &self.config);
        let elsewhere = self
            .last_on_connection
            .is_some_and(|(_, last)| last.position.distance(at) > self.config.position_tolerance);
        // An implausible report does not prove that something else has moved the arm.
        let believed = !unbelievable && !self.arm_record.is_doubtful();
        if elsewhere && believed && !self.awaits_replies() && self.has_arrived() {
            self.undisturbed = false;
        }
    }

    /// Returns whether an arm at half of the speed limit has had enough time to reach the last
    /// command.
    fn has_arrived(&self) -> bool {
        let FollowingConfig { distance, time } = self.config.following;
        let travel = time + Duration::from_secs_f64(2.0 * distance / self.config.limits.speed);
        distance > 0.0 && self.aimed_at.is_none_or(|at| self.now - at > travel)
    }

    /// Lets the controller report a state. The end of a fault disarms.
    fn take_report(&mut self, state: &ReportedState, about: ReportAbout) {
        let before = self.teleop.reason(self.now);
        self.teleop.handle_report(self.now, 0, about, Some(state));
        if state.fault.is_some() {
            if !self.faulty {
                self.renew_arm_record();
            }
            self.faulty = true;
        } else if std::mem::replace(&mut self.faulty, false) {
            let stopped = self.teleop.motion() == Motion::Stopped;
            self.permitted &= stopped;
            self.undisturbed &= stopped;
            if !stopped && before != self.teleop.reason(self.now) {
                self.renew_arm_record();
            }
        }
        self.interrupt_if(!self.is_moving());
    }

    /// Records a reply. Returns whether its line was sent in an earlier session, so that it does
    /// not determine the position.
    fn record_reply(&mut self) -> bool {
        let is_earlier = self.arm_record.earlier > 0;
        self.arm_record.earlier = self.arm_record.earlier.saturating_sub(1);
        is_earlier
    }

    fn renew_arm_record(&mut self) {
        self.arm_record.renew(&self.config);
        self.arm_record.earlier = self.in_flight.len();
    }

    /// Returns the orientation of the tool that the controller reports.
    fn tool_orientation(&self) -> Option<Orientation> {
        let last = self.last_on_connection.and_then(|(_, last)| last.orientation);
        last.or(self.config.orientation.map(|turning| turning.home))
    }

    fn near_expected(&self, by: [f64; 3]) -> Position {
        let expected = self.arm_record.expected().point();
        position([expected.x + by[0], expected.y + by[1], expected.z + by[2]])
    }

    pub fn awaits_replies(&self) -> bool {
        self.in_flight.iter().any(|order| *order != Order::Question)
    }

    fn handle_config(&mut self, config: TeleopConfig) {
        // The node refuses these changes while armed.
        let mut config = config;
        if self.teleop.is_armed() {
            config.arming = self.config.arming;
            config.retarget = self.config.retarget;
            config.retarget_mode = self.config.retarget_mode;
            config.assume_position = self.config.assume_position;
        }
        // The node reads this setting only at start.
        config.initial_gripper = self.config.initial_gripper;
        // A change of this setting opens a new connection.
        config.can_ask = self.config.can_ask;
        let arm = self.last_on_connection.map(|(_, command)| command.position);
        let excluded =
            arm.is_some_and(|arm| self.config.workspace.contains(arm) && !config.workspace.contains(arm));
        let result = self.teleop.check_config(&config);
        assert!(!excluded || result.is_err(), "the arm was excluded from the workspace");
        if result.is_ok() {
            // If the bridge has not armed automatically yet, it no longer does so.
            self.permitted &= config.arming == self.config.arming || config.arming == Arming::Automatic;
            self.stop_line_due &= config.hold_behavior == HoldBehavior::Stop;
            self.undisturbed &= config.hold_behavior == self.config.hold_behavior || self.is_moving();
            // Input that was too old stays too old.
            self.good_input = self.good_input.filter(|taken| self.now < *taken + self.config.input_timeout);
            let renews = config.assume_position != self.config.assume_position && !self.teleop.is_armed();
            if config.gripper != self.config.gripper {
                self.gripper.restart(self.now);
            }
            self.returns.handle_config(&self.config, &config, self.is_moving());
            self.config = config.clone();
            self.arm_record.handle_home(config.home);
            self.arm_record.forget_confirmation();
            self.monitor.handle_limits(MotionLimits::from(&config));
            self.teleop.handle_config(self.now, config);
            if renews {
                self.renew_arm_record();
            }
            // If the new settings move or refuse the goal, motion may continue with or without an
            // approach.
            self.interrupted |= !self.is_moving();
        }
    }

    pub fn is_moving(&self) -> bool {
        matches!(self.teleop.motion(), Motion::Approach | Motion::Tracking)
    }

    fn pass(&mut self, time: Duration, stalled: bool) {
        let end = self.now + time;
        if !stalled {
            self.drive_until(end);
        }
        self.now = self.now.max(end);
        self.handle_timeout();
    }

    fn drive_until(&mut self, end: Instant) {
        loop {
            let command_at = self.teleop.poll_command_at(self.now).filter(|_| self.has_room());
            let question_at = self.teleop.poll_question_at(self.now).filter(|_| self.has_room());
            let next =
                [self.teleop.poll_timeout(self.now), command_at, question_at].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end && *next > self.now) else { return };
            self.now = next;
            self.handle_timeout();
            self.send();
        }
    }

    fn handle_timeout(&mut self) {
        self.handled += 1;
        self.record_stale_input();
        let before = self.teleop.motion();
        self.teleop.handle_timeout(self.now);
        self.record_motion_end(before);
        if !matches!(before, Motion::Approach | Motion::Tracking) {
            self.record_due();
        }
    }

    fn record_stale_input(&mut self) {
        let stale = self.good_input.is_some_and(|taken| self.now >= taken + self.config.input_timeout);
        self.interrupt_if(stale);
    }

    fn has_room(&self) -> bool {
        self.link == LinkView::Ready && self.in_flight.len() < self.window
    }

    fn send(&mut self) {
        let at = |world: &Self| world.now - world.start;
        if self.teleop.poll_stop_line() {
            assert!(self.link != LinkView::Down, "a stop line without a link");
            self.teleop.handle_stop_sent();
            self.in_flight.push_back(Order::Stop);
            self.stop_line_due = false;
            self.returns.handle_stop_line();
            self.log.0.push((at(self), Line::Stop));
        }
        while self.has_room() {
            if self.teleop.poll_question_at(self.now).is_some_and(|due| due <= self.now) {
                self.teleop.handle_asked(self.now);
                self.in_flight.push_back(Order::Question);
                self.log.0.push((at(self), Line::Question));
                continue;
            }
            let Some(planned) = self.teleop.poll_command(self.now) else { return };
            self.record_gripper();
            self.check(&planned);
            let begun = self.now;
            self.now += self.writing;
            self.teleop.handle_sent(self.now, &planned);
            self.record_sent(begun, &planned);
            self.record_stale_input();
            self.log.0.push((at(self), Line::Command(planned.command, planned.kind)));
        }
    }

    /// Records a command that was planned at `begun` and has been sent.
    fn record_sent(&mut self, begun: Instant, planned: &Planned) {
        let command = planned.command;
        self.in_flight.push_back(Order::Command(command));
        if self.interrupted {
            self.velocity = None;
        } else if let Some((sent_at, last)) = self.last_on_connection.filter(|(at, _)| *at < begun) {
            let seconds = (begun - sent_at).as_secs_f64();
            let moved = command.position.point() - last.position.point();
            self.velocity = Some((moved / seconds, seconds));
        }
        if self.last_on_connection.is_none_or(|(_, last)| last.position != command.position) {
            self.aimed_at = Some(self.now);
        }
        self.restarted = false;
        // Subtract what two roundings to a micrometre may have added.
        let speed = self.velocity.map(|(velocity, seconds)| velocity.norm() - 4e-6 / seconds);
        self.returns.handle_sent(self.now, planned, self.interrupted, speed);
        self.last_on_connection = Some((self.now, command));
        self.arm_record.handle_sent();
        self.monitor.handle_sent(timed(self.now, planned));
        self.undisturbed = true;
        if planned.kind != CommandKind::Repetition {
            self.interrupted = false;
            (self.gripper.sent, self.gripper.settled) = (Some(command.gripper), true);
            self.gripper.lasted.clear();
        }
    }
}

impl Stream {
    /// Records a target. Returns whether the stream is live.
    fn is_live(&mut self, now: Instant, at: Position, config: &TeleopConfig) -> bool {
        let min_rate = config.stream_health.min_rate;
        let longest = (4.0 / min_rate).min(config.input_timeout.as_secs_f64());
        let interval = self.arrivals.last().map(|last| (now - *last).as_secs_f64());
        if let Some(interval) = interval {
            let long = interval > longest;
            if self.interval_before.is_some_and(|before| long == (before > longest)) {
                self.slow = long;
            }
            self.interval_before = Some(interval);
        }
        if interval.is_some_and(|interval| interval * min_rate > 4.0) {
            self.arrivals.clear();
        }
        self.arrivals.push(now);
        if self.same.is_none_or(|(same, _)| same != at) {
            self.same = Some((at, now));
        }
        let frozen_timeout = config.stream_health.frozen_timeout;
        let frozen =
            !frozen_timeout.is_zero() && self.same.is_some_and(|(_, since)| now - since >= frozen_timeout);
        let slow = self
            .arrivals
            .iter()
            .rev()
            .nth(4)
            .is_some_and(|first| 4.0 / (now - *first).as_secs_f64() < min_rate);
        !frozen && !slow && !self.slow
    }
}

impl Log {
    pub fn commands(&self) -> u64 {
        self.count(|line| matches!(line, Line::Command(_, kind) if *kind != CommandKind::Repetition))
    }

    pub fn repetitions(&self) -> u64 {
        self.count(|line| matches!(line, Line::Command(_, CommandKind::Repetition)))
    }

    pub fn stop_lines(&self) -> u64 {
        self.count(|line| *line == Line::Stop)
    }

    pub fn gripper_changes(&self) -> u64 {
        let grippers = self.0.iter().filter_map(|(_, line)| match line {
            Line::Command(command, _) => Some(command.gripper),
            Line::Stop | Line::Question => None,
        });
        let grippers: Vec<_> = grippers.collect();
        grippers.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64
    }

    fn count(&self, what: impl Fn(&Line) -> bool) -> u64 {
        self.0.iter().filter(|(_, line)| what(line)).count() as u64
    }
}

/// Returns the orientation of a hand at a position. The hand rotates as it moves.
fn orientation_at(at: Position) -> Orientation {
    Orientation::from_rpy(at.coordinates().map(|coordinate| 10.0 * coordinate))
}

fn position([x, y, z]: [f64; 3]) -> Position {
    Position::new(x, y, z).unwrap()
}
