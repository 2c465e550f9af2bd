//! Whatever a message is and whatever is said of its fields, either the fields are refused by name or what is read is
//! what lies there.

use aether_bridge::geometry::Orientation;
use aether_bridge::mapping::{FieldPath, FieldSelector, Fields, Mapping, MappingError, Schema};
use aether_bridge::teleop::Target;
use serde_json::Value;

use super::input::{NEXT, texts};

/// A message of a type as it is made, one that comes, and what is said of the fields of both, all as text.
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
        Err(refused) => {
            let refused = refused.to_string();
            let names_parameter = ["input.", "gripper.valid"].iter().any(|name| refused.contains(name));
            assert!(refused.contains(TYPE) && names_parameter, "{refused}");
        }
    }
}

fn check_mapping(mapping: &Mapping, message: &Value) {
    match mapping.sample(message) {
        Ok(sample) => {
            for (path, read) in mapping.position.iter().zip(sample.position) {
                let there = path.find(message).expect("it was read");
                // JSON has no number that is not finite, and says null.
                assert!(
                    there.as_f64() == Some(read) || there.is_null() && read.is_nan(),
                    "{path} is {there}"
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
    assert_eq!(path.to_string().parse().as_ref(), Ok(&path), "{text} does not come back");
    Some(path)
}

const TYPE: &str = "hands/msg/Hand";
