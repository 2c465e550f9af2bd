//! The estimate of the arm: the only place that decides where the arm is.
//!
//! Invariants:
//! - The arm is where the last acknowledged command leads, unless the controller has said since that it is elsewhere: after
//!   a stop on the way, or unasked. If nothing has been acknowledged it is where it was last reported, and otherwise at home.
//! - No motion begins while a line is unanswered, nor before the arm can be back from a refused command.
//! - Only the last command may be repeated, if the controller has accepted it and nothing has come between.
//! - A new connection keeps what is known of the arm, and forgets what was sent.

use std::time::{Duration, Instant};

use super::config::{OrientationConfig, TeleopConfig};
use crate::arm::Command;
use crate::geometry::{Orientation, Position};

/// What has been sent on this connection, and what the controller has said about the arm.
#[derive(Debug, Default)]
pub(super) struct ArmEstimate {
    last_sent: Option<(Instant, Command)>,
    /// How many lines, stop lines too, have not been answered.
    unanswered: u32,
    /// Where the last acknowledged command leads.
    acknowledged: Option<Position>,
    /// The tool's orientation by the last acknowledged command.
    orientation: Option<Orientation>,
    reported: Option<Position>,
    /// Where the arm has been seen at rest since the last command was acknowledged.
    observed: Option<Position>,
    /// The last command that was answered, if the controller has accepted it.
    accepted: Option<Command>,
    /// Nothing has happened since the last command that would make it unsafe to repeat.
    undisturbed: bool,
}

impl ArmEstimate {
    /// Records a command that has been sent.
    pub(super) fn handle_sent(&mut self, now: Instant, command: Command) {
        self.unanswered += 1;
        self.last_sent = Some((now, command));
        self.undisturbed = true;
    }

    /// Records a stop line that has been sent.
    pub(super) fn handle_stop_sent(&mut self) {
        self.unanswered += 1;
    }

    /// Records that the controller has accepted a command.
    pub(super) fn handle_acknowledged(&mut self, command: &Command) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.acknowledged = Some(command.position);
        self.orientation = command.orientation.or(self.orientation);
        self.observed = None;
        self.accepted = Some(*command);
    }

    /// Records that the controller has refused a command, or that the command or its reply was lost.
    pub(super) fn handle_rejected(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.accepted = None;
    }

    /// Records the end of a stop line. `stopped_at` is where the arm has stopped on its way, if the controller says so.
    pub(super) fn handle_stop_answered(&mut self, stopped_at: Option<Position>) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if stopped_at.is_some() {
            (self.reported, self.acknowledged) = (stopped_at, None);
        }
    }

    /// Takes a position from the reply to a command.
    pub(super) fn handle_reported(&mut self, position: Position) {
        self.reported = Some(position);
    }

    /// Takes a position that does not belong to a command. It counts as more than a report if the arm is not `moving`,
    /// because an arm that is on its way to where the last command leads is elsewhere too.
    pub(super) fn handle_observed(&mut self, position: Position, moving: Option<bool>) {
        self.reported = Some(position);
        if moving != Some(true) {
            self.observed = Some(position);
        }
    }

    /// Forbids to repeat the last command, because the arm may be moved by other means from now on.
    pub(super) fn forbid_repetition(&mut self) {
        self.undisturbed = false;
    }

    /// Forgets what was sent on the connection that has ended.
    pub(super) fn handle_link_down(&mut self) {
        let Self { acknowledged, orientation, reported, observed, .. } = *self;
        *self = Self { acknowledged, orientation, reported, observed, ..Self::default() };
    }

    /// Returns where the arm is. It is at `arm.home` if the controller has neither accepted nor reported a position.
    pub(super) fn position(&self, home: Position) -> Position {
        self.known_position().unwrap_or(home)
    }

    /// Returns where the arm is by the controller's word.
    pub(super) fn known_position(&self) -> Option<Position> {
        let elsewhere = |commanded: &Position| {
            self.observed.is_some_and(|observed| observed.distance(*commanded) > TOLERANCE)
        };
        self.acknowledged.filter(|commanded| !elsewhere(commanded)).or(self.reported)
    }

    /// Returns the tool's orientation by the controller's word, or as it is at home.
    pub(super) fn orientation(&self, config: &OrientationConfig) -> Orientation {
        self.orientation.unwrap_or(config.home)
    }

    /// Returns the last command on this connection, and when it was sent.
    pub(super) fn last_sent(&self) -> Option<(Instant, Command)> {
        self.last_sent
    }

    /// Returns the last command if it may be repeated.
    pub(super) fn repeatable(&self) -> Option<Command> {
        self.accepted.filter(|_| self.undisturbed && self.unanswered == 0)
    }

    /// Returns whether a line is unanswered.
    pub(super) fn has_unanswered(&self) -> bool {
        self.unanswered > 0
    }

    /// Returns when the first command of a motion may be sent. `None` while a line is unanswered, because the position is
    /// known only once all are answered.
    pub(super) fn may_begin_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        if self.unanswered > 0 {
            return None;
        }
        let since = |(sent_at, sent)| self.back_at(sent_at, sent, config).max(sent_at + config.ramp_period());
        Some(self.last_sent.map_or(now, since))
    }

    /// Returns since when the arm counts as standing where it is, if it was sent elsewhere before.
    pub(super) fn at_rest_since(&self, config: &TeleopConfig) -> Option<Instant> {
        self.last_sent.map(|(sent_at, sent)| self.back_at(sent_at, sent, config))
    }

    /// Returns when the arm has had the time to come back from where a command leads that may have been refused. So the
    /// way from that command to the next one keeps the speed limits too.
    fn back_at(&self, sent_at: Instant, sent: Command, config: &TeleopConfig) -> Instant {
        let way = self.position(config.home).distance(sent.position) / config.approach_limits().speed;
        let turn = config
            .orientation
            .zip(sent.orientation)
            .map_or(0.0, |(config, sent)| self.orientation(&config).angle_to(sent) / config.speed);
        sent_at + Duration::from_secs_f64(way.max(turn).min(MAX_WAIT))
    }
}

