//! What the parameters of the wire mean.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{ConfigError, Parameters};
use crate::wire::{Codec, Extra, JsonFields, OrderLines, WireConfig};

/// How lines are written and read.
pub(super) fn wire(p: &Parameters) -> Result<WireConfig, ConfigError> {
    let codec = if p.text("codec") == "text" { Codec::Text } else { Codec::Json };
    let lines = match codec {
        Codec::Json => json(p)?,
        Codec::Text => text(p)?,
    };
    if p.text("role") == "udp" && p.integer("greeting_lines") > 0 {
        return Err(ConfigError::relation(
            p,
            "greeting_lines",
            "0, since nobody greets a datagram, with",
            "role",
        ));
    }
    check_replies(p, &lines)?;
    check_ttl(p, codec)?;
    Ok(WireConfig {
        unit: p.text("wire_unit").parse().expect("its choices are checked"),
        codec,
        lines,
        greeting_lines: u32::try_from(p.integer("greeting_lines")).expect("its range is checked"),
        accept_state: p.boolean("accept_state"),
    })
}

fn extras(p: &Parameters) -> BTreeSet<Extra> {
    // The only word that is none is "none".
    p.texts("wire_extras").iter().filter_map(|word| word.parse().ok()).collect()
}

fn text(p: &Parameters) -> Result<OrderLines, ConfigError> {
    if !extras(p).is_empty() {
        let relation = "['none'], since lines of text have placeholders instead, with";
        return Err(ConfigError::relation(p, "wire_extras", relation, "codec"));
    }
    OrderLines::text(TEMPLATES.map(|name| p.text(name)), p.seconds("ttl")).map_err(|(which, error)| {
        ConfigError::range(p, TEMPLATES[which], &format!("the text of a line: {error}"))
    })
}

fn json(p: &Parameters) -> Result<OrderLines, ConfigError> {
    let name = |name| p.text(name).to_owned();
    let constant = match p.text("json_fields.constant") {
        "" => serde_json::Map::new(),
        text => match serde_json::from_str(text) {
            Ok(Json::Object(members)) => members,
            _ => {
                return Err(ConfigError::range(
                    p,
                    "json_fields.constant",
                    "a JSON object, like '{\"speed\":50}'",
                ));
            }
        },
    };
    let fields = JsonFields {
        r#type: name("json_fields.type"),
        coordinates: ["json_fields.x", "json_fields.y", "json_fields.z"].map(name),
        gripper: name("json_fields.gripper"),
        open: value(p, "json_fields.open")?,
        closed: value(p, "json_fields.closed")?,
        constant,
    };
    let wants_type = |other: &'static str, wanted: bool| {
        let relation = "a name, so that other lines can be told from commands, with";
        if wanted && fields.r#type.is_empty() {
            Err(ConfigError::relation(p, "json_fields.type", relation, other))
        } else {
            Ok(())
        }
    };
    wants_type("hold_line", p.text("hold_line") == "stop")?;
    wants_type("heartbeat_period", p.real("heartbeat_period") > 0.0)?;
    wants_type("hello.token_file", !p.text("hello.token_file").is_empty())?;
    OrderLines::json(&fields, &extras(p), p.seconds("ttl")).map_err(ConfigError::JsonFields)
}

fn value(p: &Parameters, name: &'static str) -> Result<Json, ConfigError> {
    let wanted = "a JSON value: '\"open\"', 'true', '1'; a word is in double quotes";
    serde_json::from_str(p.text(name)).map_err(|_| ConfigError::range(p, name, wanted))
}

/// A datagram that is lost must not have the reply to the next one taken for its own.
fn check_replies(p: &Parameters, lines: &OrderLines) -> Result<(), ConfigError> {
    if p.text("role") != "udp" || !p.boolean("expect_reply") {
        return Ok(());
    }
    let beats = p.real("heartbeat_period") > 0.0 && p.boolean("heartbeat_expects_reply");
    let stops = p.text("hold_line") == "stop";
    let names = if p.text("codec") == "text" { TEMPLATES } else { ["wire_extras"; 3] };
    let answered = [(&lines.command, true), (&lines.stop, stops), (&lines.heartbeat, beats)];
    match answered.iter().position(|(line, answered)| *answered && !line.has_seq()) {
        Some(which) => Err(ConfigError::relation(p, names[which], NUMBERED, "role")),
        None => Ok(()),
    }
}

/// A heartbeat that comes later than the controller stops by itself keeps nothing alive.
fn check_ttl(p: &Parameters, codec: Codec) -> Result<(), ConfigError> {
    let told = match codec {
        Codec::Json => extras(p).contains(&Extra::Ttl),
        // A doubled brace is a brace, and what is between such is text.
        Codec::Text => TEMPLATES.iter().any(|name| p.text(name).replace("{{", "").contains("{ttl}")),
    };
    let beats = p.real("heartbeat_period") > 0.0;
    if told && beats && p.real("heartbeat_period") >= p.real("ttl") {
        return Err(ConfigError::relation(p, "heartbeat_period", "below", "ttl"));
    }
    Ok(())
}

const NUMBERED: &str = "one with a number ('seq', or '{seq}' in text), by which replies are matched if expect_reply is true, with";
const TEMPLATES: [&str; 3] = ["text_template", "text_stop", "text_heartbeat"];

#[cfg(test)]
mod tests {
    use super::super::{Config, Value};
    use super::*;
    use crate::arm::{Command, Gripper};
    use crate::geometry::Position;
    use crate::wire::{CommandEncoder, Line, Order};

