//! The lines that are sent: those of the bridge, and two that are wrong on purpose and lead nowhere new.

use super::config::Allowed;
use crate::protocol;
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

/// Writes lines, and counts them where they are to be counted.
#[derive(Debug)]
pub(super) struct Writer {
    unit: PositionUnit,
    allowed: Option<Allowed>,
    counted: bool,
    written: u64,
    commands: usize,
}

impl Writer {
    pub fn new(unit: PositionUnit, allowed: Option<Allowed>, counted: bool) -> Self {
        Self { unit, allowed, counted, written: 0, commands: 0 }
    }

    /// A command to the next of the allowed points; `None` if nothing may move.
    pub fn command(&mut self) -> Option<Line> {
        self.allowed.map(|allowed| {
            let point = self.next_point(&allowed);
            self.line(&self.pose("command", &allowed, point), "")
        })
    }

    /// A command with one member that the protocol does not have.
    pub fn command_with_unknown_member(&mut self) -> Option<Line> {
        self.allowed.map(|allowed| {
            let point = self.next_point(&allowed);
            self.line(&self.pose("command", &allowed, point), r#","arm_check":true"#)
        })
    }

    /// A line of a type that there is not. It carries an allowed position: a controller that does not look at the type
    /// goes nowhere else.
    pub fn unknown_type(&mut self) -> Option<Line> {
        self.allowed.map(|allowed| self.line(&self.pose("no_such_type", &allowed, allowed.at()), ""))
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

    fn pose(&self, kind: &str, allowed: &Allowed, point: [f64; 3]) -> String {
        protocol::pose(kind, point, self.unit, allowed.gripper().as_str())
    }

    /// The middle first, then back and forth around it at half the radius.
    fn next_point(&mut self, allowed: &Allowed) -> [f64; 3] {
        let step = allowed.radius() / 2.0 / 1000.0 * self.unit.per_metre();
        let [x, y, z] = allowed.at();
        let way = [[x, y, z], [x + step, y, z], [x, y + step, z], [x - step, y, z], [x, y - step, z]];
        self.commands += 1;
        way[(self.commands - 1) % way.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::Writer;
    use crate::check::Allowed;
    use aether_bridge::arm::Gripper;
    use aether_bridge::wire::PositionUnit;

    #[test]
    fn every_position_lies_within_the_radius_in_every_unit_and_whatever_the_line() {
        for unit in [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres] {
            let middle = [0.2, -0.1, 0.3].map(|metres| metres * unit.per_metre());
            let allowed = Allowed::new(middle, unit, 5.0, Gripper::Closed).unwrap();
            let mut writer = Writer::new(unit, Some(allowed), true);
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
        let allowed =
            Allowed::new([120.0, 35.5, 210.0], PositionUnit::Millimetres, 0.0, Gripper::Open).unwrap();
        let mut plain = Writer::new(PositionUnit::Millimetres, Some(allowed), false);
        assert_eq!(
            plain.command().unwrap().text,
            r#"{"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}"#
        );
        assert_eq!((plain.stop().text, plain.stop().seq), (r#"{"type":"stop"}"#.to_owned(), None));
        let mut counted = Writer::new(PositionUnit::Millimetres, None, true);
        assert_eq!(counted.heartbeat().text, r#"{"type":"heartbeat","seq":1}"#);
        assert_eq!(counted.stop().seq, Some(2));
        assert_eq!(counted.command(), None);
    }
}
