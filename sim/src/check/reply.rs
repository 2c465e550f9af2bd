//! Checks the bytes of one reply. Pure.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::advice;
use super::finding::{Check, Finding};
use aether_bridge::arm::Gripper;
use aether_bridge::text::show_bytes;
use aether_bridge::wire::MAX_LINE;
use aether_bridge::wire::advice::Advice;

/// A reply as it was cut out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    /// The bytes without the line end.
    pub bytes: Vec<u8>,
    pub end: End,
}

/// The end of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Newline,
    CrLf,
    Missing,
}

impl Raw {
    /// Returns the received bytes in printable form.
    pub fn shown(&self) -> String {
        let end: &[u8] = match self.end {
            End::Newline => b"\n",
            End::CrLf => b"\r\n",
            End::Missing => b"",
        };
        show_bytes(&[&self.bytes[..], end].concat())
    }
}

/// The result of checking a reply.
#[derive(Debug, Default)]
pub(super) struct CheckedReply {
    /// Everything that is wrong or unusual.
    pub findings: Vec<Finding>,
    /// Whether the reply accepts its line, as far as this can be guessed.
    pub is_ok: Option<bool>,
    /// Whether the status is exactly as in the protocol.
    pub clear: bool,
    /// The message.
    pub message: String,
    /// The `seq`.
    pub seq: Option<Value>,
    /// The reported position of the arm, in the wire's unit.
    pub position: Option<[f64; 3]>,
    /// The reported state of the gripper.
    pub gripper: Option<Gripper>,
    /// Whether the arm moves, as reported.
    pub moving: Option<bool>,
    /// The reported fault, in the words of the controller.
    pub fault: Option<String>,
    /// The line is not a reply, but unsolicited state.
    pub unsolicited_state: bool,
}

/// Checks a reply by itself, without its line.
pub(super) fn check(raw: &Raw) -> CheckedReply {
    let mut reply = CheckedReply::default();
    match raw.end {
        End::Newline => {}
        End::CrLf => reply
            .note(Check::LineEnds, r"lines end with \r\n; the protocol uses \n, but the bridge accepts both"),
        End::Missing => {
            reply.wrong(
                Check::Newline,
                format!("{} came without a newline", show_bytes(&raw.bytes)),
                advice::NEWLINE,
            );
        }
    }
    if raw.bytes.len() > MAX_LINE {
        reply.wrong(Check::Length, format!("a line of {} bytes came", raw.bytes.len()), advice::LENGTH);
    }
    if raw.bytes.trim_ascii().is_empty() {
        reply.wrong(Check::OneReply, "a blank line came".to_owned(), advice::BLANK);
        return reply;
    }
    let text = match str::from_utf8(&raw.bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let seen = format!("byte {at} is 0x{:02x}, in {}", raw.bytes[at], show_bytes(&raw.bytes));
            reply.wrong(Check::Utf8, seen, advice::UTF8);
            return reply;
        }
    };
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        reply.wrong(Check::Nul, format!("byte {at} is NUL (byte 0), in {}", raw.shown()), advice::NUL);
        return reply;
    }
    if text.trim_ascii().contains('\n') {
        let lines = text.trim_ascii().lines().count();
        reply.wrong(
            Check::OneLine,
            format!("a reply spans {lines} lines: {}", raw.shown()),
            advice::ONE_LINE,
        );
    }
    match serde_json::from_str::<Members>(text) {
        Ok(Members(members)) => reply.members(&members, raw),
        Err(error) => reply.no_object(text, &error, raw),
    }
    reply
}

impl CheckedReply {
    fn wrong(&mut self, check: Check, seen: String, advice: Advice) {
        self.findings.push(Finding::wrong(check, seen, advice));
    }

    fn note(&mut self, check: Check, seen: impl Into<String>) {
        self.findings.push(Finding::note(check, seen));
    }

