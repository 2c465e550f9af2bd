//! Parameters of the lines to the controller: format, units and names.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::params::{boolean, one_of, seconds, subset, text};
use crate::wire::{Extra, LineFormat, PositionUnit};

crate::parameters! {
    /// The lines to the controller: format, units and names.
    pub static WIRE;

    /// Unit of x, y and z in lines to and from the controller.
    WIRE_POSITION_UNIT: PositionUnit = one_of("wire.position_unit", &[
        ("mm", PositionUnit::Millimetres),
        ("cm", PositionUnit::Centimetres),
        ("m", PositionUnit::Metres),
    ]).while_disarmed().identifies_arm();
    /// Format of the lines and replies. json: a line is one JSON object; wire.json.* and
    /// wire.extra_fields set its members. text: wire.text.* set the lines, and a reply starts with
    /// OK or ERROR.
    WIRE_FORMAT: LineFormat =
        one_of("wire.format", &[("json", LineFormat::Json), ("text", LineFormat::Text)]).while_disarmed().identifies_arm();
    /// Name of the JSON member for the kind of line: 'command', 'stop' or 'heartbeat'. Empty: lines
    /// do not have this member.
    WIRE_JSON_TYPE: String = text("wire.json.type", "type").while_disarmed();
    /// Name of the JSON member for x. Empty: x is not sent.
    WIRE_JSON_X: String = text("wire.json.x", "x").while_disarmed().identifies_arm();
    /// Name of the JSON member for y. Empty: y is not sent.
    WIRE_JSON_Y: String = text("wire.json.y", "y").while_disarmed().identifies_arm();
    /// Name of the JSON member for z. Empty: z is not sent.
    WIRE_JSON_Z: String = text("wire.json.z", "z").while_disarmed().identifies_arm();
    /// Name of the JSON member for the gripper. Empty: the gripper is not sent.
    WIRE_JSON_GRIPPER: String = text("wire.json.gripper", "gripper").while_disarmed();
    /// JSON value for an open gripper, for example '"open"', 'true' or '0'.
    WIRE_JSON_OPEN: String = text("wire.json.open", "\"open\"").not_empty().while_disarmed();
    /// JSON value for a closed gripper.
    WIRE_JSON_CLOSED: String = text("wire.json.closed", "\"closed\"").not_empty().while_disarmed();
    /// JSON object, for example '{"speed":50}'. The bridge adds its members to every line. Empty:
    /// no added members.
    WIRE_JSON_CONSTANT: String = text("wire.json.constant", "").while_disarmed().identifies_arm();
    /// Command line if wire.format is text. Placeholders in braces: x, y, z, gripper, roll, pitch,
    /// yaw, qx, qy, qz, qw, seq, stamp, ttl. {gripper:OPEN|CLOSED} sets the two words for the
    /// gripper. To send a brace, write it twice.
    WIRE_TEXT_COMMAND: String =
        text("wire.text.command", "COMMAND MOVE {x} {y} {z} {gripper:OPEN|CLOSED}").while_disarmed().identifies_arm();
    /// Stop line if wire.format is text and teleop.hold_behavior is stop. Placeholders in braces:
    /// seq, stamp, ttl.
    WIRE_TEXT_STOP: String = text("wire.text.stop", "STOP").while_disarmed();
    /// Heartbeat line if wire.format is text. Placeholders in braces: seq, stamp, ttl.
    WIRE_TEXT_HEARTBEAT: String = text("wire.text.heartbeat", "HEARTBEAT").while_disarmed();
    /// More members of JSON lines. seq: number of the line; the controller may copy it into the
    /// reply. stamp: time of sending, in seconds since 1970. rpy: tool orientation as roll, pitch
    /// and yaw. quaternion: tool orientation as a quaternion. ttl: wire.command_ttl in
    /// milliseconds.
    WIRE_EXTRA_FIELDS: BTreeSet<Extra> = subset("wire.extra_fields", &[
        ("seq", Extra::Seq),
        ("stamp", Extra::Stamp),
        ("rpy", Extra::Rpy),
        ("quaternion", Extra::Quaternion),
        ("ttl", Extra::Ttl),
    ]).while_disarmed();
    /// How long the controller may continue the motion if no other line arrives. The bridge sends
    /// this time as ttl if wire.extra_fields or a text line contains ttl.
    WIRE_COMMAND_TTL: Duration = seconds("wire.command_ttl", 0.5, 0.001..=60.0).while_disarmed();
    /// true: the controller may send its state without a request, in a line whose type is not
    /// 'reply'. false: such a line closes the connection.
    WIRE_ACCEPT_STATE: bool = boolean("wire.accept_state", false).while_disarmed();
}
