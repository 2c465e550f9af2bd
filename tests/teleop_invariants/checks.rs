//! The checks of the numbered invariants, for a command that is about to be sent.

use std::time::Instant;

use aether_bridge::arm::Command;
use aether_bridge::teleop::{CommandKind, HoldBehavior, LinkView, Motion, Planned};
use aether_sim::monitor::{Step, TimedCommand};

use crate::world::{Order, World};

/// Returns a command with an exact time.
pub fn timed(at: Instant, planned: &Planned) -> TimedCommand {
    TimedCommand { command: planned.command, not_before: Some(at), at, line: String::new() }
}

impl World {
    pub fn check(&self, planned: &Planned) {
        let Planned { command, kind, .. } = planned;
        assert!(!self.shut_down, "invariant 3: after the shutdown");
        assert!(self.link == LinkView::Ready, "invariant 3: without a link");
        self.check_limits(planned);
        if *kind == CommandKind::Repetition {
            self.check_repetition(command);
            return;
        }
        self.returns.check(self.now, planned, self.interrupted, &self.config);
        self.check_smoothness(command);
        self.check_permission();
        if self.interrupted {
            self.check_start(*kind);
        }
        self.check_input();
        self.check_gripper(command);
    }

    /// Checks invariant 6: the gripper changes only by its own input, and commands contain the
    /// gripper state that was requested for its debounce time.
    ///
    /// A command that begins a motion or follows a refused command carries the last accepted or
    /// reported state.
    fn check_gripper(&self, command: &Command) {
        let side = &self.gripper;
        if command.gripper != side.sent.unwrap_or(side.state) {
            assert!(side.lasted.contains(&command.gripper), "invariant 6: {command:?} {side:?}");
        }
        let newest = self.in_flight.iter().rev().find_map(|order| match order {
            Order::Command(newest) => Some(newest.gripper),
            Order::Stop | Order::Question => None,
        });
        if let Some(newest) = newest.filter(|_| side.sent.is_none()) {
            assert_eq!(command.gripper, newest, "invariant 6: back and forth before the reply: {side:?}");
        }
        if let Some(due) = side.due {
            assert_eq!(command.gripper, due, "invariant 6: a lasting wish is not obeyed: {side:?}");
        }
    }

    /// Checks invariants 1, 2 and 4 as the arm's controller sees them. Commands stay inside the
    /// workspace and obey the speed limit. After any loss, motion is an approach from the arm's
    /// position.
    fn check_limits(&self, planned: &Planned) {
        let step = match planned.kind {
            CommandKind::Repetition => Step::Continue,
            _ if self.interrupted => Step::Start,
            CommandKind::Approach => Step::Approach,
            _ => Step::Continue,
        };
        let starts = self.arm_record.starts(self.now, self.restarted, &self.config);
        let found = self.monitor.check(&timed(self.now, planned), step, &starts);
        let known = (&self.arm_record, self.restarted, self.interrupted, self.now - self.start);
        assert!(found.is_empty(), "invariant 1, 2 or 4: {found:?} {planned:?} {known:?}");
    }

    /// Checks invariant 2: consecutive commands on one connection obey the limits of acceleration
    /// and rotation.
    fn check_smoothness(&self, command: &Command) {
        let Some((sent_at, last)) = self.last_on_connection else { return };
        let seconds = (self.now - sent_at).as_secs_f64();
        self.check_acceleration(command, last, seconds);
        self.check_rotation(command, last, seconds);
    }

    /// Checks invariant 2 for the tool.
    fn check_rotation(&self, command: &Command, last: Command, seconds: f64) {
        let Some(settings) = self.config.orientation else {
            return assert_eq!(command.orientation, None, "an orientation that no setting requests");
        };
        let Some((last, next)) = last.orientation.zip(command.orientation) else { return };
        let (rotated, allowed) = (last.angle_to(next), settings.speed * seconds + 1e-6);
        assert!(rotated <= allowed, "invariant 2: {rotated} rad, {allowed} rad allowed");
    }

    /// Checks invariant 2 for acceleration: the velocity changes by at most the acceleration limit.
    /// Slowing down is exempt, because an arm without further commands stops too.
    fn check_acceleration(&self, command: &Command, last: Command, seconds: f64) {
        let Some((before, seconds_before)) = self.velocity.filter(|_| !self.interrupted && seconds > 0.0)
        else {
            return; // The first command of a motion is checked by invariant 4.
        };
        let velocity = (command.position.point() - last.position.point()) / seconds;
        let share = if before.norm() > 0.0 { velocity.dot(&before) / before.norm_squared() } else { 0.0 };
        let change = (velocity - before * share.clamp(0.0, 1.0)).norm();
        let noise = WIRE_RESOLUTION / seconds + WIRE_RESOLUTION / seconds_before;
        let allowed = self.config.limits.acceleration * seconds + noise;
        assert!(
            change <= allowed,
            "invariant 2: {change} m/s of change in {seconds} s, {allowed} m/s allowed"
        );
    }

    /// Checks invariant 3: nothing moves while DISARMED, HOLDING or STOPPED, or without permission.
    fn check_permission(&self) {
        assert!(matches!(self.teleop.motion(), Motion::Approach | Motion::Tracking), "invariant 3");
        assert!(self.permitted, "invariant 3: without permission");
        assert!(!self.stop_line_due, "invariant 3: the stop line of the hold has not been sent");
    }

    /// Checks invariant 3 during a hold: a repetition is exactly the last accepted command of this
    /// connection.
    fn check_repetition(&self, command: &Command) {
        let held = matches!(self.teleop.motion(), Motion::Holding | Motion::Stopped);
        assert!(held && self.config.hold_behavior == HoldBehavior::Repeat, "invariant 3: repeated");
        let last = self.last_on_connection.map(|(_, last)| last);
        assert_eq!(last, Some(*command), "invariant 3: not the last command");
        assert_eq!(self.accepted, Some(*command), "invariant 3: repeated, but not accepted");
        assert!(self.undisturbed, "invariant 3: repeated, although others may have moved the arm");
        assert!(!self.awaits_replies(), "invariant 3: repeated before the reply");
    }

    /// Checks invariant 4: after any loss the first motion is an approach from the known position
    /// of the arm.
    fn check_start(&self, kind: CommandKind) {
        assert!(kind == CommandKind::Approach, "invariant 4: not an approach");
        assert!(!self.faulty, "invariant 4: begun although the controller reports a fault");
        assert!(!self.awaits_replies(), "invariant 4: begun before the reply to {:?}", self.in_flight);
    }

    /// Checks invariant 5: neither old input nor two hands together move the arm.
    fn check_input(&self) {
        let taken = self.good_input.expect("invariant 5: no good input");
        let age = self.now - taken;
        assert!(age < self.config.input_timeout, "invariant 5: input taken {age:?} ago");
        assert!(!self.two_hands, "invariant 5: two hands");
    }
}

/// The effect of two roundings to a micrometre in each of three axes, and of the floating-point
/// arithmetic, in metres.
const WIRE_RESOLUTION: f64 = 2e-6;
