//! Two senders on one topic, told from one sender beside publishers that are silent.

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

/// Two hands in turn, each at 50 Hz, until motion is held; returns how many targets that took.
fn held_after(scene: &mut Scene, hands: [[f64; 3]; 2]) -> Option<usize> {
    (1..=100).find(|number| {
        scene.hand = hands[number % 2];
        scene.try_target().ok();
        scene.wait(10);
        scene.teleop.reason(scene.now).kind().as_str() == "multiple_publishers"
    })
}

#[test]
fn a_silent_second_publisher_holds_nothing() {
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
fn two_hands_at_once_are_never_blended() {
    // The second is where no leap is, and where one is.
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
            "holding: 2 publishers on /target_pose: /a, /b; stop all publishers but one, because the arm follows only one hand"
        );
        assert_eq!(scene.teleop.reason(scene.now).kind().as_str(), "multiple_publishers");
    }
}

#[test]
fn three_or_four_hands_in_turn_hold_motion() {
    // In a line, and at the corners of a square: no two of them take turns by themselves.
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
fn motion_goes_on_when_one_publisher_is_left() {
    let mut scene = Scene::tracking(&[]);
    two_publishers(&mut scene);
    held_after(&mut scene, [[0.2, 0.0, 0.2], [0.2, 0.05, 0.2]]).unwrap();
    scene.target();
    scene.teleop.handle_graph(scene.now, GraphNews::TargetPublishers(None));
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn motion_goes_on_three_seconds_after_the_second_sender_died() {
    let mut scene = Scene::tracking(&[]);
    two_publishers(&mut scene);
    held_after(&mut scene, [[0.2, 0.0, 0.2], [0.2, 0.05, 0.2]]).unwrap();
    // The graph still shows it.
    scene.hand = [0.2, 0.0, 0.2];
    scene.target();
    scene.move_for(2980);
    assert_eq!(scene.motion(), Motion::Holding);
    let look = scene.teleop.poll_timeout(scene.now).unwrap() - scene.now;
    assert!(look <= Duration::from_millis(20), "{look:?}");
    let count = scene.sent.len();
    scene.move_for(100);
    assert!(scene.sent[count].1.kind == CommandKind::Approach);
    // And if it was alive after all, it is known again.
    assert!(held_after(&mut scene, [[0.2, 0.0, 0.2], [0.2, 0.05, 0.2]]).is_some());
}

#[test]
fn what_changes_once_or_stays_is_no_second_sender() {
    let mut scene = Scene::tracking(&[("limits.max_jump", Value::Integer(0))]);
    two_publishers(&mut scene);
    // A planner's goals, as often as it likes.
    for goal in 0..40 {
        scene.hand = [0.2, [0.0, 0.1][goal % 2], 0.2];
        scene.move_for(200);
        assert_ne!(scene.motion(), Motion::Holding, "{}", scene.reason());
    }
}

#[test]
fn frames_stamps_and_refusals_that_alternate_are_two_senders() {
    let place = Target::new(0.2, 0.0, 0.2, None).unwrap();
    let stamped = |taken: i64| Stamp { taken, received: taken, simulated: false };
    type Make = fn(usize, Target) -> Result<Target, InputFault>;
    let alternating: [Make; 4] = [
        |number, target| Ok(Target { frame: [Frame::Tracker, Frame::Base][number % 2], ..target }),
        |number, target| Ok(Target { stamp: target.stamp.filter(|_| number % 2 == 0), ..target }),
        |number, target| {
            // Two clocks.
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
            match make(number, Target { stamp: Some(stamp), ..place }) {
                Ok(target) => drop(scene.teleop.handle_target(scene.now, target)),
                Err(fault) => scene.teleop.handle_invalid_target(scene.now, fault),
            }
            scene.wait(20);
        }
        assert!(scene.reason().contains(BOTH), "{which}: {}", scene.reason());
    }
}

#[test]
fn words_and_frames_that_change_now_and_then_are_of_one_sender() {
    let mut scene = Scene::tracking(&[]);
    two_publishers(&mut scene);
    let publishers = Some("2 publishers on /gripper: /a, /b".into());
    scene.teleop.handle_graph(scene.now, GraphNews::GripperPublishers(publishers));
    for number in 0..100 {
        let frame = [Frame::Tracker, Frame::Base][number / 5 % 2];
        let word = [Gripper::Open, Gripper::Closed][number / 5 % 2];
        let target = Target { frame, ..Target::new(0.2, 0.0, 0.2, None).unwrap() };
        scene.teleop.handle_target(scene.now, target).unwrap();
        scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(word));
        scene.wait(20);
        assert_eq!(scene.motion(), Motion::Tracking, "{}", scene.reason());
    }
}

#[test]
fn two_that_contradict_each_other_on_the_gripper_hold() {
    let say = |scene: &mut Scene, words: &[Gripper]| {
        for word in words {
            scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(*word));
            scene.move_for(30);
        }
    };
    let (open, closed) = (Gripper::Open, Gripper::Closed);
    let several = GraphNews::GripperPublishers(Some("2 publishers on /gripper: /a, /b".into()));
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_graph(scene.now, several);
    // A flicker, as one tracker has it.
    say(&mut scene, &[open, open, closed, open, closed, closed, closed, closed, closed, open, open]);
    assert_eq!(scene.motion(), Motion::Tracking);
    say(&mut scene, &[open, closed].repeat(5));
    assert!(scene.reason().contains("2 publishers on /gripper"), "{}", scene.reason());
    assert_eq!(scene.motion(), Motion::Holding);
    // The one that is left is followed.
    scene.teleop.handle_graph(scene.now, GraphNews::GripperPublishers(None));
    assert_eq!(scene.motion(), Motion::Approach);
}