    fn no_object(&mut self, text: &str, error: &serde_json::Error, raw: &Raw) {
        let word: String = text.trim_start().chars().take_while(char::is_ascii_alphanumeric).collect();
        if word.eq_ignore_ascii_case("ok") || word.eq_ignore_ascii_case("error") {
            self.is_ok = Some(word.eq_ignore_ascii_case("ok"));
            self.wrong(Check::Json, format!("plain text came: {}", raw.shown()), advice::BARE_TEXT);
        } else if ["NaN", "Infinity", "1e999"].iter().any(|number| text.contains(number)) {
            self.wrong(
                Check::Numbers,
                format!("{} has a number that is not finite ({error})", raw.shown()),
                advice::NUMBERS,
            );
        } else {
            let what = serde_json::from_str::<Value>(text).map_or("not JSON", |value| match value {
                Value::Array(_) => "an array",
                Value::String(_) => "a string",
                _ => "a bare value",
            });
            let why = if what == "not JSON" { format!(" ({error})") } else { String::new() };
            self.wrong(
                Check::Json,
                format!("{} is {what}, but must be a JSON object{why}", raw.shown()),
                advice::OBJECT,
            );
        }
    }

    fn members(&mut self, members: &[(String, Value)], raw: &Raw) {
        for (at, (name, _)) in members.iter().enumerate() {
            if members[..at].iter().any(|(earlier, _)| earlier == name) {
                let seen = format!("{name:?} is there twice: {}", raw.shown());
                if OURS.contains(&name.as_str()) {
                    self.wrong(Check::Members, seen, advice::TWICE);
                } else {
                    self.note(Check::Members, seen);
                }
            }
        }
        let member = |name: &str| members.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let (status, kind) = (member("status"), member("type").and_then(Value::as_str));
        if status.is_none() && kind.is_some_and(|kind| kind != "reply") {
            self.unsolicited_state = true;
        } else {
            self.status(status, raw);
        }
        match member("message") {
            None | Some(Value::String(_)) | Some(Value::Null) => {}
            Some(other) => {
                self.wrong(Check::Message, format!("\"message\" is {other}, not a string"), advice::MESSAGE)
            }
        }
        self.message = member("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.seq = member("seq").cloned();
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            self.state(name, value);
        }
    }

    fn status(&mut self, status: Option<&Value>, raw: &Raw) {
        match status {
            Some(Value::String(word)) if word == "ok" || word == "error" => {
                (self.is_ok, self.clear) = (Some(word == "ok"), true);
            }
            Some(Value::String(word)) => {
                let known = ["ok", "error"].into_iter().find(|known| known.eq_ignore_ascii_case(word.trim()));
                self.is_ok = known.map(|known| known == "ok");
                let why = if known.is_some() { ": use small letters" } else { "" };
                self.wrong(Check::Status, format!("\"status\" is {word:?}{why}"), advice::STATUS);
            }
            Some(other) => {
                self.wrong(Check::Status, format!("\"status\" is {other}, not a string"), advice::STATUS)
            }
            None => {
                self.wrong(Check::Status, format!("\"status\" is missing in {}", raw.shown()), advice::STATUS)
            }
        }
    }

    fn state(&mut self, name: &str, value: &Value) {
        let fits = match name {
            "position" => {
                self.position = coordinates(value);
                self.position.is_some()
            }
            "gripper" => {
                let known = [Gripper::Open, Gripper::Closed];
                self.gripper = known.into_iter().find(|gripper| value.as_str() == Some(gripper.as_str()));
                self.gripper.is_some()
            }
            "moving" => {
                self.moving = value.as_bool();
                self.moving.is_some()
            }
            "fault" => {
                self.fault = fault(value);
                true
            }
            "joints" => value.as_array().is_some_and(|joints| joints.iter().all(Value::is_number)),
            _ => true,
        };
        if !fits {
            self.note(Check::State, format!("{name:?} is {value}, which is unknown and ignored: {STATE}"));
        }
    }
}

