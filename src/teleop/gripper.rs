//! The gripper's decision: hysteresis, then debounce.
//!
//! Invariants:
//! - A wish stands until it is contradicted.
//! - The first wish of all counts at once, because what the gripper is to be is not known before it. Every later wish has
//!   to stand for the debounce time while a hand is in sight. So if the hand is lost the gripper keeps its state, whatever
//!   arrives on its own topic then.
//! - What the controller reports counts only before the first wish and the first command.

use std::time::{Duration, Instant};

use super::config::GripperConfig;
use super::target::GripperInput;
use crate::arm::Gripper;

/// Decides what the gripper is to be.
#[derive(Debug)]
pub(super) struct GripperDecider {
    decided: Gripper,
    /// A wish has been received, or a command has been sent: the decision is no guess.
    known: bool,
    /// Since when the other state has been wanted.
    wish: Option<Instant>,
    /// The controller has reported what the gripper is.
    reported: bool,
    /// The node that wanted it has left.
    orphaned: bool,
    /// Until when the first motion waits for the first wish, while a node publishes on the gripper's topic.
    awaited_until: Option<Instant>,
}

impl GripperDecider {
    /// Starts from a state that is only assumed.
    pub(super) fn new(initial: Gripper) -> Self {
        let decided = initial;
        Self { decided, known: false, wish: None, reported: false, orphaned: false, awaited_until: None }
    }

    /// Returns the decision in force.
    pub(super) fn decided(&self) -> Gripper {
        self.decided
    }

    /// Returns whether a wish or a command has settled what the gripper is to be.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Returns whether the first motion has to wait for the gripper's publisher.
    pub(super) fn is_awaited(&self, now: Instant) -> bool {
        !self.known && self.awaited_until.is_some_and(|until| now < until)
    }

    /// Returns when the wait for the gripper's publisher ends, or ended.
    pub(super) fn awaited_until(&self) -> Option<Instant> {
        self.awaited_until
    }

    /// Takes a sample. An opening that is between the thresholds, or NaN, contradicts a wish and is no wish itself.
    pub(super) fn handle_input(&mut self, now: Instant, input: GripperInput, config: &GripperConfig) {
        self.orphaned = false;
        match config.wanted(input) {
            Some(first) if !self.known => (self.decided, self.known) = (first, true),
            Some(wanted) if wanted != self.decided => {
                self.wish.get_or_insert(now);
            }
            Some(_) | None => self.wish = None,
        }
    }

    /// Takes a sample that may be older than what other publishers have to say. It decides until one of them publishes,
    /// unless the controller has reported the gripper, because the report is newer.
    pub(super) fn handle_kept(&mut self, input: GripperInput, config: &GripperConfig) {
        if let Some(wanted) = config.wanted(input).filter(|_| !self.known && !self.reported) {
            self.decided = wanted;
        }
    }

    /// Takes up a wish that has stood long enough, when motion begins and at each good target in motion. `in_sight` is since
    /// when targets have been good.
    pub(super) fn decide(&mut self, now: Instant, in_sight: Instant, config: &GripperConfig) {
        let (other, debounce) = match self.decided {
            Gripper::Open => (Gripper::Closed, config.close_debounce),
            Gripper::Closed => (Gripper::Open, config.open_debounce),
        };
        let since = self.wish.map(|wish| wish.max(in_sight));
        if since.is_some_and(|since| now.saturating_duration_since(since) >= debounce) {
            (self.decided, self.wish) = (other, None);
        }
    }

    /// Takes what the controller reports its gripper to be. It counts until the first wish: a bridge that is started with
    /// something in the gripper must not open it.
    pub(super) fn handle_reported(&mut self, gripper: Gripper) {
        if !self.known {
            (self.decided, self.reported) = (gripper, true);
        }
    }

    /// Records that the decision has been sent to the controller.
    pub(super) fn handle_sent(&mut self) {
        self.known = true;
    }

    /// Records that a node publishes on the gripper's topic. The first motion waits for its first message.
    pub(super) fn handle_found(&mut self, now: Instant) {
        self.awaited_until = Some(now + PATIENCE);
    }

    /// Records that a node has left that may have sent the wish. A wish that has not been taken up must not change the
    /// gripper later: it is dropped, or if the arm is in motion (`moving`) at the end of this motion.
    pub(super) fn handle_left(&mut self, moving: bool) {
        (self.orphaned, self.awaited_until) = (true, None);
        if !moving {
            self.handle_motion_end();
        }
    }

    /// Records that motion has ended.
    pub(super) fn handle_motion_end(&mut self) {
        if self.orphaned {
            self.wish = None;
        }
    }
}

