//! Tests of the modes of the teleoperation state machine and their transitions, in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all other times are virtual

mod clutch;
mod gripper;
mod holds;
mod live;
mod orientation;
mod permission;
mod position;
mod reasons;
mod rests;
mod returns;
mod scene;
mod senders;
mod space;
mod validity;

use std::time::Duration;

use aether_bridge::arm::Gripper;
use aether_bridge::config::Value;
use aether_bridge::teleop::{
    ArmingError, CommandKind, GripperInput, InputFault, Limit, LinkView, Motion, Stamp, Target,
};

use scene::{Scene, at, text};

/// An acceleration limit that has no effect, for the tests of speed.
const BRISK: (&str, Value) = ("limits.acceleration", Value::Real(100.0));

#[test]
fn bridge_arms_after_link_up_and_settle_time() {
    let mut scene = Scene::new(&[]);
    let kind = |scene: &Scene| scene.teleop.reason(scene.now).kind().as_str();
    scene.move_for(3000);
    assert_eq!(scene.reason(), "not armed yet: no connection to the controller");
    assert_eq!(kind(&scene), "link_down");
    scene.wait(1000);
    scene.link(LinkView::Ready);
    assert_eq!(scene.reason(), "not armed yet: no new target for 1.0 s");
    scene.move_for(990);
    assert_eq!(scene.motion(), Motion::Disarmed);
    assert_eq!(scene.reason(), "not armed yet: waiting until targets have been good for 1.0 s");
    assert_eq!(kind(&scene), "settling");
    assert!(scene.sent.is_empty());
    scene.move_for(20);
    assert!(scene.sent[0].1.kind == CommandKind::Approach);
}

#[test]
fn returning_hand_needs_no_settling_and_no_deadline() {
    let mut scene = Scene::tracking(&[("teleop.settle_time", Value::Real(0.1))]);
    scene.wait(300);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.target();
    assert_eq!(scene.motion(), Motion::Tracking, "the arm has not moved");
    let deadline = scene.teleop.poll_timeout(scene.now).unwrap();
    assert_eq!((deadline - scene.now).as_millis(), 200, "only the age limit is left");
}

#[test]
fn poll_timeout_returns_the_next_deadline() {
    let mut scene = Scene::new(&[]);
    let millis = |scene: &Scene| {
        scene.teleop.poll_timeout(scene.now).map(|deadline| (deadline - scene.now).as_millis())
    };
    assert_eq!(millis(&scene), None, "no event is expected");
    scene.link(LinkView::Ready);
    scene.target();
    assert_eq!(millis(&scene), Some(200), "the target expires");
    scene.move_for(950);
    assert_eq!(millis(&scene), Some(50), "the input will have settled");
    scene.move_for(200);
    assert_eq!(scene.motion(), Motion::Tracking);
    assert_eq!(millis(&scene), Some(190), "only the age limit is left");
    assert_eq!(scene.teleop.input_age(scene.now), Some(Duration::from_millis(10)));
    scene.wait(190);
    assert_eq!((scene.motion(), millis(&scene)), (Motion::Holding, Some(299_800)), "an operator has to arm");
    // After several consecutive error replies, the deadline is the next attempt.
    (0..5).for_each(|_| scene.teleop.handle_rejected(scene.now));
    assert_eq!(millis(&scene), Some(1000));
    scene.move_for(990);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.target();
    scene.now += Duration::from_millis(10);
    scene.teleop.handle_timeout(scene.now);
    assert_eq!(scene.motion(), Motion::Approach, "exactly at the deadline");
    // After an operator has armed, the input has to settle.
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    assert_eq!((scene.teleop.is_armed(), millis(&scene)), (false, Some(190)));
    scene.wait(1000);
    scene.set_armed().unwrap();
    assert!(scene.teleop.is_armed());
    scene.move_for(950);
    assert_eq!((scene.motion(), millis(&scene)), (Motion::Holding, Some(50)));
}

