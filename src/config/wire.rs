//! Reads the parameters of the wire.

use serde_json::Value as Json;

use super::Parameters;
use super::error::ConfigError;
use super::table::*;
use crate::params::{Declaration, Param, ParameterError};
use crate::wire::{Extra, JsonFields, LineFormat, OrderLines, WireConfig};

/// Reads the format of the lines in both directions.
pub(super) fn wire(p: &Parameters) -> Result<WireConfig, ConfigError> {
    let format = p.get(&WIRE_FORMAT);
    let lines = match format {
        LineFormat::Json => json(p)?,
        LineFormat::Text => text(p)?,
    };
    let banner_lines = p.get(&LINK_BANNER_LINES);
    if p.get(&LINK_TRANSPORT).is_udp() && banner_lines > 0 {
        let why = ", because a UDP controller sends no banner";
        return Err(p.condition_error(&LINK_BANNER_LINES, "be 0", &LINK_TRANSPORT, why).into());
    }
    check_replies(p, format, &lines)?;
    check_ttl(p, format)?;
    let (unit, accept_state) = (p.get(&WIRE_POSITION_UNIT), p.get(&WIRE_ACCEPT_STATE));
    Ok(WireConfig { unit, format, lines, banner_lines, accept_state })
}

fn text(p: &Parameters) -> Result<OrderLines, ParameterError> {
    if !p.get(&WIRE_EXTRA_FIELDS).is_empty() {
        let why = ", because lines of text have placeholders instead";
        return Err(p.condition_error(&WIRE_EXTRA_FIELDS, "be ['none']", &WIRE_FORMAT, why));
    }
    let templates = TEMPLATES.map(|parameter| p.get(parameter));
    let templates = templates.each_ref().map(String::as_str);
    OrderLines::text(templates, p.get(&WIRE_COMMAND_TTL))
        .map_err(|(which, error)| p.range_error(TEMPLATES[which], &format!("the text of a line: {error}")))
}

fn json(p: &Parameters) -> Result<OrderLines, ConfigError> {
    let constant = match p.get(&WIRE_JSON_CONSTANT).as_str() {
        "" => serde_json::Map::new(),
        text => serde_json::from_str(text)
            .map_err(|_| p.range_error(&WIRE_JSON_CONSTANT, "a JSON object, like '{\"speed\":50}'"))?,
    };
    let fields = JsonFields {
        r#type: p.get(&WIRE_JSON_TYPE),
        coordinates: [&WIRE_JSON_X, &WIRE_JSON_Y, &WIRE_JSON_Z].map(|parameter| p.get(parameter)),
        gripper: p.get(&WIRE_JSON_GRIPPER),
        open: value(p, &WIRE_JSON_OPEN)?,
        closed: value(p, &WIRE_JSON_CLOSED)?,
        constant,
    };
    let of_other_lines: [(&Declaration, bool); 3] = [
        (&TELEOP_HOLD_BEHAVIOR, p.get(&TELEOP_HOLD_BEHAVIOR).sends_stop()),
        (&LINK_HEARTBEAT_PERIOD, !p.get(&LINK_HEARTBEAT_PERIOD).is_zero()),
        (&LINK_AUTH_TOKEN_FILE, !p.get(&LINK_AUTH_TOKEN_FILE).is_empty()),
    ];
    if let Some((other, _)) = of_other_lines.iter().find(|(_, sent)| *sent && fields.r#type.is_empty()) {
        let why = ", because the controller must distinguish other lines from commands";
        return Err(p.condition_error(&WIRE_JSON_TYPE, "be a name", other, why).into());
    }
    OrderLines::json(&fields, &p.get(&WIRE_EXTRA_FIELDS), p.get(&WIRE_COMMAND_TTL))
        .map_err(ConfigError::JsonFields)
}

fn value(p: &Parameters, parameter: &Param<String>) -> Result<Json, ParameterError> {
    let wanted = "a JSON value: '\"open\"', 'true', '1'; a word is in double quotes";
    serde_json::from_str(&p.get(parameter)).map_err(|_| p.range_error(parameter, wanted))
}

