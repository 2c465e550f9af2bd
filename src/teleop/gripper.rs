//! Decides whether the gripper opens or closes, with hysteresis and a debounce time.
//!
//! A *wish* is the state that the hand or the gripper topic currently requests. A *state message*
//! on the gripper topic names the state, as a bool or as a text such as "closed". One state message
//! is a wish. A number on this topic, or any value in the message of a target, becomes a wish only
//! if the next value requests the same state.
//!
//! Each command carries the *decision*. The decision is the first of these that exists:
//!
//! 1. the wish, if it has lasted for the debounce time;
//! 2. the state in the last command of this motion;
//! 3. the *state*: the state in the last accepted command, or the state that the controller has
//!    reported.
//!
//! Invariants:
//! - A decision that was not in an accepted command never takes effect later. After a rejection, a
//!   loss, the end of a motion, a disarm, a stop, a lost link or changed settings
//!   ([`GripperDecider::handle_void`]), the decision is the state again. The debounce time of the
//!   wish then starts from the beginning.
//! - A state message stays valid until another message contradicts it, or until its publisher
//!   leaves the graph. Numbers and values in targets are a wish only if two of them agree while the
//!   hand is visible, and if the last one is recent.
//! - A wish counts only after it has lasted for the debounce time while a hand is visible. So if
//!   the hand is lost, the gripper keeps its state, whatever the topic requests.
//! - The first wish is not debounced if the gripper's state is only a guess. A state message
//!   replaces the guess.
//! - A report changes the state. A report that arrives during motion changes the state when the
//!   motion ends.
//! - If a command of this connection has been accepted, reports do not count while the gripper may
//!   still be moving. A report of "open" then counts only if "closed" has been reported since the
//!   command. In that case the gripper was opened by other means. A gripper that holds an object
//!   may report "open" all the time.

use std::time::{Duration, Instant};

use super::config::GripperConfig;
use super::target::GripperInput;
use crate::arm::Gripper;

/// Decides whether the gripper is to be open or closed.
#[derive(Debug)]
pub(super) struct GripperDecider {
    state: Gripper,
    source: Source,
    /// Whether the controller has reported "closed" since it accepted the first command with the
    /// current state.
    was_closed: bool,
    /// When the controller accepted that command.
    changed_at: Option<Instant>,
    /// A report that contradicts the state, received during motion after the last accepted command.
    /// It counts when the motion ends.
    contradiction: Option<Gripper>,
    /// The state in the last command of this motion.
    sent: Option<Gripper>,
    wish: Option<Wish>,
    /// Whether a wish has arrived or a command has been sent while this arm has been in use.
    settled: bool,
    /// Whether it is unknown if the controller has executed a command that changes the state.
    in_doubt: bool,
    /// Whether the node that published the wish has left.
    orphaned: bool,
    /// When the first motion stops waiting for the first wish. If a node publishes on the gripper
    /// topic, the motion waits for its first message. After a first number, it waits for a second
    /// number.
    awaited_until: Option<Instant>,
    /// Whether a number has arrived that may become the first wish.
    has_number: bool,
}

/// The source of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The state is a guess: a parameter, a sample from before the start, or the first wish.
    Assumed,
    /// The state was reported, or it was accepted on a connection that has ended.
    Known,
    /// The state was in a command of this connection that the controller accepted.
    Accepted,
}

/// The state that the hand or the gripper topic requests.
#[derive(Debug, Clone, Copy)]
struct Wish {
    wanted: Gripper,
    /// Whether the wish came in a state message of the gripper topic. Such a wish stays valid
    /// without repetition.
    names_state: bool,
    /// Since when the wish has lasted. `None` after a restart: the debounce time begins at the next
    /// call that passes `now`.
    since: Option<Instant>,
    /// When the last message with this wish arrived, and when the message before it arrived.
    last: Instant,
    before: Option<Instant>,
    /// Whether the wish has lasted for the debounce time.
    due: bool,
    /// Whether only a guess was known before this wish, so that it counts without a debounce time.
    is_first: bool,
}

impl GripperDecider {
    /// Creates a decider with an assumed state.
    pub(super) fn new(initial: Gripper) -> Self {
        Self {
            state: initial,
            source: Source::Assumed,
            was_closed: false,
            changed_at: None,
            contradiction: None,
            sent: None,
            wish: None,
            settled: false,
            in_doubt: false,
            orphaned: false,
            awaited_until: None,
            has_number: false,
        }
    }

    /// Returns the current decision.
    pub(super) fn decided(&self) -> Gripper {
        let due = self.wish.filter(|wish| wish.due).map(|wish| wish.wanted);
        due.or(self.sent).unwrap_or(self.state)
    }