#[test]
fn gap_or_refused_target_restarts_settling() {
    for refused in [false, true] {
        let mut scene = Scene::new(&[]);
        scene.link(LinkView::Ready);
        scene.move_for(700);
        if refused {
            scene.teleop.handle_invalid_target(scene.now, Target::new(f64::NAN, 0.0, 0.0, None).unwrap_err());
            assert_eq!(
                scene.reason(),
                "not armed yet: target rejected: x is NaN, which is not a finite number"
            );
        } else {
            scene.wait(200);
        }
        scene.move_for(900);
        assert_eq!(scene.motion(), Motion::Disarmed);
        scene.move_for(200);
        assert_eq!(scene.motion(), Motion::Tracking);
    }
}

#[test]
fn first_approach_ramps_from_home_then_tracks() {
    let mut scene = Scene::new(&[BRISK]);
    scene.hand = [0.25, 0.0, 0.2];
    scene.link(LinkView::Ready);
    scene.move_for(1400);
    assert_eq!(scene.motion(), Motion::Approach);
    let positions = scene.positions();
    assert_eq!(positions[0], at(0.202, 0.0, 0.2));
    assert_eq!(positions[1], at(0.204, 0.0, 0.2));
    assert!(
        scene.sent.iter().all(
            |(_, planned)| planned.kind == CommandKind::Approach && planned.limited == Some(Limit::Speed)
        )
    );
    scene.move_for(300);
    assert_eq!(scene.motion(), Motion::Tracking);
    assert_eq!(*scene.positions().last().unwrap(), at(0.25, 0.0, 0.2));
    let names: Vec<_> = scene.sent[0].1.altered_by().collect();
    assert_eq!(names, ["speed_limited", "approach"]);
}

#[test]
fn first_approach_starts_at_reported_position() {
    let mut scene = Scene::new(&[]);
    scene.arm = at(0.1, 0.1, 0.1);
    scene.link(LinkView::Ready);
    scene.move_for(1020);
    assert!(scene.positions()[0].distance(at(0.1, 0.1, 0.1)) < 0.002_001);
}

#[test]
fn tracking_obeys_speed_limit_and_ends_at_goal() {
    let mut scene = Scene::tracking(&[BRISK]);
    scene.hand = [0.22, 0.0, 0.2];
    scene.target();
    scene.wait(150);
    let positions = scene.positions();
    assert_eq!(*positions.last().unwrap(), at(0.22, 0.0, 0.2));
    // A step is 5000 µm at 0.25 m/s and 50 Hz. The first step is at most two periods.
    assert!(positions.len() >= 3, "{positions:?}");
    assert!(positions.windows(2).all(|pair| pair[0].distance(pair[1]) <= 0.005_001));
    let count = scene.sent.len();
    scene.wait(40);
    assert_eq!(scene.sent.len(), count, "the goal is reached and no target has arrived");
}

#[test]
fn commands_obey_acceleration_and_never_overshoot() {
    for acceleration in [0.4, 1.0, 3.0] {
        let mut scene = Scene::tracking(&[("limits.acceleration", Value::Real(acceleration))]);
        scene.hand = [0.28, 0.0, 0.2];
        scene.move_for(1500);
        let xs: Vec<f64> = scene.positions().iter().map(|position| position.coordinates()[0]).collect();
        let times: Vec<f64> =
            scene.sent.iter().map(|(at, _)| (*at - scene.sent[0].0).as_secs_f64()).collect();
        let speeds: Vec<f64> =
            xs.windows(2).zip(times.windows(2)).map(|(x, t)| (x[1] - x[0]) / (t[1] - t[0])).collect();
        // The change over 20 ms, plus the resolution of the wire.
        let change = acceleration * 0.02 + 0.000_1;
        assert!(speeds.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= change), "{speeds:?}");
        assert!(xs.iter().all(|x| *x <= 0.28), "{xs:?}");
        assert_eq!(*xs.last().unwrap(), 0.28);
        // As fast as the limits allow over 0.08 m, and almost as fast as the optimum.
        let peak = (acceleration * 0.08_f64).sqrt().min(0.25);
        let fastest = speeds.iter().copied().fold(0.0, f64::max);
        assert!((0.9 * peak..=peak + 0.000_1).contains(&fastest), "{fastest}, {peak}");
        let arrived = times[xs.iter().position(|x| *x == 0.28).unwrap()];
        assert!(arrived < 0.08 / peak + peak / acceleration + 0.12, "{arrived}");
    }
}

