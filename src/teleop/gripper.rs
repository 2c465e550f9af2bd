//! From gripper input to a gripper decision: hysteresis, then debounce.

use std::time::{Duration, Instant};

use crate::arm::Gripper;

/// One sample of gripper input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GripperInput {
    /// Says outright what is wanted.
    Wanted(Gripper),
    /// How far the fingers are apart, 0 (closed) to 1 (open).
    Opening(f64),
}

/// How input becomes a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GripperConfig {
    /// An opening below this means closed.
    pub close_below: f64,
    /// An opening above this means open. Between the two nothing changes.
    pub open_above: f64,
    /// How long the wish to close must stand uncontradicted.
    pub close_debounce: Duration,
    /// How long the wish to open must: to drop what is held is the worse mistake.
    pub open_debounce: Duration,
}

impl GripperConfig {
    /// What a sample wants, if it wants anything.
    pub fn wanted(&self, input: GripperInput) -> Option<Gripper> {
        match input {
            GripperInput::Wanted(gripper) => Some(gripper),
            GripperInput::Opening(opening) if opening < self.close_below => Some(Gripper::Closed),
            GripperInput::Opening(opening) if opening > self.open_above => Some(Gripper::Open),
            GripperInput::Opening(_) => None,
        }
    }
}

/// Decides what the gripper is to be.
///
/// What is wanted stands until it is contradicted. The first wish of all counts at once: what the gripper is to be is not
/// known before it. Every later one has to stand for the debounce time while a hand is in sight, and is taken up by
/// [`GripperDecider::decide`], which is called when motion begins and for a good target in motion. So when the hand is lost
/// the gripper keeps its state, whatever its own topic says then.
#[derive(Debug)]
pub struct GripperDecider {
    decided: Gripper,
    /// A word has come, or a command has been sent: the decision is no guess.
    known: bool,
    /// Since when the other state has been wanted.
    wish: Option<Instant>,
    /// The controller has reported what the gripper is.
    reported: bool,
    /// The node that wanted it has gone.
    orphaned: bool,
}

impl GripperDecider {
    /// Starts from a state that nobody has asked for yet.
    pub fn new(initial: Gripper) -> Self {
        Self { decided: initial, known: false, reported: false, wish: None, orphaned: false }
    }

    /// The decision in force.
    pub fn decided(&self) -> Gripper {
        self.decided
    }

    /// Whether somebody has said what the gripper is to be, or the controller has been told it.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Takes a sample. An opening between the thresholds, or one that is not finite, contradicts a wish, and is not a wish itself.
    pub fn handle_input(&mut self, now: Instant, input: GripperInput, config: &GripperConfig) {
        self.orphaned = false;
        match config.wanted(input) {
            Some(first) if !self.known => (self.decided, self.known) = (first, true),
            Some(wanted) if wanted != self.decided => {
                self.wish.get_or_insert(now);
            }
            Some(_) | None => self.wish = None,
        }
    }

    /// Takes a sample that may be older than what others have to say: it decides until one of them says something, unless the
    /// controller has reported the gripper, because that is newer.
    pub fn handle_kept(&mut self, input: GripperInput, config: &GripperConfig) {
        if let Some(wanted) = config.wanted(input).filter(|_| !self.known && !self.reported) {
            self.decided = wanted;
        }
    }

    /// Takes up a wish that has stood long enough. `in_sight` is since when targets have been good. Call it when motion
    /// begins, and when a good target has come in motion.
    pub fn decide(&mut self, now: Instant, in_sight: Instant, config: &GripperConfig) {
        let (other, debounce) = match self.decided {
            Gripper::Open => (Gripper::Closed, config.close_debounce),
            Gripper::Closed => (Gripper::Open, config.open_debounce),
        };
        let since = self.wish.map(|wish| wish.max(in_sight));
        if since.is_some_and(|since| now.saturating_duration_since(since) >= debounce) {
            (self.decided, self.wish) = (other, None);
        }
    }

    /// Takes what the controller reports its gripper to be. It counts until somebody has said what the gripper is to be: a
    /// bridge that is started with something in the gripper must not tell it to open.
    pub fn handle_reported(&mut self, gripper: Gripper) {
        if !self.known {
            (self.decided, self.reported) = (gripper, true);
        }
    }

    /// The controller has been told the decision.
    pub fn handle_sent(&mut self) {
        self.known = true;
    }

    /// A node has gone that may have said what is wanted. A wish that has not been taken up must not change the gripper
    /// later: it is dropped, or where the arm is in motion (`moving`) at the end of this motion.
    pub fn handle_left(&mut self, moving: bool) {
        self.orphaned = true;
        if !moving {
            self.handle_end();
        }
    }

    /// Motion ends.
    pub fn handle_end(&mut self) {
        if self.orphaned {
            self.wish = None;
        }
    }
}

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

    /// One whose state the controller has been told, as in mid-motion, with a hand in sight all the time.
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
        scene.gripper.handle_end();
        assert_eq!(scene.decided(1000), Gripper::Open);
        scene.want(1000, Gripper::Closed);
        scene.gripper.handle_left(false);
        assert_eq!(scene.decided(2000), Gripper::Open);
        // What another node says after that stands through a hold.
        scene.want(2000, Gripper::Closed);
        scene.gripper.handle_end();
        assert_eq!(scene.decided(2100), Gripper::Closed);
    }
}
