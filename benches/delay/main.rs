//! Measures the bridge from outside, over real DDS and TCP. `make bench` runs it.
//! `docs/performance.md` explains the results.
//!
//! This process is both the tracker and the controller. As the tracker it publishes poses at a
//! steady rate, each with its sequence number in its position. As the controller it reads the lines
//! and replies immediately. The bridge, or a program for comparison, runs between the two. Only one
//! program runs at a time.
//!
//! Every round measures every program once at every rate, and once at rest. Therefore the other
//! load of the machine affects all programs equally. The ratios are the result, not the
//! microseconds.
#![allow(clippy::disallowed_methods)] // measures time

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

/// Measures the delay from publishing a pose to its line, and the cost: of the bridge, of a minimal
/// program (floor) and of a simple rclpy node
#[derive(Parser)]
struct Arguments {
    /// Publishing rates in Hz, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000, 5000])]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=10_000))]
    rates: Vec<u32>,
    /// Number of rounds; each measures every program once at every rate, and once at rest
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Duration of each measurement in seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Repeat a measurement, at most twice, if other machines on the same hardware took more than
    /// this percentage of the processors' time
    #[arg(long, default_value_t = 100.0)]
    max_stolen: f64,
    /// Measure two rounds of one second
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
    let programs = std::env::current_exe()?.parent().context("this program has no folder")?.to_owned();
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
    /// The percentage of the processors' time that other machines took during each valid
    /// measurement.
    stolen: Vec<f64>,
    /// How often all programs were measured again because of other machines.
    repeated: u32,
}

impl Bench {
    /// Measures one round.
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
        for (&rate, index) in rates.iter().zip(0..) {
            let each = self.each(
                number,
                &format!("round {number} of {rounds}, {rate} Hz"),
                |program, tracker, interrupted| {
                    round::run(program, tracker, &Plan { rate, seconds, interrupted })
                },
                |round| format!("{:.1} µs", micros(round.percentile(0.5))),
            )?;
            for (measured, round) in self.measured.iter_mut().zip(each) {
                measured.rates[index].push(round);
            }
        }
        Ok(())
    }

    /// Measures every program. If other machines took too much time, measures all programs again.
    /// Returns the valid results.
    fn each<T>(
        &mut self,
        number: u32,
        title: &str,
        run: impl Fn(&Program, &mut Tracker, &AtomicBool) -> anyhow::Result<T>,
        show: impl Fn(&T) -> String,
    ) -> anyhow::Result<Vec<T>> {
        // Each round starts with another program.
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
                eprint!("  {} {}", program.name, show(&result));
                results[at] = Some(result);
            }
            let most = stolen.iter().copied().fold(0.0, f64::max);
            if most <= self.arguments.max_stolen || repetitions.next().is_none() {
                eprintln!();
                self.stolen.append(&mut stolen);
                return Ok(results.into_iter().flatten().collect());
            }
            eprintln!("  (other machines took up to {most:.0} %: measuring again)");
            self.repeated += 1;
        }
    }
}

/// Returns a flag that becomes true on SIGINT or SIGTERM. The process must then end the programs
/// that it has started.
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

/// The most repetitions of a measurement.
const REPETITIONS: u32 = 2;