#[test]
fn command_rate_limits_commands_and_zero_does_not() {
    let mut scene = Scene::tracking(&[]);
    scene.move_for(1000);
    assert!((48..=51).contains(&scene.sent.len()), "{}", scene.sent.len());
    let mut scene = Scene::tracking(&[("teleop.command_rate", Value::Integer(0))]);
    scene.move_for(1000);
    assert_eq!(scene.sent.len(), 100);
}

#[test]
fn ramp_keeps_its_rate_with_late_timers() {
    let mut scene = Scene::tracking(&[("limits.speed", Value::Real(0.1))]);
    scene.hand = [0.28, 0.0, 0.2];
    scene.target();
    // Every timer fires 1.3 ms late, and no target arrives meanwhile.
    while scene.sent.len() < 9 {
        let due = scene.teleop.poll_command_at(scene.now).unwrap();
        scene.now = due.max(scene.now) + Duration::from_micros(1300);
        scene.send();
    }
    let since = |i: usize| (scene.sent[i].0 - scene.sent[0].0).as_micros();
    assert_eq!(since(8), 160_000, "50 Hz");
    // A command that is much too late is not compensated.
    scene.now += Duration::from_millis(5);
    let due = scene.teleop.poll_command_at(scene.now).unwrap();
    scene.now = due + Duration::from_millis(6);
    scene.target();
    assert_eq!(scene.teleop.poll_command_at(scene.now).unwrap() - scene.now, Duration::from_millis(20));
}

#[test]
fn stale_input_holds_and_return_is_an_approach() {
    let mut scene = Scene::tracking(&[]);
    scene.move_for(100);
    scene.wait(189);
    assert_eq!(scene.motion(), Motion::Tracking);
    scene.wait(1);
    assert_eq!(scene.motion(), Motion::Holding);
    assert_eq!(scene.reason(), "holding: no new target for 0.2 s");
    scene.wait(5000);
    scene.sent.clear();
    scene.hand = [-0.2, 0.2, 0.1];
    scene.move_for(990);
    assert_eq!(scene.motion(), Motion::Holding);
    assert_eq!(scene.reason(), "holding: waiting until targets have been good for 1.0 s");
    scene.move_for(20);
    assert_eq!(scene.motion(), Motion::Approach);
    assert!(scene.positions()[0].distance(at(0.2, 0.0, 0.2)) <= 0.004_001, "{:?}", scene.positions());
}

#[test]
fn stamp_sets_the_age_of_a_target() {
    let mut scene = Scene::tracking(&[]);
    scene.wait(100);
    let second = 1_000_000_000;
    let stamp = Stamp { taken: 10 * second, received: 10 * second + second / 10, simulated: false };
    scene.teleop.handle_target(scene.now, Target::new(0.2, 0.0, 0.2, Some(stamp)).unwrap()).unwrap();
    scene.wait(99);
    assert_eq!(scene.motion(), Motion::Tracking);
    scene.wait(1);
    assert_eq!(scene.motion(), Motion::Holding);
}

#[test]
fn targets_outside_workspace_are_clamped_or_refused() {
    let anywhere = ("limits.max_jump", Value::Integer(0));
    let mut scene = Scene::tracking(std::slice::from_ref(&anywhere));
    scene.hand = [0.2, 0.0, -0.1];
    scene.move_for(2000);
    let (_, last) = scene.sent.last().unwrap();
    assert_eq!((last.command.position, last.clamped), (at(0.2, 0.0, 0.0), true));
    let mut scene = Scene::tracking(&[("workspace.policy", text("reject")), anywhere]);
    let fault =
        scene.teleop.handle_target(scene.now, Target::new(0.2, 0.0, -0.1, None).unwrap()).unwrap_err();
    assert_eq!(scene.motion(), Motion::Holding);
    assert_eq!(scene.reason(), format!("holding: {fault}"));
    assert_eq!(scene.teleop.counters().dropped_input, 1);
}

