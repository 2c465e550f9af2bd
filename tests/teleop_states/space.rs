//! Tests of commanded positions: targets too far outside, keep-out boxes, and ways around them.

use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_bridge::teleop::{InputFault, LinkView, Motion, ReasonKind, TeleopConfigError};

use crate::scene::{Scene, at, config, text};

const ANYWHERE: (&str, Value) = ("limits.max_jump", Value::Integer(0));

fn reals(name: &'static str, values: &[f64]) -> (&'static str, Value) {
    (name, Value::Reals(values.into()))
}

/// Returns a post from floor to ceiling, between the arm's home at x = 0.2 m and the wall at x =
/// 0.3 m.
fn post() -> (&'static str, Value) {
    reals("workspace.keep_out", &[0.23, -0.05, -1.0, 0.26, 0.05, 1.0])
}

fn kind(scene: &Scene) -> ReasonKind {
    scene.teleop.reason(scene.now).kind()
}

/// Returns whether the straight way between two positions crosses the post.
fn cuts_post(from: Position, to: Position) -> bool {
    (0..=200).any(|share| {
        let point = from.point().lerp(&to.point(), f64::from(share) / 200.0);
        0.23 < point.x && point.x < 0.26 && point.y.abs() < 0.05
    })
}

/// Follows the hand until the arm stands still. Returns the arm's position.
fn settle(scene: &mut Scene) -> Position {
    scene.move_for(8000);
    let last = |scene: &Scene| scene.sent.last().unwrap().1.command.position;
    let position = last(scene);
    scene.move_for(100);
    assert_eq!(last(scene), position, "it still moves");
    position
}

#[test]
fn target_far_outside_is_refused_under_every_policy() {
    for policy in ["clamp", "reject"] {
        let mut scene = Scene::tracking(&[("workspace.policy", text(policy)), ANYWHERE]);
        // Millimetres on a topic in metres would be even farther outside.
        scene.hand = [0.2, 0.0, 0.95];
        let fault = scene.try_target().unwrap_err();
        assert!(matches!(fault, InputFault::TargetFarOutside { .. }), "{fault:?}");
        assert_eq!((scene.motion(), kind(&scene)), (Motion::Holding, ReasonKind::TargetFarOutside));
        let reason = scene.reason();
        for words in [
            "[0.200, 0.000, 0.950] m",
            "is 0.55 m outside",
            "workspace.tolerance 0.50 m",
            "input.unit",
            "retarget.*",
            "frame",
        ] {
            assert!(reason.contains(words), "{reason}");
        }
        assert!(scene.positions().iter().all(|position| *position == at(0.2, 0.0, 0.2)));
    }
}

#[test]
fn tolerance_sets_the_largest_distance_outside() {
    let tolerance = |metres| ("workspace.tolerance", Value::Real(metres));
    for (metres, height, taken) in
        [(0.5, 0.9, true), (0.5, 0.901, false), (1.0, 1.3, true), (0.0, 0.41, false), (0.0, 0.4, true)]
    {
        let mut scene = Scene::tracking(&[tolerance(metres), ANYWHERE]);
        scene.hand = [0.2, 0.0, height];
        assert_eq!(scene.try_target().is_ok(), taken, "{height} with {metres}");
    }
    // In relative mode, the arm's resulting position counts.
    let mut scene = Scene::tracking(&[("retarget.mode", text("relative")), ANYWHERE]);
    scene.hand[2] += 0.75;
    assert!(matches!(scene.try_target(), Err(InputFault::TargetFarOutside { .. })));
}

#[test]
fn clamped_target_is_reported_with_its_distance() {
    let mut scene = Scene::tracking(&[ANYWHERE]);
    assert_eq!(scene.reason(), "following the target");
    scene.hand = [0.42, 0.0, 0.2];
    scene.move_for(20);
    assert_eq!(scene.reason(), "following the target, clamped, 0.12 m outside the workspace");
    assert_eq!(kind(&scene), ReasonKind::Tracking);
    scene.wait(900);
    scene.move_for(20);
    assert_eq!(scene.motion(), Motion::Approach);
    assert_eq!(scene.reason(), "approaching the target slowly, clamped, 0.12 m outside the workspace");
    assert_eq!(kind(&scene), ReasonKind::Approaching);
    scene.hand = [0.2, 0.0, 0.2];
    scene.move_for(20);
    assert_eq!(scene.reason(), "approaching the target slowly");
}

