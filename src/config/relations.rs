//! Checks relations between two parameters.

use std::time::Duration;

use super::Parameters;
use super::table::*;
use crate::geometry::Position;
use crate::params::{Param, ParameterError};
use crate::teleop::{KeepOut, Workspace};

/// Shortest heartbeat period in seconds. Shorter periods only load the controller.
const MIN_HEARTBEAT: f64 = 0.01;
/// Shortest step in metres. With shorter steps the arm would practically not move.
const MIN_STEP: f64 = 0.000_1;
/// Lowest command rate in Hz. With lower rates the arm would practically not move, and at very low
/// rates the period does not fit into a `Duration`.
const MIN_COMMAND_RATE: f64 = 0.01;

/// Checks all relations and returns the workspace, which contains the arm's home.
///
/// # Errors
/// The first contradiction.
pub(super) fn check(p: &Parameters) -> Result<Workspace, ParameterError> {
    let workspace = check_workspace(p)?;
    if p.get(&RETARGET_FRAME) == p.get(&ARM_BASE_FRAME) {
        return Err(p.relation_error(&RETARGET_FRAME, "different from", &ARM_BASE_FRAME));
    }
    let heartbeat = p.get(&LINK_HEARTBEAT_PERIOD);
    if !heartbeat.is_zero() && heartbeat < Duration::from_secs_f64(MIN_HEARTBEAT) {
        let range = format!("0.0, or from {MIN_HEARTBEAT:?} to 60.0 s");
        return Err(p.range_error(&LINK_HEARTBEAT_PERIOD, &range));
    }
    let rate = p.get(&TELEOP_COMMAND_RATE);
    if rate > 0.0 && rate < MIN_COMMAND_RATE {
        let range = format!("0.0, or from {MIN_COMMAND_RATE:?} to 1000.0 Hz");
        return Err(p.range_error(&TELEOP_COMMAND_RATE, &range));
    }
    let step = p.get(&LIMITS_STEP);
    if step > 0.0 && step < MIN_STEP {
        return Err(p.range_error(&LIMITS_STEP, &format!("0.0, or from {MIN_STEP:?} to 100.0 m")));
    }
    check_order(p, &LIMITS_APPROACH_SPEED, &LIMITS_SPEED)?;
    check_order(p, &LINK_BACKOFF_INITIAL, &LINK_BACKOFF_MAX)?;
    check_order(p, &LINK_REPLY_TIMEOUT, &LINK_TIMEOUT)?;
    if p.get(&GRIPPER_CLOSE_BELOW) >= p.get(&GRIPPER_OPEN_ABOVE) {
        return Err(p.relation_error(&GRIPPER_CLOSE_BELOW, "below", &GRIPPER_OPEN_ABOVE));
    }
    Ok(workspace)
}

fn check_order<T: Clone + PartialOrd>(
    p: &Parameters,
    low: &Param<T>,
    high: &Param<T>,
) -> Result<(), ParameterError> {
    if p.get(low) <= p.get(high) { Ok(()) } else { Err(p.relation_error(low, "at most", high)) }
}

fn check_workspace(p: &Parameters) -> Result<Workspace, ParameterError> {
    let (min, home) = (p.get(&WORKSPACE_MIN), p.get(&ARM_HOME));
    let unbounded = Workspace::new(min, p.get(&WORKSPACE_MAX), p.get(&WORKSPACE_POLICY))
        .ok_or_else(|| p.relation_error(&WORKSPACE_MIN, "below, on every axis,", &WORKSPACE_MAX))?;
    if home.coordinates().iter().zip(min.coordinates()).any(|(home, min)| *home < min) {
        return Err(p.relation_error(&ARM_HOME, "at or above, on every axis,", &WORKSPACE_MIN));
    }
    if !unbounded.contains(home) {
        return Err(p.relation_error(&ARM_HOME, "at or below, on every axis,", &WORKSPACE_MAX));
    }
    let (nearest, farthest) = (p.get(&WORKSPACE_REACH_MIN), p.get(&WORKSPACE_REACH_MAX));
    if farthest != 0.0 && nearest >= farthest {
        return Err(p.relation_error(&WORKSPACE_REACH_MIN, "below", &WORKSPACE_REACH_MAX));
    }
    if home.point().coords.norm() < nearest {
        let near = "no nearer to the origin of arm.base_frame than";
        return Err(p.relation_error(&ARM_HOME, near, &WORKSPACE_REACH_MIN));
    }
    if farthest != 0.0 && home.point().coords.norm() > farthest {
        let far = "no farther from the origin of arm.base_frame than";
        return Err(p.relation_error(&ARM_HOME, far, &WORKSPACE_REACH_MAX));
    }
    let keep_out = check_keep_out(p, home)?;
    let workspace = unbounded.with_tolerance(p.get(&WORKSPACE_TOLERANCE)).with_reach(nearest, farthest);
    Ok(if keep_out.is_empty() { workspace } else { workspace.with_keep_out(&keep_out) })
}

/// Checks that each box has a volume, and that no box contains the arm's home.
fn check_keep_out(p: &Parameters, home: Position) -> Result<Vec<KeepOut>, ParameterError> {
    let read = |(index, [x, y, z, to_x, to_y, to_z]): (usize, [f64; 6])| {
        let fault = |why: &str| p.value_error(&WORKSPACE_KEEP_OUT, format!("box {} {why}", index + 1));
        let [min, max] = [Position::new(x, y, z), Position::new(to_x, to_y, to_z)];
        let (Ok(min), Ok(max)) = (min, max) else {
            return Err(fault("has a corner that is not a valid position"));
        };
        let keep_out = KeepOut::new(min, max).ok_or_else(|| {
            let order = "six numbers are x, y, z of the lower corner, then x, y, z of the upper corner";
            fault(&format!("must have its corner {min} below its corner {max} on every axis: {order}"))
        })?;
        if keep_out.contains(home) {
            let home = p.written(&ARM_HOME);
            return Err(fault(&format!("must not contain '{}', which is {home}", ARM_HOME.name)));
        }
        Ok(keep_out)
    };
    p.get(&WORKSPACE_KEEP_OUT).into_iter().enumerate().map(read).collect()
}