#[test]
fn single_zero_is_skipped_but_several_are_loss() {
    let mut scene = Scene::tracking(&[]);
    let zero = |scene: &mut Scene| {
        let target = Target::new(0.0, 0.0, 0.0, None).unwrap();
        assert_eq!(scene.teleop.handle_target(scene.now, target), Err(InputFault::Zero));
        scene.send();
        scene.wait(10);
    };
    for _ in 0..10 {
        zero(&mut scene);
        assert_eq!(scene.motion(), Motion::Tracking);
        scene.move_for(50);
    }
    assert_eq!(scene.teleop.counters().dropped_input, 10, "refused nevertheless");
    zero(&mut scene);
    zero(&mut scene);
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(scene.reason().contains("all zero"), "{}", scene.reason());
    let count = scene.sent.len();
    (0..80).for_each(|_| zero(&mut scene));
    assert_eq!(scene.sent.len(), count);
    assert!(
        scene.positions().iter().all(|position| *position == at(0.2, 0.0, 0.2)),
        "no command led to the origin"
    );
    scene.move_for(50);
    assert!(scene.sent[count].1.kind == CommandKind::Approach);
    // A zero during a jump does not change when the jump is accepted.
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.2, 0.25, 0.2];
    (0..15).for_each(|_| {
        scene.try_target().unwrap_err();
        scene.wait(10);
    });
    zero(&mut scene);
    assert!(scene.reason().contains("jumped"), "{}", scene.reason());
    (0..14).for_each(|_| {
        scene.try_target().unwrap_err();
        scene.wait(10);
    });
    scene.target();
    assert_eq!(scene.motion(), Motion::Approach);
    let mut scene = Scene::tracking(&[
        ("input.zero_is_lost", Value::Boolean(false)),
        ("limits.max_jump", Value::Integer(0)),
        ("workspace.reach_min", Value::Real(0.0)),
    ]);
    scene.hand = [0.0; 3];
    scene.move_for(2000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.0, 0.0, 0.0));
}

#[test]
fn jump_holds_and_is_approached_after_confirmation() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.2, 0.25, 0.2];
    let jump = |scene: &mut Scene| {
        let [x, y, z] = scene.hand;
        scene.teleop.handle_target(scene.now, Target::new(x, y, z, None).unwrap())
    };
    for _ in 0..30 {
        assert!(matches!(jump(&mut scene), Err(InputFault::Jump { .. })));
        scene.wait(10);
    }
    assert_eq!((scene.motion(), scene.sent.len()), (Motion::Holding, 0));
    assert!(scene.reason().contains("jumped by 0.250 m"), "{}", scene.reason());
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Approach);
    assert!(scene.positions()[0].distance(at(0.2, 0.0, 0.2)) < 0.004);
}

