//! The monitor of the physical arm: checks what lines do to the arm, independent of their text.

use std::time::{Duration, Instant};

use aether_bridge::geometry::Position;
use aether_bridge::wire::Order;

use super::rules::Rules;
use super::violation::{Fault, Rule, Violation};
use crate::physical::{Mover, PhysicalArm};

/// Checks the motion of a physical arm, from the side of its controller.
///
/// The first command of a motion may be far from the arm in one case: the controller does not
/// report the position of the arm, so an operator has entered it. The monitor does not know what
/// the operator entered. So it does not check the first command of such a connection.
#[derive(Debug)]
pub struct ArmMonitor {
    /// The longest distance of one command, in metres.
    step: f64,
    /// The client that sent the last command, and the position in it.
    last: Option<(usize, Position)>,
    /// How far commands had moved the arm at the last check, in metres.
    travelled: f64,
    /// Until when commands may move the arm; `None`: they may not.
    until: Option<Instant>,
    /// The rule that forbids motion, with the client and the line of the stop.
    halted: Option<(Rule, usize, String)>,
}

impl ArmMonitor {
    /// Creates a monitor of an arm at rest.
    pub fn new(rules: &Rules) -> Self {
        Self { step: rules.motion.longest_step, last: None, travelled: 0.0, until: None, halted: None }
    }

    /// Changes the rules.
    pub fn handle_rules(&mut self, rules: &Rules) {
        self.step = rules.motion.longest_step;
    }

    /// Checks an order before the controller executes it. `is_gone`: its client has already closed
    /// the connection.
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
            let why = "the arm executes a command of a client that has closed its connection".to_owned();
            faults.push(Fault::new(Rule::Alone, why));
        }
        let way = way_to(arm, at);
        let repeats = before.is_some_and(|(client, last)| client == connection && last == at);
        let rule = if repeats { Rule::Repeat } else { Rule::Jump };
        let allowed = if repeats { 0.0 } else { self.step } + tolerance(arm);
        // If a hand or another program moves the arm, the bridge did not know this yet when it sent
        // the lines that arrive now.
        let others = arm.body().mover().is_some_and(|mover| mover != Mover::Command);
        if way > allowed && !others && (!is_first || arm.config().reports.any()) {
            let why = format!("moves the arm by {:.1} mm, {:.1} mm allowed", way * 1e3, allowed * 1e3);
            faults.push(Fault::new(rule, why));
        }
        faults.into_iter().map(|fault| fault.on(connection, line)).collect()
    }

    /// Records an order that the controller has executed, and the state of the arm after it.
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

    /// Checks the motion of the arm up to now.
    #[must_use]
    pub fn handle_time(&mut self, now: Instant, arm: &PhysicalArm) -> Vec<Violation> {
        let travelled = arm.body().travelled(Mover::Command);
        let way = travelled - std::mem::replace(&mut self.travelled, travelled);
        if way <= MEASURING || self.until.is_some_and(|until| now <= until) {
            return Vec::new();
        }
        // Report each motion only once.
        self.until = Some(now + FAR);
        let (rule, connection, line) = self
            .halted
            .take()
            .unwrap_or_else(|| (Rule::Alone, self.last.map_or(0, |(client, _)| client), String::new()));
        let why = match rule {
            Rule::Stop => {
                format!("the arm has moved by {:.1} mm since the controller accepted a stop", way * 1e3)
            }
            _ => format!("the arm still moves: {:.1} mm after the motion of its last line ended", way * 1e3),
        };
        vec![Fault::new(rule, why).on(connection, &line)]
    }
}

/// Returns the distance of a position from the arm, or from the goal of its commands, whichever is
/// smaller.
fn way_to(arm: &PhysicalArm, place: Position) -> f64 {
    let (body, place) = (arm.body(), place.point());
    let here = (place - body.point()).norm();
    body.goal().map_or(here, |goal| here.min((place - goal).norm()))
}

/// Returns how far the measured position may differ from the commanded position.
fn tolerance(arm: &PhysicalArm) -> f64 {
    POSITION_TOLERANCE + arm.config().sag + 2.0 * arm.config().noise
}

/// The default of `arm.position_tolerance`, in metres.
const POSITION_TOLERANCE: f64 = 0.01;
const MEASURING: f64 = 1e-6;
/// The extra time of an arm with limited acceleration, compared with its speed alone.
const SLACK: Duration = Duration::from_secs(2);
const FAR: Duration = Duration::from_secs(3600);
