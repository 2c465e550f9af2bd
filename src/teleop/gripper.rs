//! The gripper's decision: hysteresis, then debounce.
//!
//! A command carries the *decision*. It is the wish that has stood long enough. If there is none it is what the last command
//! of this motion carried, and before that command it is the *state*: as the last accepted command carried it, or as the
//! controller has reported it.
//!
//! Invariants:
//! - A decision that no accepted command has carried does not come out later. After a refusal, a loss, the end of a motion,
//!   a disarm, a stop, a lost link or other settings ([`GripperDecider::handle_void`]) the decision is the state, and what is
//!   wanted is debounced from the beginning.
//! - A word of the gripper's topic stands until it is contradicted, while its publisher is in the graph. A number, and
//!   whatever the message of a target says, is no wish before a second one says the same, both while a hand is in sight and
//!   the last not long ago.
//! - A wish counts once it has stood for the debounce time while a hand is in sight. So if the hand is lost the gripper
//!   keeps its state, whatever the topic says then.
//! - The first wish of all is not debounced if nothing but a guess is known of the gripper. A word of the gripper's topic takes
//!   the place of the guess.
//! - A report counts, but in motion only once that ends. If a command of this connection has been accepted, a report does not
//!   count for as long as the gripper may need to obey it, and "open" counts only if "closed" has been reported since: then
//!   somebody else has opened the gripper. A gripper that holds something may report "open" all the time.

use std::time::{Duration, Instant};

use super::config::GripperConfig;
use super::target::GripperInput;
use crate::arm::Gripper;

/// Decides what the gripper is to be.
#[derive(Debug)]
pub(super) struct GripperDecider {
    state: Gripper,
    source: Source,
    /// The controller has reported "closed" since it accepted the first command that carried the present state.
    was_closed: bool,
    /// When that command was accepted.
    changed_at: Option<Instant>,
    /// The controller has reported this in motion, since it accepted the last command. It counts when the motion ends.
    contradiction: Option<Gripper>,
    /// What the last command of this motion carried.
    sent: Option<Gripper>,
    wish: Option<Wish>,
    /// A wish has been received, or a command has been sent, since the bridge has known this arm.
    settled: bool,
    /// A command that carries another state than the present one may have been taken or not.
    in_doubt: bool,
    /// The node that wanted it has left.
    orphaned: bool,
    /// Until when the first motion waits for the first wish: while a node publishes on the gripper's topic, and for a second
    /// number once there has been one.
    awaited_until: Option<Instant>,
    /// There has been a number that might become the first wish.
    has_number: bool,
}

/// Where the state is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It is a guess: a parameter, a sample from before the start, or the first wish.
    Assumed,
    /// It was reported, or accepted on a connection that has ended.
    Known,
    /// A command of this connection, accepted by the controller.
    Accepted,
}

/// What is wanted.
#[derive(Debug, Clone, Copy)]
struct Wish {
    wanted: Gripper,
    /// It stands without being said again.
    stands: bool,
    /// Since when it has stood. `None` if it begins at the next moment that is known.
    since: Option<Instant>,
    /// When it was last said, and when before that.
    last: Instant,
    before: Option<Instant>,
    /// It has stood for long enough.
    due: bool,
    /// Nothing but a guess was known before it, so that it counts at once.
    is_first: bool,
}

impl GripperDecider {
    /// Starts from a state that is only assumed.
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

    /// Returns the decision in force.
    pub(super) fn decided(&self) -> Gripper {
        let due = self.wish.filter(|wish| wish.due).map(|wish| wish.wanted);
        due.or(self.sent).unwrap_or(self.state)
    }

    /// Returns what the gripper is, as far as that is known.
    pub(super) fn state(&self) -> Gripper {
        self.state
    }

    /// Returns whether a wish or a command has settled what the gripper is to be.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Returns whether the next command has to wait until every line is answered, because one of them may have changed the
    /// gripper.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Returns whether the first motion has to wait for the gripper's publisher.
    pub(super) fn is_awaited(&self, now: Instant) -> bool {
        !self.settled && self.awaited_until.is_some_and(|until| now < until)
    }

