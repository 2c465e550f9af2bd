//! What the protocol says, and how to mend what does not keep to it: the words for everything that can be wrong.

use aether_bridge::wire::advice::Advice;
pub(super) use aether_bridge::wire::advice::{
    BARE_TEXT, BLANK, ECHO, GREETING, LENGTH, MESSAGE, NEWLINE, NUL, OBJECT, ONE_LINE, ONE_REPLY, ORDER,
    SEQ_OF_DATAGRAMS, STATUS, STAYS, TWICE, UTF8,
};

pub(super) const RECONNECT: Advice = Advice {
    rule: "the bridge connects anew after every loss, and the controller takes the new connection",
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
    rule: "without a reply for link.reply_timeout (0.5 s) motion holds; for link.timeout (3 s) the bridge connects anew",
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
