//! Tests of settings that change while the bridge runs.

use aether_bridge::config::Value;
use aether_bridge::geometry::{Position, Transform};
use aether_bridge::teleop::{CommandKind, Frame, LinkView, Motion, Planned, Target, TeleopConfigError};

use crate::BRISK;
use crate::scene::{Scene, at, config, text};

fn set(scene: &mut Scene, settings: &[(&str, Value)]) {
    let config = config(settings);
    scene.teleop.check_config(&config).unwrap();
    scene.teleop.handle_config(scene.now, config);
}

/// Returns the speeds between consecutive commands, in m/s. `first` is the index of the first
/// command.
fn speeds(scene: &Scene, first: usize) -> Vec<f64> {
    let sent = &scene.sent[first..];
    sent.windows(2)
        .map(|pair| {
            let moved = pair[0].1.command.position.distance(pair[1].1.command.position);
            moved / (pair[1].0 - pair[0].0).as_secs_f64()
        })
        .collect()
}

#[test]
fn lower_speed_limit_applies_to_next_command() {
    let mut scene = Scene::tracking(&[BRISK]);
    scene.hand = [0.29, 0.0, 0.2];
    scene.move_for(100);
    assert!(speeds(&scene, 0).last().is_some_and(|speed| *speed > 0.249));
    let count = scene.sent.len();
    set(&mut scene, &[BRISK, ("limits.speed", Value::Real(0.1))]);
    scene.move_for(100);
    assert!(
        speeds(&scene, count - 1).iter().all(|speed| *speed <= 0.1001),
        "{:?}",
        speeds(&scene, count - 1)
    );
}

#[test]
fn tighter_workspace_moves_goal_but_keeps_arm_inside() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.29, 0.0, 0.2];
    while scene.positions().last().is_none_or(|position| position.coordinates()[0] < 0.235) {
        scene.move_for(10);
    }
    let count = scene.sent.len();
    let x_max = |x: f64| ("workspace.max", Value::Reals(vec![x, 0.3, 0.4]));
    set(&mut scene, &[x_max(0.25)]);
    // This needs no new target.
    scene.wait(180);
    assert_eq!(*scene.positions().last().unwrap(), at(0.25, 0.0, 0.2));
    assert!(scene.sent[count..].iter().all(|(_, planned)| planned.clamped));
    scene.move_for(1000);
    assert!(scene.positions().iter().all(|position| position.coordinates()[0] <= 0.25));
    let home = ("arm.home", Value::Reals(vec![0.1, 0.0, 0.2]));
    let refused = scene.teleop.check_config(&config(&[x_max(0.24), home.clone()])).unwrap_err();
    assert_eq!(refused, TeleopConfigError::WorkspaceExcludesArm { position: at(0.25, 0.0, 0.2) });
    assert!(refused.to_string().contains("[0.250, 0.000, 0.200] m"), "{refused}");
    // While disarmed, the arm still counts as being at its last command.
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    assert!(scene.teleop.check_config(&config(&[x_max(0.24), home])).is_err());
}

#[test]
fn goal_outside_tighter_workspace_is_given_up() {
    let reject = ("workspace.policy", text("reject"));
    let mut scene = Scene::tracking(std::slice::from_ref(&reject));
    scene.hand = [0.29, 0.0, 0.2];
    scene.move_for(100);
    set(&mut scene, &[reject, ("workspace.max", Value::Reals(vec![0.25, 0.3, 0.4]))]);
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(scene.reason().contains("[0.290, 0.000, 0.200] m"), "{}", scene.reason());
}

#[test]
fn arm_outside_workspace_moves_after_it_grows() {
    let mut scene = Scene::new(&[]);
    scene.arm = at(0.5, 0.0, 0.2);
    scene.link(LinkView::Ready);
    scene.move_for(1500);
    assert_eq!(scene.motion(), Motion::Disarmed);
    set(&mut scene, &[("workspace.max", Value::Reals(vec![0.45, 0.3, 0.4]))]);
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Disarmed);
    set(&mut scene, &[("workspace.max", Value::Reals(vec![0.6, 0.3, 0.4]))]);
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn changed_filter_does_not_move_a_resting_arm() {
    let slow = [("filter.kind", text("one_euro")), ("filter.beta", Value::Real(0.0))];
    let quick = [("filter.kind", text("one_euro")), ("filter.min_cutoff", Value::Real(5.0))];
    for other in [&[][..], &quick] {
        let mut scene = Scene::tracking(&slow);
        scene.hand = [0.21, 0.0, 0.2];
        scene.move_for(500);
        let before = *scene.positions().last().unwrap();
        assert!(before.coordinates()[0] < 0.205);
        set(&mut scene, other);
        scene.move_for(500);
        assert!(scene.positions().last().unwrap().distance(before) < 2e-6);
        // When the hand moves, the arm moves to the position of the hand.
        scene.hand = [0.24, 0.0, 0.2];
        scene.move_for(1500);
        assert!(scene.positions().last().unwrap().distance(at(0.24, 0.0, 0.2)) < 1e-4);
    }
}