    /// Returns when the wait for the gripper's publisher ends, or ended.
    pub(super) fn awaited_until(&self) -> Option<Instant> {
        self.awaited_until
    }

    /// Takes a sample from the gripper's topic. One that wants nothing contradicts a wish.
    pub(super) fn handle_topic(&mut self, now: Instant, input: GripperInput, config: &GripperConfig) {
        self.orphaned = false;
        let word = if let GripperInput::Wanted(word) = input { Some(word) } else { None };
        if self.source == Source::Assumed {
            self.state = word.unwrap_or(self.state);
        }
        self.handle_wanted(now, config.wanted(input), word.is_some());
    }

    /// Takes what the message of a good target says. One that wants nothing contradicts a wish.
    pub(super) fn handle_target(&mut self, now: Instant, input: GripperInput, config: &GripperConfig) {
        let wanted = config.wanted(input);
        if wanted == Some(Gripper::Open) && !config.target_opens {
            // It may be a hand that is lost. To open takes a word of the topic, which it does not contradict.
            self.wish.take_if(|wish| !wish.stands);
        } else {
            self.handle_wanted(now, wanted, false);
        }
    }

    fn handle_wanted(&mut self, now: Instant, wanted: Option<Gripper>, stands: bool) {
        let Some(wanted) = wanted else {
            self.wish = None;
            return;
        };
        let is_same = |wish: &&mut Wish| {
            let silence = now.saturating_duration_since(wish.last);
            wish.wanted == wanted && wish.stands == stands && (stands || silence <= SILENCE)
        };
        let before = match self.wish.as_mut().filter(is_same) {
            Some(wish) => {
                (wish.before, wish.last) = (Some(wish.last), now);
                wish.before
            }
            None => {
                let (since, before) = (Some(now), None);
                let wish = Wish { wanted, stands, since, last: now, before, due: false, is_first: false };
                self.wish = Some(wish);
                None
            }
        };
        if !self.settled {
            self.handle_first(now, stands || before.is_some());
        }
    }

    /// Takes what might be the first wish of all, or is it.
    fn handle_first(&mut self, now: Instant, is_wish: bool) {
        if !is_wish {
            // Only the first number extends the wait, so that numbers which contradict each other do not extend it for ever.
            if !std::mem::replace(&mut self.has_number, true) {
                self.awaited_until = Some(now + PATIENCE);
            }
            return;
        }
        self.settled = true;
        if self.source != Source::Assumed {
            return;
        }
        if let Some(wish) = self.wish.as_mut().filter(|wish| !wish.stands) {
            (wish.is_first, wish.due) = (true, true);
        }
    }

    /// Takes a sample that may be older than what other publishers have to say. It decides until one of them publishes,
    /// unless the controller has reported the gripper, because the report is newer. A number says nothing by itself.
    pub(super) fn handle_kept(&mut self, input: GripperInput) {
        match input {
            GripperInput::Wanted(wanted) if !self.settled && self.source == Source::Assumed => {
                self.state = wanted;
            }
            GripperInput::Wanted(_) | GripperInput::Opening(_) => {}
        }
    }

    /// Lets time pass: a wish that has to stand from the beginning does so from now.
    pub(super) fn handle_time(&mut self, now: Instant) {
        if let Some(wish) = &mut self.wish {
            wish.since.get_or_insert(now);
        }
    }

    /// Takes up a wish that has stood long enough, when motion begins and at each good target in motion. `in_sight` is since
    /// when targets have been good.
    pub(super) fn decide(&mut self, now: Instant, in_sight: Instant, config: &GripperConfig) {
        let Some(wish) = &mut self.wish else { return };
        let since = (*wish.since.get_or_insert(now)).max(in_sight);
        let is_said_again = wish.before.is_some_and(|before| before >= in_sight)
            && now.saturating_duration_since(wish.last) <= SILENCE;
        let has_stood = now.saturating_duration_since(since) >= config.debounce(wish.wanted);
        wish.due = wish.is_first || has_stood && (wish.stands || is_said_again);
    }

