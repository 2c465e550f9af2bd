//! The invariants of the arm, with their numbers in docs/safety.md.

use std::fmt;
use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::teleop::{CommandKind, Planned, TeleopConfig};
use aether_sim::monitor::Space;
use aether_sim::physical::{Mover, PhysicalArm};
use nalgebra::Point3;

use crate::ledger::Ledger;
use crate::network::{Channel, SentLine};
use crate::settings::Settings;

/// A violation of an invariant.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The number of the invariant, without the A.
    pub rule: u8,
    pub why: String,
    /// The time since the start of the world, in seconds.
    pub at: f64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A{} at {:.3} s: {}", self.rule, self.at, self.why)
    }
}

type Found = Result<(), (u8, String)>;

fn hold(rule: u8, holds: bool, why: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err((rule, why())) }
}

/// Events that affected the arm, other than commands of the bridge.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disturbance {
    /// When something else last moved the arm, or stopped it on its way.
    pub at: Option<Instant>,
    /// Since when something else has been moving the arm.
    pub since: Option<Instant>,
    /// The end of the last network cut.
    pub cut_until: Option<Instant>,
}

/// Checks a command that is about to be sent.
pub fn check_sent(
    now: Instant,
    planned: &Planned,
    ledger: &Ledger,
    channel: &Channel,
    config: &TeleopConfig,
    settings: &Settings,
) -> Found {
    let command = &planned.command;
    let repeats = planned.kind == CommandKind::Repetition;
    hold(2, !ledger.stopped || repeats, || "a command was sent while a stop is latched".into())?;
    hold(6, !ledger.fault_reported, || {
        "a command was sent after a fault report, and the operator has not armed since".into()
    })?;
    hold(9, channel.answered || !settings.answers_heartbeats(), || {
        "a command is the first line on a connection that waits for a reply".into()
    })?;
    let fault = Space::from(&config.workspace).fault_at(command.position);
    hold(11, fault.is_none(), || format!("{fault:?}: {:?}", command.position))?;
    if repeats {
        let accepted = ledger.accepted;
        let stays = ledger.gripper.is_none_or(|gripper| gripper == command.gripper);
        hold(8, stays, || {
            format!("the command repeats {:?}, but the gripper is {:?}", command.gripper, ledger.gripper)
        })?;
        return hold(5, accepted == Some(command.position), || {
            format!(
                "the command repeats {:?}, but the last accepted position of this session is {accepted:?}",
                command.position
            )
        });
    }
    hold(10, ledger.permitted, || "a command was sent without the operator's permission".into())?;
    hold(3, ledger.may_move(config), || {
        "in this session, the position was not reported, accepted or assumed".into()
    })?;
    let age = ledger.last_good.map(|at| now - at);
    hold(12, ledger.going_home || age.is_some_and(|age| age < config.input_timeout), || {
        format!("the last good target is {age:?} old")
    })?;
    if let Some(from) = ledger.from {
        let way = from.distance(command.position);
        let allowed = step(config) * f64::from(ledger.unanswered + 1) + settings.tolerance();
        // A motion that begins at a reported or assumed position need not begin near the last
        // accepted command.
        let elsewhere = !ledger.has_begun && (settings.arm.reports.any() || ledger.assumed);
        hold(5, way <= allowed || elsewhere, || {
            format!("{:.1} mm from the last accepted command, {:.1} mm allowed", way * 1e3, allowed * 1e3)
        })?;
    }
    check_gripper(command, ledger, config)
}

/// Checks A8: the gripper changes only because of a request that is still valid. Before the first
/// request it is in the configured state.
fn check_gripper(command: &Command, ledger: &Ledger, config: &TeleopConfig) -> Found {
    let gripper = command.gripper;
    let stays = ledger.carried.or(ledger.gripper).unwrap_or(config.initial_gripper) == gripper;
    hold(8, stays || ledger.is_requested(gripper), || {
        format!(
            "the command sets the gripper to {gripper:?}, but it was {:?}, and no valid request asks for it",
            ledger.gripper
        )
    })
}