/// Checks that lines over UDP contain their number if replies are expected. Without the number, the
/// reply to the next datagram could count as the reply to a lost one.
fn check_replies(p: &Parameters, format: LineFormat, lines: &OrderLines) -> Result<(), ParameterError> {
    if !p.get(&LINK_TRANSPORT).is_udp() || !p.get(&LINK_EXPECT_REPLY) {
        return Ok(());
    }
    let beats = !p.get(&LINK_HEARTBEAT_PERIOD).is_zero() && p.get(&LINK_HEARTBEAT_EXPECT_REPLY);
    let stops = p.get(&TELEOP_HOLD_BEHAVIOR).sends_stop();
    let answered = [(&lines.command, true), (&lines.stop, stops), (&lines.heartbeat, beats)];
    let Some(which) = answered.iter().position(|(line, answered)| *answered && !line.has_seq()) else {
        return Ok(());
    };
    let (parameter, requirement): (&Declaration, _) = match format {
        LineFormat::Json => (&WIRE_EXTRA_FIELDS, "contain 'seq'"),
        LineFormat::Text => (TEMPLATES[which], "contain {seq}"),
    };
    let why = " and link.expect_reply is true, because the bridge matches replies by this number";
    Err(p.condition_error(parameter, requirement, &LINK_TRANSPORT, why))
}

/// Checks that the heartbeat period is shorter than `wire.command_ttl`, if lines contain this time.
/// Otherwise the controller would stop between two heartbeats.
fn check_ttl(p: &Parameters, format: LineFormat) -> Result<(), ParameterError> {
    let sends_ttl = match format {
        LineFormat::Json => p.get(&WIRE_EXTRA_FIELDS).contains(&Extra::Ttl),
        // `{{ttl}}` is literal text, because a doubled brace is a brace.
        LineFormat::Text => TEMPLATES.iter().any(|text| p.get(text).replace("{{", "").contains("{ttl}")),
    };
    let period = p.get(&LINK_HEARTBEAT_PERIOD);
    if sends_ttl && !period.is_zero() && period >= p.get(&WIRE_COMMAND_TTL) {
        return Err(p.relation_error(&LINK_HEARTBEAT_PERIOD, "below", &WIRE_COMMAND_TTL));
    }
    Ok(())
}

static TEMPLATES: [&Param<String>; 3] = [&WIRE_TEXT_COMMAND, &WIRE_TEXT_STOP, &WIRE_TEXT_HEARTBEAT];

#[cfg(test)]
mod tests {
    use super::super::{Config, Value};
    use super::*;
    use crate::arm::{Command, Gripper};
    use crate::geometry::Position;
    use crate::wire::{CommandEncoder, Line, Order};

