//! Tests of the gripper's decision during motions, holds and refusals, and while publishers join
//! and leave.

use std::time::Duration;

use aether_bridge::arm::Gripper;
use aether_bridge::config::Value;
use aether_bridge::teleop::{GraphNews, GripperInput, LinkView, Motion, Target};

use crate::scene::{Scene, config, text};

const OPEN: GripperInput = GripperInput::Wanted(Gripper::Open);
const CLOSED: GripperInput = GripperInput::Wanted(Gripper::Closed);

fn publish(scene: &mut Scene, input: GripperInput) {
    scene.teleop.handle_gripper(scene.now, input);
}

/// Publishes the same number twice on the topic.
fn publish_twice(scene: &mut Scene, opening: f64) {
    publish(scene, GripperInput::Opening(opening));
    publish(scene, GripperInput::Opening(opening));
}

/// Creates a scene in motion with a closed gripper. The topic has sent "closed" once.
fn holding_something() -> Scene {
    let mut scene = Scene::tracking(&[]);
    publish(&mut scene, CLOSED);
    scene.move_for(200);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
    scene.sent.clear();
    scene
}

fn last_gripper(scene: &Scene) -> Gripper {
    scene.sent.last().unwrap().1.command.gripper
}

/// Returns the gripper states in the commands of the next second, without repetitions.
fn grippers_in_next_motion(scene: &mut Scene) -> Vec<Gripper> {
    scene.sent.clear();
    scene.move_for(1000);
    let mut grippers: Vec<_> = scene.sent.iter().map(|(_, planned)| planned.command.gripper).collect();
    assert!(!grippers.is_empty(), "{}", scene.reason());
    grippers.dedup();
    grippers
}

/// Sends targets at 100 Hz for a time. Each target contains this gripper input.
fn move_with_gripper(scene: &mut Scene, at: [f64; 3], input: GripperInput, millis: u64) {
    for _ in 0..millis / 10 {
        let target = Target { gripper: Some(input), ..Target::new(at[0], at[1], at[2], None).unwrap() };
        scene.teleop.handle_target(scene.now, target).ok();
        scene.send();
        scene.wait(10);
    }
}

const PLACE: [f64; 3] = [0.2, 0.0, 0.2];

#[test]
fn single_state_message_is_in_every_command() {
    for publish in [publish as fn(&mut Scene, GripperInput), |scene, _| publish_twice(scene, 0.1)] {
        for settle_time in [0.0, 1.0] {
            let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(settle_time))]);
            publish(&mut scene, CLOSED);
            scene.wait(60_000);
            scene.link(LinkView::Ready);
            scene.move_for(2000);
            assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
            assert!(!scene.sent.is_empty());
        }
    }
}

#[test]
fn single_number_without_repetition_has_no_effect() {
    for settle_time in [0.0, 1.0] {
        let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(settle_time))]);
        publish(&mut scene, GripperInput::Opening(0.1));
        scene.wait(60_000);
        scene.link(LinkView::Ready);
        scene.move_for(2000);
        assert!(!scene.sent.is_empty());
        assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Open));
    }
    let mut scene = holding_something();
    publish(&mut scene, GripperInput::Opening(0.9));
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
    // One target contains "open", and later targets contain no gripper input.
    let mut scene = holding_something();
    move_with_gripper(&mut scene, PLACE, OPEN, 10);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn first_motion_waits_for_a_second_number() {
    let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(0.0))]);
    scene.link(LinkView::Ready);
    move_with_gripper(&mut scene, PLACE, CLOSED, 10);
    assert!(scene.sent.is_empty(), "{:?}", scene.sent);
    assert!(scene.reason().contains("waiting"), "{}", scene.reason());
    move_with_gripper(&mut scene, PLACE, CLOSED, 500);
    assert!(!scene.sent.is_empty(), "{}", scene.reason());
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn invalid_numbers_do_not_move_the_gripper() {
    for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        for state in [OPEN, CLOSED] {
            let mut scene = Scene::tracking(&[]);
            publish(&mut scene, state);
            scene.move_for(400);
            let before = last_gripper(&scene);
            for _ in 0..100 {
                publish(&mut scene, GripperInput::Opening(value));
                move_with_gripper(&mut scene, PLACE, GripperInput::Opening(value), 10);
            }
            assert_eq!(grippers_in_next_motion(&mut scene), [before], "{value}");
        }
        // An invalid number is not a first wish either.
        let mut scene = Scene::new(&[]);
        scene.link(LinkView::Ready);
        move_with_gripper(&mut scene, PLACE, GripperInput::Opening(value), 2000);
        assert_eq!(last_gripper(&scene), Gripper::Open, "{value}");
    }
}

