//! Random settings among all valid settings.

use std::time::Duration;

use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::teleop::{Arming, FilterConfig, JumpConfig, StreamHealthConfig, TeleopConfig};
use proptest::prelude::*;

/// Returns random settings that [`Config`] accepts, mostly with values that cause many events.
pub fn settings() -> impl Strategy<Value = TeleopConfig> {
    let values = (source(), motion(), space(), gripper());
    values.prop_filter_map("contradictory", |(source, motion, space, gripper)| {
        let parameters = Parameters::with(&[source, motion, space, gripper].concat()).unwrap();
        Config::new(&parameters).ok().map(|config| config.teleop)
    })
}

/// Returns random settings for an arm that is in motion most of the time, with a hand near one
/// position.
pub fn gripper_settings() -> impl Strategy<Value = TeleopConfig> {
    settings().prop_map(|config| TeleopConfig {
        arming: Arming::Automatic,
        settle_time: Duration::from_millis(50),
        input_timeout: Duration::from_millis(200),
        stream_health: StreamHealthConfig { frozen_timeout: Duration::ZERO, min_rate: 0.0 },
        jump: JumpConfig { distance: 0.0, confirm: Duration::ZERO },
        filter: FilterConfig::None,
        workspace: config.workspace.with_reach(0.0, 0.0),
        max_consecutive_errors: 5,
        ..config
    })
}