#[test]
fn hand_may_return_anywhere_after_a_loss() {
    let mut scene = Scene::tracking(&[]);
    scene.wait(1000);
    scene.hand = [0.2, 0.25, 0.2];
    scene.move_for(1010);
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn arm_outside_workspace_receives_no_commands() {
    let mut scene = Scene::new(&[]);
    scene.arm = at(0.5, 0.0, 0.2);
    scene.link(LinkView::Ready);
    scene.move_for(3000);
    assert!(scene.sent.is_empty());
    assert!(scene.reason().contains("the arm is at [0.500, 0.000, 0.200] m, outside"), "{}", scene.reason());
    scene.arm = at(0.3, 0.0, 0.2);
    scene.report(scene.arm, Some(false));
    scene.move_for(50);
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn approach_waits_for_all_missing_replies() {
    let mut scene = Scene::tracking(&[BRISK]);
    scene.replies = false;
    scene.hand = [0.21, 0.0, 0.2];
    scene.move_for(100);
    let unanswered = scene.positions();
    assert!(unanswered.len() >= 3);
    scene.wait(300);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Approach);
    assert_eq!(scene.positions().len(), unanswered.len(), "the arm's position is unknown");
    for (_, planned) in scene.sent.clone() {
        scene.teleop.handle_acknowledged(scene.now, &planned.command);
    }
    scene.move_for(50);
    let first = scene.positions()[unanswered.len()];
    assert!(first.distance(*unanswered.last().unwrap()) <= 0.004_001);
}

#[test]
fn next_command_starts_at_last_accepted_position() {
    let mut scene = Scene::tracking(&[("teleop.max_consecutive_errors", Value::Integer(100)), BRISK]);
    scene.replies = false;
    scene.hand = [0.28, 0.0, 0.2];
    for _ in 0..100 {
        scene.target();
        scene.wait(10);
        if scene.sent.last().is_some_and(|(at, _)| *at + Duration::from_millis(5) >= scene.now) {
            scene.teleop.handle_rejected(scene.now);
        }
    }
    // Each command is one step of an approach from the last accepted command.
    assert!(scene.sent.len() > 10, "{}", scene.sent.len());
    let accepted = at(0.2, 0.0, 0.2);
    assert!(scene.positions().iter().all(|position| position.distance(accepted) <= 0.005_001));
    let kinds: Vec<_> = scene.sent[1..].iter().map(|(_, planned)| planned.kind).collect();
    assert!(kinds.iter().all(|kind| *kind == CommandKind::Approach), "{kinds:?}");
}

#[test]
fn command_after_loss_starts_at_accepted_position() {
    let mut scene = Scene::tracking(&[BRISK]);
    scene.hand = [0.28, 0.0, 0.2];
    scene.move_for(100);
    let accepted = scene.arm;
    scene.replies = false;
    scene.move_for(10);
    let lost = scene.sent.len();
    scene.teleop.handle_lost();
    scene.replies = true;
    scene.move_for(100);
    let first = scene.positions()[lost];
    assert!(first.distance(accepted) <= 0.002_001, "{first} after {accepted}");
}

#[test]
fn consecutive_errors_hold_and_single_error_does_not() {
    let mut scene = Scene::tracking(&[]);
    for count in 1..=5 {
        assert_ne!(scene.motion(), Motion::Holding, "after {} errors", count - 1);
        scene.teleop.handle_rejected(scene.now);
    }
    assert_eq!(scene.motion(), Motion::Holding);
    assert_eq!(scene.reason(), "holding: the controller rejected 5 commands in a row");
    scene.move_for(900);
    assert!(scene.sent.is_empty());
    scene.replies = false;
    scene.move_for(200);
    assert_eq!(scene.motion(), Motion::Tracking);
    scene.teleop.handle_rejected(scene.now);
    assert_eq!(scene.motion(), Motion::Holding, "the next error in the streak holds immediately");
    scene.move_for(1100);
    let command = scene.sent.last().unwrap().1.command;
    scene.teleop.handle_acknowledged(scene.now, &command);
    scene.teleop.handle_rejected(scene.now);
    assert_ne!(scene.motion(), Motion::Holding, "an accepted command ends the streak");
}

#[test]
fn automatic_arming_holds_without_controller_and_then_approaches() {
    for loss in [LinkView::Down, LinkView::Unresponsive] {
        let mut scene = Scene::tracking(&[("teleop.arming", text("automatic"))]);
        scene.link(loss);
        assert_eq!(scene.motion(), Motion::Holding);
        scene.move_for(500);
        assert!(scene.sent.is_empty());
        scene.link(LinkView::Ready);
        scene.target();
        assert_eq!(scene.sent[0].1.kind, CommandKind::Approach);
    }
}

#[test]
fn operator_arms_at_start_and_after_link_loss() {
    let mut scene = Scene::new(&[("teleop.arming", text("operator"))]);
    scene.link(LinkView::Ready);
    scene.move_for(3000);
    assert_eq!(scene.motion(), Motion::Disarmed);
    assert!(scene.reason().starts_with("disarmed: the arm has not been armed yet"), "{}", scene.reason());
    scene.set_armed().unwrap();
    assert_eq!(scene.motion(), Motion::Approach, "the input was good the whole time");
    scene.move_for(100);
    scene.link(LinkView::Unresponsive);
    scene.link(LinkView::Ready);
    assert_ne!(scene.motion(), Motion::Disarmed, "silence is not a loss of the link");
    scene.link(LinkView::Down);
    assert_eq!(scene.motion(), Motion::Disarmed);
    scene.link(LinkView::Ready);
    scene.sent.clear();
    scene.move_for(3000);
    assert!(scene.sent.is_empty());
    assert!(scene.reason().contains("the link was lost"), "{}", scene.reason());
}

#[test]
fn arming_without_hand_holds_until_input_settles() {
    let mut scene = Scene::new(&[("teleop.arming", text("operator"))]);
    scene.link(LinkView::Ready);
    let answer = scene.set_armed().unwrap();
    assert_eq!(answer, "armed; holding: no target received yet");
    scene.move_for(990);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.move_for(50);
    assert_eq!(scene.motion(), Motion::Tracking);
}

#[test]
fn disarm_lasts_until_operator_arms_again() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.move_for(3000);
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    scene.move_for(3000);
    assert_eq!((scene.motion(), scene.sent.len()), (Motion::Disarmed, 0));
    scene.set_armed().unwrap();
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn stop_latches_and_reset_disarms() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_stop();
    scene.move_for(3000);
    assert_eq!((scene.motion(), scene.sent.len()), (Motion::Stopped, 0));
    assert_eq!(scene.set_armed(), Err(ArmingError::StopLatched));
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    assert_eq!(scene.motion(), Motion::Stopped);
    assert!(scene.teleop.handle_reset().starts_with("stop released; disarmed"));
    scene.move_for(3000);
    assert_eq!((scene.motion(), scene.sent.len()), (Motion::Disarmed, 0));
    scene.set_armed().unwrap();
    scene.move_for(50);
    assert!(scene.sent[0].1.kind == CommandKind::Approach);
}

