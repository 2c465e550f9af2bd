//! The lines that are sent: the lines of the bridge, and two invalid lines that do not move the
//! arm.

use crate::protocol;
use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;

/// A line to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The text without the newline.
    pub text: String,
    /// The `seq` of the line, if it has one.
    pub seq: Option<u64>,
}

impl Line {
    /// Returns the bytes with the newline.
    pub fn bytes(&self) -> Vec<u8> {
        format!("{}\n", self.text).into_bytes()
    }
}

/// The position where the arm is checked, and the state of the gripper in commands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// The position, in the wire's unit.
    pub at: [f64; 3],
    pub gripper: Gripper,
}

/// Writes lines, and numbers them if they need a `seq`.
#[derive(Debug)]
pub(super) struct Writer {
    unit: PositionUnit,
    /// The position around which the arm may move. `None`: no motion is allowed.
    place: Option<Place>,
    /// The distance of the next points from that position, in the wire's unit.
    off: f64,
    counted: bool,
    written: u64,
    commands: usize,
}

impl Writer {
    /// Creates a writer that allows no motion.
    pub fn new(unit: PositionUnit, counted: bool) -> Self {
        Self { unit, place: None, off: 0.0, counted, written: 0, commands: 0 }
    }

    /// Allows motion around a position, within `radius` millimetres. The next command goes to the
    /// position itself.
    pub fn allow(&mut self, place: Place, radius: f64) {
        (self.place, self.commands) = (Some(place), 0);
        self.off = (radius / 2.0).min(LONGEST_STEP / 2.0) / 1000.0 * self.unit.per_metre();
    }

    /// Forbids further motion.
    pub fn forbid(&mut self) {
        self.place = None;
    }

    /// Returns the position around which the arm may move.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// Returns a command to the next allowed point, or `None` if nothing may move.
    pub fn command(&mut self) -> Option<Line> {
        self.place.map(|place| {
            let point = self.next_point(&place);
            self.line(&self.pose("command", &place, point), "")
        })
    }

    /// Returns a command to a point that the caller has checked, or `None` if nothing may move.
    pub fn command_to(&mut self, point: [f64; 3]) -> Option<Line> {
        self.place.map(|place| self.line(&self.pose("command", &place, point), ""))
    }

    /// Returns a command with a member that the protocol does not define.
    pub fn command_with_unknown_member(&mut self) -> Option<Line> {
        self.place.map(|place| {
            let point = self.next_point(&place);
            self.line(&self.pose("command", &place, point), r#","arm_check":true"#)
        })
    }

    /// Returns a line of an unknown type. It carries an allowed position, so a controller that
    /// ignores the type moves only there.
    pub fn unknown_type(&mut self) -> Option<Line> {
        self.place.map(|place| self.line(&self.pose("no_such_type", &place, place.at), ""))
    }

    /// Returns a line that is not JSON. It contains no position.
    pub fn no_json(&self) -> Line {
        Line { text: "this is not JSON".to_owned(), seq: None }
    }

    pub fn stop(&mut self) -> Line {
        self.line(r#"{"type":"stop""#, "")
    }

    pub fn heartbeat(&mut self) -> Line {
        self.line(r#"{"type":"heartbeat""#, "")
    }

    fn line(&mut self, start: &str, end: &str) -> Line {
        self.written += 1;
        let seq = self.counted.then_some(self.written);
        let member = seq.map(|seq| format!(r#","seq":{seq}"#)).unwrap_or_default();
        Line { text: format!("{start}{member}{end}}}"), seq }
    }

    fn pose(&self, kind: &str, place: &Place, point: [f64; 3]) -> String {
        protocol::pose(kind, point, self.unit, place.gripper.as_str())
    }

    /// Returns the position first, then points on each side of it.
    fn next_point(&mut self, place: &Place) -> [f64; 3] {
        let ([x, y, z], off) = (place.at, self.off);
        let way = [[x, y, z], [x + off, y, z], [x, y + off, z], [x - off, y, z], [x, y - off, z]];
        self.commands += 1;
        way[(self.commands - 1) % way.len()]
    }
}

/// The longest distance of one command, in millimetres.
pub(super) const LONGEST_STEP: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::{LONGEST_STEP, Place, Writer};
    use aether_bridge::arm::Gripper;
    use aether_bridge::wire::PositionUnit;

    #[test]
    fn every_position_is_within_the_radius() {
        for unit in [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres] {
            let middle = [0.2, -0.1, 0.3].map(|metres| metres * unit.per_metre());
            let mut writer = Writer::new(unit, true);
            writer.allow(Place { at: middle, gripper: Gripper::Closed }, 5.0);
            for _ in 0..20 {
                for line in [writer.command(), writer.command_with_unknown_member(), writer.unknown_type()] {
                    let line: serde_json::Value = serde_json::from_str(&line.unwrap().text).unwrap();
                    let square = |(axis, middle)| {
                        let off: f64 = line[axis].as_f64().unwrap() - middle;
                        off * off
                    };
                    let off = ["x", "y", "z"].into_iter().zip(middle).map(square).sum::<f64>().sqrt();
                    assert!(off / unit.per_metre() * 1000.0 <= 5.0, "{line}");
                    assert_eq!(line["gripper"], "closed");
                }
            }
        }
    }

    #[test]
    fn lines_match_the_bridge_and_are_numbered() {
        let mut plain = Writer::new(PositionUnit::Millimetres, false);
        plain.allow(Place { at: [120.0, 35.5, 210.0], gripper: Gripper::Open }, 0.0);
        assert_eq!(
            plain.command().unwrap().text,
            r#"{"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}"#
        );
        assert_eq!((plain.stop().text, plain.stop().seq), (r#"{"type":"stop"}"#.to_owned(), None));
        let mut counted = Writer::new(PositionUnit::Millimetres, true);
        assert_eq!(counted.heartbeat().text, r#"{"type":"heartbeat","seq":1}"#);
        assert_eq!(counted.stop().seq, Some(2));
        assert_eq!((counted.command(), counted.command_to([0.0; 3])), (None, None));
    }

    #[test]
    fn consecutive_points_are_within_one_step() {
        let mut writer = Writer::new(PositionUnit::Millimetres, false);
        writer.allow(Place { at: [0.0; 3], gripper: Gripper::Open }, 100.0);
        let mut points = (0..20).map(|_| {
            let line: serde_json::Value = serde_json::from_str(&writer.command().unwrap().text).unwrap();
            ["x", "y", "z"].map(|axis| line[axis].as_f64().unwrap())
        });
        let mut last = points.next().unwrap();
        for point in points {
            let way: f64 = point.iter().zip(last).map(|(a, b)| (a - b).powi(2)).sum();
            assert!(way.sqrt() <= LONGEST_STEP, "{last:?} {point:?}");
            last = point;
        }
    }
}
