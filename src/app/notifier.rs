//! Publishes and logs events in their order, while the state is not locked.

use tracing::Level;

use super::log::LogLine;
use super::state_file::StateNotes;
use crate::arm::ReportedState;
use crate::config::Config;
use crate::status::{Observer, SentCommand, Status};

/// An event to publish or log.
#[derive(Debug)]
pub(super) enum Event {
    Command(SentCommand),
    Status(Status),
    Diagnostics(Status),
    ArmState(ReportedState),
    Config(Box<Config>),
    Log(LogLine),
    /// A stop is latched for this reason; `None` if it has been released.
    Latched(Option<String>),
}

/// Passes events to the observer and to the log.
pub(super) struct Notifier {
    observer: Box<dyn Observer>,
    /// Records the stops that must survive the process, if there is a state file.
    notes: Option<StateNotes>,
    /// The events to handle. Swapped with the pending events, to save one allocation for each
    /// command.
    events: Vec<Event>,
}

impl Notifier {
    pub fn new(observer: impl Observer + 'static) -> Self {
        Self { observer: Box::new(observer), notes: None, events: Vec::new() }
    }

    /// Sets where stops are recorded from now on.
    pub fn keep(&mut self, notes: StateNotes) {
        self.notes = Some(notes);
    }

    /// Takes the pending events. All events that were taken before must have been handled.
    pub fn take(&mut self, pending: &mut Vec<Event>) {
        std::mem::swap(&mut self.events, pending);
    }

    /// Publishes and logs the taken events. This may block, because a reader of the topics or of
    /// the log may be slow.
    pub fn notify(&mut self) {
        let Self { observer, notes, events } = self;
        for event in events.drain(..) {
            match event {
                Event::Command(command) => observer.handle_command(&command),
                Event::Status(status) => observer.handle_status(&status),
                Event::Diagnostics(status) => observer.handle_diagnostics(&status),
                Event::ArmState(state) => observer.handle_arm_state(&state),
                Event::Config(config) => observer.handle_config(&config),
                Event::Log(line) => log(&line),
                Event::Latched(stopped) => {
                    if let Some(notes) = notes {
                        notes.note(stopped);
                    }
                }
            }
        }
    }
}

fn log(LogLine { level, text }: &LogLine) {
    match *level {
        Level::ERROR => tracing::error!("{text}"),
        Level::WARN => tracing::warn!("{text}"),
        Level::INFO => tracing::info!("{text}"),
        Level::DEBUG => tracing::debug!("{text}"),
        Level::TRACE => tracing::trace!("{text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Returns the source files in a directory. Leaves out `ros`, because its code never runs while
    /// the state is locked.
    fn sources(directory: &Path) -> Vec<PathBuf> {
        let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| !path.ends_with("src/ros"));
        paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// Clippy's `disallowed-macros` cannot check this, because its `allow` has no effect on the
    /// macros of tracing.
    #[test]
    fn only_the_notifier_may_log() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut logging: Vec<_> = sources(&source)
            .into_iter()
            .filter(|path| {
                let text = fs::read_to_string(path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                text.replace("tracing::Level", "").replace("tracing::level_filters", "").contains("tracing::")
            })
            .map(|path| path.strip_prefix(&source).unwrap().display().to_string())
            .collect();
        logging.sort();
        assert_eq!(logging, ["app/notifier.rs", "main.rs"], "push an Event::Log instead");
    }
}
