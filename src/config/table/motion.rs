//! Parameters of motion: arming, the arm itself, workspace and limits.

use std::time::Duration;

use crate::geometry::Position;
use crate::params::{boolean, boxes, integer, one_of, position, real, reals, seconds, text};
use crate::teleop::{Arming, AssumedPosition, HoldBehavior, Policy};

crate::parameters! {
    /// Arming, the rate of commands, and the behavior during a hold.
    pub static TELEOP;

    /// automatic: the bridge arms itself once, after its start. After a loss of the link it
    /// approaches the target again. operator: an operator must call ~/set_armed after the start and
    /// after every loss of the link.
    TELEOP_ARMING: Arming = one_of("teleop.arming", &[
        ("automatic", Arming::Automatic),
        ("operator", Arming::Operator),
    ]).while_disarmed();
    /// How long targets must be good without a gap before motion begins after arming. The same
    /// applies after the hand was away for more than one second.
    TELEOP_SETTLE_TIME: Duration = seconds("teleop.settle_time", 1.0, 0.0..=60.0).always();
    /// If no good target arrives for this long, the bridge disarms. An operator must then arm it
    /// again. 0: never.
    TELEOP_REARM_AFTER: Duration = seconds("teleop.rearm_after", 300.0, 0.0..=86400.0).always();
    /// Maximum rate of commands, and the rate of commands during a ramp. 0: one command for each
    /// target, without waiting, and 50 Hz during a ramp.
    TELEOP_COMMAND_RATE: f64 = real("teleop.command_rate", 50.0, 0.0..=1000.0).unit("Hz").always();
    /// After this many error replies in a row, motion holds for teleop.settle_time, but for at
    /// least 0.5 s. Then the bridge tries again.
    TELEOP_MAX_CONSECUTIVE_ERRORS: u32 = integer("teleop.max_consecutive_errors", 5, 1..=1000).always();
    /// What the bridge sends when motion is held, stopped or ended. silent: nothing. repeat: in the
    /// states HOLDING and STOPPED, the last command at teleop.command_rate, if the controller has
    /// accepted it. stop: one line {"type":"stop"}, for a controller that knows it.
    TELEOP_HOLD_BEHAVIOR: HoldBehavior = one_of("teleop.hold_behavior", &[
        ("silent", HoldBehavior::Silent),
        ("repeat", HoldBehavior::Repeat),
        ("stop", HoldBehavior::Stop),
    ]).always();
}

crate::parameters! {
    /// The arm's base frame, its home, and its assumed position.
    pub static ARM;

    /// Name of the arm's base frame. It is the frame_id of the published messages.
    ARM_BASE_FRAME: String = text("arm.base_frame", "arm_base").not_empty().while_disarmed();
    /// Home position of the arm, in its base frame and inside the workspace. ~/go_home moves the
    /// arm there. An operator can confirm that the arm is there: by arm.assume_position, or by two
    /// calls of ~/set_armed.
    ARM_HOME: Position = position("arm.home", [0.2, 0.0, 0.2], -100.0..=100.0).always();
    /// Tool orientation at home, if commands contain an orientation: roll, pitch and yaw in the
    /// arm's base frame.
    ARM_HOME_RPY: [f64; 3] = reals("arm.home_rpy", [0.0; 3], -7.0..=7.0).unit("rad").always();
    /// Assumed position of the arm if its controller does not report one. none: unknown; an
    /// operator must confirm the position by two calls of ~/set_armed. home: the arm is at arm.home
    /// when the bridge starts, because you have moved it there. last: the arm stays at the last
    /// accepted command, also after a lost connection or a disarm.
    ARM_ASSUME_POSITION: AssumedPosition = one_of("arm.assume_position", &[
        ("none", AssumedPosition::None),
        ("home", AssumedPosition::Home),
        ("last", AssumedPosition::Last),
    ]).while_disarmed();
    /// How long the last accepted command counts as the position of the arm, if the controller does
    /// not report a position and the connection stays open. After that an operator must confirm the
    /// position.
    ARM_POSITION_TIMEOUT: Duration = seconds("arm.position_timeout", 300.0, 0.1..=86400.0).always();
    /// Largest distance between the reported position and the last command at which the arm counts
    /// as arrived. If an arm sags by less than this, it does not sink further with each motion. If
    /// it is farther away, something else has moved it.
    ARM_POSITION_TOLERANCE: f64 = real("arm.position_tolerance", 0.01, 0.001..=1.0).unit("m").always();
    /// true: if the bridge is asked to end while it is armed, it first moves the arm to arm.home,
    /// like ~/go_home. A second signal ends the bridge immediately. ros2 launch waits only 5 s; for
    /// a longer way start it with sigterm_timeout:=30.
    ARM_PARK: bool = boolean("arm.park", false).always();
}

