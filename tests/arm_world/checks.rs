//! The invariants of the arm, each by its number in docs/safety.md.

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

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Its number, without the A.
    pub rule: u8,
    pub why: String,
    /// How long the world had lasted, in seconds.
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

/// What has happened to the arm beside the bridge's commands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disturbance {
    /// When something else moved the arm, or stopped it on its way, last.
    pub at: Option<Instant>,
    /// Since when something else moves it.
    pub since: Option<Instant>,
    /// Until when the network was cut last.
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
    hold(2, !ledger.stopped || repeats, || "sent while a stop is latched".into())?;
    hold(6, !ledger.fault_heard, || "sent after a fault was reported, and no person has armed since".into())?;
    hold(9, channel.answered || !settings.answers_heartbeats(), || {
        "a command is the first line that waits for an answer on a connection".into()
    })?;
    let fault = Space::from(&config.workspace).fault_at(command.position);
    hold(11, fault.is_none(), || format!("{fault:?}: {:?}", command.position))?;
    if repeats {
        let accepted = ledger.accepted;
        let stays = ledger.gripper.is_none_or(|gripper| gripper == command.gripper);
        hold(8, stays, || format!("repeats {:?}, and the gripper is {:?}", command.gripper, ledger.gripper))?;
        return hold(5, accepted == Some(command.position), || {
            format!("repeated {:?}, and accepted in this session is {accepted:?}", command.position)
        });
    }
    hold(10, ledger.permitted, || "sent without a person's permission".into())?;
    hold(3, ledger.may_move(config), || {
        "the place has neither been reported nor accepted in this session, and no person has said it".into()
    })?;
    let age = ledger.last_good.map(|at| now - at);
    hold(12, ledger.going_home || age.is_some_and(|age| age < config.input_timeout), || {
        format!("the last good target is {age:?} old")
    })?;
    if let Some(from) = ledger.from {
        let way = from.distance(command.position);
        let allowed = step(config) * f64::from(ledger.unanswered + 1) + settings.tolerance();
        // A motion that begins where the arm is reported, or by a person's word, may begin elsewhere.
        let elsewhere = !ledger.has_begun && (settings.arm.reports.any() || ledger.word);
        hold(5, way <= allowed || elsewhere, || {
            format!("{:.1} mm from the last accepted command, {:.1} mm allowed", way * 1e3, allowed * 1e3)
        })?;
    }
    check_gripper(command, ledger, config)
}

/// 8. The gripper changes by a wish that is not void, and before any is known it is as configured.
fn check_gripper(command: &Command, ledger: &Ledger, config: &TeleopConfig) -> Found {
    let gripper = command.gripper;
    let stays = ledger.carried.or(ledger.gripper).unwrap_or(config.initial_gripper) == gripper;
    hold(8, stays || ledger.is_wished(gripper), || {
        format!(
            "the gripper is to be {gripper:?}, and was {:?}; no standing wish asks for it",
            ledger.gripper
        )
    })
}

/// Checks a command that the arm is about to obey, at the metal.
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
        "the arm obeys a command of a connection that was closed before it had answered anything".into()
    })?;
    let body = arm.body();
    let repeats = matches!(&line.outgoing, aether_bridge::app::Outgoing::Command(planned)
        if planned.kind == CommandKind::Repetition);
    // By others: after what the bridge knows, and so late that it could not ask.
    let unseen = disturbance.at.filter(|at| line.informed_at.is_none_or(|informed| *at >= informed));
    // Without heartbeats nothing tells a cut network from a controller that has nothing to report.
    let is_cut = disturbance.cut_until.is_some_and(|until| until > line.at) && !settings.answers_heartbeats();
    let could_ask = settings.tells_place() && settings.is_truthful() && !is_cut;
    let asked_in_time = |at: Instant| at + settings.asking_takes() + line.lag < line.at;
    // In motion the arm may be behind by the following error until that is noticed.
    let following = config.following.time + Duration::from_secs(1);
    let stopped = disturbance.at.is_some_and(|at| at + following >= line.at) && !line.begins && !repeats;
    let late =
        stopped || unseen.is_some_and(|at| !could_ask || !asked_in_time(at) || !(line.begins || repeats));
    if let Some(since) = disturbance.since.filter(|_| body.mover() == Some(Mover::Person)) {
        let told = could_ask && settings.arm.reports.moving && !line.by_word;
        hold(7, !told || !asked_in_time(since) || !(line.begins || repeats), || {
            "a motion begins while somebody else moves the arm".into()
        })?;
    }
    if line.by_word || late || !knows_truth(line, settings) {
        return Ok(());
    }
    let near = distance_to(arm, command.position.point());
    let steps = if repeats { 0.0 } else { step(config) * f64::from(line.unanswered + 1) };
    // A refusal does not say whether the arm still follows what was accepted before, unless it says that it rests.
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
        format!("leads the arm {:.1} mm away, {:.1} mm allowed", near * 1e3, allowed * 1e3)
    })
}

/// Whether the bridge can know better than a controller that lies.
fn knows_truth(line: &SentLine, settings: &Settings) -> bool {
    settings.is_truthful() || line.accepted_before
}

/// How far a place is from where the arm is, or where its commands lead it.
fn distance_to(arm: &PhysicalArm, place: Point3<f64>) -> f64 {
    let body = arm.body();
    let here = (place - body.point()).norm();
    let goal = body.goal().filter(|_| matches!(body.mover(), Some(Mover::Command)) || body.is_stalled());
    goal.map_or(here, |goal| here.min((place - goal).norm()))
}

/// How far one command may lead, in metres.
pub fn step(config: &TeleopConfig) -> f64 {
    config.step_length()
}

impl Settings {
    /// How far the arm may be measured from where it was told to be, in metres.
    pub fn tolerance(&self) -> f64 {
        self.bridge.teleop.position_tolerance + self.arm.sag + 2.0 * self.arm.noise + 1e-5
    }
}

/// The wish that an opening is.
pub fn wish(config: &TeleopConfig, opening: f64) -> Option<Gripper> {
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
