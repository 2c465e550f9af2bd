//! The bridge's side of the wire: bytes to what the controller says.

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
use super::reported::{Report, quote_no_numbers};
use crate::arm::ReportedState;
use crate::text::{sanitize_short, show_bytes};

/// Reads replies from a stream of bytes, however it is cut into segments.
///
/// Call [`Decoder::decode`] after each read until it yields `None`, always with the same buffer; on an error, drop
/// the connection and the decoder with it. At the end of the stream call [`Decoder::decode_eof`].
///
/// A reply has a `"status"`, `"ok"` or `"error"`, and may have a `"message"`, which is text. The members of
/// [`ReportedState`] are taken where they are what they say; where they are not, the report says so and the line is a reply
/// all the same. A member of ours given twice is an error.
///
/// A reply ends with a newline. One that stands alone at the end of what was read and is complete is taken without it,
/// since many a first controller sends none; a newline that follows later, after blanks or not, is then passed over.
///
/// Lines of the greeting are passed over as bytes, and so is a byte order mark (U+FEFF) in front of the first reply.
#[derive(Debug)]
pub struct ReplyDecoder {
    reading: Reading,
    lines: Lines,
    /// The last reply was taken without its newline, which may yet come.
    unterminated: bool,
    /// How many lines the controller has yet to say before its first reply.
    greeting: u32,
    /// Nothing has been heard yet but lines of the greeting.
    at_start: bool,
}

/// How a line is read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    unit: PositionUnit,
    format: LineFormat,
    /// Whether a line of text may begin with the number of the line that it answers.
    seq: bool,
    accept_state: bool,
}

impl ReplyDecoder {
    /// Makes a decoder for a controller that speaks like this.
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

    /// Passes over what has come of the greeting. Returns how many of its lines are still to come.
    ///
    /// # Errors
    /// A line that is too long.
    pub fn greet(&mut self, bytes: &mut BytesMut) -> Result<u32, WireError> {
        while self.greeting > 0 && self.lines.skip(bytes)? {
            self.greeting -= 1;
        }
        Ok(self.greeting)
    }

    /// What is left of the bytes after [`Decoder::decode`] or [`ReplyDecoder::greet`], if anything is.
    pub fn unfinished(&self, bytes: &[u8]) -> Option<Unfinished> {
        let object = self.greeting == 0 && self.reading.format.shows_its_end();
        (!bytes.is_empty()).then(|| Unfinished::new(bytes, object))
    }

    /// Passes over a byte order mark, if there is one. Returns whether that is decided.
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

    /// Whether what is left of the bytes after [`Decoder::decode`] is the beginning of a line that will be heard.
    pub fn has_begun(&self, bytes: &[u8]) -> bool {
        let is_mark = self.at_start && MARK.starts_with(bytes);
        self.greeting == 0 && !is_mark && !bytes.trim_ascii().is_empty()
    }
}

/// What has come of a line whose end has not come, as a clause: `"ok" has come, without …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished(String);

impl Unfinished {
    /// Says what these bytes lack, which are the beginning of a JSON object if `object`.
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
            _ if cut_short() => "and the rest of the reply has not".to_owned(),
            _ => "without the newline (\\n) that ends a line".to_owned(),
        };
        Self(format!("\"{}\" has come, {lack}", show_bytes(bytes)))
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The byte order mark, with which some libraries begin a stream of UTF-8.
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
            // What is blank belongs to the line that was taken.
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
        // Only an object says itself where it ends.
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

fn parse(line: &str, reading: Reading) -> Result<Incoming, WireError> {
    match reading.format {
        LineFormat::Json => parse_json(line, reading),
        LineFormat::Text => parse_text(line, reading),
    }
}