    fn with(settings: &[(&str, Value)]) -> Result<WireConfig, String> {
        let mut parameters = Parameters::default();
        for (name, value) in settings {
            parameters.set(name, value.clone()).map_err(|error| error.to_string())?;
        }
        Config::new(&parameters).map(|config| config.wire).map_err(|error| error.to_string())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn extras(words: &[&str]) -> Value {
        Value::Texts(words.iter().map(ToString::to_string).collect())
    }

    fn written(settings: &[(&str, Value)]) -> String {
        let position = Position::new(0.12, 0.0355, 0.21).unwrap();
        let command = Command { position, gripper: Gripper::Closed, orientation: None };
        let mut out = Vec::new();
        let line = Line { seq: 17, ..Line::from(Order::Command(command)) };
        CommandEncoder::new(&with(settings).unwrap()).encode_into(&line, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn by_default_it_is_the_protocol() {
        assert_eq!(with(&[]).unwrap(), WireConfig::default());
    }

    #[test]
    fn a_line_is_as_the_parameters_say() {
        let codec = || ("codec", text("text"));
        for (settings, line) in [
            (vec![codec()], "COMMAND MOVE 120.0 35.5 210.0 CLOSED\n"),
            (vec![codec(), ("text_template", text("G1 X{x} Y{y} Z{z}"))], "G1 X120.0 Y35.5 Z210.0\n"),
            (
                vec![("json_fields.type", text("")), ("json_fields.gripper", text(""))],
                "{\"x\":120.0,\"y\":35.5,\"z\":210.0}\n",
            ),
            (
                vec![
                    ("json_fields.gripper", text("grip")),
                    ("json_fields.open", text("0")),
                    ("json_fields.closed", text("1")),
                    ("json_fields.constant", text(r#"{"speed": 50}"#)),
                    ("wire_extras", extras(&["ttl", "seq"])),
                    ("ttl", Value::Real(0.25)),
                ],
                "{\"type\":\"command\",\"x\":120.0,\"y\":35.5,\"z\":210.0,\"grip\":1,\"speed\":50,\"seq\":17,\"ttl\":250}\n",
            ),
        ] {
            assert_eq!(written(&settings), line);
        }
    }

    #[test]
    fn what_makes_no_line_is_refused_by_name() {
        let udp = || ("role", text("udp"));
        let codec = || ("codec", text("text"));
        let heartbeat = || ("heartbeat_period", Value::Real(0.1));
        for (settings, words) in [
            (
                vec![codec(), ("text_template", text("G1 {px}"))],
                "'text_template' is 'G1 {px}'; it must be the text of a line: '{px}' is no placeholder",
            ),
            (
                vec![codec(), ("text_stop", text(""))],
                "'text_stop' is ''; it must be the text of a line: it is empty",
            ),
            (
                vec![codec(), ("wire_extras", extras(&["seq"]))],
                "'wire_extras' is ['seq']; it must be ['none'], since lines of text have placeholders instead, with 'codec'",
            ),
            (
                vec![("wire_extras", extras(&["sec"]))],
                "'wire_extras' is ['sec']; it must be ['none'] or any of",
            ),
            (vec![("wire_extras", extras(&["seq", "seq"]))], "it must be ['none'] or any of"),
            (
                vec![("json_fields.open", text("open"))],
                "'json_fields.open' is 'open'; it must be a JSON value",
            ),
            (
                vec![("json_fields.constant", text("[1]"))],
                "'json_fields.constant' is '[1]'; it must be a JSON object",
            ),
            (
                vec![("json_fields.y", text("x"))],
                "two members of a line would be called 'x' (json_fields.*, wire_extras)",
            ),
            (
                vec![("json_fields.type", text("")), ("hold_line", text("stop"))],
                "'json_fields.type' is ''; it must be a name, so that other lines can be told from commands, \
                 with 'hold_line', which is 'stop'",
            ),
            (vec![("json_fields.type", text("")), heartbeat()], "with 'heartbeat_period', which is 0.1"),
            (
                vec![("wire_extras", extras(&["ttl"])), ("heartbeat_period", Value::Real(0.5))],
                "'heartbeat_period' is 0.5; it must be below 'ttl', which is 0.5",
            ),
            (
                vec![
                    codec(),
                    ("text_heartbeat", text("ALIVE {ttl}")),
                    ("heartbeat_period", Value::Real(1.0)),
                ],
                "'heartbeat_period' is 1.0; it must be below 'ttl', which is 0.5",
            ),
            (
                vec![udp(), ("greeting_lines", Value::Integer(1))],
                "'greeting_lines' is 1; it must be 0, since nobody greets a datagram, with 'role', which is 'udp'",
            ),
            (vec![udp()], "'wire_extras' is ['none']; it must be one with a number ('seq'"),
            (vec![udp(), codec()], "'text_template' is 'COMMAND MOVE"),
            (
                vec![udp(), codec(), ("text_template", text("{x} {seq}")), heartbeat()],
                "'text_heartbeat' is 'HEARTBEAT'; it must be one with a number",
            ),
            (
                vec![udp(), codec(), ("text_template", text("{x} {seq}")), ("hold_line", text("stop"))],
                "'text_stop' is 'STOP'; it must be one with a number",
            ),
        ] {
            let refused = with(&settings).unwrap_err();
            assert!(refused.contains(words), "{settings:?}: {refused}");
        }
        assert!(with(&[udp(), ("expect_reply", Value::Boolean(false))]).is_ok());
        assert!(with(&[udp(), ("wire_extras", extras(&["seq"]))]).is_ok());
        assert!(with(&[udp(), codec(), ("text_template", text("{x} {seq}"))]).is_ok());
        let braces = [codec(), ("text_heartbeat", text("{{ttl}}")), ("heartbeat_period", Value::Real(1.0))];
        assert!(with(&braces).is_ok());
    }
}