    /// Returns the known or assumed state of the gripper.
    pub(super) fn state(&self) -> Gripper {
        self.state
    }

    /// Returns whether a wish or a command has replaced the initial guess.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Returns whether the next command has to wait for all missing replies, because one of these
    /// lines may have moved the gripper.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Returns whether the first motion has to wait for the gripper's publisher.
    pub(super) fn is_awaited(&self, now: Instant) -> bool {
        !self.settled && self.awaited_until.is_some_and(|until| now < until)
    }

    /// Returns when the wait for the gripper's publisher ends or has ended.
    pub(super) fn awaited_until(&self) -> Option<Instant> {
        self.awaited_until
    }

    /// Handles a sample from the gripper topic. A sample without a wish contradicts the current
    /// wish.
    pub(super) fn handle_topic(&mut self, now: Instant, input: GripperInput, config: &GripperConfig) {
        self.orphaned = false;
        let state = if let GripperInput::Wanted(wanted) = input { Some(wanted) } else { None };
        if self.source == Source::Assumed {
            self.state = state.unwrap_or(self.state);
        }
        self.handle_wanted(now, config.wanted(input), state.is_some());
    }

    /// Handles the gripper value in the message of a good target. A value without a wish
    /// contradicts the current wish.
    pub(super) fn handle_target(&mut self, now: Instant, input: GripperInput, config: &GripperConfig) {
        let wanted = config.wanted(input);
        if wanted == Some(Gripper::Open) && !config.target_opens {
            // The hand may be lost. Only a state message may open the gripper, and this target does
            // not contradict such a message.
            self.wish.take_if(|wish| !wish.names_state);
        } else {
            self.handle_wanted(now, wanted, false);
        }
    }

    fn handle_wanted(&mut self, now: Instant, wanted: Option<Gripper>, names_state: bool) {
        let Some(wanted) = wanted else {
            self.wish = None;
            return;
        };
        let is_same = |wish: &&mut Wish| {
            let silence = now.saturating_duration_since(wish.last);
            wish.wanted == wanted && wish.names_state == names_state && (names_state || silence <= SILENCE)
        };
        let before = match self.wish.as_mut().filter(is_same) {
            Some(wish) => {
                (wish.before, wish.last) = (Some(wish.last), now);
                wish.before
            }
            None => {
                let (since, before) = (Some(now), None);
                let wish =
                    Wish { wanted, names_state, since, last: now, before, due: false, is_first: false };
                self.wish = Some(wish);
                None
            }
        };
        if !self.settled {
            self.handle_first(now, names_state || before.is_some());
        }
    }

    /// Handles a sample that is or may become the first wish.
    fn handle_first(&mut self, now: Instant, is_wish: bool) {
        if !is_wish {
            // Only the first number extends the wait. Otherwise contradictory numbers would extend
            // it without limit.
            if !std::mem::replace(&mut self.has_number, true) {
                self.awaited_until = Some(now + PATIENCE);
            }
            return;
        }
        self.settled = true;
        if self.source != Source::Assumed {
            return;
        }
        if let Some(wish) = self.wish.as_mut().filter(|wish| !wish.names_state) {
            (wish.is_first, wish.due) = (true, true);
        }
    }

    /// Handles a latched sample that may be older than samples of other publishers. Its state is
    /// used until a publisher sends the next sample. If the controller has reported the gripper,
    /// the sample is ignored, because the report is newer. A single number has no effect.
    pub(super) fn handle_kept(&mut self, input: GripperInput) {
        match input {
            GripperInput::Wanted(wanted) if !self.settled && self.source == Source::Assumed => {
                self.state = wanted;
            }
            GripperInput::Wanted(_) | GripperInput::Opening(_) => {}
        }
    }

    /// Handles the passing of time. The debounce time of a restarted wish begins now.
    pub(super) fn handle_time(&mut self, now: Instant) {
        if let Some(wish) = &mut self.wish {
            wish.since.get_or_insert(now);
        }
    }

    /// Decides whether the wish has lasted for long enough. Call it when motion begins and at each
    /// good target during motion. `in_sight` is the time since which targets have been good.
    pub(super) fn decide(&mut self, now: Instant, in_sight: Instant, config: &GripperConfig) {
        let Some(wish) = &mut self.wish else { return };
        let since = (*wish.since.get_or_insert(now)).max(in_sight);
        let is_repeated = wish.before.is_some_and(|before| before >= in_sight)
            && now.saturating_duration_since(wish.last) <= SILENCE;
        let has_lasted = now.saturating_duration_since(since) >= config.debounce(wish.wanted);
        wish.due = wish.is_first || has_lasted && (wish.names_state || is_repeated);
    }

