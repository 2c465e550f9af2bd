//! When the arm moves, where to, and how fast.

use std::time::Duration;

use crate::geometry::Position;
use crate::params::{boolean, integer, one_of, position, real, reals, seconds, text};
use crate::teleop::{Arming, AssumedPosition, HoldBehavior, Policy};

crate::parameters! {
    /// Who arms, and when the arm moves or is held.
    pub static TELEOP;

    /// Who arms. automatic: the bridge itself, once at start, and a loss is followed by an approach. operator:
    /// ~/set_armed, at start and after every loss of the link.
    TELEOP_ARMING: Arming = one_of("teleop.arming", &[
        ("automatic", Arming::Automatic),
        ("operator", Arming::Operator),
    ]).while_disarmed();
    /// How long the input must have been good without a gap before arming leads to motion.
    TELEOP_SETTLE_TIME: Duration = seconds("teleop.settle_time", 1.0, 0.0..=60.0).always();
    /// Most commands a second, and the rate of a ramp. 0: a command for every target at once, and 50 Hz within a ramp.
    TELEOP_COMMAND_RATE: f64 = real("teleop.command_rate", 50.0, 0.0..=1000.0).unit("Hz").always();
    /// Error replies in a row after which motion holds for teleop.settle_time, at least 0.5 s, before the next attempt.
    TELEOP_MAX_CONSECUTIVE_ERRORS: u32 = integer("teleop.max_consecutive_errors", 5, 1..=1000).always();
    /// What the controller gets when motion is held, stopped or ended. silent: nothing. repeat: the last command at
    /// teleop.command_rate while HOLDING or STOPPED, once accepted. stop: one line {"type":"stop"}, for a controller
    /// that knows it.
    TELEOP_HOLD_BEHAVIOR: HoldBehavior = one_of("teleop.hold_behavior", &[
        ("silent", HoldBehavior::Silent),
        ("repeat", HoldBehavior::Repeat),
        ("stop", HoldBehavior::Stop),
    ]).always();
}

crate::parameters! {
    /// The arm's frame, and where it is taken to be.
    pub static ARM;

    /// Name of the arm's base frame, the frame_id of what is published.
    ARM_BASE_FRAME: String = text("arm.base_frame", "arm_base").not_empty().while_disarmed();
    /// Where the arm is when a person says that it is at home (arm.assume_position, or two calls of ~/set_armed), and where
    /// ~/go_home leads. In the arm's base frame, inside the workspace.
    ARM_HOME: Position = position("arm.home", [0.2, 0.0, 0.2], -100.0..=100.0).always();
    /// How the tool is turned at home, if commands carry an orientation: roll, pitch and yaw in the arm's base frame.
    ARM_HOME_RPY: [f64; 3] = reals("arm.home_rpy", [0.0; 3], -7.0..=7.0).unit("rad").always();
    /// Where the arm is if its controller does not report it. none: unknown, and a person has to say so by two calls of
    /// ~/set_armed. home: at arm.home when the bridge is started, because you have put it there. last: where the last
    /// accepted command put it, though the connection was lost since or the bridge was disarmed.
    ARM_ASSUME_POSITION: AssumedPosition = one_of("arm.assume_position", &[
        ("none", AssumedPosition::None),
        ("home", AssumedPosition::Home),
        ("last", AssumedPosition::Last),
    ]).while_disarmed();
    /// How long an accepted command says where the arm is, on a connection that stands, if the controller does not report
    /// it. After that a person has to say where it is.
    ARM_POSITION_TIMEOUT: Duration = seconds("arm.position_timeout", 300.0, 0.1..=86400.0).always();
    /// How far from its last command the arm may be reported and still count as there. An arm that sags by less does not
    /// sink with each motion. An arm that is farther away was moved by others.
    ARM_POSITION_TOLERANCE: f64 = real("arm.position_tolerance", 0.01, 0.001..=1.0).unit("m").always();
    /// Whether the arm goes to arm.home, as by ~/go_home, when the bridge is asked to end while it is armed. A second signal
    /// ends the bridge at once. ros2 launch waits 5 s before that: give it sigterm_timeout:=30 for a longer way.
    ARM_PARK: bool = boolean("arm.park", false).always();
}

crate::parameters! {
    /// Where commands may lead.
    pub static WORKSPACE;

    /// Lower corner of the box that commands lie in, in the arm's base frame.
    WORKSPACE_MIN: Position = position("workspace.min", [-0.3, -0.3, 0.0], -100.0..=100.0).always();
    /// Upper corner of the box that commands lie in, in the arm's base frame.
    WORKSPACE_MAX: Position = position("workspace.max", [0.3, 0.3, 0.4], -100.0..=100.0).always();
    /// What happens to a target outside the box. clamp: taken to its nearest point. reject: refused, and motion holds.
    WORKSPACE_POLICY: Policy = one_of("workspace.policy", &[
        ("clamp", Policy::Clamp),
        ("reject", Policy::Reject),
    ]).always();
    /// Commands keep at least this far from the origin of arm.base_frame, and lead around it: an arm cannot fold into
    /// itself. 0: no such bound.
    WORKSPACE_REACH_MIN: f64 = real("workspace.reach_min", 0.0, 0.0..=100.0).unit("m").always();
    /// Commands keep within this distance from the origin of arm.base_frame. 0: no such bound.
    WORKSPACE_REACH_MAX: f64 = real("workspace.reach_max", 0.0, 0.0..=100.0).unit("m").always();
}

crate::parameters! {
    /// How fast commands move the arm, and how far a target may leap.
    pub static LIMITS;

    /// Fastest that commands move the arm. The default is the reduced speed of ISO 10218 manual operation.
    LIMITS_SPEED: f64 = real("limits.speed", 0.25, 0.001..=10.0).unit("m/s").always();
    /// Fastest that commands move the arm while it approaches a target after arming or a hold.
    LIMITS_APPROACH_SPEED: f64 = real("limits.approach_speed", 0.1, 0.001..=10.0).unit("m/s").always();
    /// How much the velocity of the commands may change. Commands come to rest at the target without overshoot, so the
    /// arm follows a moving hand speed / (2 acceleration) late at least.
    LIMITS_ACCELERATION: f64 = real("limits.acceleration", 5.0, 0.01..=1000.0).unit("m/s^2").always();
    /// Fastest that commands turn the tool, where the controller is told how it is to be turned.
    LIMITS_ANGULAR_SPEED: f64 = real("limits.angular_speed", 0.5, 0.001..=100.0).unit("rad/s").always();
    /// Two targets in a row farther apart than this are a leap, as when a tracker takes one hand for the other:
    /// refused, and motion holds. 0: never.
    LIMITS_MAX_JUMP: f64 = real("limits.max_jump", 0.15, 0.0..=100.0).unit("m").always();
    /// How long the target has to stay where it leapt to before it is believed and approached.
    LIMITS_JUMP_CONFIRM_TIME: Duration = seconds("limits.jump_confirm_time", 0.3, 0.0..=10.0).always();
    /// How far the arm may be behind its commands, by the positions that its controller reports. If it is farther behind
    /// for limits.following_error_time, motion holds. 0: never.
    LIMITS_FOLLOWING_ERROR: f64 = real("limits.following_error", 0.15, 0.0..=100.0).unit("m").always();
    /// How long the arm may be farther behind than limits.following_error.
    LIMITS_FOLLOWING_ERROR_TIME: Duration = seconds("limits.following_error_time", 1.0, 0.0..=60.0).always();
}