type Settings = Vec<(&'static str, Value)>;

fn source() -> impl Strategy<Value = Settings> {
    let seldom = |range: std::ops::Range<f64>| prop_oneof![3 => Just(0.0), 1 => range];
    (
        any::<bool>(),
        seldom(0.05..1.0),
        seldom(1.0..20.0),
        0.01..0.5f64,
        0.0..1.5f64,
        (any::<bool>(), 0.01..5.0f64, 0.0..40.0f64, 0.1..2.0f64),
        prop_oneof![3 => Just(0.0), 2 => 0.05..0.3f64],
        0.0..0.5f64,
    )
        .prop_map(|(zero, frozen, rate, timeout, settle, filter, jump, confirm)| {
            let (filtered, cutoff, beta, derivative) = filter;
            vec![
                ("input.zero_is_lost", Value::Boolean(zero)),
                ("input.frozen_timeout", Value::Real(frozen)),
                ("input.min_rate", Value::Real(rate)),
                ("input.timeout", Value::Real(timeout)),
                ("teleop.settle_time", Value::Real(settle)),
                ("filter.kind", text(if filtered { "one_euro" } else { "none" })),
                ("filter.min_cutoff", Value::Real(cutoff)),
                ("filter.beta", Value::Real(beta)),
                ("filter.derivative_cutoff", Value::Real(derivative)),
                ("limits.max_jump", Value::Real(jump)),
                ("limits.jump_confirm_time", Value::Real(confirm)),
            ]
        })
}

fn motion() -> impl Strategy<Value = Settings> {
    (
        any::<bool>(),
        prop_oneof![1 => Just(0.0), 1 => 0.5..5.0f64, 4 => 5.0..1000.0f64],
        (0.01..2.0f64, 0.05..1.0f64, 0.05..20.0f64),
        (1i64..8, prop_oneof![2 => Just(0.0), 1 => 0.001..0.2f64]),
        prop_oneof![Just("silent"), Just("repeat"), Just("stop")],
        (prop_oneof![Just("none"), Just("home"), Just("last")], 1.0..60.0f64, 0.005..0.03f64, any::<bool>()),
        (prop_oneof![1 => Just(0.0), 2 => 0.02..0.3f64], 0.1..2.0f64),
    )
        .prop_map(
            |(operator, rate, (speed, share, acceleration), (errors, step), hold, position, following)| {
                let (assumed, timeout, tolerance, asks) = position;
                vec![
                    ("teleop.arming", text(if operator { "operator" } else { "automatic" })),
                    ("teleop.command_rate", Value::Real(rate)),
                    ("limits.speed", Value::Real(speed)),
                    ("limits.approach_speed", Value::Real((speed * share).max(0.001))),
                    ("limits.acceleration", Value::Real(acceleration)),
                    ("limits.step", Value::Real(step)),
                    ("teleop.max_consecutive_errors", Value::Integer(errors)),
                    ("teleop.hold_behavior", text(hold)),
                    ("arm.assume_position", text(assumed)),
                    ("arm.position_timeout", Value::Real(timeout)),
                    ("arm.position_tolerance", Value::Real(tolerance)),
                    ("link.heartbeat.period", Value::Real(if asks { 60.0 } else { 0.0 })),
                    ("limits.following_error", Value::Real(following.0)),
                    ("limits.following_error_time", Value::Real(following.1)),
                ]
            },
        )
}

fn space() -> impl Strategy<Value = Settings> {
    let low = prop::array::uniform3(-0.4..0.0f64);
    let high = prop::array::uniform3(0.05..0.4f64);
    let reach = prop_oneof![2 => Just((0.0, 0.0)), 1 => Just((0.05, 0.0)), 1 => (0.0..0.15f64, 0.2..0.6f64)];
    let tolerance = prop_oneof![1 => Just(0.5), 1 => 0.0..1.0f64];
    let share = prop::array::uniform3(0.0..1.0f64);
    let retarget = prop_oneof![
        3 => Just(([0.0; 3], [0.0; 3], [1.0; 3])),
        1 => (
            prop::array::uniform3(-0.2..0.2f64),
            prop::array::uniform3(-3.2..3.2f64),
            prop::array::uniform3(-2.0..2.0f64),
        ),
    ];
    let rotating = (any::<bool>(), 0.05..3.0f64);
    let policy = (any::<bool>(), tolerance);
    (low, high, (reach, keep_out()), share, policy, retarget, any::<bool>(), rotating).prop_map(
        |(
            low,
            high,
            ((near, far), keep_out),
            share,
            (reject, tolerance),
            (translation, rotation, scale),
            relative,
            (rotates, angular_speed),
        )| {
            let home = std::array::from_fn(|axis| low[axis] + share[axis] * (high[axis] - low[axis]));
            vec![
                ("workspace.min", reals(low)),
                ("workspace.max", reals(high)),
                ("workspace.reach_min", Value::Real(near)),
                ("workspace.reach_max", Value::Real(far)),
                ("workspace.keep_out", Value::Reals(keep_out)),
                ("workspace.tolerance", Value::Real(tolerance)),
                ("workspace.policy", text(if reject { "reject" } else { "clamp" })),
                ("arm.home", reals(home)),
                ("wire.extra_fields", Value::Texts(vec![if rotates { "rpy" } else { "none" }.into()])),
                ("limits.angular_speed", Value::Real(angular_speed)),
                ("arm.home_rpy", reals(rotation)),
                ("retarget.translation", reals(translation)),
                ("retarget.rotation_rpy", reals(rotation)),
                ("retarget.scale", reals(scale)),
                ("retarget.mode", text(if relative { "relative" } else { "absolute" })),
            ]
        },
    )
}

/// Returns up to three boxes, usually none.
fn keep_out() -> impl Strategy<Value = Vec<f64>> {
    let corner = prop::array::uniform3(-0.4..0.35f64);
    let keep_out = (corner, prop::array::uniform3(0.01..0.3f64))
        .prop_map(|([x, y, z], [dx, dy, dz])| [x, y, z, x + dx, y + dy, z + dz]);
    let boxes = prop::collection::vec(keep_out, 1..4).prop_map(|boxes| boxes.concat());
    prop_oneof![3 => Just(vec![0.0]), 1 => boxes]
}

fn gripper() -> impl Strategy<Value = Settings> {
    (0.0..0.5f64, 0.5..1.0f64, 0.0..0.3f64, 0.0..0.6f64).prop_map(|(close, open, closing, opening)| {
        vec![
            ("gripper.close_below", Value::Real(close)),
            ("gripper.open_above", Value::Real(open)),
            ("gripper.close_debounce", Value::Real(closing)),
            ("gripper.open_debounce", Value::Real(opening)),
        ]
    })
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn reals(values: [f64; 3]) -> Value {
    Value::Reals(values.into())
}
