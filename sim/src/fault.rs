//! The faults that a controller simulates on demand, and their notation. Pure.

use std::{fmt, str::FromStr, time::Duration};

/// A fault of a controller. "Executes" means that the controller carries out the command.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Executes the command immediately, but replies this much later.
    Delay(Duration),
    /// Reads and executes commands, but sends no reply.
    Silence,
    /// Stops reading and replying but keeps the socket open, until the faults are changed. Then it
    /// continues to read.
    HalfOpen,
    /// Executes the command, sends half a reply and resets the connection (RST).
    ResetMidLine,
    /// Executes the command, sends half a reply and closes the connection (FIN).
    CloseMidLine,
    /// Sends the reply byte by byte, 1 ms apart.
    Split,
    /// Holds replies back until it has this many, and sends them in one segment.
    Merge(usize),
    /// Replies twice to every command.
    Twice,
    /// Refuses the command with this message and does not execute it.
    Error(String),
    /// Executes the command and replies with this line, whatever its content.
    Line(String),
    /// Executes the command and replies with a line that is not UTF-8.
    Binary,
    /// Executes the command and replies with a megabyte without a newline.
    Flood,
    /// Executes the command and sends one byte every 50 ms without a newline, until the faults are
    /// changed.
    Drip,
    /// Resets every connection and stops listening; the arm stops.
    Crash,
    /// Crashes, and listens again on the same port after this time.
    Restart(Duration),
}

/// A fault and the commands that it affects. Every line that needs a reply counts as a command,
/// also a stop.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSpec {
    /// The fault.
    pub fault: Fault,
    /// `@N`: the number of commands before the fault begins.
    pub after: Option<u64>,
    /// `xM`: the number of affected commands. `None`: all further commands (for a crash or a
    /// restart: one).
    pub times: Option<u64>,
}

/// The faults and their notation, for `--help` and the console.
pub const FAULTS_HELP: &str =
    "  delay:SECONDS     executes the command immediately, but replies this much later
  silence           reads and executes commands, but sends no reply
  half-open         stops reading and replying, but keeps the socket open
  reset-mid-line    sends half a reply, then resets the connection (RST)
  close-mid-line    sends half a reply, then closes the connection (FIN)
  split             sends the reply byte by byte, 1 ms apart
  merge[:COUNT]     sends COUNT (2) replies in one segment; needs a client that sends ahead
  twice             replies twice to every command
  error:MESSAGE     refuses the command with MESSAGE
  say:TEXT          replies with the line TEXT, whatever its content
  binary            replies with a line that is not UTF-8
  flood             replies with a megabyte without a newline
  drip              sends one byte every 50 ms, without a newline
  crash             resets every connection and stops listening
  restart[:SECONDS] crashes, and listens again on the same port after this time (1)
  FAULT@N           begins after N commands; a stop counts too
  FAULTxM           affects M commands; FAULT@NxM does both. After error: and say:, xM works
                    only together with @N
                    Without @N and xM, half-open, crash and restart happen immediately. The other
                    faults begin with the next command.";

/// An error in the notation of a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// An unknown word.
    #[error(
        "{0:?} is not a fault; the faults are delay:SECONDS, silence, half-open, reset-mid-line, \
             close-mid-line, split, merge[:COUNT], twice, error:MESSAGE, say:TEXT, binary, flood, drip, crash, \
             restart[:SECONDS]"
    )]
    Unknown(String),
    /// An invalid time.
    #[error("{word} takes seconds from 0 to 3600, as in {word}:0.5, not {value:?}")]
    Seconds {
        /// The fault.
        word: &'static str,
        /// The text of the time.
        value: String,
    },
    /// An invalid count.
    #[error("{what} takes a whole number from {least} on, not {value:?}")]
    Count {
        /// What is counted.
        what: &'static str,
        /// The smallest count.
        least: u64,
        /// The text of the count.
        value: String,
    },
    /// A text after a word that takes no text, or no text after a word that needs one.
    #[error("{0}")]
    Argument(String),
}

