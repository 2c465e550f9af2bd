//! Checks a recording of lines and replies with the monitor. A recording has one JSON object per
//! line, the earliest event first.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde::Deserialize;
use tokio_util::codec::Decoder;

use super::monitor::{ConformanceMonitor, Rules, Violation};
use aether_bridge::wire::PositionUnit;

use crate::controller::CommandDecoder;

/// An event at a controller.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    /// The time in seconds, on a clock that never goes backwards.
    at: f64,
    /// The number of the client, higher than the numbers of earlier clients.
    connection: usize,
    event: Kind,
    /// The received line, or the text of the reply.
    #[serde(default)]
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Connected,
    Line,
    Reply,
    Quiet,
}

/// The reason why a recording cannot be checked.
#[derive(Debug, thiserror::Error)]
#[error("line {number}: {why}")]
pub struct ReplayError {
    number: usize,
    why: String,
}

/// Checks a recording against `rules`.
///
/// # Errors
/// If a line is not a valid event.
#[allow(clippy::disallowed_methods)] // a start time, to which the recorded times are added
pub fn check(recording: &str, rules: Rules, unit: PositionUnit) -> Result<Vec<Violation>, ReplayError> {
    let (start, mut monitor) = (Instant::now(), ConformanceMonitor::new(rules, unit));
    let mut found = Vec::new();
    for (number, line) in (1..).zip(recording.lines()) {
        let error = |why: String| ReplayError { number, why };
        let Recorded { at, connection, event, text } =
            serde_json::from_str(line).map_err(|why| error(why.to_string()))?;
        let time = Duration::try_from_secs_f64(at).map_err(|why| error(why.to_string()))?;
        let now = start.checked_add(time).ok_or_else(|| error(format!("{at} s is too late")))?;
        match event {
            Kind::Connected => monitor.handle_connected(connection),
            Kind::Quiet => monitor.handle_quiet(now, connection),
            Kind::Reply => monitor.handle_replied(now, connection, text.as_bytes(), u64::MAX),
            Kind::Line => {
                let mut bytes = BytesMut::from(format!("{text}\n").as_bytes());
                let line =
                    CommandDecoder::new(unit).decode(&mut bytes).map_err(|why| error(why.to_string()))?;
                found.extend(line.iter().flat_map(|line| monitor.handle_line(now, connection, line)));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::monitor::{Rule, Rules};
    use aether_bridge::wire::PositionUnit;

    const RECORDING: &str = r#"{"at":0.5,"connection":1,"event":"connected"}
{"at":0.5,"connection":1,"event":"quiet"}
{"at":0.51,"connection":1,"event":"line","text":"{\"type\":\"command\",\"x\":202.0,\"y\":0.0,\"z\":200.0,\"gripper\":\"open\"}"}
{"at":0.511,"connection":1,"event":"reply","text":"{\"status\":\"ok\"}\n"}
{"at":0.53,"connection":1,"event":"line","text":"{\"type\":\"command\",\"x\":204.0,\"y\":0.0,\"z\":200.0,\"gripper\":\"open\"}"}
"#;

    #[test]
    fn recording_is_checked_like_live_lines() {
        let rules = |recording: &str| -> Vec<Rule> {
            let found = check(recording, Rules::default(), PositionUnit::Millimetres).unwrap();
            found.iter().map(|violation| violation.rule).collect()
        };
        assert_eq!(rules(RECORDING), []);
        assert_eq!(rules(&RECORDING.replace("204.0", "250.0")), [Rule::Speed]);
        assert_eq!(rules(&RECORDING.replace(r#""event":"reply""#, r#""event":"quiet""#)), [Rule::Pace]);
    }

    #[test]
    fn invalid_recording_line_is_named() {
        for (recording, words) in [
            ("{}", "line 1: missing field `at`"),
            ("{\"at\":0,\"connection\":1,\"event\":\"shout\"}", "unknown variant `shout`"),
            ("{\"at\":-1,\"connection\":1,\"event\":\"quiet\"}", "negative"),
        ] {
            let error =
                check(recording, Rules::default(), PositionUnit::Millimetres).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
