//! The controller of a physical arm: it accepts, refuses, reports, fails and comes back.

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
    /// What a person at the controller has to clear.
    fault: Option<&'static str>,
    /// When the controller process is back, while it is dead.
    back_at: Option<Instant>,
    /// When it says its state unasked, next.
    state_at: Option<Instant>,
    rng: Rng,
}

/// Why an order is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The place is beyond the reach.
    Reach,
    /// The place is in the wall.
    Wall,
    /// The queue is full.
    Busy,
    /// A fault, or an emergency stop, is in force.
    Fault,
    /// The arm has to be homed first, or is being homed.
    NotHomed,
    /// The line is of a type that it does not know.
    Unknown,
}

/// What the controller says to one order.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Whether it obeys.
    pub verdict: Result<(), Refusal>,
    /// What it reports with it.
    pub state: Option<ReportedState>,
}

impl Refusal {
    /// The words for it.
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
    /// An arm at rest at its start.
    pub fn new(now: Instant, config: PhysicalConfig) -> Self {
        Self {
            body: Body::new(now, config.start, config.home_turning, config.acceleration),
            homed: !config.needs_homing && !config.zero_before_homing,
            fault: None,
            back_at: None,
            state_at: config.reports.unasked.map(|period| now + period),
            rng: Rng::with_seed(config.seed),
            config,
        }
    }

    /// Lets time pass, up to now.
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

    /// Whether the arm would go where a command leads, now.
    pub fn would_obey(&self, command: &Command) -> bool {
        self.fault.is_none() && self.judge(&Order::Command(*command)).is_ok()
    }

    /// Takes an order and obeys it, or does not.
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
        let told = match order {
            _ if verdict.is_err() => reports.refusals,
            Order::Command(_) => reports.commands,
            Order::Heartbeat => reports.heartbeats,
            Order::Stop => reports.stops,
        };
        Answer { verdict, state: self.report(told) }
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
        self.body.handle_command(command, self.config.speed, self.config.turning_speed, replaces);
    }

    /// What it reports, with the position if that is `told`.
    fn report(&mut self, told: bool) -> Option<ReportedState> {
        let speaks_of_fault = self.config.fault_word != FaultWord::OnlyRefuses;
        let fault = self.fault.filter(|_| speaks_of_fault).map(str::to_owned);
        if !told {
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

    /// The position as it is reported. `None` if the wire has no number for it.
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

    /// What it says unasked, if that is due now.
    pub fn poll_state(&mut self, now: Instant) -> Option<ReportedState> {
        self.state_at.filter(|at| *at <= now && self.back_at.is_none())?;
        self.handle_timeout(now);
        self.state_at = self.config.reports.unasked.map(|period| now + period);
        self.report(true)
    }

    /// When to call [`PhysicalArm::poll_state`] next.
    pub fn poll_state_at(&self) -> Option<Instant> {
        self.state_at
    }

    /// A person moves the arm to a place: by a hand on it, or by a pendant.
    pub fn handle_moved_by_person(&mut self, now: Instant, to: Position, speed: f64) {
        self.handle_timeout(now);
        self.body.handle_moved(to, speed, Mover::Person);
    }

    /// A person, or another program, sets the gripper.
    pub fn handle_gripper_set(&mut self, gripper: Gripper) {
        self.body.set_gripper(gripper);
    }

    /// A fault, or an emergency stop: the arm stands still until [`PhysicalArm::handle_fault_cleared`].
    pub fn handle_fault(&mut self, now: Instant, fault: &'static str) {
        self.handle_timeout(now);
        self.body.halt();
        self.fault = Some(fault);
    }

    /// A person clears the fault at the controller.
    pub fn handle_fault_cleared(&mut self) {
        self.fault = None;
    }

    /// The controller homes the arm.
    pub fn handle_homed(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.home();
    }

    fn home(&mut self) {
        self.homed = true;
        self.body.handle_moved(self.config.home, self.config.speed, Mover::Homing);
    }

    /// The arm is blocked by an obstacle, or free again.
    pub fn handle_stalled(&mut self, now: Instant, stalled: bool) {
        self.handle_timeout(now);
        self.body.set_stalled(stalled);
    }

    /// The controller process dies, and comes back after a while. The arm stops where it is.
    pub fn handle_restart(&mut self, now: Instant, after: Duration) {
        self.handle_timeout(now);
        self.body.halt();
        self.fault = None;
        self.back_at = Some(now + after);
    }

    /// The controller process is back, before it would have been by itself.
    pub fn handle_back(&mut self, now: Instant) {
        if self.back_at.is_some() {
            self.back_at = Some(now);
        }
        self.handle_timeout(now);
    }

    /// The arm stands still where it is, because the controller has not received a line for too long.
    pub fn handle_expired(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.body.halt();
    }

    /// The arm loses power and sinks; the controller process dies, and comes back after a while.
    pub fn handle_power_loss(&mut self, now: Instant, after: Duration) {
        self.handle_restart(now, after);
        let [x, y, z] = self.body.position().coordinates();
        if let Ok(down) = Position::new(x, y, (z - self.config.drop).max(0.0).min(z)) {
            self.body.handle_moved(down, FALL, Mover::Gravity);
        }
    }

    /// Whether the controller process is there.
    pub fn is_up(&self) -> bool {
        self.back_at.is_none()
    }

    /// When the controller process is back, if it is dead.
    pub fn back_at(&self) -> Option<Instant> {
        self.back_at
    }

    /// The fault in force.
    pub fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Whether it has been homed, as far as it needs that.
    pub fn is_homed(&self) -> bool {
        self.homed
    }

    /// The metal.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Where the tool centre point is in truth: the body's place, and what it hangs below that.
    pub fn true_point(&self) -> nalgebra::Point3<f64> {
        let mut at = self.body.point();
        at.z -= self.config.sag;
        at
    }

    /// What it is like.
    pub fn config(&self) -> &PhysicalConfig {
        &self.config
    }
}

/// How fast an arm without power sinks, in m/s.
const FALL: f64 = 0.3;
