//! Tests of who may set the arm in motion: the publisher that the arm was armed for. A start and
//! `stop.topic` end this permission.

use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::teleop::{
    Disarmed, InputFault, LinkView, Motion, PublisherId, Reason, ReasonKind, Restored, StopCause, Target,
};

use crate::scene::Scene;

const HAND: PublisherId = PublisherId([1; 16]);
const BAG: PublisherId = PublisherId([2; 16]);

/// Sends targets of one publisher at 100 Hz for a time, at the position of the hand.
fn sends(scene: &mut Scene, publisher: PublisherId, millis: u64) {
    for _ in 0..millis / 10 {
        let _ = send(scene, publisher);
        scene.wait(10);
    }
}

fn send(scene: &mut Scene, publisher: PublisherId) -> Result<(), InputFault> {
    let [x, y, z] = scene.hand;
    let target = Target { publisher: Some(publisher), ..Target::new(x, y, z, None).unwrap() };
    let result = scene.teleop.handle_target(scene.now, target);
    scene.send();
    result
}

fn following(settings: &[(&str, Value)]) -> Scene {
    let mut scene = Scene::new(settings);
    scene.link(LinkView::Ready);
    sends(&mut scene, HAND, 1500);
    assert_eq!(scene.teleop.motion(), Motion::Tracking);
    scene.sent.clear();
    scene
}

#[test]
fn successor_of_silent_publisher_ends_motion() {
    let mut scene = following(&[]);
    scene.wait(1500);
    assert_eq!(scene.teleop.motion(), Motion::Holding);
    scene.hand = [0.25, 0.0, 0.2];
    sends(&mut scene, BAG, 3000);
    assert_eq!(scene.teleop.reason(scene.now), Reason::AwaitingOperator(Disarmed::ByNewPublisher));
    assert!(scene.sent.is_empty());
    // An operator sees the new hand and arms for it.
    scene.set_armed().unwrap();
    sends(&mut scene, BAG, 1500);
    assert!(!scene.sent.is_empty());
}

#[test]
fn first_hand_returning_after_successor_moves_nothing() {
    let mut scene = following(&[]);
    scene.wait(1500);
    sends(&mut scene, BAG, 100);
    sends(&mut scene, HAND, 3000);
    assert_eq!(scene.teleop.motion(), Motion::Disarmed);
    assert!(scene.sent.is_empty());
}

#[test]
fn second_publisher_beside_hand_is_never_followed() {
    let mut scene = following(&[]);
    let position = scene.hand;
    for _ in 0..100 {
        scene.hand = [0.2, 0.05, 0.2];
        assert_eq!(send(&mut scene, BAG), Err(InputFault::OtherPublisher));
        assert_eq!(scene.teleop.reason(scene.now).kind(), ReasonKind::MultiplePublishers);
        scene.hand = position;
        let _ = send(&mut scene, HAND);
        assert_eq!(scene.teleop.motion(), Motion::Holding);
        scene.wait(10);
    }
    assert!(scene.sent.is_empty());
    // The second publisher has been silent for long enough.
    sends(&mut scene, HAND, 3500);
    assert_eq!(scene.teleop.motion(), Motion::Tracking);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.position.coordinates()[1].abs() < 1e-9));
}

#[test]
fn alternating_hands_before_arming_never_settle() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    for _ in 0..300 {
        sends(&mut scene, HAND, 10);
        sends(&mut scene, BAG, 10);
    }
    assert_eq!(scene.teleop.motion(), Motion::Disarmed);
    sends(&mut scene, BAG, 1500);
    assert_eq!(scene.teleop.motion(), Motion::Tracking);
}

#[test]
fn new_publisher_before_arming_has_to_settle() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    sends(&mut scene, HAND, 900);
    sends(&mut scene, BAG, 900);
    assert_eq!(scene.teleop.reason(scene.now).kind(), ReasonKind::Settling);
    sends(&mut scene, BAG, 200);
    assert_ne!(scene.teleop.motion(), Motion::Disarmed);
}

