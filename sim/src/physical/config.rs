//! What a physical arm and its controller are like.

use std::time::Duration;

use aether_bridge::geometry::{Orientation, Position};

/// A physical arm and its controller.
#[derive(Debug, Clone)]
pub struct PhysicalConfig {
    /// Where the arm goes when it is homed.
    pub home: Position,
    /// How the tool is turned at home.
    pub home_turning: Orientation,
    /// Where the arm stands at first.
    pub start: Position,
    /// The arm's own speed, in m/s.
    pub speed: f64,
    /// The arm's own acceleration, in m/s²; infinity: it has its speed at once.
    pub acceleration: f64,
    /// How fast the tool turns, in rad/s.
    pub turning_speed: f64,
    /// Which commands it works on.
    pub intake: Intake,
    /// Commands farther from the base than this, in metres, are refused.
    pub reach: Option<f64>,
    /// A box, by two corners, into which it does not go: commands to a place in it are refused.
    pub wall: Option<[Position; 2]>,
    /// Whether it knows stop lines; otherwise it refuses them and goes on.
    pub knows_stop: bool,
    /// Whether it knows heartbeats; otherwise it refuses them.
    pub knows_heartbeat: bool,
    /// What it reports, and when.
    pub reports: Reports,
    /// How far the arm hangs below where it was told to be, in metres.
    pub sag: f64,
    /// The largest error of a report in each axis, in metres.
    pub noise: f64,
    /// By what a reported position is multiplied: 1.0 is the truth, 0.001 is metres on a millimetre wire.
    pub unit_factor: f64,
    /// Whether it reports zeros until it has been homed.
    pub zero_before_homing: bool,
    /// Whether it accepts commands before it has been homed.
    pub needs_homing: bool,
    /// How a fault is reported.
    pub fault_word: FaultWord,
    /// What a new controller process does with the arm.
    pub after_restart: AfterRestart,
    /// How far the arm sinks when it loses power, in metres.
    pub drop: f64,
    /// What is random, is random by this.
    pub seed: u64,
}

/// Which commands an arm works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// The newest; it forgets the others.
    Newest,
    /// One after the other; when so many wait it refuses more, as "busy".
    Queue {
        /// How many may wait.
        size: usize,
    },
}

/// What a controller reports, and when. A report carries the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reports {
    /// In the reply to an accepted command.
    pub commands: bool,
    /// In a reply that refuses.
    pub refusals: bool,
    /// In the reply to a heartbeat.
    pub heartbeats: bool,
    /// In the reply to a stop line.
    pub stops: bool,
    /// Unasked, as a state, this often.
    pub unasked: Option<Duration>,
    /// Whether a report says if the arm moves.
    pub moving: bool,
    /// Whether a report says what the gripper is.
    pub gripper: bool,
}

impl Reports {
    /// Everything in every reply, and nothing unasked.
    pub fn all() -> Self {
        let unasked = None;
        Self {
            commands: true,
            refusals: true,
            heartbeats: true,
            stops: true,
            unasked,
            moving: true,
            gripper: true,
        }
    }

    /// Whether anything is reported at all.
    pub fn any(&self) -> bool {
        self.commands || self.refusals || self.heartbeats || self.stops || self.unasked.is_some()
    }
}

/// How a controller tells of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FaultWord {
    /// `fault` is in every reply, and orders to move are refused.
    Reported,
    /// Orders to move are refused, and no more is said.
    OnlyRefuses,
    /// `fault` is in every reply, and commands are accepted, though the arm does not move.
    ReportedAndAccepts,
}

/// What a new controller process does with the arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AfterRestart {
    /// Nothing: the arm stands where it was.
    Keeps,
    /// It homes the arm.
    Homes,
    /// It says zeros, and homes the arm when asked.
    Unhomed,
}

impl Default for PhysicalConfig {
    /// A desktop arm that reports everything truthfully and goes to the newest command at 0.5 m/s.
    fn default() -> Self {
        let home = Position::new(0.2, 0.0, 0.2).expect("three small numbers are a position");
        Self {
            home,
            home_turning: Orientation::from_rpy([0.0; 3]),
            start: home,
            speed: 0.5,
            acceleration: f64::INFINITY,
            turning_speed: 3.0,
            intake: Intake::Newest,
            reach: None,
            wall: None,
            knows_stop: true,
            knows_heartbeat: true,
            reports: Reports::all(),
            sag: 0.0,
            noise: 0.0,
            unit_factor: 1.0,
            zero_before_homing: false,
            needs_homing: false,
            fault_word: FaultWord::Reported,
            after_restart: AfterRestart::Keeps,
            drop: 0.05,
            seed: 0,
        }
    }
}
