//! The course of the arm: what has been commanded, what has become of it, and so where the arm is.

use std::time::{Duration, Instant};

use super::config::{TeleopConfig, Turning};
use super::limiter::{Limiter, Step};
use super::planned::Planned;
use crate::arm::Command;
use crate::geometry::Orientation;
use crate::geometry::Position;

/// What has been sent, and what the controller has said of it.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The walk of the present motion; none before its first command.
    walk: Option<Limiter>,
    /// The last command on this connection.
    last_sent: Option<(Instant, Command)>,
    /// From when the time to the next command counts: when the last was due, if it was a little late.
    beat: Option<Instant>,
    /// How many lines of this connection, stop lines too, have not been answered.
    unanswered: u32,
    acknowledged: Option<Position>,
    /// The last command left the tool on its way.
    turns: bool,
    /// How the tool is turned by the last command that was acknowledged.
    turned: Option<Orientation>,
    reported: Option<Position>,
    /// Where the arm has been seen since the last command was acknowledged.
    sighted: Option<Position>,
    /// The last command on this connection that was answered, if the controller has accepted it.
    accepted: Option<Command>,
    /// The arm has been left to the last command ever since it was sent, so that it may be said again.
    undisturbed: bool,
}

impl Course {
    /// A new motion: its walk begins with its first command.
    pub(super) fn begin(&mut self) {
        self.walk = None;
    }

    pub(super) fn handle_sent(&mut self, now: Instant, planned: &Planned, period: Duration) {
        let late = |due: &Instant| now >= *due && now.duration_since(*due) <= period / LATE;
        self.beat = Some(self.beat.map(|beat| beat + period).filter(late).unwrap_or(now));
        self.unanswered += 1;
        self.last_sent = Some((now, planned.command));
        self.turns = planned.turning;
        self.undisturbed = true;
    }

    /// When a command is due that follows the last one by `period`; none if there is no last one.
    ///
    /// Timers are late, some by a millisecond. What is due at a rate is to come at that rate, so a little lateness of
    /// one command is made up for by the next.
    pub(super) fn due_at(&self, period: Duration) -> Option<Instant> {
        self.beat.map(|beat| beat + period)
    }

    /// Takes the step of a command that has been sent, in a walk that may begin with it.
    pub(super) fn take(&mut self, now: Instant, step: &Step, config: &TeleopConfig) {
        let mut walk = self.walk(config);
        walk.take(now, step);
        self.walk = Some(walk);
    }

