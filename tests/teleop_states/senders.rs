//! Tests that distinguish two senders on one topic from one sender beside silent publishers.

use std::time::{Duration, Instant};

use aether_bridge::arm::Gripper;
use aether_bridge::config::Value;
use aether_bridge::geometry::Position;
use aether_bridge::teleop::{
    CommandKind, Frame, GraphNews, GripperInput, InputFault, LinkView, Motion, SenderWatch, Stamp, Target,
};
use fastrand::Rng;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::scene::Scene;

const BOTH: &str = "2 publishers on /target_pose: /a, /b";

fn two_publishers(scene: &mut Scene) {
    scene.teleop.handle_graph(scene.now, GraphNews::TargetPublishers(Some(BOTH.into())));
}

/// Sends two hands alternately, each at 50 Hz, until motion is held. Returns the number of targets
/// that this took.
fn held_after(scene: &mut Scene, hands: [[f64; 3]; 2]) -> Option<usize> {
    (1..=100).find(|number| {
        scene.hand = hands[number % 2];
        scene.try_target().ok();
        scene.wait(10);
        scene.teleop.reason(scene.now).kind().as_str() == "multiple_publishers"
    })
}

#[test]
fn silent_second_publisher_holds_nothing() {
    let mut scene = Scene::tracking(&[]);
    two_publishers(&mut scene);
    for step in 0..300 {
        let angle = f64::from(step) * 0.03;
        scene.hand = [0.2 + 0.05 * angle.sin(), 0.05 * angle.cos() - 0.05, 0.2];
        scene.target();
        scene.wait(10);
        assert_eq!(scene.motion(), Motion::Tracking);
    }
}

#[test]
fn two_hands_are_never_blended() {
    // The second hand is so near that no target is a jump, or so far that targets are jumps.
    for away in [0.004, 0.05, 0.3] {
        let mut scene = Scene::tracking(&[("limits.max_jump", Value::Real(0.15))]);
        two_publishers(&mut scene);
        let hands = [[0.2, 0.0, 0.2], [0.2, away, 0.2]];
        assert!(held_after(&mut scene, hands).is_some_and(|count| count <= 7), "{away} m");
        let sent = scene.sent.len();
        for number in 0..500 {
            scene.hand = hands[number % 2];
            scene.try_target().ok();
            scene.wait(10);
        }
        assert_eq!(scene.sent.len(), sent, "{away} m");
        assert_eq!(
            scene.reason(),
            "holding: 2 publishers on /target_pose: /a, /b; stop all but one, because the arm follows only one hand"
        );
        assert_eq!(scene.teleop.reason(scene.now).kind().as_str(), "multiple_publishers");
    }
}

#[test]
fn three_or_four_alternating_hands_hold_motion() {
    // In a line, and at the corners of a square. No two of the hands alternate directly.
    let line = [[0.2, 0.0, 0.2], [0.2, 0.05, 0.2], [0.2, 0.1, 0.2]];
    let square = [[0.2, 0.0, 0.2], [0.2, 0.1, 0.2], [0.2, 0.1, 0.1], [0.2, 0.0, 0.1]];
    for hands in [&line[..], &square[..]] {
        let mut scene = Scene::tracking(&[]);
        two_publishers(&mut scene);
        let held = (1..=20).find(|number| {
            scene.hand = hands[number % hands.len()];
            scene.try_target().ok();
            scene.wait(10);
            scene.teleop.reason(scene.now).kind().as_str() == "multiple_publishers"
        });
        assert!(held.is_some(), "{} hands", hands.len());
    }
}

