//! A simulated hand, as a tracker would see it: smooth reaches, pinches, tremor, and what trackers add to them.
//!
//! Pure: time goes in, samples come out, and a seed decides everything else. The same seed gives the same path at any
//! rate and whatever the noise and the drop-outs are.

mod dropouts;
mod path;

use std::time::Duration;

use fastrand::Rng;

use dropouts::Dropouts;
use path::Path;

/// What a simulated hand and its tracker are like.
#[derive(Debug, Clone, PartialEq)]
pub struct HandConfig {
    /// Samples per second.
    pub rate: f64,
    /// Decides the path, the noise and the drop-outs.
    pub seed: u64,
    /// The lower corner of the box that the hand stays in, in metres.
    pub min: [f64; 3],
    /// The upper corner.
    pub max: [f64; 3],
    /// The highest speed of a reach, in m/s.
    pub speed: f64,
    /// Share of the reaches that end with the fingers closing or opening, 0 to 1.
    pub pinch: f64,
    /// Amplitude of the hand's tremor on each axis, in metres.
    pub tremor: f64,
    /// Standard deviation of the tracker's noise on each axis, in metres. It never exceeds [`MAX_SIGMA`] times that.
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

/// What a tracker does while it has lost the hand. All three are seen in practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// Publishes nothing.
    Silent,
    /// Publishes zeros.
    Zeros,
    /// Publishes the last sample again, freshly stamped.
    Repeat,
}

/// A sample and when to publish it, counted from the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When it was taken.
    pub taken: Duration,
    /// How long after that it is published; less than the time to the next sample.
    pub delay: Duration,
    /// What the tracker says.
    pub reading: Reading,
}

/// What a tracker says at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// Where it sees the hand, or saw it last.
    Hand(HandPose),
    /// All-zero messages.
    Zeros,
    /// No messages.
    Nothing,
}

/// Position, rotation and grip of the hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HandPose {
    /// Between the finger tips, in metres.
    pub position: [f64; 3],
    /// Rotation about z, in radians.
    pub yaw: f64,
    /// 0: fingers together, 1: apart.
    pub opening: f64,
}

/// A simulated hand under a simulated tracker.
#[derive(Debug, Clone)]
pub struct Hand {
    config: HandConfig,
    path: Path,
    dropouts: Dropouts,
    position_noise: Rng,
    time_noise: Rng,
    next: u64,
    last: HandPose,
}

/// Why a configuration describes no hand.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum HandError {
    /// The box has no inside.
    #[error(
        "the box from {min:?} to {max:?} m has no inside: each coordinate of min must be below that of max"
    )]
    Box {
        /// The lower corner.
        min: [f64; 3],
        /// The upper corner.
        max: [f64; 3],
    },
    /// A number out of range.
    #[error("{name} is {value:?}; it must be {range}")]
    Range {
        /// What is out of range.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What would be right.
        range: &'static str,
    },
}

/// The most that noise is off, in standard deviations.
pub const MAX_SIGMA: f64 = 6.0;

impl Default for HandConfig {
    /// A steady hand at 30 Hz under a perfect tracker, in a box within the bridge's default workspace.
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

impl Hand {
    /// A hand at rest in the middle of its box, fingers apart.
    ///
    /// # Errors
    /// A box without an inside, or a number that makes no sense.
    pub fn new(config: HandConfig) -> Result<Self, HandError> {
        config.check()?;
        let mut seeds = Rng::with_seed(config.seed);
        let mut path = Path::new(&config, &mut seeds);
        Ok(Self {
            dropouts: Dropouts::new(config.dropout_share, config.dropout_length, seeds.fork()),
            position_noise: seeds.fork(),
            time_noise: seeds.fork(),
            next: 0,
            last: path.at(0.0),
            path,
            config,
        })
    }

    /// The next sample that was not taken before `elapsed` since the start. Samples that the caller is late for are
    /// left out, like frames that a camera drops: they do not come in a burst.
    #[must_use]
    pub fn next(&mut self, elapsed: Duration) -> Sample {
        let due = (elapsed.as_secs_f64() * self.config.rate - ROUNDING).ceil().max(0.0);
        self.next = self.next.max(due as u64);
        let taken = self.next as f64 / self.config.rate;
        self.next += 1;
        Sample { taken: Duration::from_secs_f64(taken), delay: self.delay(), reading: self.reading(taken) }
    }

    fn reading(&mut self, taken: f64) -> Reading {
        let pose = self.path.at(taken);
        let noise = [(); 3].map(|()| gaussian(&mut self.position_noise) * self.config.position_jitter);
        if !self.dropouts.is_lost(taken) {
            self.last = HandPose { position: std::array::from_fn(|i| pose.position[i] + noise[i]), ..pose };
            return Reading::Hand(self.last);
        }
        match self.config.on_loss {
            OnLoss::Silent => Reading::Nothing,
            OnLoss::Zeros => Reading::Zeros,
            OnLoss::Repeat => Reading::Hand(self.last),
        }
    }

    fn delay(&mut self) -> Duration {
        let delay = self.config.time_jitter.mul_f64(gaussian(&mut self.time_noise).abs());
        delay.min(Duration::from_secs_f64(MAX_DELAY / self.config.rate))
    }
}

impl HandConfig {
    fn check(&self) -> Result<(), HandError> {
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

/// Noise of standard deviation 1, within ±[`MAX_SIGMA`]: the sum of twelve uniform numbers (Irwin-Hall), which is near
/// enough to a normal distribution and, unlike one, bounded.
fn gaussian(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - MAX_SIGMA
}

/// The longest delay, as a share of the time between two samples: they never overtake each other.
const MAX_DELAY: f64 = 0.9;

/// How much of a period a caller's `elapsed` may exceed a sample's time by rounding alone: it is counted in whole
/// nanoseconds.
const ROUNDING: f64 = 1e-3;

#[cfg(test)]
mod tests;
