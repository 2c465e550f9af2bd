//! One program at rest: connected, and nothing is published.

use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::program::Program;
use crate::session::{Session, check_interrupt};
use crate::tracker::Tracker;

/// What was measured.
pub struct Rest {
    /// From the start of the process to its connection.
    pub connected_after: Duration,
    /// Processor time used at rest, in per cent of one core.
    pub idle: f64,
    /// The most memory resident since the program's start, KiB.
    pub peak_memory: u64,
}

/// Starts the program, leaves it alone for so many seconds, and stops it.
pub fn run(
    program: &Program,
    tracker: &Tracker,
    seconds: u32,
    interrupted: &AtomicBool,
) -> anyhow::Result<Rest> {
    let mut session = Session::start(program, tracker, interrupted)?;
    sleep(SETTLE);
    let (since, before) = (Instant::now(), session.peer.cpu_time()?);
    for _ in 0..seconds {
        sleep(Duration::from_secs(1));
        check_interrupt(interrupted)?;
    }
    let used = session.peer.cpu_time()?.saturating_sub(before);
    let idle = 100.0 * used.as_secs_f64() / since.elapsed().as_secs_f64();
    session.peer.check_alive()?;
    let (connected_after, peak_memory) = (session.connected_after, session.peer.peak_memory()?);
    session.end()?;
    Ok(Rest { connected_after, idle, peak_memory })
}

/// Until the tracker and the program have discovered each other.
const SETTLE: Duration = Duration::from_millis(500);
