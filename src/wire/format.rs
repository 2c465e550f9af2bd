//! How a controller wants its lines, and how it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use super::json::{JsonFields, JsonFieldsError};
use super::message::PositionUnit;
use super::template::{Extra, Kind, Template, TemplateError};

/// How lines are written and read.
#[derive(Debug, Clone, PartialEq)]
pub struct WireConfig {
    /// The unit of length.
    pub unit: PositionUnit,
    /// How replies are read.
    pub format: LineFormat,
    /// The lines that are sent.
    pub lines: OrderLines,
    /// How many lines the controller says on connecting that are no replies.
    pub banner_lines: u32,
    /// Whether the controller may tell its state unasked.
    pub accept_state: bool,
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// A JSON object.
    Json,
    /// Words.
    Text,
}

impl LineFormat {
    /// Returns whether a line shows where it ends, even if its newline is missing.
    pub(super) fn shows_its_end(self) -> bool {
        match self {
            Self::Json => true,
            Self::Text => false,
        }
    }
}

/// The line of each order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLines {
    /// Go there.
    pub command: Template,
    /// Stand still.
    pub stop: Template,
    /// The bridge is there.
    pub heartbeat: Template,
}

impl OrderLines {
    /// Lines of JSON.
    ///
    /// # Errors
    /// Why the members make none.
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

    /// Lines of text, each by its template.
    ///
    /// # Errors
    /// Which of them is no template (0 the command's, 1 the stop's, 2 the heartbeat's), and why.
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
    /// The lines of the protocol.
    fn default() -> Self {
        let plain = Self::json(&JsonFields::default(), &BTreeSet::new(), Duration::ZERO);
        plain.expect("the protocol's own names differ")
    }
}

impl Default for WireConfig {
    /// The protocol as it is when no parameter says otherwise.
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
    fn by_default_the_lines_are_the_protocols_byte_for_byte() {
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
    fn extras_follow_in_their_order_whatever_the_order_they_are_named_in() {
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
    fn members_have_the_names_and_values_that_the_controller_knows() {
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
    fn members_that_make_no_line_are_refused() {
        let refused = |fields: &JsonFields, extras: &[Extra]| {
            let extras = extras.iter().copied().collect();
            OrderLines::json(fields, &extras, TTL).unwrap_err().to_string()
        };
        let fields = JsonFields { coordinates: ["x", "y", "x"].map(Into::into), ..JsonFields::default() };
        assert_eq!(refused(&fields, &[]), "two members of a line would be called 'x'");
        let fields = JsonFields { gripper: "seq".into(), ..JsonFields::default() };
        assert_eq!(refused(&fields, &[Extra::Seq]), "two members of a line would be called 'seq'");
        let fields = JsonFields { coordinates: Default::default(), ..JsonFields::default() };
        assert_eq!(refused(&fields, &[]), "a command would have none of x, y and z");
        let constant = json!({"note": "x".repeat(1024)}).as_object().unwrap().clone();
        let refused_length = refused(&JsonFields { constant, ..JsonFields::default() }, &[]);
        assert!(refused_length.contains("longer than 1024 bytes"), "{refused_length}");
        for word in [
            JsonFields { open: json!("x".repeat(1024)), ..JsonFields::default() },
            JsonFields { closed: json!("x".repeat(1024)), ..JsonFields::default() },
        ] {
            assert_eq!(refused(&word, &[]), refused_length);
        }
        let fields = JsonFields { open: json!(1), closed: json!(1), ..JsonFields::default() };
        assert_eq!(refused(&fields, &[]), "the gripper would be 1 whether it is to be open or closed");
        let hostile = "a\u{1b}[2J\u{202e}";
        let names = [hostile; 3].map(Into::into);
        let fields = JsonFields { coordinates: names, ..JsonFields::default() };
        assert_eq!(refused(&fields, &[]), "two members of a line would be called 'a�[2J�'");
        let fields = JsonFields { open: json!(hostile), closed: json!(hostile), ..JsonFields::default() };
        let same = refused(&fields, &[]);
        assert!(same.contains(r#""a\u001b[2J�""#), "{same}");
    }

    #[test]
    fn lines_of_text_are_by_their_templates() {
        let texts = ["COMMAND MOVE {x} {y} {z} {gripper:OPEN|CLOSED}", "STOP", "HEARTBEAT {seq}"];
        let lines = OrderLines::text(texts, TTL).unwrap();
        assert_eq!(
            written(lines, Gripper::Closed),
            ["COMMAND MOVE 120.0 35.5 210.0 CLOSED\n", "STOP\n", "HEARTBEAT 17\n"]
        );
        assert_eq!(OrderLines::text(["{x}", "", "H"], TTL).unwrap_err(), (1, TemplateError::Empty));
    }
}
