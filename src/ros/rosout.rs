//! `tracing` events as ROS logs: on the console in ROS's format, on `/rosout`, and subject to `--log-level`.

use std::fmt::{Debug, Write};
use std::sync::OnceLock;

use r2r::LogSeverity;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::convert;

/// Sends this process's tracing events to ROS from now on. `RUST_LOG` sets what is looked at (like
/// `RUST_LOG=trace` for the wire's traffic), otherwise the `--log-level` among `arguments`.
pub fn install(arguments: impl Iterator<Item = String>) {
    let directive = level_argument(arguments).unwrap_or_else(|| "info".into());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directive));
    // A second installation, as tests may do, changes nothing.
    let _ = tracing_subscriber::registry().with(RosLayer.with_filter(filter)).try_init();
}

/// Names the logger, once the node has a name.
pub fn set_logger(name: &str) {
    let _ = LOGGER.set(name.to_owned());
}

static LOGGER: OnceLock<String> = OnceLock::new();
const DEFAULT_LOGGER: &str = "aether_bridge";

struct RosLayer;

impl<S: Subscriber> Layer<S> for RosLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let severity = match *metadata.level() {
            Level::ERROR => LogSeverity::Error,
            Level::WARN => LogSeverity::Warn,
            Level::INFO => LogSeverity::Info,
            Level::DEBUG | Level::TRACE => LogSeverity::Debug,
        };
        let logger = LOGGER.get().map_or(DEFAULT_LOGGER, String::as_str);
        let text = convert::text(&format!("{}{}", line.message, line.fields));
        r2r::log(&text, logger, metadata.file().unwrap_or(""), metadata.line().unwrap_or(0), severity);
    }
}

/// An event in words: its message, then its fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

/// The level in ROS's `--log-level LEVEL` or `--log-level NAME:=LEVEL`; the most talkative, if there are several.
fn level_argument(arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut arguments = arguments.skip_while(|argument| argument != "--ros-args");
    let mut levels = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--log-level" {
            let value = arguments.next()?.to_lowercase();
            levels.push(match value.rsplit(":=").next()? {
                "fatal" => Level::ERROR,
                level => level.parse().ok()?,
            });
        }
    }
    levels.into_iter().max().map(|level| level.to_string().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::level_argument;

    fn level(arguments: &[&str]) -> Option<String> {
        level_argument(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn the_log_level_is_found_among_the_ros_arguments_only() {
        assert_eq!(level(&["bridge", "--ros-args", "--log-level", "DEBUG"]).as_deref(), Some("debug"));
        assert_eq!(
            level(&["bridge", "--ros-args", "--log-level", "aether_bridge:=warn"]).as_deref(),
            Some("warn")
        );
        let several = ["bridge", "--ros-args", "--log-level", "warn", "--log-level", "rcl:=debug"];
        assert_eq!(level(&several).as_deref(), Some("debug"));
        assert_eq!(level(&["bridge", "--log-level", "debug"]), None);
        assert_eq!(level(&["bridge", "--ros-args", "--log-level", "loud"]), None);
    }
}