impl From<Fault> for FaultSpec {
    /// Returns the fault without a trigger: it affects every command from now on.
    fn from(fault: Fault) -> Self {
        Self { fault, after: None, times: None }
    }
}

impl FaultSpec {
    /// Returns whether the fault happens by itself, without a command that triggers it.
    pub(super) fn is_immediate(&self) -> bool {
        let of_its_own = matches!(self.fault, Fault::HalfOpen | Fault::Crash | Fault::Restart(_));
        of_its_own && self.after.is_none() && self.times.is_none()
    }
}

impl FromStr for FaultSpec {
    type Err = FaultError;

    /// Reads a fault in the notation of [`FAULTS_HELP`].
    ///
    /// # Errors
    /// If a word is unknown, or a time or a count is out of range.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let text = text.trim();
        let (body, after, times) = split_trigger(text)?;
        let (word, argument) = match body.split_once(':') {
            Some((word, argument)) => (word.trim(), Some(argument.trim())),
            None => (body.trim(), None),
        };
        let fault = match (word, argument) {
            ("delay", seconds) => Fault::Delay(parse_seconds("delay", seconds.unwrap_or_default())?),
            ("restart", seconds) => Fault::Restart(parse_seconds("restart", seconds.unwrap_or("1"))?),
            ("merge", count) => {
                let count = count.unwrap_or("2");
                let error = || FaultError::Count { what: "merge", least: 2, value: count.to_owned() };
                Fault::Merge(count.parse().ok().filter(|&count| count >= 2).ok_or_else(error)?)
            }
            ("error", Some(message)) if !message.is_empty() => Fault::Error(message.to_owned()),
            ("say", Some(line)) => Fault::Line(line.to_owned()),
            ("error" | "say", _) => {
                let example = if word == "error" { "error:joint limit" } else { "say:{}" };
                return Err(FaultError::Argument(format!("{word} takes a text, as in {example}")));
            }
            _ => {
                let fault = PLAIN
                    .iter()
                    .find_map(|(name, fault)| (*name == word).then(|| fault.clone()))
                    .ok_or_else(|| FaultError::Unknown(text.to_owned()))?;
                match argument {
                    None => fault,
                    Some(_) => {
                        return Err(FaultError::Argument(format!(
                            "{word} takes no text after it, but has {body:?}"
                        )));
                    }
                }
            }
        };
        Ok(Self { fault, after, times })
    }
}

/// The faults that consist of one word.
const PLAIN: [(&str, Fault); 10] = [
    ("silence", Fault::Silence),
    ("half-open", Fault::HalfOpen),
    ("reset-mid-line", Fault::ResetMidLine),
    ("close-mid-line", Fault::CloseMidLine),
    ("split", Fault::Split),
    ("twice", Fault::Twice),
    ("binary", Fault::Binary),
    ("flood", Fault::Flood),
    ("drip", Fault::Drip),
    ("crash", Fault::Crash),
];

/// Splits `FAULT@NxM` into its parts.
fn split_trigger(text: &str) -> Result<(&str, Option<u64>, Option<u64>), FaultError> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_free_text = text.starts_with("error:") || text.starts_with("say:");
    let (body, after, times) = match text.rsplit_once('@') {
        Some((body, trigger)) => match trigger.split_once('x') {
            Some((after, times)) => (body, Some(after.trim()), Some(times.trim())),
            None => (body, Some(trigger.trim()), None),
        },
        None if is_free_text => (text, None, None),
        None => match text.rsplit_once('x').map(|(body, times)| (body, times.trim())) {
            Some((body, times)) if is_number(times) => (body, None, Some(times)),
            _ => (text, None, None),
        },
    };
    if is_free_text && !(after.is_none_or(is_number) && times.is_none_or(is_number)) {
        return Ok((text, None, None)); // the @ belongs to the text
    }
    let count = |what, least, value: Option<&str>| {
        let parse = |value: &str| {
            let number = value.parse().ok().filter(|&number: &u64| number >= least);
            number.ok_or_else(|| FaultError::Count { what, least, value: value.to_owned() })
        };
        value.map(parse).transpose()
    };
    Ok((body, count("@", 0, after)?, count("x", 1, times)?))
}