#[test]
fn reset_disarms_in_every_mode() {
    let before: [fn(&mut Scene); 5] = [
        |_| {},
        |scene| {
            scene.hand = [0.28, 0.0, 0.2];
            scene.wait(300);
            scene.move_for(20);
            assert_eq!(scene.motion(), Motion::Approach);
        },
        |scene| {
            scene.wait(300);
            assert_eq!(scene.motion(), Motion::Holding);
        },
        |scene| scene.teleop.handle_stop(),
        |scene| {
            scene.teleop.handle_set_armed(scene.now, false).unwrap();
        },
    ];
    for (number, before) in before.into_iter().enumerate() {
        let mut scene = Scene::tracking(&[("limits.max_jump", Value::Integer(0))]);
        before(&mut scene);
        let moving = matches!(scene.motion(), Motion::Approach | Motion::Tracking);
        let stopped = scene.motion() == Motion::Stopped;
        let answer = scene.teleop.handle_reset();
        assert_eq!(answer.starts_with("stop released"), stopped, "{number}: {answer}");
        assert!(answer.contains("disarmed") && answer.contains("~/set_armed with data: true"), "{answer}");
        assert!(!moving || scene.reason().starts_with("disarmed by ~/reset"), "{number}: {}", scene.reason());
        scene.sent.clear();
        scene.move_for(3000);
        assert_eq!((scene.motion(), scene.sent.len()), (Motion::Disarmed, 0), "{number}");
    }
}

#[test]
fn reset_before_automatic_arming_cancels_it() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    scene.move_for(500);
    scene.teleop.handle_reset();
    scene.move_for(3000);
    assert_eq!((scene.motion(), scene.sent.len()), (Motion::Disarmed, 0));
}

#[test]
fn gripper_command_needs_no_new_position() {
    let mut scene = Scene::tracking(&[("teleop.command_rate", Value::Integer(0))]);
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    scene.move_for(90);
    assert_eq!(scene.sent.last().unwrap().1.command.gripper, Gripper::Open);
    scene.move_for(30);
    assert_eq!(scene.sent.last().unwrap().1.command.gripper, Gripper::Closed);
    // The hand is lost, and its tracker sends "open".
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Open));
    scene.wait(1000);
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    scene.sent.clear();
    scene.move_for(500);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn shutdown_sends_no_more_commands() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_shutdown(scene.now);
    assert_eq!(scene.reason(), "holding: the bridge is shutting down");
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    assert_eq!(scene.set_armed(), Err(ArmingError::ShuttingDown));
    scene.link(LinkView::Ready);
    scene.move_for(1000);
    assert!(scene.sent.is_empty());
}

#[test]
fn replaced_targets_are_counted() {
    let mut scene = Scene::tracking(&[]);
    let before = scene.teleop.counters().coalesced;
    for _ in 0..5 {
        scene.target();
    }
    assert_eq!(scene.teleop.counters().coalesced - before, 4, "one may have been sent");
}