/// Returns the fault that a value describes, in any form. Returns `None` if the value means "no
/// fault".
fn fault(value: &Value) -> Option<String> {
    let none = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            let text = text.trim().to_lowercase();
            text.is_empty() || NO_FAULT.contains(&text.as_str())
        }
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
    };
    (!none).then(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn coordinates(value: &Value) -> Option<[f64; 3]> {
    let numbers: Option<Vec<f64>> = match value {
        Value::Array(values) => values.iter().map(Value::as_f64).collect(),
        Value::Object(members) => ["x", "y", "z"].iter().map(|axis| members.get(*axis)?.as_f64()).collect(),
        _ => None,
    };
    numbers?.try_into().ok()
}

/// The members of an object in their order, duplicates included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The members that the protocol defines.
const OURS: [&str; 8] = ["status", "message", "position", "gripper", "moving", "fault", "joints", "seq"];

/// Values of "fault" that mean "no fault".
const NO_FAULT: [&str; 8] = ["none", "ok", "no", "no fault", "no error", "no_error", "false", "0"];

const STATE: &str = "\"position\" is {\"x\":…,\"y\":…,\"z\":…} or [x,y,z], \"gripper\" \"open\" or \"closed\", \
                     \"moving\" true or false, \"joints\" numbers in rad";

#[cfg(test)]
mod tests {
    use super::{End, Gripper, Raw, check};
    use crate::check::finding::Verdict;

    fn of(bytes: &[u8], end: End) -> Vec<(Verdict, &'static str, String)> {
        let reply = check(&Raw { bytes: bytes.to_vec(), end });
        reply
            .findings
            .into_iter()
            .map(|finding| (finding.verdict, finding.check.as_str(), finding.seen))
            .collect()
    }

    fn one(line: &str) -> (Verdict, &'static str, String) {
        let mut findings = of(line.as_bytes(), End::Newline);
        assert_eq!(findings.len(), 1, "{line}: {findings:?}");
        findings.remove(0)
    }

    #[test]
    fn valid_replies_have_no_findings() {
        for line in [
            r#"{"status":"ok","message":"Command received"}"#,
            r#"{"message": "no", "status": "error"}"#,
            r#"{"status":"ok","position":[1,2.5,-3e1],"gripper":"open","moving":false,"fault":null,"joints":[0.1]}"#,
            r#"{"status":"ok","position":{"x":1,"y":2,"z":3,"w":4},"mine":{"a":1}}"#,
        ] {
            assert_eq!(of(line.as_bytes(), End::Newline), [], "{line}");
        }
        let reply = check(&Raw {
            bytes: br#"{"status":"error","message":"m","seq":7,"position":[1,2,3]}"#.to_vec(),
            end: End::Newline,
        });
        assert_eq!((reply.is_ok, reply.message.as_str()), (Some(false), "m"));
        assert_eq!((reply.seq, reply.position), (Some(7.into()), Some([1.0, 2.0, 3.0])));
        let state = br#"{"status":"ok","gripper":"closed","moving":true,"fault":"hot"}"#.to_vec();
        let state = check(&Raw { bytes: state, end: End::Newline });
        assert_eq!((state.gripper, state.moving), (Some(Gripper::Closed), Some(true)));
        assert_eq!(state.fault.as_deref(), Some("hot"));
    }

    #[test]
    fn protocol_page_examples_are_judged_as_documented() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
        let page = std::fs::read_to_string(page).unwrap();
        let examples = |kind: &str| -> Vec<&str> {
            let blocks =
                page.split("\n```json ").filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n'));
            blocks.flat_map(|block| block.split("\n```").next().unwrap().lines()).collect()
        };
        let (good, bad, state) = (examples("reply"), examples("bad-reply"), examples("state"));
        assert!(good.len() > 4 && bad.len() > 4 && state.len() > 1);
        for line in good.into_iter().chain(state) {
            assert_eq!(of(line.as_bytes(), End::Newline), [], "{line}");
        }
        for line in bad {
            assert_eq!(one(line).0, Verdict::Wrong, "{line}");
        }
    }

    #[test]
    fn each_fault_is_named_with_its_value() {
        for (line, check, words) in [
            ("", "one reply", "blank line"),
            (" \t", "one reply", "blank line"),
            ("OK done", "JSON", "plain text came: OK done\\n"),
            ("error: 9", "JSON", "plain text"),
            ("okay", "JSON", "okay\\n is not JSON, but must be a JSON object (expected"),
            (r#"["ok"]"#, "JSON", "is an array"),
            (r#""ok""#, "JSON", "is a string"),
            (r#"{"status":"ok",}"#, "JSON", "trailing comma"),
            (r#"{"status":"ok","position":[NaN,0,0]}"#, "numbers", "NaN"),
            ("{\n  \"status\": \"ok\"\n}", "one line", "spans 3 lines"),
            ("{}", "status", "\"status\" is missing in {}\\n"),
            (r#"{"status":"OK"}"#, "status", "\"status\" is \"OK\": use small letters"),
            (r#"{"status":"done"}"#, "status", "\"status\" is \"done\""),
            (r#"{"status":true}"#, "status", "\"status\" is true, not a string"),
            (r#"{"status":"ok","message":7}"#, "message", "\"message\" is 7, not a string"),
            (r#"{"status":"ok","status":"ok"}"#, "members", "\"status\" is there twice"),
            (r#"{"status":"ok","st\u0061tus":"ok"}"#, "members", "\"status\" is there twice"),
        ] {
            let (verdict, named, seen) = one(line);
            assert_eq!((verdict, named), (Verdict::Wrong, check), "{line}");
            assert!(seen.contains(words), "{line}: {seen}");
        }
    }

    #[test]
    fn line_end_length_and_encoding_are_checked() {
        let reply = br#"{"status":"ok"}"#;
        assert_eq!(of(reply, End::Missing)[0].1, "newline");
        assert_eq!(of(reply, End::CrLf)[0].0, Verdict::Note);
        let long = format!(r#"{{"status":"ok","message":"{}"}}"#, "x".repeat(4096));
        assert_eq!(one(&long).2, "a line of 4124 bytes came");
        let latin1 = of(b"{\"status\":\"ok\",\"message\":\"h\xf6her\"}", End::Newline);
        assert!(latin1[0].1 == "UTF-8" && latin1[0].2.starts_with("byte 27 is 0xf6"), "{latin1:?}");
        let nul = of(b"\0{\"status\":\"ok\"}", End::Newline);
        assert!(nul[0].1 == "NUL" && nul[0].2.starts_with("byte 0 is NUL (byte 0), in \\0{"), "{nul:?}");
    }

    #[test]
    fn unknown_state_is_a_note() {
        for member in [
            r#""position":[1,2]"#,
            r#""position":{"x":"1","y":2,"z":3}"#,
            r#""gripper":0.5"#,
            r#""moving":"yes""#,
            r#""joints":["a"]"#,
        ] {
            let (verdict, named, seen) = one(&format!(r#"{{"status":"ok",{member}}}"#));
            assert_eq!((verdict, named), (Verdict::Note, "state"), "{member}");
            assert!(seen.contains("ignored"), "{seen}");
        }
        assert_eq!(one(r#"{"status":"ok","mine":1,"mine":2}"#).0, Verdict::Note);
    }

    #[test]
    fn value_without_meaning_none_is_a_fault() {
        let fault = |value: &str| {
            let line = format!(r#"{{"status":"ok","fault":{value}}}"#);
            check(&Raw { bytes: line.into_bytes(), end: End::Newline }).fault
        };
        for value in ["null", "false", "0", r#""""#, r#""None""#, r#""no error""#, "[]", "{}"] {
            assert_eq!(fault(value), None, "{value}");
        }
        for (value, words) in [(r#""hot""#, "hot"), ("3", "3"), ("true", "true"), (r#"["e1"]"#, "e1")] {
            assert!(fault(value).unwrap().contains(words), "{value}");
        }
    }

    #[test]
    fn object_with_type_but_no_status_is_unsolicited() {
        let state = |line: &str| check(&Raw { bytes: line.into(), end: End::Newline }).unsolicited_state;
        assert!(state(r#"{"type":"state","position":[1,2,3]}"#));
        assert!(!state(r#"{"type":"state","status":"ok"}"#));
        assert!(!state(r#"{"type":"reply"}"#));
        assert!(!state(r#"{"position":[1,2,3]}"#));
    }
}
