//! The controller's side of the wire: bytes to commands, replies to bytes.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use tokio_util::codec::Decoder;

use super::codec::parse_gripper;
use super::lines::{Lines, WireError, put_length};
use super::message::{Reply, WireUnit, printable};
use crate::teleop::command::{Command, Position};

/// A command as the controller got it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedCommand {
    /// What it says, in metres.
    pub command: Command,
    /// The line as it came, byte for byte, without its newline.
    pub line: String,
    /// The names of members that the protocol does not have, in alphabetical order.
    pub extras: Vec<String>,
}

/// A line that is no command. The connection lives on; the answer is an error reply with [`CommandFault::why`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}: {line:?}")]
pub struct CommandFault {
    /// What is wrong, with its value, printable.
    pub why: String,
    /// The line, printable.
    pub line: String,
}

/// Reads commands from a stream of bytes. A bad line is an item, to be answered; a line that is too long or not
/// UTF-8 is an error that ends the connection.
#[derive(Debug)]
pub struct CommandDecoder {
    unit: WireUnit,
    lines: Lines,
}

impl CommandDecoder {
    /// A decoder for a controller that counts in `unit`.
    pub fn new(unit: WireUnit) -> Self {
        Self { unit, lines: Lines::default() }
    }
}

impl Decoder for CommandDecoder {
    type Item = Result<ReceivedCommand, CommandFault>;
    type Error = WireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, WireError> {
        let unit = self.unit;
        self.lines.next(bytes, |line| {
            Ok(parse_command(line, unit)
                .map_err(|why| CommandFault { why: printable(&why), line: printable(line) }))
        })
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, WireError> {
        match self.decode(bytes)? {
            Some(item) => Ok(Some(item)),
            None => self.lines.end(bytes).map(|()| None),
        }
    }
}

/// Writes replies as lines, in the unit of the wire.
#[derive(Debug, Clone, Copy)]
pub struct ReplyEncoder {
    unit: WireUnit,
}

impl ReplyEncoder {
    /// An encoder for a controller that reports positions in `unit`.
    pub fn new(unit: WireUnit) -> Self {
        Self { unit }
    }

