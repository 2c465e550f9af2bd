//! What is said to the controller, and how.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::params::{boolean, integer, one_of, seconds, subset, text};
use crate::wire::{Codec, Extra, WireUnit};

crate::parameters! {
    /// What is said to the controller, and how.
    pub static WIRE;

    /// Unit of x, y and z on the wire.
    WIRE_POSITION_UNIT: WireUnit = one_of("wire_unit", &[
        ("mm", WireUnit::Millimetres),
        ("cm", WireUnit::Centimetres),
        ("m", WireUnit::Metres),
    ]).while_disarmed().identifies_arm();
    /// How many lines the controller says on connecting, before its first reply. They are passed over, whatever their
    /// bytes are, and nothing is sent before they have come.
    LINK_BANNER_LINES: u32 = integer("greeting_lines", 0, 0..=100).while_disarmed();
    /// With greeting_lines: time allowed for them after connecting. A board that starts when it is connected to needs
    /// some seconds. If they do not come in time, the connection is closed and opened again.
    LINK_BANNER_TIMEOUT: Duration = seconds("greeting_timeout", 5.0, 0.01..=600.0).while_disarmed();
    /// What a line is. json: an object, with the members that json_fields and wire_extras say. text: words, by
    /// text_template; a reply then begins with OK or ERROR.
    WIRE_FORMAT: Codec =
        one_of("codec", &[("json", Codec::Json), ("text", Codec::Text)]).while_disarmed().identifies_arm();
    /// What the controller calls the member that says what kind of line it is: 'command', 'stop' or 'heartbeat'. Empty:
    /// there is none.
    WIRE_JSON_TYPE: String = text("json_fields.type", "type").while_disarmed();
    /// What the controller calls x. Empty: it is not told.
    WIRE_JSON_X: String = text("json_fields.x", "x").while_disarmed().identifies_arm();
    /// What the controller calls y. Empty: it is not told.
    WIRE_JSON_Y: String = text("json_fields.y", "y").while_disarmed().identifies_arm();
    /// What the controller calls z. Empty: it is not told.
    WIRE_JSON_Z: String = text("json_fields.z", "z").while_disarmed().identifies_arm();
    /// What the controller calls the gripper. Empty: it is not told.
    WIRE_JSON_GRIPPER: String = text("json_fields.gripper", "gripper").while_disarmed();
    /// What an open gripper is in JSON: '"open"', 'true', '0'.
    WIRE_JSON_OPEN: String = text("json_fields.open", "\"open\"").not_empty().while_disarmed();
    /// What a closed gripper is in JSON.
    WIRE_JSON_CLOSED: String = text("json_fields.closed", "\"closed\"").not_empty().while_disarmed();
    /// A JSON object whose members every line has too, like '{"speed":50}'.
    WIRE_JSON_CONSTANT: String = text("json_fields.constant", "").while_disarmed().identifies_arm();
    /// A command of text. In braces: x, y, z, gripper, gripper:OPEN|CLOSED with two words of the controller's, roll,
    /// pitch, yaw, qx, qy, qz, qw, seq, stamp, ttl. A brace itself is written twice.
    WIRE_TEXT_COMMAND: String =
        text("text_template", "COMMAND MOVE {x} {y} {z} {gripper:OPEN|CLOSED}").while_disarmed().identifies_arm();
    /// The line of hold_line stop in text. In braces: seq, stamp, ttl.
    WIRE_TEXT_STOP: String = text("text_stop", "STOP").while_disarmed();
    /// The heartbeat in text. In braces: seq, stamp, ttl.
    WIRE_TEXT_HEARTBEAT: String = text("text_heartbeat", "HEARTBEAT").while_disarmed();
    /// What lines of JSON tell besides. seq: the number of the line, which a reply may echo. stamp: when it was sent,
    /// in seconds since 1970. rpy, quaternion: how the tool is to be turned. ttl: parameter ttl, in milliseconds.
    WIRE_EXTRA_FIELDS: BTreeSet<Extra> =
        subset("wire_extras", &["seq", "stamp", "rpy", "quaternion", "ttl"]).while_disarmed();
    /// How long the controller is to go on without a further line, where lines tell it.
    WIRE_COMMAND_TTL: Duration = seconds("ttl", 0.5, 0.001..=60.0).while_disarmed();
    /// Whether the controller may tell its state unasked, in a line with a type other than 'reply'. Otherwise such a
    /// line ends the connection.
    WIRE_ACCEPT_STATE: bool = boolean("accept_state", false).while_disarmed();
}