    /// Handles the gripper state that the controller reports. A bridge that starts with an object
    /// in the gripper must not open it. The same applies to a gripper that was closed by other
    /// means.
    pub(super) fn handle_reported(&mut self, now: Instant, gripper: Gripper) {
        let was_closed = self.was_closed;
        self.was_closed |= gripper == Gripper::Closed;
        if self.source == Source::Accepted {
            let moves = self.changed_at.is_some_and(|at| now.saturating_duration_since(at) < TRAVEL_TIME);
            let is_believed = !moves && (gripper == Gripper::Closed || was_closed);
            self.contradiction = Some(gripper).filter(|_| is_believed && gripper != self.state);
            if self.sent.is_some() || self.contradiction.take().is_none() {
                return;
            }
        }
        self.believe(gripper);
    }

    fn believe(&mut self, gripper: Gripper) {
        // The report is new if it contradicts the state and no wish has changed that state yet.
        let is_news = gripper != self.state && self.decided() == self.state;
        (self.state, self.source) = (gripper, Source::Known);
        // A wish that replaced a guess does not replace a known state.
        let replaces_guess = self.wish.is_some_and(|wish| wish.is_first);
        if self.sent.is_none() && (is_news || replaces_guess) {
            self.restart_wish();
        }
    }

    /// Records that a command of the motion has been sent to the controller.
    pub(super) fn handle_sent(&mut self, gripper: Gripper) {
        (self.sent, self.settled, self.in_doubt) = (Some(gripper), true, false);
    }

    /// Records that the controller has accepted a command.
    pub(super) fn handle_accepted(&mut self, now: Instant, gripper: Gripper) {
        if self.source != Source::Accepted || self.state != gripper {
            (self.was_closed, self.changed_at) = (false, Some(now));
        }
        self.contradiction = None;
        (self.state, self.source) = (gripper, Source::Accepted);
    }

    /// Records that the controller has rejected a command, or that the command or its reply was
    /// lost.
    pub(super) fn handle_refused(&mut self) {
        self.in_doubt |= self.sent.is_some_and(|sent| sent != self.state);
        self.handle_void();
    }

    /// Records that no reply to earlier lines will arrive, because the connection has ended or
    /// another controller has joined. The next report counts.
    pub(super) fn handle_link_down(&mut self) {
        if self.source == Source::Accepted {
            self.source = Source::Known;
        }
        self.in_doubt = false;
        self.handle_void();
    }

    /// Discards the decision if it was not in an accepted command. The debounce time of the wish
    /// starts from the beginning.
    pub(super) fn handle_void(&mut self) {
        self.sent = None;
        if let Some(gripper) = self.contradiction.take() {
            self.believe(gripper);
        }
        self.restart_wish();
    }

    /// Records changed settings of the gripper. A wish under the old settings has to last again
    /// under the new settings.
    pub(super) fn handle_config(&mut self) {
        self.restart_wish();
    }

    fn restart_wish(&mut self) {
        match &mut self.wish {
            Some(wish) if wish.names_state && !self.orphaned => (wish.since, wish.due) = (None, false),
            _ => self.wish = None,
        }
    }

    /// Records that a node publishes on the gripper topic. The first motion waits for its first
    /// message.
    pub(super) fn handle_found(&mut self, now: Instant) {
        self.awaited_until = Some(now + PATIENCE);
    }

    /// Records that a node has left that may have published the wish.
    ///
    /// A wish must not move the gripper after its publisher has left, so the wish is discarded now.
    /// Exception: during motion (`moving`), the wish of a state message is discarded when this
    /// motion ends.
    pub(super) fn handle_left(&mut self, moving: bool) {
        (self.orphaned, self.awaited_until) = (true, None);
        self.wish.take_if(|wish| !moving || !wish.names_state);
    }

    /// Records that no node publishes on the gripper topic.
    ///
    /// If there is a wish of a state message, its publisher has joined and left between two graph
    /// polls. A very recent wish does not count here, because the graph may show its publisher
    /// later.
    pub(super) fn handle_absent(&mut self, now: Instant, moving: bool) {
        let is_unseen =
            |wish: Wish| wish.names_state && now.saturating_duration_since(wish.last) >= DISCOVERY;
        if self.wish.is_some_and(is_unseen) {
            self.handle_left(moving);
        }
    }
}

