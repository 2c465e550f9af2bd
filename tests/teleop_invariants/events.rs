//! The events that the state machine may receive.

use std::time::Duration;

use aether_bridge::arm::Gripper;
use aether_bridge::geometry::Transform;
use aether_bridge::teleop::{Frame, GripperConfig, GripperInput, LinkView, TeleopConfig};
use proptest::prelude::*;

use crate::settings::settings;

#[derive(Debug, Clone)]
pub enum Event {
    /// A target without a stamp, or with a stamp that is `age_ms` old.
    Target {
        at: [f64; 3],
        frame: Frame,
        age_ms: Option<i64>,
        /// The gripper input in the same message.
        gripper: Option<GripperInput>,
    },
    /// A message that is not a valid target.
    NotATarget(f64),
    /// The hand moves in a straight line: `count` targets, `period_ms` apart, with or without
    /// stamps. Every command is answered immediately. A step of zero is a frozen hand.
    Sweep {
        from: [f64; 3],
        step: [f64; 3],
        count: usize,
        period_ms: u64,
        stamped: bool,
        frame: Frame,
        gripper: Option<GripperInput>,
    },
    /// A second publisher of targets appears in the graph or leaves it. It may be silent.
    SeveralPublishers(bool),
    /// Two hands at the distance `apart` send alternately, in the arm's base frame.
    TwoHands {
        at: [f64; 3],
        apart: f64,
        count: usize,
        period_ms: u64,
    },
    /// Gripper input.
    Gripper(GripperInput),
    /// One of several publishers of the gripper topic has sent this latched message earlier.
    KeptGripper(GripperInput),
    /// The controller reports the state of its gripper.
    ReportedGripper(Gripper),
    /// An operator disarms the bridge and connects it to another arm.
    OtherArm,
    /// The graph shows the first publisher of the gripper topic, or that a publisher has left, or
    /// that there is no publisher.
    GripperFound,
    GripperLeft,
    GripperAbsent,
    /// The link changes.
    Link(LinkView),
    /// The controller replies to the oldest line.
    Reply {
        ok: bool,
    },
    /// The oldest line or its reply is lost.
    Lost,
    /// The controller replies to a stop line with its position: a share of the way back from the
    /// last command.
    StoppedAt(f64),
    /// The controller sends an unsolicited report of its position.
    Reported {
        at: [f64; 3],
        moving: Option<bool>,
    },
    /// The same, with a position relative to the expected position of the arm.
    Sighted {
        by: [f64; 3],
        moving: Option<bool>,
    },
    /// The controller reports a multiple of the expected position. A factor of 0 gives exactly
    /// zero.
    Nonsense(f64),
    /// The controller reports a fault, or that there is no fault.
    Fault(bool),
    SetArmed(bool),
    Stop,
    Reset,
    /// What happens to the next commands: each is refused or lost, instead of accepted immediately.
    Fates(Vec<Fate>),
    /// Parameters of the gripper are set.
    ConfigureGripper(GripperConfig),
    /// Parameters are set.
    Configure(Box<TeleopConfig>),
    /// From now on, writing a line takes this long.
    Writing {
        us: u64,
    },
    /// Time passes. The deadlines of the state machine are handled, or not (`stalled`: the process
    /// stalls).
    Pass {
        ms: u64,
        stalled: bool,
    },
    Shutdown,
}

/// What happens to a command that is not accepted.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Refused,
    Lost,
}

/// Events that affect the gripper, for an arm that is in motion most of the time.
pub fn gripper_event() -> impl Strategy<Value = Event> {
    let input = prop_oneof![1 => Just(None), 2 => gripper().prop_map(Some)];
    let rest = (prop::array::uniform3(-0.001..0.001), 1usize..40, 5u64..40, input).prop_map(
        |(step, count, period_ms, gripper)| {
            let (from, frame) = (POSITION, Frame::Base);
            Event::Sweep { from, step, count, period_ms, stamped: false, frame, gripper }
        },
    );
    let fates = prop::collection::vec(prop_oneof![2 => Just(Fate::Refused), 1 => Just(Fate::Lost)], 1..4);
    let debounces = (0u64..200, 0u64..400, 0.1..0.4f64, 0.5..0.95f64, prop::bool::weighted(0.8));
    let settings = debounces.prop_map(|(close, open, close_below, open_above, target_opens)| GripperConfig {
        close_below,
        open_above,
        close_debounce: Duration::from_millis(close),
        open_debounce: Duration::from_millis(open),
        target_opens,
    });
    prop_oneof![
        60 => rest,
        30 => gripper().prop_map(Event::Gripper),
        3 => gripper().prop_map(Event::KeptGripper),
        8 => prop_oneof![Just(Gripper::Open), Just(Gripper::Closed)].prop_map(Event::ReportedGripper),
        2 => Just(Event::GripperFound),
        4 => Just(Event::GripperLeft),
        4 => Just(Event::GripperAbsent),
        15 => fates.prop_map(Event::Fates),
        6 => prop::bool::weighted(0.8).prop_map(|ok| Event::Reply { ok }),
        6 => prop_oneof![4 => Just(LinkView::Ready), 1 => Just(LinkView::Down), 1 => Just(LinkView::Unresponsive)]
            .prop_map(Event::Link),
        1 => Just(Event::NotATarget(f64::NAN)),
        12 => prop::bool::weighted(0.9).prop_map(Event::SetArmed),
        3 => prop_oneof![1 => Just(Event::Stop), 3 => Just(Event::Reset)],
        3 => settings.prop_map(Event::ConfigureGripper),
        1 => Just(Event::OtherArm),
        12 => (0u64..60, prop::bool::weighted(0.1)).prop_map(|(ms, stalled)| Event::Pass { ms, stalled }),
        2 => (100u64..5000, any::<bool>()).prop_map(|(ms, stalled)| Event::Pass { ms, stalled }),
    ]
}