#[test]
fn motion_continues_when_one_publisher_remains() {
    let mut scene = Scene::tracking(&[]);
    two_publishers(&mut scene);
    held_after(&mut scene, [[0.2, 0.0, 0.2], [0.2, 0.05, 0.2]]).unwrap();
    scene.target();
    scene.teleop.handle_graph(scene.now, GraphNews::TargetPublishers(None));
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn motion_continues_after_second_sender_dies() {
    let mut scene = Scene::tracking(&[]);
    two_publishers(&mut scene);
    held_after(&mut scene, [[0.2, 0.0, 0.2], [0.2, 0.05, 0.2]]).unwrap();
    // The graph still shows the second publisher.
    scene.hand = [0.2, 0.0, 0.2];
    scene.target();
    scene.move_for(2980);
    assert_eq!(scene.motion(), Motion::Holding);
    let next = scene.teleop.poll_timeout(scene.now).unwrap() - scene.now;
    assert!(next <= Duration::from_millis(20), "{next:?}");
    let count = scene.sent.len();
    scene.move_for(100);
    assert!(scene.sent[count].1.kind == CommandKind::Approach);
    // If the second sender was still alive, it is detected again.
    assert!(held_after(&mut scene, [[0.2, 0.0, 0.2], [0.2, 0.05, 0.2]]).is_some());
}

#[test]
fn lasting_changes_are_not_a_second_sender() {
    let mut scene = Scene::tracking(&[("limits.max_jump", Value::Integer(0))]);
    two_publishers(&mut scene);
    // A planner may change its goal often.
    for goal in 0..40 {
        scene.hand = [0.2, [0.0, 0.1][goal % 2], 0.2];
        scene.move_for(200);
        assert_ne!(scene.motion(), Motion::Holding, "{}", scene.reason());
    }
}

#[test]
fn alternating_frames_stamps_or_refusals_are_two_senders() {
    let target = Target::new(0.2, 0.0, 0.2, None).unwrap();
    let stamped = |taken: i64| Stamp { taken, received: taken, simulated: false };
    type Make = fn(usize, Target) -> Result<Target, InputFault>;
    let alternating: [Make; 4] = [
        |number, target| Ok(Target { frame: [Frame::Tracker, Frame::Base][number % 2], ..target }),
        |number, target| Ok(Target { stamp: target.stamp.filter(|_| number % 2 == 0), ..target }),
        |number, target| {
            // Two clocks that differ by 50 ms.
            let back =
                |stamp: Stamp| Stamp { taken: stamp.taken - 50_000_000 * (number as i64 % 2), ..stamp };
            Ok(Target { stamp: target.stamp.map(back), ..target })
        },
        |number, target| if number % 2 == 0 { Ok(target) } else { Err(InputFault::HandNotDetected) },
    ];
    for (which, make) in alternating.into_iter().enumerate() {
        let mut scene = Scene::tracking(&[]);
        two_publishers(&mut scene);
        for number in 0..12 {
            let stamp = stamped(1_000_000_000_000 + 20_000_000 * number as i64);
            match make(number, Target { stamp: Some(stamp), ..target }) {
                Ok(target) => drop(scene.teleop.handle_target(scene.now, target)),
                Err(fault) => scene.teleop.handle_invalid_target(scene.now, fault),
            }
            scene.wait(20);
        }
        assert!(scene.reason().contains(BOTH), "{which}: {}", scene.reason());
    }
}

#[test]
fn occasional_gripper_and_frame_changes_are_one_sender() {
    let mut scene = Scene::tracking(&[]);
    two_publishers(&mut scene);
    let publishers = Some("2 publishers on /gripper: /a, /b".into());
    scene.teleop.handle_graph(scene.now, GraphNews::GripperPublishers(publishers));
    for number in 0..100 {
        let frame = [Frame::Tracker, Frame::Base][number / 5 % 2];
        let wanted = [Gripper::Open, Gripper::Closed][number / 5 % 2];
        let target = Target { frame, ..Target::new(0.2, 0.0, 0.2, None).unwrap() };
        scene.teleop.handle_target(scene.now, target).unwrap();
        scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(wanted));
        scene.wait(20);
        assert_eq!(scene.motion(), Motion::Tracking, "{}", scene.reason());
    }
}

#[test]
fn contradicting_gripper_publishers_hold_motion() {
    let publish = |scene: &mut Scene, states: &[Gripper]| {
        for wanted in states {
            scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(*wanted));
            scene.move_for(30);
        }
    };
    let (open, closed) = (Gripper::Open, Gripper::Closed);
    let several = GraphNews::GripperPublishers(Some("2 publishers on /gripper: /a, /b".into()));
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_graph(scene.now, several);
    // A flicker, as a single tracker may produce it.
    publish(&mut scene, &[open, open, closed, open, closed, closed, closed, closed, closed, open, open]);
    assert_eq!(scene.motion(), Motion::Tracking);
    publish(&mut scene, &[open, closed].repeat(5));
    assert!(scene.reason().contains("2 publishers on /gripper"), "{}", scene.reason());
    assert_eq!(scene.motion(), Motion::Holding);
    // The arm follows the remaining publisher.
    scene.teleop.handle_graph(scene.now, GraphNews::GripperPublishers(None));
    assert_eq!(scene.motion(), Motion::Approach);
}

/// The timing of one sender: its rate in Hz, the jitter of each message as a share of a period, and
/// its phase.
#[derive(Debug, Clone, Copy)]
struct Pace {
    rate: f64,
    jitter: f64,
    phase: f64,
}

impl Pace {
    /// Returns the times of the first messages, in seconds.
    fn times(self, count: u32, rng: &mut Rng) -> Vec<f64> {
        let at = |number: u32| (f64::from(number) + self.phase + self.jitter * rng.f64()) / self.rate;
        (0..count).map(at).collect()
    }
}

