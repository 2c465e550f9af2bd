//! Prints the tables of the results.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::rest::Rest;
use crate::round::Round;
use crate::statistics::{Spread, percentile};

/// The results of a program.
pub struct Measured {
    name: &'static str,
    /// The result at rest of each round.
    pub rests: Vec<Rest>,
    /// For each rate, the result of each round.
    pub rates: Vec<Vec<Round>>,
}

impl Measured {
    pub fn new(name: &'static str, rates: usize) -> Self {
        Self { name, rests: Vec::new(), rates: (0..rates).map(|_| Vec::new()).collect() }
    }
}

/// All results, to be printed.
pub struct Report<'a> {
    pub rates: Vec<u32>,
    pub rounds: u32,
    pub seconds: u32,
    /// The percentage of the processors' time that other machines took.
    pub stolen: f64,
    /// The number of repetitions because of other machines.
    pub repeated: u32,
    /// The results of all programs. The others are compared with the first one.
    pub programs: &'a [Measured],
}

impl Display for Report<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(floor) = self.programs.first() else { return Ok(()) };
        let Self { rounds, seconds, stolen, repeated, .. } = self;
        let repeated = if *repeated > 0 { format!(", after {repeated} repetitions") } else { String::new() };
        writeln!(
            out,
            "{rounds} rounds of {seconds} s, interleaved; other machines on this hardware took {stolen:.1} % of the \
             processors' time{repeated}.\n\
             p99.9: over all lines. lines, coalesced, lost, CPU: sum of all rounds. peak: maximum of all rounds. Other \
             figures: median of the rounds.\n\
             × floor: median of the ratios of the rounds (smallest to largest).\n\
             coalesced: a newer target arrived before the controller replied. lost: no line for another reason."
        )?;
        self.write_delays(out, floor)?;
        self.write_costs(out, floor)?;
        self.write_rest(out, floor)
    }
}

impl Report<'_> {
    fn write_delays(&self, out: &mut Formatter<'_>, floor: &Measured) -> fmt::Result {
        writeln!(
            out,
            "\n{:<14}{:<14}{:>8}  {RATIO:<21}{:>8}  {RATIO:<21}{:>8}{:>9}{:>11}{:>7}",
            "delay", "", "p50 µs", "p99 µs", "p99.9 µs", "lines", "coalesced", "lost"
        )?;
        self.each_rate(|rate, index, program| {
            let (rounds, floor) = (&program.rates[index], &floor.rates[index]);
            let mut all: Vec<_> = rounds.iter().flat_map(|round| round.flow.delays.iter().copied()).collect();
            all.sort_unstable();
            write!(out, "{rate:<14}{:<14}", program.name)?;
            for share in [0.5, 0.99] {
                let of = |round: &Round| micros(round.percentile(share));
                let (median, ratio) = compared(rounds, floor, of);
                write!(out, "{median:>8.1}  {ratio:<21}")?;
            }
            let sum = |count: fn(&Round) -> usize| rounds.iter().map(count).sum::<usize>();
            let (coalesced, lost) = (sum(|round| round.flow.coalesced), sum(|round| round.flow.lost));
            writeln!(out, "{:>8.1}{:>9}{coalesced:>11}{lost:>7}", micros(percentile(&all, 0.999)), all.len())
        })
    }

    fn write_costs(&self, out: &mut Formatter<'_>, floor: &Measured) -> fmt::Result {
        writeln!(out, "\n{:<14}{:<14}{:>8}  {RATIO:<21}{:>8}", "cost", "", "CPU s", "peak MB")?;
        self.each_rate(|rate, index, program| {
            let (rounds, floor) = (&program.rates[index], &floor.rates[index]);
            let cpu: Duration = rounds.iter().map(|round| round.cpu).sum();
            let (_, ratio) = compared(rounds, floor, |round| round.cpu.as_secs_f64());
            let memory = megabytes(rounds.iter().map(|round| round.peak_memory));
            writeln!(
                out,
                "{rate:<14}{:<14}{:>8.2}  {ratio:<21}{memory:>8.1}",
                program.name,
                cpu.as_secs_f64()
            )
        })
    }

    fn write_rest(&self, out: &mut Formatter<'_>, floor: &Measured) -> fmt::Result {
        writeln!(
            out,
            "\n{:<28}{:>8}  {RATIO:<21}{:>8}{:>20}",
            "start and rest", "start ms", "peak MB", "idle, % of a core"
        )?;
        for program in self.programs {
            let Measured { name, rests, .. } = program;
            let start = |rest: &Rest| rest.connected_after.as_secs_f64() * 1e3;
            let (median, ratio) = compared(rests, &floor.rests, start);
            let memory = megabytes(rests.iter().map(|rest| rest.peak_memory));
            let idle = Spread::of(rests.iter().map(|rest| rest.idle));
            writeln!(out, "{:<14}{name:<14}{median:>8.1}  {ratio:<21}{memory:>8.1}{idle:>20}", "")?;
        }
        writeln!(
            out,
            "start: from the start of the process to its first connection. idle: connected, without messages."
        )
    }

    fn each_rate(&self, mut write: impl FnMut(String, usize, &Measured) -> fmt::Result) -> fmt::Result {
        for (index, rate) in self.rates.iter().enumerate() {
            for (at, program) in self.programs.iter().enumerate() {
                let rate = if at == 0 { format!("{rate} Hz") } else { String::new() };
                write(rate, index, program)?;
            }
        }
        Ok(())
    }
}

/// Converts to microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Returns the median of the rounds, and the ratios to the floor as text. The text is empty for the
/// floor itself.
fn compared<T>(rounds: &[T], floor: &[T], of: impl Fn(&T) -> f64) -> (f64, String) {
    let median = Spread::of(rounds.iter().map(&of)).median;
    if std::ptr::eq(rounds, floor) {
        return (median, String::new());
    }
    (median, Spread::of_ratios(rounds.iter().map(&of), floor.iter().map(&of)).to_string())
}

fn megabytes(kibibytes: impl Iterator<Item = u64>) -> f64 {
    kibibytes.max().unwrap_or_default() as f64 / 1024.0
}

const RATIO: &str = "× floor";
