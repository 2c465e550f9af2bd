//! The lines that are sent: those of the bridge, and two that are wrong on purpose and lead nowhere new.

use crate::protocol;
use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;

/// A line and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Without its newline.
    pub text: String,
    /// Its `seq`, if it has one.
    pub seq: Option<u64>,
}

impl Line {
    /// With its newline.
    pub fn bytes(&self) -> Vec<u8> {
        format!("{}\n", self.text).into_bytes()
    }
}

/// Where the arm is checked, and what its gripper is told to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// In the wire's unit.
    pub at: [f64; 3],
    pub gripper: Gripper,
}

/// Writes lines, and counts them where they are to be counted.
#[derive(Debug)]
pub(super) struct Writer {
    unit: PositionUnit,
    /// Where the arm may move. `None`: not at all.
    place: Option<Place>,
    /// How far from the place the next points are.
    off: f64,
    counted: bool,
    written: u64,
    commands: usize,
}

impl Writer {
    /// A writer of lines that move nothing.
    pub fn new(unit: PositionUnit, counted: bool) -> Self {
        Self { unit, place: None, off: 0.0, counted, written: 0, commands: 0 }
    }

    /// Allows motion around a place, not farther than `radius` millimetres. The next command leads to the place itself.
    pub fn allow(&mut self, place: Place, radius: f64) {
        (self.place, self.commands) = (Some(place), 0);
        self.off = (radius / 2.0).min(LONGEST_STEP / 2.0) / 1000.0 * self.unit.per_metre();
    }

    /// Allows no more motion.
    pub fn forbid(&mut self) {
        self.place = None;
    }

    /// Where the arm may move around.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// A command to the next of the allowed points; `None` if nothing may move.
    pub fn command(&mut self) -> Option<Line> {
        self.place.map(|place| {
            let point = self.next_point(&place);
            self.line(&self.pose("command", &place, point), "")
        })
    }

    /// A command to a point that the caller answers for; `None` if nothing may move.
    pub fn command_to(&mut self, point: [f64; 3]) -> Option<Line> {
        self.place.map(|place| self.line(&self.pose("command", &place, point), ""))
    }

    /// A command with one member that the protocol does not have.
    pub fn command_with_unknown_member(&mut self) -> Option<Line> {
        self.place.map(|place| {
            let point = self.next_point(&place);
            self.line(&self.pose("command", &place, point), r#","arm_check":true"#)
        })
    }

    /// A line of a type that there is not. It carries an allowed position: a controller that does not look at the type
    /// goes nowhere else.
    pub fn unknown_type(&mut self) -> Option<Line> {
        self.place.map(|place| self.line(&self.pose("no_such_type", &place, place.at), ""))
    }

    /// A line that is no JSON; nobody reads a position out of it.
    pub fn no_json(&self) -> Line {
        Line { text: "this is no JSON".to_owned(), seq: None }
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

    /// The place first, then back and forth around it.
    fn next_point(&mut self, place: &Place) -> [f64; 3] {
        let ([x, y, z], off) = (place.at, self.off);
        let way = [[x, y, z], [x + off, y, z], [x, y + off, z], [x - off, y, z], [x, y - off, z]];
        self.commands += 1;
        way[(self.commands - 1) % way.len()]
    }
}

/// The longest way that one command leads, in millimetres.
pub(super) const LONGEST_STEP: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::{LONGEST_STEP, Place, Writer};
    use aether_bridge::arm::Gripper;
    use aether_bridge::wire::PositionUnit;

    #[test]
    fn every_position_lies_within_the_radius_in_every_unit_and_whatever_the_line() {
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
    fn lines_are_those_of_the_bridge_and_counted_where_they_are_to_be() {
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
    fn no_two_points_are_farther_apart_than_a_step() {
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
