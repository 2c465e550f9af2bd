//! The state that survives the process: whether a stop is latched, and whether the last run ended
//! cleanly.
//!
//! Each node has one small file. While a stop is latched, it contains `stopped`, also after the
//! process has ended. Otherwise it contains `running` while the bridge runs, and `ended` after an
//! end on request. So after a crash, a kill or a power failure it contains `running` or `stopped`.
//!
//! Invariants:
//! - The file is replaced as a whole: at every moment it is the old one or the new one.
//! - A file that cannot be understood counts as a latched stop.
//! - Threads that take messages or move the arm never read or write the file.
#![allow(clippy::disallowed_methods)] // records when something happened

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::teleop::{Disarmed, Restored};
use crate::text::sanitize_short;

/// The path of a node's state file, and the launch that started this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// `None` if no folder is available.
    path: Option<PathBuf>,
    /// The identifier of the launch that restarts the bridge automatically, if there is one.
    launch: Option<String>,
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    state: RunState,
    /// The time of the state, in seconds since 1970 (UTC).
    since: u64,
    /// The same time as text.
    when: String,
    /// Why a stop is latched.
    #[serde(default)]
    why: String,
    /// The identifier of the launch that started the bridge.
    #[serde(default)]
    launch: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RunState {
    Running,
    Stopped,
    Ended,
}

impl Record {
    fn new(state: RunState, why: &str, launch: Option<&String>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { state, since, when: utc(since), why: why.to_owned(), launch: launch.cloned() }
    }
}

fn utc(seconds: u64) -> String {
    // There is no date after the year 9999.
    let at = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_DATE));
    humantime::format_rfc3339_seconds(at).to_string().replace('T', " ").replace('Z', " UTC")
}

/// The result of reading the file at the start.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The state that the last run left, if any.
    pub restored: Option<Restored>,
    /// A warning if the file cannot be read or written.
    pub warning: Option<String>,
}

impl StateFile {
    /// Returns the file of a node, given by its full name, in the user's state folder. `variable`
    /// reads the environment.
    pub fn of(node: &str, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        // The XDG specification ignores a path that is not absolute.
        let absolute = |folder: String| Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute());
        let home = || variable("HOME").and_then(absolute).map(|home| home.join(".local/state"));
        let folder = variable("XDG_STATE_HOME").and_then(absolute).or_else(home);
        let domain = variable("ROS_DOMAIN_ID").unwrap_or_default();
        let domain = domain.trim().parse::<u32>().unwrap_or(0);
        // A node name has no dots, so two names never map to one file.
        let name = format!("{domain}{}.json", node.replace('/', "."));
        Self {
            path: folder.map(|folder| folder.join("aether_bridge").join(name)),
            launch: variable(LAUNCH_VARIABLE).map(|run| sanitize_short(&run)),
        }
    }

    /// Reads the state that the last run left, and records that this run has started.
    pub fn begin(&self) -> Found {
        let Some(path) = &self.path else {
            let why = "there is no folder for it: neither XDG_STATE_HOME nor HOME is an absolute path";
            return self.without_file(None, why);
        };
        let shown = sanitize_short(&path.display().to_string());
        let (restored, damage) = match read(path) {
            Ok(None) => (None, None),
            Ok(Some(record)) => (self.restored(&record), None),
            Err(error) => {
                let why = format!(
                    "stopped, because the state file {shown} cannot be understood ({error}), and it may record that a stop is \
                     latched"
                );
                let warning = format!(
                    "the state file {shown} cannot be understood: {error}; treated as a latched stop"
                );
                (Some(Restored::Stopped(why.into())), Some(warning))
            }
        };
        // A latched stop stays in the file, with its time and reason.
        let record = match &restored {
            Some(Restored::Stopped(why)) => match read(path) {
                Ok(Some(record)) if record.state == RunState::Stopped => record,
                _ => Record::new(RunState::Stopped, why, self.launch.as_ref()),
            },
            _ => Record::new(RunState::Running, "", self.launch.as_ref()),
        };
        match write(path, &record) {
            Ok(()) => Found { restored, warning: damage },
            Err(error) => self.without_file(restored, &format!("{shown} cannot be written: {error}")),
        }
    }

    fn restored(&self, record: &Record) -> Option<Restored> {
        let since = utc(record.since);
        match record.state {
            RunState::Stopped => {
                let why = Some(sanitize_short(&record.why)).filter(|why| !why.is_empty());
                let why = why.unwrap_or_else(|| "stopped".into());
                // The text does not grow if several starts leave the stop latched.
                let why = why.split(BEFORE_THIS_START).next().unwrap_or_default();
                Some(Restored::Stopped(format!("{why}{BEFORE_THIS_START}, on {since}").into()))
            }
            RunState::Running => Some(Restored::Stopped(
                format!(
                    "stopped, because the last run of the bridge, which began on {since}, did not end as it should (killed, \
                     crashed, no power), or another bridge of this name runs"
                )
                .into(),
            )),
            RunState::Ended => {
                let respawned = self.launch.is_some() && record.launch == self.launch;
                respawned.then_some(Restored::Disarmed(Disarmed::ByRespawn))
            }
        }
    }

    fn without_file(&self, restored: Option<Restored>, why: &str) -> Found {
        let restored = match restored {
            Some(Restored::Stopped(why)) => Restored::Stopped(why),
            _ => Restored::Disarmed(Disarmed::WithoutStateFile),
        };
        let warning = format!(
            "no state file: {why}. A stop will be lost when this process ends, and an operator must arm after each start. Set \
             XDG_STATE_HOME to a folder that can be written."
        );
        Found { restored: Some(restored), warning: Some(warning) }
    }

    /// Starts a thread that writes the file. Calls `warn` with each error.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn keep(self, warn: impl Fn(&str) + Send + 'static) -> io::Result<(StateNotes, StateWriter)> {
        let (notes, changes) = channel();
        let (done, ended) = channel();
        thread::Builder::new().name("state-file".into()).spawn(move || {
            self.write_all(&changes, warn);
            let _ = done.send(());
        })?;
        Ok((StateNotes(notes.clone()), StateWriter { notes, ended }))
    }

    fn write_all(&self, changes: &Receiver<Change>, warn: impl Fn(&str)) {
        let Some(path) = &self.path else { return };
        let mut stopped = matches!(read(path), Ok(Some(Record { state: RunState::Stopped, .. })));
        for change in changes {
            let (state, why) = match &change {
                Change::Stopped(why) => (RunState::Stopped, why.as_str()),
                Change::Released => (RunState::Running, ""),
                Change::Ended { clean: true } if !stopped => (RunState::Ended, ""),
                Change::Ended { .. } => return,
            };
            stopped = state == RunState::Stopped;
            if let Err(error) = write(path, &Record::new(state, why, self.launch.as_ref())) {
                let path = sanitize_short(&path.display().to_string());
                warn(&format!(
                    "the state file {path} cannot be written: {error}; after the next start an operator must arm"
                ));
            }
            if state == RunState::Ended {
                return;
            }
        }
    }
}

