use std::f64::consts::FRAC_PI_2;

use super::*;
use crate::geometry::Position;

const MS: i64 = 1_000_000;
const S: i64 = 1000 * MS;
/// The node's clock in these tests.
const NOW: i64 = 1000 * S;
const IDENTITY: [f64; 4] = [0.0, 0.0, 0.0, 1.0];
const MAX_AGE: Duration = Duration::from_millis(200);

fn fixed<'a>(parent: &'a str, child: &'a str, translation: [f64; 3]) -> TransformStamped<'a> {
    TransformStamped { parent, child, stamp: None, translation, rotation: IDENTITY }
}

/// Creates a transform with a stamp `ms` before now.
fn moving<'a>(parent: &'a str, child: &'a str, ms: i64, x: f64) -> TransformStamped<'a> {
    TransformStamped { stamp: Some(NOW - ms * MS), ..fixed(parent, child, [x, 0.0, 0.0]) }
}

fn yaw(angle: f64) -> [f64; 4] {
    [0.0, 0.0, (angle / 2.0).sin(), (angle / 2.0).cos()]
}

fn tree(transforms: &[TransformStamped]) -> Tree {
    let mut tree = Tree::new();
    tree.handle_clock(NOW);
    for edge in transforms {
        tree.handle_edge(edge).unwrap();
    }
    tree
}

/// Transforms a position from `frame` to the base frame at the time `ms` before now.
fn at(tree: &Tree, frame: &str, ms: i64, position: [f64; 3]) -> Result<[f64; 3], LookupError> {
    let [x, y, z] = position;
    let found = tree.find("base", frame, Some(NOW - ms * MS), MAX_AGE)?;
    Ok(found.transform.position(Position::new(x, y, z).unwrap()).unwrap().coordinates())
}

fn origin(tree: &Tree, frame: &str, ms: i64) -> Result<[f64; 3], LookupError> {
    at(tree, frame, ms, [0.0; 3])
}

fn error<T: std::fmt::Debug, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn fixed_frame_is_valid_at_any_time() {
    let tree =
        tree(&[TransformStamped { rotation: yaw(FRAC_PI_2), ..fixed("base", "camera", [0.5, 0.0, 0.2]) }]);
    for ms in [0, 9000, -50] {
        assert_eq!(at(&tree, "camera", ms, [0.1, 0.0, 0.0]), Ok([0.5, 0.1, 0.2]));
    }
    let found = tree.find("base", "camera", None, Duration::ZERO).unwrap();
    assert_eq!(
        (found.transform, found.age),
        (tree.find("base", "camera", Some(NOW), MAX_AGE).unwrap().transform, Duration::ZERO)
    );
}

#[test]
fn interpolation_takes_the_shorter_rotation() {
    let rotation = yaw(FRAC_PI_2);
    // The negated quaternion is the same rotation. Without the shorter way, interpolation would
    // take the longer rotation.
    let rotation = rotation.map(|part| -part);
    let tree = tree(&[
        moving("base", "camera", 100, 0.1),
        TransformStamped { rotation, ..moving("base", "camera", 0, 0.3) },
    ]);
    assert_eq!(origin(&tree, "camera", 100), Ok([0.1, 0.0, 0.0]));
    assert_eq!(origin(&tree, "camera", 25), Ok([0.25, 0.0, 0.0]));
    let (sin, cos) = (FRAC_PI_2 * 0.75).sin_cos();
    let should = Position::new(0.25 + 0.1 * cos, 0.1 * sin, 0.0).unwrap();
    assert_eq!(at(&tree, "camera", 25, [0.1, 0.0, 0.0]), Ok(should.coordinates()));
    let transform = tree.find("base", "camera", Some(NOW - 50 * MS), MAX_AGE).unwrap().transform;
    let rotated = transform.orientation(Orientation::new(IDENTITY).unwrap()).xyzw();
    for (is, should) in rotated.into_iter().zip(yaw(FRAC_PI_2 / 2.0)) {
        assert!((is - should).abs() < 1e-12, "{rotated:?}");
    }
}

