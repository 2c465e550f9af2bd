//! How the tool is turned.

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

/// The hand turned like this, at 100 Hz for a while.
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
fn nothing_is_said_of_it_unless_the_wire_tells_it() {
    let mut scene = Scene::tracking(&[]);
    turn_for(&mut scene, yaw(1.0), 100);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.orientation.is_none()));
}

#[test]
fn the_tool_turns_to_how_the_hand_is_turned_at_its_own_speed_and_stays_there() {
    let mut scene = Scene::tracking(&settings(&[("arm.home_rpy", Value::Reals(vec![0.0, 0.0, 0.1]))]));
    turn_for(&mut scene, yaw(0.6), 500);
    let turned = commanded(&scene);
    assert!((turned[0].angle_to(yaw(0.1)) - SPEED * 0.02).abs() < 1e-9, "{turned:?}");
    assert!(turned.windows(2).all(|pair| pair[0].angle_to(pair[1]) <= SPEED * 0.02 + 1e-9));
    assert!(scene.sent.iter().all(|(_, planned)| planned.altered_by().any(|why| why == "turn_limited")));
    turn_for(&mut scene, yaw(0.6), 600);
    assert_eq!(commanded(&scene).last(), Some(&yaw(0.6)));
    assert!(scene.sent.last().unwrap().1.altered_by().next().is_none());
    // The hand rests, so its tremor is all there is to follow.
    scene.sent.clear();
    turn_for(&mut scene, yaw(0.6), 100);
    assert!(commanded(&scene).iter().all(|orientation| *orientation == yaw(0.6)));
}

#[test]
fn the_tool_gets_there_though_no_further_target_comes() {
    let mut scene = Scene::tracking(&settings(&[("input.timeout", Value::Real(5.0))]));
    turn_for(&mut scene, yaw(0.3), 10);
    scene.wait(1000);
    assert!(commanded(&scene).last().unwrap().angle_to(yaw(0.3)) < 1e-9);
    // A rest is no credit: the next turn begins as slowly.
    scene.sent.clear();
    turn_for(&mut scene, yaw(0.6), 20);
    assert!(commanded(&scene)[0].angle_to(yaw(0.3)) <= SPEED * 0.02 + 1e-9);
}

#[test]
fn a_controller_that_is_slow_has_the_tool_turned_no_slower() {
    let mut scene = Scene::tracking(&settings(&[]));
    scene.answers = true;
    for _ in 0..10 {
        let [x, y, z] = scene.hand;
        let target = Target { orientation: Some(yaw(1.0)), ..Target::new(x, y, z, None).unwrap() };
        scene.teleop.handle_target(scene.now, target).unwrap();
        scene.send();
        // As long as an answer may take before the hand counts as lost.
        scene.now += std::time::Duration::from_millis(100);
    }
    let turned = commanded(&scene);
    assert!(turned.len() > 5, "{turned:?}");
    for pair in turned.windows(2).skip(1) {
        assert!((pair[0].angle_to(pair[1]) - SPEED * 0.1).abs() < 1e-9, "{turned:?}");
    }
}

#[test]
fn after_a_loss_it_goes_on_from_what_the_controller_has_accepted() {
    let mut scene = Scene::tracking(&settings(&[]));
    turn_for(&mut scene, yaw(0.4), 300);
    let accepted = *commanded(&scene).last().unwrap();
    scene.answers = false;
    turn_for(&mut scene, yaw(0.4), 20);
    scene.link(LinkView::Down);
    scene.answers = true;
    scene.sent.clear();
    scene.link(LinkView::Ready);
    turn_for(&mut scene, yaw(PI), 30);
    assert!(commanded(&scene)[0].angle_to(accepted) <= SPEED * 0.02 + 1e-9);
    assert_eq!(scene.motion(), Motion::Tracking);
}

#[test]
fn the_way_back_from_a_refused_turn_takes_its_time() {
    let mut scene = Scene::tracking(&settings(&[]));
    turn_for(&mut scene, yaw(0.4), 100);
    let accepted = *commanded(&scene).last().unwrap();
    // A command that is far ahead of what is accepted, and refused.
    scene.answers = false;
    scene.now += std::time::Duration::from_millis(150);
    turn_for(&mut scene, yaw(0.4), 10);
    let (sent_at, refused) = *scene.sent.last().unwrap();
    scene.teleop.handle_rejected(scene.now);
    scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    scene.answers = true;
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
fn the_tool_turns_as_the_hand_is_seen_from_the_base() {
    let base = [("retarget.rotation_rpy", Value::Reals(vec![0.0, 0.0, 0.5]))];
    let mut scene = Scene::new(&settings(&base));
    scene.link(LinkView::Ready);
    turn_for(&mut scene, yaw(-0.3), 3000);
    assert!(commanded(&scene).last().unwrap().angle_to(yaw(0.2)) < 1e-9);
}

#[test]
fn in_relative_mode_the_tool_turns_as_far_as_the_hand_does() {
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
fn a_sender_that_writes_the_same_with_the_other_sign_turns_nothing() {
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
    assert_eq!(scene.sent.len(), sent, "it is there, whatever the sign");
}

#[test]
fn a_sender_that_says_nothing_of_it_leaves_the_tool_as_it_is() {
    let mut scene = Scene::tracking(&settings(&[("arm.home_rpy", Value::Reals(vec![0.0, 0.0, 0.1]))]));
    scene.hand = [0.21, 0.0, 0.2];
    scene.move_for(200);
    assert!(commanded(&scene).iter().all(|orientation| *orientation == yaw(0.1)));
}