fn parse_seconds(word: &'static str, value: &str) -> Result<Duration, FaultError> {
    let seconds = value.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| FaultError::Seconds { word, value: value.to_owned() })
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(formatter, "delay:{}", time.as_secs_f64()),
            Self::Merge(count) => write!(formatter, "merge:{count}"),
            Self::Error(message) => write!(formatter, "error:{message}"),
            Self::Line(line) => write!(formatter, "say:{line}"),
            Self::Restart(time) => write!(formatter, "restart:{}", time.as_secs_f64()),
            plain => {
                let name = PLAIN.iter().find_map(|(name, fault)| (fault == plain).then_some(*name));
                formatter.write_str(name.unwrap_or("?"))
            }
        }
    }
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(formatter)?;
        let free_text = matches!(self.fault, Fault::Error(_) | Fault::Line(_));
        match (self.after, self.times) {
            (Some(after), _) => write!(formatter, "@{after}")?,
            (None, Some(_)) if free_text => formatter.write_str("@0")?,
            _ => {}
        }
        self.times.map_or(Ok(()), |times| write!(formatter, "x{times}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fault, FaultSpec};

    fn spec(text: &str) -> FaultSpec {
        text.parse().unwrap()
    }

    #[test]
    fn display_and_parsing_agree() {
        for text in [
            "delay:0.2",
            "silence",
            "half-open@3",
            "reset-mid-line@3x1",
            "close-mid-linex2",
            "split",
            "merge:3",
            "twice@1",
            "error:joint limit",
            "error:max2",
            "error:a@b",
            "error:joint limit@0x2",
            "say:{\"status\":1}",
            "binary",
            "flood@1x1",
            "drip",
            "crash@100",
            "restart:1.5@10",
        ] {
            assert_eq!(spec(text).to_string(), text);
        }
        assert_eq!(spec(" split @2 x3 "), FaultSpec { fault: Fault::Split, after: Some(2), times: Some(3) });
        assert_eq!(spec("merge"), Fault::Merge(2).into());
        assert_eq!(spec("restart"), Fault::Restart(Duration::from_secs(1)).into());
        assert_eq!(spec("error:max2"), Fault::Error("max2".to_owned()).into());
    }

    #[test]
    fn invalid_fault_is_named_with_alternatives() {
        let error = |text: &str| text.parse::<FaultSpec>().unwrap_err().to_string();
        assert!(
            error("explode")
                .starts_with(r#""explode" is not a fault; the faults are delay:SECONDS, silence"#)
        );
        assert!(error("").starts_with(r#""" is not a fault"#));
        for text in ["delay", "delay:", "delay:x", "delay:-1", "delay:NaN", "delay:inf", "delay:1e9"] {
            assert!(error(text).starts_with("delay takes seconds from 0 to 3600, as in delay:0.5"), "{text}");
        }
        assert_eq!(error("split@"), r#"@ takes a whole number from 0 on, not """#);
        assert_eq!(error("split@-1"), r#"@ takes a whole number from 0 on, not "-1""#);
        assert_eq!(error("split@1x0"), r#"x takes a whole number from 1 on, not "0""#);
        assert_eq!(error("merge:1"), r#"merge takes a whole number from 2 on, not "1""#);
        assert_eq!(error("error"), "error takes a text, as in error:joint limit");
        assert_eq!(error("silence:1"), r#"silence takes no text after it, but has "silence:1""#);
    }
}
