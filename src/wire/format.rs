//! The settings of the lines to a controller and of its replies.

use std::collections::BTreeSet;
use std::time::Duration;

use super::json::{JsonFields, JsonFieldsError};
use super::message::PositionUnit;
use super::template::{Extra, Kind, Template, TemplateError};

/// The settings for writing commands and reading replies.
#[derive(Debug, Clone, PartialEq)]
pub struct WireConfig {
    /// The unit of length.
    pub unit: PositionUnit,
    /// The format of the replies.
    pub format: LineFormat,
    /// The templates of the lines that the bridge sends.
    pub lines: OrderLines,
    /// The number of lines that the controller sends on connecting. They are not replies.
    pub banner_lines: u32,
    /// Whether the controller may send unsolicited state.
    pub accept_state: bool,
}

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// A JSON object.
    Json,
    /// Plain text.
    Text,
}

impl LineFormat {
    /// Returns whether the end of a line is recognisable without its newline.
    pub(super) fn shows_its_end(self) -> bool {
        match self {
            Self::Json => true,
            Self::Text => false,
        }
    }
}

/// The template of each order's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLines {
    /// Move to a position.
    pub command: Template,
    /// Stop moving.
    pub stop: Template,
    /// Show that the bridge is alive.
    pub heartbeat: Template,
}

impl OrderLines {
    /// Creates the templates of JSON lines.
    ///
    /// # Errors
    /// The members do not make a valid line.
    pub fn json(
        fields: &JsonFields,
        extras: &BTreeSet<Extra>,
        ttl: Duration,
    ) -> Result<Self, JsonFieldsError> {
        let line = |word, kind| fields.line(word, kind, extras, ttl);
        Ok(Self {
            command: line("command", Kind::Command)?,
            stop: line("stop", Kind::Bare)?,
            heartbeat: line("heartbeat", Kind::Bare)?,
        })
    }

    /// Parses the templates of text lines.
    ///
    /// # Errors
    /// The index of the text that is not a template (0 command, 1 stop, 2 heartbeat), and the
    /// reason.
    pub fn text(
        [command, stop, heartbeat]: [&str; 3],
        ttl: Duration,
    ) -> Result<Self, (usize, TemplateError)> {
        let parse =
            |which: usize, text: &str, kind| Template::parse(text, kind, ttl).map_err(|error| (which, error));
        Ok(Self {
            command: parse(0, command, Kind::Command)?,
            stop: parse(1, stop, Kind::Bare)?,
            heartbeat: parse(2, heartbeat, Kind::Bare)?,
        })
    }
}

impl Default for OrderLines {
    /// Returns the lines of the protocol.
    fn default() -> Self {
        let plain = Self::json(&JsonFields::default(), &BTreeSet::new(), Duration::ZERO);
        plain.expect("the protocol's own names differ")
    }
}