    fn with(settings: &[(&str, Value)]) -> Result<WireConfig, String> {
        let parameters = Parameters::with(settings).map_err(|error| error.to_string())?;
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
    fn defaults_give_the_default_protocol() {
        assert_eq!(with(&[]).unwrap(), WireConfig::default());
    }

    #[test]
    fn parameters_set_the_form_of_a_line() {
        let format = || ("wire.format", text("text"));
        for (settings, line) in [
            (vec![format()], "COMMAND MOVE 120.0 35.5 210.0 CLOSED\n"),
            (vec![format(), ("wire.text.command", text("G1 X{x} Y{y} Z{z}"))], "G1 X120.0 Y35.5 Z210.0\n"),
            (
                vec![("wire.json.type", text("")), ("wire.json.gripper", text(""))],
                "{\"x\":120.0,\"y\":35.5,\"z\":210.0}\n",
            ),
            (
                vec![
                    ("wire.json.gripper", text("grip")),
                    ("wire.json.open", text("0")),
                    ("wire.json.closed", text("1")),
                    ("wire.json.constant", text(r#"{"speed": 50}"#)),
                    ("wire.extra_fields", extras(&["ttl", "seq"])),
                    ("wire.command_ttl", Value::Real(0.25)),
                ],
                "{\"type\":\"command\",\"x\":120.0,\"y\":35.5,\"z\":210.0,\"grip\":1,\"speed\":50,\"seq\":17,\"ttl\":250}\n",
            ),
        ] {
            assert_eq!(written(&settings), line);
        }
    }

    #[test]
    fn invalid_wire_parameter_is_rejected_by_name() {
        let udp = || ("link.transport", text("udp"));
        let format = || ("wire.format", text("text"));
        let heartbeat = || ("link.heartbeat.period", Value::Real(0.1));
        for (settings, words) in [
            (
                vec![format(), ("wire.text.command", text("G1 {px}"))],
                "'wire.text.command' is 'G1 {px}'; it must be the text of a line: '{px}' is not a placeholder",
            ),
            (
                vec![format(), ("wire.text.stop", text(""))],
                "'wire.text.stop' is ''; it must be the text of a line: it is empty",
            ),
            (
                vec![format(), ("wire.extra_fields", extras(&["seq"]))],
                "'wire.extra_fields' is ['seq']; it must be ['none'] while 'wire.format' is 'text', because lines of text have placeholders instead",
            ),
            (
                vec![("wire.extra_fields", extras(&["sec"]))],
                "'wire.extra_fields' is ['sec']; it must be ['none'] or any of",
            ),
            (vec![("wire.extra_fields", extras(&["seq", "seq"]))], "it must be ['none'] or any of"),
            (vec![("wire.json.open", text("open"))], "'wire.json.open' is 'open'; it must be a JSON value"),
            (
                vec![("wire.json.constant", text("[1]"))],
                "'wire.json.constant' is '[1]'; it must be a JSON object",
            ),
            (
                vec![("wire.json.y", text("x"))],
                "two members of a line would be called 'x' (wire.json.*, wire.extra_fields)",
            ),
            (
                vec![("wire.json.type", text("")), ("teleop.hold_behavior", text("stop"))],
                "'wire.json.type' is ''; it must be a name while 'teleop.hold_behavior' is 'stop', \
                 because the controller must distinguish other lines from commands",
            ),
            (vec![("wire.json.type", text("")), heartbeat()], "while 'link.heartbeat.period' is 0.1"),
            (
                vec![("wire.extra_fields", extras(&["ttl"])), ("link.heartbeat.period", Value::Real(0.5))],
                "'link.heartbeat.period' is 0.5; it must be below 'wire.command_ttl', which is 0.5",
            ),
            (
                vec![
                    format(),
                    ("wire.text.heartbeat", text("ALIVE {ttl}")),
                    ("link.heartbeat.period", Value::Real(1.0)),
                ],
                "'link.heartbeat.period' is 1.0; it must be below 'wire.command_ttl', which is 0.5",
            ),
            (
                vec![udp(), ("link.banner_lines", Value::Integer(1))],
                "'link.banner_lines' is 1; it must be 0 while 'link.transport' is 'udp', because a UDP controller sends no banner",
            ),
            (
                vec![udp()],
                "'wire.extra_fields' is ['none']; it must contain 'seq' while 'link.transport' is 'udp' and",
            ),
            (vec![udp(), format()], "'wire.text.command' is 'COMMAND MOVE"),
            (
                vec![udp(), format(), ("wire.text.command", text("{x} {seq}")), heartbeat()],
                "'wire.text.heartbeat' is 'HEARTBEAT'; it must contain {seq} while 'link.transport' is 'udp'",
            ),
            (
                vec![
                    udp(),
                    format(),
                    ("wire.text.command", text("{x} {seq}")),
                    ("teleop.hold_behavior", text("stop")),
                ],
                "'wire.text.stop' is 'STOP'; it must contain {seq} while 'link.transport' is 'udp'",
            ),
        ] {
            let refused = with(&settings).unwrap_err();
            assert!(refused.contains(words), "{settings:?}: {refused}");
        }
        assert!(with(&[udp(), ("link.expect_reply", Value::Boolean(false))]).is_ok());
        assert!(with(&[udp(), ("wire.extra_fields", extras(&["seq"]))]).is_ok());
        assert!(with(&[udp(), format(), ("wire.text.command", text("{x} {seq}"))]).is_ok());
        let braces =
            [format(), ("wire.text.heartbeat", text("{{ttl}}")), ("link.heartbeat.period", Value::Real(1.0))];
        assert!(with(&braces).is_ok());
    }
}
