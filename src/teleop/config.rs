//! The settings of motion. `crate::config` checks their values.

use std::time::Duration;

use super::following::FollowingConfig;
use super::retarget::{Retarget, RetargetMode};
use super::target::GripperInput;
use super::workspace::Workspace;
use crate::arm::Gripper;
use crate::geometry::{Orientation, Position};

/// All settings of [`Teleop`](super::Teleop).
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
    pub stream_health: StreamHealthConfig,
    /// How targets are smoothed.
    pub filter: FilterConfig,
    /// What counts as a jump of the target.
    pub jump: JumpConfig,
    /// The shortest time between two commands. `None`: one command for each target.
    pub command_period: Option<Duration>,
    /// Where commands may lie.
    pub workspace: Workspace,
    /// Where the arm is when a person says that it is at home.
    pub home: Position,
    /// Where the arm is assumed to be if the controller has not said.
    pub assume_position: AssumedPosition,
    /// How long an accepted command says where the arm is.
    pub position_timeout: Duration,
    /// How far from its last command the arm may be reported and still count as there, in metres.
    pub position_tolerance: f64,
    /// How far, and for how long, the arm may be behind its commands.
    pub following: FollowingConfig,
    /// Whether the controller answers a line that commands nothing, so that it can be asked where the arm is.
    pub can_ask: bool,
    /// How fast, and how suddenly, commands move the arm while tracking.
    pub limits: Limits,
    /// The longest step from one command to the next, in metres; 0: as far as the speed limit leads in 0.1 s.
    pub step: f64,
    /// The fastest a command may move the arm while approaching, in m/s.
    pub approach_speed: f64,
    /// How the tool is oriented. `None` if the orientation is not sent to the controller.
    pub orientation: Option<OrientationConfig>,
    /// From the tracker's frame to the arm's base frame.
    pub retarget: Retarget,
    /// Whether the arm goes to where the hand is, or as far as the hand goes.
    pub retarget_mode: RetargetMode,
    /// How gripper input becomes a decision.
    pub gripper: GripperConfig,
    /// What the gripper is assumed to be before its first decision.
    pub initial_gripper: Gripper,
    /// Motion holds after this many error replies in a row.
    pub max_consecutive_errors: u32,
    /// What is sent to the controller while motion is held.
    pub hold_behavior: HoldBehavior,
}

impl TeleopConfig {
    /// Returns how fast, and how suddenly, commands move the arm while approaching.
    pub fn approach_limits(&self) -> Limits {
        Limits { speed: self.approach_speed.min(self.limits.speed), ..self.limits }
    }

    /// Returns the time between two commands of a ramp: the time-step of the first, and the time after the last by which
    /// the arm counts as standing.
    pub fn ramp_period(&self) -> Duration {
        self.command_period.unwrap_or(RAMP_PERIOD)
    }

    /// Returns the longest step from one command to the next, in metres, whatever the time between them is.
    pub fn step_length(&self) -> f64 {
        if self.step > 0.0 { self.step } else { self.limits.speed * STEP_TIME }
    }

    /// Returns the longest time-step of a ramp, for one that was held up by the controller's own pace.
    pub fn longest_step(&self) -> Duration {
        self.input_timeout.max(self.ramp_period())
    }
}

/// Where a person says that the arm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssumedPosition {
    /// Nowhere: a person is asked.
    None,
    /// At home when the bridge is started.
    Home,
    /// Still where it was when the last session ended.
    Last,
}

/// Who arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arming {
    /// The bridge arms itself once, at start, and comes back by an approach after a loss.
    Automatic,
    /// A person arms, at start and after every loss of the link.
    Operator,
}

impl Arming {
    /// Returns whether a loss of the link disarms.
    pub fn disarms_without_link(self) -> bool {
        match self {
            Self::Automatic => false,
            Self::Operator => true,
        }
    }
}

/// What is sent while motion is held because of a bad input, a bad link, a disarm, a stop request or the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldBehavior {
    /// Nothing, for a controller that goes to the last command and stays there.
    Silent,
    /// The last command of the connection, again and again, for a controller that takes silence for a failure. It is sent
    /// while held or stopped, once the controller has accepted it and until the controller refuses one. It is not sent
    /// while disarmed, nor after that, because people may move the arm by other means then.
    Repeat,
    /// One stop line, for a controller that knows it.
    Stop,
}

impl HoldBehavior {
    /// Returns whether the last command is sent again and again.
    pub fn repeats(self) -> bool {
        match self {
            Self::Silent | Self::Stop => false,
            Self::Repeat => true,
        }
    }

    /// Returns whether a stop line is sent.
    pub fn sends_stop(self) -> bool {
        match self {
            Self::Silent | Self::Repeat => false,
            Self::Stop => true,
        }
    }
}

/// What counts as a live stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamHealthConfig {
    /// Targets that stay exactly the same for this long are frozen; zero: never.
    pub frozen_timeout: Duration,
    /// If targets come less often than this, in Hz, the stream is not live; 0: every rate is live.
    pub min_rate: f64,
}