    pub(super) fn handle_acknowledged(&mut self, command: &Command) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.acknowledged = Some(command.position);
        self.turned = command.orientation.or(self.turned);
        self.sighted = None;
        self.accepted = Some(*command);
    }

    pub(super) fn handle_rejected(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.accepted = None;
    }

    /// What leads nowhere new: the last command, if the controller has accepted it and nothing has come between.
    pub(super) fn repeatable(&self) -> Option<Command> {
        self.accepted.filter(|_| self.undisturbed && self.unanswered == 0)
    }

    /// What has been sent is not to be said again: in the meantime the arm may be moved by other means.
    pub(super) fn forbid_repetition(&mut self) {
        self.undisturbed = false;
    }

    pub(super) fn handle_reported(&mut self, position: Position) {
        self.reported = Some(position);
    }

    /// The arm is there, whatever it was told last.
    pub(super) fn handle_sighted(&mut self, position: Position) {
        (self.reported, self.sighted) = (Some(position), Some(position));
    }

    pub(super) fn handle_stop_sent(&mut self) {
        self.unanswered += 1;
    }

    /// `stopped_at`: the arm was stopped on its way; it is there, and not where the last command leads.
    pub(super) fn handle_stop_answered(&mut self, stopped_at: Option<Position>) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if stopped_at.is_some() {
            (self.reported, self.acknowledged) = (stopped_at, None);
        }
    }

    pub(super) fn handle_link_down(&mut self) {
        let Self { acknowledged, turned, reported, sighted, .. } = *self;
        *self = Self { acknowledged, turned, reported, sighted, ..Self::default() };
    }

    /// Forgets where the arm is: it is another one.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether the present motion has sent a command.
    pub(super) fn has_begun(&self) -> bool {
        self.walk.is_some()
    }

    pub(super) fn last_sent(&self) -> Option<(Instant, Command)> {
        self.last_sent
    }

    /// When the first command of a motion may be sent, if nothing stands in its way; `None` while anything is
    /// unanswered: the arm's position is known once all is answered.
    pub(super) fn may_begin_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        let since =
            |(sent_at, sent)| self.at_start_since(sent_at, sent, config).max(sent_at + config.ramp_period());
        (self.unanswered == 0).then(|| self.last_sent.map_or(now, since))
    }

    /// The walk as it stands, or the one that would begin now.
    pub(super) fn walk(&self, config: &TeleopConfig) -> Limiter {
        let begin = || {
            let last = self.last_sent.map(|(at, command)| self.at_start_since(at, command, config));
            Limiter::at(self.start(config), last)
        };
        self.walk.clone().unwrap_or_else(begin)
    }

    /// Whether the present walk has begun and stands at `goal`.
    pub(super) fn rests_at(&self, goal: Position) -> bool {
        self.walk.as_ref().is_some_and(|walk| walk.rests_at(goal))
    }

    /// Where the arm is taken to be.
    pub(super) fn start(&self, config: &TeleopConfig) -> Position {
        self.known().unwrap_or(config.home)
    }

    /// How the tool is turned: by the last command of this motion, or by the last that the controller has accepted.
    pub(super) fn turned(&self, turning: &Turning) -> Orientation {
        let commanded =
            self.last_sent.filter(|_| self.has_begun()).and_then(|(_, command)| command.orientation);
        commanded.or(self.turned).unwrap_or(turning.home)
    }

    /// From when the tool counts as turned like that: the way back from a command that was refused takes its time too.
    pub(super) fn turned_since(&self, config: &TeleopConfig) -> Option<Instant> {
        let (sent_at, sent) = self.last_sent?;
        Some(if self.has_begun() { sent_at } else { self.at_start_since(sent_at, sent, config) })
    }

    /// Whether the last command of this motion left the tool on its way.
    pub(super) fn turns(&self) -> bool {
        self.turns && self.has_begun()
    }

    /// Where the arm is by the controller's word: where it has been told to be, unless it has been seen elsewhere.
    pub(super) fn known(&self) -> Option<Position> {
        let elsewhere = |told: &Position| self.sighted.is_some_and(|seen| seen.distance(*told) > MEASURING);
        self.acknowledged.filter(|told| !elsewhere(told)).or(self.reported)
    }

    /// When the arm, told at `sent_at` to be elsewhere and having refused that, counts as being at the start: so late
    /// that the way from that command to the start keeps the speed limit too.
    fn at_start_since(&self, sent_at: Instant, sent: Command, config: &TeleopConfig) -> Instant {
        let way = self.start(config).distance(sent.position) / config.approach_limits().speed;
        let turn = config.turning.zip(sent.orientation).map_or(0.0, |(turning, sent)| {
            self.turned.unwrap_or(turning.home).angle_to(sent) / turning.speed
        });
        let seconds = way.max(turn);
        sent_at + Duration::from_secs_f64(seconds.min(MAX_WAIT))
    }
}

/// How far from where it was told to be an arm that is there may be measured, in metres.
const MEASURING: f64 = 0.005;

/// Longer than any way in any workspace takes at any sensible speed, in seconds; keeps the arithmetic finite.
const MAX_WAIT: f64 = 3600.0;

/// The share of a period, as a divisor, by which a command may be late and still count as sent when it was due.
const LATE: u32 = 4;
