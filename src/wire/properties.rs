//! Properties that hold for any template, any member names and any text.

use std::time::Duration;

use proptest::prelude::*;

use super::{CommandEncoder, Extra, JsonFields, MAX_LINE, Order, OrderLines, PositionUnit, WireConfig};
use crate::arm::{Command, Gripper};
use crate::geometry::{MAX_COORDINATE, Position};
use crate::text::sanitize_short;

fn order() -> impl Strategy<Value = Order> {
    let coordinates = prop::array::uniform3(-MAX_COORDINATE..=MAX_COORDINATE);
    let gripper = prop_oneof![Just(Gripper::Open), Just(Gripper::Closed)];
    let command = (coordinates, gripper).prop_map(|([x, y, z], gripper)| {
        let position = Position::new(x, y, z).unwrap();
        Order::Command(Command { position, gripper, orientation: None })
    });
    prop_oneof![2 => command, 1 => Just(Order::Stop), 1 => Just(Order::Heartbeat)]
}

proptest! {
    #[test]
    fn valid_template_makes_exactly_one_line(
        text in "(\\PC|[{}]|\\{(x|y|z|gripper|gripper:[A-Z]*\\|[a-z]*|roll|qw|seq|stamp|ttl)\\}|\n){0,12}", order in order(),
    ) {
        let texts = [text.as_str(), "STOP {seq}", "HEARTBEAT"];
        if let Ok(lines) = OrderLines::text(texts, Duration::from_millis(500)) {
            let mut out = Vec::new();
            CommandEncoder::new(&WireConfig { unit: PositionUnit::Metres, lines, ..WireConfig::default() }).encode_into(&order.into(), &mut out);
            let line = String::from_utf8(out).unwrap();
            prop_assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{:?}", line);
            prop_assert!(line.len() <= MAX_LINE);
        }
    }

    #[test]
    fn line_with_any_names_is_one_json_object(
        names in prop::array::uniform5("\\PC{0,6}"), open in "\\PC{0,4}", constant in "[a-z]{1,3}", all in any::<bool>(), order in order(),
    ) {
        let [kind, x, y, z, gripper] = names;
        let fields = JsonFields {
            r#type: kind,
            coordinates: [x, y, z],
            gripper,
            open: open.into(),
            closed: 1.into(),
            constant: [(constant, serde_json::json!({"a": [1.5]}))].into_iter().collect(),
        };
        let extras = [Extra::Seq, Extra::Stamp, Extra::Rpy, Extra::Quaternion, Extra::Ttl];
        let extras = extras.into_iter().filter(|_| all).collect();
        if let Ok(lines) = OrderLines::json(&fields, &extras, Duration::from_millis(500)) {
            let mut out = Vec::new();
            CommandEncoder::new(&WireConfig { unit: PositionUnit::Metres, lines, ..WireConfig::default() }).encode_into(&order.into(), &mut out);
            let line = String::from_utf8(out).unwrap();
            prop_assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{:?}", line);
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert!(value.is_object());
        }
    }

    #[test]
    fn sanitized_text_stays_the_same(chars in prop::collection::vec(any::<char>(), 0..300)) {
        let shown = sanitize_short(&chars.into_iter().collect::<String>());
        prop_assert!(!shown.contains(char::is_control));
        prop_assert_eq!(sanitize_short(&shown), shown);
    }
}