#[test]
fn arm_moves_around_a_box() {
    let mut scene = Scene::tracking(&[post(), ANYWHERE]);
    for hand in [[0.29, 0.0, 0.2], [0.2, 0.0, 0.1], [0.28, 0.03, 0.3], [0.2, 0.0, 0.2]] {
        let first = scene.sent.len().saturating_sub(1);
        scene.hand = hand;
        let [x, y, z] = hand;
        assert_eq!(settle(&mut scene), at(x, y, z));
        assert_eq!(scene.motion(), Motion::Tracking);
        let positions = &scene.positions()[first..];
        assert!(positions.windows(2).all(|pair| !cuts_post(pair[0], pair[1])));
    }
}

#[test]
fn target_in_box_moves_to_nearest_face() {
    let mut scene = Scene::tracking(&[post(), ANYWHERE]);
    scene.hand = [0.24, 0.0, 0.2];
    let position = settle(&mut scene);
    assert!(position.distance(at(0.23, 0.0, 0.2)) < 1e-5 && position.coordinates()[0] < 0.23, "{position:?}");
    assert_eq!(scene.reason(), "following the target, clamped, 0.01 m outside the workspace");
    let mut scene = Scene::tracking(&[post(), ANYWHERE, ("workspace.policy", text("reject"))]);
    scene.hand = [0.24, 0.0, 0.2];
    assert!(matches!(scene.try_target(), Err(InputFault::OutsideWorkspace { .. })));
}

#[test]
fn arm_holds_if_there_is_no_way() {
    // A wall from one side of the workspace to the other.
    let wall = reals("workspace.keep_out", &[0.23, -1.0, -1.0, 0.26, 1.0, 1.0]);
    let mut scene = Scene::tracking(&[wall, ANYWHERE, ("teleop.hold_behavior", text("stop"))]);
    scene.hand = [0.29, 0.0, 0.2];
    scene.move_for(3000);
    assert_eq!((scene.motion(), kind(&scene)), (Motion::Holding, ReasonKind::NoWay));
    let reason = scene.reason();
    assert!(reason.starts_with("holding: no way to the target around workspace.keep_out"), "{reason}");
    assert!(reason.contains("move the hand"), "{reason}");
    assert!(scene.sent.is_empty() && scene.stops.len() == 1, "{:?}", scene.stops);
    scene.hand = [0.22, 0.0, 0.2];
    assert_eq!(settle(&mut scene), at(0.22, 0.0, 0.2));
    // The same applies before motion begins. The obstacle ends when the box is removed.
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.hand = [0.29, 0.0, 0.2];
    scene.set_armed().unwrap();
    scene.move_for(2000);
    assert_eq!(kind(&scene), ReasonKind::NoWay);
    scene.teleop.handle_config(scene.now, config(&[ANYWHERE]));
    assert_eq!(settle(&mut scene), at(0.29, 0.0, 0.2));
}

#[test]
fn steps_lead_around_the_base() {
    // One command per second, with steps long enough to pass straight through the base.
    let settings = [
        ("teleop.command_rate", Value::Real(1.0)),
        ("limits.step", Value::Real(1.0)),
        ("limits.approach_speed", Value::Real(0.25)),
        reals("arm.home", &[0.06, 0.005, 0.0]),
        ANYWHERE,
    ];
    let mut scene = Scene::new(&settings);
    scene.link(LinkView::Ready);
    for hand in [[0.06, 0.005, 0.0], [-0.06, 0.005, 0.0], [0.03, -0.05, 0.0]] {
        scene.hand = hand;
        scene.move_for(30_000);
        let [x, y, z] = hand;
        assert_eq!(scene.positions().last(), Some(&at(x, y, z)));
    }
    let positions = scene.positions();
    for pair in positions.windows(2) {
        let nearest = (0..=1000)
            .map(|share| pair[0].point().lerp(&pair[1].point(), f64::from(share) / 1000.0).coords.norm())
            .fold(f64::INFINITY, f64::min);
        assert!(nearest >= 0.05 - 1e-9, "{nearest} m from the base: {pair:?}");
    }
}

#[test]
fn default_steps_are_short_at_any_rate() {
    for (rate, speed) in [(1.0, 0.25), (0.5, 1.0), (4.0, 0.1)] {
        let settings = [
            ("teleop.command_rate", Value::Real(rate)),
            ("limits.speed", Value::Real(speed)),
            ("limits.approach_speed", Value::Real(speed)),
            ANYWHERE,
        ];
        let mut scene = Scene::tracking(&settings);
        scene.hand = [-0.2, 0.0, 0.2];
        scene.move_for(20_000);
        let positions = scene.positions();
        let longest = positions.windows(2).map(|pair| pair[0].distance(pair[1])).fold(0.0, f64::max);
        assert!((0.09 * speed..=0.1 * speed + 2e-6).contains(&longest), "{longest} m at {rate} Hz");
    }
}

