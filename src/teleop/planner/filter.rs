//! The One Euro filter (Casiez, Roussel, Vogel, CHI 2012), for each axis. It removes jitter and
//! follows motion.
//!
//! It is a low-pass filter whose cutoff rises with the speed of the hand: `cutoff = min_cutoff +
//! beta · |speed|`. At rest it smooths strongly. In motion its lag is small: behind a constant
//! speed `v` it lags by `v / (2π · cutoff)` metres. This is at most `1 / (2π · beta)`, 3.2 mm with
//! the default. If the hand reverses, the filter lags more, because the smoothed speed passes
//! through zero, and the cutoff falls with it.
//!
//! Invariants:
//! - The first sample after a reset is returned unchanged.
//! - For a hand at rest, the output stays exactly the same. If the settings change, the output
//!   stays where it was before. The difference between output and hand disappears as the hand
//!   moves.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use nalgebra::{Point3, Vector3};

use crate::geometry::Position;
use crate::teleop::config::FilterConfig;
use crate::teleop::input::Sample;
use crate::teleop::target::Stamp;

/// Smooths the positions of one hand, in the arm's base frame.
#[derive(Debug, Default)]
pub struct Filter {
    state: Option<State>,
    /// An offset of the output in metres, because the settings have changed since the first sample.
    offset: Vector3<f64>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    input: Point3<f64>,
    /// The output before rounding. Without rounding, small changes add up.
    smooth: Point3<f64>,
    /// The smoothed velocity in m/s.
    velocity: Vector3<f64>,
    stamp: Option<Stamp>,
    origin: Instant,
}

impl Filter {
    /// Returns the smoothed position of a sample. The time step comes from the stamps if they are
    /// plausible, because messages may arrive in bunches. Otherwise it comes from the steady clock.
    pub fn apply(&mut self, sample: &Sample, config: &FilterConfig) -> Position {
        let Sample { position, stamp, origin, .. } = *sample;
        let input = position.point();
        let Some(state) = &mut self.state else {
            let velocity = Vector3::zeros();
            self.state = Some(State { input, smooth: input, velocity, stamp, origin });
            return position;
        };
        self.offset = shortened(self.offset, FADING * (input - state.input).norm());
        let config = match config {
            FilterConfig::OneEuro(config) => config,
            FilterConfig::None => {
                *state = State { input, smooth: input, stamp, origin, ..*state };
                return Position::from_exact(input + self.offset);
            }
        };
        let Some(dt) = state.time_to(stamp, origin) else {
            return Position::from_exact(state.smooth + self.offset);
        };
        let speed = (input - state.input) / dt;
        state.velocity += (speed - state.velocity) * smoothing(config.derivative_cutoff, dt);
        let gain = state.velocity.map(|speed| smoothing(config.min_cutoff + config.beta * speed.abs(), dt));
        state.smooth += gain.component_mul(&(input - state.smooth));
        (state.input, state.stamp, state.origin) = (input, stamp, origin);
        Position::from_exact(state.smooth + self.offset)
    }

    /// Restarts at the position of the hand, because the settings have changed. The output
    /// continues from its last value.
    pub fn handle_config(&mut self) {
        if let Some(state) = &mut self.state {
            self.offset += state.smooth - state.input;
            (state.smooth, state.velocity) = (state.input, Vector3::zeros());
        }
    }

