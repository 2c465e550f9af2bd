//! The bridge's side of the wire: commands and stops to bytes, bytes to replies.

use std::borrow::Cow;

use bytes::{Buf, BufMut, BytesMut};
use serde::{Deserialize, de::IgnoredAny};
use tokio_util::codec::{Decoder, Encoder};

use super::lines::{Lines, put_length};
pub use super::lines::{MAX_LINE, WireError};
use super::message::{Reply, ReplyStatus, ReportedState, WireUnit, printable};
use crate::teleop::command::{Command, Gripper, Position};

/// Writes orders as lines, in the unit of the wire.
#[derive(Debug, Clone, Copy)]
pub struct CommandEncoder {
    unit: WireUnit,
}

impl CommandEncoder {
    /// An encoder for a controller that counts in `unit`.
    pub fn new(unit: WireUnit) -> Self {
        Self { unit }
    }

    /// Appends one line, newline included, to `line`; allocates nothing once `line` has grown to a line's length.
    ///
    /// Numbers are exact decimals of whole micrometres, with at least one decimal place.
    pub fn encode_into(&self, command: &Command, line: &mut Vec<u8>) {
        self.put(command, line);
    }

    /// Appends the line of a stop, newline included, to `line`: exactly `{"type":"stop"}`. For controllers that know
    /// it.
    pub fn encode_stop_into(&self, line: &mut Vec<u8>) {
        line.put_slice(STOP_LINE);
    }

    /// Appends the line of a heartbeat, newline included, to `line`: exactly `{"type":"heartbeat"}`. For controllers
    /// that know it.
    pub fn encode_heartbeat_into(&self, line: &mut Vec<u8>) {
        line.put_slice(HEARTBEAT_LINE);
    }

