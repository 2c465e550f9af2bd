//! Tests of the rest between two motions. Fast changes of the mode must not increase the rate of
//! commands.

use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::teleop::{CommandKind, InputFault, LinkView, Motion};

use crate::scene::{Happening, Scene, text};

/// Events that hold or end motion, each followed by the event that allows motion again.
const FLAPS: &[Happening] = &[
    ("input", |scene| {
        scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    }),
    ("link", |scene| {
        scene.link(LinkView::Down);
        scene.link(LinkView::Ready);
    }),
    ("partial link", |scene| {
        scene.link(LinkView::Partial);
        scene.link(LinkView::Ready);
    }),
    ("silent link", |scene| {
        scene.link(LinkView::Unresponsive);
        scene.link(LinkView::Ready);
    }),
    ("arming", |scene| {
        scene.teleop.handle_set_armed(scene.now, false).unwrap();
        scene.set_armed().unwrap();
    }),
    ("stop", |scene| {
        scene.teleop.handle_stop();
        scene.teleop.handle_reset();
        scene.set_armed().unwrap();
    }),
    ("refusals", |scene| {
        scene.teleop.handle_rejected(scene.now);
        scene.teleop.handle_acknowledged(scene.now, &scene.sent.last().unwrap().1.command.clone());
    }),
];

const NO_SETTLING: (&str, Value) = ("teleop.settle_time", Value::Real(0.0));

#[test]
fn next_motion_waits_until_arm_can_have_stopped() {
    for (name, flap) in FLAPS {
        let calm = ("limits.acceleration", Value::Real(0.4));
        let errors = ("teleop.max_consecutive_errors", Value::Integer(1));
        let mut scene = Scene::tracking(&[calm, NO_SETTLING, errors]);
        scene.hand[0] += 0.09;
        scene.move_for(400);
        let [(before_at, before), (last_at, last)] = scene.sent[scene.sent.len() - 2..] else {
            unreachable!()
        };
        let way = before.command.position.distance(last.command.position);
        let speed = way / (last_at - before_at).as_secs_f64();
        assert!(speed > 0.1, "{speed}");
        let sent = scene.sent.len();
        flap(&mut scene);
        scene.target();
        let waits = scene.reason().contains("approaching: waiting for the arm to come to rest");
        assert!(waits || scene.motion() == Motion::Holding, "{name}: {}", scene.reason());
        assert_eq!(scene.teleop.reason(scene.now).kind().as_str() == "approaching", waits, "{name}");
        scene.move_for(1000);
        let (first_at, first) = scene.sent[sent];
        assert_eq!(first.kind, CommandKind::Approach, "{name}");
        let waited = (first_at - last_at).as_secs_f64();
        assert!(waited >= speed / 0.4 - 0.01, "{name}: {waited} s at {speed} m/s");
    }
}

#[test]
fn tool_comes_to_rest_before_it_rotates_again() {
    let rpy = ("wire.extra_fields", Value::Texts(vec!["rpy".into()]));
    let calm = ("limits.acceleration", Value::Real(0.5));
    let mut scene = Scene::tracking(&[rpy, calm, NO_SETTLING]);
    let turn = |scene: &mut Scene| {
        let [x, y, z] = scene.hand;
        let target = aether_bridge::teleop::Target::new(x, y, z, None).unwrap();
        let orientation = Some(aether_bridge::geometry::Orientation::from_rpy([0.0, 0.0, 2.0]));
        let target = aether_bridge::teleop::Target { orientation, ..target };
        scene.teleop.handle_target(scene.now, target).unwrap();
        scene.send();
    };
    for _ in 0..30 {
        turn(&mut scene);
        scene.wait(10);
    }
    let (last_at, last) = *scene.sent.last().unwrap();
    assert!(last.turning);
    scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    let sent = scene.sent.len();
    while scene.sent.len() == sent {
        turn(&mut scene);
        scene.wait(10);
    }
    let waited = scene.sent[sent].0 - last_at;
    assert!(waited >= Duration::from_millis(490), "0.25 m/s at 0.5 m/s²: {waited:?}");
}

#[test]
fn approach_reports_that_it_waits_for_reply() {
    let mut scene = Scene::tracking(&[]);
    scene.hand[0] += 0.05;
    scene.replies = false;
    scene.move_for(100);
    scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    scene.move_for(200);
    assert_eq!(scene.reason(), "approaching: waiting for the reply to the last command");
    assert_eq!(scene.teleop.reason(scene.now).kind().as_str(), "approaching");
    for (_, planned) in scene.sent.clone() {
        scene.teleop.handle_acknowledged(scene.now, &planned.command);
    }
    scene.move_for(10);
    assert_eq!(scene.reason(), "approaching the target slowly");
}

#[test]
fn fast_mode_changes_do_not_exceed_command_rate() {
    for (name, flap) in FLAPS {
        for rate in [10, 50] {
            let settings = [("teleop.command_rate", Value::Integer(rate)), NO_SETTLING];
            let mut scene = Scene::tracking(&settings);
            scene.hand[0] += 0.09;
            for _ in 0..100 {
                scene.target();
                if !scene.sent.is_empty() {
                    flap(&mut scene);
                }
                scene.target();
                scene.wait(3);
            }
            let most = 0.3 * rate as f64 + 2.0;
            assert!(scene.sent.len() as f64 <= most, "{name} at {rate} Hz: {} in 0.3 s", scene.sent.len());
        }
    }
}

#[test]
fn motion_without_commands_needs_no_stop_line() {
    for (name, flap) in FLAPS {
        let mut scene = Scene::tracking(&[("teleop.hold_behavior", text("stop")), NO_SETTLING]);
        scene.hand[0] += 0.09;
        let requests = if *name == "stop" { 100 } else { 0 };
        for _ in 0..100 {
            scene.target();
            if !scene.sent.is_empty() {
                flap(&mut scene);
                scene.send();
            }
            scene.wait(3);
        }
        // Each motion begins with a pause of at least one period.
        let motions = 0.3 / 0.020 + 2.0;
        assert!(
            scene.stops.len() as f64 <= motions + f64::from(requests),
            "{name}: {} stop lines",
            scene.stops.len()
        );
    }
}
