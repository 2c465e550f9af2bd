//! May the arm move, and where to?
//!
//! This room names [`crate::arm`] and [`crate::geometry`]. It has no clock, no socket, no thread and no ROS, and knows
//! nothing of lines and connections.
//!
//! [`Teleop`] is a state machine: events and `now` go in through `handle_*`, commands come out of
//! [`Teleop::poll_command`], and [`Teleop::poll_timeout`] says when to call [`Teleop::handle_timeout`] at the latest.
//! Calling it earlier or twice is harmless.
//!
//! ```text
//!              ~/set_armed, or by itself once         target reached
//!   DISARMED ────────────────────────────▶ APPROACH ────────────────▶ TRACKING
//!      ▲                                     ▲  │ input or link fails   │
//!      │ ~/reset                  good again │  ▼                       │
//!   STOPPED ◀── ~/stop, from anywhere      HOLDING ◀────────────────────┘
//! ```
//!
//! A target's way: finite by construction ([`Target`]) → [`Teleop::handle_target`] (`state_machine`) → in the arm's base
//! frame, new enough, no jump, a live hand (`input/`) → filtered, coupled to the arm by the clutch, inside the [`Workspace`],
//! within speed and acceleration (`planner/`) → [`Teleop::poll_command`]. Its orientation goes along, at a speed of its own. The
//! target does not pass through the other files; they answer questions:
//!
//! | file | what it decides |
//! |---|---|
//! | `target`, `retarget` | what a target is, and where it is in the arm's base frame |
//! | `workspace` | where commands may lie |
//! | `mode` | the mode of the diagram |
//! | `armed_for` | whose hand may move the arm |
//! | `stop` | why a stop is latched |
//! | `estimate`, `doubt`, `following` | where the arm is, whether that is known, whether it follows |
//! | `stop_line` | whether a stop line is due, and obeyed |
//! | `gripper` | open or closed |
//! | `link_view` | whether the controller takes commands |
//! | `reason`, `input_fault` | why the arm does or does not move, in words |

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
