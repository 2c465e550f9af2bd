//! Tests of the tool's orientation.

use std::f64::consts::PI;

use aether_bridge::config::Value;
use aether_bridge::geometry::Orientation;
use aether_bridge::teleop::{InputFault, LinkView, Motion, Target};

use crate::scene::{Scene, text};

const SPEED: f64 = 0.5;

fn settings(more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let extras = Value::Texts(vec!["quaternion".into()]);
    let own = [("wire.extra_fields", extras), ("limits.angular_speed", Value::Real(SPEED))];
    own.into_iter().chain(more.iter().cloned()).collect()
}

fn yaw(yaw: f64) -> Orientation {
    Orientation::from_rpy([0.0, 0.0, yaw])
}

/// Sends targets with this orientation at 100 Hz for a time.
fn turn_for(scene: &mut Scene, orientation: Orientation, millis: u64) {
    for _ in 0..millis / 10 {
        let [x, y, z] = scene.hand;
        let target = Target { orientation: Some(orientation), ..Target::new(x, y, z, None).unwrap() };
        scene.teleop.handle_target(scene.now, target).unwrap();
        scene.send();
        scene.wait(10);
    }
}

fn commanded(scene: &Scene) -> Vec<Orientation> {
    scene.sent.iter().map(|(_, planned)| planned.command.orientation.unwrap()).collect()
}

#[test]
fn command_has_no_orientation_without_wire_field() {
    let mut scene = Scene::tracking(&[]);
    turn_for(&mut scene, yaw(1.0), 100);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.orientation.is_none()));
}

#[test]
fn tool_rotates_to_hand_at_its_own_speed() {
    let mut scene = Scene::tracking(&settings(&[("arm.home_rpy", Value::Reals(vec![0.0, 0.0, 0.1]))]));
    turn_for(&mut scene, yaw(0.6), 500);
    let turned = commanded(&scene);
    assert!((turned[0].angle_to(yaw(0.1)) - SPEED * 0.02).abs() < 1e-9, "{turned:?}");
    assert!(turned.windows(2).all(|pair| pair[0].angle_to(pair[1]) <= SPEED * 0.02 + 1e-9));
    assert!(scene.sent.iter().all(|(_, planned)| planned.altered_by().any(|why| why == "turn_limited")));
    turn_for(&mut scene, yaw(0.6), 600);
    assert_eq!(commanded(&scene).last(), Some(&yaw(0.6)));
    assert!(scene.sent.last().unwrap().1.altered_by().next().is_none());
    // The hand rests, so the orientation stays.
    scene.sent.clear();
    turn_for(&mut scene, yaw(0.6), 100);
    assert!(commanded(&scene).iter().all(|orientation| *orientation == yaw(0.6)));
}

#[test]
fn tool_reaches_goal_without_further_targets() {
    let mut scene = Scene::tracking(&settings(&[("input.timeout", Value::Real(5.0))]));
    turn_for(&mut scene, yaw(0.3), 10);
    scene.wait(1000);
    assert!(commanded(&scene).last().unwrap().angle_to(yaw(0.3)) < 1e-9);
    // A rest does not allow a faster start: the next rotation begins as slowly.
    scene.sent.clear();
    turn_for(&mut scene, yaw(0.6), 20);
    assert!(commanded(&scene)[0].angle_to(yaw(0.3)) <= SPEED * 0.02 + 1e-9);
}

#[test]
fn slow_controller_does_not_slow_the_rotation() {
    let mut scene = Scene::tracking(&settings(&[]));
    scene.replies = true;
    for _ in 0..10 {
        let [x, y, z] = scene.hand;
        let target = Target { orientation: Some(yaw(1.0)), ..Target::new(x, y, z, None).unwrap() };
        scene.teleop.handle_target(scene.now, target).unwrap();
        scene.send();
        // The longest delay of a reply at which the hand does not count as lost.
        scene.now += std::time::Duration::from_millis(100);
    }
    let turned = commanded(&scene);
    assert!(turned.len() > 5, "{turned:?}");
    for pair in turned.windows(2).skip(1) {
        assert!((pair[0].angle_to(pair[1]) - SPEED * 0.1).abs() < 1e-9, "{turned:?}");
    }
}

