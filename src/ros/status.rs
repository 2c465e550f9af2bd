//! The topics on which the bridge publishes its status, commands and diagnostics.

use std::time::Duration;

use r2r::aether_bridge::msg::{ArmCommand, ArmState, LinkStatus};
use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::std_msgs::msg::{Bool, Header};
use r2r::{Publisher, QosProfile};

use super::clock::RosClock;
use super::convert;
use crate::arm::ReportedState;
use crate::config::Config;
use crate::link::LinkState;
use crate::status::{Observer, SentCommand, Status};
use crate::teleop::Motion;

/// The publishers of the node. Create them before the node spins.
pub struct Publishers {
    link_status: Publisher<LinkStatus>,
    connected: Publisher<Bool>,
    command: Publisher<ArmCommand>,
    arm_state: Publisher<ArmState>,
    diagnostics: Publisher<DiagnosticArray>,
    clock: RosClock,
    base_frame: String,
    node_name: String,
}

impl Publishers {
    /// Creates the publishers.
    ///
    /// # Errors
    /// rcl fails.
    pub fn create(node: &mut r2r::Node, clock: RosClock, base_frame: &str) -> r2r::Result<Self> {
        let latched = QosProfile::default().keep_last(1).reliable().transient_local();
        let stream = QosProfile::default().keep_last(10).reliable();
        Ok(Self {
            link_status: node.create_publisher("~/link_status", latched.clone())?,
            connected: node.create_publisher("~/connected", latched)?,
            command: node.create_publisher("~/command", stream.clone())?,
            arm_state: node.create_publisher("~/arm_state", stream.clone())?,
            diagnostics: node.create_publisher("/diagnostics", stream)?,
            clock,
            base_frame: convert::text(base_frame),
            node_name: node.fully_qualified_name()?,
        })
    }

    fn header(&self) -> Header {
        Header { stamp: convert::time(self.clock.now()), frame_id: self.base_frame.clone() }
    }
}

impl Observer for Publishers {
    fn handle_command(&mut self, command: &SentCommand) {
        // Skip the message if there is no subscriber, because building and serialising it costs
        // more than any other step of a command.
        if self.command.get_inter_process_subscription_count().is_ok_and(|count| count == 0) {
            return;
        }
        let planned = &command.planned;
        publish(
            &self.command,
            &ArmCommand {
                header: self.header(),
                seq: command.seq,
                position: convert::point(planned.command.position),
                gripper: planned.command.gripper.as_str().into(),
                orientation: convert::quaternion(planned.command.orientation),
                altered_by: planned.altered_by().map(Into::into).collect(),
                input_age: planned.input_age.as_secs_f64(),
            },
        );
    }

    fn handle_status(&mut self, status: &Status) {
        publish(&self.link_status, &link_status(status, self.clock.now()));
        publish(&self.connected, &Bool { data: is_connected(status.state) });
    }

    fn handle_arm_state(&mut self, state: &ReportedState) {
        let nan = [f64::NAN; 3];
        let [x, y, z] = state.position.map_or(nan, |position| position.coordinates());
        publish(
            &self.arm_state,
            &ArmState {
                header: self.header(),
                position: r2r::geometry_msgs::msg::Point { x, y, z },
                gripper: state.gripper.map(|gripper| gripper.as_str().into()).unwrap_or_default(),
                moving: state.moving.unwrap_or(false),
                joint_positions: state.joints.clone().unwrap_or_default(),
                fault: convert::text(state.fault.as_deref().unwrap_or_default()),
                raw: convert::text(&state.raw),
            },
        );
    }

    fn handle_diagnostics(&mut self, status: &Status) {
        publish(
            &self.diagnostics,
            &DiagnosticArray {
                header: Header { stamp: convert::time(self.clock.now()), frame_id: String::new() },
                status: diagnostics(status, &self.node_name),
            },
        );
    }

    fn handle_config(&mut self, config: &Config) {
        self.base_frame = convert::text(&config.frames.base);
    }
}

fn publish<T: r2r::WrappedTypesupport + 'static>(publisher: &Publisher<T>, message: &T) {
    if let Err(error) = publisher.publish(message) {
        tracing::debug!(%error, "not published");
    }
}

fn is_connected(state: LinkState) -> bool {
    matches!(state, LinkState::Connected | LinkState::Unresponsive)
}

