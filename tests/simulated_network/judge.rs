//! The rules for every command under any network fault, checked where the bridge sends. The
//! controller does not know the link state, the hand and the operator's stop. The controller's
//! rules of motion are checked here with exact times.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_bridge::config::Config;
use aether_bridge::geometry::Position;
use aether_bridge::link::LinkState;
use aether_bridge::status::{Observer, SentCommand, Status};
use aether_bridge::teleop::{CommandKind, Motion};
use aether_sim::monitor::{MotionLimits, MotionMonitor, Step, TimedCommand};
use tokio::time::Instant;

/// The events of the bridge so far.
#[derive(Clone)]
pub struct Judge(Arc<Mutex<Seen>>);

struct Seen {
    status: Option<Status>,
    /// When the hand was last visible.
    hand: Option<Instant>,
    stopped: bool,
    monitor: MotionMonitor,
    /// The positions of the last commands, the newest first.
    last: VecDeque<Position>,
    /// Whether motion was held since the last command.
    interrupted: bool,
    violations: Vec<String>,
    /// The log of all events in order. Two runs with the same seed have the same log.
    log: Vec<String>,
}

impl Seen {
    fn note(&mut self, what: String) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.log.push(format!("{:9.3} s  {what}", at.as_secs_f64()));
    }
}

impl Judge {
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            status: None,
            hand: None,
            stopped: false,
            monitor: MotionMonitor::new(MotionLimits::from(&config.teleop)),
            last: VecDeque::from([config.teleop.home]),
            interrupted: true,
            violations: Vec::new(),
            log: Vec::new(),
        })))
    }

    /// Adds an event outside of the bridge to the log.
    pub fn note(&self, at: Duration, what: &str) {
        self.0.lock().unwrap().log.push(format!("{:9.3} s  {what}", at.as_secs_f64()));
    }

    pub fn see_hand(&self) {
        self.0.lock().unwrap().hand = Some(Instant::now());
    }

    /// Records that a restarted controller has homed its arm. A motion may start there.
    pub fn see_homed(&self, [x, y, z]: [f64; 3]) {
        let mut seen = self.0.lock().unwrap();
        seen.last.push_front(Position::new(x, y, z).unwrap());
        seen.last.truncate(UNSURE);
    }

    pub fn stop(&self, stopped: bool) {
        self.0.lock().unwrap().stopped = stopped;
    }

    pub fn is_tracking(&self) -> bool {
        self.0.lock().unwrap().status.as_ref().is_some_and(|status| status.motion == Motion::Tracking)
    }

    pub fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }

    pub fn log(&self) -> Vec<String> {
        self.0.lock().unwrap().log.clone()
    }
}

impl Observer for Judge {
    fn handle_command(&mut self, command: &SentCommand) {
        let now = Instant::now();
        let planned = &command.planned;
        let position = planned.command.position;
        let mut seen = self.0.lock().unwrap();
        let seen = &mut *seen;
        seen.note(format!("command {} {:?} to {position:?}", command.seq, planned.kind));
        let mut complaints = Vec::new();
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                complaints.push(format!("{rule}: {command:?}"));
            }
        };
        let connected = seen.status.as_ref().is_some_and(|status| status.state == LinkState::Connected);
        must(connected, "sent though the link is not connected");
        must(!seen.stopped, "sent though the operator has stopped motion");
        let fresh = seen.hand.is_some_and(|at| now - at <= INPUT_TIMEOUT);
        must(fresh, "sent though the hand was last seen too long ago");
        let approaches = planned.kind == CommandKind::Approach;
        must(approaches || !seen.interrupted, "motion continues after a hold without an approach");
        seen.violations.append(&mut complaints);
        let step = match planned.kind {
            _ if seen.interrupted => Step::Start,
            CommandKind::Approach => Step::Approach,
            _ => Step::Continue,
        };
        if seen.interrupted {
            // It continues from the last command that the arm is known to have obeyed, which is one
            // of these.
            seen.monitor.handle_connected();
        }
        let (at, line) = (now.into_std(), format!("{command:?}"));
        let timed = TimedCommand { command: planned.command, not_before: Some(at), at, line };
        let found = seen.monitor.check(&timed, step, seen.last.make_contiguous());
        seen.violations.extend(found.iter().map(ToString::to_string));
        seen.monitor.handle_sent(timed);
        seen.last.push_front(position);
        seen.last.truncate(UNSURE);
        seen.interrupted = false;
    }

    fn handle_status(&mut self, status: &Status) {
        let mut seen = self.0.lock().unwrap();
        seen.interrupted |= !matches!(status.motion, Motion::Tracking | Motion::Approach);
        seen.note(format!("{:?}, {}", status.state, status.reason));
        seen.status = Some(status.clone());
    }
}

/// The parameters' defaults.
pub const HOME: [f64; 3] = [0.2, 0.0, 0.2];
const INPUT_TIMEOUT: Duration = Duration::from_millis(200);
/// The last accepted command is among this many last commands, because some are rejected, or lost
/// with a connection.
const UNSURE: usize = 16;
