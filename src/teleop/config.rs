//! The settings of motion. `crate::config` validates their values.

use std::time::{Duration, Instant};

use super::following::FollowingConfig;
use super::retarget::{Retarget, RetargetMode};
use super::target::GripperInput;
use super::workspace::Workspace;
use crate::arm::Gripper;
use crate::geometry::{Orientation, Position};

/// All settings of [`Teleop`](super::Teleop).
#[derive(Debug, Clone, PartialEq)]
pub struct TeleopConfig {
    /// Who arms the bridge.
    pub arming: Arming,
    /// How long the input must be good without a gap before arming leads to motion.
    pub settle_time: Duration,
    /// If no good target has arrived for this long, an operator has to arm. Zero: never.
    pub rearm_after: Duration,
    /// Input older than this never moves the arm.
    pub input_timeout: Duration,
    /// Whether an all-zero target means that the tracker sees no hand.
    pub zero_is_lost: bool,
    /// When a stream of targets counts as live.
    pub stream_health: StreamHealthConfig,
    /// How targets are filtered.
    pub filter: FilterConfig,
    /// When a change of the target counts as a jump.
    pub jump: JumpConfig,
    /// The least time between two commands. `None`: one command for each target.
    pub command_period: Option<Duration>,
    /// The positions that may be commanded.
    pub workspace: Workspace,
    /// The home position. The arm is assumed to be there if an operator confirms it.
    pub home: Position,
    /// The assumed position of the arm if the controller has not reported it.
    pub assume_position: AssumedPosition,
    /// How long an accepted command counts as the arm's position.
    pub position_timeout: Duration,
    /// How far the reported position may be from the last command and still count as the commanded
    /// position, in metres.
    pub position_tolerance: f64,
    /// How far and how long the arm may lag behind its commands.
    pub following: FollowingConfig,
    /// Whether the controller replies to a line that commands nothing, so that the bridge can
    /// request the arm's position.
    pub can_ask: bool,
    /// Speed and acceleration limits of commands during tracking.
    pub limits: Limits,
    /// The longest step between two commands, in metres. 0: the distance at the speed limit in 0.1
    /// s.
    pub step: f64,
    /// The speed limit of commands during an approach, in m/s.
    pub approach_speed: f64,
    /// The settings of the tool's orientation. `None` if the orientation is not sent to the
    /// controller.
    pub orientation: Option<OrientationConfig>,
    /// The transform from the tracker's frame to the arm's base frame.
    pub retarget: Retarget,
    /// Whether the arm follows the position of the hand or the movement of the hand.
    pub retarget_mode: RetargetMode,
    /// How gripper input becomes a decision.
    pub gripper: GripperConfig,
    /// The assumed state of the gripper before the first decision.
    pub initial_gripper: Gripper,
    /// The number of consecutive error replies after which motion holds.
    pub max_consecutive_errors: u32,
    /// What the bridge sends to the controller during a hold.
    pub hold_behavior: HoldBehavior,
    /// How long `stop.topic` may be silent after its first message. Zero: without limit.
    pub stop_timeout: Duration,
}

impl TeleopConfig {
    /// Returns the speed and acceleration limits of commands during an approach.
    pub fn approach_limits(&self) -> Limits {
        Limits { speed: self.approach_speed.min(self.limits.speed), ..self.limits }
    }

    /// Returns whether a hand last seen at `seen` has been absent for so long that it has to settle
    /// again. A hand counts as absent only after `input.timeout`.
    pub(super) fn is_absence(&self, seen: Instant, now: Instant) -> bool {
        now.saturating_duration_since(seen) > self.input_timeout.max(ABSENCE)
    }

    /// Returns the time between two commands of a ramp. The time step of the first command has the
    /// same length. The arm counts as at rest after this time without a command.
    pub fn ramp_period(&self) -> Duration {
        self.command_period.unwrap_or(RAMP_PERIOD)
    }

    /// Returns the longest step between two commands, in metres. It does not depend on the time
    /// between them.
    pub fn step_length(&self) -> f64 {
        if self.step > 0.0 { self.step } else { self.limits.speed * STEP_TIME }
    }

    /// Returns the longest time step of a ramp. This limit applies if a step is delayed because the
    /// controller replies slowly.
    pub fn longest_step(&self) -> Duration {
        self.input_timeout.max(self.ramp_period())
    }
}

/// The position that is assumed for the arm without a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssumedPosition {
    /// No position is assumed. An operator has to confirm.
    None,
    /// The arm is at home when the bridge starts.
    Home,
    /// The arm is where it was at the end of the last session.
    Last,
}

/// Who arms the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arming {
    /// The bridge arms automatically once, at the start. After a loss of the link or of the hand it
    /// approaches the target again.
    Automatic,
    /// An operator arms, at the start and after every loss of the link.
    Operator,
}

impl Arming {
    /// Returns whether a loss of the link disarms the bridge.
    pub fn disarms_without_link(self) -> bool {
        match self {
            Self::Automatic => false,
            Self::Operator => true,
        }
    }
}

