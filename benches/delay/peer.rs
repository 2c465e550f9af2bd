//! A running program, and its processor time and memory from the kernel.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Ending, Program};

/// A running program. It is ended on drop. Drop its connection first.
pub struct Peer<'a> {
    program: &'a Program,
    child: Child,
    log: PathBuf,
}

impl<'a> Peer<'a> {
    /// Starts the program, which then connects to `port`. Its output goes to a file in the folder
    /// of this program.
    pub fn start(program: &'a Program, port: u16) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt;
        let log = std::env::current_exe()?.with_file_name(format!("{}.log", program.name));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // Remove the state that a killed run has left.
        let state = log.with_extension("state");
        let _ = std::fs::remove_dir_all(&state);
        let child = Command::new(&program.path)
            .env("XDG_STATE_HOME", state)
            .args((program.arguments)(port))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C must reach only this process, which then stops its child properly.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        Ok(Self { program, child, log })
    }

    /// Returns an error with the program's output if the program has ended by itself.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself, with {status}\n{}", self.program.name, self.printed()),
        }
    }

    /// Returns the output so far, for error messages.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the processor time of the program's running threads.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut used = Duration::ZERO;
        for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            // A thread may end before its file is read.
            let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let nanoseconds = stat.split_whitespace().next().context("no time in schedstat")?;
            used += Duration::from_nanos(nanoseconds.parse()?);
        }
        Ok(used)
    }

    /// Returns the peak of the resident memory, in KiB.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("no VmHWM in /proc/PID/status")?;
        Ok(peak.trim().trim_end_matches(" kB").parse()?)
    }

    /// Ends the program properly. Close its connection first.
    pub fn stop(mut self) -> anyhow::Result<()> {
        match self.end()? {
            Some(status) if status.success() || self.program.ending == Ending::Anyhow => Ok(()),
            Some(status) => bail!("{} ended with {status}\n{}", self.program.name, self.printed()),
            // The rclpy node may not end, because it waits for a reply without a timeout.
            None if self.program.ending == Ending::Anyhow => {
                self.child.kill()?;
                self.child.wait()?;
                Ok(())
            }
            None => bail!("{} has not ended in {STOP_TIMEOUT:?}\n{}", self.program.name, self.printed()),
        }
    }

    /// Requests the end of the program and waits for it, at most for [`STOP_TIMEOUT`].
    fn end(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.program.ending != Ending::WithConnection && self.child.try_wait()?.is_none() {
            let pid = Pid::from_raw(self.child.id().try_into()?).context("the process has no PID")?;
            kill_process(pid, Signal::TERM)?;
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            match self.child.try_wait()? {
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
                status => return Ok(status),
            }
        }
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        // Kill the program only if it does not end by itself, because a killed program leaves its
        // shared memory. If it has already ended, these calls fail without harm.
        let _ = self.end();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const STOP_TIMEOUT: Duration = Duration::from_secs(5);
