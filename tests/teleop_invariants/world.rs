//! The world around the machine. The arm's side of the story is kept here independently of the machine under test:
//! what was sent, on which connection, what was answered, and which input was fresh.

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

use crate::checks::timed;
use crate::events::{Event, Fate};
use crate::place::Place;
use crate::returns::Returns;

pub struct World {
    pub teleop: Teleop,
    /// How often the machine was told something.
    pub handled: u64,
    pub config: TeleopConfig,
    pub start: Instant,
    pub now: Instant,
    pub link: LinkView,
    pub monitor: MotionMonitor,
    pub last_on_connection: Option<(Instant, Command)>,
    /// The velocity of the last command, and the time it is over, once the present motion has two.
    pub velocity: Option<(Vector3<f64>, f64)>,
    pub place: Place,
    /// When the newest good target was taken; none after a refused one.
    pub good_input: Option<Instant>,
    several_publishers: bool,
    /// Two hands send in turn, and have done so for long enough to be told apart.
    pub two_hands: bool,
    /// Since when input has been good.
    good_since: Option<Instant>,
    /// A loss of link or input, a run of error replies, a disarm or a stop since the last command.
    pub interrupted: bool,
    pub permitted: bool,
    pub shut_down: bool,
    pub gripper: GripperSide,
    pub returns: Returns,
    /// Whether a stop line must come before the next motion.
    pub stop_owed: bool,
    /// The last command of this connection that was answered, if it was accepted.
    pub accepted: Option<Command>,
    /// Whether the arm has been left to the last command since it was sent.
    pub undisturbed: bool,
    window: usize,
    /// The controller reports a fault.
    pub faulty: bool,
    /// When the first command to where the last one leads was sent.
    aimed_at: Option<Instant>,
    /// A command was refused or lost in mid-motion, and nothing else has come between.
    pub restarted: bool,
    /// What has not been answered yet.
    pub in_flight: VecDeque<Order>,
    /// What becomes of the next lines that would be answered at once.
    fates: VecDeque<Fate>,
    wall_clock: Duration,
    last_stamp: Option<i64>,
    stream: Stream,
    /// Error replies in a row on this connection.
    errors: u32,
    /// How long a line takes on its way out: the system may let the process wait right then.
    writing: Duration,
    log: Log,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    Command(Command),
    Stop,
    Question,
}

/// What has been sent, and when.
#[derive(Debug, PartialEq)]
pub struct Log(Vec<(Duration, Line)>);

#[derive(Debug, PartialEq)]
enum Line {
    Command(Command, CommandKind),
    Stop,
    Question,
}

/// What is known and wanted of the gripper.
#[derive(Debug)]
pub struct GripperSide {
    /// As last accepted or reported, or as is assumed before that.
    pub state: Gripper,
    /// What that is known from.
    source: Source,
    /// "Closed" has been reported since the first accepted command that said what the state is.
    was_closed: bool,
    /// When that was accepted.
    changed_at: Option<Instant>,
    /// What was reported in motion since the last command was accepted.
    contradiction: Option<Gripper>,
    /// What the last command of this motion said, if nothing has made it void.
    pub sent: Option<Gripper>,
    /// Something has been wanted, or a command has been sent.
    settled: bool,
    wish: Option<Wish>,
    /// The states that have been wanted for long enough since the last command.
    pub stood: Vec<Gripper>,
    /// What the next command has to say, if nothing comes between.
    pub due: Option<Gripper>,
    /// One that may have said what is wanted has gone since.
    orphaned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Assumed,
    Told,
    Accepted,
}