#[test]
fn chain_passes_the_common_ancestor() {
    let tree = tree(&[
        fixed("world", "table", [0.0, 0.0, 0.7]),
        TransformStamped { rotation: yaw(FRAC_PI_2), ..fixed("table", "base", [1.0, 0.0, 0.0]) },
        moving("world", "rig", 100, 1.0),
        moving("world", "rig", 0, 2.0),
        fixed("rig", "camera", [0.0, 0.3, 0.8]),
    ]);
    // In the world, the camera is at 1.5, 0.3, 0.8. The base is at 1, 0, 0.7, and its x axis points
    // along the world's y.
    assert_eq!(origin(&tree, "camera", 50), Ok([0.3, -0.5, 0.1]));
    // An ancestor.
    assert_eq!(origin(&tree, "world", 50), Ok([0.0, 1.0, -0.7]));
    assert_eq!(origin(&tree, "base", 50), Ok([0.0; 3]));
}

#[test]
fn lookup_does_not_extrapolate() {
    let tree = tree(&[moving("base", "camera", 150, 0.1), moving("base", "camera", 100, 0.2)]);
    assert_eq!(
        error(origin(&tree, "camera", 50)),
        "the newest transform of 'camera' is 0.050 s older than the stamp"
    );
    assert!(matches!(origin(&tree, "camera", 99), Err(LookupError::Behind { by: MS, .. })));
    assert_eq!(
        error(origin(&tree, "camera", 200)),
        "the oldest transform of 'camera' is 0.050 s newer than the stamp"
    );
}

#[test]
fn late_frame_of_the_chain_is_named() {
    let tree = tree(&[
        moving("world", "base", 0, 0.1),
        moving("world", "rig", 300, 0.1),
        moving("rig", "camera", 0, 0.1),
    ]);
    assert_eq!(
        error(origin(&tree, "camera", 0)),
        "the newest transform of 'rig' is 0.300 s older than the stamp"
    );
    let newest = tree.find("base", "camera", None, MAX_AGE);
    assert_eq!(error(newest), "'base' and the other frames have no transforms of the same time");
}

#[test]
fn target_without_stamp_gets_newest_common_transform() {
    let both = |ms: i64| [moving("base", "rig", ms, 0.1), moving("rig", "camera", ms, 0.1)];
    let mut tree = tree(&both(250));
    tree.handle_edge(&moving("base", "rig", 150, 0.2)).unwrap();
    tree.handle_edge(&moving("rig", "camera", 50, 0.1)).unwrap();
    let found = tree.find("base", "camera", None, MAX_AGE).unwrap();
    assert_eq!(found.age, Duration::from_millis(150));
    assert_eq!(
        found.transform.position(Position::new(0.0, 0.0, 0.0).unwrap()).unwrap().coordinates()[0],
        0.3
    );
    let old = tree.find("base", "camera", None, Duration::from_millis(149));
    assert_eq!(error(old), "the newest transform of 'rig' is 0.150 s old, more than input.timeout");
    // If the stamps are in the future, the lookup uses the present time.
    tree.handle_edge(&moving("base", "rig", -200, 0.55)).unwrap();
    tree.handle_edge(&moving("rig", "camera", -50, 0.1)).unwrap();
    let found = tree.find("base", "camera", None, MAX_AGE).unwrap();
    assert_eq!(found.age, Duration::ZERO);
    assert_eq!(
        found.transform.position(Position::new(0.0, 0.0, 0.0).unwrap()).unwrap().coordinates()[0],
        0.45
    );
}

#[test]
fn unknown_and_unconnected_frames_are_errors() {
    let tree = tree(&[fixed("base", "tool", [0.1, 0.0, 0.0]), fixed("room", "camera", [0.1, 0.0, 0.0])]);
    assert_eq!(error(origin(&tree, "ma\u{1b}p", 0)), "neither /tf nor /tf_static has 'ma\u{fffd}p'");
    assert_eq!(error(origin(&tree, "camera", 0)), "/tf and /tf_static do not connect the two frames");
    assert_eq!(
        error(tree.find("base", "camera", None, MAX_AGE)),
        "/tf and /tf_static do not connect the two frames"
    );
    assert_eq!(error(tree.find("arm", "tool", Some(NOW), MAX_AGE)), "neither /tf nor /tf_static has 'arm'");
}

#[test]
fn leading_slash_of_a_name_is_ignored() {
    let tree = tree(&[fixed("/base", "/camera", [0.1, 0.0, 0.0])]);
    assert_eq!(origin(&tree, "camera", 0), Ok([0.1, 0.0, 0.0]));
    assert_eq!(
        tree.find("/base", "/camera", Some(NOW), MAX_AGE),
        tree.find("base", "camera", Some(NOW), MAX_AGE)
    );
}

