//! The console. Whoever reads it may stop reading (Ctrl-S in a terminal, a pipe that is full): then a write would wait,
//! and the arm with it. So a line that nobody takes is lost, and that is told later.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use r2r::LogSeverity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Writes a line to ROS's log.
pub(super) fn log(text: &str, logger: &str, file: &str, line: u32, severity: LogSeverity) {
    if !takes(*TO_STDOUT) {
        LOST.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let text = format!("{lost} lines of this log are lost: nobody read it");
        r2r::log(&text, logger, file!(), line!(), LogSeverity::Warn);
    }
    r2r::log(text, logger, file, line, severity);
}

/// Writes words to standard error as they are. On a full disk, or with nobody to read them, there is nowhere to tell.
pub fn say(words: &str) {
    if takes(false) {
        let _ = writeln!(io::stderr(), "{words}");
    }
}

/// Whether a write returns at once: there is room (a page, in a pipe), or an error.
fn takes(to_stdout: bool) -> bool {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let console = if to_stdout { stdout.as_fd() } else { stderr.as_fd() };
    let mut consoles = [PollFd::from_borrowed_fd(console, PollFlags::OUT)];
    poll(&mut consoles, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Lines that nobody took, since one was taken.
static LOST: AtomicU32 = AtomicU32::new(0);
/// As rcutils has it.
static TO_STDOUT: LazyLock<bool> =
    LazyLock::new(|| std::env::var("RCUTILS_LOGGING_USE_STDOUT").is_ok_and(|value| value == "1"));
