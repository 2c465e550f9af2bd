//! A simulated hand as a tracker sees it: smooth reaches, pinches, tremor, and the errors of a
//! tracker.
//!
//! Pure: the caller passes the time and gets samples; a seed determines everything else. The same
//! seed gives the same path at any rate, with any noise and drop-outs.

mod config;
mod dropouts;
mod path;

use std::time::Duration;

use fastrand::Rng;

use dropouts::Dropouts;
use path::Path;

pub use config::{HandConfig, HandError, OnLoss};
pub use path::HandPose;

/// A sample and its times, counted from the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When the sample was taken.
    pub taken: Duration,
    /// The delay of its publication; shorter than the time to the next sample.
    pub delay: Duration,
    /// The output of the tracker.
    pub reading: Reading,
}

/// The output of a tracker at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The pose of the hand, or its last pose if the tracker repeats it.
    Hand(HandPose),
    /// All-zero messages.
    Zeros,
    /// No messages.
    Nothing,
}

/// A simulated hand and a simulated tracker.
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

/// The largest error of the noise, in standard deviations.
pub const MAX_SIGMA: f64 = 6.0;

impl Hand {
    /// Creates a hand at rest in the middle of its box, with the fingers apart.
    ///
    /// # Errors
    /// If the box has no volume, or a number is out of range.
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

    /// Returns the next sample that was taken at `elapsed` since the start or later. If the caller
    /// is late, samples are skipped, like frames that a camera drops. They do not come in a burst.
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

/// Returns noise of standard deviation 1, within ±[`MAX_SIGMA`]. It is the sum of twelve uniform
/// numbers (Irwin-Hall), which is close to a normal distribution but bounded.
fn gaussian(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - MAX_SIGMA
}

/// The longest delay, as a share of the time between two samples, so that samples keep their order.
const MAX_DELAY: f64 = 0.9;

/// The tolerance for rounding, as a share of a period: `elapsed` is counted in whole nanoseconds.
const ROUNDING: f64 = 1e-3;

#[cfg(test)]
mod tests;
