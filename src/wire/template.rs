//! Templates: lines with placeholders for values. Both formats, JSON and text, are made of them.

use std::time::Duration;

use bytes::BufMut;

use super::message::{Line, Order, PositionUnit};
use crate::arm::Gripper;
use crate::text::is_control_like;

/// A line with placeholders, including its newline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(Vec<u8>),
    Field(Field),
}

/// The value of a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// x, y or z (0, 1, 2), in the unit of the wire.
    Coordinate(usize),
    /// One of two words for the gripper.
    Gripper {
        /// The word for open.
        open: String,
        /// The word for closed.
        closed: String,
    },
    /// Roll, pitch or yaw (0, 1, 2), in radians.
    Angle(usize),
    /// x, y, z or w of a quaternion (0 to 3).
    Quaternion(usize),
    /// The number of the line.
    Seq,
    /// The send time, in seconds since 1970.
    Stamp,
}

/// The optional members of a JSON line, in the sequence in which the line has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// `seq`: the number of the line.
    Seq,
    /// `stamp`: the send time.
    Stamp,
    /// `rpy`: the orientation of the tool as roll, pitch and yaw, in radians.
    Rpy,
    /// `quaternion`: the orientation of the tool as x, y, z and w.
    Quaternion,
    /// `ttl`: a time in milliseconds. If the controller receives no further line within this time,
    /// it must stop the arm.
    Ttl,
}

/// Whether a line has a position and the gripper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A command has them.
    Command,
    /// A stop or a heartbeat does not have them.
    Bare,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The braces have an unknown name. Has this name, and the list of the placeholders.
    #[error("'{{{0}}}' is not a placeholder; the placeholders of this line are {1}")]
    Unknown(String, &'static str),
    /// A brace has no partner.
    #[error("a brace has no partner; to send a brace, write it twice: {{{{ or }}}}")]
    Brace,
    /// The text has a line break or another control character.
    #[error("it has a line break, or another character that cannot be printed")]
    Unprintable,
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// The command has no coordinate.
    #[error("it has none of {{x}}, {{y}} and {{z}}")]
    NoCoordinate,
    /// Open and closed have the same word.
    #[error("it has the word '{0}' for both the open and the closed gripper")]
    SameGripper(String),
    /// The text is too long for a line.
    #[error("it is longer than {MAX_TEMPLATE} bytes")]
    TooLong,
}

impl Template {
    /// Creates a template from a text with placeholders in braces, without the newline. `ttl` is
    /// the value of `{ttl}`.
    ///
    /// # Errors
    /// The text is not a template.
    pub fn parse(text: &str, kind: Kind, ttl: Duration) -> Result<Self, TemplateError> {
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.chars().any(is_control_like) {
            return Err(TemplateError::Unprintable);
        }
        if text.len() > MAX_TEMPLATE {
            return Err(TemplateError::TooLong);
        }
        let mut template = Self::default();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            template.text(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(after) = after.strip_prefix(brace) {
                template.text(brace);
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('}').filter(|_| brace == "{").ok_or(TemplateError::Brace)?;
            if name == "ttl" {
                template.ttl(ttl);
            } else {
                template.field(field(name, kind)?);
            }
            rest = after;
        }
        template.text(rest);
        template.text("\n");
        if kind == Kind::Command && !template.fields().any(|field| matches!(field, Field::Coordinate(_))) {
            return Err(TemplateError::NoCoordinate);
        }
        Ok(template)
    }

    /// Appends fixed text.
    pub(super) fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Segment::Text(before)) => before.extend_from_slice(text.as_bytes()),
            _ if text.is_empty() => {}
            _ => self.0.push(Segment::Text(text.into())),
        }
    }

    /// Appends a placeholder.
    pub(super) fn field(&mut self, field: Field) {
        self.0.push(Segment::Field(field));
    }

    /// Appends the time as whole milliseconds.
    pub(super) fn ttl(&mut self, ttl: Duration) {
        self.text(&ttl.as_millis().to_string());
    }

    /// Returns whether the line has its number, so that a reply may echo it.
    pub fn has_seq(&self) -> bool {
        self.fields().any(|field| *field == Field::Seq)
    }

    /// Returns whether the line has the orientation of the tool.
    pub fn has_orientation(&self) -> bool {
        self.fields().any(|field| matches!(field, Field::Angle(_) | Field::Quaternion(_)))
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Field(field) => Some(field),
            Segment::Text(_) => None,
        })
    }

    /// Returns whether the line has roll, pitch or yaw.
    pub(super) fn has_angles(&self) -> bool {
        self.fields().any(|field| matches!(field, Field::Angle(_)))
    }

    /// Appends the line with its values to `out`. `rpy` are the angles of its orientation in
    /// radians.
    pub(super) fn put(&self, line: &Line, unit: PositionUnit, rpy: [f64; 3], out: &mut impl BufMut) {
        for segment in &self.0 {
            match segment {
                Segment::Text(text) => out.put_slice(text),
                Segment::Field(field) => field.put(line, unit, rpy, out),
            }
        }
    }

    /// Returns the length of the line in bytes, without its numbers.
    pub(super) fn length(&self) -> usize {
        let length = |segment: &Segment| match segment {
            Segment::Text(text) => text.len(),
            Segment::Field(Field::Gripper { open, closed }) => open.len().max(closed.len()),
            Segment::Field(_) => 0,
        };
        self.0.iter().map(length).sum()
    }
}

