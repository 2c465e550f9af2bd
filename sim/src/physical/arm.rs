//! The controller of a physical arm: it accepts, refuses, reports, fails and restarts.

use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper, ReportedState};
use aether_bridge::geometry::Position;
use aether_bridge::wire::Order;
use fastrand::Rng;

use super::body::{Body, Mover};
use super::config::{AfterRestart, FaultWord, Intake, PhysicalConfig};

/// A physical arm with its controller. See the [module](super).
#[derive(Debug, Clone)]
pub struct PhysicalArm {
    config: PhysicalConfig,
    body: Body,
    homed: bool,
    /// The fault that the operator must clear at the controller.
    fault: Option<&'static str>,
    /// When the controller process restarts; `None` while it runs.
    back_at: Option<Instant>,
    /// When it sends the next unsolicited state.
    state_at: Option<Instant>,
    rng: Rng,
}

/// The reason why an order is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The position is beyond the reach.
    Reach,
    /// The position is in the wall.
    Wall,
    /// The queue is full.
    Busy,
    /// There is a fault or an emergency stop.
    Fault,
    /// The arm must be homed first, or is being homed.
    NotHomed,
    /// The controller does not know the type of the line.
    Unknown,
}

/// The reply of the controller to one order.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Whether the order is accepted.
    pub verdict: Result<(), Refusal>,
    /// The state in the reply.
    pub state: Option<ReportedState>,
}

impl Refusal {
    /// Returns the text for the reply.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reach => "beyond the reach of the arm",
            Self::Wall => "inside the wall",
            Self::Busy => "busy",
            Self::Fault => "fault: reset it at the controller",
            Self::NotHomed => "not homed",
            Self::Unknown => "unknown type",
        }
    }
}

impl PhysicalArm {
    /// Creates an arm at rest at its start position.
    pub fn new(now: Instant, config: PhysicalConfig) -> Self {
        Self {
            body: Body::new(now, config.start, config.home_orientation, config.acceleration),
            homed: !config.needs_homing && !config.zero_before_homing,
            fault: None,
            back_at: None,
            state_at: config.reports.unasked.map(|period| now + period),
            rng: Rng::with_seed(config.seed),
            config,
        }
    }

