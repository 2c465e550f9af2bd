//! The rules of the protocol and a fix for each way to break them. The texts are used by all
//! checks.

use aether_bridge::wire::advice::Advice;
pub(super) use aether_bridge::wire::advice::{
    BARE_TEXT, BLANK, ECHO, GREETING, LENGTH, MESSAGE, NEWLINE, NUL, OBJECT, ONE_LINE, ONE_REPLY, ORDER,
    SEQ_OF_DATAGRAMS, STATUS, STAYS, TWICE, UTF8,
};

pub(super) const RECONNECT: Advice = Advice {
    rule: "the bridge connects again after every loss, and the controller accepts the new connection",
    remedy: "call accept() again when a connection has ended, for whatever reason",
};

pub(super) const LEFT_OVER: Advice = Advice {
    rule: "a new connection starts fresh: it carries no reply from the previous connection",
    remedy: "keep buffers and pending replies with the connection, and drop them with it",
};

pub(super) const FEWER_LINES: Advice = Advice {
    rule: "link.banner_lines is exactly the number of lines that the controller sends on connecting; the bridge skips them",
    remedy: "set --greeting, and link.banner_lines of the bridge, to the number that comes; each line ends with a newline",
};

pub(super) const IN_TIME: Advice = Advice {
    rule: "without a reply for link.reply_timeout (0.5 s) motion holds; for link.timeout (3 s) the bridge connects again",
    remedy: "reply when the command is accepted, not when the motion is done; or raise link.reply_timeout of the bridge",
};

pub(super) const SEQ: Advice = Advice {
    rule: "a reply that has \"seq\" repeats the \"seq\" of its line",
    remedy: "copy it from the line: reply[\"seq\"] = line[\"seq\"]",
};

pub(super) const NO_REPLY: Advice = Advice {
    rule: "every line gets one reply",
    remedy: "reply to each line (does the controller serve another client? end that first); if the controller must never reply, \
                 run the bridge with link.expect_reply: false",
};

pub(super) const REFUSED: Advice = Advice {
    rule: "the reply to a command that can be executed is ok",
    remedy: "read the message of the reply; if the arm may not go there, give another --at",
};

pub(super) const FRAMING: Advice = Advice {
    rule: "TCP is a stream: a line may come in pieces, or several lines in one piece; each line gets one reply",
    remedy: "read up to each newline and keep the rest: in Python, for line in connection.makefile(): …",
};

pub(super) const UNKNOWN_TYPE: Advice = Advice {
    rule: "a line of an unknown type is refused with an error, and moves nothing",
    remedy: "check \"type\" first; any type except \"command\" (and \"stop\", \"heartbeat\" if you know them) is an error",
};

pub(super) const BAD_LINE: Advice = Advice {
    rule: "the reply to a line that cannot be executed is an error, and the connection stays open",
    remedy: "catch the error of the parser and reply {\"status\":\"error\",\"message\":\"…\"}",
};

pub(super) const HEARTBEAT: Advice = Advice {
    rule: "if a controller knows heartbeats, its reply to {\"type\":\"heartbeat\"} is ok, and nothing moves",
    remedy: "add the type; or leave out --heartbeat, and leave link.heartbeat.period at 0.0",
};

pub(super) const STOP: Advice = Advice {
    rule: "if a controller knows stops, {\"type\":\"stop\"} halts the arm, keeps the gripper, and the reply is ok",
    remedy: "add the type; or leave out --stop, and leave teleop.hold_behavior at silent",
};

pub(super) const AFTER_STOP: Advice = Advice {
    rule: "a stop holds until the next command, which is executed like any other",
    remedy: "do not latch the stop; the bridge does that",
};

pub(super) const FRESH: Advice = Advice {
    rule: "a new connection starts fresh: an incomplete line of the previous connection is forgotten",
    remedy: "keep the receive buffer with the connection, and drop it with the connection",
};

