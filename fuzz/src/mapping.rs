//! Checks any message with any field selection. Either the selection is rejected with the name of
//! its parameter, or the sample has the values of the selected fields.

use aether_bridge::geometry::Orientation;
use aether_bridge::mapping::{FieldPath, FieldSelector, Fields, Mapping, MappingError, Schema};
use aether_bridge::teleop::Target;
use serde_json::Value;

use super::input::{NEXT, texts};

/// Runs the checks. The texts are a new message of a type, a received message, and the field
/// selection for both.
pub fn check(data: &[u8]) {
    let mut texts = texts(data, NEXT);
    let mut next = || texts.next().unwrap_or_default();
    let (made, message) = (serde_json::from_str(&next()), serde_json::from_str::<Value>(&next()));
    let (Ok(made), Ok(message)) = (made, message) else { return };
    let Some(stamp) = choice(&next()) else { return };
    let Some(frame) = choice(&next()) else { return };
    let Some(valid) = choice(&next()) else { return };
    let Some(gripper) = choice(&next()) else { return };
    let Some(position) = choices([next(), next(), next()]) else { return };
    let Some(orientation) = choices([next(), next(), next(), next()]) else { return };
    let Some(gripper_valid) = choice(&next()) else { return };
    let fields = Fields { position, orientation, stamp, frame, valid, gripper, gripper_valid };
    let schema = Schema::of(made, Some);
    match fields.of(TYPE, &schema) {
        Ok(mapping) => {
            assert_eq!(mapping.check(&schema), Ok(()));
            check_mapping(&mapping, &message);
        }
        Err(error) => {
            let error = error.to_string();
            let names_parameter = ["input.", "gripper.valid"].iter().any(|name| error.contains(name));
            assert!(error.contains(TYPE) && names_parameter, "{error}");
        }
    }
}

fn check_mapping(mapping: &Mapping, message: &Value) {
    match mapping.sample(message) {
        Ok(sample) => {
            for (path, read) in mapping.position.iter().zip(sample.position) {
                let value = path.find(message).expect("the field was read");
                // JSON writes a number that is not finite as null.
                assert!(
                    value.as_f64() == Some(read) || value.is_null() && read.is_nan(),
                    "{path} is {value}"
                );
            }
            let [x, y, z] = sample.position;
            if let Ok(target) = Target::new(x, y, z, None) {
                assert!(target.position.coordinates().iter().all(|coordinate| coordinate.abs() <= 100.0));
            }
            if let Some(Ok(orientation)) = sample.orientation.map(Orientation::new) {
                assert!(orientation.xyzw().iter().all(|part| part.abs() <= 1.0 + 1e-9), "{orientation:?}");
            }
        }
        Err(error) => check_error(&error),
    }
    assert_eq!(mapping.gripper(message).is_some(), mapping.gripper.is_some());
}

fn check_error(error: &MappingError) {
    assert!(error.to_string().starts_with("input."), "{error}");
}

fn choices<const N: usize>(texts: [String; N]) -> Option<FieldSelector<[FieldPath; N]>> {
    match texts[0].as_str() {
        "" => Some(FieldSelector::Auto),
        "none" => Some(FieldSelector::None),
        _ => {
            let paths = texts.iter().map(|text| path(text)).collect::<Option<Vec<_>>>()?;
            paths.try_into().ok().map(FieldSelector::Path)
        }
    }
}

fn choice(text: &str) -> Option<FieldSelector<FieldPath>> {
    match text {
        "" => Some(FieldSelector::Auto),
        "none" => Some(FieldSelector::None),
        text => path(text).map(FieldSelector::Path),
    }
}

fn path(text: &str) -> Option<FieldPath> {
    let path: FieldPath = text.parse().ok()?;
    assert_eq!(path.to_string().parse().as_ref(), Ok(&path), "{text} is not the same after parsing its text");
    Some(path)
}

const TYPE: &str = "hands/msg/Hand";