crate::parameters! {
    /// The region in which commands may lie.
    pub static WORKSPACE;

    /// Lower corner of the workspace box for commands, in the arm's base frame.
    WORKSPACE_MIN: Position = position("workspace.min", [-0.3, -0.3, 0.0], -100.0..=100.0).always();
    /// Upper corner of the workspace box for commands, in the arm's base frame.
    WORKSPACE_MAX: Position = position("workspace.max", [0.3, 0.3, 0.4], -100.0..=100.0).always();
    /// What happens to a target outside the box. clamp: the bridge uses the nearest point of the
    /// box. reject: the bridge rejects the target, and motion holds.
    WORKSPACE_POLICY: Policy = one_of("workspace.policy", &[
        ("clamp", Policy::Clamp),
        ("reject", Policy::Reject),
    ]).always();
    /// How far outside the box and the reach a target may be. A target farther away probably has
    /// another unit or frame. The bridge rejects it and motion holds, even if workspace.policy is
    /// clamp.
    WORKSPACE_TOLERANCE: f64 = real("workspace.tolerance", 0.5, 0.0..=1000.0).unit("m").always();
    /// Boxes that commands must not enter. The arm moves around them. Six numbers for each box: x,
    /// y, z of the lower corner, then x, y, z of the upper corner, in the arm's base frame. [0.0]:
    /// no boxes.
    WORKSPACE_KEEP_OUT: Vec<[f64; 6]> = boxes("workspace.keep_out", -100.0..=100.0).unit("m").always();
    /// Minimum distance of commands from the origin of arm.base_frame. The arm moves around this
    /// sphere, because an arm cannot fold into itself. 0: no minimum.
    WORKSPACE_REACH_MIN: f64 = real("workspace.reach_min", 0.05, 0.0..=100.0).unit("m").always();
    /// Maximum distance of commands from the origin of arm.base_frame. 0: no maximum.
    WORKSPACE_REACH_MAX: f64 = real("workspace.reach_max", 0.0, 0.0..=100.0).unit("m").always();
}

crate::parameters! {
    /// Speed, acceleration, jumps of the target, and the following error.
    pub static LIMITS;

    /// Maximum speed at which commands move the arm. The default is the reduced speed of manual
    /// operation in ISO 10218.
    LIMITS_SPEED: f64 = real("limits.speed", 0.25, 0.001..=10.0).unit("m/s").always();
    /// Maximum speed at which commands move the arm during the approach to a target, after arming
    /// or after a hold.
    LIMITS_APPROACH_SPEED: f64 = real("limits.approach_speed", 0.1, 0.001..=10.0).unit("m/s").always();
    /// Maximum acceleration of the commands. Commands stop at the target without overshoot.
    /// Therefore the arm follows a moving hand with a delay of at least speed / (2 * acceleration).
    LIMITS_ACCELERATION: f64 = real("limits.acceleration", 5.0, 0.01..=1000.0).unit("m/s^2").always();
    /// Longest step from one command to the next, whatever the time between them. The arm is
    /// therefore slower if commands are rare. 0: the distance that limits.speed covers in 0.1 s.
    LIMITS_STEP: f64 = real("limits.step", 0.0, 0.0..=100.0).unit("m").always();
    /// Maximum rotation speed at which commands turn the tool, if they contain an orientation.
    LIMITS_ANGULAR_SPEED: f64 = real("limits.angular_speed", 0.5, 0.001..=100.0).unit("rad/s").always();
    /// If two targets in a row are farther apart than this, the second one is a jump, for example
    /// because the tracker confuses two hands. The bridge rejects it and motion holds. 0: no jump
    /// detection.
    LIMITS_MAX_JUMP: f64 = real("limits.max_jump", 0.15, 0.0..=100.0).unit("m").always();
    /// After a jump the target must stay at its new position for this long. Then the bridge accepts
    /// it and approaches it.
    LIMITS_JUMP_CONFIRM_TIME: Duration = seconds("limits.jump_confirm_time", 0.3, 0.0..=10.0).always();
    /// Following error: maximum distance between the commands and the positions that the controller
    /// reports. If it is exceeded for limits.following_error_time, motion holds. 0: no check.
    LIMITS_FOLLOWING_ERROR: f64 = real("limits.following_error", 0.15, 0.0..=100.0).unit("m").always();
    /// How long the distance may exceed limits.following_error before motion holds.
    LIMITS_FOLLOWING_ERROR_TIME: Duration = seconds("limits.following_error_time", 1.0, 0.0..=60.0).always();
}