fn pace(slowest: f64) -> impl Strategy<Value = Pace> {
    (slowest.ln()..60f64.ln(), 0.0..0.2, 0.0..1.0).prop_map(|(rate, jitter, phase)| Pace {
        rate: rate.exp(),
        jitter,
        phase,
    })
}

/// Two hands, of which one may move while the other rests.
#[derive(Debug, Clone, Copy)]
struct Pair {
    paces: [Pace; 2],
    /// The distance between the hands, in metres.
    distance: f64,
    /// The distance that the moving hand covers between two of its messages, and the noise of both
    /// hands, as shares of `distance`.
    way: f64,
    noise: f64,
    direction: [f64; 3],
    moves: usize,
    seed: u64,
}

fn pair() -> impl Strategy<Value = Pair> {
    (
        [pace(5.0), pace(1.0)],
        0.003f64.ln()..0.0,
        prop_oneof![Just(0.0), 0.0..MOST],
        0.0..MOST,
        prop::array::uniform3(-1.0..1.0),
        0..2usize,
        any::<u64>(),
    )
        .prop_map(|(paces, distance, way, noise, direction, moves, seed)| Pair {
            paces,
            distance: distance.exp(),
            way,
            noise,
            direction,
            moves,
            seed,
        })
}

/// The largest `way` and `noise` at which two hands can be distinguished.
const MOST: f64 = 1.0 / 40.0;
/// The message of the slower sender by which both are distinguished. Usually it is the third
/// message.
const DETECTED_BY: u32 = 10;

fn gauss(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

fn watch() -> SenderWatch {
    let mut watch = SenderWatch::default();
    watch.handle_publishers(Some(BOTH.into()));
    watch
}

fn receive(watch: &mut SenderWatch, now: Instant, [x, y, z]: [f64; 3]) {
    let target = Target::new(x, y, z, None).unwrap();
    watch.handle_target(now, &target, Some(target.position));
}

#[test]
fn any_two_sending_hands_are_distinguished() {
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() });
    runner.run(&pair(), are_distinguished).unwrap_or_else(|failure| panic!("{failure}"));
}

fn are_distinguished(pair: Pair) -> Result<(), TestCaseError> {
    let mut rng = Rng::with_seed(pair.seed);
    let slower = pair.paces[0].rate.min(pair.paces[1].rate);
    let mut messages = Vec::new();
    for (hand, pace) in pair.paces.into_iter().enumerate() {
        let count = (f64::from(DETECTED_BY + 2) * pace.rate / slower) as u32 + 2;
        messages.extend(pace.times(count, &mut rng).into_iter().map(|at| (at, hand)));
    }
    messages.sort_by(|one, other| one.0.total_cmp(&other.0));
    let [dx, dy, dz] = pair.direction;
    let length = (dx * dx + dy * dy + dz * dz).sqrt().max(1e-9);
    let apart = pair.direction.map(|along| along / length * pair.distance);
    // At right angles to `apart`, so that the distance does not shrink.
    let across = if dx.hypot(dy) > 1e-9 { [-dy, dx, 0.0] } else { [1.0, 0.0, 0.0] };
    let across = across.map(|along| along / dx.hypot(dy).max(1e-9) * pair.distance * pair.way);
    let (start, mut watch, mut sent) = (Instant::now(), watch(), [0u32; 2]);
    for (at, hand) in messages {
        let moved = if hand == pair.moves { at * pair.paces[hand].rate } else { 0.0 };
        let position = std::array::from_fn(|axis| {
            let noise = pair.distance * pair.noise * gauss(&mut rng);
            0.2 + apart[axis] * hand as f64 + across[axis] * moved + noise
        });
        sent[hand] += 1;
        let now = start + Duration::from_secs_f64(at);
        receive(&mut watch, now, position);
        if watch.several(now).is_some() {
            return Ok(());
        }
        prop_assert!(sent[0].min(sent[1]) <= DETECTED_BY, "not distinguished after {:?} messages", sent);
    }
    prop_assert!(false, "not distinguished after {:?} messages", sent);
    Ok(())
}

#[test]
fn noisy_hand_beside_silent_publisher_is_one_sender() {
    // The noise along each axis, in metres: equal from pixels, mostly in depth, and as of a good
    // tracker.
    for (number, noise) in
        [[0.0015; 3], [0.0003, 0.0003, 0.005], [0.002, 0.002, 0.0], [0.01; 3], [0.0002; 3]].iter().enumerate()
    {
        let (mut rng, start, mut watch) = (Rng::with_seed(number as u64), Instant::now(), watch());
        let mut held = 0;
        for frame in 0..30 * 300u32 {
            let angle = f64::from(frame) * 0.02;
            let sway = if frame / 300 % 2 == 0 { 0.0 } else { 0.05 * angle.sin() };
            let position = std::array::from_fn(|axis| 0.2 + sway + noise[axis] * gauss(&mut rng));
            let now = start + Duration::from_secs_f64(f64::from(frame) / 30.0);
            receive(&mut watch, now, position);
            held += u32::from(watch.several(now).is_some());
        }
        assert_eq!(held, 0, "{noise:?}");
    }
}

