//! The table.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::round::{Round, percentile};

/// A program's name and what was measured of it.
type Measured = (&'static str, Vec<Round>);

/// All that was measured, to be printed.
pub struct Report {
    rounds: u32,
    seconds: u32,
    rates: Vec<(u32, Vec<Measured>)>,
}

impl Report {
    pub fn new(rounds: u32, seconds: u32) -> Self {
        Self { rounds, seconds, rates: Vec::new() }
    }

    /// Adds what was measured at a rate, for each program; the first is what the others are compared with.
    pub fn add(&mut self, rate: u32, programs: Vec<Measured>) {
        self.rates.push((rate, programs));
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "Delay from publish to line; {} rounds of {} s, interleaved.",
            self.rounds, self.seconds
        )?;
        writeln!(
            out,
            "p50 and p99: medians over the rounds; p99.9 and max: over all lines; the rest: over all rounds."
        )?;
        writeln!(
            out,
            "{:>8}  {:<8}{:>9}{:>9}{:>11}{:>9}{:>8}{:>8}{:>8}{:>10}",
            "rate", "program", "p50 µs", "p99 µs", "p99.9 µs", "max µs", "lines", "lost", "CPU s", "peak MB"
        )?;
        for (rate, programs) in &self.rates {
            for (name, rounds) in programs {
                write_row(out, *rate, name, rounds)?;
            }
        }
        for (rate, programs) in &self.rates {
            let Some(((base, floor), others)) = programs.split_first() else { continue };
            for (name, rounds) in others {
                let [p50, p99] = [0.5, 0.99].map(|share| ratio(rounds, floor, share));
                writeln!(out, "{name} p50 / {base} p50 = {p50} at {rate} Hz; p99: {p99}")?;
            }
        }
        Ok(())
    }
}

/// In microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn write_row(out: &mut Formatter<'_>, rate: u32, name: &str, rounds: &[Round]) -> fmt::Result {
    let mut all: Vec<Duration> = rounds.iter().flat_map(|round| round.delays().iter().copied()).collect();
    all.sort_unstable();
    let published: usize = rounds.iter().map(|round| round.published).sum();
    let cpu: Duration = rounds.iter().map(|round| round.cpu).sum();
    let memory = rounds.iter().map(|round| round.peak_memory).max().unwrap_or_default();
    writeln!(
        out,
        "{:>8}  {name:<8}{:>9.1}{:>9.1}{:>11.1}{:>9.1}{:>8}{:>8}{:>8.2}{:>10.1}",
        format!("{rate} Hz"),
        micros(median_of(rounds, 0.5)),
        micros(median_of(rounds, 0.99)),
        micros(percentile(&all, 0.999)),
        micros(percentile(&all, 1.0)),
        all.len(),
        published - all.len(),
        cpu.as_secs_f64(),
        memory as f64 / 1024.0,
    )
}

/// The median over the rounds of their percentiles.
fn median_of(rounds: &[Round], share: f64) -> Duration {
    let mut values: Vec<Duration> = rounds.iter().map(|round| round.percentile(share)).collect();
    values.sort_unstable();
    percentile(&values, 0.5)
}

/// The ratio of the medians, and between what the ratios of the single rounds lie.
fn ratio(rounds: &[Round], floor: &[Round], share: f64) -> String {
    let of = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    let pairs = rounds.iter().zip(floor).map(|(a, b)| of(a.percentile(share), b.percentile(share)));
    let (low, high) = pairs.fold((f64::INFINITY, 0.0), |(low, high), pair| (pair.min(low), pair.max(high)));
    let medians = of(median_of(rounds, share), median_of(floor, share));
    format!("{medians:.2} (rounds {low:.2} to {high:.2})")
}