/// Checks a command that the arm is about to execute, at the arm itself.
pub fn check_obeyed(
    line: &SentLine,
    command: &Command,
    arm: &PhysicalArm,
    disturbance: Disturbance,
    channel: &Channel,
    config: &TeleopConfig,
    settings: &Settings,
) -> Found {
    hold(9, channel.bridge_open || channel.answered || !settings.answers_heartbeats(), || {
        "the arm executes a command of a connection that was closed before its first reply".into()
    })?;
    let body = arm.body();
    let repeats = matches!(&line.outgoing, aether_bridge::app::Outgoing::Command(planned)
        if planned.kind == CommandKind::Repetition);
    // The time at which something else moved the arm, if this was after the bridge's last
    // information about the arm.
    let unseen = disturbance.at.filter(|at| line.known_until.is_none_or(|informed| *at >= informed));
    // Without heartbeats the bridge cannot distinguish a cut network from a controller that has
    // nothing to report.
    let is_cut = disturbance.cut_until.is_some_and(|until| until > line.at) && !settings.answers_heartbeats();
    let could_ask = settings.reports_position() && settings.is_truthful() && !is_cut;
    let asked_in_time = |at: Instant| at + settings.position_request_time() + line.lag < line.at;
    // In motion the arm may be behind by the following error until the bridge detects it.
    let following = config.following.time + Duration::from_secs(1);
    let stopped = disturbance.at.is_some_and(|at| at + following >= line.at) && !line.begins && !repeats;
    let late =
        stopped || unseen.is_some_and(|at| !could_ask || !asked_in_time(at) || !(line.begins || repeats));
    if let Some(since) = disturbance.since.filter(|_| body.mover() == Some(Mover::Person)) {
        let is_reported = could_ask && settings.arm.reports.moving && !line.is_assumed;
        hold(7, !is_reported || !asked_in_time(since) || !(line.begins || repeats), || {
            "a motion begins while something else moves the arm".into()
        })?;
    }
    if line.is_assumed || late || !knows_truth(line, settings) {
        return Ok(());
    }
    let near = distance_to(arm, command.position.point());
    let steps = if repeats { 0.0 } else { step(config) * f64::from(line.unanswered + 1) };
    // A rejection does not show whether the arm still follows the last accepted command, unless the
    // controller reports that the arm is at rest.
    let behind = line.after_refusal && !settings.arm.reports.moving;
    let behind = if behind { config.following.distance } else { 0.0 };
    let allowed = steps + behind + settings.tolerance();
    let rule = if repeats {
        7
    } else if line.begins {
        4
    } else {
        1
    };
    hold(rule, near <= allowed, || {
        format!("the command leads the arm {:.1} mm away, {:.1} mm allowed", near * 1e3, allowed * 1e3)
    })
}

/// Returns whether the bridge can know the position, even if the controller reports a wrong one.
fn knows_truth(line: &SentLine, settings: &Settings) -> bool {
    settings.is_truthful() || line.accepted_before
}

/// Returns the distance of a point from the arm, or from the goal of its command if that is nearer,
/// in metres.
fn distance_to(arm: &PhysicalArm, position: Point3<f64>) -> f64 {
    let body = arm.body();
    let here = (position - body.point()).norm();
    let goal = body.goal().filter(|_| matches!(body.mover(), Some(Mover::Command)) || body.is_stalled());
    goal.map_or(here, |goal| here.min((position - goal).norm()))
}

/// Returns how far one command may lead, in metres.
pub fn step(config: &TeleopConfig) -> f64 {
    config.step_length()
}

impl Settings {
    /// Returns how far the reported position may be from the commanded position, in metres.
    pub fn tolerance(&self) -> f64 {
        self.bridge.teleop.position_tolerance + self.arm.sag + 2.0 * self.arm.noise + 1e-5
    }
}

/// Returns the gripper state that an opening requests.
pub fn gripper_request(config: &TeleopConfig, opening: f64) -> Option<Gripper> {
    if !opening.is_finite() {
        return None;
    }
    if opening <= config.gripper.close_below {
        Some(Gripper::Closed)
    } else if opening >= config.gripper.open_above {
        Some(Gripper::Open)
    } else {
        None
    }
}
