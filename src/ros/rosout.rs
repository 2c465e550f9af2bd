//! Writes `tracing` events as ROS logs: on the console in ROS's format, and on `/rosout`.
//! `RUST_LOG` selects the events, or `--log-level` if `RUST_LOG` is not set.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use r2r::rcl_interfaces::msg::Log;
use r2r::{LogSeverity, Publisher, QosProfile};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::arguments::Arguments;
use super::clock::RosClock;
use super::{console, convert};

/// Sends the tracing events of this process to ROS from now on. `RUST_LOG` selects the events (for
/// example `RUST_LOG=trace` for the lines on the wire). If it is not set, the `--log-level` in
/// `arguments` selects them.
pub fn install(arguments: &Arguments) {
    let directive = log_level(arguments).unwrap_or_else(|| "info".into());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directive));
    // A second installation (in tests) has no effect.
    let _ = tracing_subscriber::registry().with(RosLayer.with_filter(filter)).try_init();
}

/// Publishes all later logs on `/rosout`, if rcl does not do so itself. Since ROS 2 Iron the client
/// library must publish them, and r2r does not.
///
/// # Errors
/// rcl fails.
pub fn publish_logs(node: &mut r2r::Node, arguments: &Arguments, clock: RosClock) -> r2r::Result<()> {
    if arguments.has(&["--disable-rosout-logs"]) {
        return Ok(());
    }
    let (name, namespace) = (node.name()?, node.namespace()?);
    let publishers = node.get_publishers_info_by_topic("/rosout", false)?;
    if publishers.iter().any(|publisher| publisher.node_name == name && publisher.node_namespace == namespace)
    {
        return Ok(());
    }
    // The same QoS as in rcl: a later subscriber receives the lines of the last ten seconds, and
    // the memory of older lines is freed.
    let qos = QosProfile::default().keep_last(1000).reliable().transient_local().lifespan(LIFESPAN);
    let publisher = node.create_publisher("/rosout", qos)?;
    let _ = PUBLISHER.set(Mutex::new((publisher, clock)));
    Ok(())
}

/// Sets the name of the logger. Call it when the node has its name.
pub fn set_logger(name: &str) {
    let _ = LOGGER.set(name.to_owned());
}

static PUBLISHER: OnceLock<Mutex<(Publisher<Log>, RosClock)>> = OnceLock::new();
static LOGGER: OnceLock<String> = OnceLock::new();
const LIFESPAN: Duration = Duration::from_secs(10);
const DEFAULT_LOGGER: &str = "aether_bridge";

struct RosLayer;

impl<S: Subscriber> Layer<S> for RosLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let text = text(event);
        let metadata = event.metadata();
        let (severity, level) = match *metadata.level() {
            Level::ERROR => (LogSeverity::Error, Log::ERROR as u8),
            Level::WARN => (LogSeverity::Warn, Log::WARN as u8),
            Level::INFO => (LogSeverity::Info, Log::INFO as u8),
            Level::DEBUG | Level::TRACE => (LogSeverity::Debug, Log::DEBUG as u8),
        };
        let logger = LOGGER.get().map_or(DEFAULT_LOGGER, String::as_str);
        let (file, line) = (metadata.file().unwrap_or(""), metadata.line().unwrap_or(0));
        if let Some(rosout) = PUBLISHER.get() {
            let (publisher, clock) = &*rosout.lock().unwrap_or_else(PoisonError::into_inner);
            let log = Log {
                stamp: convert::time(clock.now()),
                level,
                name: logger.into(),
                msg: text.clone(),
                file: file.into(),
                function: String::new(),
                line,
            };
            // Ignore an error, because it cannot be logged either.
            let _ = publisher.publish(&log);
        }
        console::log(&text, logger, file, line, severity);
    }
}

/// Returns an event as text: its message, then its fields. Replaces control characters.
fn text(event: &Event<'_>) -> String {
    let mut line = Line::default();
    event.record(&mut line);
    convert::text(&(line.message + &line.fields))
}

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

/// Returns the level of ROS's `--log-level LEVEL` or `--log-level NAME:=LEVEL`. If there are
/// several levels, returns the most verbose one.
fn log_level(arguments: &Arguments) -> Option<String> {
    let level = |value: &str| match value.to_lowercase().rsplit(":=").next()? {
        "fatal" => Some(Level::ERROR),
        level => level.parse().ok(),
    };
    let levels = arguments.ros_values(&["--log-level"]).map(level).collect::<Option<Vec<_>>>()?;
    levels.into_iter().max().map(|level| level.to_string().to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::{Arguments, log_level, text};

    #[derive(Clone, Default)]
    struct Recorder(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Recorder {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(text(event));
        }
    }

    #[test]
    fn control_characters_in_logs_are_replaced() {
        let (recorder, hostile) = (Recorder::default(), "a\0\u{1b}[2J\n\u{202e}b");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(recorder.clone()), || {
            tracing::info!("a frame '{hostile}'");
            tracing::info!(peer = hostile, shown = %hostile, "link up");
        });
        let inert = "a��[2J��b";
        assert_eq!(
            *recorder.0.lock().unwrap(),
            [format!("a frame '{inert}'"), format!("link up peer={inert} shown={inert}")]
        );
    }

    fn level(arguments: &[&str]) -> Option<String> {
        log_level(&Arguments::new(arguments.iter().map(Into::into)).unwrap())
    }

    #[test]
    fn log_level_is_read_after_ros_args_only() {
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