    /// Takes what the controller reports its gripper to be: a bridge that is started with something in the gripper must not
    /// open it, nor one whose gripper was closed by other means.
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
        // The report is news if it contradicts the state, and no wish has changed that state yet.
        let is_news = gripper != self.state && self.decided() == self.state;
        (self.state, self.source) = (gripper, Source::Known);
        // A wish that took the place of a guess does not take the place of what is known.
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

    /// Records that the controller has refused a command, or that the command or its reply was lost.
    pub(super) fn handle_refused(&mut self) {
        self.in_doubt |= self.sent.is_some_and(|sent| sent != self.state);
        self.handle_void();
    }

    /// Records that nothing which was sent will be answered, because the connection has ended or another controller has
    /// joined. What the controller reports next counts.
    pub(super) fn handle_link_down(&mut self) {
        if self.source == Source::Accepted {
            self.source = Source::Known;
        }
        self.in_doubt = false;
        self.handle_void();
    }

    /// Makes void what has been decided and not accepted. What is wanted has to stand from the beginning.
    pub(super) fn handle_void(&mut self) {
        self.sent = None;
        if let Some(gripper) = self.contradiction.take() {
            self.believe(gripper);
        }
        self.restart_wish();
    }

    /// Records other settings of the gripper. What was wanted by the former ones has to be wanted by these.
    pub(super) fn handle_config(&mut self) {
        self.restart_wish();
    }

    fn restart_wish(&mut self) {
        match &mut self.wish {
            Some(wish) if wish.stands && !self.orphaned => (wish.since, wish.due) = (None, false),
            _ => self.wish = None,
        }
    }

    /// Records that a node publishes on the gripper's topic. The first motion waits for its first message.
    pub(super) fn handle_found(&mut self, now: Instant) {
        self.awaited_until = Some(now + PATIENCE);
    }

    /// Records that a node has left that may have sent the wish. A wish that has not been taken up must not change the
    /// gripper later: it is dropped, or if it is a word and the arm is in motion (`moving`), at the end of this motion.
    pub(super) fn handle_left(&mut self, moving: bool) {
        (self.orphaned, self.awaited_until) = (true, None);
        self.wish.take_if(|wish| !moving || !wish.stands);
    }

    /// Records that no node publishes on the gripper's topic. If a word stands, its publisher has come and gone between two
    /// looks at the graph. A word that has just come does not count as such, because the graph may show its publisher later.
    pub(super) fn handle_absent(&mut self, now: Instant, moving: bool) {
        let is_unseen = |wish: Wish| wish.stands && now.saturating_duration_since(wish.last) >= DISCOVERY;
        if self.wish.is_some_and(is_unseen) {
            self.handle_left(moving);
        }
    }
}

