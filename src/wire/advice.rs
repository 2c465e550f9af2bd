//! What the protocol says of a fault, and how to mend it, in words that `arm_check` and the link's errors share.

#![allow(missing_docs)] // each constant is named after its fault, and its text says the rest

/// What to do about a fault of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What the protocol says.
    pub rule: &'static str,
    /// How to mend it.
    pub remedy: &'static str,
}

impl Advice {
    const fn new(rule: &'static str, remedy: &'static str) -> Self {
        Self { rule, remedy }
    }
}

pub const GREETING: Advice = Advice::new(
    "a controller speaks only when asked; an unsolicited line ends the connection",
    "say nothing on connecting; or set link.banner_lines (--greeting of arm_check) to the number of lines",
);
pub const STAYS: Advice = Advice::new(
    "one connection carries all commands; it stays open until the bridge closes it",
    "read in a loop until recv() returns nothing, and close only then",
);
pub const ONE_REPLY: Advice = Advice::new(
    "each line is answered by exactly one reply; one more ends the connection",
    "answer when the line is taken, and not again when the motion is done",
);
pub const ECHO: Advice = Advice::new(
    "what comes back is the reply, and nothing else",
    "do not send back what was received; on a serial line behind a converter, switch its echo off",
);
pub const ORDER: Advice = Advice::new(
    "replies come in the order of the lines",
    "handle the lines of a connection one after another, in one thread",
);
pub const NEWLINE: Advice = Advice::new(
    r#"every reply ends with a newline, "\n""#,
    r#"add "\n" to what you send: sock.sendall((json.dumps(reply) + "\n").encode())"#,
);
pub const LENGTH: Advice = Advice::new(
    "a line has at most 4096 bytes; a longer one ends the connection",
    "shorten the message, or leave out members that the bridge does not read",
);
pub const BLANK: Advice = Advice::new(
    "each line is answered by exactly one line, a JSON object; a blank line ends the connection",
    r#"send one "\n" after a reply, not two (a println or puts adds one of its own)"#,
);
pub const UTF8: Advice = Advice::new(
    "lines are UTF-8; other bytes end the connection",
    "encode the text as UTF-8 before it is sent, or keep to ASCII",
);
pub const ONE_LINE: Advice = Advice::new(
    "a reply is one line, with no newline inside",
    "write the JSON without indentation: json.dumps(reply), with no indent=",
);
pub const BARE_TEXT: Advice = Advice::new(
    r#"a reply is a JSON object: {"status":"ok","message":"…"} or {"status":"error","message":"…"}"#,
    "send such an object; or, if the controller is to stay as it is, run the bridge with wire.format: text",
);
pub const OBJECT: Advice = Advice::new(
    r#"a reply is one JSON object: {"status":"ok","message":"…"}"#,
    "write replies with a JSON library: names and text in double quotes, no comma at the end",
);
pub const TWICE: Advice = Advice::new(
    "a member is there once; one of the protocol's given twice ends the connection",
    "leave out one of the two",
);
pub const STATUS: Advice = Advice::new(
    r#"every reply has "status", exactly "ok" or exactly "error""#,
    r#"{"status":"ok","message":"…"} when the line is obeyed, {"status":"error","message":"why"} when not"#,
);
pub const MESSAGE: Advice = Advice::new(
    r#""message" is a string"#,
    r#"put it in double quotes, as in "message":"7", or leave it out"#,
);
pub const SEQ_OF_DATAGRAMS: Advice = Advice::new(
    "over UDP every reply has the \"seq\" of the line that it answers; nothing else tells what it answers",
    "copy it from the line: reply[\"seq\"] = line[\"seq\"]; or run the bridge with link.expect_reply: false",
);
pub const NUL: Advice = Advice::new(
    "a reply is text and has no NUL (byte 0); a newline, and nothing else, ends it",
    "send no NUL: in C send strlen(reply) bytes, and not sizeof",
);
pub const UTF16: Advice = Advice::new(
    "lines are UTF-8; UTF-16 has a NUL (byte 0) beside each letter",
    "send UTF-8, or ASCII: this looks like UTF-16",
);
pub const TELNET: Advice = Advice::new(
    "a connection carries the lines of the protocol, as they are",
    "switch the telnet protocol off, whose commands begin with byte 0xff; in ser2net choose raw, and not telnet",
);
pub const UNASKED_STATE: Advice = Advice::new(
    "a line that no line of the bridge asked for ends the connection, unless wire.accept_state is true",
    "send state in replies only; or set wire.accept_state to true",
);
pub const WORDS: Advice = Advice::new(
    "with wire.format: text a reply begins with OK or ERROR",
    "begin each reply with OK or ERROR; or set wire.accept_state to true, if this is no reply",
);
pub const JSON_AFTER_ALL: Advice = Advice::new(
    "with wire.format: text a reply begins with OK or ERROR, and is no JSON",
    "set wire.format to json, if the controller speaks JSON",
);
