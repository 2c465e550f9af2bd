//! Percentiles, medians and ranges.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Returns the value that this share of `sorted` does not exceed (nearest rank). Returns zero if
/// `sorted` is empty.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// A median, with the smallest and the largest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    least: f64,
    pub median: f64,
    greatest: f64,
}

impl Spread {
    /// Returns the spread of values. All its numbers are NaN if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (Some(&least), Some(&greatest)) = (values.first(), values.last()) else {
            return Self { least: f64::NAN, median: f64::NAN, greatest: f64::NAN };
        };
        let half = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[half] } else { 0.5 * (values[half - 1] + values[half]) };
        Self { least, median, greatest }
    }

    /// Returns the spread of the ratios of each value to the value of the same round in `to`.
    pub fn of_ratios(values: impl Iterator<Item = f64>, to: impl Iterator<Item = f64>) -> Self {
        Self::of(values.zip(to).map(|(value, to)| value / to))
    }
}

impl Display for Spread {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.pad(&format!("{:.2} ({:.2} to {:.2})", self.median, self.least, self.greatest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_nearest_rank() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_micros).collect();
        let of = |share| percentile(&sorted, share).as_micros();
        assert_eq!([of(0.5), of(0.99), of(0.999), of(1.0)], [50, 99, 100, 100]);
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn ratios_compare_values_of_the_same_round() {
        let spread = Spread::of_ratios([2.0, 9.0, 8.0].into_iter(), [1.0, 3.0, 2.0].into_iter());
        assert_eq!(spread, Spread { least: 2.0, median: 3.0, greatest: 4.0 });
        assert_eq!(Spread::of([1.0, 2.0]).median, 1.5);
        assert_eq!(spread.to_string(), "3.00 (2.00 to 4.00)");
    }
}