/// A change to write to the file.
#[derive(Debug)]
enum Change {
    Stopped(String),
    Released,
    Ended { clean: bool },
}

/// Passes stops to the thread that writes the file.
#[derive(Debug)]
pub struct StateNotes(Sender<Change>);

impl StateNotes {
    /// Records why a stop is latched; `None` if the stop has been released.
    pub(super) fn note(&self, stopped: Option<String>) {
        // If the thread is gone, the file still contains `running` or `stopped`, which is the safe
        // side.
        let _ = self.0.send(stopped.map_or(Change::Released, Change::Stopped));
    }
}

/// A handle to the thread that writes the file. The code that ends the process uses it.
#[derive(Debug)]
pub struct StateWriter {
    notes: Sender<Change>,
    ended: Receiver<()>,
}

impl StateWriter {
    /// Writes all recorded changes. If `clean`, also writes that the bridge has ended on request.
    /// Waits until the file is written, but no longer than `patience`. Returns whether the thread
    /// has finished in time.
    pub fn end(self, clean: bool, patience: Duration) -> bool {
        let _ = self.notes.send(Change::Ended { clean });
        !matches!(self.ended.recv_timeout(patience), Err(RecvTimeoutError::Timeout))
    }
}

/// Reads the file, if it exists.
fn read(path: &Path) -> io::Result<Option<Record>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_SIZE).read_to_string(&mut text)?;
    Ok(Some(serde_json::from_str(&text)?))
}

