//! What the protocol says, and how to mend what does not keep to it: the words for everything that can be wrong.

use aether_bridge::wire::advice::Advice;
pub(super) use aether_bridge::wire::advice::{
    BARE_TEXT, BLANK, ECHO, GREETING, LENGTH, MESSAGE, NEWLINE, NUL, OBJECT, ONE_LINE, ONE_REPLY, ORDER,
    SEQ_OF_DATAGRAMS, STATUS, STAYS, TWICE, UTF8,
};

pub(super) const RECONNECT: Advice = Advice {
    rule: "the bridge connects again after every loss, and the controller takes the new connection",
    remedy: "go back to accept() when a connection has ended, for whatever reason",
};

pub(super) const LEFT_OVER: Advice = Advice {
    rule: "a connection starts fresh: nothing from the one before is said on it",
    remedy: "keep buffers and pending replies with the connection, and drop them with it",
};

pub(super) const FEWER_LINES: Advice = Advice {
    rule: "link.banner_lines is exactly the number of lines said on connecting: so many replies are passed over",
    remedy: "give --greeting, and the bridge's link.banner_lines, the number that comes; each line ends with a newline",
};

pub(super) const IN_TIME: Advice = Advice {
    rule: "without a reply for link.reply_timeout (0.5 s) motion holds; for link.timeout (3 s) the bridge connects again",
    remedy: "answer when the command is taken, not when the motion is done; or raise the bridge's link.reply_timeout",
};

pub(super) const SEQ: Advice = Advice {
    rule: "a reply that has \"seq\" has that of the line it answers",
    remedy: "copy it from the line: reply[\"seq\"] = line[\"seq\"]",
};

pub(super) const NO_REPLY: Advice = Advice {
    rule: "every line is answered by one reply",
    remedy: "answer each line (does it serve another client? end that first); if the controller is never to answer, run the \
             bridge with link.expect_reply: false",
};

pub(super) const REFUSED: Advice = Advice {
    rule: "a command that can be obeyed is answered with ok",
    remedy: "see what the reply says; if the arm may not go there, give another --at",
};

pub(super) const FRAMING: Advice = Advice {
    rule: "TCP is a stream: a line may come in pieces, or several lines in one piece; each line has one reply",
    remedy: "read up to each newline and keep the rest: in Python, for line in connection.makefile(): …",
};

pub(super) const UNKNOWN_TYPE: Advice = Advice {
    rule: "a line whose type is not known is refused with an error, and moves nothing",
    remedy: "look at \"type\" first; anything but \"command\" (\"stop\", \"heartbeat\", if you know them) is an error",
};

pub(super) const BAD_LINE: Advice = Advice {
    rule: "a line that cannot be obeyed is answered with an error, and the connection goes on",
    remedy: "catch the parser's error and answer {\"status\":\"error\",\"message\":\"…\"}",
};

pub(super) const HEARTBEAT: Advice = Advice {
    rule: "a controller that knows heartbeats answers {\"type\":\"heartbeat\"} with ok, and moves nothing",
    remedy: "add the type; or leave out --heartbeat, and link.heartbeat.period at 0.0",
};

pub(super) const STOP: Advice = Advice {
    rule: "a controller that knows stops halts the arm at {\"type\":\"stop\"}, keeps the gripper, and answers with ok",
    remedy: "add the type; or leave out --stop, and teleop.hold_behavior at silent",
};

pub(super) const AFTER_STOP: Advice = Advice {
    rule: "a stop holds until the next command, which is obeyed like any other",
    remedy: "do not latch the stop; the bridge does that",
};

pub(super) const FRESH: Advice = Advice {
    rule: "a new connection starts fresh: what came of a broken line on the one before is forgotten",
    remedy: "keep the buffer of what was read with the connection, and drop it with it",
};

pub(super) const NO_STATE: Advice = Advice {
    rule: "\"position\" in a reply says where the tool centre point is, in the wire's unit",
    remedy: "add \"position\":{\"x\":…,\"y\":…,\"z\":…} to replies; or leave out --state",
};

pub(super) const UNIT: Advice = Advice {
    rule: "\"position\" is in the unit of the commands, wire.position_unit",
    remedy: "convert it; or, if it is the commands that are read wrongly, set wire.position_unit (here --unit)",
};

pub(super) const NUMBERS: Advice = Advice {
    rule: "numbers are finite; JSON has no NaN and no Infinity",
    remedy: "leave out the member when its value is not known (in Python: json.dumps(reply, allow_nan=False) finds it)",
};

pub(super) const SENDER: Advice = Advice {
    rule: "each datagram is answered to the address and port that it came from",
    remedy: "reply to the sender that recvfrom() tells of, every time anew",
};

pub(super) const NO_PLACE: Advice = Advice {
    rule: "\"position\" in a reply says where the tool centre point is, as far as the controller knows it",
    remedy: "leave \"position\" out until it is known, or send null: zeros look like a place",
};

pub(super) const FAULT: Advice = Advice {
    rule: "an arm whose controller reports a fault is not moved until a person has looked",
    remedy: "clear the fault at the controller and check again; \"fault\" is null, or left out, where there is none",
};

pub(super) const MOVES_ALREADY: Advice = Advice {
    rule: "one master moves an arm: what somebody else moves is not commanded",
    remedy: "end the other program, or wait for the arm; \"moving\" is false when the arm rests",
};

pub(super) const MOVED_BY_ITSELF: Advice = Advice {
    rule: "no command means: finish the last command, and stay; also when the connection is lost",
    remedy: "do not home or park the arm when a client goes; or reckon with it, and stand clear of the way",
};

pub(super) const LAGS: Advice = Advice {
    rule: "commands are small steps, and the arm is where they lead",
    remedy: "see whether the arm is stopped, slow or blocked, and whether \"position\" is in the frame of commands",
};

pub(super) const LEAPS: Advice = Advice {
    rule: "a command is where the tool centre point is to be, in wire.position_unit and the arm's base frame, as \"position\"",
    remedy: "see in which unit and along which axes the controller reads x, y and z, and set wire.position_unit, \
             retarget.rotation_rpy and retarget.scale; or mend its place, if it said or you said a wrong one",
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
    remedy: "mend the controller, so that both have the same axes; retarget.scale and retarget.rotation_rpy turn only commands",
};

pub(super) const NO_MOTION: Advice = Advice {
    rule: "a command that is answered with ok moves the arm there",
    remedy: "see whether the drives are on, whether the axis is at its end, and whether the unit is larger than the \
             controller's (wire.position_unit); refuse what cannot be obeyed",
};

pub(super) const ASTRAY: Advice = Advice {
    rule: "the arm goes where a command says, in the arm's base frame",
    remedy: "if the frame of the controller is turned, set retarget.rotation_rpy; if it counts joints, it needs a place",
};

pub(super) const QUEUE: Advice = Advice {
    rule: "a command replaces the one before it, reached or not: there is no queue",
    remedy: "go to the newest target at once; if the controller cannot, let it answer when the motion is done, and leave \
             link.max_in_flight at 1",
};
