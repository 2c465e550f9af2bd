//! The controller's side of the wire: bytes to orders, and replies to bytes.
//! [`aether_bridge::wire`] is the bridge's side.

use std::collections::BTreeMap;
use std::time::Duration;

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::Position;
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::{Lines, Order, PositionUnit, Reply, WireError, put_length};
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio_util::codec::Decoder;

/// An order that the controller received.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedOrder {
    /// The order, with positions in metres.
    pub order: Order,
    /// The received line, byte for byte, without its newline.
    pub line: String,
    /// The names of members that the protocol does not define for this kind of line, in
    /// alphabetical order.
    pub extras: Vec<String>,
    /// The number of the line, if it has one (`"seq"`).
    pub seq: Option<u64>,
    /// After this time without a further line the arm halts (`"ttl"`, in milliseconds on the wire).
    /// `None` if the line has no `ttl`.
    pub ttl: Option<Duration>,
}

/// An invalid line. The connection stays open; the reply is an error with [`CommandFault::why`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}: {line:?}")]
pub struct CommandFault {
    /// What is wrong, with its value; only printable characters.
    pub why: String,
    /// The line; only printable characters.
    pub line: String,
}

/// Decodes orders from a stream of bytes. The decoder returns an invalid line as an item, and the
/// controller replies to it with an error. A line that is too long or not UTF-8 is an error of the
/// decoder, which ends the connection.
#[derive(Debug)]
pub struct CommandDecoder {
    unit: PositionUnit,
    commands_only: bool,
    lines: Lines,
}

impl CommandDecoder {
    /// Creates a decoder for positions in `unit`.
    pub fn new(unit: PositionUnit) -> Self {
        Self { unit, commands_only: false, lines: Lines::default() }
    }

    /// Changes the decoder to a controller that knows only commands and refuses other lines as
    /// unknown types.
    #[must_use]
    pub fn commands_only(self) -> Self {
        Self { commands_only: true, ..self }
    }
}

impl Decoder for CommandDecoder {
    type Item = Result<ReceivedOrder, CommandFault>;
    type Error = WireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, WireError> {
        let (unit, commands_only) = (self.unit, self.commands_only);
        self.lines.next(bytes, |line| {
            Ok(parse_order(line, unit, commands_only)
                .map_err(|why| CommandFault { why: sanitize_short(&why), line: sanitize_short(line) }))
        })
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, WireError> {
        match self.decode(bytes)? {
            Some(item) => Ok(Some(item)),
            None => self.lines.end(bytes).map(|()| None),
        }
    }
}

/// Decodes the first line of a client that must send a token: `{"type":"hello","token":"..."}`.
#[derive(Debug, Default)]
pub struct HelloDecoder {
    lines: Lines,
}

#[derive(Deserialize)]
struct HelloMembers {
    r#type: String,
    token: String,
}

impl Decoder for HelloDecoder {
    /// The token, or the reason why the line has no token.
    type Item = Result<String, CommandFault>;
    type Error = WireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, WireError> {
        self.lines.next(bytes, |line| {
            let hello =
                serde_json::from_str(line).ok().filter(|hello: &HelloMembers| hello.r#type == "hello");
            let why = r#"expected {"type":"hello","token":"..."} as the first line"#.to_owned();
            Ok(hello.map(|hello| hello.token).ok_or_else(|| CommandFault { why, line: sanitize_short(line) }))
        })
    }
}

/// Encodes replies as lines, in the unit of the wire.
#[derive(Debug, Clone, Copy)]
pub struct ReplyEncoder {
    unit: PositionUnit,
}

impl ReplyEncoder {
    /// Creates an encoder that writes positions in `unit`.
    pub fn new(unit: PositionUnit) -> Self {
        Self { unit }
    }

