//! `tracing` events as ROS logs: on the console in ROS's format, on `/rosout`, and subject to `--log-level`.

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

/// Sends this process's tracing events to ROS from now on. `RUST_LOG` sets what is looked at (like
/// `RUST_LOG=trace` for the wire's traffic), otherwise the `--log-level` among `arguments`.
pub fn install(arguments: &Arguments) {
    let directive = log_level(arguments).unwrap_or_else(|| "info".into());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directive));
    // A second installation, as tests may do, changes nothing.
    let _ = tracing_subscriber::registry().with(RosLayer.with_filter(filter)).try_init();
}

/// Publishes what is logged from now on on `/rosout`, where rcl does not do it by itself: since Iron that is left to
/// the client library, and r2r does not do it.
///
/// # Errors
/// What rcl says.
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
    // As rcl's own: whoever comes later hears the last ten seconds, and the memory of older lines is given back.
    let qos = QosProfile::default().keep_last(1000).reliable().transient_local().lifespan(LIFESPAN);
    let publisher = node.create_publisher("/rosout", qos)?;
    let _ = PUBLISHER.set(Mutex::new((publisher, clock)));
    Ok(())
}

/// Names the logger, once the node has a name.
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
            // Nowhere to tell of a log that cannot be published.
            let _ = publisher.publish(&log);
        }
        console::log(&text, logger, file, line, severity);
    }
}

/// An event in words: its message, then its fields. Whatever is told of, nothing in it acts on whoever reads it.
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

/// Returns the level in ROS's `--log-level LEVEL` or `--log-level NAME:=LEVEL`; the most talkative, if there are several.
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
    struct Told(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Told {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(text(event));
        }
    }

    #[test]
    fn whatever_is_logged_does_not_act() {
        let (told, hostile) = (Told::default(), "a\0\u{1b}[2J\n\u{202e}b");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(told.clone()), || {
            tracing::info!("a frame '{hostile}'");
            tracing::info!(peer = hostile, shown = %hostile, "link up");
        });
        let inert = "a��[2J��b";
        assert_eq!(
            *told.0.lock().unwrap(),
            [format!("a frame '{inert}'"), format!("link up peer={inert} shown={inert}")]
        );
    }

    fn level(arguments: &[&str]) -> Option<String> {
        log_level(&Arguments::new(arguments.iter().map(Into::into)).unwrap())
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
