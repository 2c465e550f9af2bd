//! Tests of a hand that was absent and returns.

use aether_bridge::config::Value;
use aether_bridge::teleop::{InputFault, LinkView, Motion, Stamp, Target};

use crate::scene::{Happening, Scene, at, config, text};

const SECOND: i64 = 1_000_000_000;

/// Every kind of message that shows no hand, and silence.
pub const HANDLESS: &[Happening] = &[
    ("silence", |_| {}),
    ("not detected", |scene| scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected)),
    ("malformed", |scene| {
        let fault = InputFault::MalformedMessage { what: "there is no 'x'".into() };
        scene.teleop.handle_invalid_target(scene.now, fault);
    }),
    ("not a number", |scene| {
        let fault = Target::new(f64::NAN, 0.0, 0.0, None).unwrap_err();
        scene.teleop.handle_invalid_target(scene.now, fault);
    }),
    ("zero", |scene| {
        scene.teleop.handle_target(scene.now, Target::new(0.0, 0.0, 0.0, None).unwrap()).unwrap_err();
    }),
    ("stale stamp", |scene| {
        let stamp = Stamp { taken: 10 * SECOND, received: 15 * SECOND, simulated: false };
        scene.teleop.handle_target(scene.now, Target::new(0.2, 0.0, 0.2, Some(stamp)).unwrap()).unwrap_err();
    }),
];

/// Lets messages of one kind arrive at 100 Hz for a time.
pub fn stay_away(scene: &mut Scene, handless: fn(&mut Scene), millis: u64) {
    for _ in 0..millis / 10 {
        scene.wait(10);
        handless(scene);
        scene.send();
    }
}

#[test]
fn hand_absent_for_a_second_has_to_settle() {
    for (name, handless) in HANDLESS {
        let mut scene = Scene::tracking(&[]);
        stay_away(&mut scene, *handless, 1000);
        scene.sent.clear();
        scene.hand[0] += 0.05;
        scene.move_for(990);
        assert_eq!((scene.motion(), scene.sent.len()), (Motion::Holding, 0), "{name}");
        assert_eq!(scene.reason(), "holding: waiting until targets have been good for 1.0 s", "{name}");
        // A single message without a hand restarts the settling.
        scene.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
        scene.move_for(990);
        assert!(scene.sent.is_empty(), "{name}");
        scene.move_for(20);
        assert_eq!(scene.motion(), Motion::Approach, "{name}");
    }
}

#[test]
fn hand_absent_for_less_is_approached_immediately() {
    for (name, handless) in HANDLESS {
        let mut scene = Scene::tracking(&[]);
        stay_away(&mut scene, *handless, 900);
        assert_eq!(scene.motion(), Motion::Holding, "{name}");
        scene.hand[0] += 0.05;
        scene.target();
        assert_eq!(scene.motion(), Motion::Approach, "{name}");
    }
}

#[test]
fn arming_does_not_shorten_the_absence() {
    let mut scene = Scene::new(&[("teleop.arming", text("operator"))]);
    scene.link(LinkView::Ready);
    scene.report(at(0.2, 0.0, 0.2), Some(false));
    scene.move_for(1500);
    scene.wait(150);
    scene.set_armed().unwrap();
    // The hand settled earlier, so the arm may move until the input expires.
    scene.wait(900);
    scene.target();
    assert!(scene.reason().contains("waiting until"), "{:?}: {}", scene.motion(), scene.reason());
}

#[test]
fn stalled_process_does_not_shorten_the_absence() {
    let mut scene = Scene::tracking(&[]);
    scene.now += std::time::Duration::from_millis(1100);
    scene.target();
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(scene.reason().contains("waiting until"), "{}", scene.reason());
}

#[test]
fn visible_hand_need_not_settle_after_other_holds() {
    let mut scene = Scene::tracking(&[]);
    scene.link(LinkView::Down);
    scene.move_for(5000);
    scene.link(LinkView::Ready);
    scene.target();
    assert!(scene.motion() != Motion::Holding, "{}", scene.reason());
}

#[test]
fn intentionally_slow_sender_is_never_absent() {
    let slow = [("input.timeout", Value::Real(5.0)), ("input.min_rate", Value::Real(0.0))];
    let mut scene = Scene::tracking(&slow);
    for _ in 0..5 {
        scene.wait(2000);
        scene.hand[0] += 0.002;
        scene.target();
        assert_eq!(scene.motion(), Motion::Tracking);
    }
}

#[test]
fn long_absence_requires_an_operator() {
    for hold in ["silent", "stop"] {
        let mut scene = Scene::tracking(&[("teleop.hold_behavior", text(hold))]);
        scene.hand[0] += 0.01;
        scene.move_for(100);
        scene.wait(299_980);
        assert_eq!(scene.motion(), Motion::Holding);
        scene.wait(20);
        assert_eq!(scene.motion(), Motion::Disarmed, "by its own deadline");
        assert_eq!(
            scene.reason(),
            "disarmed: no good target has come for teleop.rearm_after 300 s; call ~/set_armed with data: true to arm again"
        );
        let sent = scene.sent.len();
        scene.move_for(3000);
        assert_eq!((scene.motion(), scene.sent.len()), (Motion::Disarmed, sent));
        assert_eq!(scene.stops.len(), usize::from(hold == "stop"));
        scene.set_armed().unwrap();
        scene.move_for(1100);
        assert!(matches!(scene.motion(), Motion::Approach | Motion::Tracking));
    }
}