#[test]
fn controller_report_counts_before_first_wish() {
    let mut scene = Scene::new(&[]);
    scene.report_gripper(Gripper::Closed);
    scene.link(LinkView::Ready);
    scene.move_for(2000);
    assert!(!scene.sent.is_empty());
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    // From now on the state is known, and a report is not a wish.
    scene.report_gripper(Gripper::Open);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn report_outweighs_latched_message() {
    for reported_first in [true, false] {
        let mut scene = Scene::new(&[]);
        let report = |scene: &mut Scene| scene.report_gripper(Gripper::Closed);
        if reported_first {
            report(&mut scene);
        }
        scene.teleop.handle_kept_gripper(scene.now, OPEN);
        if !reported_first {
            report(&mut scene);
        }
        scene.link(LinkView::Ready);
        scene.move_for(4000);
        assert!(!scene.sent.is_empty(), "{}", scene.reason());
        assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    }
}

#[test]
fn flicker_after_report_does_not_open() {
    let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(0.0))]);
    scene.report_gripper(Gripper::Closed);
    scene.link(LinkView::Ready);
    publish(&mut scene, OPEN);
    scene.move_for(50);
    publish(&mut scene, CLOSED);
    scene.move_for(1000);
    assert!(!scene.sent.is_empty());
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn report_on_new_connection_outweighs_old_state() {
    let mut scene = holding_something();
    publish(&mut scene, OPEN);
    scene.move_for(400);
    assert_eq!(last_gripper(&scene), Gripper::Open);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.link(LinkView::Down);
    // An operator has put an object into the gripper meanwhile.
    scene.wait(300);
    scene.link(LinkView::Ready);
    scene.report_gripper(Gripper::Closed);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn report_of_open_counts_on_new_connection() {
    let mut scene = holding_something();
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    scene.report_gripper(Gripper::Open);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Open]);
}

#[test]
fn numbers_before_a_stop_do_not_count() {
    let mut scene = holding_something();
    scene.link(LinkView::Unresponsive);
    scene.move_for(100);
    publish_twice(&mut scene, 0.9);
    scene.move_for(400);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.teleop.handle_stop();
    scene.teleop.handle_reset();
    scene.link(LinkView::Ready);
    scene.teleop.handle_set_armed(scene.now, true).unwrap();
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn gripper_closed_by_others_during_hold_stays_closed() {
    for hold in ["repeat", "silent"] {
        let mut scene = Scene::tracking(&[("teleop.hold_behavior", text(hold))]);
        scene.target();
        scene.wait(2000);
        assert_eq!(scene.motion(), Motion::Holding);
        scene.report_gripper(Gripper::Closed);
        assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed], "{hold}");
        // A gripper that holds an object may report that it is not closed.
        scene.wait(2000);
        scene.report_gripper(Gripper::Open);
        assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed], "{hold}");
        // This gripper was closed, and was then opened by other means.
        scene.wait(2000);
        scene.report_gripper(Gripper::Closed);
        scene.report_gripper(Gripper::Open);
        assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Open], "{hold}");
    }
}