impl Field {
    fn put(&self, line: &Line, unit: PositionUnit, rpy: [f64; 3], out: &mut impl BufMut) {
        match (self, &line.order) {
            (Self::Seq, _) => put_integer(line.seq, out),
            (Self::Stamp, _) => put_seconds(line.stamp, out),
            (Self::Coordinate(axis), Order::Command(command)) => {
                put_length(command.position.coordinates()[*axis], unit, out)
            }
            (Self::Gripper { open, closed }, Order::Command(command)) => {
                out.put_slice(if command.gripper == Gripper::Open { open } else { closed }.as_bytes())
            }
            (Self::Angle(part), Order::Command(_)) => put_micro(rpy[*part], out),
            (Self::Quaternion(part), Order::Command(command)) => {
                let identity = [0.0, 0.0, 0.0, 1.0];
                put_micro(command.orientation.map_or(identity, |orientation| orientation.xyzw())[*part], out)
            }
            // Only a command's template has these placeholders.
            (_, Order::Stop | Order::Heartbeat) => {}
        }
    }
}

/// Writes a length as a decimal number in `unit`, rounded to whole micrometres.
pub fn put_length(metres: f64, unit: PositionUnit, out: &mut impl BufMut) {
    put_decimal((metres * 1e6).round() as i64, unit.micrometres(), out);
}

/// Writes `parts / per_whole` as a decimal number. `per_whole` is a power of ten. The calculation
/// uses integers, so the result is exact (never 35.50000000000001) and has no exponent and no
/// negative zero.
fn put_decimal(parts: i64, per_whole: u64, out: &mut impl BufMut) {
    if parts < 0 {
        out.put_u8(b'-');
    }
    let magnitude = parts.unsigned_abs();
    put_integer(magnitude / per_whole, out);
    out.put_u8(b'.');
    let (mut fraction, mut place) = (magnitude % per_whole, per_whole / 10);
    loop {
        out.put_u8(b'0' + (fraction / place) as u8);
        fraction %= place;
        if fraction == 0 {
            break;
        }
        place /= 10;
    }
}

fn put_integer(mut number: u64, out: &mut impl BufMut) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

fn put_micro(value: f64, out: &mut impl BufMut) {
    put_decimal((value * 1e6).round() as i64, 1_000_000, out);
}

fn put_seconds(since_1970: Duration, out: &mut impl BufMut) {
    put_integer(since_1970.as_secs(), out);
    out.put_u8(b'.');
    let micros = since_1970.subsec_micros();
    for place in [100_000, 10_000, 1_000, 100, 10, 1] {
        out.put_u8(b'0' + (micros / place % 10) as u8);
    }
}