/// What the bridge sends while motion is held because of bad input, a bad link, a disarm, a stop
/// request or the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldBehavior {
    /// Nothing. For a controller that moves to the last command and stays there.
    Silent,
    /// The last command of the connection, repeatedly. For a controller that treats silence as a
    /// failure.
    ///
    /// The bridge repeats the command while it holds or is stopped. It does this only if the
    /// controller has accepted the command, and ends if the controller rejects a repetition. While
    /// and after the bridge is disarmed, it does not repeat the command, because an operator may
    /// move the arm by other means.
    Repeat,
    /// One stop line. For a controller that has such a line.
    Stop,
}

impl HoldBehavior {
    /// Returns whether the bridge repeats the last command.
    pub fn repeats(self) -> bool {
        match self {
            Self::Silent | Self::Stop => false,
            Self::Repeat => true,
        }
    }

    /// Returns whether the bridge sends a stop line.
    pub fn sends_stop(self) -> bool {
        match self {
            Self::Silent | Self::Repeat => false,
            Self::Stop => true,
        }
    }
}

/// When a stream counts as live.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamHealthConfig {
    /// Targets that are exactly the same for this long are frozen. Zero: never.
    pub frozen_timeout: Duration,
    /// The stream is not live if targets arrive more slowly than this, in Hz. 0: every rate is
    /// live.
    pub min_rate: f64,
}

/// When a change counts as a jump, and when a jump is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JumpConfig {
    /// Two consecutive targets that are farther apart than this, in metres, are a jump. 0: no
    /// distance is a jump.
    pub distance: f64,
    /// How long the target has to stay at the new position.
    pub confirm: Duration,
}

/// How targets are filtered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FilterConfig {
    /// No filter.
    None,
    /// The One Euro filter.
    OneEuro(OneEuro),
}

/// The three parameters of the One Euro filter (Casiez, Roussel and Vogel, CHI 2012).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneEuro {
    /// The cutoff frequency at rest, in Hz.
    pub min_cutoff: f64,
    /// How much the cutoff frequency rises with speed, in Hz per m/s.
    pub beta: f64,
    /// The cutoff frequency of the filter for the speed, in Hz.
    pub derivative_cutoff: f64,
}

/// Limits of the arm's motion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The highest speed of a command, in m/s.
    pub speed: f64,
    /// The largest acceleration, in m/s².
    pub acceleration: f64,
}

/// The settings of the tool's orientation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrientationConfig {
    /// The highest rotation speed of the tool, in rad/s.
    pub speed: f64,
    /// The orientation that is assumed before the first accepted command.
    pub home: Orientation,
}

/// How gripper input becomes a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GripperConfig {
    /// An opening below this means closed.
    pub close_below: f64,
    /// An opening above this means open. Between the two nothing changes.
    pub open_above: f64,
    /// How long the wish to close must last without contradiction.
    pub close_debounce: Duration,
    /// How long the wish to open must last. It is longer, because dropping a held object is worse
    /// than grasping late.
    pub open_debounce: Duration,
    /// Whether messages with targets may also open the gripper. Otherwise they can only close it.
    pub target_opens: bool,
}

impl GripperConfig {
    /// Returns how long a wish must last.
    pub fn debounce(&self, wanted: Gripper) -> Duration {
        match wanted {
            Gripper::Open => self.open_debounce,
            Gripper::Closed => self.close_debounce,
        }
    }

    /// Returns the state that a sample requests. `None` if it requests nothing. A number that is
    /// not finite requests nothing.
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

/// Why settings were rejected. The old settings then stay.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum TeleopConfigError {
    /// The arm, in its base frame, would be outside the new workspace, and no command could move it
    /// back.
    #[error("the workspace would exclude the arm, which is at {position} m; move it first")]
    #[allow(missing_docs)]
    WorkspaceExcludesArm { position: Position },
}

/// The time between two commands of a ramp if each target is sent immediately
/// (`teleop.command_rate` is 0). It gives 50 Hz.
const RAMP_PERIOD: Duration = Duration::from_millis(20);

/// The time in which the speed limit covers the longest step if `limits.step` is 0, in seconds.
const STEP_TIME: f64 = 0.1;
/// After a longer absence the hand may be a different hand.
const ABSENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::teleop::workspace::Policy;

    /// Returns settings for tests: no filter, loose input checks, 20 ms between two commands.
    pub(crate) fn settings() -> TeleopConfig {
        let corner = |by: f64| Position::new(by, by, by).unwrap();
        TeleopConfig {
            arming: Arming::Automatic,
            settle_time: Duration::from_millis(300),
            rearm_after: Duration::from_secs(300),
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
            stop_timeout: Duration::from_millis(500),
        }
    }

    #[test]
    fn approach_is_never_faster_than_tracking() {
        let slow = TeleopConfig { approach_speed: 0.5, ..settings() };
        assert_eq!(slow.approach_limits(), slow.limits);
        assert_eq!(settings().approach_limits(), Limits { speed: 0.1, ..settings().limits });
    }
}