/// A position inside every workspace of [`gripper_settings`](crate::settings::gripper_settings), in
/// metres in the base frame.
const POSITION: [f64; 3] = [0.02, 0.02, 0.02];

pub fn event() -> impl Strategy<Value = Event> {
    let link = prop_oneof![16 => Just(LinkView::Ready), 2 => Just(LinkView::Unresponsive), 2 => Just(LinkView::Down), 1 => Just(LinkView::Partial)];
    prop_oneof![
        120 => sweep(),
        120 => target(),
        10 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(1e300)].prop_map(Event::NotATarget),
        20 => any::<bool>().prop_map(Event::SeveralPublishers),
        10 => two_hands(),
        60 => gripper().prop_map(Event::Gripper),
        10 => gripper().prop_map(Event::KeptGripper),
        20 => prop_oneof![Just(Gripper::Open), Just(Gripper::Closed)].prop_map(Event::ReportedGripper),
        3 => Just(Event::OtherArm),
        5 => Just(Event::GripperFound),
        10 => Just(Event::GripperLeft),
        10 => Just(Event::GripperAbsent),
        80 => link.prop_map(Event::Link),
        200 => prop_oneof![12 => Just(true), 1 => Just(false)].prop_map(|ok| Event::Reply { ok }),
        10 => Just(Event::Lost),
        10 => (0.0..1.0).prop_map(Event::StoppedAt),
        5 => (prop::array::uniform3(-0.5..0.5), moving()).prop_map(|(at, moving)| Event::Reported { at, moving }),
        60 => (prop::array::uniform3(-0.02..0.02), moving()).prop_map(|(by, moving)| Event::Sighted { by, moving }),
        3 => prop_oneof![Just(0.0), Just(0.001), Just(0.01), Just(10.0)].prop_map(Event::Nonsense),
        3 => prop_oneof![1 => Just(true), 3 => Just(false)].prop_map(Event::Fault),
        80 => prop_oneof![12 => Just(true), 1 => Just(false)].prop_map(Event::SetArmed),
        40 => prop_oneof![1 => Just(Event::Stop), 4 => Just(Event::Reset)],
        15 => settings().prop_map(|config| Event::Configure(Box::new(config))),
        10 => prop_oneof![2 => Just(0), 1 => 1u64..2000, 1 => 1u64..100_000].prop_map(|us| Event::Writing { us }),
        240 => (0u64..60, prop_oneof![9 => Just(false), 1 => Just(true)])
            .prop_map(|(ms, stalled)| Event::Pass { ms, stalled }),
        10 => (100u64..5000, any::<bool>()).prop_map(|(ms, stalled)| Event::Pass { ms, stalled }),
        1 => Just(Event::Shutdown),
    ]
}

fn moving() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![2 => Just(None), 4 => Just(Some(false)), 1 => Just(Some(true))]
}

fn sweep() -> impl Strategy<Value = Event> {
    let step = prop_oneof![6 => prop::array::uniform3(-0.01..0.01), 1 => Just([0.0; 3])];
    let period = prop_oneof![3 => 5u64..40, 1 => 1u64..300];
    let input = prop_oneof![3 => Just(None), 1 => gripper().prop_map(Some)];
    (prop::array::uniform3(-0.3..0.4), step, 1usize..60, period, any::<bool>(), frame(), input).prop_map(
        |(from, step, count, period_ms, stamped, frame, gripper)| Event::Sweep {
            from,
            step,
            count,
            period_ms,
            stamped,
            frame,
            gripper,
        },
    )
}

fn two_hands() -> impl Strategy<Value = Event> {
    (prop::array::uniform3(-0.2..0.2), 0.01..0.2, 1usize..80, 5u64..40)
        .prop_map(|(at, apart, count, period_ms)| Event::TwoHands { at, apart, count, period_ms })
}

fn target() -> impl Strategy<Value = Event> {
    let coordinate = || prop_oneof![20 => -0.45..0.45, 1 => -100.0..100.0, 1 => Just(0.0)];
    let at = prop_oneof![9 => [coordinate(), coordinate(), coordinate()], 1 => Just([0.0; 3])];
    let age =
        prop_oneof![6 => Just(None), 3 => (0i64..150).prop_map(Some), 1 => (-200i64..1000).prop_map(Some)];
    let input = prop_oneof![3 => Just(None), 1 => gripper().prop_map(Some)];
    (at, frame(), age, input).prop_map(|(at, frame, age_ms, gripper)| Event::Target {
        at,
        frame,
        age_ms,
        gripper,
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let transformed = (prop::array::uniform3(-0.3..0.3), prop::array::uniform4(0.1..1.0))
        .prop_map(|(translation, xyzw)| Frame::Transformed(Transform::new(translation, xyzw)));
    prop_oneof![2 => Just(Frame::Tracker), 1 => Just(Frame::Base), 1 => transformed]
}

fn gripper() -> impl Strategy<Value = GripperInput> {
    prop_oneof![
        3 => Just(GripperInput::Wanted(Gripper::Open)),
        3 => Just(GripperInput::Wanted(Gripper::Closed)),
        1 => (-0.5..1.5).prop_map(GripperInput::Opening),
        2 => prop_oneof![Just(0.1), Just(0.9)].prop_map(GripperInput::Opening),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY)].prop_map(GripperInput::Opening),
    ]
}
