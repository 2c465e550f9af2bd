//! Tests of input that must not move the arm, and of its reasons.

use aether_bridge::config::Value;
use aether_bridge::geometry::{Position, Transform};
use aether_bridge::teleop::{CommandKind, Frame, InputFault, Limit, LinkView, Motion, Target};

use crate::BRISK;
use crate::scene::{Scene, at, text};

#[test]
fn frozen_hand_holds_until_it_moves() {
    let mut scene =
        Scene::new(&[("input.frozen_timeout", Value::Real(0.3)), ("teleop.settle_time", Value::Real(0.1))]);
    scene.link(LinkView::Ready);
    scene.move_for(290);
    assert_eq!(scene.motion(), Motion::Tracking);
    scene.wait(10);
    assert!(matches!(scene.try_target(), Err(InputFault::Frozen { .. })));
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(scene.reason().contains("exactly the same for 0.30 s"), "{}", scene.reason());
    scene.hand[0] += 0.001;
    scene.target();
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn low_rate_holds_until_it_recovers() {
    let slow = [("input.timeout", Value::Real(1.0)), ("input.min_rate", Value::Real(8.0))];
    let mut scene = Scene::tracking(&slow);
    let at_5_hz = |scene: &mut Scene| {
        let result = scene.try_target();
        scene.wait(200);
        result
    };
    let refused = std::iter::repeat_with(|| at_5_hz(&mut scene)).take(5).find_map(Result::err).unwrap();
    assert!(matches!(refused, InputFault::RateTooLow { .. }), "{refused}");
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(scene.reason().contains("below input.min_rate 8.0 Hz"), "{}", scene.reason());
    // When targets are 10 ms apart again, the slow intervals soon no longer count.
    let again = std::iter::repeat_with(|| {
        scene.wait(10);
        scene.try_target()
    });
    assert!(again.take(5).any(|result| result.is_ok()));
}

#[test]
fn slow_sender_keeps_its_reason_between_targets() {
    for (rate, input_timeout, min_rate) in [(1, 0.2, 5.0), (2, 0.2, 1.0), (2, 5.0, 10.0), (4, 0.2, 0.0)] {
        let mut scene = Scene::new(&[
            ("input.timeout", Value::Real(input_timeout)),
            ("input.min_rate", Value::Real(min_rate)),
            ("teleop.settle_time", Value::Real(3.0)),
        ]);
        scene.link(LinkView::Ready);
        for _ in 0..5 {
            scene.try_target().ok();
            scene.wait(1000 / rate);
        }
        let expected = format!("not armed yet: target rejected: targets come at {rate}.0 Hz, below ");
        for _ in 0..10 {
            scene.try_target().unwrap_err();
            for _ in 0..50 {
                assert!(scene.reason().starts_with(&expected), "{}", scene.reason());
                scene.wait(1000 / rate / 50);
            }
        }
        assert!(scene.sent.is_empty());
        // After several missing targets the sender counts as stopped.
        scene.wait(5 * 1000 / rate + 5000);
        let reason = scene.reason();
        assert!(reason.contains("no new target for") && reason.contains("targets come at"), "{reason}");
        assert_eq!(scene.teleop.reason(scene.now).kind().as_str(), "input_stale");
    }
}

#[test]
fn stopped_sender_is_reported_with_its_last_refusal() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.0; 3];
    for _ in 0..20 {
        scene.try_target().unwrap_err();
        scene.wait(10);
    }
    assert!(scene.reason().starts_with("holding: target rejected: all zero"), "{}", scene.reason());
    let deadline = scene.teleop.poll_timeout(scene.now).unwrap() - scene.now;
    assert_eq!(deadline.as_millis(), 1490, "so that the refusal is shown for long enough");
    scene.wait(1490);
    assert_eq!(scene.teleop.reason(scene.now).kind().as_str(), "input_stale");
    scene.wait(1700);
    assert_eq!(
        scene.reason(),
        "holding: no new target for 3.2 s; the last was rejected: all zero, so the hand counts as lost \
         (input.zero_is_lost)"
    );
    // The same applies to a malformed message. The next target is checked as usual.
    let fault = Target::new(f64::NAN, 0.0, 0.0, None).unwrap_err();
    scene.teleop.handle_invalid_target(scene.now, fault);
    assert!(scene.reason().starts_with("holding: target rejected: x is NaN"), "{}", scene.reason());
    scene.wait(20_000);
    assert!(scene.reason().contains("; the last was rejected: x is NaN"), "{}", scene.reason());
    scene.hand = [0.2, 0.0, 0.2];
    scene.move_for(1100);
    assert!(scene.teleop.is_armed() && scene.motion() != Motion::Holding, "{}", scene.reason());
}

#[test]
fn target_in_base_frame_is_not_retargeted() {
    let mut scene = Scene::new(&[
        ("retarget.translation", Value::Reals(vec![0.0, 0.1, 0.0])),
        ("teleop.settle_time", Value::Integer(0)),
        ("limits.max_jump", Value::Integer(0)),
    ]);
    scene.link(LinkView::Ready);
    let go = |scene: &mut Scene, frame: Frame| {
        for _ in 0..300 {
            let target = Target { frame, ..Target::new(0.2, 0.05, 0.2, None).unwrap() };
            scene.teleop.handle_target(scene.now, target).unwrap();
            scene.wait(10);
        }
        *scene.positions().last().unwrap()
    };
    assert_eq!(go(&mut scene, Frame::Base), at(0.2, 0.05, 0.2));
    assert_eq!(go(&mut scene, Frame::Tracker), at(0.2, 0.15, 0.2));
}