#[test]
fn refused_targets_do_not_keep_the_arm_armed() {
    for (name, handless) in HANDLESS {
        let mut scene = Scene::tracking(&[("teleop.rearm_after", Value::Real(5.0))]);
        stay_away(&mut scene, *handless, 5000);
        assert_eq!(scene.motion(), Motion::Disarmed, "{name}: {}", scene.reason());
    }
}

#[test]
fn arming_without_hand_expires_after_same_time() {
    let mut scene = Scene::tracking(&[("teleop.rearm_after", Value::Real(60.0))]);
    scene.wait(3_600_000);
    assert_eq!(scene.motion(), Motion::Disarmed);
    scene.set_armed().unwrap();
    scene.wait(59_900);
    assert!(scene.teleop.is_armed());
    scene.wait(200);
    assert!(!scene.teleop.is_armed());
    // The same applies before the first hand.
    let mut scene =
        Scene::new(&[("teleop.arming", text("operator")), ("teleop.rearm_after", Value::Real(60.0))]);
    scene.link(LinkView::Ready);
    scene.set_armed().unwrap();
    scene.wait(60_100);
    assert!(!scene.teleop.is_armed());
}

#[test]
fn rearm_after_zero_never_disarms() {
    let mut scene = Scene::tracking(&[("teleop.rearm_after", Value::Real(0.0))]);
    scene.wait(1_000_000);
    assert_eq!(scene.motion(), Motion::Holding);
    // The parameter may be set during the absence.
    scene.teleop.handle_config(scene.now, config(&[]));
    assert_eq!(scene.motion(), Motion::Disarmed);
}

#[test]
fn message_without_hand_does_not_hide_a_jump() {
    for (name, handless) in HANDLESS {
        for (before, millis) in [(0, 10), (0, 300), (0, 900), (10, 300), (10, 900)] {
            let mut scene = Scene::tracking(&[]);
            scene.move_for(before);
            stay_away(&mut scene, *handless, millis);
            scene.sent.clear();
            // Another hand, far away.
            scene.hand = [0.2, 0.25, 0.2];
            for _ in 0..30 {
                let refused = scene.try_target();
                assert!(
                    matches!(refused, Err(InputFault::Jump { .. })),
                    "{name} for {millis} ms: {refused:?}"
                );
                scene.wait(10);
            }
            assert!(scene.positions().iter().all(|position| *position == at(0.2, 0.0, 0.2)), "{name}");
            scene.target();
            // Whether the hand was absent for more than a second by then.
            let settles = millis == 900;
            assert_eq!(scene.motion() == Motion::Holding, settles, "{name} for {millis} ms");
        }
    }
}

#[test]
fn interrupted_jump_is_not_accepted() {
    for (name, handless) in HANDLESS {
        let mut scene = Scene::tracking(&[]);
        scene.hand = [0.2, 0.25, 0.2];
        for _ in 0..4 {
            for _ in 0..20 {
                assert!(scene.try_target().is_err(), "{name}");
                scene.wait(10);
            }
            // Two zeros are a loss. So is a gap of this length.
            stay_away(&mut scene, *handless, if *name == "silence" { 200 } else { 30 });
        }
        assert_eq!(scene.motion(), Motion::Holding, "{name}");
        assert!(scene.sent.iter().all(|(_, planned)| planned.command.position == at(0.2, 0.0, 0.2)));
    }
}

#[test]
fn old_targets_are_refused_after_a_sleep() {
    let mut scene = Scene::tracking(&[("teleop.settle_time", Value::Real(0.0))]);
    scene.hand[0] += 0.05;
    scene.move_for(50);
    let sent = scene.sent.len();
    scene.teleop.handle_slept(scene.now, std::time::Duration::from_secs(3));
    assert_eq!(scene.motion(), Motion::Holding);
    assert_eq!(
        scene.reason(),
        "holding: target rejected: this computer slept for 3.0 s, so earlier targets are out of date"
    );
    // Targets that waited in a queue are refused.
    for _ in 0..20 {
        assert!(matches!(scene.try_target(), Err(InputFault::ComputerSlept { .. })));
        scene.wait(10);
    }
    assert_eq!(scene.sent.len(), sent);
    scene.move_for(20);
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn sleep_counts_as_absence() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_slept(scene.now, std::time::Duration::from_secs(299));
    assert_eq!(scene.motion(), Motion::Holding);
    scene.wait(1600);
    assert_eq!(scene.motion(), Motion::Disarmed);
    // The hand has to settle after a sleep of any length.
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_slept(scene.now, std::time::Duration::from_millis(60));
    scene.wait(210);
    scene.move_for(990);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.move_for(20);
    assert_ne!(scene.motion(), Motion::Holding);
    // A sleep before the first target leaves the input unknown.
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    scene.teleop.handle_slept(scene.now, std::time::Duration::from_secs(3));
    assert_eq!(scene.reason(), "not armed yet: no target received yet");
}
