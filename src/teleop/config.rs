//! What the teleoperation rules are set to.

use std::time::Duration;

use super::clutch::RetargetMode;
use super::filter::FilterConfig;
use super::gripper::GripperConfig;
use super::hold::HoldLine;
use super::jump::JumpConfig;
use super::limiter::Limits;
use super::liveliness::LivelinessConfig;
use super::retarget::Retarget;
use super::workspace::Workspace;
use crate::arm::Gripper;
use crate::geometry::Orientation;
use crate::geometry::Position;

/// Who arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arming {
    /// The bridge arms itself once, at start, and comes back by an approach after a loss.
    Automatic,
    /// A person arms, at start and after every loss of the link.
    Operator,
}

/// Everything [`Teleop`](super::Teleop) needs to know. `crate::config` validates the values.
#[derive(Debug, Clone, PartialEq)]
pub struct TeleopConfig {
    /// Who arms.
    pub arming: Arming,
    /// How long the input must be good without a gap before arming leads to motion.
    pub settle_time: Duration,
    /// Input older than this never moves the arm.
    pub input_timeout: Duration,
    /// Whether a target that is all zero means that the tracker sees no hand.
    pub zero_is_lost: bool,
    /// What counts as a live stream of targets.
    pub liveliness: LivelinessConfig,
    /// How targets are smoothed.
    pub filter: FilterConfig,
    /// What counts as a leap of the target.
    pub jump: JumpConfig,
    /// The least time between two commands; `None`: a command for every target.
    pub command_period: Option<Duration>,
    /// Where commands may lie.
    pub workspace: Workspace,
    /// Where the arm is taken to be when neither a reply nor a report has told.
    pub home: Position,
    /// How fast, and how suddenly, commands move the arm while tracking.
    pub limits: Limits,
    /// The fastest a command may move the arm while approaching, in m/s.
    pub approach_speed: f64,
    /// How the tool is turned; none where the controller is not told of it.
    pub turning: Option<Turning>,
    /// From the tracker's frame to the arm's base frame.
    pub retarget: Retarget,
    /// Whether the arm goes to where the hand is, or as far as it goes.
    pub retarget_mode: RetargetMode,
    /// How gripper input becomes a decision.
    pub gripper: GripperConfig,
    /// What the gripper is taken to be before its first decision.
    pub initial_gripper: Gripper,
    /// Error replies in a row after which motion holds.
    pub error_limit: u32,
    /// What the controller gets to hear while motion is held.
    pub hold_line: HoldLine,
}

/// How the tool is turned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turning {
    /// The fastest that commands turn it, in rad/s.
    pub speed: f64,
    /// How it is taken to be turned before the first command.
    pub home: Orientation,
}

impl TeleopConfig {
    /// How fast, and how suddenly, commands move the arm while approaching.
    pub fn approach_limits(&self) -> Limits {
        Limits { speed: self.approach_speed.min(self.limits.speed), ..self.limits }
    }

    /// The time between two commands of a ramp.
    pub fn ramp_period(&self) -> Duration {
        self.command_period.unwrap_or(RAMP_PERIOD)
    }
}

/// The time between two commands of a ramp when every target is sent as it comes (`command_rate` 0): 50 Hz.
const RAMP_PERIOD: Duration = Duration::from_millis(20);