#[test]
fn invalid_transform_is_rejected_and_changes_nothing() {
    let good = fixed("base", "camera", [0.1, 0.0, 0.0]);
    let mut tree = tree(&[good, fixed("camera", "lens", [0.1, 0.0, 0.0]), moving("base", "rig", 100, 0.1)]);
    let long = "a".repeat(256);
    let nan = f64::NAN;
    for (edge, words) in [
        (TransformStamped { parent: "", ..good }, "has no name"),
        (TransformStamped { child: "/", ..good }, "has no name"),
        (TransformStamped { child: &long, ..good }, "more than 255 bytes"),
        (TransformStamped { parent: "/camera", ..good }, "it is its own parent"),
        (TransformStamped { translation: [0.0, nan, 0.0], ..good }, "translation [0.0, NaN, 0.0]"),
        (
            TransformStamped { rotation: [0.0; 4], ..good },
            "rotation [0.0, 0.0, 0.0, 0.0] (x, y, z, w), which must be a unit",
        ),
        (TransformStamped { rotation: [0.0, 0.0, nan, 1.0], ..good }, "rotation [0.0, 0.0, NaN, 1.0]"),
        (TransformStamped { rotation: [1e200, 0.0, 0.0, 1.0], ..good }, "not a transform"),
        (TransformStamped { parent: "lens", ..good }, "its parent 'lens' is its own descendant"),
        (
            TransformStamped { parent: "lens", child: "base", ..good },
            "its parent 'lens' is its own descendant",
        ),
        (
            TransformStamped { parent: "room", ..moving("", "rig", 0, 0.1) },
            "its parent is 'room' now and was 'base' just before",
        ),
        (moving("base", "camera", 0, 0.2), "on /tf and on /tf_static"),
        (TransformStamped { child: "rig", ..good }, "on /tf and on /tf_static"),
        (moving("base", "rig", 10_001, 0.2), "its stamp is 10.0 s old, more than 10 s"),
        (moving("base", "rig", -2_001, 0.2), "its stamp is 2.0 s in the future, more than 2 s"),
        (TransformStamped { stamp: Some(0), ..good }, "its stamp is 1000.0 s old"),
        (TransformStamped { stamp: Some(i64::MIN), ..good }, "s old"),
        (TransformStamped { stamp: Some(i64::MAX), ..good }, "s in the future"),
    ] {
        let error = error(tree.handle_edge(&edge));
        assert!(error.contains(words), "{edge:?}: {error}");
    }
    assert_eq!(origin(&tree, "lens", 0), Ok([0.2, 0.0, 0.0]));
    assert_eq!(origin(&tree, "rig", 100), Ok([0.1, 0.0, 0.0]));
}

#[test]
fn rotation_of_nearly_unit_length_is_accepted() {
    let tree = tree(&[TransformStamped {
        rotation: [0.0, 0.0, 0.0, 1.004],
        ..fixed("base", "camera", [0.1, 0.0, 0.0])
    }]);
    assert_eq!(at(&tree, "camera", 0, [1.0, 0.0, 0.0]), Ok([1.1, 0.0, 0.0]));
}

#[test]
fn too_large_numbers_do_not_panic() {
    let tree = tree(&[fixed("world", "base", [1e308; 3]), fixed("world", "camera", [-1e308; 3])]);
    if let Ok(found) = tree.find("base", "camera", Some(NOW), MAX_AGE) {
        assert!(found.transform.position(Position::new(0.0, 0.0, 0.0).unwrap()).is_err());
    }
}

#[test]
fn transform_within_a_millisecond_is_ignored() {
    let mut tree = tree(&[moving("base", "camera", 50, 0.1)]);
    let stamp = Some(NOW - 50 * MS + MS - 1);
    assert_eq!(tree.handle_edge(&TransformStamped { stamp, ..moving("base", "camera", 0, 0.9) }), Ok(()));
    assert!(matches!(origin(&tree, "camera", 49), Err(LookupError::Behind { by: MS, .. })));
    for ms in [50, 100] {
        assert_eq!(tree.handle_edge(&moving("base", "camera", ms, 0.9)), Ok(()));
    }
    assert_eq!(origin(&tree, "camera", 50), Ok([0.1, 0.0, 0.0]));
    assert!(matches!(origin(&tree, "camera", 51), Err(LookupError::Before { .. })));
}