/// How long the first motion waits for the first message of a node that publishes on the gripper
/// topic, and for a second number. `ros2 topic pub` sends at 1 Hz.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long after its first message a publisher may appear in the graph.
const DISCOVERY: Duration = Duration::from_millis(500);
/// How long a gripper may open or close after a command.
const TRAVEL_TIME: Duration = Duration::from_secs(2);
/// The longest time between two numbers that form a wish. It is longer than the pause of a sender
/// at 0.5 Hz.
const SILENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use Gripper::{Closed, Open};

    const CONFIG: GripperConfig = GripperConfig {
        close_below: 0.3,
        open_above: 0.5,
        close_debounce: Duration::from_millis(100),
        open_debounce: Duration::from_millis(300),
        target_opens: true,
    };

    /// A sample on the topic or in the message of a target.
    #[derive(Debug, Clone, Copy)]
    enum Sample {
        State(Gripper),
        Number(f64),
        InTarget(GripperInput),
    }

    /// A gripper with a hand that is always visible.
    struct Scene {
        start: Instant,
        gripper: GripperDecider,
        in_sight: Instant,
        config: GripperConfig,
    }

    impl Scene {
        /// Creates a scene in which the gripper's state is unknown.
        fn new(initial: Gripper) -> Self {
            let start = Instant::now();
            Self { start, gripper: GripperDecider::new(initial), in_sight: start, config: CONFIG }
        }

        /// Creates a scene in which the controller has accepted a command.
        fn moving(state: Gripper) -> Self {
            let mut scene = Self::new(state);
            scene.gripper.handle_sent(state);
            scene.accept(state);
            scene
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn publish(&mut self, millis: u64, sample: Sample) {
            let now = self.at(millis);
            match sample {
                Sample::State(wanted) => {
                    self.gripper.handle_topic(now, GripperInput::Wanted(wanted), &self.config);
                }
                Sample::Number(opening) => {
                    self.gripper.handle_topic(now, GripperInput::Opening(opening), &self.config);
                }
                Sample::InTarget(input) => self.gripper.handle_target(now, input, &self.config),
            }
        }

        /// Lets the controller accept a command.
        fn accept(&mut self, gripper: Gripper) {
            self.gripper.handle_accepted(self.start, gripper);
        }

        /// Lets the controller report the gripper, long after the last command has been executed.
        fn report(&mut self, gripper: Gripper) {
            self.gripper.handle_reported(self.at(2000), gripper);
        }

        fn want(&mut self, millis: u64, wanted: Gripper) {
            self.publish(millis, Sample::State(wanted));
        }

        /// Publishes the same sample several times.
        fn repeat(&mut self, millis: impl IntoIterator<Item = u64>, sample: Sample) {
            millis.into_iter().for_each(|millis| self.publish(millis, sample));
        }

        fn decided(&mut self, millis: u64) -> Gripper {
            self.gripper.decide(self.at(millis), self.in_sight, &self.config);
            self.gripper.decided()
        }
    }

    #[test]
    fn first_number_replaces_guess_until_void() {
        let mut scene = Scene::new(Open);
        scene.repeat([0, 10], Sample::Number(0.1));
        assert_eq!(scene.decided(60_000), Closed, "at any later time");
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(60_000), Open, "no accepted command has carried it");
        let mut scene = Scene::new(Closed);
        scene.repeat([0, 10], Sample::Number(0.9));
        scene.report(Closed);
        assert_eq!(scene.decided(60_000), Closed, "the controller has reported the state");
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(60_000), Closed, "a state message stays valid");
    }

    #[test]
    fn state_message_counts_after_debounce_time() {
        let mut scene = Scene::moving(Open);
        scene.want(0, Closed);
        assert_eq!(scene.decided(99), Open);
        assert_eq!(scene.decided(100), Closed);
        assert_eq!(scene.decided(1000), Closed);
    }

    #[test]
    fn opening_waits_longer_than_closing() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        assert_eq!(scene.decided(299), Closed);
        assert_eq!(scene.decided(300), Open);
    }

    #[test]
    fn contradiction_restarts_the_debounce_time() {
        let mut scene = Scene::moving(Open);
        scene.want(0, Closed);
        scene.want(50, Open);
        scene.want(60, Closed);
        assert_eq!(scene.decided(120), Open);
        assert_eq!(scene.decided(160), Closed);
    }

    #[test]
    fn repeated_state_message_does_not_restart_debounce() {
        let mut scene = Scene::moving(Open);
        scene.repeat([0, 50, 99], Sample::State(Closed));
        assert_eq!(scene.decided(100), Closed);
    }

    #[test]
    fn numbers_between_thresholds_change_nothing() {
        for opening in [0.3, 0.4, 0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for state in [Open, Closed] {
                let mut scene = Scene::moving(state);
                scene.repeat([0, 1000, 2000], Sample::Number(opening));
                assert_eq!(scene.decided(2000), state, "{opening}");
                // Such a number contradicts a wish.
                let (wished, number) = if state == Open { (Closed, 0.1) } else { (Open, 0.9) };
                for wish in [Sample::State(wished), Sample::Number(number)] {
                    scene.repeat([3000, 3010], wish);
                    scene.publish(3020, Sample::Number(opening));
                    assert_eq!(scene.decided(4000), state, "{opening} {wish:?}");
                }
            }
        }
        let mut scene = Scene::moving(Open);
        scene.repeat([0, 10], Sample::Number(0.29));
        assert_eq!(scene.decided(100), Closed);
        scene.repeat([1000, 1010], Sample::Number(0.51));
        assert_eq!(scene.decided(1300), Open);
    }

    #[test]
    fn two_numbers_form_a_wish() {
        for sample in [Sample::Number(0.9), Sample::InTarget(GripperInput::Wanted(Open))] {
            let mut scene = Scene::moving(Closed);
            scene.publish(0, sample);
            assert_eq!(scene.decided(2000), Closed, "{sample:?}");
            scene.publish(2000, sample);
            assert_eq!(scene.decided(2000), Open, "it has lasted: {sample:?}");
        }
    }

    #[test]
    fn old_or_distant_numbers_form_no_wish() {
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 3001, 6002], Sample::Number(0.9));
        assert_eq!(scene.decided(6003), Closed);
        scene.publish(9002, Sample::Number(0.9));
        assert_eq!(scene.decided(9002), Open, "3 s apart");
        let mut scene = Scene::moving(Closed);
        scene.config.open_debounce = Duration::from_secs(4);
        scene.repeat([0, 999], Sample::Number(0.9));
        assert_eq!(scene.decided(4000), Closed, "silence");
        scene.repeat([4001, 5000], Sample::Number(0.9));
        assert_eq!(scene.decided(8000), Closed);
        scene.publish(8000, Sample::Number(0.9));
        assert_eq!(scene.decided(8001), Open);
        assert_eq!(scene.decided(11_000), Open);
        assert_eq!(scene.decided(11_001), Closed, "silence, and the decision has not been sent");
    }

    #[test]
    fn number_does_not_confirm_a_state_message() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.publish(10, Sample::Number(0.9));
        assert_eq!(scene.decided(1000), Closed);
        scene.want(1000, Open);
        assert_eq!(scene.decided(1299), Closed);
        assert_eq!(scene.decided(1300), Open);
    }

    #[test]
    fn first_state_message_needs_no_debounce() {
        let mut scene = Scene::new(Open);
        // A sample without a wish is not the first wish.
        scene.publish(0, Sample::Number(0.4));
        scene.publish(0, Sample::Number(f64::NAN));
        assert!(!scene.gripper.is_settled());
        scene.want(0, Closed);
        assert_eq!((scene.gripper.decided(), scene.gripper.is_settled()), (Closed, true));
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(0), Closed, "no debounce after a refusal either");
        // After a command contained the first wish, the second wish needs the debounce time.
        scene.gripper.handle_sent(Closed);
        scene.want(1, Open);
        assert_eq!(scene.decided(300), Closed);
        assert_eq!(scene.decided(301), Open);
    }

    #[test]
    fn unsent_first_state_message_is_replaced_by_next() {
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.gripper.handle_sent(Closed);
        scene.want(1, Open);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(2), Open);
    }

    #[test]
    fn state_message_replaces_guess_despite_numbers() {
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.publish(1, Sample::InTarget(GripperInput::Opening(0.0)));
        assert_eq!(scene.decided(2), Closed);
    }

    #[test]
    fn first_two_numbers_need_no_debounce() {
        for sample in [Sample::Number(0.1), Sample::InTarget(GripperInput::Wanted(Closed))] {
            let mut scene = Scene::new(Open);
            scene.publish(0, sample);
            assert_eq!((scene.gripper.decided(), scene.gripper.is_settled()), (Open, false));
            assert!(scene.gripper.is_awaited(scene.at(1499)) && !scene.gripper.is_awaited(scene.at(1500)));
            scene.publish(10, sample);
            assert_eq!((scene.gripper.decided(), scene.gripper.is_settled()), (Closed, true));
            assert!(!scene.gripper.is_awaited(scene.at(10)));
        }
    }

    #[test]
    fn contradictory_numbers_end_the_wait_after_patience() {
        let mut scene = Scene::new(Open);
        for millis in (0..1500).step_by(20) {
            scene.publish(millis, Sample::Number(if millis % 40 == 0 { 0.1 } else { 0.9 }));
        }
        assert!(scene.gripper.is_awaited(scene.at(1499)) && !scene.gripper.is_awaited(scene.at(1500)));
    }

    #[test]
    fn first_wish_after_command_needs_debounce() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        assert_eq!(scene.gripper.decided(), Closed);
    }

    #[test]
    fn wish_without_visible_hand_does_not_count() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.in_sight = scene.at(1000);
        assert_eq!(scene.decided(1299), Closed);
        assert_eq!(scene.decided(1300), Open);
        // Two numbers must arrive while the hand is visible.
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 999, 1000], Sample::Number(0.9));
        scene.in_sight = scene.at(1000);
        assert_eq!(scene.decided(1400), Closed);
        scene.publish(1400, Sample::Number(0.9));
        assert_eq!(scene.decided(1400), Open);
    }

    #[test]
    fn contradiction_withdraws_unsent_decision() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        assert_eq!(scene.decided(300), Open);
        scene.want(310, Closed);
        assert_eq!(scene.gripper.decided(), Closed);
        // A decision that was sent has to be contradicted for the debounce time.
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        assert_eq!(scene.decided(300), Open);
        scene.gripper.handle_sent(Open);
        scene.want(310, Closed);
        assert_eq!(scene.decided(409), Open);
        assert_eq!(scene.decided(410), Closed);
    }

    #[test]
    fn refused_decision_is_void_and_state_message_restarts() {
        let mut scene = Scene::moving(Open);
        scene.want(0, Closed);
        assert_eq!(scene.decided(100), Closed);
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.gripper.decided(), Open);
        scene.gripper.handle_time(scene.at(200));
        assert_eq!(scene.decided(299), Open);
        assert_eq!(scene.decided(300), Closed);
    }

    #[test]
    fn refused_decision_is_void_and_needs_new_numbers() {
        let mut scene = Scene::moving(Open);
        scene.repeat([0, 50], Sample::Number(0.1));
        assert_eq!(scene.decided(100), Closed);
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(1000), Open);
        scene.publish(1000, Sample::Number(0.1));
        assert_eq!(scene.decided(2000), Open);
        scene.publish(2000, Sample::Number(0.1));
        assert_eq!(scene.decided(2000), Closed);
    }

    #[test]
    fn accepted_decision_survives_a_void() {
        let mut scene = Scene::moving(Open);
        scene.want(0, Closed);
        assert_eq!(scene.decided(100), Closed);
        scene.gripper.handle_sent(Closed);
        scene.accept(Closed);
        scene.gripper.handle_left(true);
        scene.gripper.handle_void();
        assert_eq!(scene.decided(1000), Closed);
    }

    #[test]
    fn command_accepted_after_a_void_counts() {
        let mut scene = Scene::moving(Open);
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_void();
        assert_eq!(scene.gripper.decided(), Open);
        scene.accept(Closed);
        assert_eq!(scene.gripper.decided(), Closed);
    }

    #[test]
    fn refusal_leaves_doubt_only_after_changed_state() {
        let mut scene = Scene::moving(Open);
        scene.gripper.handle_refused();
        assert!(!scene.gripper.is_in_doubt());
        scene.gripper.handle_sent(Closed);
        assert!(!scene.gripper.is_in_doubt());
        scene.gripper.handle_refused();
        scene.gripper.handle_refused();
        assert!(scene.gripper.is_in_doubt());
        scene.gripper.handle_sent(Open);
        assert!(!scene.gripper.is_in_doubt());
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        scene.gripper.handle_link_down();
        assert!(!scene.gripper.is_in_doubt());
    }

    #[test]
    fn changed_settings_need_new_samples() {
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 200], Sample::Number(0.9));
        scene.gripper.handle_config();
        assert_eq!(scene.decided(1000), Closed);
        scene.want(1000, Open);
        scene.gripper.handle_config();
        scene.gripper.handle_time(scene.at(1100));
        assert_eq!(scene.decided(1399), Closed);
        assert_eq!(scene.decided(1400), Open);
        // A state that was sent under the old settings stays.
        scene.gripper.handle_sent(Open);
        scene.gripper.handle_config();
        assert_eq!(scene.gripper.decided(), Open);
    }

    #[test]
    fn report_counts_until_a_command_is_accepted() {
        for (initial, reported) in [(Open, Closed), (Closed, Open)] {
            let mut scene = Scene::new(initial);
            scene.report(reported);
            assert_eq!(scene.gripper.decided(), reported);
            scene.report(initial);
            assert_eq!(scene.gripper.decided(), initial);
            scene.gripper.handle_sent(initial);
            scene.report(reported);
            assert_eq!(scene.gripper.decided(), initial, "during motion");
            scene.gripper.handle_refused();
            assert_eq!(scene.gripper.decided(), reported);
        }
    }

    #[test]
    fn report_during_motion_counts_at_its_end() {
        let mut scene = Scene::moving(Open);
        scene.report(Closed);
        assert_eq!(scene.gripper.decided(), Open);
        scene.gripper.handle_refused();
        assert_eq!(scene.gripper.decided(), Closed);
        let mut scene = Scene::moving(Open);
        scene.report(Closed);
        scene.report(Open);
        scene.gripper.handle_void();
        assert_eq!(scene.gripper.decided(), Open, "the newest report counts");
        scene.gripper.handle_sent(Open);
        scene.report(Closed);
        scene.accept(Open);
        scene.gripper.handle_void();
        assert_eq!(scene.gripper.decided(), Open, "a command was accepted after the report");
    }

    #[test]
    fn report_before_accepted_command_keeps_the_wish() {
        let mut scene = Scene::new(Open);
        scene.gripper.handle_link_down();
        scene.gripper.handle_sent(Open);
        scene.want(0, Closed);
        scene.report(Closed);
        scene.report(Open);
        assert_eq!(scene.decided(100), Closed);
    }

    #[test]
    fn accepted_command_outweighs_only_report_of_open() {
        let mut scene = Scene::moving(Closed);
        scene.gripper.handle_void();
        scene.report(Open);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Closed, "it may hold an object");
        scene.gripper.handle_sent(Closed);
        scene.report(Closed);
        scene.accept(Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Closed, "during motion");
        scene.gripper.handle_void();
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open, "it was closed, and then opened by other means");
        scene.accept(Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Closed, "it may still be closing");
        let mut scene = Scene::moving(Open);
        let at = scene.at(1999);
        scene.gripper.handle_reported(at, Closed);
        scene.gripper.handle_void();
        assert_eq!(scene.gripper.decided(), Open, "it may still be opening");
        scene.report(Closed);
        assert_eq!(scene.gripper.decided(), Closed, "it was closed by other means");
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open, "and was opened again");
    }

    #[test]
    fn report_counts_again_on_new_connection() {
        let mut scene = Scene::moving(Closed);
        scene.gripper.handle_link_down();
        assert_eq!(scene.gripper.decided(), Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open);
        // A state that no controller has accepted stays a guess.
        let mut scene = Scene::new(Open);
        scene.gripper.handle_link_down();
        scene.gripper.handle_kept(GripperInput::Wanted(Closed));
        assert_eq!(scene.gripper.decided(), Closed);
    }

    #[test]
    fn state_message_after_report_is_debounced() {
        let mut scene = Scene::new(Open);
        scene.report(Closed);
        scene.want(0, Open);
        assert!(scene.gripper.is_settled());
        assert_eq!(scene.decided(299), Closed);
        assert_eq!(scene.decided(300), Open);
    }

    #[test]
    fn report_that_changes_state_restarts_wish() {
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open);
        scene.gripper.handle_time(scene.at(1000));
        // The same report again does not restart the wish.
        scene.report(Open);
        assert_eq!(scene.decided(1099), Open);
        assert_eq!(scene.decided(1100), Closed);
        // A report that agrees with the decision does not restart the wish either.
        scene.report(Closed);
        assert_eq!(scene.gripper.decided(), Closed);
    }

    #[test]
    fn old_wish_does_not_open_gripper_closed_elsewhere() {
        let mut scene = Scene::moving(Open);
        scene.gripper.handle_void();
        scene.want(0, Open);
        assert_eq!(scene.decided(1000), Open);
        scene.report(Closed);
        assert_eq!(scene.gripper.decided(), Closed);
        // The wish is still "open". The gripper opens after the wish has lasted from now on.
        assert_eq!(scene.decided(2000), Closed);
        assert_eq!(scene.decided(2300), Open);
    }

    #[test]
    fn latched_state_message_is_a_guess() {
        let mut scene = Scene::new(Open);
        scene.gripper.handle_kept(GripperInput::Opening(0.1));
        assert_eq!(scene.gripper.decided(), Open, "one number");
        scene.gripper.handle_kept(GripperInput::Wanted(Closed));
        assert_eq!((scene.gripper.decided(), scene.gripper.is_settled()), (Closed, false));
        scene.report(Open);
        scene.gripper.handle_kept(GripperInput::Wanted(Closed));
        assert_eq!(scene.gripper.decided(), Open, "the report is newer");
        let mut scene = Scene::new(Open);
        scene.gripper.handle_sent(Open);
        scene.gripper.handle_void();
        scene.gripper.handle_kept(GripperInput::Wanted(Closed));
        assert_eq!(scene.gripper.decided(), Open, "a command is newer");
    }

    #[test]
    fn wish_of_departed_node_counts_during_motion_only() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.gripper.handle_left(true);
        assert_eq!(scene.decided(300), Open);
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.gripper.handle_left(true);
        scene.gripper.handle_void();
        scene.gripper.handle_time(scene.at(100));
        assert_eq!(scene.decided(1000), Closed);
        scene.want(1000, Open);
        scene.gripper.handle_left(false);
        assert_eq!(scene.decided(2000), Closed);
        // A later wish of another node survives a hold.
        scene.want(2000, Open);
        scene.gripper.handle_void();
        scene.gripper.handle_time(scene.at(2000));
        assert_eq!(scene.decided(2300), Open);
    }

    #[test]
    fn numbers_of_departed_node_form_no_wish() {
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 100], Sample::Number(0.9));
        scene.gripper.handle_left(true);
        assert_eq!(scene.decided(300), Closed);
    }

    #[test]
    fn wish_of_node_between_graph_polls_is_dropped() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.gripper.handle_absent(scene.at(499), false);
        assert_eq!(scene.decided(499), Open, "the graph may show its publisher later");
        scene.gripper.handle_absent(scene.at(500), true);
        assert_eq!(scene.decided(500), Open, "it counts until the end of the motion");
        scene.gripper.handle_void();
        assert_eq!(scene.decided(5000), Closed);
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.gripper.handle_absent(scene.at(500), false);
        assert_eq!(scene.decided(5000), Closed);
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 100], Sample::InTarget(GripperInput::Wanted(Open)));
        scene.gripper.handle_absent(scene.at(600), false);
        assert_eq!(
            scene.decided(600),
            Open,
            "the message of a target needs no publisher on the gripper's topic"
        );
    }

    #[test]
    fn target_that_may_only_close_never_opens() {
        let (opens, closes) =
            (Sample::InTarget(GripperInput::Wanted(Open)), Sample::InTarget(GripperInput::Wanted(Closed)));
        let mut scene = Scene::moving(Open);
        scene.config.target_opens = false;
        scene.repeat([0, 90], closes);
        scene.publish(95, opens);
        assert_eq!(scene.decided(200), Open, "a contradiction");
        scene.repeat([200, 300], closes);
        assert_eq!(scene.decided(300), Closed);
        scene.gripper.handle_sent(Closed);
        scene.repeat((310..10_000).step_by(10), opens);
        assert_eq!(scene.decided(10_000), Closed);
        // The topic opens the gripper, and the target does not contradict the topic.
        scene.want(10_000, Open);
        scene.repeat((10_000..10_300).step_by(10), opens);
        assert_eq!(scene.decided(10_299), Closed);
        assert_eq!(scene.decided(10_300), Open);
        scene.gripper.handle_sent(Open);
        scene.repeat([10_310, 10_410], closes);
        assert_eq!(scene.decided(10_410), Closed, "the state message has been contradicted");
        scene.gripper.handle_sent(Closed);
        scene.publish(10_420, opens);
        assert_eq!(scene.decided(20_000), Closed, "and its wish does not return");
    }

    #[test]
    fn gripper_is_awaited_until_first_wish_or_deadline() {
        let mut scene = Scene::new(Open);
        assert!(!scene.gripper.is_awaited(scene.at(0)));
        assert_eq!(scene.gripper.awaited_until(), None);
        scene.gripper.handle_found(scene.at(0));
        assert_eq!(scene.gripper.awaited_until(), Some(scene.at(1500)));
        assert!(scene.gripper.is_awaited(scene.at(1499)) && !scene.gripper.is_awaited(scene.at(1500)));
        scene.gripper.handle_left(false);
        assert!(!scene.gripper.is_awaited(scene.at(0)), "its publisher has left");
        scene.gripper.handle_found(scene.at(0));
        scene.want(0, Closed);
        assert!(!scene.gripper.is_awaited(scene.at(0)));
        let mut scene = Scene::new(Open);
        scene.gripper.handle_found(scene.at(0));
        scene.gripper.handle_sent(Open);
        assert!(!scene.gripper.is_awaited(scene.at(0)), "a command has been sent");
    }
}