#[test]
fn target_in_tf_frame_is_not_retargeted() {
    let settings = [
        ("retarget.translation", Value::Reals(vec![0.0, 0.1, 0.0])),
        ("input.frozen_timeout", Value::Real(0.5)),
        ("teleop.settle_time", Value::Integer(0)),
        ("limits.max_jump", Value::Integer(0)),
    ];
    let mut scene = Scene::new(&settings);
    scene.link(LinkView::Ready);
    // The frame moves slightly, so that no two targets have the same position in the base frame.
    let go = |scene: &mut Scene, hand: [f64; 3], count: i32| {
        let mut result = Ok(());
        for i in 0..count {
            let offset = f64::from(i % 2) * 1e-4;
            let transform = Transform::new([0.2, -0.1 + offset, 0.1], [0.0, 0.0, 0.0, 1.0]);
            let [x, y, z] = hand;
            let target =
                Target { frame: Frame::Transformed(transform), ..Target::new(x, y, z, None).unwrap() };
            result = scene.teleop.handle_target(scene.now, target);
            scene.wait(10);
        }
        result
    };
    for i in 0..300 {
        go(&mut scene, [1e-6 * f64::from(i), 0.15, 0.1], 1).unwrap();
    }
    assert!(scene.positions().last().unwrap().distance(at(0.2, 0.05, 0.2)) < 1e-3);
    assert_eq!(go(&mut scene, [0.0; 3], 2), Err(InputFault::Zero));
    assert!(matches!(go(&mut scene, [0.0, 0.15, 0.1], 60), Err(InputFault::Frozen { .. })));
}

#[test]
fn filter_smooths_jitter_and_resets_after_loss() {
    let mut scene = Scene::tracking(&[("filter.kind", text("one_euro"))]);
    let jitter = |scene: &mut Scene| {
        for i in 0..200 {
            scene.hand[0] = if i % 2 == 0 { 0.202 } else { 0.198 };
            scene.target();
            scene.wait(10);
        }
    };
    jitter(&mut scene);
    let xs: Vec<f64> = scene.positions().iter().map(|position| position.coordinates()[0]).collect();
    assert!(xs[60..].iter().all(|x| (x - 0.2).abs() < 0.000_5), "{:?}", &xs[60..]);
    assert!(scene.sent[60].1.altered_by().any(|name| name == "filtered"));
    scene.wait(1000);
    scene.hand[0] = 0.21;
    scene.move_for(1500);
    assert_eq!(
        *scene.positions().last().unwrap(),
        at(0.21, 0.0, 0.2),
        "the filter starts at the returned hand"
    );
    assert!(scene.sent.last().unwrap().1.altered_by().next().is_none());
}

#[test]
fn command_reports_what_altered_it() {
    let mut scene = Scene::tracking(&[BRISK, ("limits.max_jump", Value::Integer(0))]);
    scene.hand = [0.5, 0.0, 0.2];
    scene.move_for(1000);
    let names = |i: usize| scene.sent[i].1.altered_by().collect::<Vec<_>>();
    assert_eq!(names(3), ["clamped", "speed_limited"]);
    assert_eq!(names(scene.sent.len() - 1), ["clamped"]);
    assert_eq!(scene.teleop.counters().limited, scene.sent.len() as u64);
    // Also by the speed limit alone.
    let before = scene.teleop.counters().limited;
    scene.hand = [0.1, 0.0, 0.2];
    scene.move_for(100);
    assert!(scene.teleop.counters().limited > before);
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.28, 0.0, 0.2];
    scene.move_for(20);
    let before = scene.teleop.counters().limited;
    let first = scene.sent.iter().find(|(_, planned)| planned.limited.is_some()).unwrap().1;
    assert_eq!((first.limited, first.kind), (Some(Limit::Acceleration), CommandKind::Tracking));
    assert_eq!(first.altered_by().collect::<Vec<_>>(), ["acceleration_limited"]);
    assert_eq!(before, 0, "speeding up does not count as limited");
}

#[test]
fn commands_lead_around_the_unreachable_region() {
    let reach = [("workspace.reach_min", Value::Real(0.1)), ("workspace.reach_max", Value::Real(0.3))];
    let settings = [
        &reach[..],
        &[("arm.home", Value::Reals(vec![0.2, 0.0, 0.05])), ("limits.max_jump", Value::Integer(0))],
    ]
    .concat();
    let mut scene = Scene::new(&settings);
    scene.hand = [0.2, 0.0, 0.05];
    scene.link(LinkView::Ready);
    scene.move_for(1100);
    scene.hand = [-0.2, 0.0, 0.05];
    scene.move_for(6000);
    let from_origin = |position: &Position| position.point().coords.norm();
    assert_eq!(*scene.positions().last().unwrap(), at(-0.2, 0.0, 0.05));
    assert!(scene.positions().iter().all(|position| (0.1..=0.3).contains(&from_origin(position))));
    // The arm moves as far outwards as it can.
    scene.hand = [-0.3, 0.0, 0.3];
    scene.move_for(6000);
    let last = *scene.positions().last().unwrap();
    assert!(last.distance(at(-0.212_132, 0.0, 0.212_132)) < 1e-5, "{last:?}");
    // The target is near the base. The arm moves to the nearest reachable position.
    scene.hand = [-0.01, 0.0, 0.01];
    scene.move_for(6000);
    let last = *scene.positions().last().unwrap();
    assert!(last.distance(at(-0.070_711, 0.0, 0.070_711)) < 1e-5, "{last:?}");
}