    fn put(&self, command: &Command, out: &mut impl BufMut) {
        let [x, y, z] = command.position.coordinates();
        out.put_slice(br#"{"type":"command","x":"#);
        put_length(x, self.unit, out);
        out.put_slice(br#","y":"#);
        put_length(y, self.unit, out);
        out.put_slice(br#","z":"#);
        put_length(z, self.unit, out);
        out.put_slice(br#","gripper":""#);
        out.put_slice(command.gripper.as_str().as_bytes());
        out.put_slice(b"\"}\n");
    }
}

impl Encoder<Command> for CommandEncoder {
    type Error = WireError;

    /// Never fails: a [`Command`] is valid by construction.
    fn encode(&mut self, command: Command, line: &mut BytesMut) -> Result<(), WireError> {
        self.put(&command, line);
        Ok(())
    }
}

/// Reads replies from a stream of bytes, however it is cut into segments.
///
/// Call [`Decoder::decode`] after each read until it yields `None`, always with the same buffer; on an error, drop
/// the connection and the decoder with it. At the end of the stream call [`Decoder::decode_eof`].
///
/// A reply has a `"status"`, `"ok"` or `"error"`, and may have a `"message"`, which is text. The members of
/// [`ReportedState`] are taken where they are what they say, and passed over like any other member where they are not:
/// a controller may use these words for something else. A member of ours given twice is an error.
///
/// A reply ends with a newline. One that stands alone at the end of what was read and is complete is taken without it,
/// since many a first controller sends none; a newline that follows later is then passed over.
#[derive(Debug)]
pub struct ReplyDecoder {
    unit: WireUnit,
    lines: Lines,
    /// The last reply was taken without its newline, which may yet come.
    unterminated: bool,
    /// How many lines the controller has yet to say before its first reply.
    greeting: u32,
}

impl ReplyDecoder {
    /// A decoder for a controller that reports positions in `unit`.
    pub fn new(unit: WireUnit) -> Self {
        Self { unit, lines: Lines::default(), unterminated: false, greeting: 0 }
    }

    /// The same for a controller that says `lines` lines of its own before its first reply: they are passed over,
    /// bounded and UTF-8 like any other.
    #[must_use]
    pub fn after_greeting(self, lines: u32) -> Self {
        Self { greeting: lines, ..self }
    }
}

impl Decoder for ReplyDecoder {
    type Item = Reply;
    type Error = WireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, WireError> {
        let unit = self.unit;
        while self.greeting > 0 {
            if self.lines.next(bytes, |_| Ok(()))?.is_none() {
                return Ok(None);
            }
            self.greeting -= 1;
        }
        if std::mem::take(&mut self.unterminated) {
            let newline = [&b"\r\n"[..], b"\n"].into_iter().find(|newline| bytes.starts_with(newline));
            bytes.advance(newline.map_or(0, <[u8]>::len));
            self.unterminated = bytes.is_empty() && newline.is_none() || &bytes[..] == b"\r";
            if self.unterminated {
                return Ok(None);
            }
        }
        if let Some(reply) = self.lines.next(bytes, |line| parse_reply(line, unit))? {
            return Ok(Some(reply));
        }
        let reply = self.lines.next_unterminated(bytes, |text| parse_reply(text, unit));
        self.unterminated = reply.is_some();
        Ok(reply)
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, WireError> {
        match self.decode(bytes)? {
            Some(reply) => Ok(Some(reply)),
            None => self.lines.end(bytes).map(|()| None),
        }
    }
}

#[derive(Deserialize)]
struct ReplyMembers<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    message: Option<String>,
    #[serde(default)]
    position: Taken<Coordinates>,
    #[serde(default)]
    gripper: Taken<String>,
    #[serde(default)]
    moving: Taken<bool>,
    #[serde(default)]
    fault: Taken<String>,
    // Not only to pass over what else is there. Flattening makes serde ask for a map, where a plain struct would
    // also be read from an array, and makes serde_json walk the rest under its limit of nesting.
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// A member that is taken if it is what it is expected to be.
#[derive(Deserialize)]
#[serde(untagged)]
enum Taken<T> {
    Known(T),
    Other(IgnoredAny),
}

impl<T> Default for Taken<T> {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl<T> Taken<T> {
    fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

/// A plain struct on purpose: serde_json reads one from `{"x":…,"y":…,"z":…}` and from `[x,y,z]`.
#[derive(Deserialize)]
struct Coordinates {
    x: f64,
    y: f64,
    z: f64,
}

const STOP_LINE: &[u8] = b"{\"type\":\"stop\"}\n";
const HEARTBEAT_LINE: &[u8] = b"{\"type\":\"heartbeat\"}\n";

fn parse_reply(line: &str, unit: WireUnit) -> Result<Reply, WireError> {
    let no_reply = |why: &str| WireError::NotAReply { line: printable(line), why: printable(why) };
    if line.trim_ascii().is_empty() {
        return Err(no_reply("it is blank"));
    }
    let members: ReplyMembers<'_> =
        serde_json::from_str(line).map_err(|error| no_reply(&error.to_string()))?;
    let status = match &*members.status {
        "ok" => ReplyStatus::Ok,
        "error" => ReplyStatus::Error,
        other => return Err(WireError::UnknownStatus { status: printable(other) }),
    };
    let position = members.position.known().and_then(|Coordinates { x, y, z }| {
        let unit = unit.per_metre();
        Position::new(x / unit, y / unit, z / unit).ok()
    });
    let gripper = members.gripper.known().and_then(|word| parse_gripper(&word));
    let moving = members.moving.known();
    let fault = members.fault.known().map(|fault| printable(&fault));
    let reports = position.is_some() || gripper.is_some() || moving.is_some() || fault.is_some();
    Ok(Reply {
        status,
        message: members.message.as_deref().map(printable).unwrap_or_default(),
        state: reports.then(|| ReportedState { position, gripper, moving, fault, raw: printable(line) }),
    })
}

pub(super) fn parse_gripper(word: &str) -> Option<Gripper> {
    [Gripper::Open, Gripper::Closed].into_iter().find(|gripper| gripper.as_str() == word)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::{Decoder, Encoder};

    use super::{CommandEncoder, MAX_LINE, ReplyDecoder, WireError};
    use crate::teleop::command::{Command, Gripper, Position};
    use crate::wire::{Reply, ReplyStatus, WireUnit};

    fn line(x: f64, y: f64, z: f64, gripper: Gripper, unit: WireUnit) -> String {
        let command = Command { position: Position::new(x, y, z).unwrap(), gripper };
        let mut bytes = Vec::new();
        CommandEncoder::new(unit).encode_into(&command, &mut bytes);
        let mut framed = BytesMut::new();
        CommandEncoder::new(unit).encode(command, &mut framed).unwrap();
        assert_eq!(bytes, framed);
        String::from_utf8(bytes).unwrap()
    }

    fn decode(line: &str) -> Result<Reply, WireError> {
        let mut bytes = BytesMut::from(format!("{line}\n").as_bytes());
        let reply = ReplyDecoder::new(WireUnit::Millimetres).decode(&mut bytes);
        assert!(bytes.is_empty(), "a line stays in the buffer");
        reply.map(|reply| reply.expect("a whole line is there"))
    }

    #[test]
    fn a_command_is_the_line_of_the_protocol_byte_for_byte() {
        assert_eq!(
            line(0.12, 0.0355, 0.21, Gripper::Open, WireUnit::Millimetres),
            "{\"type\":\"command\",\"x\":120.0,\"y\":35.5,\"z\":210.0,\"gripper\":\"open\"}\n"
        );
        assert_eq!(
            line(0.12, 0.0355, -0.21, Gripper::Closed, WireUnit::Centimetres),
            "{\"type\":\"command\",\"x\":12.0,\"y\":3.55,\"z\":-21.0,\"gripper\":\"closed\"}\n"
        );
        assert_eq!(
            line(0.12, 0.0355, 0.21, Gripper::Closed, WireUnit::Metres),
            "{\"type\":\"command\",\"x\":0.12,\"y\":0.0355,\"z\":0.21,\"gripper\":\"closed\"}\n"
        );
    }

    #[test]
    fn numbers_are_micrometres_without_exponents_or_negative_zeros() {
        for (unit, expected) in [
            (WireUnit::Millimetres, r#""x":100000.0,"y":-0.001,"z":0.0,"#),
            (WireUnit::Centimetres, r#""x":10000.0,"y":-0.0001,"z":0.0,"#),
            (WireUnit::Metres, r#""x":100.0,"y":-0.000001,"z":0.0,"#),
        ] {
            let line = line(100.0, -0.000_000_6, -0.000_000_4, Gripper::Open, unit);
            assert!(line.contains(expected), "{line}");
        }
        let line = line(-99.999_999_4, 0.3 - 0.1, -0.0, Gripper::Open, WireUnit::Millimetres);
        assert!(line.contains(r#""x":-99999.999,"y":200.0,"z":0.0,"#), "{line}");
    }

    #[test]
    fn a_line_is_appended_to_what_is_there() {
        let command = Command { position: Position::new(0.0, 0.0, 0.0).unwrap(), gripper: Gripper::Open };
        let mut bytes = b"before\n".to_vec();
        CommandEncoder::new(WireUnit::Metres).encode_into(&command, &mut bytes);
        assert!(bytes.starts_with(b"before\n{\"type\""));
    }

    #[test]
    fn a_stop_is_the_line_of_the_protocol_byte_for_byte_in_every_unit() {
        for unit in [WireUnit::Millimetres, WireUnit::Centimetres, WireUnit::Metres] {
            let mut bytes = b"before\n".to_vec();
            CommandEncoder::new(unit).encode_stop_into(&mut bytes);
            assert_eq!(bytes, b"before\n{\"type\":\"stop\"}\n");
        }
    }

    #[test]
    fn a_plain_reply_has_a_verdict_and_words_and_no_state() {
        let reply = decode(r#"{"status": "ok", "message": "Command received"}"#).unwrap();
        assert_eq!(
            reply,
            Reply { status: ReplyStatus::Ok, message: "Command received".to_owned(), state: None }
        );
        let bare = decode("{\"status\":\"error\",\"extra\":[{\"a\":[1]}],\"extra\":null}\r").unwrap();
        assert_eq!(bare, Reply { status: ReplyStatus::Error, message: String::new(), state: None });
    }

    #[test]
    fn a_reported_state_is_read_in_the_unit_of_the_wire() {
        for position in [r#"{"x":120,"y":35.5,"z":-1e1,"w":1}"#, "[120, 35.5, -10]"] {
            let line = format!(r#"{{"status":"ok","position":{position},"gripper":"closed","moving":true}}"#);
            let state = decode(&line).unwrap().state.unwrap();
            assert_eq!(state.position, Some(Position::new(0.12, 0.0355, -0.01).unwrap()));
            assert_eq!((state.gripper, state.moving), (Some(Gripper::Closed), Some(true)));
            assert_eq!((state.fault, state.raw), (None, line));
        }
        let fault = decode(r#"{"status":"error","fault":"joint 3\u001b[2J"}"#).unwrap().state.unwrap();
        assert_eq!(fault.fault.as_deref(), Some("joint 3�[2J"));
        assert_eq!(fault.position, None);
    }

    #[test]
    fn a_complete_reply_is_taken_without_its_newline_which_may_come_later_or_never() {
        let mut decoder = ReplyDecoder::new(WireUnit::Millimetres);
        let mut bytes = BytesMut::new();
        let mut decode = |segment: &str| {
            bytes.extend_from_slice(segment.as_bytes());
            let mut replies = 0;
            while decoder.decode(&mut bytes).unwrap().is_some() {
                replies += 1;
            }
            replies
        };
        assert_eq!(decode(r#"{"status": "ok", "message": "Command received"}"#), 1);
        assert_eq!(decode(r#"{"status": "ok", "message": "a {brace}"#), 0);
        assert_eq!(decode(r#""}"#), 1);
        assert_eq!(decode("\r"), 0);
        assert_eq!(decode("\n"), 0);
        assert_eq!(decode("{\"status\":\"ok\"}\n{\"status\":\"ok\"}"), 2);
        assert_eq!(decode("\n{\"status\":\"ok\"}\n"), 1);
        assert!(decoder.decode(&mut BytesMut::from("\n")).is_err(), "a blank line is no reply");
    }

    #[test]
    fn members_that_mean_something_else_are_passed_over() {
        for member in [
            r#""moving":"yes""#,
            r#""gripper":"ajar""#,
            r#""gripper":0.5"#,
            r#""fault":null"#,
            r#""position":[1,2]"#,
            r#""position":[10,20,30,40,50,60]"#,
            r#""position":{"x":1,"y":2}"#,
            r#""position":{"x":1,"y":2,"z":3,"z":3}"#,
            r#""position":[1,2,1e9]"#,
        ] {
            let reply = decode(&format!(r#"{{"status":"ok",{member}}}"#)).unwrap();
            assert_eq!((reply.status, reply.state), (ReplyStatus::Ok, None), "{member}");
        }
    }

    #[test]
    fn lines_that_are_no_reply_are_refused() {
        let deep = format!(r#"{{"status":"ok","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
        for line in [
            "",
            " \t\r",
            "ok",
            "null",
            "42",
            r#""ok""#,
            r#"["ok","Command received"]"#,
            "{}",
            r#"{"status":"ok""#,
            r#"{"status":"ok"} {"status":"ok"}"#,
            r#"{"status":"ok","status":"ok"}"#,
            r#"{"status":"ok","message":"a","mess\u0061ge":"b"}"#,
            r#"{"status":1}"#,
            r#"{"status":null}"#,
            r#"{"status":"ok","message":7}"#,
            r#"{"status":"ok","position":[1,2,1e999]}"#,
            r#"{"status":"ok","position":[1,2,NaN]}"#,
            &deep,
        ] {
            assert!(matches!(decode(line), Err(WireError::NotAReply { .. })), "{line}: {:?}", decode(line));
        }
    }

    #[test]
    fn errors_name_what_came_without_letting_it_act() {
        let shown = |line| decode(line).unwrap_err().to_string();
        assert_eq!(
            shown(r#"{"status":"OK\u0007"}"#),
            r#"a reply has the status "OK�"; expected "ok" or "error""#
        );
        let escape = shown("{\"status\":\x1b[31m}");
        assert!(!escape.contains('\x1b') && escape.contains("[31m"), "{escape}");
        assert!(shown("{\"status\":\"ok\",\"message\":7}").contains("expected a string"));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut bytes = BytesMut::from(&b"{\"status\":\"\xff\"}\n"[..]);
        let error = ReplyDecoder::new(WireUnit::Metres).decode(&mut bytes).unwrap_err();
        assert!(matches!(error, WireError::NotUtf8 { valid_up_to: 11, .. }), "{error}");
    }

    #[test]
    fn a_line_may_have_the_limit_and_not_a_byte_more() {
        let reply = |length: usize| {
            let frame = r#"{"status":"ok","message":""}"#.len();
            format!("{{\"status\":\"ok\",\"message\":\"{}\"}}", "m".repeat(length - frame))
        };
        assert!(decode(&reply(MAX_LINE)).is_ok());
        let mut whole = BytesMut::from(format!("{}\n", reply(MAX_LINE + 1)).as_bytes());
        let mut open = BytesMut::from(&vec![b' '; MAX_LINE][..]);
        let mut decoder = ReplyDecoder::new(WireUnit::Metres);
        assert!(matches!(decoder.decode(&mut whole), Err(WireError::LineTooLong { .. })));
        assert!(matches!(decoder.decode(&mut open), Ok(None)));
        open.extend_from_slice(b" ");
        assert!(matches!(decoder.decode(&mut open), Err(WireError::LineTooLong { .. })));
        assert!(open.is_empty());
    }

    #[test]
    fn the_end_of_the_stream_is_clean_only_between_lines() {
        let mut decoder = ReplyDecoder::new(WireUnit::Metres);
        let mut bytes = BytesMut::from(&b"{\"status\":\"ok\"}\n{\"sta"[..]);
        assert!(matches!(decoder.decode_eof(&mut bytes), Ok(Some(_))));
        let error = decoder.decode_eof(&mut bytes).unwrap_err();
        assert_eq!(error.to_string(), r#"the stream ended in the middle of a line, after "{\"sta""#);
        assert!(matches!(
            decoder.decode_eof(&mut BytesMut::new()),
            Err(WireError::Truncated { .. }) | Ok(None)
        ));
    }

    #[test]
    fn a_greeting_is_passed_over_however_it_is_cut_and_whatever_it_says() {
        let stream = b"hello, I am an arm\n{\"status\":\"error\"}\n{\"status\":\"ok\"}\n";
        for cut in 0..stream.len() {
            let mut decoder = ReplyDecoder::new(WireUnit::Metres).after_greeting(2);
            let mut bytes = BytesMut::from(&stream[..cut]);
            let early = decoder.decode(&mut bytes).unwrap();
            bytes.extend_from_slice(&stream[cut..]);
            let reply = early.or_else(|| decoder.decode(&mut bytes).unwrap());
            assert_eq!(reply.map(|reply| reply.status), Some(ReplyStatus::Ok), "cut at {cut}");
        }
        let mut decoder = ReplyDecoder::new(WireUnit::Metres).after_greeting(1);
        let mut endless = BytesMut::from(&[b'x'; MAX_LINE + 1][..]);
        assert!(matches!(decoder.decode(&mut endless), Err(WireError::LineTooLong { .. })));
        let mut decoder = ReplyDecoder::new(WireUnit::Metres).after_greeting(1);
        let mut cut_off = BytesMut::from(&b"hel"[..]);
        assert!(matches!(decoder.decode_eof(&mut cut_off), Err(WireError::Truncated { .. })));
    }
}
