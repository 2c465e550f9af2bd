//! The example of a message type: a message of it in which every array that may have any number of elements has one, so
//! that paths can be checked, and fields listed, before the first message has come.

use serde_json::{Map, Value, json};

use super::path::kind;

/// In an example, an array of any number of elements is an object with this key alone, for its element. No field has
/// such a name.
pub(super) const GROWS: &str = "[]";

/// The example of a type, from a message of it as it is made and from what else a message of it can be: `instantiate`
/// completes a value to a message, or says that it is none.
pub fn example(made: Value, instantiate: impl Fn(Value) -> Option<Value>) -> Value {
    let mut message = made;
    let (mut grown, mut unknown) = (Vec::new(), Vec::new());
    while let Some(pointer) = empty_array(&message, String::new(), &unknown) {
        // One of these is an element of any array that ROS knows.
        let elements = [json!({}), json!(0), json!(false), json!("")];
        let with_one = elements.into_iter().find_map(|element| {
            let mut candidate = message.clone();
            *candidate.pointer_mut(&pointer)? = json!([element]);
            instantiate(candidate)
                .filter(|message| message.pointer(&pointer).is_some_and(|it| *it != json!([])))
        });
        match with_one {
            Some(complete) => {
                message = complete;
                grown.push(pointer);
            }
            None => unknown.push(pointer),
        }
    }
    // The inner ones first: they were found last.
    for pointer in grown.iter().rev() {
        if let Some(array) = message.pointer_mut(pointer) {
            let element = array.get(0).cloned().unwrap_or_default();
            *array = Value::Object(Map::from_iter([(GROWS.to_owned(), element)]));
        }
    }
    message
}

/// The fields of an example in a line: `header.frame_id (string), position.x (floating-point number)`. Beyond a
/// few dozen the rest is counted.
pub(super) fn fields(example: &Value) -> String {
    let mut leaves = Vec::new();
    list(example, String::new(), &mut leaves);
    let rest = leaves.len().saturating_sub(MANY);
    leaves.truncate(MANY);
    if rest > 0 {
        leaves.push(format!("and {rest} more"));
    }
    leaves.join(", ")
}

fn list(value: &Value, path: String, leaves: &mut Vec<String>) {
    match value {
        Value::Object(fields) => match fields.get(GROWS) {
            Some(element) => list(element, format!("{path}[]"), leaves),
            None => {
                let dot = if path.is_empty() { "" } else { "." };
                fields.iter().for_each(|(name, field)| list(field, format!("{path}{dot}{name}"), leaves));
            }
        },
        Value::Array(elements) if !elements.is_empty() => {
            list(&elements[0], format!("{path}[0..{}]", elements.len() - 1), leaves);
        }
        leaf => {
            let (_, kind) = kind(leaf).split_once(' ').unwrap_or_default();
            leaves.push(format!("{path} ({kind})"));
        }
    }
}

/// Where the first empty array is, as a JSON pointer, but for those that are `known`.
fn empty_array(value: &Value, pointer: String, known: &[String]) -> Option<String> {
    match value {
        Value::Array(elements) if elements.is_empty() => Some(pointer).filter(|it| !known.contains(it)),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .find_map(|(index, element)| empty_array(element, format!("{pointer}/{index}"), known)),
        Value::Object(fields) => {
            // As JSON pointers have it, so that none leads to another field.
            let step = |name: &str| name.replace('~', "~0").replace('/', "~1");
            fields
                .iter()
                .find_map(|(name, field)| empty_array(field, format!("{pointer}/{}", step(name)), known))
        }
        _ => None,
    }
}

/// More fields than a line has room for.
const MANY: usize = 40;

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Landmark {
        x: f64,
        tags: Vec<String>,
    }

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Landmarks {
        seen: Vec<bool>,
        landmarks: Vec<Landmark>,
        scores: Vec<f32>,
        matrix: [f64; 3],
    }

    fn landmarks() -> Value {
        let made = serde_json::to_value(Landmarks::default()).unwrap();
        example(made, |value| serde_json::to_value(serde_json::from_value::<Landmarks>(value).ok()?).ok())
    }

    #[test]
    fn arrays_of_any_length_have_one_element_of_their_type() {
        assert_eq!(
            landmarks(),
            json!({
                "seen": {"[]": false},
                "landmarks": {"[]": {"x": 0.0, "tags": {"[]": ""}}},
                "scores": {"[]": 0.0},
                "matrix": [0.0, 0.0, 0.0]
            })
        );
    }

    #[test]
    fn what_cannot_be_told_is_left_out() {
        assert_eq!(example(json!({"odd": [], "x": 0.5}), |_| None), json!({"odd": [], "x": 0.5}));
        // Nor does it go on for ever where nothing changes.
        assert_eq!(example(json!({"odd": []}), |_| Some(json!({"odd": []}))), json!({"odd": []}));
        let one = json!({"[]": {}});
        let alike = example(json!({"a": {"b": []}, "a/b": [], "a~1b": []}), Some);
        assert_eq!(alike, json!({"a": {"b": one}, "a/b": one, "a~1b": one}));
    }

    #[test]
    fn the_fields_are_listed_by_their_paths() {
        assert_eq!(
            fields(&landmarks()),
            "landmarks[].tags[] (string), landmarks[].x (floating-point number), matrix[0..2] (floating-point \
             number), scores[] (floating-point number), seen[] (bool)"
        );
        assert_eq!(fields(&json!({"odd": [], "x": 0.5})), "odd (array), x (floating-point number)");
        let many: Map<_, _> = (0..50).map(|index| (format!("f{index}"), json!(true))).collect();
        assert!(fields(&Value::Object(many)).ends_with("and 10 more"));
    }
}