fn field(name: &str, kind: Kind) -> Result<Field, TemplateError> {
    let known = if kind == Kind::Command { OF_COMMANDS } else { OF_ALL };
    let unknown = || TemplateError::Unknown(name.to_owned(), known);
    let field = match name {
        "seq" => return Ok(Field::Seq),
        "stamp" => return Ok(Field::Stamp),
        "x" => Field::Coordinate(0),
        "y" => Field::Coordinate(1),
        "z" => Field::Coordinate(2),
        "roll" => Field::Angle(0),
        "pitch" => Field::Angle(1),
        "yaw" => Field::Angle(2),
        "qx" => Field::Quaternion(0),
        "qy" => Field::Quaternion(1),
        "qz" => Field::Quaternion(2),
        "qw" => Field::Quaternion(3),
        "gripper" => Field::Gripper { open: "open".into(), closed: "closed".into() },
        _ => {
            let words = name.strip_prefix("gripper:").and_then(|words| words.split_once('|'));
            let (open, closed) = words.ok_or_else(unknown)?;
            if open == closed {
                return Err(TemplateError::SameGripper(open.to_owned()));
            }
            Field::Gripper { open: open.into(), closed: closed.into() }
        }
    };
    if kind == Kind::Command { Ok(field) } else { Err(unknown()) }
}

const OF_COMMANDS: &str = "{x}, {y}, {z}, {gripper}, {gripper:OPEN|CLOSED} with two words of yours, {roll}, {pitch}, \
                           {yaw}, {qx}, {qy}, {qz}, {qw}, {seq}, {stamp} and {ttl}";
const OF_ALL: &str = "{seq}, {stamp} and {ttl}";
/// The longest template in bytes. With its values it is still much shorter than the longest line
/// that a controller must accept.
pub(super) const MAX_TEMPLATE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arm::Command;
    use crate::geometry::{Orientation, Position};

    const TTL: Duration = Duration::from_millis(250);

    fn filled(text: &str, gripper: Gripper) -> String {
        let command = Command {
            position: Position::new(0.12, -0.0355, 0.21).unwrap(),
            gripper,
            orientation: Some(Orientation::from_rpy([0.1, -0.2, 1.5])),
        };
        let line = Line {
            order: Order::Command(command),
            seq: 17,
            stamp: Duration::from_micros(1_732_233_600_000_042),
        };
        let mut out = Vec::new();
        let template = Template::parse(text, Kind::Command, TTL).unwrap();
        template.put(&line, PositionUnit::Millimetres, [0.1, -0.2, 1.5], &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_placeholder_gets_its_value() {
        for (text, line) in [
            ("COMMAND MOVE {x} {y} {z} {gripper:OPEN|CLOSED}", "COMMAND MOVE 120.0 -35.5 210.0 OPEN\n"),
            ("{x};{gripper}", "120.0;open\n"),
            ("{x} {roll} {pitch} {yaw}", "120.0 0.1 -0.2 1.5\n"),
            ("{x} {qx} {qy} {qz} {qw}", "120.0 0.104352 -0.039058 0.681037 0.723723\n"),
            ("{{{x}}} {seq} {stamp} {ttl}", "{120.0} 17 1732233600.000042 250\n"),
        ] {
            assert_eq!(filled(text, Gripper::Open), line);
        }
        assert_eq!(filled("{x} {gripper:M5|M3 S90}", Gripper::Closed), "120.0 M3 S90\n");
        assert_eq!(filled("{x} {gripper:|!}", Gripper::Open), "120.0 \n");
    }

    #[test]
    fn invalid_template_is_rejected_with_the_reason() {
        let rejected = |text: &str, kind| Template::parse(text, kind, TTL).unwrap_err().to_string();
        for (text, words) in [
            ("G1 X{px}", "'{px}' is not a placeholder; the placeholders of this line are {x}, {y}, {z}"),
            ("{x} {gripper:OPEN}", "'{gripper:OPEN}' is not a placeholder"),
            ("{x", "a brace has no partner"),
            ("{x}}", "a brace has no partner"),
            ("{x}\nM112", "a line break"),
            ("{x}\u{1b}[2J", "a line break, or another character"),
            ("{x} {gripper:GRIP|GRIP}", "it has the word 'GRIP' for both the open and the closed gripper"),
            (" ", "it is empty"),
            ("HOME {seq}", "it has none of {x}, {y} and {z}"),
        ] {
            assert!(
                rejected(text, Kind::Command).contains(words),
                "{text:?}: {}",
                rejected(text, Kind::Command)
            );
        }
        assert!(rejected("STOP {x}", Kind::Bare).ends_with("of this line are {seq}, {stamp} and {ttl}"));
        // A line break is found in a long text too.
        let hidden = format!("{{x}} {} \nG28", "G".repeat(300));
        assert!(rejected(&hidden, Kind::Command).contains("a line break"));
        assert!(rejected(&format!("{{x}}{}", "G".repeat(1024)), Kind::Command).contains("longer than 1024"));
    }
}
