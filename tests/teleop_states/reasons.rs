//! Tests of reasons that are out of date, and of reasons about stop lines.

use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::teleop::{InputFault, LinkView, Motion, Target};

use crate::returns::{HANDLESS, stay_away};
use crate::scene::{Happening, Scene, text};

fn kind(scene: &Scene) -> &'static str {
    scene.teleop.reason(scene.now).kind().as_str()
}

/// The last messages of a sender: one for each kind of refusal.
const LAST_MESSAGES: &[Happening] = &[
    ("a good target", |scene| scene.target()),
    ("one zero", |scene| {
        scene.hand = [0.0; 3];
        scene.try_target().unwrap_err();
    }),
    ("zeros", |scene| {
        scene.hand = [0.0; 3];
        (0..5).for_each(|_| {
            scene.try_target().unwrap_err();
            scene.wait(10);
        });
    }),
    ("a jump", |scene| {
        // The first position of a hand is not a jump.
        scene.hand = [-0.2, 0.2, 0.2];
        scene.try_target().ok();
    }),
    ("outside the workspace", |scene| {
        scene.hand = [0.2, 0.0, 0.45];
        scene.try_target().unwrap_err();
    }),
    ("no orientation", |scene| {
        let error = aether_bridge::geometry::Orientation::new([0.0; 4]).unwrap_err();
        scene.teleop.handle_invalid_target(scene.now, error.into());
    }),
    ("an unknown frame", |scene| {
        let fault = InputFault::UnknownFrame { frame_id: "map".into(), base: "arm".into() };
        scene.teleop.handle_invalid_target(scene.now, fault);
    }),
    ("no transform", |scene| {
        let fault =
            InputFault::NoTransform { frame_id: "map".into(), base: "arm".into(), why: "none".into() };
        scene.teleop.handle_invalid_target(scene.now, fault);
    }),
    ("no clock", |scene| scene.teleop.handle_invalid_target(scene.now, InputFault::NoClock)),
    ("a stall", |scene| {
        let target = Target::new(0.2, 0.0, 0.2, None).unwrap();
        let stalled = Target { stall: Duration::from_secs(1), ..target };
        scene.teleop.handle_target(scene.now, stalled).unwrap_err();
    }),
    ("repeated targets", |scene| {
        while scene.try_target().is_ok() {
            scene.wait(100);
        }
    }),
    ("slowly", |scene| {
        while scene.try_target().is_ok() {
            scene.wait(300);
        }
    }),
    ("a sleep", |scene| scene.teleop.handle_slept(scene.now, Duration::from_secs(1))),
];

#[test]
fn every_reason_becomes_stale_after_sender_dies() {
    let settings = [("workspace.policy", text("reject")), ("input.frozen_timeout", Value::Real(2.0))];
    for (name, last_message) in LAST_MESSAGES {
        for is_new in [false, true] {
            let mut scene = Scene::new(&settings);
            scene.link(LinkView::Ready);
            if !is_new {
                scene.move_for(1100);
            }
            last_message(&mut scene);
            scene.wait(20_000);
            if *name == "a sleep" && is_new {
                assert_eq!(kind(&scene), "no_input");
                continue;
            }
            assert_eq!(kind(&scene), "input_stale", "{name}: {}", scene.reason());
            assert!(scene.reason().contains("no new target for"), "{name}: {}", scene.reason());
        }
    }
    for (name, handless) in HANDLESS {
        let mut scene = Scene::tracking(&settings);
        // Every ordered pair of these messages.
        for (_, before) in HANDLESS {
            stay_away(&mut scene, *before, 30);
            stay_away(&mut scene, *handless, 30);
        }
        scene.wait(2000);
        assert_eq!(kind(&scene), "input_stale", "{name}: {}", scene.reason());
    }
}

#[test]
fn rare_refusals_become_stale_within_30_s() {
    let known = ("arm.position_timeout", Value::Real(86_400.0));
    let mut scene = Scene::tracking(&[("teleop.rearm_after", Value::Real(0.0)), known]);
    for _ in 0..3 {
        scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
        scene.wait(600_000);
    }
    scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    assert_eq!(kind(&scene), "hand_not_detected");
    scene.wait(30_000);
    assert_eq!(kind(&scene), "input_stale", "{}", scene.reason());
}

