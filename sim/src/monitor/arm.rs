//! The judge at the metal: what lines do to a physical arm, whatever they look like.

use std::time::{Duration, Instant};

use aether_bridge::geometry::Position;
use aether_bridge::wire::Order;

use super::rules::Rules;
use super::violation::{Fault, Rule, Violation};
use crate::physical::{Mover, PhysicalArm};

/// Judges the motion of a physical arm, as its controller sees it.
///
/// A motion may begin far away in one case: the controller does not report where the arm is, so that a person has said it.
/// The monitor cannot see that person, and lets the first command of such a connection be.
#[derive(Debug)]
pub struct ArmMonitor {
    /// How far one command may lead, in metres.
    step: f64,
    /// Which client sent the last command, and where that leads.
    last: Option<(usize, Position)>,
    /// How far the arm had gone by commands when that was looked at last, in metres.
    travelled: f64,
    /// Until when the arm may move by commands; `None`: it may not.
    until: Option<Instant>,
    /// Why it may not, and the line that says so.
    halted: Option<(Rule, usize, String)>,
}

impl ArmMonitor {
    /// Creates a monitor of an arm at rest.
    pub fn new(rules: &Rules) -> Self {
        Self { step: rules.motion.longest_step, last: None, travelled: 0.0, until: None, halted: None }
    }

    /// Takes other rules from now on.
    pub fn handle_rules(&mut self, rules: &Rules) {
        self.step = rules.motion.longest_step;
    }

    /// Judges an order that the controller is about to obey. `is_gone`: its client has closed the connection already.
    #[must_use]
    pub fn handle_order(
        &mut self,
        connection: usize,
        line: &str,
        order: &Order,
        arm: &PhysicalArm,
        is_gone: bool,
    ) -> Vec<Violation> {
        let Order::Command(command) = order else { return Vec::new() };
        let at = command.position;
        let before = self.last.replace((connection, at));
        let is_first = before.is_none_or(|(client, _)| client != connection);
        let mut faults = Vec::new();
        if is_gone {
            let why = "the arm obeys a client that has closed its connection".to_owned();
            faults.push(Fault::new(Rule::Alone, why));
        }
        let way = way_to(arm, at);
        let repeats = before.is_some_and(|(client, last)| client == connection && last == at);
        let rule = if repeats { Rule::Repeat } else { Rule::Leap };
        let allowed = if repeats { 0.0 } else { self.step } + tolerance(arm);
        // Somebody moves the arm away under the commands: what has been sent by then cannot know it.
        let others = arm.body().mover().is_some_and(|mover| mover != Mover::Command);
        if way > allowed && !others && (!is_first || arm.config().reports.any()) {
            let why = format!("leads the arm {:.1} mm away, {:.1} mm allowed", way * 1e3, allowed * 1e3);
            faults.push(Fault::new(rule, why));
        }
        faults.into_iter().map(|fault| fault.on(connection, line)).collect()
    }

    /// Takes an order that the controller has obeyed, with the arm as it is after that.
    pub fn handle_obeyed(&mut self, connection: usize, line: &str, order: &Order, arm: &PhysicalArm) {
        match order {
            Order::Command(_) => {
                self.until = Some(arm.body().at_rest_at() + SLACK);
                self.halted = None;
            }
            Order::Stop => {
                self.until = None;
                self.halted = Some((Rule::Stop, connection, line.to_owned()));
            }
            Order::Heartbeat => {}
        }
    }

    /// Judges what the arm has done up to now.
    #[must_use]
    pub fn handle_time(&mut self, now: Instant, arm: &PhysicalArm) -> Vec<Violation> {
        let travelled = arm.body().travelled(Mover::Command);
        let way = travelled - std::mem::replace(&mut self.travelled, travelled);
        if way <= MEASURING || self.until.is_some_and(|until| now <= until) {
            return Vec::new();
        }
        // Told once for each motion.
        self.until = Some(now + FAR);
        let (rule, connection, line) = self
            .halted
            .take()
            .unwrap_or_else(|| (Rule::Alone, self.last.map_or(0, |(client, _)| client), String::new()));
        let why = match rule {
            Rule::Stop => format!("the arm has gone {:.1} mm since it took a stop", way * 1e3),
            _ => format!("the arm still moves, {:.1} mm since its last line was done", way * 1e3),
        };
        vec![Fault::new(rule, why).on(connection, &line)]
    }
}

/// How far a place is from where the arm is, or where its commands lead it.
fn way_to(arm: &PhysicalArm, place: Position) -> f64 {
    let (body, place) = (arm.body(), place.point());
    let here = (place - body.point()).norm();
    body.goal().map_or(here, |goal| here.min((place - goal).norm()))
}

/// How far the arm may be measured from where it was told to be.
fn tolerance(arm: &PhysicalArm) -> f64 {
    POSITION_TOLERANCE + arm.config().sag + 2.0 * arm.config().noise
}

/// The default of `arm.position_tolerance`, in metres.
const POSITION_TOLERANCE: f64 = 0.01;
const MEASURING: f64 = 1e-6;
/// An arm with an acceleration takes longer than its speed says.
const SLACK: Duration = Duration::from_secs(2);
const FAR: Duration = Duration::from_secs(3600);