/// How far from a commanded position the arm may be measured and still count as there, in metres.
const TOLERANCE: f64 = 0.005;

/// Longer than any way in any workspace takes at any sensible speed, in seconds. Keeps the arithmetic finite.
const MAX_WAIT: f64 = 3600.0;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::arm::Gripper;
    use crate::teleop::config::tests::settings;

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    fn to(x: f64) -> Command {
        Command { position: at(x), gripper: Gripper::Open, orientation: None }
    }

    /// An estimate after an accepted command to `x`.
    fn accepted(now: Instant, x: f64) -> ArmEstimate {
        let mut estimate = ArmEstimate::default();
        estimate.handle_sent(now, to(x));
        estimate.handle_acknowledged(&to(x));
        estimate
    }

    #[test]
    fn acknowledged_command_outweighs_report_and_report_outweighs_home() {
        let mut estimate = ArmEstimate::default();
        assert_eq!(estimate.position(at(0.5)), at(0.5));
        estimate.handle_reported(at(0.1));
        assert_eq!(estimate.position(at(0.5)), at(0.1));
        estimate.handle_acknowledged(&to(0.2));
        estimate.handle_reported(at(0.15));
        assert_eq!(estimate.position(at(0.5)), at(0.2));
    }

    #[test]
    fn arm_seen_elsewhere_at_rest_is_there() {
        let mut estimate = accepted(Instant::now(), 0.2);
        estimate.handle_observed(at(0.204), None);
        assert_eq!(estimate.known_position(), Some(at(0.2)), "within what is measured");
        estimate.handle_observed(at(0.1), Some(true));
        assert_eq!(estimate.known_position(), Some(at(0.2)), "it is on its way");
        estimate.handle_observed(at(0.1), Some(false));
        assert_eq!(estimate.known_position(), Some(at(0.1)));
        estimate.handle_acknowledged(&to(0.3));
        assert_eq!(estimate.known_position(), Some(at(0.3)), "it was sent away since");
    }

    #[test]
    fn arm_that_stopped_on_its_way_is_where_it_says() {
        let mut estimate = accepted(Instant::now(), 0.2);
        estimate.handle_stop_sent();
        estimate.handle_stop_answered(None);
        assert_eq!(estimate.known_position(), Some(at(0.2)));
        estimate.handle_stop_sent();
        estimate.handle_stop_answered(Some(at(0.15)));
        assert_eq!(estimate.known_position(), Some(at(0.15)));
    }

    #[test]
    fn motion_begins_only_once_every_line_is_answered() {
        let (t, config) = (Instant::now(), settings());
        let mut estimate = ArmEstimate::default();
        assert_eq!(estimate.may_begin_at(t, &config), Some(t));
        estimate.handle_sent(t, to(0.2));
        estimate.handle_stop_sent();
        assert_eq!(estimate.may_begin_at(t, &config), None);
        estimate.handle_acknowledged(&to(0.2));
        assert_eq!(estimate.may_begin_at(t, &config), None);
        estimate.handle_stop_answered(None);
        assert_eq!(estimate.may_begin_at(t, &config), Some(t + config.ramp_period()));
    }

    #[test]
    fn way_back_from_refused_command_takes_its_time() {
        let (t, config) = (Instant::now(), settings());
        let mut estimate = accepted(t, 0.2);
        estimate.handle_sent(t, to(0.3));
        estimate.handle_rejected();
        // 0.1 m at the approach speed of 0.1 m/s.
        let back = estimate.at_rest_since(&config).unwrap();
        assert!((back - t).as_secs_f64() - 1.0 < 1e-6 && back >= t + Duration::from_millis(999));
        assert_eq!(estimate.may_begin_at(t, &config), Some(back));
        let turned = Command { orientation: Some(Orientation::from_rpy([0.0, 0.0, 2.0])), ..to(0.2) };
        estimate.handle_sent(t, turned);
        estimate.handle_rejected();
        let back = estimate.at_rest_since(&config).unwrap() - t;
        assert!((back.as_secs_f64() - 2.0).abs() < 1e-6, "2 rad at 1 rad/s: {back:?}");
    }

    #[test]
    fn only_undisturbed_accepted_command_is_repeated() {
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        assert_eq!(estimate.repeatable(), Some(to(0.2)));
        estimate.handle_sent(t, to(0.2));
        assert_eq!(estimate.repeatable(), None, "it is unanswered");
        estimate.handle_rejected();
        assert_eq!(estimate.repeatable(), None, "it was refused");
        let mut estimate = accepted(t, 0.2);
        estimate.forbid_repetition();
        assert_eq!(estimate.repeatable(), None);
    }

    #[test]
    fn new_connection_keeps_the_place_and_forgets_what_was_sent() {
        let mut estimate = accepted(Instant::now(), 0.2);
        estimate.handle_stop_sent();
        estimate.handle_link_down();
        assert_eq!((estimate.known_position(), estimate.last_sent()), (Some(at(0.2)), None));
        assert_eq!(estimate.repeatable(), None);
        let now = Instant::now();
        assert_eq!(estimate.may_begin_at(now, &settings()), Some(now));
    }
}