/// How long the first motion waits for the first message of a node that publishes on the gripper's topic, and for a second
/// number. `ros2 topic pub` sends at 1 Hz.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How much later than its first message the graph may show a publisher.
const DISCOVERY: Duration = Duration::from_millis(500);
/// For how long a gripper may still open or close after a command.
const TRAVEL_TIME: Duration = Duration::from_secs(2);
/// Numbers that are farther apart are no wish. Longer than the pause of a sender at 0.5 Hz.
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

    /// What the topic or the message of a target says.
    #[derive(Debug, Clone, Copy)]
    enum Said {
        Word(Gripper),
        Number(f64),
        InTarget(GripperInput),
    }

    /// A gripper with a hand in sight all the time.
    struct Scene {
        start: Instant,
        gripper: GripperDecider,
        in_sight: Instant,
        config: GripperConfig,
    }

    impl Scene {
        /// Nothing is known of the gripper.
        fn new(initial: Gripper) -> Self {
            let start = Instant::now();
            Self { start, gripper: GripperDecider::new(initial), in_sight: start, config: CONFIG }
        }

        /// A command has been sent and accepted.
        fn moving(state: Gripper) -> Self {
            let mut scene = Self::new(state);
            scene.gripper.handle_sent(state);
            scene.accept(state);
            scene
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn say(&mut self, millis: u64, said: Said) {
            let now = self.at(millis);
            match said {
                Said::Word(wanted) => {
                    self.gripper.handle_topic(now, GripperInput::Wanted(wanted), &self.config);
                }
                Said::Number(opening) => {
                    self.gripper.handle_topic(now, GripperInput::Opening(opening), &self.config);
                }
                Said::InTarget(input) => self.gripper.handle_target(now, input, &self.config),
            }
        }

        /// The controller accepts a command.
        fn accept(&mut self, gripper: Gripper) {
            self.gripper.handle_accepted(self.start, gripper);
        }

        /// The controller reports, long after the gripper has obeyed the last command.
        fn report(&mut self, gripper: Gripper) {
            self.gripper.handle_reported(self.at(2000), gripper);
        }

        fn want(&mut self, millis: u64, wanted: Gripper) {
            self.say(millis, Said::Word(wanted));
        }

        /// The same, several times.
        fn repeat(&mut self, millis: impl IntoIterator<Item = u64>, said: Said) {
            millis.into_iter().for_each(|millis| self.say(millis, said));
        }

        fn decided(&mut self, millis: u64) -> Gripper {
            self.gripper.decide(self.at(millis), self.in_sight, &self.config);
            self.gripper.decided()
        }
    }

    #[test]
    fn first_number_takes_the_place_of_the_guess_until_it_is_void() {
        let mut scene = Scene::new(Open);
        scene.repeat([0, 10], Said::Number(0.1));
        assert_eq!(scene.decided(60_000), Closed, "however long ago it was");
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(60_000), Open, "no accepted command has carried it");
        let mut scene = Scene::new(Closed);
        scene.repeat([0, 10], Said::Number(0.9));
        scene.report(Closed);
        assert_eq!(scene.decided(60_000), Closed, "the controller knows better");
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(60_000), Closed, "a word stands");
    }

    #[test]
    fn a_word_is_taken_up_after_its_debounce_time() {
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
    fn a_contradiction_starts_the_debounce_again() {
        let mut scene = Scene::moving(Open);
        scene.want(0, Closed);
        scene.want(50, Open);
        scene.want(60, Closed);
        assert_eq!(scene.decided(120), Open);
        assert_eq!(scene.decided(160), Closed);
    }

    #[test]
    fn word_said_again_does_not_start_its_debounce_again() {
        let mut scene = Scene::moving(Open);
        scene.repeat([0, 50, 99], Said::Word(Closed));
        assert_eq!(scene.decided(100), Closed);
    }

    #[test]
    fn between_the_thresholds_and_without_a_number_nothing_changes() {
        for opening in [0.3, 0.4, 0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for state in [Open, Closed] {
                let mut scene = Scene::moving(state);
                scene.repeat([0, 1000, 2000], Said::Number(opening));
                assert_eq!(scene.decided(2000), state, "{opening}");
                // It contradicts a wish.
                let (wished, number) = if state == Open { (Closed, 0.1) } else { (Open, 0.9) };
                for wish in [Said::Word(wished), Said::Number(number)] {
                    scene.repeat([3000, 3010], wish);
                    scene.say(3020, Said::Number(opening));
                    assert_eq!(scene.decided(4000), state, "{opening} {wish:?}");
                }
            }
        }
        let mut scene = Scene::moving(Open);
        scene.repeat([0, 10], Said::Number(0.29));
        assert_eq!(scene.decided(100), Closed);
        scene.repeat([1000, 1010], Said::Number(0.51));
        assert_eq!(scene.decided(1300), Open);
    }

    #[test]
    fn one_number_is_no_wish_and_two_are() {
        for said in [Said::Number(0.9), Said::InTarget(GripperInput::Wanted(Open))] {
            let mut scene = Scene::moving(Closed);
            scene.say(0, said);
            assert_eq!(scene.decided(2000), Closed, "{said:?}");
            scene.say(2000, said);
            assert_eq!(scene.decided(2000), Open, "it has stood: {said:?}");
        }
    }

    #[test]
    fn numbers_far_apart_or_long_ago_are_no_wish() {
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 3001, 6002], Said::Number(0.9));
        assert_eq!(scene.decided(6003), Closed);
        scene.say(9002, Said::Number(0.9));
        assert_eq!(scene.decided(9002), Open, "3 s apart");
        let mut scene = Scene::moving(Closed);
        scene.config.open_debounce = Duration::from_secs(4);
        scene.repeat([0, 999], Said::Number(0.9));
        assert_eq!(scene.decided(4000), Closed, "silence");
        scene.repeat([4001, 5000], Said::Number(0.9));
        assert_eq!(scene.decided(8000), Closed);
        scene.say(8000, Said::Number(0.9));
        assert_eq!(scene.decided(8001), Open);
        assert_eq!(scene.decided(11_000), Open);
        assert_eq!(scene.decided(11_001), Closed, "silence, and the decision has not been sent");
    }

    #[test]
    fn word_and_number_are_no_second_sample_of_each_other() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.say(10, Said::Number(0.9));
        assert_eq!(scene.decided(1000), Closed);
        scene.want(1000, Open);
        assert_eq!(scene.decided(1299), Closed);
        assert_eq!(scene.decided(1300), Open);
    }

    #[test]
    fn first_word_of_all_needs_no_debounce() {
        let mut scene = Scene::new(Open);
        // What is no wish is not the first one.
        scene.say(0, Said::Number(0.4));
        scene.say(0, Said::Number(f64::NAN));
        assert!(!scene.gripper.is_settled());
        scene.want(0, Closed);
        assert_eq!((scene.gripper.decided(), scene.gripper.is_settled()), (Closed, true));
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(0), Closed, "nor after a refusal");
        // The second does, once a command has carried the first.
        scene.gripper.handle_sent(Closed);
        scene.want(1, Open);
        assert_eq!(scene.decided(300), Closed);
        assert_eq!(scene.decided(301), Open);
    }

    #[test]
    fn first_word_that_no_command_has_carried_is_forgotten_with_the_next() {
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.gripper.handle_sent(Closed);
        scene.want(1, Open);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(2), Open);
    }

    #[test]
    fn word_takes_the_place_of_the_guess_whatever_numbers_say() {
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.say(1, Said::InTarget(GripperInput::Opening(0.0)));
        assert_eq!(scene.decided(2), Closed);
    }

    #[test]
    fn first_two_numbers_of_all_need_no_debounce() {
        for said in [Said::Number(0.1), Said::InTarget(GripperInput::Wanted(Closed))] {
            let mut scene = Scene::new(Open);
            scene.say(0, said);
            assert_eq!((scene.gripper.decided(), scene.gripper.is_settled()), (Open, false));
            assert!(scene.gripper.is_awaited(scene.at(1499)) && !scene.gripper.is_awaited(scene.at(1500)));
            scene.say(10, said);
            assert_eq!((scene.gripper.decided(), scene.gripper.is_settled()), (Closed, true));
            assert!(!scene.gripper.is_awaited(scene.at(10)));
        }
    }

    #[test]
    fn numbers_that_contradict_each_other_are_not_awaited_for_ever() {
        let mut scene = Scene::new(Open);
        for millis in (0..1500).step_by(20) {
            scene.say(millis, Said::Number(if millis % 40 == 0 { 0.1 } else { 0.9 }));
        }
        assert!(scene.gripper.is_awaited(scene.at(1499)) && !scene.gripper.is_awaited(scene.at(1500)));
    }

    #[test]
    fn first_wish_after_a_command_needs_its_debounce() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        assert_eq!(scene.gripper.decided(), Closed);
    }

    #[test]
    fn a_wish_without_a_hand_in_sight_does_not_count() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.in_sight = scene.at(1000);
        assert_eq!(scene.decided(1299), Closed);
        assert_eq!(scene.decided(1300), Open);
        // Of numbers, two must come while it is in sight.
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 999, 1000], Said::Number(0.9));
        scene.in_sight = scene.at(1000);
        assert_eq!(scene.decided(1400), Closed);
        scene.say(1400, Said::Number(0.9));
        assert_eq!(scene.decided(1400), Open);
    }

    #[test]
    fn decision_that_was_not_sent_is_withdrawn_by_a_contradiction() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        assert_eq!(scene.decided(300), Open);
        scene.want(310, Closed);
        assert_eq!(scene.gripper.decided(), Closed);
        // One that was sent has to be contradicted for the debounce time.
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        assert_eq!(scene.decided(300), Open);
        scene.gripper.handle_sent(Open);
        scene.want(310, Closed);
        assert_eq!(scene.decided(409), Open);
        assert_eq!(scene.decided(410), Closed);
    }

    #[test]
    fn refused_decision_is_void_and_a_word_stands_again() {
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
    fn refused_decision_is_void_and_needs_fresh_numbers() {
        let mut scene = Scene::moving(Open);
        scene.repeat([0, 50], Said::Number(0.1));
        assert_eq!(scene.decided(100), Closed);
        scene.gripper.handle_sent(Closed);
        scene.gripper.handle_refused();
        assert_eq!(scene.decided(1000), Open);
        scene.say(1000, Said::Number(0.1));
        assert_eq!(scene.decided(2000), Open);
        scene.say(2000, Said::Number(0.1));
        assert_eq!(scene.decided(2000), Closed);
    }

    #[test]
    fn accepted_decision_outlives_a_void() {
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
    fn refusal_leaves_doubt_only_if_another_state_was_sent() {
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
    fn other_settings_need_fresh_samples() {
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 200], Said::Number(0.9));
        scene.gripper.handle_config();
        assert_eq!(scene.decided(1000), Closed);
        scene.want(1000, Open);
        scene.gripper.handle_config();
        scene.gripper.handle_time(scene.at(1100));
        assert_eq!(scene.decided(1399), Closed);
        assert_eq!(scene.decided(1400), Open);
        // What was sent by the former ones stays.
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
            assert_eq!(scene.gripper.decided(), initial, "in motion");
            scene.gripper.handle_refused();
            assert_eq!(scene.gripper.decided(), reported);
        }
    }

    #[test]
    fn report_in_motion_counts_when_it_ends() {
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
        assert_eq!(scene.gripper.decided(), Open, "a command was accepted after it");
    }

    #[test]
    fn report_before_a_command_is_accepted_leaves_the_wish_of_a_motion() {
        let mut scene = Scene::new(Open);
        scene.gripper.handle_link_down();
        scene.gripper.handle_sent(Open);
        scene.want(0, Closed);
        scene.report(Closed);
        scene.report(Open);
        assert_eq!(scene.decided(100), Closed);
    }

    #[test]
    fn accepted_command_outweighs_only_a_report_of_open() {
        let mut scene = Scene::moving(Closed);
        scene.gripper.handle_void();
        scene.report(Open);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Closed, "it may hold something");
        scene.gripper.handle_sent(Closed);
        scene.report(Closed);
        scene.accept(Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Closed, "in motion");
        scene.gripper.handle_void();
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open, "it was closed, and somebody else has opened it");
        scene.accept(Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Closed, "it may still close");
        let mut scene = Scene::moving(Open);
        let at = scene.at(1999);
        scene.gripper.handle_reported(at, Closed);
        scene.gripper.handle_void();
        assert_eq!(scene.gripper.decided(), Open, "it may still open");
        scene.report(Closed);
        assert_eq!(scene.gripper.decided(), Closed, "it was closed by other means");
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open, "and opened again");
    }

    #[test]
    fn report_counts_again_on_a_new_connection() {
        let mut scene = Scene::moving(Closed);
        scene.gripper.handle_link_down();
        assert_eq!(scene.gripper.decided(), Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open);
        // Nothing that was accepted is no guess either.
        let mut scene = Scene::new(Open);
        scene.gripper.handle_link_down();
        scene.gripper.handle_kept(GripperInput::Wanted(Closed));
        assert_eq!(scene.gripper.decided(), Closed);
    }

    #[test]
    fn word_after_a_report_is_debounced() {
        let mut scene = Scene::new(Open);
        scene.report(Closed);
        scene.want(0, Open);
        assert!(scene.gripper.is_settled());
        assert_eq!(scene.decided(299), Closed);
        assert_eq!(scene.decided(300), Open);
    }

    #[test]
    fn report_that_changes_the_state_restarts_the_wish() {
        let mut scene = Scene::new(Open);
        scene.want(0, Closed);
        scene.report(Open);
        assert_eq!(scene.gripper.decided(), Open);
        scene.gripper.handle_time(scene.at(1000));
        // The same report again does not.
        scene.report(Open);
        assert_eq!(scene.decided(1099), Open);
        assert_eq!(scene.decided(1100), Closed);
        // Nor does one that leaves the decision as it is.
        scene.report(Closed);
        assert_eq!(scene.gripper.decided(), Closed);
    }

    #[test]
    fn wish_that_agreed_with_the_state_does_not_open_what_was_closed_by_other_means() {
        let mut scene = Scene::moving(Open);
        scene.gripper.handle_void();
        scene.want(0, Open);
        assert_eq!(scene.decided(1000), Open);
        scene.report(Closed);
        assert_eq!(scene.gripper.decided(), Closed);
        // The hand wants it still: it opens once that has stood from now.
        assert_eq!(scene.decided(2000), Closed);
        assert_eq!(scene.decided(2300), Open);
    }

    #[test]
    fn kept_word_is_a_guess() {
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
    fn a_word_of_a_node_that_has_gone_counts_in_this_motion_only() {
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
        // What another node says after that stands through a hold.
        scene.want(2000, Open);
        scene.gripper.handle_void();
        scene.gripper.handle_time(scene.at(2000));
        assert_eq!(scene.decided(2300), Open);
    }

    #[test]
    fn numbers_of_a_node_that_has_gone_are_no_wish() {
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 100], Said::Number(0.9));
        scene.gripper.handle_left(true);
        assert_eq!(scene.decided(300), Closed);
    }

    #[test]
    fn word_of_a_node_that_no_look_at_the_graph_has_shown_is_dropped() {
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.gripper.handle_absent(scene.at(499), false);
        assert_eq!(scene.decided(499), Open, "the graph may show it later");
        scene.gripper.handle_absent(scene.at(500), true);
        assert_eq!(scene.decided(500), Open, "it counts until the end of the motion");
        scene.gripper.handle_void();
        assert_eq!(scene.decided(5000), Closed);
        let mut scene = Scene::moving(Closed);
        scene.want(0, Open);
        scene.gripper.handle_absent(scene.at(500), false);
        assert_eq!(scene.decided(5000), Closed);
        let mut scene = Scene::moving(Closed);
        scene.repeat([0, 100], Said::InTarget(GripperInput::Wanted(Open)));
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
            (Said::InTarget(GripperInput::Wanted(Open)), Said::InTarget(GripperInput::Wanted(Closed)));
        let mut scene = Scene::moving(Open);
        scene.config.target_opens = false;
        scene.repeat([0, 90], closes);
        scene.say(95, opens);
        assert_eq!(scene.decided(200), Open, "a contradiction");
        scene.repeat([200, 300], closes);
        assert_eq!(scene.decided(300), Closed);
        scene.gripper.handle_sent(Closed);
        scene.repeat((310..10_000).step_by(10), opens);
        assert_eq!(scene.decided(10_000), Closed);
        // The topic opens it, and the target does not contradict that.
        scene.want(10_000, Open);
        scene.repeat((10_000..10_300).step_by(10), opens);
        assert_eq!(scene.decided(10_299), Closed);
        assert_eq!(scene.decided(10_300), Open);
        scene.gripper.handle_sent(Open);
        scene.repeat([10_310, 10_410], closes);
        assert_eq!(scene.decided(10_410), Closed, "the word has been contradicted");
        scene.gripper.handle_sent(Closed);
        scene.say(10_420, opens);
        assert_eq!(scene.decided(20_000), Closed, "and does not come back");
    }

    #[test]
    fn gripper_is_awaited_until_first_wish_or_for_some_time() {
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