    /// Forgets the hand, because the next sample may be anywhere.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Returns a vector shortened by `by`, or the zero vector if it is shorter than `by`.
fn shortened(vector: Vector3<f64>, by: f64) -> Vector3<f64> {
    let length = vector.norm();
    if length <= by { Vector3::zeros() } else { vector * (1.0 - by / length) }
}

impl State {
    /// Returns the time from the last sample to a sample with this stamp and origin, in seconds.
    /// `None` if no time has passed.
    fn time_to(&self, stamp: Option<Stamp>, origin: Instant) -> Option<f64> {
        let stamped = match (self.stamp, stamp) {
            (Some(last), Some(stamp)) => u64::try_from(stamp.taken.saturating_sub(last.taken)).ok(),
            _ => None,
        };
        let dt = stamped
            .map(Duration::from_nanos)
            .filter(|dt| !dt.is_zero() && *dt <= LONGEST_STAMPED)
            .unwrap_or_else(|| origin.saturating_duration_since(self.origin));
        (!dt.is_zero()).then_some(dt.as_secs_f64())
    }
}

/// Returns the gain of a first-order low-pass filter for a time step of `dt` seconds. The gain is
/// in (0, 1).
fn smoothing(cutoff: f64, dt: f64) -> f64 {
    let angle = TAU * cutoff * dt;
    angle / (angle + 1.0)
}

/// The offset shrinks by this share of the distance that the hand moves.
const FADING: f64 = 0.5;
/// Stamps farther apart than this do not count as the period of the publisher.
const LONGEST_STAMPED: Duration = Duration::from_secs(1);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::OneEuro;

    const CONFIG: FilterConfig =
        FilterConfig::OneEuro(OneEuro { min_cutoff: 0.03, beta: 30.0, derivative_cutoff: 0.3 });

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    fn apply(
        filter: &mut Filter,
        x: f64,
        stamp: Option<Stamp>,
        origin: Instant,
        config: &FilterConfig,
    ) -> Position {
        let sample =
            Sample { origin, stamp, position: at(x), orientation: None, resumes: false, frame_moved: false };
        filter.apply(&sample, config)
    }

    /// Returns the outputs for inputs `period_ms` apart.
    fn filtered(xs: &[f64], period_ms: u64, config: &FilterConfig) -> Vec<f64> {
        let start = Instant::now();
        let mut filter = Filter::default();
        let at_step = |i: usize| start + Duration::from_millis(period_ms * i as u64);
        xs.iter()
            .enumerate()
            .map(|(i, x)| apply(&mut filter, *x, None, at_step(i), config).coordinates()[0])
            .collect()
    }

    #[test]
    fn output_matches_formulas_of_paper() {
        // Calculated by hand with dt = 0.1 s, for the second sample of a step of 1 m.
        let config = OneEuro { min_cutoff: 1.0, beta: 0.5, derivative_cutoff: 1.0 };
        let tau = |cutoff: f64| 1.0 / (TAU * cutoff);
        let alpha = |cutoff: f64| 1.0 / (1.0 + tau(cutoff) / 0.1);
        let velocity = alpha(1.0) * 10.0;
        let expected = alpha(1.0 + 0.5 * velocity);
        let xs = filtered(&[0.0, 1.0], 100, &FilterConfig::OneEuro(config));
        assert!((xs[1] - expected).abs() < 1e-6, "{xs:?}, {expected}");
        // For the third sample, back at 0: the magnitude of the speed counts.
        let velocity = velocity + alpha(1.0) * (-10.0 - velocity);
        let expected = expected * (1.0 - alpha(1.0 + 0.5 * velocity.abs()));
        let xs = filtered(&[0.0, 1.0, 0.0], 100, &FilterConfig::OneEuro(config));
        assert!((xs[2] - expected).abs() < 1e-6, "{xs:?}, {expected}");
    }

    #[test]
    fn disabled_filter_passes_every_sample() {
        assert_eq!(filtered(&[0.0, 1.0, -1.0], 33, &FilterConfig::None), [0.0, 1.0, -1.0]);
    }

    #[test]
    fn resting_hand_keeps_exact_position() {
        assert_eq!(filtered(&[0.123; 50], 33, &CONFIG), [0.123; 50]);
    }

    #[test]
    fn lag_stays_below_limit_of_beta() {
        let xs: Vec<f64> = (0..200).map(|i| 0.2 * 0.033 * f64::from(i)).collect();
        let ys = filtered(&xs, 33, &CONFIG);
        let lag = |i: usize| xs[i] - ys[i];
        assert!((150..200).all(|i| lag(i) < 1.0 / (TAU * 30.0) && lag(i) > 0.0), "{}", lag(199));
    }