#[test]
fn history_ends_after_ten_seconds() {
    let mut tree = tree(&[]);
    for ms in (0..=10_000).rev().step_by(500) {
        tree.handle_edge(&moving("base", "camera", ms, 0.1)).unwrap();
    }
    assert!(origin(&tree, "camera", 9_750).is_ok());
    tree.handle_clock(NOW + S);
    tree.handle_edge(&moving("base", "camera", -500, 0.1)).unwrap();
    assert!(matches!(origin(&tree, "camera", 9_750), Err(LookupError::Before { .. })));
    assert!(origin(&tree, "camera", 9_250).is_ok());
}

#[test]
fn gap_above_one_second_is_not_interpolated() {
    let mut tree = tree(&[moving("base", "camera", 2000, 0.1), moving("base", "camera", 1000, 0.1)]);
    assert!(origin(&tree, "camera", 1500).is_ok());
    tree.handle_clock(NOW + 1);
    tree.handle_edge(&TransformStamped { stamp: Some(NOW + 1), ..moving("base", "camera", 0, 0.9) }).unwrap();
    assert!(matches!(origin(&tree, "camera", 1), Err(LookupError::Before { .. })));
    let found = tree.find("base", "camera", Some(NOW + 1), MAX_AGE).unwrap();
    assert_eq!(
        found.transform.position(Position::new(0.0, 0.0, 0.0).unwrap()).unwrap().coordinates()[0],
        0.9
    );
}

#[test]
fn moving_frame_may_become_fixed_after_ten_seconds() {
    let mut tree = tree(&[moving("base", "camera", 0, 0.1), fixed("base", "room", [0.0, 1.0, 0.0])]);
    tree.handle_clock(NOW + 10 * S);
    let moved = fixed("room", "camera", [0.2, 0.0, 0.0]);
    assert_eq!(
        tree.handle_edge(&moved),
        Err(TransformRejected::FixedAndMoving),
        "ten seconds have not passed"
    );
    tree.handle_clock(NOW + 10 * S + 1);
    tree.handle_edge(&moved).unwrap();
    assert_eq!(origin(&tree, "camera", 0), Ok([0.2, 1.0, 0.0]));
    // The last transform of a fixed frame counts.
    tree.handle_edge(&fixed("base", "camera", [0.3, 0.0, 0.0])).unwrap();
    tree.handle_edge(&fixed("base", "camera", [0.4, 0.0, 0.0])).unwrap();
    assert_eq!(origin(&tree, "camera", 0), Ok([0.4, 0.0, 0.0]));
}

#[test]
fn old_frames_make_room_for_new_frames() {
    let names: Vec<_> = (0..=MAX_FRAMES).map(|number| format!("marker_{number}")).collect();
    let mut tree = tree(&[]);
    for name in &names[..MAX_FRAMES] {
        tree.handle_edge(&moving("base", name, 0, 0.1)).unwrap();
    }
    let one_more = moving("base", &names[MAX_FRAMES], -1500, 0.1);
    assert_eq!(error(tree.handle_edge(&one_more)), "there are 1000 frames already");
    tree.handle_clock(NOW + 11 * S);
    tree.handle_edge(&one_more).unwrap();
    assert!(matches!(origin(&tree, "marker_0", 0), Err(LookupError::Unknown { .. })));
}

#[test]
fn clock_jump_back_forgets_moving_frames_only() {
    let mut tree = tree(&[fixed("base", "rig", [0.1, 0.0, 0.0]), moving("rig", "camera", 0, 0.1)]);
    assert!(!tree.handle_clock(NOW));
    assert!(tree.handle_clock(5 * S));
    assert!(matches!(origin(&tree, "camera", 0), Err(LookupError::Unknown { .. })));
    assert_eq!(origin(&tree, "rig", 0), Ok([0.1, 0.0, 0.0]));
    tree.handle_edge(&TransformStamped { stamp: Some(5 * S), ..moving("rig", "camera", 0, 0.2) }).unwrap();
    let found = tree.find("base", "camera", Some(5 * S), MAX_AGE).unwrap();
    assert_eq!(
        found.transform.position(Position::new(0.0, 0.0, 0.0).unwrap()).unwrap().coordinates()[0],
        0.3
    );
}

#[test]
fn only_fixed_frames_count_before_simulated_time() {
    let mut tree = Tree::new();
    tree.handle_clock(0);
    tree.handle_edge(&moving("base", "camera", 0, 0.1)).unwrap();
    tree.handle_edge(&fixed("base", "rig", [0.1, 0.0, 0.0])).unwrap();
    assert!(matches!(origin(&tree, "camera", 0), Err(LookupError::Unknown { .. })));
    assert!(tree.find("base", "rig", None, MAX_AGE).is_ok());
}