impl Default for WireConfig {
    /// Returns the settings that the default parameters give.
    fn default() -> Self {
        Self {
            unit: PositionUnit::default(),
            format: LineFormat::Json,
            lines: OrderLines::default(),
            banner_lines: 0,
            accept_state: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::arm::{Command, Gripper};
    use crate::geometry::Orientation;
    use crate::geometry::Position;
    use crate::wire::{CommandEncoder, Line, Order};

    const TTL: Duration = Duration::from_millis(500);

    fn lines(fields: &JsonFields, extras: &[Extra]) -> [String; 3] {
        let lines = OrderLines::json(fields, &extras.iter().copied().collect(), TTL).unwrap();
        written(lines, Gripper::Open)
    }

    fn written(lines: OrderLines, gripper: Gripper) -> [String; 3] {
        let encoder = CommandEncoder::new(&WireConfig { lines, ..WireConfig::default() });
        let position = Position::new(0.12, 0.0355, 0.21).unwrap();
        let orientation = Some(Orientation::from_rpy([0.0, 0.0, 1.5]));
        [Order::Command(Command { position, gripper, orientation }), Order::Stop, Order::Heartbeat].map(
            |order| {
                let mut out = Vec::new();
                let line = Line { order, seq: 17, stamp: Duration::from_micros(1_732_233_600_123_456) };
                encoder.encode_into(&line, &mut out);
                String::from_utf8(out).unwrap()
            },
        )
    }

    #[test]
    fn default_lines_are_the_lines_of_protocol() {
        assert_eq!(
            lines(&JsonFields::default(), &[]),
            [
                "{\"type\":\"command\",\"x\":120.0,\"y\":35.5,\"z\":210.0,\"gripper\":\"open\"}\n",
                "{\"type\":\"stop\"}\n",
                "{\"type\":\"heartbeat\"}\n"
            ]
        );
    }

    #[test]
    fn extra_members_have_a_fixed_order() {
        let all = [Extra::Ttl, Extra::Quaternion, Extra::Stamp, Extra::Rpy, Extra::Seq];
        assert_eq!(
            lines(&JsonFields::default(), &all),
            [
                "{\"type\":\"command\",\"x\":120.0,\"y\":35.5,\"z\":210.0,\"gripper\":\"open\",\"seq\":17,\
                 \"stamp\":1732233600.123456,\"rpy\":[0.0,0.0,1.5],\
                 \"quaternion\":[0.0,0.0,0.681639,0.731689],\"ttl\":500}\n",
                "{\"type\":\"stop\",\"seq\":17,\"stamp\":1732233600.123456,\"ttl\":500}\n",
                "{\"type\":\"heartbeat\",\"seq\":17,\"stamp\":1732233600.123456,\"ttl\":500}\n"
            ]
        );
    }

    #[test]
    fn members_have_the_configured_names_and_values() {
        let fields = JsonFields {
            r#type: "cmd".into(),
            coordinates: ["px".into(), "p\"y".into(), String::new()],
            gripper: "grip".into(),
            open: json!(0),
            closed: json!(true),
            constant: json!({"speed": 50, "arm": "left"}).as_object().unwrap().clone(),
        };
        let constant = "\"arm\":\"left\",\"speed\":50}\n";
        assert_eq!(
            lines(&fields, &[]),
            [
                format!("{{\"cmd\":\"command\",\"px\":120.0,\"p\\\"y\":35.5,\"grip\":0,{constant}"),
                format!("{{\"cmd\":\"stop\",{constant}"),
                format!("{{\"cmd\":\"heartbeat\",{constant}")
            ]
        );
        let closed = written(OrderLines::json(&fields, &BTreeSet::new(), TTL).unwrap(), Gripper::Closed);
        assert!(closed[0].contains("\"grip\":true"), "{}", closed[0]);
        let bare = JsonFields { r#type: String::new(), gripper: String::new(), ..JsonFields::default() };
        assert_eq!(lines(&bare, &[])[0], "{\"x\":120.0,\"y\":35.5,\"z\":210.0}\n");
    }

    #[test]
    fn members_without_a_valid_line_are_rejected() {
        let rejected = |fields: &JsonFields, extras: &[Extra]| {
            let extras = extras.iter().copied().collect();
            OrderLines::json(fields, &extras, TTL).unwrap_err().to_string()
        };
        let fields = JsonFields { coordinates: ["x", "y", "x"].map(Into::into), ..JsonFields::default() };
        assert_eq!(rejected(&fields, &[]), "two members of a line would be called 'x'");
        let fields = JsonFields { gripper: "seq".into(), ..JsonFields::default() };
        assert_eq!(rejected(&fields, &[Extra::Seq]), "two members of a line would be called 'seq'");
        let fields = JsonFields { coordinates: Default::default(), ..JsonFields::default() };
        assert_eq!(rejected(&fields, &[]), "a command would have none of x, y and z");
        let constant = json!({"note": "x".repeat(1024)}).as_object().unwrap().clone();
        let too_long = rejected(&JsonFields { constant, ..JsonFields::default() }, &[]);
        assert!(too_long.contains("longer than 1024 bytes"), "{too_long}");
        for word in [
            JsonFields { open: json!("x".repeat(1024)), ..JsonFields::default() },
            JsonFields { closed: json!("x".repeat(1024)), ..JsonFields::default() },
        ] {
            assert_eq!(rejected(&word, &[]), too_long);
        }
        let fields = JsonFields { open: json!(1), closed: json!(1), ..JsonFields::default() };
        assert_eq!(rejected(&fields, &[]), "the gripper's value would be 1 for both open and closed");
        let hostile = "a\u{1b}[2J\u{202e}";
        let names = [hostile; 3].map(Into::into);
        let fields = JsonFields { coordinates: names, ..JsonFields::default() };
        assert_eq!(rejected(&fields, &[]), "two members of a line would be called 'a�[2J�'");
        let fields = JsonFields { open: json!(hostile), closed: json!(hostile), ..JsonFields::default() };
        let same = rejected(&fields, &[]);
        assert!(same.contains(r#""a\u001b[2J�""#), "{same}");
    }

    #[test]
    fn text_lines_follow_their_templates() {
        let texts = ["COMMAND MOVE {x} {y} {z} {gripper:OPEN|CLOSED}", "STOP", "HEARTBEAT {seq}"];
        let lines = OrderLines::text(texts, TTL).unwrap();
        assert_eq!(
            written(lines, Gripper::Closed),
            ["COMMAND MOVE 120.0 35.5 210.0 CLOSED\n", "STOP\n", "HEARTBEAT 17\n"]
        );
        assert_eq!(OrderLines::text(["{x}", "", "H"], TTL).unwrap_err(), (1, TemplateError::Empty));
    }
}
