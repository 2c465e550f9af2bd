//! The bridge's side of the protocol: bytes to replies.

use std::borrow::Cow;
use std::fmt;

use bytes::{Buf, BytesMut};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use tokio_util::codec::Decoder;

use super::advice::{self, Advice};
use super::format::{LineFormat, WireConfig};
use super::lines::{Lines, WireError};
use super::message::{Incoming, PositionUnit, Reply, ReplyStatus};
use super::reported::{Report, quote_non_numbers};
use crate::arm::ReportedState;
use crate::text::{sanitize_short, show_bytes};

/// Reads replies from a stream of bytes. The segments of the stream may end anywhere in a line.
///
/// Call [`Decoder::decode`] after each read until it returns `None`, always with the same buffer.
/// After an error, drop the connection and the decoder. At the end of the stream call
/// [`Decoder::decode_eof`].
///
/// A reply has a `"status"`, which is `"ok"` or `"error"`. It may have a `"message"`, which is
/// text. If a member of [`ReportedState`] is unreadable, the state reports that, and the line is
/// still a reply. If a member of the protocol appears twice, the line is an error.
///
/// A reply ends with a newline. A complete JSON reply without a newline is accepted too, if it is
/// the last of the received bytes, because many simple controllers send no newline. If the newline
/// arrives later, with or without blanks before it, the decoder skips it.
///
/// The decoder skips the bytes of the greeting's lines, and a byte order mark (U+FEFF) before the
/// first reply.
#[derive(Debug)]
pub struct ReplyDecoder {
    reading: Reading,
    lines: Lines,
    /// Whether the last reply was accepted without its newline. The newline may still arrive.
    unterminated: bool,
    /// The number of lines that the controller still has to send before its first reply.
    greeting: u32,
    /// Whether only lines of the greeting have been received.
    at_start: bool,
}

/// The settings for reading a line.
#[derive(Debug, Clone, Copy)]
struct Reading {
    unit: PositionUnit,
    format: LineFormat,
    /// Whether a text reply may echo the number of its line.
    seq: bool,
    accept_state: bool,
}

impl ReplyDecoder {
    /// Creates a decoder for a controller with these settings.
    pub fn new(wire: &WireConfig) -> Self {
        let reading = Reading {
            unit: wire.unit,
            format: wire.format,
            seq: wire.lines.command.has_seq(),
            accept_state: wire.accept_state,
        };
        Self {
            reading,
            lines: Lines::default(),
            unterminated: false,
            greeting: wire.banner_lines,
            at_start: true,
        }
    }

    /// Skips the received lines of the greeting. Returns the number of lines that are still
    /// missing.
    ///
    /// # Errors
    /// A line is too long.
    pub fn greet(&mut self, bytes: &mut BytesMut) -> Result<u32, WireError> {
        while self.greeting > 0 && self.lines.skip(bytes)? {
            self.greeting -= 1;
        }
        Ok(self.greeting)
    }

    /// Returns the unfinished line that [`Decoder::decode`] or [`ReplyDecoder::greet`] left in
    /// `bytes`, if there is one.
    pub fn unfinished(&self, bytes: &[u8]) -> Option<Unfinished> {
        let object = self.greeting == 0 && self.reading.format.shows_its_end();
        (!bytes.is_empty()).then(|| Unfinished::new(bytes, object))
    }

    /// Skips a byte order mark, if there is one. Returns false if more bytes are needed to decide
    /// that.
    fn pass_mark(&mut self, bytes: &mut BytesMut) -> bool {
        if self.at_start && !bytes.is_empty() {
            if bytes.len() < MARK.len() && MARK.starts_with(bytes) {
                return false;
            }
            self.at_start = false;
            bytes.advance(if bytes.starts_with(MARK) { MARK.len() } else { 0 });
        }
        true
    }

    /// Returns whether [`Decoder::decode`] left the beginning of a reply or of a state in `bytes`.
    pub fn has_begun(&self, bytes: &[u8]) -> bool {
        let is_mark = self.at_start && MARK.starts_with(bytes);
        self.greeting == 0 && !is_mark && !bytes.trim_ascii().is_empty()
    }
}

/// A line that was received without its end, as a clause: `"ok" was received without …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished(String);

