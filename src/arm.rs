//! The arm: commands to it, and reports of its controller. Depends on `geometry` only.

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
    /// Returns the word for the state on the wire and in topics: `open` or `closed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// One command to the arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Command {
    /// The commanded position of the tool centre point, in the arm's base frame.
    pub position: Position,
    /// The commanded state of the gripper.
    pub gripper: Gripper,
    /// The commanded orientation of the tool. `None` if the orientation is not sent to the
    /// controller.
    pub orientation: Option<Orientation>,
}

/// The state that a controller may add to its replies. Every part is optional. `null` counts as
/// absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportedState {
    /// The position of the tool centre point, in the arm's base frame. On the wire `"position"`, in
    /// the unit of the wire, as `{"x":…,"y":…,"z":…}` or `[x,y,z]`.
    pub position: Option<Position>,
    /// The orientation of the tool. On the wire `"quaternion"` or `"rpy"`, as in commands.
    pub orientation: Option<Orientation>,
    /// The state of the gripper. On the wire `"gripper"`: `"open"` or `"closed"`.
    pub gripper: Option<Gripper>,
    /// Whether the arm is moving. On the wire `"moving"`.
    pub moving: Option<bool>,
    /// The controller's fault, made safe to print. On the wire `"fault"`: a text, a number, `true`,
    /// or an object. The values `null`, `false`, 0, `""`, `"none"` and `"ok"` mean that there is no
    /// fault.
    pub fault: Option<String>,
    /// The positions of the arm's joints, in radians, base first. On the wire `"joints"`, an array.
    pub joints: Option<Vec<f64>>,
    /// A value of position, orientation, joints or gripper that is not valid.
    pub unreadable: Option<Unreadable>,
    /// The whole line as received, made safe to print.
    pub raw: String,
}

/// A member of a report with a wrong value: not finite, not a number, too large, or of the wrong
/// form.
///
/// A controller that sends such a value does not know its arm's position, or it uses another
/// protocol than the bridge expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The name of the member on the wire: `position`, `rpy`, `quaternion`, `joints` or `gripper`.
    pub member: &'static str,
    /// Its value as received, made safe to print.
    pub value: String,
    /// What is wrong with the value, made safe to print.
    pub why: String,
}

/// Formats the member as `"position" is [1,2]: expected …`.
impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\" is {}: {}", self.member, self.value, self.why)
    }
}