#[test]
fn filter_switched_on_again_starts_empty() {
    let one_euro = ("filter.kind", text("one_euro"));
    let mut scene = Scene::tracking(std::slice::from_ref(&one_euro));
    set(&mut scene, &[]);
    scene.hand = [0.25, 0.0, 0.2];
    scene.move_for(1500);
    set(&mut scene, &[one_euro]);
    scene.move_for(300);
    assert!(scene.positions().iter().rev().take(5).all(|position| *position == at(0.25, 0.0, 0.2)));
}

#[test]
fn changed_arming_never_arms() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    set(&mut scene, &[("teleop.arming", text("operator"))]);
    scene.move_for(2000);
    assert_eq!(scene.motion(), Motion::Disarmed);
    assert!(scene.reason().contains("the arm has not been armed yet"), "{}", scene.reason());
    set(&mut scene, &[]);
    scene.move_for(2000);
    assert_eq!(scene.motion(), Motion::Disarmed);
    scene.set_armed().unwrap();
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Tracking);
}

#[test]
fn changed_retargeting_forgets_the_last_position() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    set(&mut scene, &[("retarget.translation", Value::Reals(vec![-0.2, 0.2, 0.0]))]);
    // This is not a jump, because the hand has not moved.
    scene.target();
    scene.set_armed().unwrap();
    scene.move_for(6000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.0, 0.2, 0.2));
}

#[test]
fn longer_timeout_does_not_restore_lost_hand() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.28, 0.0, 0.2];
    scene.move_for(50);
    scene.wait(300);
    let count = scene.sent.len();
    set(&mut scene, &[("input.timeout", Value::Real(10.0))]);
    scene.wait(1000);
    assert_eq!((scene.motion(), scene.sent.len()), (Motion::Holding, count));
    assert!(scene.reason().contains("no new target for 1.3 s"), "{}", scene.reason());
    scene.target();
    assert_eq!(scene.motion(), Motion::Approach);
    // A shorter timeout holds motion immediately.
    set(&mut scene, &[("input.timeout", Value::Real(0.1))]);
    scene.wait(100);
    assert_eq!(scene.motion(), Motion::Holding);
}

/// Returns the highest speed between consecutive commands, in m/s. Counts only commands more than 5
/// mm from `goal`.
fn fastest(scene: &Scene, first: usize, goal: Position) -> f64 {
    let far =
        |(sent, _): &(&(std::time::Instant, Planned), f64)| sent.1.command.position.distance(goal) > 0.005;
    let speeds = speeds(scene, first);
    scene.sent[first..].iter().zip(speeds).filter(far).map(|(_, speed)| speed).fold(0.0, f64::max)
}

#[test]
fn wider_workspace_is_approached() {
    let x_max = |x: f64| ("workspace.max", Value::Reals(vec![x, 0.3, 0.4]));
    let mut scene = Scene::tracking(&[x_max(0.22), BRISK]);
    scene.hand = [0.29, 0.0, 0.2];
    scene.move_for(1000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.22, 0.0, 0.2));
    let count = scene.sent.len();
    set(&mut scene, &[x_max(0.3), BRISK]);
    assert_eq!(scene.motion(), Motion::Approach);
    scene.move_for(1500);
    assert_eq!(*scene.positions().last().unwrap(), at(0.29, 0.0, 0.2));
    let reached = fastest(&scene, count - 1, at(0.29, 0.0, 0.2));
    assert!(reached < 0.1001, "{reached}");
    assert_eq!(scene.motion(), Motion::Tracking);
    // Commands follow the hand itself at the full speed limit.
    let count = scene.sent.len();
    scene.hand = [0.21, 0.0, 0.2];
    scene.move_for(500);
    assert!(fastest(&scene, count, at(0.21, 0.0, 0.2)) > 0.2);
}