#[test]
fn initial_gripper_state_comes_from_parameter() {
    let mut scene = Scene::new(&[("gripper.initial", text("closed"))]);
    scene.link(LinkView::Ready);
    // A sample without a wish does not change this.
    publish(&mut scene, GripperInput::Opening(f64::NAN));
    scene.move_for(2000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn lost_hand_has_to_repeat_open() {
    let mut scene = holding_something();
    publish(&mut scene, OPEN);
    scene.wait(900);
    assert_eq!(scene.motion(), Motion::Holding);
    let back = scene.now;
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed, Gripper::Open]);
    let opened = scene.sent.iter().find(|(_, planned)| planned.command.gripper == Gripper::Open).unwrap().0;
    assert_eq!(opened - back, Duration::from_millis(300), "gripper.open_debounce");
}

#[test]
fn numbers_during_loss_do_not_open() {
    let mut scene = holding_something();
    for _ in 0..100 {
        publish(&mut scene, GripperInput::Opening(0.9));
        scene.wait(10);
    }
    assert_eq!(scene.motion(), Motion::Holding);
    publish(&mut scene, GripperInput::Opening(0.9));
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
    publish_twice(&mut scene, 0.9);
    assert_eq!(grippers_in_next_motion(&mut scene).last(), Some(&Gripper::Open));
}

#[test]
fn refused_decision_is_debounced_again() {
    let mut scene = Scene::tracking(&[]);
    scene.replies = false;
    publish(&mut scene, CLOSED);
    let mut changes = Vec::new();
    for _ in 0..100 {
        let count = scene.sent.len();
        scene.move_for(10);
        for (at, planned) in scene.sent[count..].iter().copied() {
            if planned.command.gripper == Gripper::Closed {
                scene.teleop.handle_rejected(at);
                changes.push(at);
            } else {
                scene.teleop.handle_acknowledged(at, &planned.command);
            }
        }
    }
    assert!(changes.len() >= 5, "the state message stays valid: {changes:?}");
    let soonest = changes.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(soonest >= Duration::from_millis(100), "gripper.close_debounce: {soonest:?}");
}

/// Sends targets until a command contains "closed". The commands before it are accepted.
fn move_until_closed(scene: &mut Scene) {
    scene.replies = false;
    while scene.sent.last().is_none_or(|(_, planned)| planned.command.gripper == Gripper::Open) {
        let count = scene.sent.len();
        scene.target();
        for (at, planned) in scene.sent[count..].iter().copied() {
            if planned.command.gripper == Gripper::Open {
                scene.teleop.handle_acknowledged(at, &planned.command);
            }
        }
        scene.now += Duration::from_millis(10);
    }
}

/// Creates a scene in which the topic requests "closed" and then is silent. The decision is sent,
/// but not accepted.
fn undelivered(undo: impl Fn(&mut Scene)) -> Scene {
    let mut scene = Scene::tracking(&[]);
    publish_twice(&mut scene, 0.1);
    move_until_closed(&mut scene);
    undo(&mut scene);
    scene.replies = true;
    scene
}

#[test]
fn unaccepted_decision_never_takes_effect_later() {
    type Undo = fn(&mut Scene);
    let undo: [(&str, Undo); 5] = [
        ("refused", |scene| scene.teleop.handle_rejected(scene.now)),
        ("lost", |scene| scene.teleop.handle_lost()),
        ("link lost", |scene| {
            scene.link(LinkView::Down);
            scene.link(LinkView::Ready);
        }),
        ("disarmed", |scene| {
            scene.teleop.handle_set_armed(scene.now, false).unwrap();
            scene.teleop.handle_lost();
            scene.set_armed().unwrap();
        }),
        ("stopped", |scene| {
            scene.teleop.handle_stop();
            scene.teleop.handle_rejected(scene.now);
            scene.teleop.handle_reset();
            scene.set_armed().unwrap();
        }),
    ];
    for (case, undo) in undo {
        let mut scene = undelivered(undo);
        assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Open], "{case}");
        // A new wish counts.
        publish_twice(&mut scene, 0.1);
        assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Open, Gripper::Closed], "{case}");
    }
}