/// What counts as a jump, and when it is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JumpConfig {
    /// Two targets in a row that are farther apart than this, in metres, are a jump; 0: no distance is a jump.
    pub distance: f64,
    /// How long the target has to stay where it jumped to.
    pub confirm: Duration,
}

/// How targets are smoothed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FilterConfig {
    /// Not at all.
    None,
    /// By the One Euro filter.
    OneEuro(OneEuro),
}

/// The three parameters of the One Euro filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneEuro {
    /// The cutoff at rest, in Hz.
    pub min_cutoff: f64,
    /// How much the cutoff rises with speed, in Hz per m/s.
    pub beta: f64,
    /// The cutoff of the speed's own smoothing, in Hz.
    pub derivative_cutoff: f64,
}

/// How fast, and how suddenly, the arm moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The fastest a command may move the arm, in m/s.
    pub speed: f64,
    /// How much the velocity may change, in m/s².
    pub acceleration: f64,
}

/// How the tool is oriented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrientationConfig {
    /// The fastest that commands turn the tool, in rad/s.
    pub speed: f64,
    /// The orientation that is assumed before the first acknowledged command.
    pub home: Orientation,
}

/// How gripper input becomes a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GripperConfig {
    /// An opening below this means closed.
    pub close_below: f64,
    /// An opening above this means open. Between the two nothing changes.
    pub open_above: f64,
    /// How long the wish to close must stand without contradiction.
    pub close_debounce: Duration,
    /// The same for the wish to open. Longer, because dropping a held object is worse than grasping late.
    pub open_debounce: Duration,
    /// Whether the messages with targets may open the gripper, too. If not they only close it.
    pub target_opens: bool,
}

impl GripperConfig {
    /// Returns how long a wish must stand.
    pub fn debounce(&self, wanted: Gripper) -> Duration {
        match wanted {
            Gripper::Open => self.open_debounce,
            Gripper::Closed => self.close_debounce,
        }
    }

    /// Returns what a sample asks for, if it asks for anything. A number that is not finite is no opening.
    pub fn wanted(&self, input: GripperInput) -> Option<Gripper> {
        match input {
            GripperInput::Wanted(gripper) => Some(gripper),
            GripperInput::Opening(opening) if !opening.is_finite() => None,
            GripperInput::Opening(opening) if opening < self.close_below => Some(Gripper::Closed),
            GripperInput::Opening(opening) if opening > self.open_above => Some(Gripper::Open),
            GripperInput::Opening(_) => None,
        }
    }
}

/// Why settings were not taken. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum TeleopConfigError {
    /// The arm, in its base frame, would be outside the new workspace, and no command could bring it back.
    #[error("the workspace would exclude the arm, which is at {position} m; move it first")]
    #[allow(missing_docs)]
    WorkspaceExcludesArm { position: Position },
}

/// The time between two commands of a ramp when every target is sent as it comes (`teleop.command_rate` 0): 50 Hz.
const RAMP_PERIOD: Duration = Duration::from_millis(20);

/// The time in which the speed limit leads as far as the longest step, if `limits.step` is 0, in seconds.
const STEP_TIME: f64 = 0.1;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::teleop::workspace::Policy;

    /// Returns settings for tests: no filter, no limits worth mentioning on the input, 20 ms between two commands.
    pub(crate) fn settings() -> TeleopConfig {
        let corner = |by: f64| Position::new(by, by, by).unwrap();
        TeleopConfig {
            arming: Arming::Automatic,
            settle_time: Duration::from_millis(300),
            input_timeout: Duration::from_millis(200),
            zero_is_lost: true,
            stream_health: StreamHealthConfig { frozen_timeout: Duration::ZERO, min_rate: 0.0 },
            filter: FilterConfig::None,
            jump: JumpConfig { distance: 0.15, confirm: Duration::from_millis(300) },
            command_period: None,
            workspace: Workspace::new(corner(-1.0), corner(1.0), Policy::Clamp).unwrap(),
            home: Position::new(0.2, 0.0, 0.2).unwrap(),
            assume_position: AssumedPosition::None,
            position_timeout: Duration::from_secs(300),
            position_tolerance: 0.01,
            following: FollowingConfig { distance: 0.15, time: Duration::from_secs(1) },
            can_ask: false,
            limits: Limits { speed: 0.25, acceleration: 1.5 },
            step: 0.0,
            approach_speed: 0.1,
            orientation: Some(OrientationConfig { speed: 1.0, home: Orientation::from_rpy([0.0; 3]) }),
            retarget: Retarget::default(),
            retarget_mode: RetargetMode::Absolute,
            gripper: GripperConfig {
                close_below: 0.3,
                open_above: 0.5,
                close_debounce: Duration::from_millis(100),
                open_debounce: Duration::from_millis(300),
                target_opens: true,
            },
            initial_gripper: Gripper::Open,
            max_consecutive_errors: 3,
            hold_behavior: HoldBehavior::Silent,
        }
    }

    #[test]
    fn approach_is_never_faster_than_tracking() {
        let slow = TeleopConfig { approach_speed: 0.5, ..settings() };
        assert_eq!(slow.approach_limits(), slow.limits);
        assert_eq!(settings().approach_limits(), Limits { speed: 0.1, ..settings().limits });
    }
}
