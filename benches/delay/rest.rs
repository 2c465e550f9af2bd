//! The measurement of one program at rest: it is connected and receives no messages.

use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::program::Program;
use crate::session::{Session, check_interrupt};
use crate::tracker::Tracker;

/// The result of the measurement.
pub struct Rest {
    /// The time from the start of the process to its connection.
    pub connected_after: Duration,
    /// The processor time at rest, in per cent of one core.
    pub idle: f64,
    /// The peak of the resident memory since the program's start, in KiB.
    pub peak_memory: u64,
}

/// Starts the program, measures it for this many seconds without messages, and stops it.
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

/// The time for the discovery between the tracker and the program.
const SETTLE: Duration = Duration::from_millis(500);