fn link_status(status: &Status, now: Duration) -> LinkStatus {
    LinkStatus {
        stamp: convert::time(now),
        state: match status.state {
            LinkState::Disconnected => LinkStatus::DISCONNECTED as u8,
            LinkState::Connecting => LinkStatus::CONNECTING as u8,
            LinkState::Connected => LinkStatus::CONNECTED as u8,
            LinkState::Unresponsive => LinkStatus::UNRESPONSIVE as u8,
            LinkState::Backoff => LinkStatus::BACKOFF as u8,
            LinkState::Listening => LinkStatus::LISTENING as u8,
        },
        peer: convert::text(&status.peer),
        since: convert::time(now.saturating_sub(status.since.elapsed())),
        attempts: status.attempts,
        last_error: convert::text(&status.last_error),
        motion: match status.motion {
            Motion::Disarmed => LinkStatus::DISARMED as u8,
            Motion::Approach => LinkStatus::APPROACH as u8,
            Motion::Tracking => LinkStatus::TRACKING as u8,
            Motion::Holding => LinkStatus::HOLDING as u8,
            Motion::Stopped => LinkStatus::STOPPED as u8,
        },
        reason: convert::text(&status.reason),
        sent: status.sent,
        acknowledged: status.acknowledged,
        rejected: status.rejected,
        coalesced: status.coalesced,
        limited: status.limited,
        dropped_input: status.dropped_input,
        rtt_last: status.round_trips.last.as_secs_f64(),
        rtt_mean: status.round_trips.mean.as_secs_f64(),
        rtt_p99: status.round_trips.p99.as_secs_f64(),
        input_age: status.input_age.map_or(NO_INPUT_AGE, |age| age.as_secs_f64()),
    }
}

/// Returns three statuses (link, input and motion), so that a diagnostics viewer shows the
/// difference between a fault of the link and a lost hand.
fn diagnostics(status: &Status, node: &str) -> Vec<DiagnosticStatus> {
    let link_level = match status.state {
        LinkState::Connected => OK,
        LinkState::Unresponsive | LinkState::Connecting | LinkState::Listening => WARN,
        LinkState::Backoff | LinkState::Disconnected => ERROR,
    };
    let link_message = match (status.state, status.last_error.as_str()) {
        (LinkState::Connected, _) => "connected".to_owned(),
        (LinkState::Unresponsive, _) => "connected, but the controller does not reply".to_owned(),
        (LinkState::Listening, "") => "waiting for controllers to connect".to_owned(),
        (LinkState::Listening, error) => format!("waiting for controllers to connect; last error: {error}"),
        (_, "") => "connecting".to_owned(),
        (_, error) => error.to_owned(),
    };
    let milliseconds = |duration: Duration| format!("{:.3}", duration.as_secs_f64() * 1e3);
    let (input_level, input_message) = match status.input_fault.as_str() {
        "" => (OK, "targets are arriving"),
        fault => (WARN, fault),
    };
    let motion_level = match status.motion {
        Motion::Approach | Motion::Tracking => OK,
        Motion::Disarmed | Motion::Holding | Motion::Stopped => WARN,
    };
    let (newest_error, newest_error_age) = match &status.newest_error {
        Some((error, age)) => (error.as_str(), format!("{:.1}", age.as_secs_f64())),
        None => ("", "none".to_owned()),
    };
    let entry = |part: &str, level: u8, message: &str, values: &[(&str, String)]| DiagnosticStatus {
        level,
        name: format!("{}: {part}", node.trim_start_matches('/')),
        message: convert::text(message),
        hardware_id: convert::text(&status.peer),
        values: values
            .iter()
            .map(|(key, value)| KeyValue { key: (*key).into(), value: convert::text(value) })
            .collect(),
    };
    let link = [
        ("state", format!("{:?}", status.state)),
        ("attempts", status.attempts.to_string()),
        ("sent", status.sent.to_string()),
        ("acknowledged", status.acknowledged.to_string()),
        ("rejected", status.rejected.to_string()),
        ("lost", status.lost.to_string()),
        ("rtt_last_ms", milliseconds(status.round_trips.last)),
        ("rtt_mean_ms", milliseconds(status.round_trips.mean)),
        ("rtt_p99_ms", milliseconds(status.round_trips.p99)),
        ("last_error", newest_error.to_owned()),
        ("last_error_age_s", newest_error_age),
    ];
    let input = [
        ("age_s", status.input_age.map_or("none".into(), |age| format!("{:.3}", age.as_secs_f64()))),
        ("dropped_input", status.dropped_input.to_string()),
        ("coalesced", status.coalesced.to_string()),
        (
            "gripper_topic",
            if status.gripper_note.is_empty() { "ok".into() } else { status.gripper_note.clone() },
        ),
    ];
    let motion = [
        ("motion", format!("{:?}", status.motion)),
        ("reason", status.reason_kind.as_str().into()),
        ("limited", status.limited.to_string()),
    ];
    vec![
        entry("link", link_level, &link_message, &link),
        entry("input", input_level, input_message, &input),
        entry("motion", motion_level, &status.reason, &motion),
    ]
}

const OK: u8 = DiagnosticStatus::OK as u8;
const WARN: u8 = DiagnosticStatus::WARN as u8;
const ERROR: u8 = DiagnosticStatus::ERROR as u8;
/// The value of `input_age` before the first valid target.
const NO_INPUT_AGE: f64 = -1.0;
