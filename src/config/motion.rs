//! What the parameters of motion mean.

use std::time::Duration;

use super::Parameters;
use super::table::*;
use crate::geometry::Orientation;
use crate::teleop::{
    FilterConfig, GripperConfig, JumpConfig, Limits, OneEuro, OrientationConfig, Retarget,
    StreamHealthConfig, TeleopConfig, Workspace,
};

/// Makes the configuration of motion. `turns`: whether the controller is told how the tool is turned.
pub(super) fn teleop(p: &Parameters, workspace: Workspace, turns: bool) -> TeleopConfig {
    let rate = p.get(&TELEOP_COMMAND_RATE);
    TeleopConfig {
        arming: p.get(&TELEOP_ARMING),
        settle_time: p.get(&TELEOP_SETTLE_TIME),
        input_timeout: p.get(&INPUT_TIMEOUT),
        zero_is_lost: p.get(&INPUT_ZERO_IS_LOST),
        stream_health: StreamHealthConfig {
            frozen_timeout: p.get(&INPUT_FROZEN_TIMEOUT),
            min_rate: p.get(&INPUT_MIN_RATE),
        },
        filter: match p.get(&FILTER_KIND) {
            FilterKind::None => FilterConfig::None,
            FilterKind::OneEuro => FilterConfig::OneEuro(OneEuro {
                min_cutoff: p.get(&FILTER_MIN_CUTOFF),
                beta: p.get(&FILTER_BETA),
                derivative_cutoff: p.get(&FILTER_DERIVATIVE_CUTOFF),
            }),
        },
        jump: JumpConfig { distance: p.get(&LIMITS_MAX_JUMP), confirm: p.get(&LIMITS_JUMP_CONFIRM_TIME) },
        command_period: (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate)),
        workspace,
        home: p.get(&ARM_HOME),
        limits: Limits { speed: p.get(&LIMITS_SPEED), acceleration: p.get(&LIMITS_ACCELERATION) },
        approach_speed: p.get(&LIMITS_APPROACH_SPEED),
        orientation: turns.then(|| OrientationConfig {
            speed: p.get(&LIMITS_ANGULAR_SPEED),
            home: Orientation::from_rpy(p.get(&ARM_HOME_RPY)),
        }),
        retarget: Retarget::new(
            p.get(&RETARGET_TRANSLATION),
            p.get(&RETARGET_ROTATION_RPY),
            p.get(&RETARGET_SCALE),
        ),
        retarget_mode: p.get(&RETARGET_MODE),
        gripper: GripperConfig {
            close_below: p.get(&GRIPPER_CLOSE_BELOW),
            open_above: p.get(&GRIPPER_OPEN_ABOVE),
            close_debounce: p.get(&GRIPPER_CLOSE_DEBOUNCE),
            open_debounce: p.get(&GRIPPER_OPEN_DEBOUNCE),
        },
        initial_gripper: p.get(&GRIPPER_INITIAL),
        max_consecutive_errors: p.get(&TELEOP_MAX_CONSECUTIVE_ERRORS),
        hold_behavior: p.get(&TELEOP_HOLD_BEHAVIOR),
    }
}