fn parse_json(line: &str, reading: Reading) -> Result<Incoming, WireError> {
    if line.trim_ascii().is_empty() {
        return Err(no_reply(line, "it is blank", advice::BLANK));
    }
    let error = match serde_json::from_str(line) {
        Ok(members) => return read_members(members, line, reading),
        Err(error) => error,
    };
    // Seldom, so that a line whose numbers are numbers pays nothing for it.
    let quoted = if error.is_eof() { None } else { quote_no_numbers(line) };
    match quoted.as_deref().map(serde_json::from_str) {
        Some(Ok(members)) => read_members(members, line, reading),
        _ => Err(no_reply(line, &error.to_string(), advice_on(line, &error))),
    }
}

/// What a line says, by its members.
fn read_members(members: ReplyMembers<'_>, line: &str, reading: Reading) -> Result<Incoming, WireError> {
    let unasked = reading.accept_state && members.r#type.known().is_some_and(|word| word != "reply");
    let ReplyMembers {
        status, seq, message, position, rpy, quaternion, gripper, moving, fault, joints, ..
    } = members;
    let state = Report { position, rpy, quaternion, gripper, moving, fault, joints }.read(reading.unit, line);
    if unasked {
        let nothing = || ReportedState { raw: sanitize_short(line), ..ReportedState::default() };
        return Ok(Incoming::State(state.unwrap_or_else(nothing)));
    }
    let status = match status.as_deref() {
        Some("ok") => ReplyStatus::Ok,
        Some("error") => ReplyStatus::Error,
        Some(other) => return Err(WireError::UnknownStatus(sanitize_short(other))),
        None => return Err(no_reply(line, "missing field `status`", advice_on_type(line))),
    };
    Ok(Incoming::Reply(Reply {
        status,
        message: message.as_deref().map(sanitize_short).unwrap_or_default(),
        seq: seq.known(),
        state,
    }))
}

fn no_reply(line: &str, why: &str, advice: Advice) -> WireError {
    WireError::NotAReply {
        line: sanitize_short(line),
        why: sanitize_short(why),
        expected: r#"{"status":"ok","message":"…"}"#,
        advice,
    }
}

/// What to do about a line that is no JSON object with the members of a reply.
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

/// What to do about an object without a status.
fn advice_on_type(line: &str) -> Advice {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    match value.as_ref().and_then(|value| value.get("type")?.as_str()) {
        Some("command" | "stop" | "heartbeat" | "hello") => advice::ECHO,
        Some(word) if word != "reply" => advice::UNASKED_STATE,
        _ => advice::STATUS,
    }
}

