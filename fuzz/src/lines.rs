//! Checks any settings of lines. Either the settings are rejected, or each written line is a single
//! line within the limit of length, and a JSON line has the right values.

use std::collections::BTreeSet;
use std::time::Duration;

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::{Orientation, Position};
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::{
    CommandEncoder, Extra, JsonFields, Line, MAX_LINE, Order, OrderLines, PositionUnit, WireConfig,
};
use serde_json::{Map, Value};

use super::input::{NEXT, assert_printable, texts};

/// Runs the checks. The first six bytes select the format, the extra members and the orders. The
/// rest is text: three templates, or the names and values of [`fields`].
pub fn check(data: &[u8]) {
    let Some((&[how, extras, numbers @ ..], rest)) = data.split_first_chunk::<6>() else { return };
    let unit = [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres]
        [usize::from(how >> 2) % 3];
    let lines = lines(how, numbers);
    let mut texts = texts(rest, NEXT);
    let mut next = || texts.next().unwrap_or_default();
    if how & 1 == 1 {
        check_text([next(), next(), next()], unit, &lines);
    } else if let Some(fields) = fields(next) {
        check_json(&fields, &read_extras(extras), unit, &lines);
    }
}

fn check_text(templates: [String; 3], unit: PositionUnit, lines: &[Line]) {
    match OrderLines::text(templates.each_ref().map(String::as_str), TTL) {
        Ok(orders) => {
            let encoder = CommandEncoder::new(&WireConfig { unit, lines: orders, ..WireConfig::default() });
            lines.iter().for_each(|line| assert_printable(&written(&encoder, line)));
        }
        Err((which, error)) => {
            assert!(which < templates.len());
            assert_printable(&error.to_string());
        }
    }
}

fn check_json(fields: &JsonFields, extras: &BTreeSet<Extra>, unit: PositionUnit, lines: &[Line]) {
    match OrderLines::json(fields, extras, TTL) {
        Ok(orders) => {
            let encoder = CommandEncoder::new(&WireConfig { unit, lines: orders, ..WireConfig::default() });
            for line in lines {
                let written = written(&encoder, line);
                let members = serde_json::from_str(&written).expect("the line is an object");
                check_members(fields, extras, unit, line, &members);
                check_gripper(fields, line, &written);
            }
        }
        Err(error) => assert_printable(&error.to_string()),
    }
}

/// Returns the written line without its newline.
fn written(encoder: &CommandEncoder, line: &Line) -> String {
    let mut out = b"before\n".to_vec();
    encoder.encode_into(line, &mut out);
    let out = String::from_utf8(out).expect("the line is UTF-8");
    let line = out
        .strip_prefix("before\n")
        .and_then(|line| line.strip_suffix('\n'))
        .expect("the line ends with a newline");
    assert!(!line.contains(['\n', '\r', '\0']), "more than one line: {line:?}");
    assert!(line.len() <= MAX_LINE, "{} bytes: {}", line.len(), sanitize_short(line));
    line.to_owned()
}

fn check_members(
    fields: &JsonFields,
    extras: &BTreeSet<Extra>,
    unit: PositionUnit,
    line: &Line,
    members: &Map<String, Value>,
) {
    let named = |name: &String| members.get(name).filter(|_| !name.is_empty());
    let (kind, command) = match line.order {
        Order::Command(command) => ("command", Some(command)),
        Order::Stop => ("stop", None),
        Order::Heartbeat => ("heartbeat", None),
    };
    assert!(named(&fields.r#type).is_none_or(|word| word == kind), "{members:?} for {line:?}");
    let numbered = extras.contains(&Extra::Seq);
    assert!(!numbered || members.get("seq").is_some_and(|seq| *seq == line.seq), "{members:?} for {line:?}");
    let Some(command) = command else { return };
    for (name, metres) in fields.coordinates.iter().zip(command.position.coordinates()) {
        let Some(value) = named(name) else { continue };
        let value = value.as_f64().expect("a coordinate is a number") / unit.per_metre();
        assert!((value - metres).abs() < 1e-9, "{name} is {metres} m in {members:?}");
    }
}

fn check_gripper(JsonFields { gripper, open, closed, .. }: &JsonFields, line: &Line, written: &str) {
    let Order::Command(command) = line.order else { return };
    let word = if command.gripper == Gripper::Open { open } else { closed };
    // Compare the texts, because a number that is read from its decimal text may differ in the last
    // bit.
    let member = format!("{}:{word}", Value::from(gripper.as_str()));
    assert!(gripper.is_empty() || written.contains(&member), "{written} for {line:?}");
}

/// Returns a command, a stop and a heartbeat.
fn lines(how: u8, [x, y, z, size]: [u8; 4]) -> [Line; 3] {
    let coordinate = |byte: u8| f64::from(byte as i8) / 128.0 * 99.999_999;
    let command = Command {
        position: Position::new(coordinate(x), coordinate(y), coordinate(z))
            .expect("the position is within the limits"),
        gripper: if how >> 1 & 1 == 1 { Gripper::Closed } else { Gripper::Open },
        orientation: (how >> 7 == 1).then(|| Orientation::from_rpy([x, y, z].map(f64::from))),
    };
    let largest = u64::MAX >> (size & 63);
    [Order::Command(command), Order::Stop, Order::Heartbeat].map(|order| Line {
        order,
        seq: largest,
        stamp: Duration::new(largest, 999_999_999),
    })
}

fn read_extras(bits: u8) -> BTreeSet<Extra> {
    let all = [Extra::Seq, Extra::Stamp, Extra::Rpy, Extra::Quaternion, Extra::Ttl];
    all.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, extra)| extra).collect()
}

fn fields(mut next: impl FnMut() -> String) -> Option<JsonFields> {
    Some(JsonFields {
        coordinates: [next(), next(), next()],
        gripper: next(),
        open: serde_json::from_str(&next()).ok()?,
        closed: serde_json::from_str(&next()).ok()?,
        constant: serde_json::from_str(&next()).unwrap_or_default(),
        r#type: next(),
    })
}

const TTL: Duration = Duration::from_secs(60);
