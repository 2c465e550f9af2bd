//! The rule of the protocol for each fault of a controller, and how to fix the fault. `arm_check`
//! and the link's errors share these texts.

#![allow(missing_docs)] // each constant is named after its fault, and its text is its documentation

/// What to do about a fault of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// The rule of the protocol.
    pub rule: &'static str,
    /// How to fix the fault.
    pub remedy: &'static str,
}

impl Advice {
    const fn new(rule: &'static str, remedy: &'static str) -> Self {
        Self { rule, remedy }
    }
}

pub const GREETING: Advice = Advice::new(
    "a controller sends a line only as a reply; an unsolicited line ends the connection",
    "send nothing on connecting; or set link.banner_lines (--greeting of arm_check) to the number of lines",
);
pub const STAYS: Advice = Advice::new(
    "one connection carries all commands; it stays open until the bridge closes it",
    "read in a loop until recv() returns nothing, and close only then",
);
pub const ONE_REPLY: Advice = Advice::new(
    "each line gets exactly one reply; a second reply ends the connection",
    "reply when you accept the line, and not again when the motion is done",
);
pub const ECHO: Advice = Advice::new(
    "the controller sends back the reply, and nothing else",
    "do not send back the received line; on a serial line behind a converter, switch the converter's echo off",
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
    "each line gets exactly one reply line, a JSON object; a blank line ends the connection",
    r#"send one "\n" after a reply, not two (println and puts add one themselves)"#,
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
    "send such an object; or, if you cannot change the controller, run the bridge with wire.format: text",
);
pub const OBJECT: Advice = Advice::new(
    r#"a reply is one JSON object: {"status":"ok","message":"…"}"#,
    "write replies with a JSON library: names and text in double quotes, no comma at the end",
);
pub const TWICE: Advice = Advice::new(
    "each member appears once; a member of the protocol that appears twice ends the connection",
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
    "over UDP every reply has the \"seq\" of its line; only \"seq\" shows which line a reply belongs to",
    "copy it from the line: reply[\"seq\"] = line[\"seq\"]; or run the bridge with link.expect_reply: false",
);
pub const NUL: Advice = Advice::new(
    "a reply is text and has no NUL (byte 0); only a newline ends it",
    "do not send NUL: in C send strlen(reply) bytes, not sizeof(reply)",
);
pub const UTF16: Advice = Advice::new(
    "lines are UTF-8; UTF-16 has a NUL (byte 0) beside each letter",
    "send UTF-8, or ASCII: this looks like UTF-16",
);
pub const TELNET: Advice = Advice::new(
    "a connection carries only the lines of the protocol",
    "switch off the telnet protocol (its commands begin with byte 0xff); in ser2net choose raw, not telnet",
);
pub const UNASKED_STATE: Advice = Advice::new(
    "an unsolicited line ends the connection, unless wire.accept_state is true",
    "send state in replies only; or set wire.accept_state to true",
);
pub const WORDS: Advice = Advice::new(
    "with wire.format: text a reply begins with OK or ERROR",
    "begin each reply with OK or ERROR; or, if this line is not a reply, set wire.accept_state to true",
);
pub const JSON_AFTER_ALL: Advice = Advice::new(
    "with wire.format: text a reply begins with OK or ERROR, and is not JSON",
    "if the controller sends JSON, set wire.format to json",
);
