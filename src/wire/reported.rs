//! Reads the arm's state that a reply may report beside `ok` or `error`.
//!
//! A member that is `null` counts as absent. The bridge does not use a value that is not a valid
//! position, orientation, list of joint angles or gripper. Such a value does not make the line
//! invalid. It becomes [`Unreadable`], because it shows that the controller does not know the
//! value.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::message::PositionUnit;
use crate::arm::{Gripper, ReportedState, Unreadable};
use crate::geometry::{Orientation, Position};
use crate::text::sanitize_short;

/// The members of a reply that report state, as received. Each member is valid JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report<'a> {
    pub(super) position: Option<&'a RawValue>,
    pub(super) rpy: Option<&'a RawValue>,
    pub(super) quaternion: Option<&'a RawValue>,
    pub(super) gripper: Option<&'a RawValue>,
    pub(super) moving: Option<&'a RawValue>,
    pub(super) fault: Option<&'a RawValue>,
    pub(super) joints: Option<&'a RawValue>,
}

impl Report<'_> {
    /// Reads the members. `line` is the complete received line. Returns `None` if the members
    /// report no state.
    pub(super) fn read(self, unit: PositionUnit, line: &str) -> Option<ReportedState> {
        let position = self.position.map(|value| read_position(value, unit));
        let orientation = read_orientation(self.rpy, self.quaternion);
        let joints = self.joints.map(read_joints);
        let gripper = self.gripper.map(read_gripper);
        let state = ReportedState {
            moving: self.moving.and_then(|value| serde_json::from_str(value.get()).ok()),
            fault: self.fault.and_then(read_fault),
            unreadable: first_unreadable(&position, &orientation, &joints, &gripper),
            position: position.and_then(Result::ok),
            orientation: orientation.and_then(Result::ok),
            joints: joints.and_then(Result::ok),
            gripper: gripper.and_then(Result::ok).flatten(),
            raw: String::new(),
        };
        (state != ReportedState::default()).then(|| ReportedState { raw: sanitize_short(line), ..state })
    }
}

/// Returns the most important fault: first of the position, then of the orientation, the joints,
/// the gripper.
fn first_unreadable(
    position: &Option<Result<Position, Unreadable>>,
    orientation: &Option<Result<Orientation, Unreadable>>,
    joints: &Option<Result<Vec<f64>, Unreadable>>,
    gripper: &Option<Result<Option<Gripper>, Unreadable>>,
) -> Option<Unreadable> {
    fn fault<T>(read: &Option<Result<T, Unreadable>>) -> Option<&Unreadable> {
        read.as_ref().and_then(|read| read.as_ref().err())
    }
    fault(position).or(fault(orientation)).or(fault(joints)).or(fault(gripper)).cloned()
}

/// A position. It is a plain struct, because serde_json reads a plain struct from both
/// `{"x":…,"y":…,"z":…}` and `[x,y,z]`.
#[derive(Deserialize)]
struct Coordinates {
    x: f64,
    y: f64,
    z: f64,
}

/// Angles in radians, as an object or as `[roll,pitch,yaw]`. Commands have the second form.
#[derive(Deserialize)]
struct Angles {
    roll: f64,
    pitch: f64,
    yaw: f64,
}

/// A quaternion, as an object or as `[x,y,z,w]`. Commands have the second form.
#[derive(Deserialize)]
struct Quaternion {
    x: f64,
    y: f64,
    z: f64,
    w: f64,
}

