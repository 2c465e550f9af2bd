//! The measurement of one program at one rate for a few seconds.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::controller::Arrival;
use crate::flow::Flow;
use crate::program::Program;
use crate::session::{Session, check_interrupt};
use crate::statistics::percentile;
use crate::tracker::{Metronome, Tracker};

/// The settings of the measurement.
pub struct Plan<'a> {
    /// The number of poses per second.
    pub rate: u32,
    /// The duration in seconds.
    pub seconds: u32,
    /// Becomes true if the run must end immediately.
    pub interrupted: &'a AtomicBool,
}

/// The result of the measurement.
pub struct Round {
    /// The results of the poses. The delays are sorted.
    pub flow: Flow,
    /// The processor time during the measurement.
    pub cpu: Duration,
    /// The peak of the resident memory since the program's start, in KiB.
    pub peak_memory: u64,
}

impl Round {
    /// Returns the delay that this share of the lines does not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        percentile(&self.flow.delays, share)
    }
}

/// Starts the program, waits until it sends lines steadily, measures it, and stops it.
pub fn run(program: &Program, tracker: &mut Tracker, plan: &Plan<'_>) -> anyhow::Result<Round> {
    let mut session = Session::start(program, tracker, plan.interrupted)?;
    let metronome = Metronome::new(plan.rate);
    let mut run = Run { tracker, plan, metronome, published: Vec::new(), arrivals: Vec::new() };

    run.until_lines_flow(&mut session)?;
    let first = run.published.len();
    let cpu = session.peer.cpu_time()?;
    for _ in 0..plan.rate * plan.seconds {
        run.publish()?;
    }
    run.collect(&session);
    let cpu = session.peer.cpu_time()?.saturating_sub(cpu);
    let peak_memory = session.peer.peak_memory()?;
    let Run { published, arrivals, .. } = run;
    session.end()?;

    let mut flow = Flow::new(&published, arrivals, first);
    flow.delays.sort_unstable();
    Ok(Round { flow, cpu, peak_memory })
}

struct Run<'a> {
    tracker: &'a mut Tracker,
    plan: &'a Plan<'a>,
    metronome: Metronome,
    /// The publishing time of each pose. The index is its sequence number.
    published: Vec<Instant>,
    arrivals: Vec<Arrival>,
}

impl Run<'_> {
    fn publish(&mut self) -> anyhow::Result<()> {
        check_interrupt(self.plan.interrupted)?;
        self.metronome.wait();
        let at = self.tracker.publish(self.published.len().try_into()?)?;
        self.published.push(at);
        Ok(())
    }

    /// Publishes until the lines of half a second have arrived that match published poses. Then
    /// discovery and the approach are complete, and the caches are warm.
    fn until_lines_flow(&mut self, session: &mut Session<'_>) -> anyhow::Result<()> {
        let deadline = Instant::now() + FLOW_TIMEOUT;
        let mut flowing = 0;
        while flowing < self.plan.rate / 2 {
            self.publish()?;
            for arrival in session.controller.arrivals.try_iter() {
                flowing += u32::from(arrival.seq.is_ok());
                self.arrivals.push(arrival);
            }
            if Instant::now() > deadline {
                let altered = self.arrivals.iter().rev().find_map(|arrival| arrival.seq.as_ref().err());
                let last = altered.map(|line| format!("; the last other line: {line}")).unwrap_or_default();
                bail!(
                    "only {flowing} lines that match a pose arrived within {FLOW_TIMEOUT:?}, for {} published poses{last}\n{}",
                    self.published.len(),
                    session.peer.printed()
                );
            }
        }
        session.peer.check_alive()
    }

    /// Collects the lines until the line of the last pose, at most for [`LINGER`].
    fn collect(&mut self, session: &Session<'_>) {
        let deadline = Instant::now() + LINGER;
        let left = || deadline.saturating_duration_since(Instant::now());
        while let Ok(arrival) = session.controller.arrivals.recv_timeout(left()) {
            let last = arrival.seq.as_ref().is_ok_and(|&seq| seq as usize + 1 == self.published.len());
            self.arrivals.push(arrival);
            if last {
                break;
            }
        }
    }
}

const FLOW_TIMEOUT: Duration = Duration::from_secs(20);
/// The time after which the last line counts as lost.
const LINGER: Duration = Duration::from_secs(1);