/// What is wanted without contradiction.
#[derive(Debug, Clone, Copy)]
struct Wish {
    wanted: Gripper,
    /// Of the topic, and no number.
    word: bool,
    /// A number that has taken the place of a guess.
    first: bool,
    since: Instant,
    /// When it was said last, and before that.
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
            stood: Vec::new(),
            due: None,
            orphaned: false,
        }
    }

    /// What was not accepted is void, and what is wanted has to stand from now.
    fn handle_void(&mut self, now: Instant) {
        self.sent = None;
        if let Some(reported) = self.contradiction.take() {
            self.believe(now, reported);
        }
        self.restart(now);
    }

    fn restart(&mut self, now: Instant) {
        (self.due, self.stood) = (None, Vec::new());
        let stands = |wish: &Wish| wish.word && !self.orphaned;
        self.wish = self.wish.filter(stands).map(|wish| Wish { since: now, ..wish });
    }

    fn handle_left(&mut self, moving: bool) {
        if self.wish.take_if(|wish| !moving || !wish.word).is_some() {
            (self.stood, self.due) = (Vec::new(), None);
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
            // A gripper that still moves, or holds something, reports another state than it was sent to.
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
        // A first number takes the place of a guess, and not of what is known.
        let first = self.wish.is_some_and(|wish| wish.first);
        let changed = first || self.state != reported && self.due.is_none_or(|due| due == self.state);
        (self.state, self.source) = (reported, Source::Told);
        if changed && self.sent.is_none() {
            self.restart(now);
        }
    }
}

/// What the stream of targets looks like.
#[derive(Default)]
struct Stream {
    /// Targets in a row that were all zero.
    zeros: u32,
    same: Option<(Position, Instant)>,
    arrivals: Vec<Instant>,
    interval_before: Option<f64>,
    /// Two intervals in a row were too long, and since then no two in a row were not.
    slow: bool,
}

/// Numbers that are farther apart are two wishes.
const SILENCE: Duration = Duration::from_secs(3);
/// How much later than its first message the graph may show a publisher.
const DISCOVERY: Duration = Duration::from_millis(500);
/// How long a gripper takes to obey.
const GRIPPER_TIME: Duration = Duration::from_secs(2);
/// By how many messages two hands in turn are told apart, though what came before was a hand that moved fast.
const TOLD_APART_BY: usize = 40;

impl World {
    /// A link that is up, and nothing else.
    pub fn new(config: TeleopConfig, window: usize) -> Self {
        let (now, initial_gripper) = (Instant::now(), config.initial_gripper);
        let place = Place::new(&config);
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
            place,
            good_input: None,
            several_publishers: false,
            two_hands: false,
            good_since: None,
            interrupted: true,
            shut_down: false,
            gripper: GripperSide::new(initial_gripper),
            returns: Returns::default(),
            stop_owed: false,
            accepted: None,
            undisturbed: false,
            window,
            faulty: false,
            aimed_at: None,
            restarted: false,
            in_flight: VecDeque::new(),
            fates: VecDeque::new(),
            // So late that ages never make a stamp negative.
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
        self.note_gripper();
        let mut before = self.teleop.motion();
        self.handle_event(event);
        if matches!(event, Event::Sweep { .. } | Event::TwoHands { .. } | Event::Pass { .. }) {
            // Each part of these has been looked at by itself.
            before = self.teleop.motion();
        }
        // So that what is reckoned from this event is reckoned from this time.
        self.teleop.handle_timeout(self.now);
        self.note_motion_end(before);
        self.handled += 1;
        self.send();
    }

    /// A motion that ends, a disarm and a stop make void what was not accepted.
    fn note_motion_end(&mut self, before: Motion) {
        let after = self.teleop.motion();
        let moves = |motion| matches!(motion, Motion::Approach | Motion::Tracking);
        let stands = matches!(after, Motion::Disarmed | Motion::Stopped);
        if moves(before) && !moves(after) {
            self.place.handle_interrupted();
        }
        if moves(before) && !moves(after) || before != after && stands {
            self.gripper.handle_void(self.now);
        }
        if !moves(before) && moves(after) {
            self.returns.handle_begun(self.now);
        }
    }

