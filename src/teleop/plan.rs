//! What to send now, and when: the one place where a command is planned.

use std::time::{Duration, Instant};

use super::hold::HoldLine;
use super::limiter::{Limit, Pace, Step};
use super::machine::{State, Teleop};
use super::planned::{Kind, Planned};
use super::state::LinkView;
use crate::arm::Command;
use crate::geometry::Orientation;
use crate::geometry::Position;

impl Teleop {
    /// Whether a stop line is to be sent now, whatever is unanswered. Tell [`Teleop::handle_stop_sent`],
    /// and of its answer [`Teleop::handle_stop_answered`].
    #[must_use]
    pub fn poll_stop_line(&self) -> bool {
        self.stop_due
    }

    /// Takes note that a stop line has been handed to the connection.
    pub fn handle_stop_sent(&mut self) {
        self.stop_due = false;
        self.course.handle_stop_sent();
    }

    /// The command to send now, if one is due. Call it when the link has room for a command, and
    /// [`Teleop::handle_sent`] once it is on its way; nothing changes before that.
    #[must_use]
    pub fn poll_command(&self, now: Instant) -> Option<Planned> {
        if self.poll_command_at(now)? > now {
            return None;
        }
        let limits = match self.state {
            State::Approach => self.config.approach_limits(),
            State::Tracking => self.config.limits,
            _ => return self.repetition(now),
        };
        if self.obstacle(now).is_some() {
            return None;
        }
        let (goal, aim) = (self.goal?, self.aim()?);
        let walk = self.course.walk(&self.config);
        let step = walk.step(now, aim, limits, self.pace(), &self.config.workspace);
        let (orientation, turning) = self.turn_step(now).unzip();
        Some(Planned {
            command: Command { position: step.position, gripper: self.gripper.decided(), orientation },
            clamped: goal.clamped,
            filtered: goal.filtered,
            limited: step.limit,
            turning: turning.unwrap_or(false),
            kind: if self.state == State::Approach { Kind::Approach } else { Kind::Tracking },
            input_age: self.input.watchdog().age(now).unwrap_or_default(),
            step: Some(step),
        })
    }

    /// When a command will be due, if nothing happens before that. It may lie in the past.
    #[must_use]
    pub fn poll_command_at(&self, now: Instant) -> Option<Instant> {
        if self.stop_due {
            return None;
        }
        if !self.is_moving() {
            return self.repeat_at();
        }
        let aim = self.aim()?;
        if !self.course.has_begun() {
            return self.course.may_begin_at(now, &self.config);
        }
        let Some((sent_at, sent)) = self.course.last_sent() else { return Some(now) };
        if sent.gripper != self.gripper.decided() {
            // What is held is let go of, or caught, when the hand does it, whether the arm moves or not.
            return Some(sent_at);
        }
        let news = self.goal.is_some_and(|goal| goal.unsent);
        if !news && self.course.rests_at(aim) && self.turn().is_none_or(|(tool, goal)| tool == goal) {
            return None;
        }
        let spacing = match self.config.command_period {
            None if news => Duration::ZERO,
            _ => self.config.ramp_period(),
        };
        if spacing.is_zero() { Some(sent_at) } else { self.course.due_at(spacing) }
    }

    /// Takes note that a planned command has been handed to the connection.
    pub fn handle_sent(&mut self, now: Instant, planned: &Planned) {
        self.gripper.handle_sent();
        if let Some(step) = &planned.step {
            self.handle_step(now, step);
        }
        self.counters.limited += u64::from(planned.limited == Some(Limit::Speed) || planned.clamped);
        self.course.handle_sent(now, planned, self.config.ramp_period());
    }

    fn handle_step(&mut self, now: Instant, step: &Step) {
        let (aim, start) = (self.aim(), self.course.start(&self.config));
        let tool = self.config.turning.map(|turning| self.course.turned(&turning));
        self.course.take(now, step, &self.config);
        let (Some(goal), Some(aim)) = (&mut self.goal, aim) else { return };
        (goal.unsent, goal.position) = (false, aim);
        self.clutch.engage(goal.hand, start);
        if let Some((hand, tool)) = goal.orientation.zip(tool) {
            self.clutch.engage_turn(hand, tool);
        }
        if self.state == State::Approach && step.position.distance(aim) <= APPROACH_TOLERANCE {
            self.state = State::Tracking;
        }
    }

    /// Where the arm is to go now. Before a relative motion has begun that is where the arm is by then.
    fn aim(&self) -> Option<Position> {
        let goal = self.goal?;
        if self.course.has_begun() {
            return Some(goal.position);
        }
        self.place(goal.hand).map(|(position, _)| position).ok()
    }

    /// How the tool is turned, and how it is to be; none where the controller is not told of it.
    fn turn(&self) -> Option<(Orientation, Orientation)> {
        let tool = self.course.turned(&self.config.turning?);
        let hand = self.goal.and_then(|goal| goal.orientation);
        let goal = hand.map(|hand| self.clutch.turn(self.config.retarget_mode, hand, tool).near(tool));
        Some((tool, goal.unwrap_or(tool)))
    }

    /// How the next command turns the tool, and whether it does not yet get there.
    fn turn_step(&self, now: Instant) -> Option<(Orientation, bool)> {
        let (tool, goal) = self.turn()?;
        let Pace { period, longest } = self.pace();
        // A rest is no credit to be spent at once.
        let most = if self.course.turns() { longest } else { period };
        let since = self.course.turned_since(&self.config);
        let elapsed = since.map_or(period, |since| now.saturating_duration_since(since).min(most));
        let turned = tool.towards(goal, self.config.turning?.speed * elapsed.as_secs_f64());
        Some((turned, turned != goal))
    }

    /// When the last command is to be sent again.
    fn repeat_at(&self) -> Option<Instant> {
        let wanted = self.config.hold_line == HoldLine::Repeat
            && self.link == LinkView::Ready
            && !self.shutting_down
            && self.course.repeatable().is_some();
        self.course.due_at(self.config.ramp_period()).filter(|_| wanted)
    }

    /// The last command once more.
    fn repetition(&self, now: Instant) -> Option<Planned> {
        let input_age = self.input.watchdog().age(now).unwrap_or_default();
        Some(Planned::repetition(self.course.repeatable()?, input_age))
    }

    fn pace(&self) -> Pace {
        let period = self.config.ramp_period();
        Pace { period, longest: self.config.input_timeout.max(period) }
    }
}

/// How near to the target an approach ends, in metres: the noise of a webcam's guess.
const APPROACH_TOLERANCE: f64 = 0.005;
