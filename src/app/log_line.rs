//! A line for the log, made while the state is locked and written later.

use tracing::Level;
use tracing::level_filters::LevelFilter;

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogLine {
    pub level: Level,
    pub text: String,
}

impl LogLine {
    pub fn info(text: String) -> Self {
        Self { level: Level::INFO, text }
    }

    pub fn warn(text: String) -> Self {
        Self { level: Level::WARN, text }
    }

    /// Makes a line that few want to read, if anything logs at this level.
    pub fn detail(level: Level, text: impl FnOnce() -> String) -> Option<Self> {
        (level <= LevelFilter::current()).then(|| Self { level, text: text() })
    }
}