#[test]
fn tighter_workspace_in_motion_is_approached() {
    let x_max = |x: f64| ("workspace.max", Value::Reals(vec![x, 0.3, 0.4]));
    let mut scene = Scene::tracking(&[BRISK]);
    scene.hand = [0.29, 0.0, 0.2];
    scene.move_for(100);
    let count = scene.sent.len();
    set(&mut scene, &[x_max(0.26), BRISK]);
    scene.move_for(1000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.26, 0.0, 0.2));
    assert!(fastest(&scene, count, at(0.26, 0.0, 0.2)) < 0.1001);
}

/// Sends targets for a time in a frame at `translation`.
fn move_in(scene: &mut Scene, translation: [f64; 3], hand: impl Fn(f64) -> [f64; 3], millis: u64) {
    for i in 0..millis / 10 {
        let [x, y, z] = hand(0.01 * i as f64);
        let frame = Frame::Transformed(Transform::new(translation, [0.0, 0.0, 0.0, 1.0]));
        let target = Target { frame, ..Target::new(x, y, z, None).unwrap() };
        scene.teleop.handle_target(scene.now, target).unwrap();
        scene.send();
        scene.wait(10);
    }
}

#[test]
fn new_transform_of_a_resting_hand_is_approached() {
    for filter in ["none", "one_euro"] {
        // With a filter, the first step of a jump would be shorter than the distance at which an
        // approach ends.
        let smooth = [("filter.beta", Value::Real(0.0)), ("filter.min_cutoff", Value::Real(0.5))];
        let mut scene = Scene::new(&[&smooth[..], &[("filter.kind", text(filter)), BRISK]].concat());
        scene.link(LinkView::Ready);
        let still = |_| [0.1, 0.0, 0.1];
        move_in(&mut scene, [0.1, 0.0, 0.1], still, 2000);
        assert_eq!(scene.motion(), Motion::Tracking);
        let count = scene.sent.len();
        // The jump is shorter than limits.max_jump.
        move_in(&mut scene, [0.1, 0.1, 0.1], still, 2000);
        assert!(scene.positions().last().unwrap().distance(at(0.2, 0.1, 0.2)) < 1e-3);
        let reached = fastest(&scene, count, at(0.2, 0.1, 0.2));
        assert!(reached < 0.1001, "{filter}: {reached}");
        // The frame also moves in small steps.
        let count = scene.sent.len();
        for i in 0..25 {
            move_in(&mut scene, [0.1, 0.1 - 0.004 * f64::from(i), 0.1], still, 10);
        }
        let approached = scene.sent[count..].iter().filter(|(_, sent)| sent.kind == CommandKind::Approach);
        assert!(approached.count() > 5, "{filter}");
    }
}

#[test]
fn new_transform_of_a_moving_hand_is_approached() {
    let mut scene = Scene::new(&[BRISK]);
    scene.link(LinkView::Ready);
    move_in(&mut scene, [0.1, 0.0, 0.1], |t| [0.1, 0.05 * (3.0 * t).sin(), 0.1], 3000);
    assert_eq!(scene.motion(), Motion::Tracking);
    let count = scene.sent.len();
    move_in(&mut scene, [0.1, 0.1, 0.1], |t| [0.1, 0.05 * (9.0 + 3.0 * t).sin(), 0.1], 300);
    let reached = fastest(&scene, count, at(1.0, 1.0, 1.0));
    assert!(reached < 0.1001, "{reached}");
}

#[test]
fn resting_hand_before_moving_camera_is_followed() {
    let mut scene = Scene::new(&[BRISK]);
    scene.link(LinkView::Ready);
    // The camera moves at up to 0.2 m/s. In its picture, the hand moves in the opposite direction.
    for i in 0..300 {
        let camera = 0.05 * (4.0 * 0.01 * f64::from(i)).sin();
        move_in(&mut scene, [0.1, camera, 0.1], |_| [0.1, -camera, 0.1], 10);
    }
    assert_eq!(scene.motion(), Motion::Tracking);
    let tracked = scene.sent.iter().skip(10).all(|(_, sent)| sent.kind == CommandKind::Tracking);
    assert!(tracked);
}

#[test]
fn changed_retargeting_disarms() {
    let relative = ("retarget.mode", text("relative"));
    for (before, after) in
        [(&[][..], std::slice::from_ref(&relative)), (std::slice::from_ref(&relative), &[])]
    {
        let mut scene = Scene::tracking(before);
        scene.hand = [0.25, 0.0, 0.2];
        scene.move_for(500);
        let count = scene.sent.len();
        set(&mut scene, after);
        scene.move_for(2000);
        assert_eq!((scene.motion(), scene.sent.len()), (Motion::Disarmed, count));
        assert!(scene.reason().contains("retarget.* has changed"), "{}", scene.reason());
    }
}
