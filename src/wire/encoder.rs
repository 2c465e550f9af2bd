//! The bridge's side of the protocol: orders to bytes.

use super::format::{OrderLines, WireConfig};
use super::message::{Line, Order, PositionUnit};

/// Writes orders as lines, in the unit of the wire.
///
/// Chooses the roll, pitch and yaw that are nearest to the angles of the last sent command.
/// Otherwise the angle could jump from 179° to -179°, and a controller that interpolates the angles
/// would rotate the tool by 358°. Therefore call [`note_sent`](Self::note_sent) for each sent line
/// and [`forget_sent`](Self::forget_sent) for each new connection.
#[derive(Debug, Clone)]
pub struct CommandEncoder {
    unit: PositionUnit,
    lines: OrderLines,
    has_angles: bool,
    /// The angles in the last command that was sent on this connection, in radians.
    last_rpy: Option<[f64; 3]>,
}

impl CommandEncoder {
    /// Creates an encoder for a controller with these settings.
    pub fn new(wire: &WireConfig) -> Self {
        let has_angles = wire.lines.command.has_angles();
        Self { unit: wire.unit, lines: wire.lines.clone(), has_angles, last_rpy: None }
    }

    /// Appends one line, including its newline, to `out`. Allocates nothing if `out` has enough
    /// capacity for the line.
    ///
    /// Lengths are exact decimal numbers of whole micrometres, with at least one decimal place.
    pub fn encode_into(&self, line: &Line, out: &mut Vec<u8>) {
        let template = match line.order {
            Order::Command(_) => &self.lines.command,
            Order::Stop => &self.lines.stop,
            Order::Heartbeat => &self.lines.heartbeat,
        };
        template.put(line, self.unit, self.angles(line).unwrap_or_default(), out);
    }

    /// Records that a line was sent, so that the angles of the next command are near to its angles.
    pub fn note_sent(&mut self, line: &Line) {
        self.last_rpy = self.angles(line).or(self.last_rpy);
    }

    /// Forgets the last angles, because a new connection begins.
    pub fn forget_sent(&mut self) {
        self.last_rpy = None;
    }

    /// Returns roll, pitch and yaw of the line in radians, if the line has angles.
    fn angles(&self, line: &Line) -> Option<[f64; 3]> {
        let Order::Command(command) = line.order else { return None };
        let orientation = command.orientation.filter(|_| self.has_angles)?;
        Some(self.last_rpy.map_or_else(|| orientation.rpy(), |last| orientation.rpy_near(last)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::CommandEncoder;
    use crate::arm::{Command, Gripper};
    use crate::geometry::{Orientation, Position};
    use crate::wire::{Extra, JsonFields, Line, Order, OrderLines, PositionUnit, WireConfig};

    fn line(x: f64, y: f64, z: f64, gripper: Gripper, unit: PositionUnit) -> String {
        let command = Command { position: Position::new(x, y, z).unwrap(), gripper, orientation: None };
        let line = Line::from(Order::Command(command));
        let mut bytes = Vec::new();
        CommandEncoder::new(&WireConfig { unit, ..WireConfig::default() }).encode_into(&line, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn command_is_the_exact_line_of_the_protocol() {
        assert_eq!(
            line(0.12, 0.0355, 0.21, Gripper::Open, PositionUnit::Millimetres),
            "{\"type\":\"command\",\"x\":120.0,\"y\":35.5,\"z\":210.0,\"gripper\":\"open\"}\n"
        );
        assert_eq!(
            line(0.12, 0.0355, -0.21, Gripper::Closed, PositionUnit::Centimetres),
            "{\"type\":\"command\",\"x\":12.0,\"y\":3.55,\"z\":-21.0,\"gripper\":\"closed\"}\n"
        );
        assert_eq!(
            line(0.12, 0.0355, 0.21, Gripper::Closed, PositionUnit::Metres),
            "{\"type\":\"command\",\"x\":0.12,\"y\":0.0355,\"z\":0.21,\"gripper\":\"closed\"}\n"
        );
    }

    #[test]
    fn numbers_have_no_exponent_and_no_negative_zero() {
        for (unit, expected) in [
            (PositionUnit::Millimetres, r#""x":100000.0,"y":-0.001,"z":0.0,"#),
            (PositionUnit::Centimetres, r#""x":10000.0,"y":-0.0001,"z":0.0,"#),
            (PositionUnit::Metres, r#""x":100.0,"y":-0.000001,"z":0.0,"#),
        ] {
            let line = line(100.0, -0.000_000_6, -0.000_000_4, Gripper::Open, unit);
            assert!(line.contains(expected), "{line}");
        }
        let line = line(-99.999_999_4, 0.3 - 0.1, -0.0, Gripper::Open, PositionUnit::Millimetres);
        assert!(line.contains(r#""x":-99999.999,"y":200.0,"z":0.0,"#), "{line}");
    }

    #[test]
    fn stop_and_heartbeat_are_equal_in_every_unit() {
        for (order, line) in
            [(Order::Stop, "{\"type\":\"stop\"}\n"), (Order::Heartbeat, "{\"type\":\"heartbeat\"}\n")]
        {
            for unit in [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres] {
                let mut bytes = b"before\n".to_vec();
                CommandEncoder::new(&WireConfig { unit, ..WireConfig::default() })
                    .encode_into(&order.into(), &mut bytes);
                assert_eq!(bytes, format!("before\n{line}").as_bytes());
            }
        }
    }

    #[test]
    fn angles_continue_from_the_last_sent_angles() {
        let extras = [Extra::Rpy].into_iter().collect();
        let lines = OrderLines::json(&JsonFields::default(), &extras, Duration::ZERO).unwrap();
        let mut encoder = CommandEncoder::new(&WireConfig { lines, ..WireConfig::default() });
        let with_yaw = |yaw: f64| {
            let position = Position::new(0.12, 0.0, 0.21).unwrap();
            let orientation = Some(Orientation::from_rpy([0.0, 0.0, yaw]));
            Line::from(Order::Command(Command { position, gripper: Gripper::Open, orientation }))
        };
        let sent_yaw = |encoder: &CommandEncoder, line: &Line| {
            let mut bytes = Vec::new();
            encoder.encode_into(line, &mut bytes);
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            value["rpy"][2].as_f64().unwrap()
        };
        encoder.note_sent(&with_yaw(3.1));
        encoder.note_sent(&Order::Heartbeat.into());
        assert!((sent_yaw(&encoder, &with_yaw(3.2)) - 3.2).abs() < 1e-5);
        // A line that was encoded but not sent does not count.
        assert!((sent_yaw(&encoder, &with_yaw(-3.0)) - 3.283_185).abs() < 1e-5);
        for step in 32..200 {
            let line = with_yaw(f64::from(step) / 10.0);
            assert!((sent_yaw(&encoder, &line) - f64::from(step) / 10.0).abs() < 1e-5);
            encoder.note_sent(&line);
        }
        encoder.forget_sent();
        assert!((sent_yaw(&encoder, &with_yaw(-3.0)) + 3.0).abs() < 1e-5);
    }
}
