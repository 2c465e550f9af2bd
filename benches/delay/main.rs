//! Measures the bridge from outside, over real DDS and TCP: `make bench`. `docs/performance.md` says how to read it.
//!
//! This process is both of the bridge's neighbours. It publishes poses at a steady rate, each with its sequence number
//! in its position, and is the controller that reads the lines and answers at once. Between the two runs, one at a
//! time, the bridge or what it is compared with. Every round has every program once at every rate, and once at rest, so
//! that what else the machine does falls on all alike; what counts is the ratios, not the microseconds.
#![forbid(unsafe_code)]
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
    let examples = std::env::current_exe()?.parent().context("this program lies nowhere")?.to_owned();
    let bridge = arguments.bridge.clone().unwrap_or_else(|| examples.join("../bridge"));
    let programs = Program::all(&bridge, &examples);
    let mut tracker = Tracker::create()?;

    let before = Processors::now()?;
    let mut measured = programs.each_ref().map(|program| Measured::new(program.name, arguments.rates.len()));
    for number in 1..=arguments.rounds {
        measure(&arguments, number, &programs, &mut measured, &mut tracker, &interrupted)?;
    }
    let stolen = Processors::now()?.stolen_since(&before);
    let Arguments { rates, rounds, seconds, .. } = arguments;
    print!("{}", Report { rates, rounds, seconds, stolen, programs: &measured });
    Ok(())
}

/// One round.
fn measure(
    arguments: &Arguments,
    number: u32,
    programs: &[Program],
    measured: &mut [Measured],
    tracker: &mut Tracker,
    interrupted: &AtomicBool,
) -> anyhow::Result<()> {
    let Arguments { rates, rounds, seconds, .. } = arguments;
    // Nobody comes always first, or always after the same one.
    let turn = (0..programs.len()).cycle().skip(number as usize - 1).take(programs.len());

    eprint!("round {number} of {rounds}, at rest:");
    for at in turn.clone() {
        let program = &programs[at];
        let rest = rest::run(program, tracker, *seconds, interrupted)
            .inspect_err(|_| eprintln!())
            .with_context(|| format!("{} at rest", program.name))?;
        eprint!("  {} {:.2} %", program.name, rest.idle);
        measured[at].rests.push(rest);
    }
    eprintln!();
    for (&rate, place) in rates.iter().zip(0..) {
        eprint!("round {number} of {rounds}, {rate} Hz:");
        for at in turn.clone() {
            let program = &programs[at];
            let plan = round::Plan { rate, seconds: *seconds, interrupted };
            let round = round::run(program, tracker, &plan)
                .inspect_err(|_| eprintln!())
                .with_context(|| format!("{} at {rate} Hz", program.name))?;
            eprint!("  {} {:.1} µs", program.name, micros(round.percentile(0.5)));
            measured[at].rates[place].push(round);
        }
        eprintln!();
    }
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