fn read_position(value: &RawValue, unit: PositionUnit) -> Result<Position, Unreadable> {
    let Ok(Coordinates { x, y, z }) = serde_json::from_str(value.get()) else {
        return Err(unreadable("position", value, r#"expected {"x":…,"y":…,"z":…} or [x,y,z], all numbers"#));
    };
    let unit = unit.per_metre();
    Position::new(x / unit, y / unit, z / unit)
        .map_err(|error| unreadable("position", value, &error.to_string()))
}

fn read_orientation(
    rpy: Option<&RawValue>,
    quaternion: Option<&RawValue>,
) -> Option<Result<Orientation, Unreadable>> {
    let angles = rpy.map(|value| (value, read_rpy(value)));
    let Some(value) = quaternion else { return angles.map(|(_, read)| read) };
    Some(read_quaternion(value).and_then(|orientation| match angles {
        None => Ok(orientation),
        Some((_, Err(error))) => Err(error),
        Some((_, Ok(other))) if orientation.angle_to(other) <= SAME_ROTATION => Ok(orientation),
        Some((angles, Ok(_))) => Err(unreadable("rpy", angles, "\"quaternion\" is another orientation")),
    }))
}

fn read_rpy(value: &RawValue) -> Result<Orientation, Unreadable> {
    let Ok(Angles { roll, pitch, yaw }) = serde_json::from_str(value.get()) else {
        return Err(unreadable("rpy", value, "expected [roll,pitch,yaw], all numbers"));
    };
    let angles = [roll, pitch, yaw];
    if angles.iter().any(|angle| angle.abs() > MAX_ANGLE) {
        return Err(unreadable(
            "rpy",
            value,
            "an angle is beyond ±1000 rad; does the controller send radians?",
        ));
    }
    Ok(Orientation::from_rpy(angles))
}

fn read_quaternion(value: &RawValue) -> Result<Orientation, Unreadable> {
    let Ok(Quaternion { x, y, z, w }) = serde_json::from_str(value.get()) else {
        return Err(unreadable("quaternion", value, "expected [x,y,z,w], all numbers"));
    };
    Orientation::new([x, y, z, w]).map_err(|_| unreadable("quaternion", value, "its length is not 1"))
}

fn read_joints(value: &RawValue) -> Result<Vec<f64>, Unreadable> {
    match serde_json::from_str::<Vec<f64>>(value.get()) {
        Ok(joints) if joints.len() <= MAX_JOINTS => Ok(joints),
        _ => Err(unreadable("joints", value, "expected an array of at most 64 numbers")),
    }
}

/// Reads the state of the gripper. Returns `Ok(None)` if the controller reports another word, a
/// number or a boolean (for example how far the gripper is open).
fn read_gripper(value: &RawValue) -> Result<Option<Gripper>, Unreadable> {
    let text = value.get();
    let of_its_own = match serde_json::from_str::<Cow<'_, str>>(text) {
        Ok(word) => {
            let known = [Gripper::Open, Gripper::Closed].into_iter().find(|gripper| gripper.as_str() == word);
            if known.is_some() {
                return Ok(known);
            }
            !is_non_number(&word)
        }
        Err(_) => serde_json::from_str::<bool>(text).is_ok() || serde_json::from_str::<f64>(text).is_ok(),
    };
    let fault = || unreadable("gripper", value, r#"expected "open" or "closed""#);
    if of_its_own { Ok(None) } else { Err(fault()) }
}

/// Returns the fault that the controller reports, if it reports any. Controllers send words,
/// numbers, booleans and objects. Every value is a fault, unless it certainly means "no fault".
fn read_fault(value: &RawValue) -> Option<String> {
    let text = value.get();
    let means_no_fault = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Null | serde_json::Value::Bool(false)) => true,
        Ok(serde_json::Value::Number(number)) => number.as_f64() == Some(0.0),
        Ok(serde_json::Value::Array(values)) => values.is_empty(),
        Ok(serde_json::Value::Object(members)) => members.is_empty(),
        Ok(serde_json::Value::String(words)) => {
            let word = words.trim();
            if !NO_FAULT.iter().any(|none| word.eq_ignore_ascii_case(none)) {
                return Some(sanitize_short(&words));
            }
            true
        }
        Ok(serde_json::Value::Bool(true)) | Err(_) => false,
    };
    (!means_no_fault).then(|| sanitize_short(text))
}

fn unreadable(member: &'static str, value: &RawValue, why: &str) -> Unreadable {
    Unreadable { member, value: sanitize_short(value.get()), why: sanitize_short(why) }
}

/// Puts quotes around each word that stands for a number but is not a finite number (`NaN`,
/// `-Infinity`, `1e999`), so that the line is JSON. Returns `None` if the line has no such word.
///
/// Python's `json`, C's `printf` and other libraries write such words if they have no value.
pub(super) fn quote_non_numbers(line: &str) -> Option<String> {
    let (mut quoted, mut rest, mut found) = (String::with_capacity(line.len() + 16), line, false);
    while let Some(start) = rest.find(|c: char| !is_between(c)) {
        quoted.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = if rest.starts_with('"') {
            end_of_string(rest)
        } else {
            rest.find(|c| is_between(c) || c == '"').unwrap_or(rest.len())
        };
        let token = &rest[..end];
        let non_number = !token.starts_with('"') && is_non_number(token);
        let quote = if non_number { "\"" } else { "" };
        quoted.extend([quote, token, quote]);
        found |= non_number;
        rest = &rest[end..];
    }
    quoted.push_str(rest);
    found.then_some(quoted)
}

/// Returns whether a character of JSON separates values.
fn is_between(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | ':' | ',') || c.is_ascii_whitespace()
}

/// Returns the length of the string at the start of the text, including its quotes.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

/// Returns whether a word is how print functions write a value that is not finite, or a number that
/// is too large for an `f64`.
fn is_non_number(word: &str) -> bool {
    let unsigned = word.trim_start_matches(['+', '-']);
    // Microsoft's C library writes 1.#INF, 1.#QNAN and nan(ind).
    let of_microsoft = unsigned.starts_with("1.#") || unsigned.starts_with("nan(");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '#' | '(' | ')' | '_');
    word.chars().all(plain) && (of_microsoft || word.parse::<f64>().is_ok_and(|number| !number.is_finite()))
}

/// The most joints in a reply. No arm has more.
const MAX_JOINTS: usize = 64;
/// The largest angle in radians. No tool rotates so far.
const MAX_ANGLE: f64 = 1000.0;
/// The largest difference in radians between `rpy` and `quaternion` of the same orientation.
const SAME_ROTATION: f64 = 0.05;
/// The values that controllers send if there is no fault.
const NO_FAULT: [&str; 9] = ["", "none", "ok", "no", "no fault", "no error", "no_error", "false", "0"];