#[test]
fn arming_is_for_the_visible_publisher() {
    let mut scene = Scene::new(&[("teleop.arming", Value::Text("operator".into()))]);
    scene.link(LinkView::Ready);
    sends(&mut scene, HAND, 500);
    scene.set_armed().unwrap();
    // A message of another publisher arrives between the operator's call and the hand's next
    // message.
    assert_eq!(send(&mut scene, BAG), Err(InputFault::OtherPublisher));
    scene.wait(3500);
    sends(&mut scene, HAND, 1500);
    assert_eq!(scene.teleop.motion(), Motion::Tracking);
}

#[test]
fn publishers_without_identity_count_as_one() {
    let mut scene = Scene::tracking(&[]);
    scene.wait(1500);
    scene.move_for(2000);
    assert_eq!(scene.teleop.motion(), Motion::Tracking);
}

#[test]
fn stop_message_stops_and_false_releases_nothing() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_stop_message(scene.now, true);
    let Reason::Stopped(StopCause::Topic) = scene.teleop.reason(scene.now) else { panic!() };
    scene.teleop.handle_stop_message(scene.now, false);
    scene.move_for(200);
    assert_eq!(scene.teleop.motion(), Motion::Stopped);
    assert!(scene.sent.is_empty());
}

#[test]
fn silent_stop_topic_stops_at_its_deadline() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_stop_message(scene.now, false);
    let deadline = scene.now + Duration::from_millis(500);
    scene.move_for(490);
    assert_eq!(scene.teleop.motion(), Motion::Tracking);
    assert!(scene.teleop.poll_timeout(scene.now).unwrap() <= deadline);
    scene.now = deadline;
    scene.teleop.handle_timeout(scene.now);
    let Reason::Stopped(StopCause::Silence { timeout }) = scene.teleop.reason(scene.now) else { panic!() };
    assert_eq!(timeout, Duration::from_millis(500));
    // A reset has no effect while the topic is silent.
    scene.teleop.handle_reset();
    scene.teleop.handle_timeout(scene.now);
    assert_eq!(scene.teleop.motion(), Motion::Stopped);
    scene.teleop.handle_stop_message(scene.now, false);
    scene.teleop.handle_reset();
    scene.set_armed().unwrap();
    assert!(scene.teleop.is_armed());
}

#[test]
fn stop_topic_without_timeout_may_be_silent() {
    let mut scene = Scene::tracking(&[("stop.timeout", Value::Real(0.0))]);
    scene.teleop.handle_stop_message(scene.now, false);
    scene.move_for(5000);
    assert_eq!(scene.teleop.motion(), Motion::Tracking);
}

#[test]
fn first_cause_of_a_stop_stays() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_stop();
    scene.teleop.handle_stop_message(scene.now, true);
    assert_eq!(scene.teleop.stop_cause(), Some(&StopCause::Requested));
}

#[test]
fn stop_of_last_run_requires_reset_and_arming() {
    let mut scene = Scene::new(&[]);
    scene.teleop.handle_restored(Restored::Stopped("stopped yesterday".into()));
    scene.link(LinkView::Ready);
    scene.move_for(3000);
    let reason = scene.teleop.reason(scene.now).to_string();
    assert_eq!(reason, "stopped yesterday; call ~/reset, then ~/set_armed with data: true");
    assert!(scene.sent.is_empty() && scene.set_armed().is_err());
    scene.teleop.handle_reset();
    scene.move_for(3000);
    assert!(scene.sent.is_empty());
    scene.set_armed().unwrap();
    scene.move_for(2000);
    assert!(!scene.sent.is_empty());
}

#[test]
fn restored_disarm_waits_for_an_operator() {
    for why in [Disarmed::ByRespawn, Disarmed::WithoutStateFile] {
        let mut scene = Scene::new(&[]);
        scene.teleop.handle_restored(Restored::Disarmed(why));
        scene.link(LinkView::Ready);
        scene.move_for(3000);
        assert_eq!(scene.teleop.reason(scene.now), Reason::AwaitingOperator(why));
        assert!(scene.sent.is_empty());
    }
}