#[test]
fn unsent_decision_never_takes_effect_later() {
    // The command cannot be sent while the reply to the last command is missing. Then the link
    // breaks.
    let mut scene = holding_something();
    publish_twice(&mut scene, 0.9);
    for _ in 0..40 {
        let [x, y, z] = scene.hand;
        scene.teleop.handle_target(scene.now, Target::new(x, y, z, None).unwrap()).unwrap();
        scene.now += Duration::from_millis(10);
        scene.teleop.handle_timeout(scene.now);
    }
    assert_eq!(scene.teleop.poll_command(scene.now).unwrap().command.gripper, Gripper::Open, "it is due");
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn command_accepted_after_motion_counts() {
    let mut scene = undelivered(|scene| {
        scene.wait(1000);
        assert_eq!(scene.motion(), Motion::Holding);
        let command = scene.sent.last().unwrap().1.command;
        scene.teleop.handle_acknowledged(scene.now, &command);
    });
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn no_command_follows_refusal_before_all_replies() {
    let mut scene = Scene::tracking(&[]);
    scene.replies = false;
    publish(&mut scene, CLOSED);
    scene.hand = [0.28, 0.0, 0.2];
    // Several commands have been sent. The last ones close the gripper.
    while scene.sent.iter().filter(|(_, planned)| planned.command.gripper == Gripper::Closed).count() < 3 {
        scene.move_for(10);
    }
    let sent: Vec<_> = scene.sent.iter().map(|(_, planned)| planned.command).collect();
    let (refused, rest) = sent.split_at(sent.len() - 2);
    for command in refused {
        match command.gripper {
            Gripper::Open => scene.teleop.handle_acknowledged(scene.now, command),
            Gripper::Closed => scene.teleop.handle_rejected(scene.now),
        }
    }
    scene.move_for(50);
    assert_eq!(scene.sent.len(), sent.len(), "the gripper may be open or closed");
    for command in rest {
        scene.teleop.handle_acknowledged(scene.now, command);
    }
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed], "it does not open meanwhile");
}

#[test]
fn wish_of_departed_publisher_is_void_after_refusal() {
    let mut scene = Scene::tracking(&[]);
    publish(&mut scene, CLOSED);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    move_until_closed(&mut scene);
    scene.teleop.handle_rejected(scene.now);
    scene.replies = true;
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Open]);
}

#[test]
fn another_arm_inherits_no_gripper_state() {
    for reports in [false, true] {
        let mut scene = holding_something();
        scene.teleop.handle_set_armed(scene.now, false).unwrap();
        scene.link(LinkView::Down);
        scene.teleop.handle_other_arm();
        scene.link(LinkView::Ready);
        if reports {
            scene.report_gripper(Gripper::Open);
        }
        scene.set_armed().unwrap();
        assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Open]);
    }
}

#[test]
fn changed_gripper_settings_need_new_samples() {
    let change = |scene: &mut Scene, name: &'static str, value: f64| {
        scene.teleop.handle_config(scene.now, config(&[(name, Value::Real(value))]));
    };
    // The new settings make an opening out of the samples, or let an earlier wish last for long
    // enough.
    for (name, value) in [("gripper.open_above", 0.35), ("gripper.open_debounce", 0.0)] {
        let mut scene = holding_something();
        for _ in 0..10 {
            publish(&mut scene, GripperInput::Opening(0.9));
            scene.move_for(10);
        }
        change(&mut scene, name, value);
        assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed], "{name}");
        publish_twice(&mut scene, 0.9);
        assert_eq!(grippers_in_next_motion(&mut scene).last(), Some(&Gripper::Open), "{name}");
    }
    // Other parameters do not disturb a wish.
    let mut scene = holding_something();
    publish_twice(&mut scene, 0.9);
    scene.move_for(200);
    change(&mut scene, "limits.speed", 0.2);
    scene.move_for(110);
    assert_eq!(last_gripper(&scene), Gripper::Open);
}

