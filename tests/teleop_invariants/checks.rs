//! The invariants, each by its number, for a command that is about to be sent.

use std::time::Instant;

use aether_bridge::arm::Command;
use aether_bridge::teleop::{CommandKind, HoldBehavior, LinkView, Motion, Planned};
use aether_sim::monitor::{Step, TimedCommand};

use crate::world::{Order, World};

/// A command at an exact time.
pub fn timed(at: Instant, planned: &Planned) -> TimedCommand {
    TimedCommand { command: planned.command, not_before: Some(at), at, line: String::new() }
}

impl World {
    pub fn check(&self, planned: &Planned) {
        let Planned { command, kind, .. } = planned;
        assert!(!self.shut_down, "invariant 3: after the end");
        assert!(self.link == LinkView::Ready, "invariant 3: without a link");
        self.check_limits(planned);
        if *kind == CommandKind::Repetition {
            self.check_repetition(command);
            return;
        }
        self.check_smoothness(command);
        self.check_permission();
        if self.interrupted {
            self.check_start(*kind);
        }
        self.check_input();
        self.check_gripper(command);
    }

    /// 6. The gripper changes only by its own input, and a wish that has stood is what a command says.
    ///
    /// A command that begins a motion, or follows a refused one, has the gripper as it was last accepted or reported.
    fn check_gripper(&self, command: &Command) {
        let side = &self.gripper;
        if command.gripper != side.sent.unwrap_or(side.state) {
            assert!(side.stood.contains(&command.gripper), "invariant 6: {command:?} {side:?}");
        }
        let newest = self.in_flight.iter().rev().find_map(|order| match order {
            Order::Command(newest) => Some(newest.gripper),
            Order::Stop | Order::Question => None,
        });
        if let Some(newest) = newest.filter(|_| side.sent.is_none()) {
            assert_eq!(command.gripper, newest, "invariant 6: back and forth, before the answer: {side:?}");
        }
        if let Some(due) = side.due {
            assert_eq!(command.gripper, due, "invariant 6: a standing wish is not met: {side:?}");
        }
    }

    /// 1, 2 and 4 as far as the arm's controller sees them: inside the workspace, no faster than the limit, and after any
    /// loss an approach from where the arm is.
    fn check_limits(&self, planned: &Planned) {
        let step = match planned.kind {
            CommandKind::Repetition => Step::Continue,
            _ if self.interrupted => Step::Start,
            CommandKind::Approach => Step::Approach,
            _ => Step::Continue,
        };
        let places = self.place.starts(self.now, self.restarted, &self.config);
        let found = self.monitor.check(&timed(self.now, planned), step, &places);
        let known = (&self.place, self.restarted, self.interrupted, self.now - self.start);
        assert!(found.is_empty(), "invariant 1, 2 or 4: {found:?} {planned:?} {known:?}");
    }

    /// 2. Successive commands on one connection keep the limits of acceleration and turning.
    fn check_smoothness(&self, command: &Command) {
        let Some((sent_at, last)) = self.last_on_connection else { return };
        let seconds = (self.now - sent_at).as_secs_f64();
        self.check_acceleration(command, last, seconds);
        self.check_turn(command, last, seconds);
    }

    /// 2, for the tool.
    fn check_turn(&self, command: &Command, last: Command, seconds: f64) {
        let Some(turning) = self.config.orientation else {
            return assert_eq!(command.orientation, None, "told, though nobody asked");
        };
        let Some((last, next)) = last.orientation.zip(command.orientation) else { return };
        let (turned, allowed) = (last.angle_to(next), turning.speed * seconds + 1e-6);
        assert!(turned <= allowed, "invariant 2: {turned} rad, {allowed} rad allowed");
    }

    /// 2, second half: the velocity changes by no more than the acceleration allows, except towards standing: that is
    /// what silence does to an arm.
    fn check_acceleration(&self, command: &Command, last: Command, seconds: f64) {
        let Some((before, seconds_before)) = self.velocity.filter(|_| !self.interrupted && seconds > 0.0)
        else {
            return; // the first of a motion: see 4.
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

    /// 3. Nothing moves while DISARMED, HOLDING or STOPPED, nor without permission.
    fn check_permission(&self) {
        assert!(matches!(self.teleop.motion(), Motion::Approach | Motion::Tracking), "invariant 3");
        assert!(self.permitted, "invariant 3: without permission");
        assert!(!self.stop_owed, "invariant 3: the hold has not been told yet");
    }

    /// 3, while held: a repetition is the last command of this connection, accepted, and nothing else.
    fn check_repetition(&self, command: &Command) {
        let held = matches!(self.teleop.motion(), Motion::Holding | Motion::Stopped);
        assert!(held && self.config.hold_behavior == HoldBehavior::Repeat, "invariant 3: repeated");
        let last = self.last_on_connection.map(|(_, last)| last);
        assert_eq!(last, Some(*command), "invariant 3: not the last command");
        assert_eq!(self.accepted, Some(*command), "invariant 3: repeated, and not accepted");
        assert!(self.undisturbed, "invariant 3: repeated, and others may have moved the arm");
        assert!(!self.is_on_its_way(), "invariant 3: repeated, and not answered");
    }

    /// 4. After any loss the first motion is an approach from where the arm is known to be.
    fn check_start(&self, kind: CommandKind) {
        assert!(kind == CommandKind::Approach, "invariant 4: not an approach");
        assert!(!self.faulty, "invariant 4: begun though the controller reports a fault");
        assert!(!self.is_on_its_way(), "invariant 4: begun before {:?} was answered", self.in_flight);
    }

    /// 5. Stale input never moves the arm, nor do two hands at once.
    fn check_input(&self) {
        let taken = self.good_input.expect("invariant 5: no good input");
        let age = self.now - taken;
        assert!(age < self.config.input_timeout, "invariant 5: input taken {age:?} ago");
        assert!(!self.two_hands, "invariant 5: two hands");
    }
}

/// Two roundings to a micrometre in each of three axes, and the arithmetic's own noise.
const WIRE_RESOLUTION: f64 = 2e-6;
