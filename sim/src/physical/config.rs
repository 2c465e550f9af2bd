//! The settings of a physical arm and its controller.

use std::time::Duration;

use aether_bridge::geometry::{Orientation, Position};

/// A physical arm and its controller.
#[derive(Debug, Clone)]
pub struct PhysicalConfig {
    /// The position to which the controller homes the arm.
    pub home: Position,
    /// The orientation of the tool at home.
    pub home_orientation: Orientation,
    /// The position of the arm at the start.
    pub start: Position,
    /// The speed of the arm, in m/s.
    pub speed: f64,
    /// The acceleration of the arm, in m/s²; infinity means no limit.
    pub acceleration: f64,
    /// The speed at which the tool rotates, in rad/s.
    pub rotation_speed: f64,
    /// How the arm handles several commands.
    pub intake: Intake,
    /// Commands farther from the base than this, in metres, are refused.
    pub reach: Option<f64>,
    /// A box, given by two corners. A command to a position in it is refused.
    pub wall: Option<[Position; 2]>,
    /// Whether the controller knows stop lines. If not, it refuses them and the arm moves on.
    pub knows_stop: bool,
    /// Whether the controller knows heartbeats. If not, it refuses them.
    pub knows_heartbeat: bool,
    /// What the controller reports, and when.
    pub reports: Reports,
    /// How far the arm hangs below its commanded position, in metres.
    pub sag: f64,
    /// The largest error of a report in each axis, in metres.
    pub noise: f64,
    /// The factor on reported positions: 1.0 is correct, 0.001 is metres on a millimetre wire.
    pub unit_factor: f64,
    /// Whether the controller reports zeros until the arm has been homed.
    pub zero_before_homing: bool,
    /// Whether the controller refuses commands until the arm has been homed.
    pub needs_homing: bool,
    /// How a fault is reported.
    pub fault_word: FaultWord,
    /// What a new controller process does with the arm.
    pub after_restart: AfterRestart,
    /// How far the arm sinks when it loses power, in metres.
    pub drop: f64,
    /// The seed of all random values.
    pub seed: u64,
}

/// How the arm handles several commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// It goes to the newest command and drops older ones.
    Newest,
    /// It executes commands in order. If the queue is full, it refuses further commands as "busy".
    Queue {
        /// How many commands may wait.
        size: usize,
    },
}

/// Which lines report the position, and what else they report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reports {
    /// Replies to accepted commands.
    pub commands: bool,
    /// Replies that refuse a line.
    pub refusals: bool,
    /// Replies to heartbeats.
    pub heartbeats: bool,
    /// Replies to stop lines.
    pub stops: bool,
    /// Unsolicited state messages, with this period.
    pub unasked: Option<Duration>,
    /// Whether a report states if the arm moves.
    pub moving: bool,
    /// Whether a report states the gripper.
    pub gripper: bool,
}

impl Reports {
    /// Reports everything in every reply, but sends no unsolicited state.
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

    /// Returns whether anything is reported.
    pub fn any(&self) -> bool {
        self.commands || self.refusals || self.heartbeats || self.stops || self.unasked.is_some()
    }
}

/// How a controller reports a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FaultWord {
    /// Every reply has `fault`, and orders to move are refused.
    Reported,
    /// Orders to move are refused, without a report of the fault.
    OnlyRefuses,
    /// Every reply has `fault`, and commands are accepted, but the arm does not move.
    ReportedAndAccepts,
}

/// What a new controller process does with the arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AfterRestart {
    /// Nothing: the arm stays at its position.
    Keeps,
    /// It homes the arm.
    Homes,
    /// It reports zeros, and homes the arm when asked.
    Unhomed,
}

impl Default for PhysicalConfig {
    /// Returns a desktop arm that reports everything correctly and goes to the newest command at
    /// 0.5 m/s.
    fn default() -> Self {
        let home = Position::new(0.2, 0.0, 0.2).expect("three small numbers are a position");
        Self {
            home,
            home_orientation: Orientation::from_rpy([0.0; 3]),
            start: home,
            speed: 0.5,
            acceleration: f64::INFINITY,
            rotation_speed: 3.0,
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