fn moving() -> Scene {
    let mut scene = Scene::tracking(&[("teleop.hold_behavior", text("stop"))]);
    scene.hand[0] += 0.05;
    scene.move_for(50);
    scene.replies = false;
    scene
}

/// Ways to end motion. The name is the beginning of the reason.
const ENDS: &[Happening] = &[
    ("stopped by ~/stop, but ", |scene| scene.teleop.handle_stop()),
    ("disarmed by ~/set_armed, but ", |scene| {
        scene.teleop.handle_set_armed(scene.now, false).unwrap();
    }),
    ("disarmed by ~/reset, but ", |scene| {
        scene.teleop.handle_reset();
    }),
    ("holding, but ", |scene| {
        scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    }),
];

#[test]
fn refused_stop_line_is_reported_until_one_succeeds() {
    for (begins, end) in ENDS {
        let mut scene = moving();
        end(&mut scene);
        assert!(!scene.reason().contains("but"), "the result is not yet known: {}", scene.reason());
        scene.send();
        scene.teleop.handle_stop_refused();
        assert_eq!(kind(&scene), "stop_refused");
        assert!(
            scene.reason().starts_with(&format!("{begins}the controller rejected the stop line")),
            "{}",
            scene.reason()
        );
        scene.wait(10_000);
        assert_eq!(kind(&scene), "stop_refused");
        scene.teleop.handle_stop();
        scene.send();
        scene.teleop.handle_stop_answered(false);
        assert_eq!(kind(&scene), "stopped");
    }
}

#[test]
fn unsent_or_unanswered_stop_line_is_reported() {
    for (begins, end) in ENDS {
        let mut scene = moving();
        end(&mut scene);
        scene.teleop.handle_stop_unsent();
        assert_eq!(kind(&scene), "stop_unsent");
        assert!(
            scene.reason().starts_with(&format!("{begins}the stop line is not yet sent")),
            "{}",
            scene.reason()
        );
        scene.send();
        assert_ne!(kind(&scene), "stop_unsent");
        scene.link(LinkView::Unresponsive);
        assert_eq!(kind(&scene), "stop_unanswered");
        scene.link(LinkView::Ready);
        scene.teleop.handle_stop_answered(false);
        assert!(!kind(&scene).starts_with("stop_"));
        // The connection ends before the reply. The next motion ends the report.
        let mut scene = moving();
        end(&mut scene);
        scene.send();
        scene.link(LinkView::Down);
        scene.link(LinkView::Ready);
        assert_eq!(kind(&scene), "stop_unanswered");
        assert!(scene.reason().starts_with(begins), "{}", scene.reason());
        scene.teleop.handle_reset();
        scene.set_armed().unwrap();
        scene.replies = true;
        scene.move_for(1100);
        assert!(matches!(scene.motion(), Motion::Approach | Motion::Tracking), "{}", scene.reason());
        scene.wait(300);
        assert_eq!(kind(&scene), "input_stale");
    }
}

#[test]
fn lost_stop_line_is_reported_until_next_succeeds() {
    let mut scene = moving();
    scene.teleop.handle_stop();
    scene.send();
    scene.teleop.handle_stop_lost();
    assert_eq!(kind(&scene), "stop_unanswered");
    scene.send();
    assert_eq!((kind(&scene), scene.stops.len()), ("stop_unanswered", 2));
    scene.teleop.handle_stop_answered(false);
    assert_eq!(kind(&scene), "stopped");
}

#[test]
fn stop_without_connection_reports_unsent_stop_line() {
    for (hold, expected) in [("stop", "stop_unsent"), ("silent", "stopped"), ("repeat", "stopped")] {
        let mut scene = Scene::new(&[("teleop.hold_behavior", text(hold))]);
        scene.teleop.handle_stop();
        assert_eq!(kind(&scene), expected);
    }
}
