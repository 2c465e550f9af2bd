//! Measures the bridge from outside, over real DDS and TCP: `make bench`. `docs/performance.md` says how to read it.
//!
//! This process is both of the bridge's neighbours. It publishes poses at a steady rate, each with its sequence number
//! in its position, and is the controller that reads the lines and answers at once. Between the two runs, one at a
//! time, the bridge or what it is compared with. Every round has every program once at every rate, and once at rest, so
//! that what else the machine does falls on all alike; what counts is the ratios, not the microseconds.
#![allow(clippy::disallowed_methods)] // a stopwatch

mod controller;
mod flow;
mod kernel;
mod peer;
mod program;
mod report;
mod rest;
mod round;
mod session;
mod statistics;
mod tracker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use kernel::Processors;
use program::Program;
use report::{Measured, Report, micros};
use round::Plan;
use tracker::Tracker;

/// Delay from publish to line, and its cost: the bridge, a floor that does nothing but the unavoidable, and a plain
/// rclpy node.
#[derive(Parser)]
struct Arguments {
    /// Rates to publish at, in Hz, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000, 5000])]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=10_000))]
    rates: Vec<u32>,
    /// Rounds; each measures every program once at every rate, and once at rest
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds measured in a round, for each program and rate
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Measure again, twice at most, where other machines on the same hardware took more than so many per cent of the
    /// processors' time
    #[arg(long, default_value_t = 100.0)]
    max_stolen: f64,
    /// A first look: two rounds of one second
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// The bridge to measure [default: the release build beside this program]
    #[arg(long)]
    bridge: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        (arguments.rounds, arguments.seconds) = (2, 1);
    }
    let interrupted = watch_for_signals()?;
    let programs = std::env::current_exe()?.parent().context("this program lies nowhere")?.to_owned();
    let bridge = arguments.bridge.clone().unwrap_or_else(|| programs.join("bridge"));
    let programs = Program::all(&bridge, &programs);
    let measured = programs.each_ref().map(|program| Measured::new(program.name, arguments.rates.len()));
    let tracker = Tracker::create()?;
    let mut bench =
        Bench { arguments, programs, measured, tracker, interrupted, stolen: Vec::new(), repeated: 0 };
    for number in 1..=bench.arguments.rounds {
        bench.measure(number)?;
    }
    let Bench { arguments: Arguments { rates, rounds, seconds, .. }, measured, stolen, repeated, .. } = bench;
    let stolen = stolen.iter().sum::<f64>() / stolen.len() as f64;
    print!("{}", Report { rates, rounds, seconds, stolen, repeated, programs: &measured });
    Ok(())
}

struct Bench {
    arguments: Arguments,
    programs: [Program; 4],
    measured: [Measured; 4],
    tracker: Tracker,
    interrupted: Arc<AtomicBool>,
    /// The share of the processors' time that other machines took, in per cent, while each was measured that counts.
    stolen: Vec<f64>,
    /// How often all programs were measured again for that.
    repeated: u32,
}

impl Bench {
    /// One round.
    fn measure(&mut self, number: u32) -> anyhow::Result<()> {
        let Arguments { rates, rounds, seconds, .. } = &self.arguments;
        let (rates, rounds, seconds) = (rates.clone(), *rounds, *seconds);
        let each = self.each(
            number,
            &format!("round {number} of {rounds}, at rest"),
            |program, tracker, interrupted| rest::run(program, tracker, seconds, interrupted),
            |rest| format!("{:.2} %", rest.idle),
        )?;
        for (measured, rest) in self.measured.iter_mut().zip(each) {
            measured.rests.push(rest);
        }
        for (&rate, place) in rates.iter().zip(0..) {
            let each = self.each(
                number,
                &format!("round {number} of {rounds}, {rate} Hz"),
                |program, tracker, interrupted| {
                    round::run(program, tracker, &Plan { rate, seconds, interrupted })
                },
                |round| format!("{:.1} µs", micros(round.percentile(0.5))),
            )?;
            for (measured, round) in self.measured.iter_mut().zip(each) {
                measured.rates[place].push(round);
            }
        }
        Ok(())
    }

    /// Measures every program, and all of them again where other machines took too much meanwhile. Returns what counts.
    fn each<T>(
        &mut self,
        number: u32,
        title: &str,
        run: impl Fn(&Program, &mut Tracker, &AtomicBool) -> anyhow::Result<T>,
        say: impl Fn(&T) -> String,
    ) -> anyhow::Result<Vec<T>> {
        // Nobody comes always first, or always after the same one.
        let first = (number as usize - 1) % self.programs.len();
        let mut repetitions = 0..REPETITIONS;
        loop {
            eprint!("{title}:");
            let mut results: Vec<_> = self.programs.iter().map(|_| None).collect();
            let mut stolen = Vec::new();
            for at in (0..self.programs.len()).cycle().skip(first).take(self.programs.len()) {
                let (program, before) = (&self.programs[at], Processors::now()?);
                let result = run(program, &mut self.tracker, &self.interrupted)
                    .inspect_err(|_| eprintln!())
                    .with_context(|| format!("{}, {title}", program.name))?;
                stolen.push(Processors::now()?.stolen_since(&before));
                eprint!("  {} {}", program.name, say(&result));
                results[at] = Some(result);
            }
            let most = stolen.iter().copied().fold(0.0, f64::max);
            if most <= self.arguments.max_stolen || repetitions.next().is_none() {
                eprintln!();
                self.stolen.append(&mut stolen);
                return Ok(results.into_iter().flatten().collect());
            }
            eprintln!("  (others took up to {most:.0} %: again)");
            self.repeated += 1;
        }
    }
}

/// A flag that rises when this process is asked to end: then what it has started must end too.
fn watch_for_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let [mut interrupt, mut terminate] = {
        let _context = runtime.enter();
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        });
        flag.store(true, Ordering::Relaxed);
    });
    Ok(raised)
}

/// How often at most all programs are measured again.
const REPETITIONS: u32 = 2;