    fn handle_event(&mut self, event: &Event) {
        match event {
            Event::Target { at, frame, age_ms, word } => {
                self.handle_target(position(*at), *frame, *age_ms, *word);
            }
            Event::NotATarget(x) => {
                let fault = Target::new(*x, 0.0, 0.0, None).unwrap_err();
                self.teleop.handle_invalid_target(self.now, fault);
                self.lose_input();
            }
            Event::Sweep { from, step, count, period_ms, stamped, frame, word } => {
                for i in 0..*count {
                    let at = std::array::from_fn(|axis| from[axis] + step[axis] * i as f64);
                    self.note_gripper();
                    self.handle_target(position(at), *frame, stamped.then_some(0), *word);
                    self.answer_and_pass(*period_ms);
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
                    self.note_gripper();
                    self.two_hands = self.several_publishers && number >= TOLD_APART_BY;
                    self.handle_target(hand, Frame::Base, None, None);
                    self.answer_and_pass(*period_ms);
                }
                self.two_hands = false;
            }
            Event::Gripper(input) => {
                self.teleop.handle_gripper(self.now, *input);
                self.gripper.orphaned = false;
                self.note_word(*input, matches!(input, GripperInput::Wanted(_)));
            }
            Event::KeptGripper(input) if self.gripper.settled => self.handle(&Event::Gripper(*input)),
            Event::KeptGripper(input) => {
                self.teleop.handle_kept_gripper(self.now, *input);
                match input {
                    GripperInput::Wanted(word) if self.gripper.source == Source::Assumed => {
                        self.gripper.state = *word;
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
                self.place = Place::of_other_arm(&self.config);
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
                let is_unseen = |wish: Wish| wish.word && self.now - wish.last >= DISCOVERY;
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
            Event::Sighted { by, moving } => self.report(self.near_told(*by), *moving, ReportAbout::Unasked),
            Event::Nonsense(scale) => {
                let [x, y, z] = self.place.told().coordinates().map(|coordinate| coordinate * scale);
                self.report(position([x, y, z]), Some(false), ReportAbout::Unasked);
            }
            Event::Fault(fault) => {
                let fault = fault.then(|| "overload".to_owned());
                self.take_report(&ReportedState { fault, ..ReportedState::default() }, ReportAbout::Observed);
            }
            Event::SetArmed(armed) => {
                let before = self.teleop.reason(self.now);
                let result = self.teleop.handle_set_armed(self.now, *armed);
                self.place.handle_set_armed(self.now, *armed, &result);
                self.faulty &= result.is_err() || !*armed;
                if !*armed
                    && self.teleop.motion() != Motion::Stopped
                    && before != self.teleop.reason(self.now)
                {
                    self.renew_place();
                }
                let accepted = result.is_ok();
                assert!(!(accepted && *armed && self.shut_down), "armed at the end");
                self.permitted = if *armed { self.permitted || accepted } else { false };
                self.undisturbed &= *armed || self.teleop.motion() == Motion::Stopped;
                self.interrupt_if(!armed);
            }
            Event::Stop => {
                self.place.forget_confirmation();
                self.teleop.handle_stop();
                self.permitted = false;
                self.returns.expect_stop_line();
                self.interrupt_if(true);
            }
            Event::Reset => {
                self.place.forget_confirmation();
                let before = self.teleop.reason(self.now);
                self.teleop.handle_reset();
                let changed = before != self.teleop.reason(self.now);
                self.permitted = false;
                self.undisturbed = false;
                self.interrupt_if(true);
                if changed {
                    self.renew_place();
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

    /// Everything that is sent is answered, and then time passes.
    fn answer_and_pass(&mut self, ms: u64) {
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

    fn handle_target(&mut self, at: Position, frame: Frame, age_ms: Option<i64>, word: Option<GripperInput>) {
        self.handled += 1;
        let received = i64::try_from((self.wall_clock + (self.now - self.start)).as_nanos()).unwrap();
        let stamp = age_ms.map(|age| Stamp { taken: received - age * 1_000_000, received, simulated: false });
        let target = Target {
            position: at,
            orientation: Some(turned_like(at)),
            frame,
            stamp,
            gripper: word,
            stall: Duration::ZERO,
            publisher: None,
        };
        // What was due before it comes before it: a motion may begin, and end with this very target.
        self.handle_timeout();
        let before = self.teleop.motion();
        let accepted = self.teleop.handle_target(self.now, target).is_ok();
        let good_before = self.good_input.is_some_and(|taken| self.now < taken + self.config.input_timeout);

        let zero = self.config.zero_is_lost && at.coordinates() == [0.0; 3];
        self.stream.zeros = if zero { self.stream.zeros + 1 } else { 0 };
        let passed_over = self.stream.zeros == 1 && good_before;
        let mut acceptable = !zero;
        if self.stream.zeros != 1 {
            acceptable &= self.stream.is_live(self.now, at, &self.config);
        }
        let sane = zero || self.is_sane(stamp, age_ms);
        acceptable &= sane;
        self.returns.handle_target(self.now, &target, (accepted, sane && !zero), &self.config);
        let inside = self.is_inside(at, frame);
        acceptable &= inside != Some(false);
        assert!(!accepted || acceptable, "{at:?} {age_ms:?} was taken");
        // Refusing more than it must is a fault too, unless there are rules that this world does not know.
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
            match word {
                Some(GripperInput::Wanted(Gripper::Open)) if !self.config.gripper.target_opens => {
                    self.note_no_opening();
                }
                Some(GripperInput::Opening(opening))
                    if opening > self.config.gripper.open_above
                        && opening.is_finite()
                        && !self.config.gripper.target_opens =>
                {
                    self.note_no_opening();
                }
                Some(word) => self.note_word(word, false),
                None => {}
            }
            self.note_due();
            let age = Duration::from_millis(age_ms.unwrap_or(0).max(0) as u64);
            self.good_input = Some(self.now - age);
        } else if !passed_over {
            self.lose_input();
        }
        // Several senders: the time of detection is not known here.
        self.interrupt_if(self.several_publishers && !self.is_moving());
        self.note_motion_end(before);
        // Which ways are found is the machine's own affair; none is a loss like others.
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

    /// Whether a target may be followed for where it is; none where that depends on what has been before it.
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
            self.stop_owed = self.config.hold_behavior == HoldBehavior::Stop && self.link != LinkView::Down;
        }
    }

    fn note_gripper(&mut self) {
        self.gripper.stood.extend(self.has_stood());
    }

    /// What has been wanted for its debounce time, with a hand in sight.
    fn has_stood(&self) -> Option<Gripper> {
        let (wish, in_sight) = (self.gripper.wish?, self.good_since?);
        let debounce = match wish.wanted {
            Gripper::Open => self.config.gripper.open_debounce,
            Gripper::Closed => self.config.gripper.close_debounce,
        };
        let said_again =
            wish.before.is_some_and(|before| before >= in_sight) && self.now - wish.last <= SILENCE;
        let has_stood = self.now - wish.since.max(in_sight) >= debounce;
        (has_stood && (wish.word || said_again)).then_some(wish.wanted)
    }

    /// A good target has come, or motion may have begun: in motion a wish that has stood is due from now on.
    fn note_due(&mut self) {
        if self.is_moving() {
            self.gripper.due = self.has_stood();
        }
    }

    /// A target that may only close the gripper says "open".
    fn note_no_opening(&mut self) {
        if self.gripper.wish.take_if(|wish| !wish.word).is_some() {
            (self.gripper.due, self.gripper.stood) = (None, Vec::new());
        }
    }

    fn note_word(&mut self, input: GripperInput, word: bool) {
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
        if word && side.source == Source::Assumed {
            side.state = wanted.unwrap_or(side.state);
        }
        let goes_on = |wish: &Wish| {
            wanted == Some(wish.wanted) && wish.word == word && (word || now - wish.last <= SILENCE)
        };
        match &mut side.wish {
            Some(wish) if goes_on(wish) => (wish.before, wish.last) = (Some(wish.last), now),
            wish => {
                *wish = wanted.map(|wanted| Wish {
                    wanted,
                    word,
                    first: false,
                    since: now,
                    last: now,
                    before: None,
                });
                (side.due, side.stood) = (None, Vec::new());
            }
        }
        let first = side.wish.filter(|wish| !side.settled && (word || wish.before.is_some()));
        if let Some(first) = first {
            side.settled = true;
            if side.source == Source::Assumed && !word {
                // A number takes the place of the guess only as long as it is not void.
                (side.stood, side.due) = (vec![first.wanted], Some(first.wanted));
                side.wish = Some(Wish { first: true, ..first });
            }
        }
    }

    fn handle_link(&mut self, link: LinkView) {
        self.interrupt_if(link != LinkView::Ready);
        if link.is_down() {
            self.renew_place();
        } else if link == LinkView::Unresponsive {
            self.place.handle_silence(&self.config);
        }
        if link == LinkView::Down {
            self.in_flight.clear();
            self.place.earlier = 0;
            self.last_on_connection = None;
            self.monitor.handle_connected();
            self.accepted = None;
        }
        if link.is_down() {
            self.undisturbed = false;
            self.errors = 0;
            // Those that are there still hear it.
            self.stop_owed &= link == LinkView::Partial;
            self.permitted &= self.config.arming == Arming::Automatic;
            if self.gripper.source == Source::Accepted {
                self.gripper.source = Source::Told;
            }
            self.gripper.handle_void(self.now);
        }
        self.link = link;
        let before = self.teleop.motion();
        self.teleop.handle_link(self.now, link);
        self.note_motion_end(before);
        if !matches!(before, Motion::Approach | Motion::Tracking) {
            self.note_due();
        }
    }

    fn handle_reply(&mut self, ok: bool) {
        let Some(order) = self.in_flight.pop_front() else { return };
        self.handled += 1;
        let is_earlier = self.note_answered();
        let before = self.teleop.motion();
        match order {
            Order::Command(command) if ok && self.faulty => {
                // Some controllers accept what their arm does not do.
                self.accepted = None;
                self.errors = 0;
                self.teleop.handle_acknowledged(self.now, &command);
                self.gripper.handle_void(self.now);
            }
            Order::Command(command) if ok => {
                self.gripper.handle_accepted(self.now, command.gripper);
                if is_earlier {
                    self.place.handle_earlier(command.position, &self.config);
                } else {
                    self.place.handle_acknowledged(self.now, &command);
                }
                self.accepted = Some(command);
                self.errors = 0;
                self.teleop.handle_acknowledged(self.now, &command);
            }
            Order::Command(_) => {
                self.accepted = None;
                self.gripper.handle_void(self.now);
                self.place.handle_interrupted();
                self.teleop.handle_rejected(self.now);
                self.errors += 1;
                self.restarted |= !self.interrupted;
                self.interrupt_if(self.errors >= self.config.max_consecutive_errors);
                self.interrupted = true;
            }
            Order::Stop => self.teleop.handle_stop_answered(false),
            Order::Question => {
                self.report(self.near_told([0.0; 3]), Some(false), ReportAbout::Observed);
                self.place.handle_answered(self.now, !self.is_on_its_way());
                self.teleop.handle_answered(self.now);
            }
        }
        self.teleop.handle_timeout(self.now);
        self.note_motion_end(before);
    }

    fn handle_lost(&mut self) {
        let lost = self.in_flight.pop_front();
        if lost.is_some() {
            self.note_answered();
        }
        match lost {
            Some(Order::Command(_)) => {
                self.accepted = None;
                self.gripper.handle_void(self.now);
                self.place.handle_interrupted();
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

    /// Everything up to a stop is accepted, and the arm has stopped a share of the way back from the last command.
    fn handle_stopped_at(&mut self, share: f64) {
        let Some(index) = self.in_flight.iter().position(|order| *order == Order::Stop) else { return };
        (0..index).for_each(|_| self.handle_reply(true));
        self.in_flight.pop_front();
        self.note_answered();
        let last = self.last_on_connection.map_or(self.config.home, |(_, last)| last.position);
        let back = last.point().lerp(&self.config.home.point(), 0.1 * share);
        let at = Position::new(back.x, back.y, back.z).unwrap();
        let state =
            ReportedState { position: Some(at), orientation: self.turned(), ..ReportedState::default() };
        self.take_report(&state, ReportAbout::Stopped);
        self.teleop.handle_stop_answered(true);
        self.place.handle_stopped(self.now, at, &self.config);
    }

    /// The controller reports where the arm is, asked for nothing.
    fn report(&mut self, at: Position, moving: Option<bool>, about: ReportAbout) {
        let state = ReportedState {
            position: Some(at),
            orientation: self.turned(),
            moving,
            ..ReportedState::default()
        };
        let in_motion = self.is_moving() && !self.interrupted && self.place.has_accepted();
        let unbelievable = self.place.is_unbelievable(at, &self.config);
        self.take_report(&state, about);
        if about == ReportAbout::Unasked {
            self.place.handle_unasked();
        }
        self.place.handle_report(self.now, at, moving, in_motion, &self.config);
        let elsewhere = self
            .last_on_connection
            .is_some_and(|(_, last)| last.position.distance(at) > self.config.position_tolerance);
        // What cannot be believed says nothing of who moves the arm.
        let believed = !unbelievable && !self.place.is_doubtful();
        if elsewhere && believed && !self.is_on_its_way() && self.has_arrived() {
            self.undisturbed = false;
        }
    }

    /// Whether an arm at half of the speed limit has had the time to get where it was sent.
    fn has_arrived(&self) -> bool {
        let FollowingConfig { distance, time } = self.config.following;
        let travel = time + Duration::from_secs_f64(2.0 * distance / self.config.limits.speed);
        distance > 0.0 && self.aimed_at.is_none_or(|at| self.now - at > travel)
    }

    /// The controller reports. A fault that has ended has disarmed.
    fn take_report(&mut self, state: &ReportedState, about: ReportAbout) {
        let before = self.teleop.reason(self.now);
        self.teleop.handle_report(self.now, 0, about, Some(state));
        if state.fault.is_some() {
            if !self.faulty {
                self.renew_place();
            }
            self.faulty = true;
        } else if std::mem::replace(&mut self.faulty, false) {
            let stopped = self.teleop.motion() == Motion::Stopped;
            self.permitted &= stopped;
            self.undisturbed &= stopped;
            if !stopped && before != self.teleop.reason(self.now) {
                self.renew_place();
            }
        }
        self.interrupt_if(!self.is_moving());
    }

    /// A line of an earlier session says nothing of where the arm is.
    fn note_answered(&mut self) -> bool {
        let is_earlier = self.place.earlier > 0;
        self.place.earlier = self.place.earlier.saturating_sub(1);
        is_earlier
    }

    fn renew_place(&mut self) {
        self.place.renew(&self.config);
        self.place.earlier = self.in_flight.len();
    }

    /// How the tool is turned, as the controller reports it.
    fn turned(&self) -> Option<Orientation> {
        let last = self.last_on_connection.and_then(|(_, last)| last.orientation);
        last.or(self.config.orientation.map(|turning| turning.home))
    }

    fn near_told(&self, by: [f64; 3]) -> Position {
        let told = self.place.told().point();
        position([told.x + by[0], told.y + by[1], told.z + by[2]])
    }

    pub fn is_on_its_way(&self) -> bool {
        self.in_flight.iter().any(|order| *order != Order::Question)
    }

    fn handle_config(&mut self, config: TeleopConfig) {
        // What the node refuses while armed.
        let mut config = config;
        if self.teleop.is_armed() {
            config.arming = self.config.arming;
            config.retarget = self.config.retarget;
            config.retarget_mode = self.config.retarget_mode;
            config.assume_position = self.config.assume_position;
        }
        // What the node takes at start only.
        config.initial_gripper = self.config.initial_gripper;
        // What takes a new connection.
        config.can_ask = self.config.can_ask;
        let arm = self.last_on_connection.map(|(_, command)| command.position);
        let excluded =
            arm.is_some_and(|arm| self.config.workspace.contains(arm) && !config.workspace.contains(arm));
        let result = self.teleop.check_config(&config);
        assert!(!excluded || result.is_err(), "the arm was excluded from the workspace");
        if result.is_ok() {
            // What arms itself has not done so yet, and does so no more.
            self.permitted &= config.arming == self.config.arming || config.arming == Arming::Automatic;
            self.stop_owed &= config.hold_behavior == HoldBehavior::Stop;
            self.undisturbed &= config.hold_behavior == self.config.hold_behavior || self.is_moving();
            // Input that was too old stays so.
            self.good_input = self.good_input.filter(|taken| self.now < *taken + self.config.input_timeout);
            let renews = config.assume_position != self.config.assume_position && !self.teleop.is_armed();
            if config.gripper != self.config.gripper {
                self.gripper.restart(self.now);
            }
            self.returns.handle_config(&self.config, &config, self.is_moving());
            self.config = config.clone();
            self.place.handle_home(config.home);
            self.place.forget_confirmation();
            self.monitor.handle_limits(MotionLimits::from(&config));
            self.teleop.handle_config(self.now, config);
            if renews {
                self.renew_place();
            }
            // Where a goal is moved, or was refused, motion may go on after an approach or without one.
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
        self.note_stale_input();
        let before = self.teleop.motion();
        self.teleop.handle_timeout(self.now);
        self.note_motion_end(before);
        if !matches!(before, Motion::Approach | Motion::Tracking) {
            self.note_due();
        }
    }

    fn note_stale_input(&mut self) {
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
            self.stop_owed = false;
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
            self.note_gripper();
            self.check(&planned);
            let begun = self.now;
            self.now += self.writing;
            self.teleop.handle_sent(self.now, &planned);
            self.note_sent(begun, &planned);
            self.note_stale_input();
            self.log.0.push((at(self), Line::Command(planned.command, planned.kind)));
        }
    }

    /// A command is on its way that was planned at `begun`.
    fn note_sent(&mut self, begun: Instant, planned: &Planned) {
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
        // Less what two roundings to a micrometre may have added.
        let speed = self.velocity.map(|(velocity, seconds)| velocity.norm() - 4e-6 / seconds);
        self.returns.handle_sent(self.now, planned, self.interrupted, speed);
        self.last_on_connection = Some((self.now, command));
        self.place.handle_sent();
        self.monitor.handle_sent(timed(self.now, planned));
        self.undisturbed = true;
        if planned.kind != CommandKind::Repetition {
            self.interrupted = false;
            (self.gripper.sent, self.gripper.settled) = (Some(command.gripper), true);
            self.gripper.stood.clear();
        }
    }
}

impl Stream {
    /// Takes note of a target and judges the stream.
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

/// A hand turns as it moves.
fn turned_like(at: Position) -> Orientation {
    Orientation::from_rpy(at.coordinates().map(|coordinate| 10.0 * coordinate))
}

fn position([x, y, z]: [f64; 3]) -> Position {
    Position::new(x, y, z).unwrap()
}