    #[test]
    fn new_settings_do_not_move_resting_hand() {
        let slow = FilterConfig::OneEuro(OneEuro { min_cutoff: 0.01, beta: 0.0, derivative_cutoff: 1.0 });
        let ways = [(slow, FilterConfig::None), (slow, CONFIG), (CONFIG, slow), (FilterConfig::None, slow)];
        for (before, after) in ways {
            let (start, mut filter) = (Instant::now(), Filter::default());
            let sample = |filter: &mut Filter, x: f64, i: u64, config| {
                apply(filter, x, None, start + Duration::from_millis(33 * i), config).coordinates()[0]
            };
            sample(&mut filter, 0.0, 0, &before);
            let last = sample(&mut filter, 0.02, 1, &before);
            filter.handle_config();
            for i in 2..50 {
                assert!((sample(&mut filter, 0.02, i, &after) - last).abs() <= 1e-6, "{after:?}");
            }
        }
        // The difference shrinks as the hand moves, by half of the distance.
        let (start, mut filter) = (Instant::now(), Filter::default());
        apply(&mut filter, 0.0, None, start, &slow);
        let last = apply(&mut filter, 0.02, None, start + Duration::from_millis(33), &slow);
        filter.handle_config();
        let ms = |ms| start + Duration::from_millis(ms);
        let moved = apply(&mut filter, 0.03, None, ms(66), &FilterConfig::None).coordinates()[0];
        assert!((moved - (last.coordinates()[0] + 0.015)).abs() < 2e-6, "{moved}");
        assert_eq!(apply(&mut filter, 0.1, None, ms(99), &FilterConfig::None), at(0.1));
    }

    #[test]
    fn changes_below_rounding_add_up() {
        let config = FilterConfig::OneEuro(OneEuro { min_cutoff: 0.001, beta: 0.0, derivative_cutoff: 1.0 });
        let mut xs = vec![0.000_1; 20_000];
        xs[0] = 0.0;
        assert!(filtered(&xs, 10, &config)[19_999] > 0.000_05);
    }

    #[test]
    fn time_step_comes_from_plausible_stamps() {
        let start = Instant::now();
        let config = FilterConfig::OneEuro(OneEuro { min_cutoff: 1.0, beta: 0.0, derivative_cutoff: 1.0 });
        let stamp =
            |ms: i64| Some(Stamp { taken: ms * 1_000_000, received: ms * 1_000_000, simulated: false });
        let second = |stamps: [Option<Stamp>; 2], ms: u64| {
            let mut filter = Filter::default();
            apply(&mut filter, 0.0, stamps[0], start, &config);
            apply(&mut filter, 1.0, stamps[1], start + Duration::from_millis(ms), &config).coordinates()[0]
        };
        let of = |dt: f64| (smoothing(1.0, dt) * 1e6).round() / 1e6;
        assert_eq!(second([stamp(1000), stamp(1100)], 50), of(0.1));
        assert_eq!(second([None, stamp(1100)], 50), of(0.05));
        assert_eq!(second([stamp(1000), None], 50), of(0.05));
        // Equal stamps, earlier stamps and stamps far apart do not count as the period of the
        // publisher.
        assert_eq!(second([stamp(1000), stamp(1000)], 50), of(0.05));
        assert_eq!(second([stamp(1000), stamp(900)], 50), of(0.05));
        assert_eq!(second([stamp(1000), stamp(2000)], 50), of(1.0));
        assert_eq!(second([stamp(1000), stamp(2001)], 50), of(0.05));
        // If no time has passed, the output stays the same.
        assert_eq!(second([None, None], 0), 0.0);
    }

    #[test]
    fn first_sample_after_reset_is_unchanged() {
        let start = Instant::now();
        let mut filter = Filter::default();
        apply(&mut filter, 0.0, None, start, &CONFIG);
        filter.reset();
        assert_eq!(apply(&mut filter, 0.3, None, start + Duration::from_millis(33), &CONFIG), at(0.3));
    }
}