#[test]
fn wish_during_link_loss_is_in_first_command() {
    let mut scene = holding_something();
    scene.link(LinkView::Down);
    scene.move_for(100);
    publish(&mut scene, OPEN);
    scene.move_for(300);
    scene.link(LinkView::Ready);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Open]);
}

#[test]
fn wish_of_publisher_leaving_during_hold_is_dropped() {
    let mut scene = holding_something();
    publish(&mut scene, OPEN);
    scene.wait(1000);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn wish_of_departed_publisher_lasts_until_hold() {
    // `ros2 topic pub --once` leaves before the debounce time has passed.
    let mut scene = holding_something();
    publish(&mut scene, OPEN);
    scene.move_for(100);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.move_for(300);
    assert_eq!(last_gripper(&scene), Gripper::Open);
    let mut scene = holding_something();
    publish(&mut scene, OPEN);
    scene.move_for(100);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.wait(300);
    assert_eq!(scene.motion(), Motion::Holding);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn wish_of_publisher_between_graph_polls_is_dropped() {
    let mut scene = holding_something();
    publish(&mut scene, OPEN);
    scene.wait(1000);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperAbsent);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn decided_state_stays_after_publisher_has_left() {
    let mut scene = holding_something();
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.wait(1000);
    assert_eq!(grippers_in_next_motion(&mut scene), [Gripper::Closed]);
    let mut scene = Scene::new(&[]);
    publish(&mut scene, CLOSED);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.link(LinkView::Ready);
    scene.move_for(1200);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn gripper_in_target_counts_only_with_good_target() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    // The gripper input of a lost hand is not a first wish.
    move_with_gripper(&mut scene, [0.0; 3], OPEN, 200);
    move_with_gripper(&mut scene, PLACE, CLOSED, 2000);
    move_with_gripper(&mut scene, [0.0; 3], OPEN, 1000);
    assert_eq!(scene.motion(), Motion::Holding);
    move_with_gripper(&mut scene, PLACE, CLOSED, 2000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    move_with_gripper(&mut scene, PLACE, OPEN, 310);
    assert_eq!(last_gripper(&scene), Gripper::Open);
}

#[test]
fn invisible_gripping_hand_never_opens() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    move_with_gripper(&mut scene, PLACE, CLOSED, 2000);
    for _ in 0..100 {
        // The value flickers, as many trackers do before they lose a hand.
        move_with_gripper(&mut scene, PLACE, OPEN, 250);
        move_with_gripper(&mut scene, PLACE, GripperInput::UNSEEN, 10);
    }
    move_with_gripper(&mut scene, PLACE, GripperInput::UNSEEN, 10_000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    move_with_gripper(&mut scene, PLACE, OPEN, 310);
    assert_eq!(last_gripper(&scene), Gripper::Open);
}

#[test]
fn only_the_topic_opens_if_so_configured() {
    let settings = [
        ("input.type", text("geometry_msgs/msg/Twist")),
        ("input.gripper", text("angular.z")),
        ("gripper.opened_by", text("topic")),
    ];
    let mut scene = Scene::new(&settings);
    scene.link(LinkView::Ready);
    move_with_gripper(&mut scene, PLACE, CLOSED, 2000);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
    scene.sent.clear();
    move_with_gripper(&mut scene, PLACE, OPEN, 60_000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    publish(&mut scene, OPEN);
    move_with_gripper(&mut scene, PLACE, OPEN, 310);
    assert_eq!(last_gripper(&scene), Gripper::Open);
    // The hand closes the gripper again, and the earlier message does not open it a second time.
    move_with_gripper(&mut scene, PLACE, CLOSED, 200);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
    move_with_gripper(&mut scene, PLACE, OPEN, 2000);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
}
