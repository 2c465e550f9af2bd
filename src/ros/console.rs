//! The console. A terminal can stop reading (Ctrl-S), and a pipe can be full. A write would then
//! wait, and the arm would wait too. Therefore the bridge drops a line that the console cannot
//! accept, and later logs the number of lost lines.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use r2r::LogSeverity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Writes a line to ROS's log. Drops the line if the console cannot accept it.
pub(super) fn log(text: &str, logger: &str, file: &str, line: u32, severity: LogSeverity) {
    if !is_writable(*TO_STDOUT) {
        LOST.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let text = format!("{lost} lines of this log were lost, because the console did not accept them");
        r2r::log(&text, logger, file!(), line!(), LogSeverity::Warn);
    }
    r2r::log(text, logger, file, line, severity);
}

/// Writes a text to standard error without change. Ignores an error (such as a full disk), because
/// there is no other place to report it.
pub fn print_error(text: &str) {
    if is_writable(false) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Returns whether a write returns immediately. This is so if there is room (in a pipe, for a
/// page), or if the write fails.
fn is_writable(to_stdout: bool) -> bool {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let console = if to_stdout { stdout.as_fd() } else { stderr.as_fd() };
    let mut consoles = [PollFd::from_borrowed_fd(console, PollFlags::OUT)];
    poll(&mut consoles, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// The number of lines lost since the last written line.
static LOST: AtomicU32 = AtomicU32::new(0);
/// Whether the log goes to standard output. rcutils reads the same variable.
static TO_STDOUT: LazyLock<bool> =
    LazyLock::new(|| std::env::var("RCUTILS_LOGGING_USE_STDOUT").is_ok_and(|value| value == "1"));
