//! The times at which the tracker loses the hand, and the lengths of the losses.

use std::time::Duration;

use fastrand::Rng;

/// Losses of random length with random gaps, evaluated forwards in time.
#[derive(Debug, Clone)]
pub(super) struct Dropouts {
    rng: Rng,
    /// The mean lengths of a loss and a gap, in seconds; `None` if the hand is never lost.
    means: Option<Means>,
    lost: bool,
    /// When the present loss or gap ends, in seconds.
    until: f64,
}

#[derive(Debug, Clone, Copy)]
struct Means {
    loss: f64,
    gap: f64,
}

impl Dropouts {
    /// Creates losses that take `share` of the time, with the mean length `length`. A gap comes
    /// first.
    pub(super) fn new(share: f64, length: Duration, rng: Rng) -> Self {
        let loss = length.as_secs_f64();
        let means = (share > 0.0).then(|| Means { loss, gap: loss * (1.0 - share) / share });
        let mut dropouts = Self { rng, means, lost: true, until: 0.0 };
        dropouts.is_lost(0.0);
        dropouts
    }

    /// Returns whether the hand is lost at `t` seconds from the start. `t` must not decrease
    /// between calls.
    pub(super) fn is_lost(&mut self, t: f64) -> bool {
        let Some(means) = self.means else { return false };
        while t >= self.until {
            self.lost = !self.lost;
            let mean = if self.lost { means.loss } else { means.gap };
            self.until += mean * (1.0 + SPREAD * (2.0 * self.rng.f64() - 1.0));
        }
        self.lost
    }
}

/// The lengths differ from the mean by at most this share.
pub(super) const SPREAD: f64 = 0.5;
