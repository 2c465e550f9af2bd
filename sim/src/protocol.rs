//! Writes lines as in docs/protocol.md. Does not use the bridge's encoder, because a fault in a
//! shared encoder would stay hidden.

use aether_bridge::wire::PositionUnit;

/// Returns the start of a line with a position, up to the member `gripper`.
pub(crate) fn pose(kind: &str, point: [f64; 3], unit: PositionUnit, gripper: &str) -> String {
    let [x, y, z] = point.map(|value| number(value, unit));
    format!(r#"{{"type":"{kind}","x":{x},"y":{y},"z":{z},"gripper":"{gripper}""#)
}

/// Formats a number for a line: rounded to a micrometre, at least one decimal place, no negative
/// zero.
pub(crate) fn number(value: f64, unit: PositionUnit) -> String {
    let places = match unit {
        PositionUnit::Millimetres => 3,
        PositionUnit::Centimetres => 4,
        PositionUnit::Metres => 6,
    };
    let text = format!("{value:.places$}");
    let text = text.trim_end_matches('0');
    let text = if text.ends_with('.') { format!("{text}0") } else { text.to_owned() };
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::number;
    use aether_bridge::wire::PositionUnit;

    #[test]
    fn numbers_are_written_as_the_bridge_writes_them() {
        for (value, unit, text) in [
            (120.0, PositionUnit::Millimetres, "120.0"),
            (35.5004, PositionUnit::Millimetres, "35.5"),
            (-0.0004, PositionUnit::Millimetres, "0.0"),
            (-3.55, PositionUnit::Centimetres, "-3.55"),
            (0.000_001, PositionUnit::Metres, "0.000001"),
        ] {
            assert_eq!(number(value, unit), text);
        }
    }
}