/// How long the first motion waits for the first message of a node that publishes on the gripper's topic.
/// `ros2 topic pub` sends at 1 Hz.
const PATIENCE: Duration = Duration::from_millis(1500);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    const CONFIG: GripperConfig = GripperConfig {
        close_below: 0.3,
        open_above: 0.5,
        close_debounce: Duration::from_millis(100),
        open_debounce: Duration::from_millis(300),
    };

    fn ms(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    /// A decision that has been sent, as in mid-motion, with a hand in sight all the time.
    struct Scene {
        start: Instant,
        gripper: GripperDecider,
        in_sight: Instant,
    }

    impl Scene {
        fn new(initial: Gripper) -> Self {
            let start = Instant::now();
            let mut gripper = GripperDecider::new(initial);
            gripper.handle_sent();
            Self { start, gripper, in_sight: start }
        }

        fn say(&mut self, millis: u64, input: GripperInput) {
            self.gripper.handle_input(ms(self.start, millis), input, &CONFIG);
        }

        fn want(&mut self, millis: u64, gripper: Gripper) {
            self.say(millis, GripperInput::Wanted(gripper));
        }

        fn decided(&mut self, millis: u64) -> Gripper {
            self.gripper.decide(ms(self.start, millis), self.in_sight, &CONFIG);
            self.gripper.decided()
        }
    }

    #[test]
    fn a_wish_is_taken_up_after_its_debounce_time() {
        let mut scene = Scene::new(Gripper::Open);
        scene.want(0, Gripper::Closed);
        assert_eq!(scene.decided(99), Gripper::Open);
        assert_eq!(scene.decided(100), Gripper::Closed);
    }

    #[test]
    fn opening_waits_longer_than_closing() {
        let mut scene = Scene::new(Gripper::Closed);
        scene.want(0, Gripper::Open);
        assert_eq!(scene.decided(299), Gripper::Closed);
        assert_eq!(scene.decided(300), Gripper::Open);
    }

    #[test]
    fn a_contradiction_starts_the_debounce_again() {
        let mut scene = Scene::new(Gripper::Open);
        scene.want(0, Gripper::Closed);
        scene.want(50, Gripper::Open);
        scene.want(60, Gripper::Closed);
        assert_eq!(scene.decided(120), Gripper::Open);
    }

    #[test]
    fn between_the_thresholds_and_for_nan_nothing_changes() {
        for opening in [0.4, 0.5, f64::NAN] {
            let mut scene = Scene::new(Gripper::Closed);
            scene.want(0, Gripper::Open);
            scene.say(1, GripperInput::Opening(opening));
            assert_eq!(scene.decided(1000), Gripper::Closed, "{opening}");
        }
        // The lower threshold itself closes nothing either.
        let mut scene = Scene::new(Gripper::Open);
        scene.say(0, GripperInput::Opening(0.3));
        assert_eq!(scene.decided(1000), Gripper::Open);
        scene.say(1000, GripperInput::Opening(0.29));
        assert_eq!(scene.decided(2000), Gripper::Closed);
        scene.say(2000, GripperInput::Opening(0.51));
        assert_eq!(scene.decided(3000), Gripper::Open);
    }

    #[test]
    fn the_first_wish_of_all_needs_no_debounce() {
        let t = Instant::now();
        for input in [GripperInput::Wanted(Gripper::Closed), GripperInput::Opening(0.1)] {
            let mut gripper = GripperDecider::new(Gripper::Open);
            // What is no wish is not the first one.
            gripper.handle_input(t, GripperInput::Opening(0.4), &CONFIG);
            gripper.handle_input(t, GripperInput::Opening(f64::NAN), &CONFIG);
            assert!(!gripper.is_known());
            gripper.handle_input(t, input, &CONFIG);
            assert_eq!((gripper.decided(), gripper.is_known()), (Gripper::Closed, true));
            // The second does.
            gripper.handle_input(t, GripperInput::Wanted(Gripper::Open), &CONFIG);
            gripper.decide(ms(t, 299), t, &CONFIG);
            assert_eq!(gripper.decided(), Gripper::Closed);
        }
    }

    #[test]
    fn the_first_wish_after_a_command_needs_its_debounce() {
        let mut scene = Scene::new(Gripper::Closed);
        scene.want(0, Gripper::Open);
        assert_eq!(scene.gripper.decided(), Gripper::Closed);
    }

    #[test]
    fn a_wish_without_a_hand_in_sight_does_not_count() {
        let mut scene = Scene::new(Gripper::Closed);
        scene.want(0, Gripper::Open);
        scene.in_sight = ms(scene.start, 1000);
        assert_eq!(scene.decided(1299), Gripper::Closed);
        assert_eq!(scene.decided(1300), Gripper::Open);
    }

    #[test]
    fn a_wish_of_a_node_that_has_gone_counts_in_this_motion_only() {
        let mut scene = Scene::new(Gripper::Closed);
        scene.want(0, Gripper::Open);
        scene.gripper.handle_left(true);
        assert_eq!(scene.decided(300), Gripper::Open);
        scene.want(400, Gripper::Closed);
        scene.gripper.handle_left(true);
        scene.gripper.handle_motion_end();
        assert_eq!(scene.decided(1000), Gripper::Open);
        scene.want(1000, Gripper::Closed);
        scene.gripper.handle_left(false);
        assert_eq!(scene.decided(2000), Gripper::Open);
        // What another node says after that stands through a hold.
        scene.want(2000, Gripper::Closed);
        scene.gripper.handle_motion_end();
        assert_eq!(scene.decided(2100), Gripper::Closed);
    }

    #[test]
    fn gripper_is_awaited_until_first_wish_or_for_some_time() {
        let t = Instant::now();
        let mut gripper = GripperDecider::new(Gripper::Open);
        assert!(!gripper.is_awaited(t));
        gripper.handle_found(t);
        assert!(gripper.is_awaited(ms(t, 1499)) && !gripper.is_awaited(ms(t, 1500)));
        gripper.handle_left(false);
        assert!(!gripper.is_awaited(t), "its publisher has left");
        gripper.handle_found(t);
        gripper.handle_input(t, GripperInput::Wanted(Gripper::Closed), &CONFIG);
        assert!(!gripper.is_awaited(t));
    }
}
