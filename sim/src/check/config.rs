//! The settings of the check, the limits of its motion, and the errors that prevent a check.

use std::{io, time::Duration};

use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;

/// The settings of a check.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// The controller's name or address; with `listen` the address to listen on.
    pub host: String,
    /// Its port; with `listen` the port to listen on.
    pub port: u16,
    /// Wait for the controller to connect, as with `link.transport: tcp_server`.
    pub listen: bool,
    /// Send datagrams, as with `link.transport: udp`; needs `seq`.
    pub udp: bool,
    /// The unit of length on the wire.
    pub unit: PositionUnit,
    /// The limits of the motion. `None`: the arm is not moved.
    pub allowed: Option<Allowed>,
    /// The number of lines that the controller sends on connecting (`link.banner_lines`).
    pub greeting: u32,
    /// The longest wait for the lines of `greeting` (`link.banner_timeout`).
    pub banner_timeout: Duration,
    /// The time after which a reply is late (`link.reply_timeout`).
    pub timeout: Duration,
    /// The time after which a reply counts as missing (`link.timeout`). Attempts to open a new
    /// connection also end after this time.
    pub patience: Duration,
    /// How long to wait, to check that nothing comes.
    pub silence: Duration,
    /// How long an arm must stand still away from its target before it counts as at rest. Also how
    /// long it must stand still before a short motion counts as finished.
    pub settle: Duration,
    /// Whether the controller should know `{"type":"stop"}`.
    pub stop: bool,
    /// Whether the controller should know `{"type":"heartbeat"}`.
    pub heartbeat: bool,
    /// Whether every line has a `seq`, as with `wire.extra_fields: ["seq"]`.
    pub seq: bool,
    /// Whether replies must report the position of the arm.
    pub state: bool,
}

impl CheckConfig {
    /// Returns the settings for any controller, with the default timeouts of the bridge.
    pub fn new(host: impl Into<String>, port: u16, allowed: Option<Allowed>) -> Self {
        Self {
            host: host.into(),
            port,
            listen: false,
            udp: false,
            unit: PositionUnit::default(),
            allowed,
            greeting: 0,
            banner_timeout: Duration::from_secs(5),
            timeout: Duration::from_millis(500),
            patience: Duration::from_secs(3),
            silence: Duration::from_millis(500),
            settle: Duration::from_secs(1),
            stop: false,
            heartbeat: false,
            seq: false,
            state: false,
        }
    }
}

/// The limits of the motion, and the state of the gripper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowed {
    at: Option<[f64; 3]>,
    radius: f64,
    gripper: Option<Gripper>,
}

impl Allowed {
    /// Allows motion around `at`, in the wire's unit and the arm's base frame, within `radius`
    /// millimetres. Without `at`, allows motion around the present position of the arm. The gripper
    /// moves only if `gripper` is given.
    ///
    /// # Errors
    /// If a number is not finite, a coordinate is beyond 100 m, or the radius is not from 0 to 100
    /// mm.
    pub fn new(
        at: Option<[f64; 3]>,
        unit: PositionUnit,
        radius: f64,
        gripper: Option<Gripper>,
    ) -> Result<Self, AllowedError> {
        if let Some(at) = at {
            check_place(at, unit)?;
        }
        if !(0.0..=WIDEST).contains(&radius) {
            return Err(AllowedError::Radius(radius));
        }
        Ok(Self { at, radius, gripper })
    }

    /// Returns the requested position, in the wire's unit.
    pub fn at(&self) -> Option<[f64; 3]> {
        self.at
    }

    /// Returns the largest distance of a command from the position, in millimetres.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// Returns the requested state of the gripper.
    pub fn gripper(&self) -> Option<Gripper> {
        self.gripper
    }
}

/// Checks that coordinates in the wire's unit are a plausible position.
pub(super) fn check_place(at: [f64; 3], unit: PositionUnit) -> Result<[f64; 3], AllowedError> {
    for (axis, value) in ["x", "y", "z"].into_iter().zip(at) {
        if !(value.is_finite() && (value / unit.per_metre()).abs() <= FARTHEST) {
            return Err(AllowedError::Coordinate { axis, value, unit });
        }
    }
    Ok(at)
}

/// The reason why an [`Allowed`] is invalid.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AllowedError {
    /// An invalid coordinate.
    #[error("{axis} is {value} {unit}, expected a finite number within ±{FARTHEST} m")]
    Coordinate {
        /// "x", "y" or "z".
        axis: &'static str,
        /// The value as given.
        value: f64,
        /// The unit of the value.
        unit: PositionUnit,
    },
    /// An invalid radius.
    #[error("the radius is {0} mm, expected from 0 to {WIDEST} mm")]
    Radius(f64),
}

/// The reason why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The connection failed.
    #[error("cannot connect to {peer}: {source}. Is the controller running, and is this its address?")]
    Connect {
        /// `host:port`.
        peer: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The check cannot listen on the address.
    #[error("cannot listen on {peer}: {source}. Use an address of this machine and a free port")]
    Listen {
        /// `host:port`.
        peer: String,
        /// The error of the system.
        source: io::Error,
    },
    /// A question without an answer.
    #[error(
        "nothing was moved, because the question {question:?} got no answer. Run arm_check in a terminal and answer there; in a \
                 script, if you know that the way is free, give --yes"
    )]
    Unanswered {
        /// The question as printed.
        question: String,
    },
    /// Every answer to a question was invalid.
    #[error("nothing was moved, because no answer to {question:?} was valid")]
    Unclear {
        /// The question as printed.
        question: String,
    },
    /// The operator did not agree.
    #[error("nothing was moved, because the answer was {answer:?} and not \"yes\"")]
    Refused {
        /// The answer as given.
        answer: String,
    },
    /// The position of the arm is unknown.
    #[error(
        "nothing was moved, because the controller does not report where the arm is, and with --yes the operator is not asked. \
                 Give --at X Y Z, the present position of the arm"
    )]
    NoPlace,
    /// The state of the gripper is unknown.
    #[error(
        "nothing was moved, because the controller does not report the state of its gripper, every command needs open or closed, \
                 and with --yes the operator is not asked. Give --gripper with the present state of the gripper"
    )]
    NoGripper,
    /// The arm was at another position each time that the operator had agreed.
    #[error("nothing was moved, because the arm moves by itself, or another program or a hand moves it")]
    Restless,
}

/// The largest plausible coordinate, in metres.
const FARTHEST: f64 = 100.0;

/// The largest radius, in millimetres: enough for visible motion, but a short distance.
const WIDEST: f64 = 100.0;
