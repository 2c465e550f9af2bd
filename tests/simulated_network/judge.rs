//! What no command may be, whatever the network does: judged where the bridge sends, to the microsecond.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_bridge::geometry::Position;
use aether_bridge::link::LinkState;
use aether_bridge::status::{Observer, SentCommand, Status};
use aether_bridge::teleop::{Kind, Motion};
use tokio::time::Instant;

/// What the bridge has told so far.
#[derive(Clone, Default)]
pub struct Judge(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    status: Option<Status>,
    /// When the hand was last where it could be seen.
    hand: Option<Instant>,
    stopped: bool,
    /// The last commands, the newest first.
    last: VecDeque<(Instant, Position)>,
    /// Whether motion was held since the last command.
    interrupted: bool,
    violations: Vec<String>,
    /// Everything that was told, in order: two runs of one seed have the same.
    log: Vec<String>,
}

impl Seen {
    fn note(&mut self, what: String) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.log.push(format!("{:9.3} s  {what}", at.as_secs_f64()));
    }
}

impl Judge {
    /// Notes what happens beside the bridge.
    pub fn note(&self, at: Duration, what: &str) {
        self.0.lock().unwrap().log.push(format!("{:9.3} s  {what}", at.as_secs_f64()));
    }

    pub fn see_hand(&self) {
        self.0.lock().unwrap().hand = Some(Instant::now());
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
        seen.note(format!("command {} {:?} to {position:?}", command.seq, planned.kind));
        let mut complaints = Vec::new();
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                complaints.push(format!("{rule}: {command:?}"));
            }
        };
        let connected = seen.status.as_ref().is_some_and(|status| status.state == LinkState::Connected);
        must(connected, "sent though the link is not connected");
        must(!seen.stopped, "sent though a person has stopped motion");
        let fresh = seen.hand.is_some_and(|at| now - at <= INPUT_TIMEOUT);
        must(fresh, "sent though the hand was last seen too long ago");
        let approaches = planned.kind == Kind::Approach;
        must(approaches || !seen.interrupted, "motion goes on after a hold without an approach");
        let home = Position::new(HOME[0], HOME[1], HOME[2]).unwrap();
        let (since, _) = seen.last.front().copied().unwrap_or((now, home));
        let (allowed, from) = match planned.kind {
            // From the last that is known to be obeyed, which is one of these.
            _ if seen.interrupted || seen.last.is_empty() => {
                (APPROACH_SPEED * (2 * PERIOD).as_secs_f64(), UNSURE)
            }
            Kind::Approach => (APPROACH_SPEED * (now - since).as_secs_f64(), 1),
            _ => (SPEED * (now - since).as_secs_f64(), 1),
        };
        let from: Vec<_> = seen.last.iter().map(|(_, position)| *position).chain([home]).take(from).collect();
        let step = from.iter().map(|from| position.distance(*from)).fold(f64::INFINITY, f64::min);
        must(step <= allowed + ROUNDING, &format!("{step} m after {:?}, {allowed} m allowed", now - since));
        seen.violations.append(&mut complaints);
        seen.last.push_front((now, position));
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

/// The parameters' defaults, and those of `main`.
pub const HOME: [f64; 3] = [0.2, 0.0, 0.2];
const INPUT_TIMEOUT: Duration = Duration::from_millis(200);
const PERIOD: Duration = Duration::from_millis(20);
const SPEED: f64 = 0.25;
const APPROACH_SPEED: f64 = 0.1;
/// Both ends of a step are rounded to a micrometre on each axis.
const ROUNDING: f64 = 2e-6;
/// A command whose reply never came, as many as are refused before motion holds, and the one before them.
const UNSURE: usize = 7;
