//! What the parameters of motion mean.

use std::time::Duration;

use super::Parameters;
use super::table::{self, FilterKind};
use crate::geometry::Orientation;
use crate::teleop::GripperConfig;
use crate::teleop::JumpConfig;
use crate::teleop::Limits;
use crate::teleop::Retarget;
use crate::teleop::StreamHealthConfig;
use crate::teleop::Workspace;
use crate::teleop::{FilterConfig, OneEuro};
use crate::teleop::{OrientationConfig, TeleopConfig};

/// Makes the configuration of motion. `turns`: whether the controller is told how the tool is turned.
pub(super) fn teleop(p: &Parameters, workspace: Workspace, turns: bool) -> TeleopConfig {
    let rate = p.get(&table::TELEOP_COMMAND_RATE);
    TeleopConfig {
        arming: p.get(&table::TELEOP_ARMING),
        settle_time: p.get(&table::TELEOP_SETTLE_TIME),
        input_timeout: p.get(&table::INPUT_TIMEOUT),
        zero_is_lost: p.get(&table::INPUT_ZERO_IS_LOST),
        stream_health: StreamHealthConfig {
            frozen_timeout: p.get(&table::INPUT_FROZEN_TIMEOUT),
            min_rate: p.get(&table::INPUT_MIN_RATE),
        },
        filter: match p.get(&table::FILTER_KIND) {
            FilterKind::None => FilterConfig::None,
            FilterKind::OneEuro => FilterConfig::OneEuro(OneEuro {
                min_cutoff: p.get(&table::FILTER_MIN_CUTOFF),
                beta: p.get(&table::FILTER_BETA),
                derivative_cutoff: p.get(&table::FILTER_DERIVATIVE_CUTOFF),
            }),
        },
        jump: JumpConfig {
            distance: p.get(&table::LIMITS_MAX_JUMP),
            confirm: p.get(&table::LIMITS_JUMP_CONFIRM_TIME),
        },
        command_period: (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate)),
        workspace,
        home: p.get(&table::ARM_HOME),
        limits: Limits {
            speed: p.get(&table::LIMITS_SPEED),
            acceleration: p.get(&table::LIMITS_ACCELERATION),
        },
        approach_speed: p.get(&table::LIMITS_APPROACH_SPEED),
        turning: turns.then(|| OrientationConfig {
            speed: p.get(&table::LIMITS_ANGULAR_SPEED),
            home: Orientation::from_rpy(p.get(&table::ARM_HOME_RPY)),
        }),
        retarget: Retarget::new(
            p.get(&table::RETARGET_TRANSLATION),
            p.get(&table::RETARGET_ROTATION_RPY),
            p.get(&table::RETARGET_SCALE),
        ),
        retarget_mode: p.get(&table::RETARGET_MODE),
        gripper: GripperConfig {
            close_below: p.get(&table::GRIPPER_CLOSE_BELOW),
            open_above: p.get(&table::GRIPPER_OPEN_ABOVE),
            close_debounce: p.get(&table::GRIPPER_CLOSE_DEBOUNCE),
            open_debounce: p.get(&table::GRIPPER_OPEN_DEBOUNCE),
        },
        initial_gripper: p.get(&table::GRIPPER_INITIAL),
        error_limit: p.get(&table::TELEOP_MAX_CONSECUTIVE_ERRORS),
        hold_line: p.get(&table::TELEOP_HOLD_BEHAVIOR),
    }
}
