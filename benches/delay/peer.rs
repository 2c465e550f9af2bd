//! The programs that are measured, and what the kernel says of a running one.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A program that turns poses into lines.
pub struct Program {
    pub name: &'static str,
    path: PathBuf,
    arguments: fn(port: u16) -> Vec<String>,
    /// Whether it takes SIGTERM as a request to end; otherwise it ends with its connection.
    ends_on_request: bool,
}

impl Program {
    /// The comparison: see `benches/floor.rs`.
    pub fn floor(path: PathBuf) -> Self {
        Self { name: "floor", path, arguments: |port| vec![port.to_string()], ends_on_request: false }
    }

    /// The bridge with every safety rule on, and limits so wide that none alters a command.
    pub fn bridge(path: PathBuf) -> Self {
        let arguments = |port| {
            let port = format!("port:={port}");
            let parameters = BRIDGE_PARAMETERS.iter().copied().chain([port.as_str()]);
            let parameters = parameters.flat_map(|parameter| ["-p".to_owned(), parameter.to_owned()]);
            std::iter::once("--ros-args".to_owned()).chain(parameters).collect()
        };
        Self { name: "bridge", path, arguments, ends_on_request: true }
    }
}

const BRIDGE_PARAMETERS: [&str; 9] = [
    "host:=127.0.0.1",
    "command_rate:=0.0",
    "filter.kind:=none",
    "settle_time:=0.1",
    "limits.speed:=10.0",
    "limits.acceleration:=1000.0",
    "approach_speed:=10.0",
    "workspace.min:=[-100.0,-100.0,-100.0]",
    "workspace.max:=[100.0,100.0,100.0]",
];

/// A running program. Ended when dropped; drop its connection first.
pub struct Peer<'a> {
    program: &'a Program,
    child: Child,
    log: PathBuf,
}

impl<'a> Peer<'a> {
    /// Starts the program; it is to connect to `port`. What it prints goes to a file beside this program.
    pub fn start(program: &'a Program, port: u16) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt;
        let log = std::env::current_exe()?.with_file_name(format!("{}.log", program.name));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(&program.path)
            .args((program.arguments)(port))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for this process, which then stops its child in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        Ok(Self { program, child, log })
    }

    /// Fails if it has ended by itself, with what it printed.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself, with {status}\n{}", self.program.name, self.printed()),
        }
    }

    /// What it has printed so far; to be told where something went wrong.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The processor time it has used, in all its threads.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        let stat = self.proc_file("stat")?;
        // After the name in parentheses, which may hold anything: state is field 3, utime and stime are 14 and 15.
        let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
        Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }

    /// The most memory it has had resident, in KiB.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        let status = self.proc_file("status")?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("no VmHWM in /proc/PID/status")?;
        Ok(peak.trim().trim_end_matches(" kB").parse()?)
    }

    /// Ends it in order. Its connection must have been closed.
    pub fn stop(mut self) -> anyhow::Result<()> {
        match self.end()? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("{} ended with {status}\n{}", self.program.name, self.printed()),
            None => bail!("{} has not ended in {STOP_TIMEOUT:?}\n{}", self.program.name, self.printed()),
        }
    }

    /// Asks it to end and waits until it has, or for long enough.
    fn end(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.program.ends_on_request && self.child.try_wait()?.is_none() {
            let pid = Pid::from_raw(self.child.id().try_into()?).context("the process has no number")?;
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

    fn proc_file(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        // Killed, it would leave its shared memory behind: only where asking does not help. All of this fails harmlessly
        // where it has ended.
        let _ = self.end();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const STOP_TIMEOUT: Duration = Duration::from_secs(5);