impl Unfinished {
    /// Describes what is missing after these bytes. `object`: whether the line must be a JSON
    /// object.
    fn new(bytes: &[u8], object: bool) -> Self {
        let end = bytes.trim_ascii_end();
        let cut_short = || {
            object
                && bytes.trim_ascii_start().starts_with(b"{")
                && serde_json::from_slice::<IgnoredAny>(bytes).is_err_and(|error| error.is_eof())
        };
        let instead = |what| format!("with {what} where a newline (\\n) has to end the line");
        let lack = match bytes {
            _ if bytes.contains(&0) => instead("NUL (byte 0)"),
            _ if bytes.contains(&b'\r') => instead(r"a carriage return (\r)"),
            _ if end.ends_with(b";") => instead("a semicolon"),
            _ if end.ends_with(br"\n") => instead("a backslash and the letter n"),
            [.., last] if last.is_ascii_control() && *last != b'\t' => instead("a control character"),
            _ if cut_short() => "without the rest of the reply".to_owned(),
            _ => "without the newline (\\n) that ends a line".to_owned(),
        };
        Self(format!("\"{}\" was received {lack}", show_bytes(bytes)))
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The byte order mark. Some libraries send it at the start of a UTF-8 stream.
const MARK: &[u8] = "\u{feff}".as_bytes();

impl Decoder for ReplyDecoder {
    type Item = Incoming;
    type Error = WireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Incoming>, WireError> {
        let reading = self.reading;
        if self.greet(bytes)? > 0 || !self.pass_mark(bytes) {
            return Ok(None);
        }
        if std::mem::take(&mut self.unterminated) {
            // Blanks belong to the reply that was accepted before.
            let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
            bytes.advance(blanks);
            self.unterminated = bytes.is_empty();
            if self.unterminated {
                return Ok(None);
            }
            bytes.advance(usize::from(bytes.starts_with(b"\n")));
        }
        if let Some(reply) = self.lines.next(bytes, |line| parse(line, reading))? {
            return Ok(Some(reply));
        }
        // Only a JSON object shows its own end.
        if !reading.format.shows_its_end() {
            return Ok(None);
        }
        let reply = self.lines.next_unterminated(bytes, |text| parse(text, reading));
        self.unterminated = reply.is_some();
        Ok(reply)
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Incoming>, WireError> {
        match self.decode(bytes)? {
            Some(reply) => Ok(Some(reply)),
            None => self.lines.end(bytes).map(|()| None),
        }
    }
}

#[derive(Deserialize)]
struct ReplyMembers<'a> {
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(default)]
    r#type: Taken<String>,
    #[serde(default)]
    seq: Taken<u64>,
    message: Option<String>,
    #[serde(borrow, default)]
    position: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rpy: Option<&'a RawValue>,
    #[serde(borrow, default)]
    quaternion: Option<&'a RawValue>,
    #[serde(borrow, default)]
    gripper: Option<&'a RawValue>,
    #[serde(borrow, default)]
    moving: Option<&'a RawValue>,
    #[serde(borrow, default)]
    fault: Option<&'a RawValue>,
    #[serde(borrow, default)]
    joints: Option<&'a RawValue>,
    // Flattening does more than skip the other members. It makes serde require a map, because a
    // plain struct can also be read from an array. It also makes serde_json apply its nesting limit
    // to the other members.
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// A member that is read only if it has the expected type.
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

fn parse(line: &str, reading: Reading) -> Result<Incoming, WireError> {
    match reading.format {
        LineFormat::Json => parse_json(line, reading),
        LineFormat::Text => parse_text(line, reading),
    }
}

fn parse_json(line: &str, reading: Reading) -> Result<Incoming, WireError> {
    if line.trim_ascii().is_empty() {
        return Err(not_a_reply(line, "it is blank", advice::BLANK));
    }
    let error = match serde_json::from_str(line) {
        Ok(members) => return read_members(members, line, reading),
        Err(error) => error,
    };
    // Only after an error, so that a line with valid numbers has no extra cost.
    let quoted = if error.is_eof() { None } else { quote_non_numbers(line) };
    match quoted.as_deref().map(serde_json::from_str) {
        Some(Ok(members)) => read_members(members, line, reading),
        _ => Err(not_a_reply(line, &error.to_string(), advice_on(line, &error))),
    }
}

/// Reads a reply or a state from the members of a line.
fn read_members(members: ReplyMembers<'_>, line: &str, reading: Reading) -> Result<Incoming, WireError> {
    let unsolicited = reading.accept_state && members.r#type.known().is_some_and(|word| word != "reply");
    let ReplyMembers {
        status, seq, message, position, rpy, quaternion, gripper, moving, fault, joints, ..
    } = members;
    let state = Report { position, rpy, quaternion, gripper, moving, fault, joints }.read(reading.unit, line);
    if unsolicited {
        let nothing = || ReportedState { raw: sanitize_short(line), ..ReportedState::default() };
        return Ok(Incoming::State(state.unwrap_or_else(nothing)));
    }
    let status = match status.as_deref() {
        Some("ok") => ReplyStatus::Ok,
        Some("error") => ReplyStatus::Error,
        Some(other) => return Err(WireError::UnknownStatus(sanitize_short(other))),
        None => return Err(not_a_reply(line, "missing field `status`", advice_on_type(line))),
    };
    Ok(Incoming::Reply(Reply {
        status,
        message: message.as_deref().map(sanitize_short).unwrap_or_default(),
        seq: seq.known(),
        state,
    }))
}

fn not_a_reply(line: &str, why: &str, advice: Advice) -> WireError {
    WireError::NotAReply {
        line: sanitize_short(line),
        why: sanitize_short(why),
        expected: r#"{"status":"ok","message":"…"}"#,
        advice,
    }
}

/// Returns the advice for a line that is not a JSON object with the members of a reply.
fn advice_on(line: &str, error: &serde_json::Error) -> Advice {
    let word = |word: &str| begins_with_word(line, word).is_some();
    match serde_json::from_str::<serde_json::Value>(line) {
        Err(_) if word("ok") || word("error") => advice::BARE_TEXT,
        Err(_) if error.is_eof() && line.trim_ascii_start().starts_with('{') => advice::ONE_LINE,
        Err(_) => advice::OBJECT,
        Ok(_) if error.to_string().starts_with("duplicate field") => advice::TWICE,
        Ok(value)
            if value.get("message").is_some_and(|message| !(message.is_string() || message.is_null())) =>
        {
            advice::MESSAGE
        }
        Ok(value) if value.is_object() => advice::STATUS,
        Ok(_) => advice::OBJECT,
    }
}

/// Returns the advice for a JSON object without a status.
fn advice_on_type(line: &str) -> Advice {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    match value.as_ref().and_then(|value| value.get("type")?.as_str()) {
        Some("command" | "stop" | "heartbeat" | "hello") => advice::ECHO,
        Some(word) if word != "reply" => advice::UNASKED_STATE,
        _ => advice::STATUS,
    }
}

/// Returns the text after `word` if the line begins with this word. Ignores the case of letters.
fn begins_with_word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = line.trim_ascii_start().split_at_checked(word.len())?;
    let ends = !rest.starts_with(|next: char| next.is_alphanumeric());
    (start.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

/// Reads a text reply: `OK`, `OK message` or `ERROR message`. Ignores the case of the first word.
fn parse_text(line: &str, reading: Reading) -> Result<Incoming, WireError> {
    let verdict = [("ok", ReplyStatus::Ok), ("error", ReplyStatus::Error)]
        .into_iter()
        .find_map(|(word, status)| begins_with_word(line, word).map(|rest| (status, rest)));
    let Some((status, rest)) = verdict else {
        if reading.accept_state {
            let raw = sanitize_short(line);
            let state = ReportedState { raw, ..ReportedState::default() };
            return Ok(Incoming::State(state));
        }
        let why = "it begins with neither OK nor ERROR".into();
        let advice = match line.trim_ascii() {
            "" => advice::BLANK,
            line if line.starts_with('{') => advice::JSON_AFTER_ALL,
            _ => advice::WORDS,
        };
        return Err(WireError::NotAReply { line: sanitize_short(line), why, expected: "OK …", advice });
    };
    let mut words = rest.trim_start_matches([' ', '\t', ':']);
    let mut seq = None;
    if reading.seq {
        let (first, others) = words.split_once([' ', '\t']).unwrap_or((words, ""));
        seq = first.trim_end().parse().ok();
        words = if seq.is_some() { others } else { words };
    }
    Ok(Incoming::Reply(Reply { status, message: sanitize_short(words.trim_ascii()), seq, state: None }))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use super::{ReplyDecoder, WireError};
    use crate::arm::Gripper;
    use crate::arm::ReportedState;
    use crate::geometry::{Orientation, Position};
    use crate::wire::advice;
    use crate::wire::{Incoming, LineFormat, MAX_LINE, PositionUnit, Reply, ReplyStatus, WireConfig};

    fn read(line: &str, mut decoder: ReplyDecoder) -> Result<Incoming, WireError> {
        let mut bytes = BytesMut::from(format!("{line}\n").as_bytes());
        let incoming = decoder.decode(&mut bytes);
        assert!(bytes.is_empty(), "a line stays in the buffer");
        incoming.map(|incoming| incoming.expect("the line is complete"))
    }

    fn decode(line: &str) -> Result<Reply, WireError> {
        read(line, in_unit(PositionUnit::Millimetres)).map(reply)
    }

    fn greeted(banner_lines: u32) -> ReplyDecoder {
        ReplyDecoder::new(&WireConfig { banner_lines, ..WireConfig::default() })
    }

    fn in_unit(unit: PositionUnit) -> ReplyDecoder {
        ReplyDecoder::new(&WireConfig { unit, ..WireConfig::default() })
    }

    fn reply(incoming: Incoming) -> Reply {
        match incoming {
            Incoming::Reply(reply) => reply,
            Incoming::State(state) => panic!("a state: {state:?}"),
        }
    }

    #[test]
    fn plain_reply_has_status_and_message() {
        let reply = decode(r#"{"status": "ok", "message": "Command received"}"#).unwrap();
        assert_eq!(
            reply,
            Reply { status: ReplyStatus::Ok, message: "Command received".to_owned(), seq: None, state: None }
        );
        let bare = decode("{\"status\":\"error\",\"extra\":[{\"a\":[1]}],\"extra\":null}\r").unwrap();
        assert_eq!(
            bare,
            Reply { status: ReplyStatus::Error, message: String::new(), seq: None, state: None }
        );
    }

    #[test]
    fn reported_state_is_read_in_the_wire_unit() {
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
    fn complete_reply_needs_no_newline() {
        let mut decoder = in_unit(PositionUnit::Millimetres);
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
        assert_eq!(decode("{\"status\":\"ok\"}"), 1);
        assert_eq!(decode(" \t"), 0);
        assert_eq!(decode(" \r\n{\"status\":\"ok\"} \n"), 1);
        assert!(decoder.decode(&mut BytesMut::from("\n")).is_err(), "a blank line is not a reply");
    }

    #[test]
    fn unknown_members_and_values_are_ignored() {
        for member in [
            r#""moving":"yes""#,
            r#""moving":NaN"#,
            r#""gripper":"ajar""#,
            r#""gripper":0.5"#,
            r#""gripper":true"#,
            r#""position":null,"rpy":null,"quaternion":null,"joints":null,"gripper":null,"fault":null"#,
            r#""torque":NaN,"note":"NaN, \"Infinity\": 1e999""#,
        ] {
            let reply = decode(&format!(r#"{{"status":"ok",{member}}}"#)).unwrap();
            assert_eq!((reply.status, reply.state), (ReplyStatus::Ok, None), "{member}");
        }
    }

    #[test]
    fn unreadable_member_is_reported_and_not_used() {
        for (name, value) in [
            ("position", "[1,2]"),
            ("position", "[10,20,30,40,50,60]"),
            ("position", "[null,null,null]"),
            ("position", r#"{"x":1,"y":2}"#),
            ("position", r#"{"x":1,"y":2,"z":3,"z":3}"#),
            ("position", r#"{"x":"120","y":2,"z":3}"#),
            ("position", "[1,2,1e9]"),
            ("position", "[1,2,1e999]"),
            ("position", "[1,2,NaN]"),
            ("position", r#"{"x": NaN, "y": -Infinity, "z": nan}"#),
            ("position", "[-nan(ind),1.#INF,2]"),
            ("position", "true"),
            ("position", "{}"),
            ("rpy", "[0,0]"),
            ("rpy", "[0,0,Infinity]"),
            ("rpy", "[0,0,1e4]"),
            ("quaternion", "[0,0,0,0]"),
            ("quaternion", "[0,0,0]"),
            ("quaternion", "[0,0,inf,1]"),
            ("joints", r#"[0.5,"a"]"#),
            ("joints", "[0.5,NaN]"),
            ("joints", r#"{"j1":0.5}"#),
            ("gripper", "NaN"),
            ("gripper", "[0.5]"),
            ("gripper", "{}"),
        ] {
            let line = format!(r#"{{"status":"ok","moving":true,"{name}":{value},"message":"NaN"}}"#);
            let reply = decode(&line).unwrap();
            assert_eq!((reply.status, reply.message.as_str()), (ReplyStatus::Ok, "NaN"), "{line}");
            let state = reply.state.unwrap();
            assert_eq!((state.moving, state.raw.as_str()), (Some(true), line.as_str()));
            let unreadable = state.unreadable.unwrap();
            assert_eq!(unreadable.member, name, "{line}");
            assert!(!unreadable.why.is_empty() && !unreadable.value.is_empty(), "{unreadable}");
            let used = (state.position, state.orientation, state.joints, state.gripper);
            assert_eq!(used, (None, None, None, None), "{line}");
        }
        let far = decode(r#"{"status":"ok","position":[1,2,1e9]}"#).unwrap().state.unwrap();
        let shown = far.unreadable.unwrap().to_string();
        assert!(shown.starts_with(r#""position" is [1,2,1e9]: z is 1000000 m, beyond"#), "{shown}");
        // The position's fault is reported first. The other readable members are used.
        let both = decode(r#"{"status":"ok","joints":[NaN],"position":[NaN,0,0],"rpy":[0,0,1]}"#).unwrap();
        let state = both.state.unwrap();
        assert_eq!(state.unreadable.unwrap().member, "position");
        assert!(state.orientation.is_some());
        // The text is safe to print.
        let hostile =
            decode("{\"status\":\"ok\",\"position\":\"\u{202e}\\u001b[2J\"}").unwrap().state.unwrap();
        assert!(!hostile.unreadable.unwrap().to_string().contains('\u{202e}'));
    }

    #[test]
    fn orientation_has_the_forms_of_commands() {
        let expected = Orientation::from_rpy([0.1, -0.2, 1.5]);
        let [x, y, z, w] = expected.xyzw();
        for members in [
            r#""rpy":[0.1,-0.2,1.5]"#.to_owned(),
            r#""rpy":{"roll":0.1,"pitch":-0.2,"yaw":1.5}"#.to_owned(),
            format!(r#""rpy":[0.1,-0.2,{}]"#, 1.5 + std::f64::consts::TAU),
            format!(r#""quaternion":[{x},{y},{z},{w}]"#),
            format!(r#""quaternion":{{"w":{w},"x":{x},"y":{y},"z":{z}}}"#),
            format!(r#""rpy":[0.1,-0.2,1.5],"quaternion":[{},{},{},{}]"#, -x, -y, -z, -w),
        ] {
            let state = decode(&format!(r#"{{"status":"ok",{members}}}"#)).unwrap().state.unwrap();
            assert!(state.orientation.unwrap().angle_to(expected) < 1e-6, "{members}");
            assert_eq!(state.unreadable, None, "{members}");
        }
        let contradiction = decode(r#"{"status":"ok","rpy":[0,0,1],"quaternion":[0,0,0,1]}"#).unwrap();
        let state = contradiction.state.unwrap();
        assert_eq!((state.orientation, state.unreadable.unwrap().member), (None, "rpy"));
    }

    #[test]
    fn every_value_except_none_is_a_fault() {
        let fault = |value: &str| {
            decode(&format!(r#"{{"status":"ok","fault":{value}}}"#))
                .unwrap()
                .state
                .map(|state| state.fault.unwrap())
        };
        for value in
            ["null", "false", "0", "0.0", "-0", "\"\"", "\" \"", "\"none\"", "\"None\"", "\"OK\"", "[]", "{}"]
        {
            assert_eq!(fault(value), None, "{value}");
        }
        for (value, words) in [
            (r#""joint 3""#, "joint 3"),
            ("true", "true"),
            ("17", "17"),
            ("-1", "-1"),
            ("0.5", "0.5"),
            ("[0]", "[0]"),
            (r#"{"code":17}"#, r#"{"code":17}"#),
            ("NaN", "NaN"),
        ] {
            assert_eq!(fault(value).as_deref(), Some(words), "{value}");
        }
    }

    #[test]
    fn line_that_is_not_a_reply_is_rejected() {
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
            r#"{"status":NaN,"position":[1,2,3"#,
            r#"{"status":"ok","position":[1,2,NaN}"#,
            r#"{"status":"ok","position":[1,2,Nan1]}"#,
            &deep,
        ] {
            assert!(matches!(decode(line), Err(WireError::NotAReply { .. })), "{line}: {:?}", decode(line));
        }
    }

    #[test]
    fn error_quotes_the_line_without_control_characters() {
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
    fn line_that_is_not_utf8_is_rejected() {
        let mut bytes = BytesMut::from(&b"{\"status\":\"\xff\"}\n"[..]);
        let error = in_unit(PositionUnit::Metres).decode(&mut bytes).unwrap_err();
        assert!(matches!(error, WireError::NotUtf8 { valid_up_to: 11, .. }), "{error}");
    }

    #[test]
    fn line_above_the_limit_is_rejected() {
        let reply = |length: usize| {
            let frame = r#"{"status":"ok","message":""}"#.len();
            format!("{{\"status\":\"ok\",\"message\":\"{}\"}}", "m".repeat(length - frame))
        };
        assert!(decode(&reply(MAX_LINE)).is_ok());
        let mut whole = BytesMut::from(format!("{}\n", reply(MAX_LINE + 1)).as_bytes());
        let mut open = BytesMut::from(&vec![b' '; MAX_LINE][..]);
        let mut decoder = in_unit(PositionUnit::Metres);
        assert!(matches!(decoder.decode(&mut whole), Err(WireError::LineTooLong(_))));
        assert!(matches!(decoder.decode(&mut open), Ok(None)));
        open.extend_from_slice(b" ");
        assert!(matches!(decoder.decode(&mut open), Err(WireError::LineTooLong(_))));
        assert!(open.is_empty());
    }

    #[test]
    fn stream_that_ends_inside_a_line_is_truncated() {
        let mut decoder = in_unit(PositionUnit::Metres);
        let mut bytes = BytesMut::from(&b"{\"status\":\"ok\"}\n{\"sta"[..]);
        assert!(matches!(decoder.decode_eof(&mut bytes), Ok(Some(_))));
        let error = decoder.decode_eof(&mut bytes).unwrap_err();
        assert_eq!(error.to_string(), r#"the stream ended in the middle of a line, after "{\"sta""#);
        assert!(matches!(decoder.decode_eof(&mut BytesMut::new()), Err(WireError::Truncated(_)) | Ok(None)));
    }

    #[test]
    fn greeting_is_skipped_in_any_segments() {
        let stream = b"hello, I am an arm\n{\"status\":\"error\"}\n{\"status\":\"ok\"}\n";
        for cut in 0..stream.len() {
            let mut decoder = greeted(2);
            let mut bytes = BytesMut::from(&stream[..cut]);
            let early = decoder.decode(&mut bytes).unwrap();
            bytes.extend_from_slice(&stream[cut..]);
            let reply = early.or_else(|| decoder.decode(&mut bytes).unwrap());
            assert_eq!(
                reply.map(|incoming| super::tests::reply(incoming).status),
                Some(ReplyStatus::Ok),
                "cut at {cut}"
            );
        }
        let mut decoder = greeted(1);
        let mut endless = BytesMut::from(&[b'x'; MAX_LINE + 1][..]);
        assert!(matches!(decoder.decode(&mut endless), Err(WireError::LineTooLong(_))));
        let mut decoder = greeted(1);
        let mut cut_off = BytesMut::from(&b"hel"[..]);
        assert!(matches!(decoder.decode_eof(&mut cut_off), Err(WireError::Truncated(_))));
    }

    /// Decodes a stream as one segment, and as any two segments, which must give the same result.
    fn read_all(banner_lines: u32, stream: &[u8]) -> Result<Vec<Incoming>, String> {
        let read = |cut: usize| {
            let (mut decoder, mut bytes, mut incoming) = (greeted(banner_lines), BytesMut::new(), Vec::new());
            for piece in [&stream[..cut], &stream[cut..]] {
                bytes.extend_from_slice(piece);
                while let Some(next) = decoder.decode(&mut bytes).map_err(|error| error.to_string())? {
                    incoming.push(next);
                }
            }
            Ok(incoming)
        };
        let whole = read(0);
        (1..stream.len()).for_each(|cut| assert_eq!(read(cut), whole, "cut at {cut}"));
        whole
    }

    #[test]
    fn greeting_lines_may_have_any_bytes() {
        for line in [
            &b"Gr\xfc\xdf Gott"[..],
            b"\xff\xfd\x2c\xff\xfb\x01ready",
            b"\0\0ready\0",
            b"\xff\xfeh\0i\0",
            b"\xef\xbb\xbfready",
            b"\r",
            b"",
        ] {
            let stream = [line, b"\n{\"status\":\"ok\"}\n"].concat();
            assert_eq!(read_all(1, &stream).map(|incoming| incoming.len()), Ok(1), "{line:?}");
        }
    }

    #[test]
    fn byte_order_mark_at_the_start_is_skipped() {
        let ok = "{\"status\":\"ok\"}\n";
        for (banner_lines, stream) in [
            (0, format!("\u{feff}{ok}{ok}")),
            (1, format!("\u{feff}hello\n{ok}{ok}")),
            (1, format!("hello\n\u{feff}{ok}{ok}")),
        ] {
            let incoming = read_all(banner_lines, stream.as_bytes());
            assert_eq!(incoming.map(|incoming| incoming.len()), Ok(2), "{stream}");
        }
        for stream in [format!("\u{feff}\u{feff}{ok}"), format!("{ok}\u{feff}{ok}")] {
            assert!(read_all(0, stream.as_bytes()).is_err(), "{stream}");
        }
        // The mark, or a part of it, is not the beginning of a line.
        for mark in [&b"\xef"[..], b"\xef\xbb", b"\xef\xbb\xbf"] {
            let mut bytes = BytesMut::from(mark);
            let mut decoder = greeted(0);
            assert!(decoder.decode(&mut bytes).unwrap().is_none());
            assert!(!decoder.has_begun(&bytes), "{mark:?}");
        }
    }

    #[test]
    fn nul_in_a_reply_is_named() {
        for (stream, words, advice) in [
            (
                &b"{\"status\":\"ok\"}\0\n"[..],
                r#"at its byte 15, but a reply must not have a NUL: "{"status":"ok"}\0""#,
                advice::NUL,
            ),
            (
                b"\0{\"status\":\"ok\"}\n",
                r#"at its byte 0, but a reply must not have a NUL: "\0{"status":"ok"}""#,
                advice::NUL,
            ),
            (b"{\0\"\0s\0\"\0:\0\n", "at its byte 1", advice::UTF16),
        ] {
            let mut bytes = BytesMut::from(stream);
            let error = greeted(0).decode(&mut bytes).unwrap_err();
            assert!(
                error.to_string().contains("NUL (byte 0)") && error.to_string().contains(words),
                "{error}"
            );
            assert_eq!(error.advice(), Some(advice));
        }
        let mut bytes = BytesMut::from(&b"\0OK\n"[..]);
        let error = text(false, false).decode(&mut bytes).unwrap_err();
        assert!(matches!(error, WireError::Nul { at: 0, .. }), "{error}");
        // A NUL after a newline belongs to the next line.
        let error = read_all(0, b"{\"status\":\"ok\"}\n\0{\"status\":\"ok\"}\n\0").unwrap_err();
        assert!(error.contains("NUL (byte 0) at its byte 0"), "{error}");
    }

    #[test]
    fn unfinished_line_names_the_missing_end() {
        let describe = |mut decoder: ReplyDecoder, sent: &[u8]| {
            let mut bytes = BytesMut::from(sent);
            while decoder.decode(&mut bytes).unwrap().is_some() {}
            decoder.unfinished(&bytes).map(|unfinished| unfinished.to_string())
        };
        for (sent, words) in [
            (&b"OK"[..], r#""OK" was received without the newline (\n)"#),
            (b"OK\r", r#""OK\r" was received with a carriage return (\r) where a newline"#),
            (b"OK 1\rOK 2\r", "with a carriage return"),
            (b"OK\0", r#""OK\0" was received with NUL (byte 0) where a newline"#),
            (b"OK\0OK\0", "with NUL (byte 0)"),
            (b"OK;", r#""OK;" was received with a semicolon where a newline"#),
            (b"OK\\n", "with a backslash and the letter n where a newline"),
            (b"OK\x03", "with a control character where a newline"),
        ] {
            let unfinished = describe(text(false, false), sent).unwrap();
            assert!(unfinished.contains(words), "{unfinished}");
        }
        for (sent, words) in [
            (&b"{\"status\":\"ok\"}\0"[..], "with NUL (byte 0)"),
            (b"{\"status\":\"ok\"}\r", "with a carriage return"),
            (b"{\"status\":\"ok\"};", "with a semicolon"),
            (b"{\"status\":\"ok\"} {\"sta", "without the newline"),
            (b"{\"status\":", r#""{"status":" was received without the rest of the reply"#),
            (b"OK", "without the newline"),
        ] {
            let unfinished = describe(greeted(0), sent).unwrap();
            assert!(unfinished.contains(words), "{unfinished}");
        }
        assert_eq!(describe(greeted(0), b"{\"status\":\"ok\"}"), None);
        assert_eq!(describe(greeted(0), b"{\"status\":\"ok\"}\n"), None);
        let prompt = describe(greeted(1), b"login: ").unwrap();
        assert!(prompt.contains(r#""login: " was received without the newline"#), "{prompt}");
    }

    #[test]
    fn wrong_line_gets_the_advice_of_arm_check() {
        let advice = |line: &[u8], mut decoder: ReplyDecoder| {
            let mut bytes = BytesMut::from(&[line, b"\n"].concat()[..]);
            let error = decoder.decode(&mut bytes).unwrap_err();
            (error.advice().unwrap(), error.may_be_greeting())
        };
        for (line, expected, may_be_greeting) in [
            (&b"OK"[..], advice::BARE_TEXT, false),
            (b"error: 9", advice::BARE_TEXT, false),
            (b"Grbl 1.1h ['$' for help]", advice::OBJECT, true),
            (b"", advice::BLANK, true),
            (b"Gr\xfc\xdf Gott", advice::UTF8, true),
            (b"{\"status\":\"\xfc\"}", advice::UTF8, false),
            (b"\xff\xfd\x2cOK", advice::TELNET, false),
            (b"\xff\xfeO\0K\0", advice::UTF16, false),
            (b"{", advice::ONE_LINE, false),
            (b"{'status': 'ok'}", advice::OBJECT, false),
            (b"{\"status\":\"ok\",\"status\":\"ok\"}", advice::TWICE, false),
            (b"{\"status\":1}", advice::STATUS, false),
            (b"{\"status\":\"done\"}", advice::STATUS, false),
            (b"{\"message\":\"done\"}", advice::STATUS, false),
            (b"{\"status\":\"ok\",\"message\":7}", advice::MESSAGE, false),
            (b"{\"type\":\"command\",\"x\":1.0}", advice::ECHO, false),
            (b"{\"type\":\"state\"}", advice::UNASKED_STATE, false),
        ] {
            let shown = String::from_utf8_lossy(line);
            assert_eq!(advice(line, greeted(0)), (expected, may_be_greeting), "{shown}");
        }
        for (line, expected, may_be_greeting) in [
            (&b"{\"status\":\"ok\"}"[..], advice::JSON_AFTER_ALL, false),
            (b"Grbl 1.1h", advice::WORDS, true),
        ] {
            assert_eq!(advice(line, text(false, false)), (expected, may_be_greeting));
        }
    }

    #[test]
    fn blanks_and_greeting_begin_no_line() {
        for (banner_lines, sent, begun) in [
            (0, "", false),
            (0, "{", true),
            (0, "{\"status\":\"ok\"}", false),
            (0, "{\"status\":\"ok\"}\n\r", false),
            (1, "hello", false),
            (1, "hello\n", false),
            (1, "hello\n{", true),
        ] {
            let mut decoder = greeted(banner_lines);
            let mut bytes = BytesMut::from(sent);
            while decoder.decode(&mut bytes).unwrap().is_some() {}
            assert_eq!(decoder.has_begun(&bytes), begun, "{banner_lines} of {sent:?}");
        }
    }

    #[test]
    fn reply_may_have_line_number_and_joints() {
        let reply = decode(r#"{"status":"ok","seq":17,"joints":[0.5,-1,2e-1]}"#).unwrap();
        assert_eq!((reply.seq, reply.state.unwrap().joints), (Some(17), Some(vec![0.5, -1.0, 0.2])));
        for member in [r#""seq":"17""#, r#""seq":-1"#, r#""seq":1.5"#, r#""seq":null"#, r#""seq":NaN"#] {
            let reply = decode(&format!(r#"{{"status":"ok",{member}}}"#)).unwrap();
            assert_eq!((reply.seq, reply.state), (None, None), "{member}");
        }
        let many = format!(r#"{{"status":"ok","joints":{:?}}}"#, [0.1; 65]);
        assert_eq!(decode(&many).unwrap().state.unwrap().joints, None);
    }

    #[test]
    fn unsolicited_state_is_read_only_if_enabled() {
        let wanted = WireConfig { accept_state: true, ..WireConfig::default() };
        let line = r#"{"type":"state","position":[1,2,3],"moving":true}"#;
        let Ok(Incoming::State(state)) = read(line, ReplyDecoder::new(&wanted)) else { panic!("no state") };
        assert_eq!(state.position, Some(Position::new(0.001, 0.002, 0.003).unwrap()));
        assert_eq!((state.moving, state.raw.as_str()), (Some(true), line));
        let error = decode(line).unwrap_err().to_string();
        assert!(error.contains("missing field `status`"), "{error}");
        // A line with a status is a reply, unless its type is a text other than "reply".
        for (line, is_reply) in [
            (r#"{"status":"ok"}"#, true),
            (r#"{"type":"reply","status":"ok"}"#, true),
            (r#"{"type":7,"status":"ok"}"#, true),
            (r#"{"type":"event","status":"ok"}"#, false),
        ] {
            let incoming = read(line, ReplyDecoder::new(&wanted)).unwrap();
            assert_eq!(matches!(incoming, Incoming::Reply(_)), is_reply, "{line}");
            assert!(decode(line).is_ok(), "{line}");
        }
        assert!(matches!(read("{}", ReplyDecoder::new(&wanted)), Err(WireError::NotAReply { .. })));
    }

    fn text(seq: bool, accept_state: bool) -> ReplyDecoder {
        let texts = [if seq { "{x} {seq}" } else { "{x}" }, "STOP", "HEARTBEAT"];
        let lines = crate::wire::OrderLines::text(texts, std::time::Duration::ZERO).unwrap();
        ReplyDecoder::new(&WireConfig {
            format: LineFormat::Text,
            lines,
            accept_state,
            ..WireConfig::default()
        })
    }

    #[test]
    fn first_word_is_the_status_of_text_replies() {
        for (line, status, message) in [
            ("OK", ReplyStatus::Ok, ""),
            ("ok\r", ReplyStatus::Ok, ""),
            ("OK Command received", ReplyStatus::Ok, "Command received"),
            ("OK 17 done", ReplyStatus::Ok, "17 done"),
            ("  Ok: done ", ReplyStatus::Ok, "done"),
            ("ERROR out of reach", ReplyStatus::Error, "out of reach"),
            ("error:9", ReplyStatus::Error, "9"),
            ("ERROR\u{1b}[31m", ReplyStatus::Error, "\u{fffd}[31m"),
        ] {
            let expected = Reply { status, message: message.into(), seq: None, state: None };
            assert_eq!(read(line, text(false, false)).unwrap(), Incoming::Reply(expected), "{line}");
        }
        for line in ["", "OKAY", "ERROR9", "Okä", "O", "MOVING 1 2 3", r#"{"status":"ok"}"#] {
            let error = read(line, text(false, false)).unwrap_err().to_string();
            assert!(error.contains("begins with neither OK nor ERROR") && error.contains("OK …"), "{error}");
            let state = ReportedState { raw: line.into(), ..ReportedState::default() };
            assert_eq!(read(line, text(false, true)).unwrap(), Incoming::State(state));
        }
    }

    #[test]
    fn text_replies_may_echo_line_numbers() {
        for (line, seq, message) in [
            ("OK 17 done", Some(17), "done"),
            ("ERROR 17", Some(17), ""),
            ("OK", None, ""),
            ("OK seventeen 17", None, "seventeen 17"),
        ] {
            let reply = reply(read(line, text(true, false)).unwrap());
            assert_eq!((reply.seq, reply.message.as_str()), (seq, message), "{line}");
        }
    }
}