#[test]
fn recorded_hand_beside_silent_publisher_is_one_sender() {
    let recordings =
        [include_str!("../data/handstates_30hz.jsonl"), include_str!("../data/handstates_2hz_solo.jsonl")];
    for recording in recordings {
        let (start, mut watch, mut count) = (Instant::now(), watch(), 0);
        for line in recording.lines() {
            let sample: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = |name: &str| sample[name].as_f64().unwrap();
            // 2 mm per unit, as in the tests that replay this recording.
            let position = ["x", "y", "z"].map(|axis| number(axis) * 0.002);
            let now = start + Duration::from_secs_f64(number("t"));
            receive(&mut watch, now, position);
            let closed = sample["hand_closed"].as_bool().unwrap();
            watch.handle_gripper(now, if closed { Gripper::Closed } else { Gripper::Open });
            assert!(watch.several(now).is_none(), "at {} s", number("t"));
            count += 1;
        }
        assert!(count > 100);
    }
}

#[test]
fn two_recorded_hands_are_two_senders() {
    let recording = include_str!("../data/handstates_30hz.jsonl");
    let positions: Vec<_> = recording
        .lines()
        .map(|line| {
            let sample: serde_json::Value = serde_json::from_str(line).unwrap();
            ["x", "y", "z"].map(|axis| sample[axis].as_f64().unwrap() * 0.002)
        })
        .collect();
    // The same minute twice. The second hand is ten seconds behind.
    let (start, mut watch) = (Instant::now(), watch());
    let mut blended = 0;
    for frame in 400..1400 {
        let now = start + Duration::from_millis(33) * u32::try_from(frame).unwrap();
        receive(&mut watch, now, positions[frame]);
        receive(&mut watch, now + Duration::from_millis(11), positions[frame - 300]);
        let at = |position: [f64; 3]| Position::new(position[0], position[1], position[2]).unwrap();
        let apart = at(positions[frame]).distance(at(positions[frame - 300]));
        blended += u32::from(watch.several(now + Duration::from_millis(11)).is_none() && apart > 0.03);
    }
    assert!(blended <= 5, "{blended} of 1000 pairs");
}

#[test]
fn motion_waits_for_the_gripper_publisher() {
    let start = |gripper_publishes_after: Option<u64>| {
        let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(0.1))]);
        scene.link(LinkView::Ready);
        scene.teleop.handle_graph(scene.now, GraphNews::GripperFound);
        let begun = scene.now;
        scene.move_for(gripper_publishes_after.unwrap_or(1490));
        assert!(scene.sent.is_empty());
        assert_eq!(scene.reason(), "not armed yet: waiting for the first message of the gripper's publisher");
        assert_eq!(scene.teleop.reason(scene.now).kind().as_str(), "gripper_awaited");
        if gripper_publishes_after.is_some() {
            scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
        }
        scene.move_for(50);
        let (at, first) = scene.sent[0];
        (at - begun, first.command.gripper)
    };
    // A latched message of another publisher does not end the wait. It counts if no other message
    // arrives.
    let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(0.1))]);
    scene.link(LinkView::Ready);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperFound);
    scene.teleop.handle_kept_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    scene.move_for(1490);
    assert!(scene.sent.is_empty());
    scene.move_for(50);
    assert_eq!(scene.sent[0].1.command.gripper, Gripper::Closed);

    assert_eq!(start(Some(900)), (Duration::from_millis(900), Gripper::Closed));
    let (after, gripper) = start(None);
    assert_eq!((after, gripper), (Duration::from_millis(1500), Gripper::Open));
}

#[test]
fn rare_contradictions_on_gripper_topic_hold_motion() {
    let mut scene = Scene::tracking(&[]);
    let publishers: std::sync::Arc<str> = "2 publishers on /gripper: /a, /b".into();
    scene.teleop.handle_graph(scene.now, GraphNews::GripperPublishers(Some(publishers)));
    let held = (0..300).any(|n| {
        let wanted = if n % 30 == 0 { Gripper::Closed } else { Gripper::Open };
        scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(wanted));
        scene.move_for(33);
        scene.reason().contains("2 publishers")
    });
    assert!(held, "{}", scene.reason());
}
