//! One program at one rate, measured for a few seconds.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::controller::{Arrival, Controller};
use crate::peer::{Peer, Program};
use crate::tracker::{Metronome, Tracker};

/// What to measure.
pub struct Plan<'a> {
    /// Poses a second.
    pub rate: u32,
    /// For how long.
    pub seconds: u32,
    /// Rises when the run is to end at once.
    pub interrupted: &'a AtomicBool,
}

/// What was measured.
pub struct Round {
    /// From just before publish to the line read, sorted; one for each pose whose line came.
    delays: Vec<Duration>,
    /// Poses published.
    pub published: usize,
    /// Processor time used meanwhile.
    pub cpu: Duration,
    /// The most memory resident since the program's start, KiB.
    pub peak_memory: u64,
}

impl Round {
    /// The delay that this share of the lines did not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        percentile(&self.delays, share)
    }

    /// All delays, sorted.
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }
}

/// The value that this share of `sorted` does not exceed (nearest rank); zero where there is none.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Starts the program, waits until its lines flow, measures, and stops it.
pub fn run(program: &Program, tracker: &mut Tracker, plan: &Plan<'_>) -> anyhow::Result<Round> {
    tracker.wait_until_alone()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut peer = Peer::start(program, listener.local_addr()?.port())?;
    let controller = Controller::start(accept(&listener, &mut peer, plan)?)?;
    let mut run = Run { tracker, plan, metronome: Metronome::new(plan.rate), published: Vec::new() };

    run.until_lines_flow(&controller, &mut peer)?;
    let first = run.published.len();
    let cpu = peer.cpu_time()?;
    for _ in 0..plan.rate * plan.seconds {
        run.publish()?;
    }
    let arrivals = run.collect(&controller);
    let cpu = peer.cpu_time()? - cpu;
    let peak_memory = peer.peak_memory()?;

    let published = run.published;
    drop(controller);
    peer.stop()?;
    let mut delays = vec![None; published.len()];
    for arrival in arrivals {
        let Some(seq) = arrival.seq.ok().map(|seq| seq as usize).filter(|&seq| seq < published.len()) else {
            continue;
        };
        // A target that was sent twice has arrived once.
        delays[seq].get_or_insert(arrival.at.saturating_duration_since(published[seq]));
    }
    let mut delays: Vec<Duration> = delays.drain(first..).flatten().collect();
    delays.sort_unstable();
    Ok(Round { delays, published: published.len() - first, cpu, peak_memory })
}

struct Run<'a> {
    tracker: &'a mut Tracker,
    plan: &'a Plan<'a>,
    metronome: Metronome,
    /// When each pose was published; its sequence number is the index.
    published: Vec<Instant>,
}

impl Run<'_> {
    fn publish(&mut self) -> anyhow::Result<()> {
        check_interrupt(self.plan)?;
        self.metronome.wait();
        let at = self.tracker.publish(self.published.len().try_into()?)?;
        self.published.push(at);
        Ok(())
    }

    /// Publishes until half a second's worth of lines has come, each for a pose as it was published: discovery is over,
    /// an approach too, and caches are warm.
    fn until_lines_flow(&mut self, controller: &Controller, peer: &mut Peer<'_>) -> anyhow::Result<()> {
        let deadline = Instant::now() + FLOW_TIMEOUT;
        let (mut flowing, mut altered) = (0, None);
        while flowing < self.plan.rate / 2 {
            self.publish()?;
            for arrival in controller.arrivals.try_iter() {
                match arrival.seq {
                    Ok(_) => flowing += 1,
                    Err(line) => altered = Some(line),
                }
            }
            if Instant::now() > deadline {
                let last = altered.map(|line| format!("; the last other line: {line}")).unwrap_or_default();
                bail!(
                    "{flowing} lines for poses as they were published came in {FLOW_TIMEOUT:?}, of {} published{last}\n{}",
                    self.published.len(),
                    peer.printed()
                );
            }
        }
        peer.check_alive()
    }

    /// The lines that have come, up to the one for the last pose if it comes in time.
    fn collect(&self, controller: &Controller) -> Vec<Arrival> {
        let deadline = Instant::now() + LINGER;
        let mut arrivals = Vec::with_capacity(self.published.len());
        while let Ok(arrival) =
            controller.arrivals.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            let last = arrival.seq.as_ref().is_ok_and(|&seq| seq as usize + 1 == self.published.len());
            arrivals.push(arrival);
            if last {
                break;
            }
        }
        arrivals
    }
}

fn accept(listener: &TcpListener, peer: &mut Peer<'_>, plan: &Plan<'_>) -> anyhow::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
        check_interrupt(plan)?;
        peer.check_alive()?;
        if Instant::now() > deadline {
            bail!("it has not connected in {CONNECT_TIMEOUT:?}\n{}", peer.printed());
        }
    }
}

fn check_interrupt(plan: &Plan<'_>) -> anyhow::Result<()> {
    if plan.interrupted.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const FLOW_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the last line may take before it counts as lost.
const LINGER: Duration = Duration::from_secs(1);
