//! What is sent to the controller, and how it is written.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::params::{boolean, one_of, seconds, subset, text};
use crate::wire::{Extra, LineFormat, PositionUnit};

crate::parameters! {
    /// What is sent to the controller, and how it is written.
    pub static WIRE;

    /// Unit of x, y and z on the wire.
    WIRE_POSITION_UNIT: PositionUnit = one_of("wire.position_unit", &[
        ("mm", PositionUnit::Millimetres),
        ("cm", PositionUnit::Centimetres),
        ("m", PositionUnit::Metres),
    ]).while_disarmed().identifies_arm();
    /// What a line is. json: an object, with the members that wire.json.* and wire.extra_fields say. text: words, by
    /// wire.text.command; a reply then begins with OK or ERROR.
    WIRE_FORMAT: LineFormat =
        one_of("wire.format", &[("json", LineFormat::Json), ("text", LineFormat::Text)]).while_disarmed().identifies_arm();
    /// What the controller calls the member that says what kind of line it is: 'command', 'stop' or 'heartbeat'. Empty:
    /// there is none.
    WIRE_JSON_TYPE: String = text("wire.json.type", "type").while_disarmed();
    /// What the controller calls x. Empty: it is not told.
    WIRE_JSON_X: String = text("wire.json.x", "x").while_disarmed().identifies_arm();
    /// What the controller calls y. Empty: it is not told.
    WIRE_JSON_Y: String = text("wire.json.y", "y").while_disarmed().identifies_arm();
    /// What the controller calls z. Empty: it is not told.
    WIRE_JSON_Z: String = text("wire.json.z", "z").while_disarmed().identifies_arm();
    /// What the controller calls the gripper. Empty: it is not told.
    WIRE_JSON_GRIPPER: String = text("wire.json.gripper", "gripper").while_disarmed();
    /// What an open gripper is in JSON: '"open"', 'true', '0'.
    WIRE_JSON_OPEN: String = text("wire.json.open", "\"open\"").not_empty().while_disarmed();
    /// What a closed gripper is in JSON.
    WIRE_JSON_CLOSED: String = text("wire.json.closed", "\"closed\"").not_empty().while_disarmed();
    /// A JSON object whose members every line has too, like '{"speed":50}'.
    WIRE_JSON_CONSTANT: String = text("wire.json.constant", "").while_disarmed().identifies_arm();
    /// A command of text. In braces: x, y, z, gripper, gripper:OPEN|CLOSED with two words of the controller's, roll,
    /// pitch, yaw, qx, qy, qz, qw, seq, stamp, ttl. A brace itself is written twice.
    WIRE_TEXT_COMMAND: String =
        text("wire.text.command", "COMMAND MOVE {x} {y} {z} {gripper:OPEN|CLOSED}").while_disarmed().identifies_arm();
    /// The line of teleop.hold_behavior stop in text. In braces: seq, stamp, ttl.
    WIRE_TEXT_STOP: String = text("wire.text.stop", "STOP").while_disarmed();
    /// The heartbeat in text. In braces: seq, stamp, ttl.
    WIRE_TEXT_HEARTBEAT: String = text("wire.text.heartbeat", "HEARTBEAT").while_disarmed();
    /// What lines of JSON tell besides. seq: the number of the line, which a reply may echo. stamp: when it was sent,
    /// in seconds since 1970. rpy, quaternion: how the tool is to be turned. ttl: parameter wire.command_ttl, in
    /// milliseconds.
    WIRE_EXTRA_FIELDS: BTreeSet<Extra> = subset("wire.extra_fields", &[
        ("seq", Extra::Seq),
        ("stamp", Extra::Stamp),
        ("rpy", Extra::Rpy),
        ("quaternion", Extra::Quaternion),
        ("ttl", Extra::Ttl),
    ]).while_disarmed();
    /// How long the controller is to go on without a further line, where lines tell it.
    WIRE_COMMAND_TTL: Duration = seconds("wire.command_ttl", 0.5, 0.001..=60.0).while_disarmed();
    /// Whether the controller may tell its state unasked, in a line with a type other than 'reply'. Otherwise such a
    /// line ends the connection.
    WIRE_ACCEPT_STATE: bool = boolean("wire.accept_state", false).while_disarmed();
}