pub(super) const NO_STATE: Advice = Advice {
    rule: "\"position\" in a reply is the position of the tool centre point, in the wire's unit",
    remedy: "add \"position\":{\"x\":…,\"y\":…,\"z\":…} to replies; or leave out --state",
};

pub(super) const UNIT: Advice = Advice {
    rule: "\"position\" is in the unit of the commands, wire.position_unit",
    remedy: "convert it; or, if the controller reads commands in another unit, set wire.position_unit (here --unit)",
};

pub(super) const NUMBERS: Advice = Advice {
    rule: "numbers are finite; JSON has no NaN and no Infinity",
    remedy: "leave out a member whose value is unknown (in Python, json.dumps(reply, allow_nan=False) finds it)",
};

pub(super) const SENDER: Advice = Advice {
    rule: "the reply to a datagram goes to the address and port from which it came",
    remedy: "reply to the sender that recvfrom() returns, for each datagram",
};

pub(super) const NO_PLACE: Advice = Advice {
    rule: "\"position\" in a reply is the position of the tool centre point, as far as the controller knows it",
    remedy: "leave \"position\" out until it is known, or send null: zeros look like a position",
};

pub(super) const FAULT: Advice = Advice {
    rule: "an arm whose controller reports a fault is not moved until an operator has checked it",
    remedy: "clear the fault at the controller and check again; if there is no fault, \"fault\" is null or left out",
};

pub(super) const MOVES_ALREADY: Advice = Advice {
    rule: "only one program moves an arm: arm_check sends no commands while another program or a hand moves it",
    remedy: "end the other program, or wait for the arm; \"moving\" is false when the arm rests",
};

pub(super) const MOVED_BY_ITSELF: Advice = Advice {
    rule: "without a new command, the arm finishes the last command and stays there, also if the connection is lost",
    remedy: "do not home or park the arm when a client disconnects; or expect that motion, and stand clear",
};

pub(super) const LAGS: Advice = Advice {
    rule: "commands are small steps, and the arm follows them",
    remedy: "check whether the arm is stopped, slow or blocked, and whether \"position\" is in the frame of commands",
};

pub(super) const JUMPS: Advice = Advice {
    rule: "a command is the target of the tool centre point, in wire.position_unit and the arm's base frame, like \"position\"",
    remedy: "check in which unit and along which axes the controller reads x, y and z, and set wire.position_unit, \
                 retarget.rotation_rpy and retarget.scale; or correct the reported or entered position, if it was wrong",
};

pub(super) const UNIT_OF_COMMANDS: Advice = Advice {
    rule: "x, y and z of a command are in wire.position_unit",
    remedy: "set wire.position_unit (here --unit) to the unit that the controller reads, or convert in the controller",
};

pub(super) const AXES: Advice = Advice {
    rule: "x, y and z of a command are along the axes of the arm's base frame, which is right-handed",
    remedy: "set retarget.rotation_rpy and retarget.scale (a negative factor mirrors), or exchange the axes in the controller",
};

pub(super) const AXES_OF_REPORTS: Advice = Advice {
    rule: "\"position\" in a reply is along the same axes as x, y and z of a command",
    remedy: "correct the controller, so that both have the same axes; retarget.scale and \
             retarget.rotation_rpy affect only commands",
};

pub(super) const NO_MOTION: Advice = Advice {
    rule: "if the reply to a command is ok, the arm moves there",
    remedy: "check whether the drives are on, whether the axis is at its end, and whether wire.position_unit is larger than the \
                 controller's unit; refuse commands that cannot be executed",
};

pub(super) const ASTRAY: Advice = Advice {
    rule: "the arm goes to the position in the command, in the arm's base frame",
    remedy: "if the frame of the controller is rotated, set retarget.rotation_rpy; if it reads joint \
             angles, it must read positions",
};

pub(super) const QUEUE: Advice = Advice {
    rule: "a command replaces the previous one, reached or not: there is no queue",
    remedy: "go to the newest target immediately; if the controller cannot, let it reply when the motion is done, and leave \
                 link.max_in_flight at 1",
};
