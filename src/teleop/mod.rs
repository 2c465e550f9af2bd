//! Decides whether the arm may move, and which position to command.
//!
//! This module depends on [`crate::arm`] and [`crate::geometry`] only. It has no clock, socket,
//! thread or ROS, and it does not know lines or connections.
//!
//! [`Teleop`] is a state machine. Callers pass events and `now` to the `handle_*` methods and take
//! commands from [`Teleop::poll_command`]. [`Teleop::poll_timeout`] returns the latest time for the
//! next call of [`Teleop::handle_timeout`]. An earlier call or a second call is harmless.
//!
//! ```text
//!              ~/set_armed, or automatically once     target reached
//!   DISARMED ────────────────────────────▶ APPROACH ────────────────▶ TRACKING
//!      ▲                                     ▲  │ input or link fails   │
//!      │ ~/reset                  good again │  ▼                       │
//!   STOPPED ◀── ~/stop, from anywhere      HOLDING ◀────────────────────┘
//! ```
//!
//! The path of a target:
//!
//! 1. [`Target`]: every coordinate is finite by construction.
//! 2. [`Teleop::handle_target`] (`state_machine`) receives it.
//! 3. `input/` transforms it to the arm's base frame. It checks the age of the target, detects
//!    jumps, and checks that the target comes from a live hand.
//! 4. `planner/` filters the target, couples the hand to the arm if motion is relative, and moves
//!    the target inside the [`Workspace`]. It limits the speed and the acceleration of the command.
//!    The tool's orientation has its own speed limit.
//! 5. [`Teleop::poll_command`] returns the command.
//!
//! Each of these files answers one question:
//!
//! | file | question |
//! |---|---|
//! | `target`, `retarget` | what a target is, and its pose in the arm's base frame |
//! | `workspace` | which positions may be commanded |
//! | `mode` | the mode in the diagram |
//! | `armed_for` | which publisher's hand may move the arm |
//! | `stop` | why a stop is latched |
//! | `estimate`, `doubt`, `following` | whether the arm's position is known, and the arm follows |
//! | `stop_line` | whether a stop line is due, and whether the controller accepted it |
//! | `gripper` | whether the gripper is open or closed |
//! | `link_view` | whether the controller accepts commands |
//! | `reason`, `input_fault` | the text that explains why the arm moves or does not move |

mod armed_for;
mod config;
mod doubt;
mod estimate;
mod following;
mod gripper;
mod input;
mod input_fault;
mod link_view;
mod mode;
mod planner;
mod reason;
mod retarget;
mod state_machine;
mod stop;
mod stop_line;
mod target;
mod workspace;

pub use config::{
    Arming, AssumedPosition, FilterConfig, GripperConfig, HoldBehavior, JumpConfig, Limits, OneEuro,
    OrientationConfig, StreamHealthConfig, TeleopConfig, TeleopConfigError,
};
pub use doubt::Doubt;
pub use estimate::{PositionUnknown, ReportAbout};
pub use following::FollowingConfig;
pub use input::{GraphNews, SenderWatch, check_age};
pub use input_fault::{ClockCause, InputFault};
pub use link_view::LinkView;
pub use mode::{ArmingError, Disarmed, Motion};
pub use planner::{CommandKind, Limit, Planned};
pub use reason::{Obstacle, Reason, ReasonKind, Waiting};
pub use retarget::{Retarget, RetargetMode};
pub use state_machine::{Counters, Teleop};
pub use stop::{Restored, StopCause};
pub use stop_line::StopTrouble;
pub use target::{Frame, Frames, GripperInput, PublisherId, Stamp, Target, strip_leading_slash};
pub use workspace::{Admitted, KeepOut, Policy, Route, Workspace};
