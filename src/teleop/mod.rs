//! May the arm move, and where to?
//!
//! [`Teleop`] is a state machine without a clock, a socket or a thread: events and `now` go in through `handle_*`,
//! commands come out of [`Teleop::poll_command`], and [`Teleop::poll_timeout`] says when to call
//! [`Teleop::handle_timeout`] at the latest. Calling it earlier or twice is harmless.
//!
//! ```text
//!              ~/set_armed, or by itself once         target reached
//!   DISARMED ────────────────────────────▶ APPROACH ────────────────▶ TRACKING
//!      ▲                                     ▲  │ input or link fails   │
//!      │ ~/reset                  good again │  ▼                       │
//!   STOPPED ◀── ~/stop, from anywhere      HOLDING ◀────────────────────┘
//! ```
//!
//! A target's way: finite by construction ([`target`]) → stamp and age ([`watchdog`]) → arm base frame
//! ([`retarget`], [`crate::geometry::Transform`]) → no leap ([`jump`]) → a live hand ([`liveliness`]) → no jitter ([`filter`]) → coupled to the arm
//! ([`clutch`]) → workspace ([`workspace`]) → speed and acceleration ([`limiter`]) → command. There is one slot for it;
//! the newest wins and nothing is replayed. Its orientation goes along, at a speed of its own, where a controller
//! is told of it.

pub mod clutch;
pub mod config;
mod course;
pub mod filter;
pub mod gripper;
pub mod hold;
mod input;
pub mod jump;
pub mod limiter;
pub mod liveliness;
mod machine;
mod plan;
mod planned;
pub mod reason;
mod reconfigure;
pub mod retarget;
pub mod senders;
mod state;
pub mod target;
pub mod watchdog;
pub mod workspace;

pub use config::{Arming, TeleopConfig, Turning};
pub use gripper::GripperInput;
pub use hold::HoldLine;
pub use machine::Teleop;
pub use planned::{Kind, Planned};
pub use reason::Reason;
pub use reconfigure::ConfigRefused;
pub use senders::GraphNews;
pub use state::{Counters, LinkView, Motion, Refused};
pub use target::{ClockCause, Frame, Frames, InputFault, Stamp, Target};