/// One sender's stream: its rate in Hz, how early or late each message may be as a share of a period, its phase.
#[derive(Debug, Clone, Copy)]
struct Pace {
    rate: f64,
    jitter: f64,
    phase: f64,
}

impl Pace {
    /// When the first messages come, in seconds.
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

/// What a hand does while the other rests.
#[derive(Debug, Clone, Copy)]
struct Pair {
    paces: [Pace; 2],
    /// In metres.
    distance: f64,
    /// The way of the one that moves from one of its messages to the next, and the noise of both, as shares of the distance.
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

/// How small way and noise are beside the distance of two hands that are told apart.
const MOST: f64 = 1.0 / 40.0;
/// By which message of the slower sender; as a rule it is the third.
const TOLD_BY: u32 = 10;

fn gauss(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

fn watch() -> SenderWatch {
    let mut watch = SenderWatch::default();
    watch.handle_publishers(Some(BOTH.into()));
    watch
}

fn tell(watch: &mut SenderWatch, now: Instant, [x, y, z]: [f64; 3]) {
    let target = Target::new(x, y, z, None).unwrap();
    watch.handle_target(now, &target, Some(target.position));
}

#[test]
fn any_two_hands_that_send_are_told_apart() {
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() });
    runner.run(&pair(), is_told_apart).unwrap_or_else(|failure| panic!("{failure}"));
}

fn is_told_apart(pair: Pair) -> Result<(), TestCaseError> {
    let mut rng = Rng::with_seed(pair.seed);
    let slower = pair.paces[0].rate.min(pair.paces[1].rate);
    let mut messages = Vec::new();
    for (hand, pace) in pair.paces.into_iter().enumerate() {
        let count = (f64::from(TOLD_BY + 2) * pace.rate / slower) as u32 + 2;
        messages.extend(pace.times(count, &mut rng).into_iter().map(|at| (at, hand)));
    }
    messages.sort_by(|one, other| one.0.total_cmp(&other.0));
    let [dx, dy, dz] = pair.direction;
    let length = (dx * dx + dy * dy + dz * dz).sqrt().max(1e-9);
    let apart = pair.direction.map(|along| along / length * pair.distance);
    // At right angles to that, so that the distance does not shrink.
    let across = if dx.hypot(dy) > 1e-9 { [-dy, dx, 0.0] } else { [1.0, 0.0, 0.0] };
    let across = across.map(|along| along / dx.hypot(dy).max(1e-9) * pair.distance * pair.way);
    let (start, mut watch, mut sent) = (Instant::now(), watch(), [0u32; 2]);
    for (at, hand) in messages {
        let moved = if hand == pair.moves { at * pair.paces[hand].rate } else { 0.0 };
        let place = std::array::from_fn(|axis| {
            let noise = pair.distance * pair.noise * gauss(&mut rng);
            0.2 + apart[axis] * hand as f64 + across[axis] * moved + noise
        });
        sent[hand] += 1;
        let now = start + Duration::from_secs_f64(at);
        tell(&mut watch, now, place);
        if watch.several(now).is_some() {
            return Ok(());
        }
        prop_assert!(sent[0].min(sent[1]) <= TOLD_BY, "not told apart after {:?} messages", sent);
    }
    prop_assert!(false, "not told apart after {:?} messages", sent);
    Ok(())
}

#[test]
fn a_noisy_hand_beside_a_silent_publisher_is_one_sender() {
    // Along each axis, in metres: by pixels alike, by depth most, and like a good tracker's.
    for (number, noise) in
        [[0.0015; 3], [0.0003, 0.0003, 0.005], [0.002, 0.002, 0.0], [0.01; 3], [0.0002; 3]].iter().enumerate()
    {
        let (mut rng, start, mut watch) = (Rng::with_seed(number as u64), Instant::now(), watch());
        let mut held = 0;
        for frame in 0..30 * 300u32 {
            let angle = f64::from(frame) * 0.02;
            let sway = if frame / 300 % 2 == 0 { 0.0 } else { 0.05 * angle.sin() };
            let place = std::array::from_fn(|axis| 0.2 + sway + noise[axis] * gauss(&mut rng));
            let now = start + Duration::from_secs_f64(f64::from(frame) / 30.0);
            tell(&mut watch, now, place);
            held += u32::from(watch.several(now).is_some());
        }
        assert_eq!(held, 0, "{noise:?}");
    }
}

#[test]
fn a_recorded_hand_beside_a_silent_publisher_is_one_sender() {
    let recordings =
        [include_str!("../data/handstates_30hz.jsonl"), include_str!("../data/handstates_2hz_solo.jsonl")];
    for recording in recordings {
        let (start, mut watch, mut count) = (Instant::now(), watch(), 0);
        for line in recording.lines() {
            let sample: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = |name: &str| sample[name].as_f64().unwrap();
            // 2 mm to a unit, as the tests that replay it have it.
            let place = ["x", "y", "z"].map(|axis| number(axis) * 0.002);
            let now = start + Duration::from_secs_f64(number("t"));
            tell(&mut watch, now, place);
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
    let places: Vec<_> = recording
        .lines()
        .map(|line| {
            let sample: serde_json::Value = serde_json::from_str(line).unwrap();
            ["x", "y", "z"].map(|axis| sample[axis].as_f64().unwrap() * 0.002)
        })
        .collect();
    // The same minute, the second hand ten seconds behind.
    let (start, mut watch) = (Instant::now(), watch());
    let mut blended = 0;
    for frame in 400..1400 {
        let now = start + Duration::from_millis(33) * u32::try_from(frame).unwrap();
        tell(&mut watch, now, places[frame]);
        tell(&mut watch, now + Duration::from_millis(11), places[frame - 300]);
        let at = |place: [f64; 3]| Position::new(place[0], place[1], place[2]).unwrap();
        let apart = at(places[frame]).distance(at(places[frame - 300]));
        blended += u32::from(watch.several(now + Duration::from_millis(11)).is_none() && apart > 0.03);
    }
    assert!(blended <= 5, "{blended} of 1000 pairs");
}

#[test]
fn motion_waits_for_what_the_gripper_s_publisher_has_to_say() {
    let start = |gripper_speaks_after: Option<u64>| {
        let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(0.1))]);
        scene.link(LinkView::Ready);
        scene.teleop.handle_graph(scene.now, GraphNews::GripperFound);
        let begun = scene.now;
        scene.move_for(gripper_speaks_after.unwrap_or(1490));
        assert!(scene.sent.is_empty());
        assert_eq!(scene.reason(), "not armed yet: waiting for the first message of the gripper's publisher");
        assert_eq!(scene.teleop.reason(scene.now).kind().as_str(), "gripper_awaited");
        if gripper_speaks_after.is_some() {
            scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
        }
        scene.move_for(50);
        let (at, first) = scene.sent[0];
        (at - begun, first.command.gripper)
    };
    // What another publisher has kept from before ends no wait, and holds if nothing else is said.
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
fn a_seldom_word_against_a_frequent_one_holds_motion() {
    let mut scene = Scene::tracking(&[]);
    let who: std::sync::Arc<str> = "2 publishers on /gripper: /a, /b".into();
    scene.teleop.handle_graph(scene.now, GraphNews::GripperPublishers(Some(who)));
    let held = (0..300).any(|n| {
        let word = if n % 30 == 0 { Gripper::Closed } else { Gripper::Open };
        scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(word));
        scene.move_for(33);
        scene.reason().contains("2 publishers")
    });
    assert!(held, "{}", scene.reason());
}