/// What follows a word, in capitals or not, with which a line begins.
fn begins_with_word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = line.trim_ascii_start().split_at_checked(word.len())?;
    let ends = !rest.starts_with(|next: char| next.is_alphanumeric());
    (start.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

/// `OK`, `OK words`, `ERROR words`, in capitals or not.
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

    fn hear(line: &str, mut decoder: ReplyDecoder) -> Result<Incoming, WireError> {
        let mut bytes = BytesMut::from(format!("{line}\n").as_bytes());
        let heard = decoder.decode(&mut bytes);
        assert!(bytes.is_empty(), "a line stays in the buffer");
        heard.map(|heard| heard.expect("a whole line is there"))
    }

    fn decode(line: &str) -> Result<Reply, WireError> {
        hear(line, in_unit(PositionUnit::Millimetres)).map(reply)
    }

    fn greeted(banner_lines: u32) -> ReplyDecoder {
        ReplyDecoder::new(&WireConfig { banner_lines, ..WireConfig::default() })
    }

    fn in_unit(unit: PositionUnit) -> ReplyDecoder {
        ReplyDecoder::new(&WireConfig { unit, ..WireConfig::default() })
    }

    fn reply(heard: Incoming) -> Reply {
        match heard {
            Incoming::Reply(reply) => reply,
            Incoming::State(state) => panic!("a state: {state:?}"),
        }
    }

    #[test]
    fn a_plain_reply_has_a_verdict_and_words_and_no_state() {
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
        assert!(decoder.decode(&mut BytesMut::from("\n")).is_err(), "a blank line is no reply");
    }

    #[test]
    fn members_that_mean_something_else_are_passed_over() {
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
    fn nonsense_in_a_report_is_named_and_not_believed() {
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
            let believed = (state.position, state.orientation, state.joints, state.gripper);
            assert_eq!(believed, (None, None, None, None), "{line}");
        }
        let far = decode(r#"{"status":"ok","position":[1,2,1e9]}"#).unwrap().state.unwrap();
        let shown = far.unreadable.unwrap().to_string();
        assert!(shown.starts_with(r#""position" is [1,2,1e9]: z is 1000000 m, beyond"#), "{shown}");
        // The place weighs most, and what else is readable counts.
        let both = decode(r#"{"status":"ok","joints":[NaN],"position":[NaN,0,0],"rpy":[0,0,1]}"#).unwrap();
        let state = both.state.unwrap();
        assert_eq!(state.unreadable.unwrap().member, "position");
        assert!(state.orientation.is_some());
        // It is safe to print.
        let hostile =
            decode("{\"status\":\"ok\",\"position\":\"\u{202e}\\u001b[2J\"}").unwrap().state.unwrap();
        assert!(!hostile.unreadable.unwrap().to_string().contains('\u{202e}'));
    }

    #[test]
    fn a_report_tells_the_turning_as_commands_do() {
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
    fn a_fault_is_whatever_does_not_say_none() {
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
            r#"{"status":NaN,"position":[1,2,3"#,
            r#"{"status":"ok","position":[1,2,NaN}"#,
            r#"{"status":"ok","position":[1,2,Nan1]}"#,
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
        let error = in_unit(PositionUnit::Metres).decode(&mut bytes).unwrap_err();
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
        let mut decoder = in_unit(PositionUnit::Metres);
        assert!(matches!(decoder.decode(&mut whole), Err(WireError::LineTooLong(_))));
        assert!(matches!(decoder.decode(&mut open), Ok(None)));
        open.extend_from_slice(b" ");
        assert!(matches!(decoder.decode(&mut open), Err(WireError::LineTooLong(_))));
        assert!(open.is_empty());
    }

    #[test]
    fn the_end_of_the_stream_is_clean_only_between_lines() {
        let mut decoder = in_unit(PositionUnit::Metres);
        let mut bytes = BytesMut::from(&b"{\"status\":\"ok\"}\n{\"sta"[..]);
        assert!(matches!(decoder.decode_eof(&mut bytes), Ok(Some(_))));
        let error = decoder.decode_eof(&mut bytes).unwrap_err();
        assert_eq!(error.to_string(), r#"the stream ended in the middle of a line, after "{\"sta""#);
        assert!(matches!(decoder.decode_eof(&mut BytesMut::new()), Err(WireError::Truncated(_)) | Ok(None)));
    }

    #[test]
    fn a_greeting_is_passed_over_however_it_is_cut_and_whatever_it_says() {
        let stream = b"hello, I am an arm\n{\"status\":\"error\"}\n{\"status\":\"ok\"}\n";
        for cut in 0..stream.len() {
            let mut decoder = greeted(2);
            let mut bytes = BytesMut::from(&stream[..cut]);
            let early = decoder.decode(&mut bytes).unwrap();
            bytes.extend_from_slice(&stream[cut..]);
            let reply = early.or_else(|| decoder.decode(&mut bytes).unwrap());
            assert_eq!(
                reply.map(|heard| super::tests::reply(heard).status),
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

    /// What the decoder makes of a stream, in one piece or in any two pieces.
    fn heard(banner_lines: u32, stream: &[u8]) -> Result<Vec<Incoming>, String> {
        let hear = |cut: usize| {
            let (mut decoder, mut bytes, mut heard) = (greeted(banner_lines), BytesMut::new(), Vec::new());
            for piece in [&stream[..cut], &stream[cut..]] {
                bytes.extend_from_slice(piece);
                while let Some(next) = decoder.decode(&mut bytes).map_err(|error| error.to_string())? {
                    heard.push(next);
                }
            }
            Ok(heard)
        };
        let whole = hear(0);
        (1..stream.len()).for_each(|cut| assert_eq!(hear(cut), whole, "cut at {cut}"));
        whole
    }

    #[test]
    fn greeting_lines_are_passed_over_as_bytes() {
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
            assert_eq!(heard(1, &stream).map(|heard| heard.len()), Ok(1), "{line:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_at_the_start_is_passed_over() {
        let ok = "{\"status\":\"ok\"}\n";
        for (banner_lines, stream) in [
            (0, format!("\u{feff}{ok}{ok}")),
            (1, format!("\u{feff}hello\n{ok}{ok}")),
            (1, format!("hello\n\u{feff}{ok}{ok}")),
        ] {
            assert_eq!(heard(banner_lines, stream.as_bytes()).map(|heard| heard.len()), Ok(2), "{stream}");
        }
        for stream in [format!("\u{feff}\u{feff}{ok}"), format!("{ok}\u{feff}{ok}")] {
            assert!(heard(0, stream.as_bytes()).is_err(), "{stream}");
        }
        // It is no line that has begun, whole or in part.
        for mark in [&b"\xef"[..], b"\xef\xbb", b"\xef\xbb\xbf"] {
            let mut bytes = BytesMut::from(mark);
            let mut decoder = greeted(0);
            assert!(decoder.decode(&mut bytes).unwrap().is_none());
            assert!(!decoder.has_begun(&bytes), "{mark:?}");
        }
    }

    #[test]
    fn a_nul_in_a_reply_is_named_with_its_place() {
        for (stream, words, advice) in [
            (
                &b"{\"status\":\"ok\"}\0\n"[..],
                r#"at its byte 15, which no reply has: "{"status":"ok"}\0""#,
                advice::NUL,
            ),
            (
                b"\0{\"status\":\"ok\"}\n",
                r#"at its byte 0, which no reply has: "\0{"status":"ok"}""#,
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
        // One that ends a line is behind its newline, and so before the next.
        let error = heard(0, b"{\"status\":\"ok\"}\n\0{\"status\":\"ok\"}\n\0").unwrap_err();
        assert!(error.contains("NUL (byte 0) at its byte 0"), "{error}");
    }

    #[test]
    fn a_line_without_end_comes_with_what_is_missing() {
        let describe = |mut decoder: ReplyDecoder, said: &[u8]| {
            let mut bytes = BytesMut::from(said);
            while decoder.decode(&mut bytes).unwrap().is_some() {}
            decoder.unfinished(&bytes).map(|unfinished| unfinished.to_string())
        };
        for (said, words) in [
            (&b"OK"[..], r#""OK" has come, without the newline (\n)"#),
            (b"OK\r", r#""OK\r" has come, with a carriage return (\r) where a newline"#),
            (b"OK 1\rOK 2\r", "with a carriage return"),
            (b"OK\0", r#""OK\0" has come, with NUL (byte 0) where a newline"#),
            (b"OK\0OK\0", "with NUL (byte 0)"),
            (b"OK;", r#""OK;" has come, with a semicolon where a newline"#),
            (b"OK\\n", "with a backslash and the letter n where a newline"),
            (b"OK\x03", "with a control character where a newline"),
        ] {
            let unfinished = describe(text(false, false), said).unwrap();
            assert!(unfinished.contains(words), "{unfinished}");
        }
        for (said, words) in [
            (&b"{\"status\":\"ok\"}\0"[..], "with NUL (byte 0)"),
            (b"{\"status\":\"ok\"}\r", "with a carriage return"),
            (b"{\"status\":\"ok\"};", "with a semicolon"),
            (b"{\"status\":\"ok\"} {\"sta", "without the newline"),
            (b"{\"status\":", r#""{"status":" has come, and the rest of the reply has not"#),
            (b"OK", "without the newline"),
        ] {
            let unfinished = describe(greeted(0), said).unwrap();
            assert!(unfinished.contains(words), "{unfinished}");
        }
        assert_eq!(describe(greeted(0), b"{\"status\":\"ok\"}"), None);
        assert_eq!(describe(greeted(0), b"{\"status\":\"ok\"}\n"), None);
        let prompt = describe(greeted(1), b"login: ").unwrap();
        assert!(prompt.contains(r#""login: " has come, without the newline"#), "{prompt}");
    }

    #[test]
    fn what_is_no_reply_comes_with_the_advice_of_arm_check() {
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
    fn a_line_has_begun_that_is_neither_blank_nor_of_the_greeting() {
        for (banner_lines, said, begun) in [
            (0, "", false),
            (0, "{", true),
            (0, "{\"status\":\"ok\"}", false),
            (0, "{\"status\":\"ok\"}\n\r", false),
            (1, "hello", false),
            (1, "hello\n", false),
            (1, "hello\n{", true),
        ] {
            let mut decoder = greeted(banner_lines);
            let mut bytes = BytesMut::from(said);
            while decoder.decode(&mut bytes).unwrap().is_some() {}
            assert_eq!(decoder.has_begun(&bytes), begun, "{banner_lines} of {said:?}");
        }
    }

    #[test]
    fn the_number_of_a_line_may_be_echoed_and_joints_may_be_describe() {
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
    fn a_state_is_taken_unasked_only_where_that_is_wanted() {
        let wanted = WireConfig { accept_state: true, ..WireConfig::default() };
        let line = r#"{"type":"state","position":[1,2,3],"moving":true}"#;
        let Ok(Incoming::State(state)) = hear(line, ReplyDecoder::new(&wanted)) else { panic!("no state") };
        assert_eq!(state.position, Some(Position::new(0.001, 0.002, 0.003).unwrap()));
        assert_eq!((state.moving, state.raw.as_str()), (Some(true), line));
        let error = decode(line).unwrap_err().to_string();
        assert!(error.contains("missing field `status`"), "{error}");
        // With a status it is a reply, but where its type says that it is none.
        for (line, is_reply) in [
            (r#"{"status":"ok"}"#, true),
            (r#"{"type":"reply","status":"ok"}"#, true),
            (r#"{"type":7,"status":"ok"}"#, true),
            (r#"{"type":"event","status":"ok"}"#, false),
        ] {
            let heard = hear(line, ReplyDecoder::new(&wanted)).unwrap();
            assert_eq!(matches!(heard, Incoming::Reply(_)), is_reply, "{line}");
            assert!(decode(line).is_ok(), "{line}");
        }
        assert!(matches!(hear("{}", ReplyDecoder::new(&wanted)), Err(WireError::NotAReply { .. })));
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
    fn replies_of_text_are_told_by_their_first_word() {
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
            assert_eq!(hear(line, text(false, false)).unwrap(), Incoming::Reply(expected), "{line}");
        }
        for line in ["", "OKAY", "ERROR9", "Okä", "O", "MOVING 1 2 3", r#"{"status":"ok"}"#] {
            let error = hear(line, text(false, false)).unwrap_err().to_string();
            assert!(error.contains("begins with neither OK nor ERROR") && error.contains("OK …"), "{error}");
            let state = ReportedState { raw: line.into(), ..ReportedState::default() };
            assert_eq!(hear(line, text(false, true)).unwrap(), Incoming::State(state));
        }
    }

    #[test]
    fn replies_of_text_echo_numbers_where_lines_have_them() {
        for (line, seq, message) in [
            ("OK 17 done", Some(17), "done"),
            ("ERROR 17", Some(17), ""),
            ("OK", None, ""),
            ("OK seventeen 17", None, "seventeen 17"),
        ] {
            let heard = reply(hear(line, text(true, false)).unwrap());
            assert_eq!((heard.seq, heard.message.as_str()), (seq, message), "{line}");
        }
    }
}