    /// Appends one line, newline included, to `line`. Of a reported state every part that is there is written,
    /// except [`super::ReportedState::raw`].
    pub fn encode_into(&self, reply: &Reply, line: &mut Vec<u8>) {
        line.put_slice(br#"{"status":""#);
        line.put_slice(reply.status.as_str().as_bytes());
        line.put_slice(br#"","message":"#);
        put_string(&reply.message, line);
        if let Some(state) = &reply.state {
            if let Some(position) = state.position {
                let [x, y, z] = position.coordinates();
                for (key, coordinate) in [(r#","position":{"x":"#, x), (r#","y":"#, y), (r#","z":"#, z)] {
                    line.put_slice(key.as_bytes());
                    put_length(coordinate, self.unit, line);
                }
                line.put_u8(b'}');
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
        }
        line.put_slice(b"}\n");
    }
}

fn put_string(text: &str, line: &mut Vec<u8>) {
    // serde_json's own escaping. Writing a string to memory cannot fail.
    line.put_slice(Value::from(text).to_string().as_bytes());
}

#[derive(Deserialize)]
struct CommandMembers {
    r#type: Option<Value>,
    x: Option<Value>,
    y: Option<Value>,
    z: Option<Value>,
    gripper: Option<Value>,
    // Flattening also makes serde ask for a map: a plain struct would be read from an array too.
    #[serde(flatten)]
    extras: BTreeMap<String, IgnoredAny>,
}

fn parse_command(line: &str, unit: WireUnit) -> Result<ReceivedCommand, String> {
    let members: CommandMembers =
        serde_json::from_str(line).map_err(|error| format!("not a JSON object of a command: {error}"))?;
    word("type", members.r#type, "\"command\"", |word| (word == "command").then_some(()))?;
    let x = number("x", members.x)?;
    let y = number("y", members.y)?;
    let z = number("z", members.z)?;
    let gripper = word("gripper", members.gripper, "\"open\" or \"closed\"", parse_gripper)?;
    let per_metre = unit.per_metre();
    let position = Position::new(x / per_metre, y / per_metre, z / per_metre)
        .map_err(|error| format!("{error} (the wire's unit is {unit})"))?;
    Ok(ReceivedCommand {
        command: Command { position, gripper },
        line: line.to_owned(),
        extras: members.extras.into_keys().collect(),
    })
}

fn number(key: &str, value: Option<Value>) -> Result<f64, String> {
    let value = value.ok_or_else(|| format!("{key} is missing or null, expected a number"))?;
    value.as_f64().ok_or_else(|| format!("{key} is {value}, expected a number"))
}

fn word<T>(
    key: &str,
    value: Option<Value>,
    expected: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{key} is missing or null, expected {expected}"))?;
    value.as_str().and_then(read).ok_or_else(|| format!("{key} is {value}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use super::{CommandDecoder, CommandFault, ReceivedCommand, ReplyEncoder};
    use crate::teleop::command::{Gripper, Position};
    use crate::wire::{Reply, ReplyStatus, ReportedState, WireError, WireUnit};

    fn decode(line: &str) -> Result<ReceivedCommand, CommandFault> {
        let mut bytes = BytesMut::from(format!("{line}\n").as_bytes());
        let item = CommandDecoder::new(WireUnit::Millimetres).decode(&mut bytes).unwrap();
        item.expect("a whole line is there")
    }

    #[test]
    fn a_command_is_read_in_the_unit_of_the_wire_and_keeps_its_line() {
        let line = r#"{"type":"command","x":120,"y":35.5,"z":-2.1e2,"gripper":"closed"}"#;
        let received = decode(line).unwrap();
        assert_eq!(received.command.position, Position::new(0.12, 0.0355, -0.21).unwrap());
        assert_eq!(received.command.gripper, Gripper::Closed);
        assert_eq!((received.line.as_str(), received.extras.len()), (line, 0));
    }

    #[test]
    fn members_beyond_the_protocol_are_named() {
        let line = r#"{"type":"command","seq":[7],"x":0,"y":0,"z":0,"gripper":"open","a":{"b":1}}"#;
        assert_eq!(decode(line).unwrap().extras, ["a", "seq"]);
    }

    #[test]
    fn a_bad_line_is_answered_with_what_was_wrong_and_its_value() {
        for (line, why) in [
            ("", "not a JSON object"),
            ("move 1 2 3", "not a JSON object"),
            (r#"["command",1,2,3,"open"]"#, "not a JSON object"),
            (r#"{"x":1,"x":2}"#, "duplicate field `x`"),
            (r#"{"x":1,"y":2,"z":3,"gripper":"open"}"#, r#"type is missing or null, expected "command""#),
            (
                r#"{"type":"move","x":1,"y":2,"z":3,"gripper":"open"}"#,
                r#"type is "move", expected "command""#,
            ),
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
    fn bytes_that_are_no_text_end_the_connection() {
        let mut bytes = BytesMut::from(&b"\xfe\n"[..]);
        let error = CommandDecoder::new(WireUnit::Metres).decode(&mut bytes).unwrap_err();
        assert!(matches!(error, WireError::NotUtf8 { .. }), "{error}");
    }

    #[test]
    fn a_reply_is_the_line_of_the_protocol_byte_for_byte() {
        let line = |reply: &Reply| {
            let mut line = Vec::new();
            ReplyEncoder::new(WireUnit::Millimetres).encode_into(reply, &mut line);
            String::from_utf8(line).unwrap()
        };
        let mut reply =
            Reply { status: ReplyStatus::Ok, message: "Command received".to_owned(), state: None };
        assert_eq!(line(&reply), "{\"status\":\"ok\",\"message\":\"Command received\"}\n");
        reply.state = Some(ReportedState {
            position: Some(Position::new(0.12, -0.0355, 0.0).unwrap()),
            gripper: Some(Gripper::Closed),
            moving: Some(true),
            fault: Some("joint \"3\"\n".to_owned()),
            raw: String::new(),
        });
        assert_eq!(
            line(&reply),
            "{\"status\":\"ok\",\"message\":\"Command received\",\
             \"position\":{\"x\":120.0,\"y\":-35.5,\"z\":0.0},\
             \"gripper\":\"closed\",\"moving\":true,\"fault\":\"joint \\\"3\\\"\\n\"}\n"
        );
    }
}
