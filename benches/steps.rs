//! Measures the pure steps from a target to its line, each step separately and all together. Run it
//! with `cargo bench -p aether_benches --no-default-features --features steps`.
//!
//! The steps take a few of the hundred microseconds that `make bench` measures from outside. Unlike
//! `make bench`, this measurement hardly depends on other programs on the machine.
#![allow(clippy::disallowed_methods, missing_docs)] // measures time; criterion's macros

use std::hint::black_box;
use std::time::{Duration, Instant};

use aether_bridge::app::{Coordinator, Outgoing};
use aether_bridge::arm::{Command, Gripper};
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_bridge::link::{Action, PeerId};
use aether_bridge::mapping::{FieldSelector, Fields, Schema};
use aether_bridge::teleop::{LinkView, Motion, Stamp, Target, Teleop};
use aether_bridge::wire::{CommandEncoder, Incoming, Line, Order, ReplyDecoder, WireConfig};
use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use tokio_util::codec::Decoder;

criterion_group!(steps, teleop, encode, decode, map, whole);
criterion_main!(steps);

/// Measures a target in the motion state machine: checked, retargeted, limited, sent and
/// acknowledged.
fn teleop(criterion: &mut Criterion) {
    let mut hand = Hand::new();
    let mut teleop = Teleop::new(at_home().teleop);
    teleop.handle_link(hand.now, LinkView::Ready);
    let mut step = || {
        let target = hand.next();
        let now = hand.now;
        teleop.handle_target(now, target).expect("the target is valid");
        if let Some(planned) = teleop.poll_command(now) {
            teleop.handle_sent(now, &planned);
            teleop.handle_acknowledged(now, &planned.command);
        }
        teleop.motion()
    };
    while step() != Motion::Tracking {}
    criterion.bench_function("teleop: target to command", |bencher| bencher.iter(&mut step));
}

fn encode(criterion: &mut Criterion) {
    let position = Position::new(0.12, 0.0355, 0.21).expect("the position is valid");
    let order = Order::Command(Command { position, gripper: Gripper::Open, orientation: None });
    let line = Line { order, seq: 1, stamp: Duration::ZERO };
    let mut out = Vec::with_capacity(128);
    for format in ["json", "text"] {
        let wire = config(&[("wire.format", Value::Text(format.into()))]).wire;
        let encoder = CommandEncoder::new(&wire);
        criterion.bench_function(&format!("wire: command to a line of {format}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                encoder.encode_into(black_box(&line), &mut out);
                out.len()
            });
        });
    }
}

fn decode(criterion: &mut Criterion) {
    let (mut decoder, mut buffer) =
        (ReplyDecoder::new(&WireConfig::default()), BytesMut::with_capacity(4096));
    criterion.bench_function("wire: line to reply", |bencher| {
        bencher.iter(|| reply(&mut decoder, &mut buffer));
    });
}

/// Measures a message that is read as JSON with field paths.
fn map(criterion: &mut Criterion) {
    let message = json!({
        "header": {"stamp": {"sec": 1_700_000_000, "nanosec": 5}, "frame_id": "arm_base"},
        "pose": {
            "position": {"x": 0.2, "y": 0.0, "z": 0.2},
            "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
        }
    });
    let auto = Fields {
        position: FieldSelector::Auto,
        orientation: FieldSelector::Auto,
        stamp: FieldSelector::Auto,
        frame: FieldSelector::Auto,
        valid: FieldSelector::None,
        gripper: FieldSelector::None,
        gripper_valid: FieldSelector::None,
    };
    let mapping = auto.of("geometry_msgs/msg/PoseStamped", &Schema::from(&message)).expect("it has a pose");
    criterion.bench_function("mapping: message to sample", |bencher| {
        bencher.iter(|| mapping.sample(black_box(&message)).expect("it has the fields").position);
    });
}

/// Measures both state machines and both codecs: handle a target, encode its line, read the reply.
fn whole(criterion: &mut Criterion) {
    let config = at_home();
    let mut hand = Hand::new();
    let mut coordinator = Coordinator::new(config.teleop, config.link, "controller".into(), hand.now, 7);
    assert_eq!(coordinator.link.poll_action(), Some(Action::Connect));
    coordinator.handle_connected(hand.now);
    let (encoder, mut out) = (CommandEncoder::new(&config.wire), Vec::with_capacity(128));
    let (mut decoder, mut buffer) = (ReplyDecoder::new(&config.wire), BytesMut::with_capacity(4096));
    let mut step = || {
        let target = hand.next();
        let now = hand.now;
        coordinator.teleop.handle_target(now, target).expect("the target is valid");
        if let Some(outgoing) = coordinator.poll_transmit(now) {
            out.clear();
            encoder.encode_into(&coordinator.line(&outgoing, Duration::ZERO), &mut out);
            assert!(matches!(outgoing, Outgoing::Command(_)));
            coordinator.handle_transmitted(now, now, &outgoing, out.len(), [(PeerId::ONLY, Ok(out.len()))]);
            let Incoming::Reply(reply) = reply(&mut decoder, &mut buffer) else {
                unreachable!("it is a reply")
            };
            coordinator.handle_reply(now, PeerId::ONLY, &reply);
        }
        coordinator.status_key(now).motion
    };
    while step() != Motion::Tracking {}
    criterion.bench_function("both: target to line, and its reply", |bencher| bencher.iter(&mut step));
}

/// Returns the settings for an arm at its home position.
fn at_home() -> Config {
    config(&[("arm.assume_position", Value::Text("home".into()))])
}

/// A hand that moves back and forth. The tracker sends a thousand targets per second.
struct Hand {
    now: Instant,
    count: u64,
}

impl Hand {
    fn new() -> Self {
        Self { now: Instant::now(), count: 0 }
    }

    fn next(&mut self) -> Target {
        self.now += PERIOD;
        self.count += 1;
        let offset = (self.count % 200).abs_diff(100) as f64 * 1e-5;
        let taken = i64::try_from(self.count * PERIOD.as_nanos() as u64).expect("the time fits");
        let stamp = Stamp { taken, received: taken, simulated: false };
        Target::new(0.2 + offset, 0.0, 0.2, Some(stamp)).expect("the position is valid")
    }
}

/// Decodes the reply that a controller sends to every line.
fn reply(decoder: &mut ReplyDecoder, buffer: &mut BytesMut) -> Incoming {
    buffer.extend_from_slice(b"{\"status\":\"ok\",\"message\":\"Command received\"}\n");
    decoder.decode(buffer).expect("the reply is valid").expect("the reply is complete")
}

/// Returns the settings of `make bench` (every rule enabled, wide limits) with these parameters.
fn config(more: &[(&str, Value)]) -> Config {
    let wide = [
        ("teleop.command_rate", Value::Real(0.0)),
        ("filter.kind", Value::Text("none".into())),
        ("teleop.settle_time", Value::Real(0.1)),
        ("limits.speed", Value::Real(10.0)),
        ("limits.acceleration", Value::Real(1000.0)),
        ("limits.approach_speed", Value::Real(10.0)),
    ];
    let parameters = Parameters::with(&[&wide, more].concat()).expect("they are in the table");
    Config::new(&parameters).expect("it is a configuration")
}

const PERIOD: Duration = Duration::from_millis(1);
