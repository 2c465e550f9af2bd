//! Parameters of motion: arming, the arm itself, workspace and limits.

use std::time::Duration;

use crate::geometry::Position;
use crate::params::{boolean, boxes, integer, one_of, position, real, reals, seconds, text};
use crate::teleop::{Arming, AssumedPosition, HoldBehavior, Policy};

crate::parameters! {
    /// Arming, the rate of commands, and the behavior during a hold.
    pub static TELEOP;

    /// Who arms the bridge. automatic: the bridge arms itself once, after its start. After a lost
    /// link it stays armed and approaches the target again. operator: an operator must call
    /// ~/set_armed after the start and after every lost link.
    TELEOP_ARMING: Arming = one_of("teleop.arming", &[
        ("automatic", Arming::Automatic),
        ("operator", Arming::Operator),
    ]).while_disarmed();
    /// How long good targets must arrive without a gap before motion begins. This applies after
    /// arming, and after the hand was lost for more than one second.
    TELEOP_SETTLE_TIME: Duration = seconds("teleop.settle_time", 1.0, 0.0..=60.0).always();
    /// If no good target arrives for this long, the bridge disarms. An operator must then arm it
    /// again. 0: never.
    TELEOP_REARM_AFTER: Duration = seconds("teleop.rearm_after", 300.0, 0.0..=86400.0).always();
    /// Maximum rate of commands. It is also the rate during a ramp (a motion with several commands
    /// to one target). 0: one command for each target, without waiting, and 50 Hz during a ramp.
    TELEOP_COMMAND_RATE: f64 = real("teleop.command_rate", 50.0, 0.0..=1000.0).unit("Hz").always();
    /// After this many error replies in a row, motion holds for teleop.settle_time, and for at
    /// least 0.5 s. Then the bridge sends a command again.
    TELEOP_MAX_CONSECUTIVE_ERRORS: u32 = integer("teleop.max_consecutive_errors", 5, 1..=1000).always();
    /// What the bridge sends when motion holds, stops or ends. silent: nothing. repeat: the last
    /// command, if the controller has accepted it; the bridge repeats it at teleop.command_rate in
    /// the states HOLDING and STOPPED. stop: one line {"type":"stop"}, for a controller that knows
    /// this line.
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
    /// arm there. If the position of the arm is unknown, the bridge can assume that the arm is at
    /// home: by arm.assume_position, or after two calls of ~/set_armed.
    ARM_HOME: Position = position("arm.home", [0.2, 0.0, 0.2], -100.0..=100.0).always();
    /// Tool orientation at home, if commands contain an orientation: roll, pitch and yaw in the
    /// arm's base frame.
    ARM_HOME_RPY: [f64; 3] = reals("arm.home_rpy", [0.0; 3], -7.0..=7.0).unit("rad").always();
    /// Assumed position of the arm if its controller does not report one. none: the position is
    /// unknown. An operator must call ~/set_armed twice, and the arm then moves to arm.home at the
    /// controller's own speed. home: you have moved the arm to
    /// arm.home before the bridge starts. last: the arm is at the last accepted command, also after
    /// a lost connection or a disarm.
    ARM_ASSUME_POSITION: AssumedPosition = one_of("arm.assume_position", &[
        ("none", AssumedPosition::None),
        ("home", AssumedPosition::Home),
        ("last", AssumedPosition::Last),
    ]).while_disarmed();
    /// For a controller that does not report a position: how long the last accepted command counts
    /// as the position of the arm, if the connection stays open. After that the position is
    /// unknown.
    ARM_POSITION_TIMEOUT: Duration = seconds("arm.position_timeout", 300.0, 0.1..=86400.0).always();
    /// Tolerance for the distance between the reported position and the last command. Within this
    /// distance, the arm counts as arrived, and the next motion starts at the last command. So an
    /// arm that sags does not sink further with each motion. Beyond this distance, something else
    /// has moved the arm.
    ARM_POSITION_TOLERANCE: f64 = real("arm.position_tolerance", 0.01, 0.001..=1.0).unit("m").always();
    /// true: if a signal ends the bridge while it is armed, the bridge first moves the arm to
    /// arm.home, like ~/go_home. A second signal ends the bridge immediately. ros2 launch waits
    /// only 5 s. If the way home takes longer, use ros2 launch with sigterm_timeout:=30.
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
    /// How far outside the workspace (box and reach) a target may be. A target farther outside
    /// probably has another unit or frame. The bridge rejects it and motion holds, even if
    /// workspace.policy is clamp.
    WORKSPACE_TOLERANCE: f64 = real("workspace.tolerance", 0.5, 0.0..=1000.0).unit("m").always();
    /// Boxes that commands must not enter. The arm moves around them. Six numbers for each box: x,
    /// y, z of the lower corner, then x, y, z of the upper corner, in the arm's base frame. [0.0]:
    /// no boxes.
    WORKSPACE_KEEP_OUT: Vec<[f64; 6]> = boxes("workspace.keep_out", -100.0..=100.0).unit("m").always();
    /// Minimum distance of commands from the origin of arm.base_frame. It makes a sphere that the
    /// arm cannot reach because it cannot fold into itself. The arm moves around this sphere. 0: no
    /// minimum.
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
    /// Longest distance from one command to the next, also if much time is between them. Therefore
    /// the arm is slower if commands are rare. 0: the distance that limits.speed covers in 0.1 s.
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
    /// Maximum following error: the distance between the commanded and the reported position. If
    /// the distance is larger for limits.following_error_time, motion holds. 0: no check.
    LIMITS_FOLLOWING_ERROR: f64 = real("limits.following_error", 0.15, 0.0..=100.0).unit("m").always();
    /// How long the distance may exceed limits.following_error before motion holds.
    LIMITS_FOLLOWING_ERROR_TIME: Duration = seconds("limits.following_error_time", 1.0, 0.0..=60.0).always();
}