/// Replaces the file as a whole, and waits until the disk has stored it.
fn write(path: &Path, record: &Record) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(format!("{}\n", serde_json::to_string(record)?).as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// The variable that `launch/bridge.launch.py` sets if it restarts the bridge automatically. It has
/// the same value for every start of one launch.
const LAUNCH_VARIABLE: &str = "AETHER_LAUNCH_RUN";
/// A valid file is far shorter.
const MAX_SIZE: u64 = 64 * 1024;
/// 9999-12-31 23:59:59.
const LAST_DATE: u64 = 253_402_300_799;
const BEFORE_THIS_START: &str = " before this start";

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("aether_state_{:016x}", fastrand::u64(..)));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn file(&self) -> StateFile {
            self.file_with(&[])
        }

        fn file_with(&self, variables: &[(&str, &str)]) -> StateFile {
            let folder = self.0.display().to_string();
            StateFile::of("/lab/left_arm", |name| {
                let given =
                    variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
                given.or_else(|| (name == "XDG_STATE_HOME").then(|| folder.clone()))
            })
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// A run from its start to a clean end, or to a kill.
    fn run(file: &StateFile, notes: &[Option<&str>], clean: bool) -> Found {
        let found = file.begin();
        let (state, writer) = file.clone().keep(|warning| panic!("{warning}")).unwrap();
        notes.iter().for_each(|note| state.note(note.map(str::to_owned)));
        assert!(writer.end(clean, Duration::from_secs(60)));
        found
    }

    fn stopped(found: &Found) -> &str {
        match &found.restored {
            Some(Restored::Stopped(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn start_after_a_clean_end_restores_nothing() {
        let folder = Folder::new();
        for _ in 0..3 {
            assert_eq!(run(&folder.file(), &[], true), Found { restored: None, warning: None });
        }
        assert_eq!(run(&folder.file(), &[Some("stopped by ~/stop"), None], true).restored, None);
        assert_eq!(folder.file().begin().restored, None);
    }

    #[test]
    fn unclean_end_is_found_as_a_stop() {
        let folder = Folder::new();
        run(&folder.file(), &[], false);
        for _ in 0..2 {
            let found = run(&folder.file(), &[], true);
            assert!(stopped(&found).contains("did not end as it should"), "{found:?}");
        }
        // The operator has reset the stop.
        run(&folder.file(), &[None], true);
        assert_eq!(folder.file().begin().restored, None);
    }

    #[test]
    fn stop_outlives_every_kind_of_end() {
        for clean in [true, false] {
            let folder = Folder::new();
            run(&folder.file(), &[Some("stopped by ~/stop")], clean);
            let first = stopped(&run(&folder.file(), &[], true)).to_owned();
            assert!(
                first.starts_with("stopped by ~/stop before this start, on 2") && first.ends_with(" UTC"),
                "{first}"
            );
            assert_eq!(stopped(&folder.file().begin()), first, "the same text each time");
        }
    }

    #[test]
    fn damaged_file_is_a_stop() {
        for text in ["", "{", "null", "{\"state\":\"fine\",\"since\":0,\"when\":\"\"}", "\u{0}\u{0}\u{0}"] {
            let folder = Folder::new();
            run(&folder.file(), &[], true);
            fs::write(folder.file().path.unwrap(), text).unwrap();
            let found = folder.file().begin();
            assert!(stopped(&found).contains("cannot be understood"), "{text}: {found:?}");
            assert!(found.warning.is_some_and(|warning| warning.contains("left_arm")));
        }
        let folder = Folder::new();
        fs::create_dir_all(folder.file().path.unwrap()).unwrap();
        assert!(stopped(&folder.file().begin()).contains("cannot be understood"));
    }

    #[test]
    fn without_a_folder_the_operator_must_arm() {
        let nowhere = StateFile::of("/a", |_| None);
        let found = nowhere.begin();
        assert_eq!(found.restored, Some(Restored::Disarmed(Disarmed::WithoutStateFile)));
        assert!(found.warning.unwrap().contains("XDG_STATE_HOME"));
        assert!(nowhere.keep(|_| ()).unwrap().1.end(true, Duration::from_secs(60)));
        let folder = Folder::new();
        let blocker = folder.0.join("aether_bridge");
        fs::write(blocker, "").unwrap();
        assert!(folder.file().begin().warning.is_some());
        assert!(folder.file().begin().restored.is_some());
    }

    #[test]
    fn start_by_the_same_launch_is_a_respawn() {
        let folder = Folder::new();
        let of = |run| folder.file_with(&[("AETHER_LAUNCH_RUN", run)]);
        assert_eq!(run(&of("1"), &[], true).restored, None);
        assert_eq!(run(&of("1"), &[], true).restored, Some(Restored::Disarmed(Disarmed::ByRespawn)));
        assert_eq!(run(&of("2"), &[], true).restored, None);
        assert_eq!(run(&folder.file(), &[], true).restored, None);
        assert_eq!(run(&folder.file(), &[], true).restored, None);
    }

    #[test]
    fn each_node_and_domain_has_its_own_file() {
        let path = |node, domain: &str| {
            let variables =
                [("HOME", "/home/me"), ("ROS_DOMAIN_ID", domain), ("XDG_STATE_HOME", "not/absolute")];
            let read = |name: &str| {
                variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
            };
            StateFile::of(node, read).path.unwrap().display().to_string()
        };
        assert_eq!(path("/aether_bridge", ""), "/home/me/.local/state/aether_bridge/0.aether_bridge.json");
        assert_eq!(path("/lab/arm", "42"), "/home/me/.local/state/aether_bridge/42.lab.arm.json");
    }
}
