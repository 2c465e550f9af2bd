//! Measures the delay from publish to line, from outside, over real DDS and TCP: `make bench`.
//!
//! This process is both of the bridge's neighbours. It publishes poses at a steady rate, each with its sequence number
//! in its position, and is the controller that reads the lines and answers at once. Between the two runs, one at a
//! time, the bridge or what it is compared with. Rounds are interleaved, so that what else the machine does falls on
//! all alike; what counts is the ratio, not the microseconds.
#![allow(clippy::disallowed_methods)] // a stopwatch

mod controller;
mod peer;
mod report;
mod round;
mod tracker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use peer::Program;
use report::Report;
use tracker::Tracker;

/// Delay from publish to line, for the bridge and for a floor that does nothing but the unavoidable.
#[derive(Parser)]
struct Arguments {
    /// Rates to publish at, in Hz, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000])]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=10_000))]
    rates: Vec<u32>,
    /// Rounds at each rate; each measures every program once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds measured in a round, for each program
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// The bridge to measure [default: the release build beside this program]
    #[arg(long)]
    bridge: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let interrupted = watch_for_signals()?;
    let examples = std::env::current_exe()?.parent().context("this program lies nowhere")?.to_owned();
    let bridge = arguments.bridge.unwrap_or_else(|| examples.join("../bridge"));
    let programs = [Program::floor(examples.join("floor")), Program::bridge(bridge)];
    let mut tracker = Tracker::create()?;

    let mut report = Report::new(arguments.rounds, arguments.seconds);
    for &rate in &arguments.rates {
        let mut rounds: Vec<_> = programs.iter().map(|_| Vec::new()).collect();
        for number in 1..=arguments.rounds {
            eprint!("{rate} Hz, round {number} of {}:", arguments.rounds);
            for (program, rounds) in programs.iter().zip(&mut rounds) {
                let plan = round::Plan { rate, seconds: arguments.seconds, interrupted: &interrupted };
                let round = round::run(program, &mut tracker, &plan)
                    .inspect_err(|_| eprintln!())
                    .with_context(|| format!("{} at {rate} Hz", program.name))?;
                eprint!("  {} {:.1} µs", program.name, report::micros(round.percentile(0.5)));
                rounds.push(round);
            }
            eprintln!();
        }
        report.add(rate, programs.iter().map(|program| program.name).zip(rounds).collect());
    }
    print!("{report}");
    Ok(())
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