#[test]
fn rotation_after_loss_starts_at_accepted_orientation() {
    let mut scene = Scene::tracking(&settings(&[]));
    turn_for(&mut scene, yaw(0.4), 300);
    let accepted = *commanded(&scene).last().unwrap();
    scene.replies = false;
    turn_for(&mut scene, yaw(0.4), 20);
    scene.link(LinkView::Down);
    scene.replies = true;
    scene.sent.clear();
    scene.link(LinkView::Ready);
    turn_for(&mut scene, yaw(PI), 100);
    assert!(commanded(&scene)[0].angle_to(accepted) <= SPEED * 0.02 + 1e-9);
    assert_eq!(scene.motion(), Motion::Tracking);
}

#[test]
fn way_back_from_refused_rotation_obeys_speed_limit() {
    let mut scene = Scene::tracking(&settings(&[]));
    turn_for(&mut scene, yaw(0.4), 100);
    let accepted = *commanded(&scene).last().unwrap();
    // A command far ahead of the accepted orientation is refused.
    scene.replies = false;
    scene.now += std::time::Duration::from_millis(150);
    turn_for(&mut scene, yaw(0.4), 10);
    let (sent_at, refused) = *scene.sent.last().unwrap();
    scene.teleop.handle_rejected(scene.now);
    scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    scene.replies = true;
    let before = scene.sent.len();
    while scene.sent.len() == before {
        turn_for(&mut scene, yaw(-1.0), 10);
    }
    let (at, next) = scene.sent[before];
    let turned = refused.command.orientation.unwrap().angle_to(next.command.orientation.unwrap());
    assert!(turned <= SPEED * (at - sent_at).as_secs_f64() + 1e-9, "{turned} rad");
    let first = next.command.orientation.unwrap().angle_to(accepted);
    assert!(first <= SPEED * 0.02 + 1e-9, "it begins {first} rad from what was accepted");
}

#[test]
fn tool_follows_orientation_in_the_base_frame() {
    let base = [("retarget.rotation_rpy", Value::Reals(vec![0.0, 0.0, 0.5]))];
    let mut scene = Scene::new(&settings(&base));
    scene.link(LinkView::Ready);
    turn_for(&mut scene, yaw(-0.3), 3000);
    assert!(commanded(&scene).last().unwrap().angle_to(yaw(0.2)) < 1e-9);
}

#[test]
fn relative_mode_rotates_tool_with_hand() {
    let mut scene = Scene::new(&settings(&[
        ("retarget.mode", text("relative")),
        ("arm.home_rpy", Value::Reals(vec![0.3, 0.0, 0.0])),
    ]));
    scene.link(LinkView::Ready);
    turn_for(&mut scene, yaw(2.0), 1300);
    assert!(
        commanded(&scene).iter().all(|tool| tool.angle_to(Orientation::from_rpy([0.3, 0.0, 0.0])) < 1e-9)
    );
    turn_for(&mut scene, yaw(2.2), 600);
    let expected = Orientation::from_rpy([0.3, 0.0, 0.2]);
    let turned = *commanded(&scene).last().unwrap();
    assert!(turned.angle_to(expected) < 1e-9, "{turned:?}");
}

#[test]
fn quaternion_with_opposite_sign_rotates_nothing() {
    let mut scene = Scene::tracking(&settings(&[]));
    turn_for(&mut scene, yaw(0.2), 600);
    let [x, y, z, w] = yaw(0.21).xyzw();
    turn_for(&mut scene, Orientation::new([-x, -y, -z, -w]).unwrap(), 200);
    for pair in commanded(&scene).windows(2) {
        let [one, other] = [pair[0].xyzw(), pair[1].xyzw()];
        let apart = one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
        assert!(apart < 0.01, "{one:?} {other:?}");
    }
    let sent = scene.sent.len();
    scene.wait(100);
    assert_eq!(scene.sent.len(), sent, "the tool is at the goal, whatever the sign");
}

#[test]
fn target_without_orientation_leaves_tool_unchanged() {
    let mut scene = Scene::tracking(&settings(&[("arm.home_rpy", Value::Reals(vec![0.0, 0.0, 0.1]))]));
    scene.hand = [0.21, 0.0, 0.2];
    scene.move_for(200);
    assert!(commanded(&scene).iter().all(|orientation| *orientation == yaw(0.1)));
}