    /// Appends one line with its newline to `line`. Writes every known part of the reported state,
    /// except [`raw`](aether_bridge::arm::ReportedState::raw) and parts that could not be read.
    pub fn encode_into(&self, reply: &Reply, line: &mut Vec<u8>) {
        line.put_slice(br#"{"status":""#);
        line.put_slice(reply.status.as_str().as_bytes());
        line.put_slice(br#"","message":"#);
        put_string(&reply.message, line);
        if let Some(seq) = reply.seq {
            line.put_slice(format!(",\"seq\":{seq}").as_bytes());
        }
        if let Some(state) = &reply.state {
            if let Some(position) = state.position {
                let [x, y, z] = position.coordinates();
                for (key, coordinate) in [(r#","position":{"x":"#, x), (r#","y":"#, y), (r#","z":"#, z)] {
                    line.put_slice(key.as_bytes());
                    put_length(coordinate, self.unit, line);
                }
                line.put_u8(b'}');
            }
            if let Some(orientation) = state.orientation {
                line.put_slice(br#","quaternion":"#);
                line.put_slice(Value::from(&orientation.xyzw()[..]).to_string().as_bytes());
            }
            if let Some(gripper) = state.gripper {
                line.put_slice(br#","gripper":"#);
                put_string(gripper.as_str(), line);
            }
            if let Some(moving) = state.moving {
                let word = if moving { r#","moving":true"# } else { r#","moving":false"# };
                line.put_slice(word.as_bytes());
            }
            if let Some(fault) = &state.fault {
                line.put_slice(br#","fault":"#);
                put_string(fault, line);
            }
            if let Some(joints) = &state.joints {
                line.put_slice(br#","joints":"#);
                line.put_slice(Value::from(joints.as_slice()).to_string().as_bytes());
            }
        }
        line.put_slice(b"}\n");
    }
}

fn put_string(text: &str, line: &mut Vec<u8>) {
    // Use the escaping of serde_json. Writing a string to memory cannot fail.
    line.put_slice(Value::from(text).to_string().as_bytes());
}

/// The members of all kinds of lines. A member that is `null` counts as present.
#[derive(Deserialize)]
struct Members {
    #[serde(default, deserialize_with = "present")]
    r#type: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    x: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    y: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    z: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    gripper: Option<Value>,
    // Flattening also makes serde require a map: a plain struct would accept an array too.
    #[serde(flatten)]
    extras: BTreeMap<String, Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Clone, Copy)]
enum Kind {
    Command,
    Bare(Order),
}

fn parse_order(line: &str, unit: PositionUnit, commands_only: bool) -> Result<ReceivedOrder, String> {
    let members: Members =
        serde_json::from_str(line).map_err(|error| format!("not a JSON object of a command: {error}"))?;
    let kinds = if commands_only { "\"command\"" } else { "\"command\", \"stop\" or \"heartbeat\"" };
    let kind = word("type", members.r#type, kinds, |word| match word {
        "command" => Some(Kind::Command),
        "stop" if !commands_only => Some(Kind::Bare(Order::Stop)),
        "heartbeat" if !commands_only => Some(Kind::Bare(Order::Heartbeat)),
        _ => None,
    })?;
    let extra = |name: &str| members.extras.get(name).and_then(Value::as_u64);
    let (seq, ttl) = (extra("seq"), extra("ttl").map(Duration::from_millis));
    let mut extras: Vec<String> = members.extras.into_keys().collect();
    let order = match kind {
        Kind::Command => {
            let x = number("x", members.x)?;
            let y = number("y", members.y)?;
            let z = number("z", members.z)?;
            let gripper = word("gripper", members.gripper, "\"open\" or \"closed\"", |word| match word {
                "open" => Some(Gripper::Open),
                "closed" => Some(Gripper::Closed),
                _ => None,
            })?;
            let per_metre = unit.per_metre();
            let position = Position::new(x / per_metre, y / per_metre, z / per_metre)
                .map_err(|error| format!("{error} (the wire's unit is {unit})"))?;
            Order::Command(Command { position, gripper, orientation: None })
        }
        Kind::Bare(order) => {
            let of_commands =
                [("x", members.x), ("y", members.y), ("z", members.z), ("gripper", members.gripper)];
            extras.extend(
                of_commands.into_iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key.into()),
            );
            extras.sort_unstable();
            order
        }
    };
    Ok(ReceivedOrder { order, line: line.to_owned(), extras, seq, ttl })
}

fn number(key: &str, value: Option<Value>) -> Result<f64, String> {
    let value = value.filter(|value| !value.is_null());
    let value = value.ok_or_else(|| format!("{key} is missing or null, expected a number"))?;
    value.as_f64().ok_or_else(|| format!("{key} is {value}, expected a number"))
}

fn word<T>(
    key: &str,
    value: Option<Value>,
    expected: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let value = value.filter(|value| !value.is_null());
    let value = value.ok_or_else(|| format!("{key} is missing or null, expected {expected}"))?;
    value.as_str().and_then(read).ok_or_else(|| format!("{key} is {value}, expected {expected}"))
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use aether_bridge::arm::{Command, Gripper, ReportedState};
    use aether_bridge::geometry::{Orientation, Position};
    use aether_bridge::wire::{Order, PositionUnit, Reply, ReplyStatus, WireError};

    use super::{CommandDecoder, CommandFault, ReceivedOrder, ReplyEncoder};

    fn decode(line: &str) -> Result<ReceivedOrder, CommandFault> {
        decode_with(CommandDecoder::new(PositionUnit::Millimetres), line)
    }

    fn decode_with(mut decoder: CommandDecoder, line: &str) -> Result<ReceivedOrder, CommandFault> {
        let mut bytes = BytesMut::from(format!("{line}\n").as_bytes());
        let item = decoder.decode(&mut bytes).unwrap();
        item.expect("a whole line is there")
    }

    #[test]
    fn command_is_decoded_in_the_wire_unit() {
        let line = r#"{"type":"command","x":120,"y":35.5,"z":-2.1e2,"gripper":"closed"}"#;
        let received = decode(line).unwrap();
        let position = Position::new(0.12, 0.0355, -0.21).unwrap();
        assert_eq!(
            received.order,
            Order::Command(Command { position, gripper: Gripper::Closed, orientation: None })
        );
        assert_eq!((received.line.as_str(), received.extras.len()), (line, 0));
    }

    #[test]
    fn unknown_members_are_named() {
        let line = r#"{"type":"command","seq":[7],"x":0,"y":0,"z":0,"gripper":"open","a":{"b":1}}"#;
        assert_eq!(decode(line).unwrap().extras, ["a", "seq"]);
    }

    #[test]
    fn stop_keeps_its_line_and_names_extras() {
        for (line, extras) in [
            (r#"{"type":"stop"}"#, &[][..]),
            (r#" {"type" : "st\u006fp"} "#, &[]),
            (
                r#"{"seq":7,"type":"stop","gripper":"open","x":null,"why":{"a":[1]}}"#,
                &["gripper", "seq", "why", "x"],
            ),
        ] {
            let received = decode(line).unwrap();
            assert_eq!((received.order, received.line.as_str()), (Order::Stop, line));
            let line = line.replace("st\\u006fp", "heartbeat").replace("stop", "heartbeat");
            assert_eq!(decode(&line).unwrap().order, Order::Heartbeat);
            assert_eq!(received.extras, extras);
        }
    }

    #[test]
    fn commands_only_decoder_refuses_other_types() {
        let decoder = || CommandDecoder::new(PositionUnit::Millimetres).commands_only();
        for kind in ["stop", "heartbeat"] {
            let fault = decode_with(decoder(), &format!(r#"{{"type":"{kind}"}}"#)).unwrap_err();
            assert_eq!(fault.why, format!(r#"type is "{kind}", expected "command""#));
        }
        assert!(decode_with(decoder(), r#"{"type":"command","x":1,"y":2,"z":3,"gripper":"open"}"#).is_ok());
    }

    #[test]
    fn invalid_line_error_names_the_value() {
        for (line, why) in [
            ("", "not a JSON object"),
            ("move 1 2 3", "not a JSON object"),
            (r#"["command",1,2,3,"open"]"#, "not a JSON object"),
            (r#"{"x":1,"x":2}"#, "duplicate field `x`"),
            (r#"["stop"]"#, "not a JSON object"),
            (r#""stop""#, "not a JSON object"),
            (r#"{"type":"stop"} {"type":"stop"}"#, "not a JSON object"),
            (r#"{"type":"stop","type":"stop"}"#, "duplicate field `type`"),
            (
                r#"{"x":1,"y":2,"z":3,"gripper":"open"}"#,
                r#"type is missing or null, expected "command", "stop" or "heartbeat""#,
            ),
            (
                r#"{"type":"move","x":1,"y":2,"z":3,"gripper":"open"}"#,
                r#"type is "move", expected "command", "stop" or "heartbeat""#,
            ),
            (r#"{"type":"Stop"}"#, r#"type is "Stop", expected "command", "stop" or "heartbeat""#),
            (r#"{"type":["stop"]}"#, r#"type is ["stop"], expected"#),
            (r#"{"type":null,"stop":true}"#, "type is missing or null"),
            (r#"{"type":"command","y":2,"z":3,"gripper":"open"}"#, "x is missing or null, expected a number"),
            (r#"{"type":"command","x":1,"y":null,"z":3,"gripper":"open"}"#, "y is missing or null"),
            (r#"{"type":"command","x":1,"y":2,"z":"3","gripper":"open"}"#, r#"z is "3", expected a number"#),
            (r#"{"type":"command","x":NaN,"y":2,"z":3,"gripper":"open"}"#, "expected value"),
            (r#"{"type":"command","x":1e999,"y":2,"z":3,"gripper":"open"}"#, "number out of range"),
            (r#"{"type":"command","x":1,"y":2,"z":3e5,"gripper":"open"}"#, "z is 300 m, beyond ±100 m"),
            (r#"{"type":"command","x":1,"y":2,"z":3}"#, "gripper is missing or null"),
            (
                r#"{"type":"command","x":1,"y":2,"z":3,"gripper":0.5}"#,
                r#"gripper is 0.5, expected "open" or "closed""#,
            ),
        ] {
            let fault = decode(line).unwrap_err();
            assert!(fault.why.contains(why), "{line}: {}", fault.why);
        }
    }

    #[test]
    fn invalid_utf8_ends_the_connection() {
        let mut bytes = BytesMut::from(&b"\xfe\n"[..]);
        let error = CommandDecoder::new(PositionUnit::Metres).decode(&mut bytes).unwrap_err();
        assert!(matches!(error, WireError::NotUtf8 { .. }), "{error}");
    }

    #[test]
    fn reply_matches_the_protocol_byte_for_byte() {
        let line = |reply: &Reply| {
            let mut line = Vec::new();
            ReplyEncoder::new(PositionUnit::Millimetres).encode_into(reply, &mut line);
            String::from_utf8(line).unwrap()
        };
        let mut reply =
            Reply { status: ReplyStatus::Ok, message: "Command received".to_owned(), seq: None, state: None };
        assert_eq!(line(&reply), "{\"status\":\"ok\",\"message\":\"Command received\"}\n");
        reply.state = Some(ReportedState {
            position: Some(Position::new(0.12, -0.0355, 0.0).unwrap()),
            gripper: Some(Gripper::Closed),
            orientation: Orientation::new([0.0, 0.0, 0.0, 1.0]).ok(),
            moving: Some(true),
            fault: Some("joint \"3\"\n".to_owned()),
            joints: Some(vec![0.5, -1.25]),
            ..ReportedState::default()
        });
        assert_eq!(
            line(&reply),
            "{\"status\":\"ok\",\"message\":\"Command received\",\
             \"position\":{\"x\":120.0,\"y\":-35.5,\"z\":0.0},\"quaternion\":[0.0,0.0,0.0,1.0],\
             \"gripper\":\"closed\",\"moving\":true,\"fault\":\"joint \\\"3\\\"\\n\",\"joints\":[0.5,-1.25]}\n"
        );
    }
}
