//! The arm: what it can be told to do, and what its controller reports. Names `geometry`.

use std::fmt;

use crate::geometry::{Orientation, Position};

/// The state of the gripper in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gripper {
    /// Fingers apart.
    Open,
    /// Fingers together.
    Closed,
}

impl Gripper {
    /// The word used on the wire and in topics: `open` or `closed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// One order to the arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Command {
    /// Where the tool centre point is to be, in the arm's base frame.
    pub position: Position,
    /// What the gripper is to be.
    pub gripper: Gripper,
    /// How the tool is to be turned, if that is sent to the controller.
    pub orientation: Option<Orientation>,
}

/// What a talkative controller adds to its replies. Every part is optional; `null` counts as absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportedState {
    /// Where the tool centre point is, in the arm's base frame. On the wire `"position"`, in the wire's unit, as
    /// `{"x":…,"y":…,"z":…}` or `[x,y,z]`.
    pub position: Option<Position>,
    /// How the tool is turned. On the wire `"quaternion"` or `"rpy"`, as commands tell it.
    pub orientation: Option<Orientation>,
    /// What the gripper is. On the wire `"gripper"`, `"open"` or `"closed"`.
    pub gripper: Option<Gripper>,
    /// Whether the arm is in motion. On the wire `"moving"`.
    pub moving: Option<bool>,
    /// The controller's fault, made safe to print. On the wire `"fault"`: words, a number, `true`, or an object. What says
    /// that there is none (`null`, `false`, 0, `""`, `"none"`, `"ok"`) is none.
    pub fault: Option<String>,
    /// The positions of the arm's joints, in radians, base first. On the wire `"joints"`, an array.
    pub joints: Option<Vec<f64>>,
    /// What was said of the arm's position, orientation, joints or gripper and cannot be believed.
    pub unreadable: Option<Unreadable>,
    /// The whole line as it came, made safe to print.
    pub raw: String,
}

/// A member of a report that is not what it has to be: not finite, not a number, too large, or of another form. A
/// controller that says so does not know where its arm is, or speaks another language than the bridge takes it for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The name of the member on the wire: `position`, `rpy`, `quaternion`, `joints` or `gripper`.
    pub member: &'static str,
    /// Its value as it came, made safe to print.
    pub value: String,
    /// What is wrong with it, made safe to print.
    pub why: String,
}

/// Shows it as `"position" is [1,2]: expected …`.
impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\" is {}: {}", self.member, self.value, self.why)
    }
}