#[test]
fn box_that_contains_the_arm_is_refused() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.25, 0.0, 0.2];
    assert_eq!(settle(&mut scene), at(0.25, 0.0, 0.2));
    let refused = scene.teleop.check_config(&config(&[post()])).unwrap_err();
    assert_eq!(refused, TeleopConfigError::WorkspaceExcludesArm { position: at(0.25, 0.0, 0.2) });
    scene.hand = [0.2, 0.0, 0.2];
    settle(&mut scene);
    scene.teleop.check_config(&config(&[post()])).unwrap();
}

#[test]
fn new_box_before_moving_arm_takes_effect_immediately() {
    let mut scene = Scene::tracking(&[ANYWHERE]);
    scene.hand = [0.29, 0.0, 0.2];
    while scene.positions().last().is_none_or(|position| position.coordinates()[0] < 0.22) {
        scene.move_for(10);
    }
    let settings = config(&[post(), ANYWHERE]);
    scene.teleop.check_config(&settings).unwrap();
    let first = scene.sent.len() - 1;
    scene.teleop.handle_config(scene.now, settings);
    assert_eq!(settle(&mut scene), at(0.29, 0.0, 0.2), "around the box");
    let positions = &scene.positions()[first..];
    assert!(positions.windows(2).all(|pair| !cuts_post(pair[0], pair[1])));
}

#[test]
fn way_back_from_refused_command_cuts_no_corner() {
    let rate = ("teleop.command_rate", Value::Integer(10));
    let mut scene =
        Scene::tracking(&[post(), ANYWHERE, rate, ("teleop.max_consecutive_errors", Value::Integer(1))]);
    scene.hand = [0.228, 0.050_1, 0.2];
    let corner = settle(&mut scene);
    // The arm moves along one face, the command is refused, and then the arm moves along the other
    // face.
    scene.replies = false;
    scene.hand = [0.28, 0.050_1, 0.2];
    let first = scene.sent.len();
    while scene.sent.len() == first {
        scene.move_for(10);
    }
    scene.teleop.handle_rejected(scene.now);
    scene.replies = true;
    scene.hand = [0.228, -0.04, 0.2];
    assert_eq!(settle(&mut scene), at(0.228, -0.04, 0.2));
    let positions = &scene.positions()[first..];
    assert!(positions[0].coordinates()[0] > 0.24 && positions[1] == corner, "{positions:?}");
    assert!(positions.windows(2).all(|pair| !cuts_post(pair[0], pair[1])), "{positions:?}");
}

#[test]
fn invalid_box_is_refused_with_its_number() {
    let error = |settings: &[(&str, Value)]| match Parameters::with(settings) {
        Ok(parameters) => {
            Config::new(&parameters).map(|_| String::new()).unwrap_or_else(|error| error.to_string())
        }
        Err(error) => error.to_string(),
    };
    let keep_out = |values: &[f64]| error(&[reals("workspace.keep_out", values)]);
    let good = [0.23, -0.05, 0.0, 0.26, 0.05, 0.4];
    for none in [&[][..], &[0.0], &good, &[good, good].concat()] {
        assert_eq!(keep_out(none), "", "{none:?}");
    }
    assert_eq!(error(&[("workspace.keep_out", Value::Other(Value::EMPTY_LIST))]), "");
    for (values, words) in [
        (&good[..5], "it must be [0.0] for none, or six numbers for each box, each from -100.0 to 100.0 m"),
        (&[0.5], "it must be [0.0] for none"),
        (&[good.to_vec(), vec![0.0]].concat(), "it must be [0.0] for none"),
        (&[f64::NAN, 0.0, 0.0, 0.1, 0.1, 0.1], "is [NaN, 0.0, 0.0, 0.1, 0.1, 0.1]; it must be"),
        (&[-1000.0, 0.0, 0.0, 0.1, 0.1, 0.1], "each from -100.0 to 100.0 m"),
        (
            &[good.to_vec(), vec![0.3, 0.0, 0.0, 0.2, 0.1, 0.1]].concat(),
            "box 2 must have its corner [0.300, 0.000, 0.000] below its corner [0.200, 0.100, 0.100] on every axis",
        ),
        (&[0.0; 6], "box 1 must have its corner"),
        (&[0.1, -0.1, 0.1, 0.3, 0.1, 0.3], "box 1 must not contain 'arm.home', which is [0.2, 0.0, 0.2]"),
    ] {
        let refused = keep_out(values);
        assert!(
            refused.starts_with("parameter 'workspace.keep_out' is [") && refused.contains(words),
            "{refused}"
        );
    }
    let step = error(&[("limits.step", Value::Real(1e-6))]);
    assert!(step.contains("it must be 0.0, or from 0.0001 to 100.0 m"), "{step}");
}
