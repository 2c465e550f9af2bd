//! From gripper input to a gripper decision: hysteresis, then debounce.

use std::time::{Duration, Instant};

use super::command::Gripper;

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

/// Decides what the gripper is to be.
///
/// A wish is taken up by [`GripperDecider::decide`], which is called for a good target while moving only: when the hand
/// is lost the gripper keeps its state, whatever its own topic says then. When motion starts again, what is wanted by
/// then has to stand for the debounce time anew.
#[derive(Debug)]
pub struct GripperDecider {
    decided: Gripper,
    /// Since when the other state has been wanted.
    wish: Option<Instant>,
}

impl GripperDecider {
    /// Starts from a state that nobody has asked for yet.
    pub fn new(initial: Gripper) -> Self {
        Self { decided: initial, wish: None }
    }

    /// The decision in force.
    pub fn decided(&self) -> Gripper {
        self.decided
    }

    /// Takes a sample. Openings that are not finite say nothing.
    pub fn handle_input(&mut self, now: Instant, input: GripperInput, config: &GripperConfig) {
        let wanted = match input {
            GripperInput::Wanted(gripper) => gripper,
            GripperInput::Opening(opening) if opening < config.close_below => Gripper::Closed,
            GripperInput::Opening(opening) if opening > config.open_above => Gripper::Open,
            GripperInput::Opening(_) => self.decided,
        };
        if wanted == self.decided {
            self.wish = None;
        } else {
            self.wish.get_or_insert(now);
        }
    }

    /// Takes up a wish that has stood long enough. Call it when a good target has come in.
    pub fn decide(&mut self, now: Instant, config: &GripperConfig) {
        let debounce = match self.decided {
            Gripper::Open => config.close_debounce,
            Gripper::Closed => config.open_debounce,
        };
        if self.wish.is_some_and(|since| now.saturating_duration_since(since) >= debounce) {
            self.wish = None;
            self.decided = match self.decided {
                Gripper::Open => Gripper::Closed,
                Gripper::Closed => Gripper::Open,
            };
        }
    }

    /// Motion starts (again): a wish counts from now.
    pub fn handle_start(&mut self, now: Instant) {
        self.wish = self.wish.map(|_| now);
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

    #[test]
    fn a_wish_is_taken_up_only_after_it_stood_for_the_debounce_time() {
        let t = Instant::now();
        let mut gripper = GripperDecider::new(Gripper::Open);
        gripper.handle_input(t, GripperInput::Wanted(Gripper::Closed), &CONFIG);
        gripper.decide(ms(t, 99), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Open);
        gripper.decide(ms(t, 100), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Closed);
    }

    #[test]
    fn opening_waits_longer_than_closing() {
        let t = Instant::now();
        let mut gripper = GripperDecider::new(Gripper::Closed);
        gripper.handle_input(t, GripperInput::Wanted(Gripper::Open), &CONFIG);
        gripper.decide(ms(t, 299), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Closed);
        gripper.decide(ms(t, 300), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Open);
    }

    #[test]
    fn a_contradiction_starts_the_debounce_anew() {
        let t = Instant::now();
        let mut gripper = GripperDecider::new(Gripper::Open);
        gripper.handle_input(t, GripperInput::Wanted(Gripper::Closed), &CONFIG);
        gripper.handle_input(ms(t, 50), GripperInput::Wanted(Gripper::Open), &CONFIG);
        gripper.handle_input(ms(t, 60), GripperInput::Wanted(Gripper::Closed), &CONFIG);
        gripper.decide(ms(t, 120), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Open);
    }

    #[test]
    fn between_the_thresholds_and_for_nan_nothing_changes() {
        let t = Instant::now();
        let mut gripper = GripperDecider::new(Gripper::Closed);
        for opening in [0.4, 0.5, f64::NAN] {
            gripper.handle_input(t, GripperInput::Opening(opening), &CONFIG);
            gripper.decide(ms(t, 1000), &CONFIG);
            assert_eq!(gripper.decided(), Gripper::Closed, "{opening}");
        }
        // The lower threshold itself closes nothing either.
        let mut open = GripperDecider::new(Gripper::Open);
        open.handle_input(t, GripperInput::Opening(0.3), &CONFIG);
        open.decide(ms(t, 1000), &CONFIG);
        assert_eq!(open.decided(), Gripper::Open);
        gripper.handle_input(t, GripperInput::Opening(0.51), &CONFIG);
        gripper.decide(ms(t, 1000), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Open);
        gripper.handle_input(ms(t, 1000), GripperInput::Opening(0.29), &CONFIG);
        gripper.decide(ms(t, 2000), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Closed);
    }

    #[test]
    fn a_wish_from_before_a_start_counts_from_the_start() {
        let t = Instant::now();
        let mut gripper = GripperDecider::new(Gripper::Closed);
        gripper.handle_input(t, GripperInput::Wanted(Gripper::Open), &CONFIG);
        gripper.handle_start(ms(t, 1000));
        gripper.decide(ms(t, 1299), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Closed);
        gripper.decide(ms(t, 1300), &CONFIG);
        assert_eq!(gripper.decided(), Gripper::Open);
    }
}