    /// Advances the arm to the time `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.body.handle_timeout(now);
        if self.back_at.is_some_and(|at| at <= now) {
            self.back_at = None;
            match self.config.after_restart {
                AfterRestart::Keeps => {}
                AfterRestart::Homes => self.home(),
                AfterRestart::Unhomed => self.homed = !self.config.zero_before_homing,
            }
        }
    }

    /// Returns whether the arm would accept and execute a command now.
    pub fn would_obey(&self, command: &Command) -> bool {
        self.fault.is_none() && self.judge(&Order::Command(*command)).is_ok()
    }

    /// Executes an order, or refuses it.
    pub fn handle_order(&mut self, now: Instant, order: &Order) -> Answer {
        self.handle_timeout(now);
        let verdict = self.judge(order);
        if verdict.is_ok() {
            match order {
                Order::Command(command) if self.fault.is_none() => self.obey(command),
                Order::Stop => self.body.halt(),
                Order::Command(_) | Order::Heartbeat => {}
            }
        }
        let reports = &self.config.reports;
        let reported = match order {
            _ if verdict.is_err() => reports.refusals,
            Order::Command(_) => reports.commands,
            Order::Heartbeat => reports.heartbeats,
            Order::Stop => reports.stops,
        };
        Answer { verdict, state: self.report(reported) }
    }

    fn judge(&self, order: &Order) -> Result<(), Refusal> {
        let command = match order {
            Order::Stop => return if self.config.knows_stop { Ok(()) } else { Err(Refusal::Unknown) },
            Order::Heartbeat if self.config.knows_heartbeat => return Ok(()),
            Order::Heartbeat => return Err(Refusal::Unknown),
            Order::Command(command) => command,
        };
        let at = command.position.point();
        let fault = self.fault.is_some() && self.config.fault_word != FaultWord::ReportedAndAccepts;
        let homing = self.body.mover() == Some(Mover::Homing);
        let full = |size| self.body.legs() >= size;
        let in_wall = |wall: &[Position; 2]| {
            let [low, high] = wall.map(Position::point);
            (0..3).all(|axis| low[axis] <= at[axis] && at[axis] <= high[axis])
        };
        if fault {
            Err(Refusal::Fault)
        } else if homing || (self.config.needs_homing && !self.homed) {
            Err(Refusal::NotHomed)
        } else if self.config.reach.is_some_and(|reach| at.coords.norm() > reach) {
            Err(Refusal::Reach)
        } else if self.config.wall.as_ref().is_some_and(in_wall) {
            Err(Refusal::Wall)
        } else if matches!(self.config.intake, Intake::Queue { size } if full(size)) {
            Err(Refusal::Busy)
        } else {
            Ok(())
        }
    }

    fn obey(&mut self, command: &Command) {
        let replaces = self.config.intake == Intake::Newest || self.body.mover() == Some(Mover::Person);
        self.body.handle_command(command, self.config.speed, self.config.rotation_speed, replaces);
    }

    /// Returns the state for a reply: everything if `reported`, otherwise only a present fault.
    fn report(&mut self, reported: bool) -> Option<ReportedState> {
        let speaks_of_fault = self.config.fault_word != FaultWord::OnlyRefuses;
        let fault = self.fault.filter(|_| speaks_of_fault).map(str::to_owned);
        if !reported {
            return fault.map(|fault| ReportedState { fault: Some(fault), ..ReportedState::default() });
        }
        let reports = self.config.reports;
        Some(ReportedState {
            position: self.reported_position(),
            gripper: reports.gripper.then(|| self.body.gripper()),
            moving: reports.moving.then(|| self.body.is_moving()),
            fault,
            ..ReportedState::default()
        })
    }

    /// Returns the reported position, or `None` if the wire cannot express it.
    fn reported_position(&mut self) -> Option<Position> {
        if !self.homed && self.config.zero_before_homing {
            return Position::new(0.0, 0.0, 0.0).ok();
        }
        let mut at = self.true_point();
        if self.config.noise > 0.0 {
            for axis in 0..3 {
                at[axis] += self.config.noise * (2.0 * self.rng.f64() - 1.0);
            }
        }
        let [x, y, z] = [at.x, at.y, at.z].map(|metres| metres * self.config.unit_factor);
        Position::new(x, y, z).ok()
    }

    /// Returns the unsolicited state, if one is due now.
    pub fn poll_state(&mut self, now: Instant) -> Option<ReportedState> {
        self.state_at.filter(|at| *at <= now && self.back_at.is_none())?;
        self.handle_timeout(now);
        self.state_at = self.config.reports.unasked.map(|period| now + period);
        self.report(true)
    }

    /// Returns when to call [`PhysicalArm::poll_state`] next.
    pub fn poll_state_at(&self) -> Option<Instant> {
        self.state_at
    }

    /// Moves the arm to a position, as a hand on the arm or a pendant does. `speed` is in m/s.
    pub fn handle_moved_by_person(&mut self, now: Instant, to: Position, speed: f64) {
        self.handle_timeout(now);
        self.body.handle_moved(to, speed, Mover::Person);
    }

    /// Sets the gripper, as a hand or another program does.
    pub fn handle_gripper_set(&mut self, gripper: Gripper) {
        self.body.set_gripper(gripper);
    }

    /// Sets a fault or an emergency stop. The arm stands still until
    /// [`PhysicalArm::handle_fault_cleared`].
    pub fn handle_fault(&mut self, now: Instant, fault: &'static str) {
        self.handle_timeout(now);
        self.body.halt();
        self.fault = Some(fault);
    }

    /// Clears the fault, as the operator does at the controller.
    pub fn handle_fault_cleared(&mut self) {
        self.fault = None;
    }

    /// Homes the arm.
    pub fn handle_homed(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.home();
    }

    fn home(&mut self) {
        self.homed = true;
        self.body.handle_moved(self.config.home, self.config.speed, Mover::Homing);
    }

    /// Blocks the arm by an obstacle, or frees it.
    pub fn handle_stalled(&mut self, now: Instant, stalled: bool) {
        self.handle_timeout(now);
        self.body.set_stalled(stalled);
    }

    /// Crashes the controller process, which restarts after `after`. The arm stops at its position.
    pub fn handle_restart(&mut self, now: Instant, after: Duration) {
        self.handle_timeout(now);
        self.body.halt();
        self.fault = None;
        self.back_at = Some(now + after);
    }

    /// Restarts the controller process earlier than planned.
    pub fn handle_back(&mut self, now: Instant) {
        if self.back_at.is_some() {
            self.back_at = Some(now);
        }
        self.handle_timeout(now);
    }

    /// Stops the arm, because the controller has not received a line within the `ttl`.
    pub fn handle_expired(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.body.halt();
    }

    /// Cuts the power: the arm sinks and the controller process crashes. It restarts after `after`.
    pub fn handle_power_loss(&mut self, now: Instant, after: Duration) {
        self.handle_restart(now, after);
        let [x, y, z] = self.body.position().coordinates();
        if let Ok(down) = Position::new(x, y, (z - self.config.drop).max(0.0).min(z)) {
            self.body.handle_moved(down, FALL, Mover::Gravity);
        }
    }

    /// Returns whether the controller process runs.
    pub fn is_up(&self) -> bool {
        self.back_at.is_none()
    }

    /// Returns when the controller process restarts, if it has crashed.
    pub fn back_at(&self) -> Option<Instant> {
        self.back_at
    }

    /// Returns the present fault.
    pub fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Returns whether the arm has been homed, or needs no homing.
    pub fn is_homed(&self) -> bool {
        self.homed
    }

    /// Returns the mechanics of the arm.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Returns the true position of the tool centre point: the position of the body minus the sag.
    pub fn true_point(&self) -> nalgebra::Point3<f64> {
        let mut at = self.body.point();
        at.z -= self.config.sag;
        at
    }

    /// Returns the settings.
    pub fn config(&self) -> &PhysicalConfig {
        &self.config
    }
}

/// The speed at which an arm without power sinks, in m/s.
const FALL: f64 = 0.3;
