//! What is checked, where the arm may be sent, and why nothing could be checked.

use std::{io, time::Duration};

use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;

/// What is checked, and what is allowed for it.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// The controller's name or address; with `listen` the address to listen on.
    pub host: String,
    /// Its port; with `listen` the port to listen on.
    pub port: u16,
    /// Wait for the controller to dial in, as `link.transport: tcp_server` does.
    pub listen: bool,
    /// Send datagrams, as `link.transport: udp` does; wants `seq`.
    pub udp: bool,
    /// The unit of length on the wire.
    pub unit: PositionUnit,
    /// Where the arm may be sent. `None`: it is not moved at all.
    pub allowed: Option<Allowed>,
    /// How many lines the controller says on connecting (`link.banner_lines`).
    pub greeting: u32,
    /// For how long those lines are waited for (`link.banner_timeout`).
    pub banner_timeout: Duration,
    /// When a reply is late (`link.reply_timeout`).
    pub timeout: Duration,
    /// When a reply is given up (`link.timeout`), and for how long a new connection is tried.
    pub patience: Duration,
    /// For how long silence is listened to, where nothing should come.
    pub silence: Duration,
    /// For how long an arm has to be still before it counts as at rest where it was not sent, and before a motion that was
    /// short is believed.
    pub settle: Duration,
    /// Whether the controller is said to know `{"type":"stop"}`.
    pub stop: bool,
    /// Whether the controller is said to know `{"type":"heartbeat"}`.
    pub heartbeat: bool,
    /// Whether every line has a `seq`, as with `wire.extra_fields: ["seq"]`.
    pub seq: bool,
    /// Whether replies have to say where the arm is.
    pub state: bool,
}

impl CheckConfig {
    /// What is checked of any controller, with the bridge's own time-outs.
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

/// Where the arm may be sent, and what its gripper may do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowed {
    at: Option<[f64; 3]>,
    radius: f64,
    gripper: Option<Gripper>,
}

impl Allowed {
    /// Around `at`, in the wire's unit and the arm's base frame, no farther than `radius` millimetres; without it around
    /// where the arm stands. The gripper is moved only if a state is asked for here.
    ///
    /// # Errors
    /// Numbers that are not finite, coordinates beyond 100 m, a radius that is not from 0 to 100 mm.
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

    /// The place that is asked for, in the wire's unit.
    pub fn at(&self) -> Option<[f64; 3]> {
        self.at
    }

    /// How far from the place commands may lead, in millimetres.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// The state of the gripper that is asked for.
    pub fn gripper(&self) -> Option<Gripper> {
        self.gripper
    }
}

/// Checks that coordinates in the wire's unit can be a place.
pub(super) fn check_place(at: [f64; 3], unit: PositionUnit) -> Result<[f64; 3], AllowedError> {
    for (axis, value) in ["x", "y", "z"].into_iter().zip(at) {
        if !(value.is_finite() && (value / unit.per_metre()).abs() <= FARTHEST) {
            return Err(AllowedError::Coordinate { axis, value, unit });
        }
    }
    Ok(at)
}

/// Why an arm cannot be sent there.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AllowedError {
    /// A coordinate that is none.
    #[error("{axis} is {value} {unit}, expected a finite number within ±{FARTHEST} m")]
    Coordinate {
        /// "x", "y" or "z".
        axis: &'static str,
        /// As it came.
        value: f64,
        /// Its unit.
        unit: PositionUnit,
    },
    /// A radius that is none.
    #[error("the radius is {0} mm, expected from 0 to {WIDEST} mm")]
    Radius(f64),
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Nobody took the connection.
    #[error("cannot connect to {peer}: {source}. Is the controller running, and is this its address?")]
    Connect {
        /// `host:port`.
        peer: String,
        /// What the system says.
        source: io::Error,
    },
    /// The address to listen on is not to be had.
    #[error("cannot listen on {peer}: {source}. Take an address of this machine and a free port")]
    Listen {
        /// `host:port`.
        peer: String,
        /// What the system says.
        source: io::Error,
    },
    /// A question that nobody answered.
    #[error(
        "nothing was moved, because nobody answered {question:?}. Run it in a terminal and answer there; in a script, \
         where you know that the way is free, give --yes"
    )]
    Unanswered {
        /// As it was asked.
        question: String,
    },
    /// An answer that makes no sense, again and again.
    #[error("nothing was moved, because no answer to {question:?} could be understood")]
    Unclear {
        /// As it was asked.
        question: String,
    },
    /// The person did not agree.
    #[error("nothing was moved, because the answer was {answer:?} and not \"yes\"")]
    Refused {
        /// As it was given.
        answer: String,
    },
    /// Nobody says where the arm is.
    #[error(
        "nothing was moved, because the controller does not say where the arm is. With --yes nobody is asked: give --at X \
         Y Z, the place where the arm stands"
    )]
    NoPlace,
    /// Nobody says what the gripper is.
    #[error(
        "nothing was moved, because the controller does not say what its gripper is, and every command says one of open \
         and closed. With --yes nobody is asked: give --gripper, as the gripper is now"
    )]
    NoGripper,
    /// The arm was elsewhere each time that the question had been answered.
    #[error("nothing was moved, because the arm moves by itself, or somebody else moves it")]
    Restless,
}

/// The farthest coordinate that is no mistake, in metres.
const FARTHEST: f64 = 100.0;

/// The widest radius, in millimetres: enough to see motion, and no way to speak of.
const WIDEST: f64 = 100.0;
