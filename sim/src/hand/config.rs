//! The settings of a simulated hand and its tracker.

use std::time::Duration;

/// The settings of a simulated hand and its tracker.
#[derive(Debug, Clone, PartialEq)]
pub struct HandConfig {
    /// Samples per second.
    pub rate: f64,
    /// The seed of the path, the noise and the drop-outs.
    pub seed: u64,
    /// The lower corner of the box that the hand stays in, in metres.
    pub min: [f64; 3],
    /// The upper corner.
    pub max: [f64; 3],
    /// The highest speed of a reach (one straight motion of the hand), in m/s.
    pub speed: f64,
    /// Share of the reaches after which the fingers close or open, 0 to 1.
    pub pinch: f64,
    /// Amplitude of the hand's tremor on each axis, in metres.
    pub tremor: f64,
    /// Standard deviation of the tracker's noise on each axis, in metres. The noise never exceeds
    /// [`MAX_SIGMA`](super::MAX_SIGMA) times this value.
    pub position_jitter: f64,
    /// Standard deviation of the delay between taking a sample and publishing it.
    pub time_jitter: Duration,
    /// Share of the time in which the tracker has lost the hand, 0 to 0.9.
    pub dropout_share: f64,
    /// Mean length of a loss.
    pub dropout_length: Duration,
    /// What the tracker does while it has lost the hand.
    pub on_loss: OnLoss,
}

/// The behaviour of a tracker that has lost the hand. All three occur in practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// Publishes nothing.
    Silent,
    /// Publishes zeros.
    Zeros,
    /// Publishes the last sample again, with a new stamp.
    Repeat,
}

/// The reason why a configuration is invalid.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum HandError {
    /// The box has no volume.
    #[error("the box from {min:?} to {max:?} m is empty: each coordinate of min must be below that of max")]
    Box {
        /// The lower corner.
        min: [f64; 3],
        /// The upper corner.
        max: [f64; 3],
    },
    /// A number out of range.
    #[error("{name} is {value:?}; it must be {range}")]
    Range {
        /// The name of the number.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The allowed range.
        range: &'static str,
    },
}

impl Default for HandConfig {
    /// Returns a steady hand at 30 Hz and a perfect tracker, in a box within the bridge's default
    /// workspace.
    fn default() -> Self {
        Self {
            rate: 30.0,
            seed: 1,
            min: [0.1, -0.2, 0.08],
            max: [0.28, 0.2, 0.3],
            speed: 0.18,
            pinch: 0.6,
            tremor: 0.0003,
            position_jitter: 0.0,
            time_jitter: Duration::ZERO,
            dropout_share: 0.0,
            dropout_length: Duration::from_secs(1),
            on_loss: OnLoss::Silent,
        }
    }
}

impl HandConfig {
    /// Checks that the settings are valid.
    pub(super) fn check(&self) -> Result<(), HandError> {
        let (min, max) = (self.min, self.max);
        let has_inside =
            |axis: usize| min[axis].is_finite() && max[axis].is_finite() && min[axis] < max[axis];
        if !(0..3).all(has_inside) {
            return Err(HandError::Box { min, max });
        }
        let require = |name, value: f64, holds: bool, range| {
            if holds && value.is_finite() { Ok(()) } else { Err(HandError::Range { name, value, range }) }
        };
        require("rate", self.rate, self.rate > 0.0, "above 0 Hz")?;
        require("speed", self.speed, self.speed > 0.0, "above 0 m/s")?;
        require("pinch", self.pinch, (0.0..=1.0).contains(&self.pinch), "from 0 to 1")?;
        require("tremor", self.tremor, self.tremor >= 0.0, "at least 0 m")?;
        require("position_jitter", self.position_jitter, self.position_jitter >= 0.0, "at least 0 m")?;
        let share = self.dropout_share;
        require("dropout_share", share, (0.0..=0.9).contains(&share), "from 0 to 0.9")?;
        let length = self.dropout_length.as_secs_f64();
        require("dropout_length", length, length > 0.0, "above 0 s")
    }
}
