//! The terminal of `arm_sim`: its output, and the words that it reads from the standard input.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::{broadcast::error::RecvError, mpsc},
    time::{MissedTickBehavior, interval},
};

use super::fault::{FAULTS_HELP, FaultSpec};
use super::monitor::{RulesError, Setting};
use super::record::{Counts, Event, Received};
use super::server::ArmSim;
use aether_bridge::arm::Gripper;
use aether_bridge::geometry::Position;
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::Order;

/// The output between the first line and the summary at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Print {
    /// Every line received and sent, with time and peer.
    Lines,
    /// Connections, and every second the rate of commands, the position and the gripper.
    #[default]
    Summary,
    /// Nothing.
    None,
}

/// Runs the controller until SIGINT, SIGTERM or the word `quit`. Then prints a summary, stops the
/// controller and returns its counts. Violations that the monitor finds are always printed, each as
/// a line of JSON.
///
/// The first line printed is `arm_sim listening on ADDRESS:PORT`; from then on signals are handled.
/// A slow or stopped reader of the output does not slow the controller down: if the buffer is full,
/// lines are counted and dropped.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub async fn run(sim: ArmSim, print: Print) -> io::Result<Counts> {
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut events = sim.events();
    let mut words = read_words();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut console =
        Console { sim, print, out: LineWriter::new(), started: now(), ticked: now(), counted: 0 };
    console.write_line(format!("arm_sim listening on {}", console.sim.local_addr()));
    loop {
        select! {
            event = events.recv() => match event {
                Ok(event) => console.show(event),
                Err(RecvError::Lagged(missed)) => {
                    console.write_line(format!("({missed} events are not shown)"));
                }
                Err(RecvError::Closed) => break,
            },
            _ = second.tick() => console.tick(),
            Some(word) = words.recv() => if !console.obey(word.trim()) { break },
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
        }
    }
    Ok(console.finish())
}

struct Console {
    sim: ArmSim,
    print: Print,
    out: LineWriter,
    started: Instant,
    ticked: Instant,
    /// The number of commands at the last tick.
    counted: u64,
}

impl Console {
    fn write_line(&mut self, line: String) {
        self.out.print(line);
    }

    /// Prints a line with the time since the start.
    fn log(&mut self, line: &str) {
        let time = now().duration_since(self.started).as_secs_f64();
        self.write_line(format!("{time:9.3}  {line}"));
    }

    fn show(&mut self, event: Event) {
        if let Event::Violation(violation) = &event {
            return self.write_line(violation.to_string());
        }
        if self.print == Print::None {
            return;
        }
        match event {
            Event::Listening(address) => self.log(&format!("listening on {address}")),
            Event::CannotListen(why) => {
                self.log(&format!("cannot accept clients, trying again: {}", sanitize_short(&why)))
            }
            Event::Crashed => self.log("crashed: every connection was reset, the port is closed"),
            Event::Connected { peer, .. } => self.log(&format!("{peer} connected")),
            Event::ConnectionRefused { peer } => {
                self.log(&format!("{peer} refused: another client is connected"))
            }
            Event::Disconnected { peer, why, .. } => {
                self.log(&format!("{peer} {}", sanitize_short(&why.to_string())))
            }
            Event::Expired { peer, ttl, .. } => {
                let ttl = ttl.as_millis();
                self.log(&format!("{peer} has sent no line within its ttl of {ttl} ms: the arm was halted"));
            }
            Event::Received(Received { peer, line, .. }) if self.print == Print::Lines => {
                self.log(&format!("{peer} > {}", sanitize_short(&line)));
            }
            Event::Replied { peer, text, .. } if self.print == Print::Lines => {
                for line in text.lines() {
                    self.log(&format!("{peer} < {}", sanitize_short(line)));
                }
            }
            Event::Received(Received { peer, order: Err(why), .. }) => {
                self.log(&format!("refused a line of {peer}: {}", sanitize_short(&why)));
            }
            Event::Received(Received { peer, order: Ok(Order::Stop), .. }) => {
                self.log(&format!("{peer} sent a stop"));
            }
            Event::Received(_) | Event::Replied { .. } | Event::Violation(_) => {}
        }
    }

    /// Checks the arm and prints the summary line; called once a second.
    fn tick(&mut self) {
        self.sim.shared().judge_arm();
        let (counts, connected) = {
            let record = self.sim.shared().record.borrow();
            (record.counts, record.connected())
        };
        let elapsed = now().duration_since(self.ticked).as_secs_f64();
        let commands = counts.commands - self.counted;
        (self.ticked, self.counted) = (now(), counts.commands);
        if self.print == Print::Summary && (connected > 0 || commands > 0) && elapsed > 0.0 {
            let rate = commands as f64 / elapsed;
            let line = format!("{rate:6.1} commands/s   {}", self.arm());
            self.log(&line);
        }
    }

    /// Executes a typed word. Returns false if the word ends the program.
    fn obey(&mut self, word: &str) -> bool {
        match word {
            "" => {}
            "quit" => return false,
            "help" => self.write_line(format!("{FAULTS_HELP}\n  {WORDS_HELP}")),
            "status" => self.status(),
            "ok" => {
                self.sim.recover();
                self.log("no faults");
            }
            rules if rules.starts_with("judge ") => {
                let settings = rules.split_whitespace().skip(1).map(str::parse).collect();
                let answer = self.set_rules(settings).unwrap_or_else(|error| error.to_string());
                self.log(&sanitize_short(&answer));
            }
            act if self.act(act) => {}
            fault => match fault.parse::<FaultSpec>() {
                Ok(spec) => {
                    self.log(&format!("fault: {}", sanitize_short(&spec.to_string())));
                    self.sim.set_faults(vec![spec]);
                }
                Err(error) => self.write_line(format!("{}; try help", sanitize_short(&error.to_string()))),
            },
        }
        true
    }

    /// Applies a word such as `push` or `estop` to a physical arm. Returns whether it is such a
    /// word.
    fn act(&mut self, word: &str) -> bool {
        let mut words = word.split_whitespace();
        let Some(act) = words.next().filter(|act| PHYSICAL_WORDS.contains(act)) else { return false };
        let per_metre = self.sim.shared().config.unit.per_metre();
        let numbers: Vec<f64> = words.filter_map(|number| number.parse().ok()).collect();
        let by = match *numbers.as_slice() {
            [x, y, z] => Some([x, y, z].map(|length| length / per_metre)),
            _ => None,
        };
        if (act == "push") != by.is_some() {
            self.write_line(format!("{act}: wrong arguments, try help"));
            return true;
        }
        let done = self.sim.shared().with_physical(|arm, now| match act {
            "push" => {
                let at = arm.body().position().point();
                let [x, y, z] = by.unwrap_or_default();
                let to = Position::new(at.x + x, at.y + y, at.z + z);
                to.map(|to| arm.handle_moved_by_person(now, to, PUSH_SPEED)).is_ok()
            }
            "estop" => {
                arm.handle_fault(now, "emergency stop");
                true
            }
            "clear" => {
                arm.handle_fault_cleared();
                true
            }
            "home" => {
                arm.handle_homed(now);
                true
            }
            "stall" | "free" => {
                arm.handle_stalled(now, act == "stall");
                true
            }
            _ => {
                arm.handle_gripper_set(if act == "grip" { Gripper::Closed } else { Gripper::Open });
                true
            }
        });
        let words = match done {
            Some(true) => format!("{act}: {}", self.arm()),
            Some(false) => format!("{act}: the arm cannot be moved to that position"),
            None => format!("{act}: needs an arm that was started with --physical"),
        };
        self.log(&words);
        true
    }

    fn set_rules(&self, settings: Result<Vec<Setting>, RulesError>) -> Result<String, RulesError> {
        let judged = self.sim.shared().set_rules(&settings?)?;
        Ok(if judged { "the monitor uses the new value" } else { "there is no monitor; start with --judge" }
            .to_owned())
    }

    fn status(&mut self) {
        let record = self.sim.shared().record.borrow().clone();
        let faults: Vec<String> = self.sim.faults().iter().map(ToString::to_string).collect();
        let faults = if faults.is_empty() { "none".to_owned() } else { sanitize_short(&faults.join(", ")) };
        let listening = if record.listening { "listening on" } else { "crashed; was listening on" };
        let line = format!(
            "{listening} {}, {} connected, {} commands, {} stops, {} heartbeats, faults: {faults}, \
             {} connections so far, {}",
            self.sim.local_addr(),
            record.connected(),
            record.counts.commands,
            record.counts.stops,
            record.counts.heartbeats,
            record.counts.connections,
            self.arm()
        );
        self.log(&line);
    }

    fn arm(&self) -> String {
        let state = self.sim.state();
        let position = self.sim.shared().in_wire_unit(state.position);
        let moving = if state.moving { ", moving" } else { "" };
        format!("arm at {position}, gripper {}{moving}", state.gripper.as_str())
    }

    fn finish(mut self) -> Counts {
        let counts = self.sim.shared().record.borrow().counts;
        let judged = if self.sim.shared().has_monitor() {
            format!("{} violations, ", counts.violations)
        } else {
            String::new()
        };
        let line = format!(
            "arm_sim summary: {} commands received, {} stops, {} heartbeats, {} bad lines, {} error replies, \
             {} connections, {judged}{}",
            counts.commands,
            counts.stops,
            counts.heartbeats,
            counts.bad_lines,
            counts.error_replies,
            counts.connections,
            self.arm()
        );
        self.write_line(line);
        self.out.finish();
        counts
    }
}

/// The standard output, written by a separate thread.
struct LineWriter {
    lines: SyncSender<String>,
    written: Receiver<()>,
    dropped: u64,
}

impl LineWriter {
    fn new() -> Self {
        let (lines, to_write) = sync_channel::<String>(LINES_WAITING);
        let (done, written) = sync_channel(1);
        thread::spawn(move || {
            // The thread ends when the last sender is dropped or the output is closed; both are
            // normal.
            let mut out = io::stdout();
            for line in to_write {
                if writeln!(out, "{line}").is_err() {
                    break;
                }
            }
            let _ = done.send(());
        });
        Self { lines, written, dropped: 0 }
    }

    fn print(&mut self, line: String) {
        let line = match self.dropped {
            0 => line,
            dropped => {
                format!("({dropped} lines were dropped, because the output was read too slowly)\n{line}")
            }
        };
        match self.lines.try_send(line) {
            Ok(()) => self.dropped = 0,
            Err(TrySendError::Full(_)) => self.dropped += 1,
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// Waits a short time until the thread has written the remaining lines.
    fn finish(self) {
        drop(self.lines);
        let _ = self.written.recv_timeout(SHUTDOWN_FLUSH);
    }
}

/// Returns the lines typed on the standard input. A separate thread reads them until the process
/// ends.
fn read_words() -> mpsc::Receiver<String> {
    let (sender, words) = mpsc::channel(16);
    if !is_background_job() {
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
    }
    words
}

/// Returns whether this process is a background job of a shell (`&`). In that case reading from the
/// terminal would stop the process (SIGTTIN).
fn is_background_job() -> bool {
    // The fields after the name in parentheses: state, parent, process group, session, terminal,
    // foreground group.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(2);
    let (own, foreground) = (fields.next(), fields.nth(2));
    io::stdin().is_terminal() && own != foreground
}

#[allow(clippy::disallowed_methods)] // printed lines carry the time at which they are printed
fn now() -> Instant {
    Instant::now()
}

/// Words for events of a physical arm that its controller does not cause.
const PHYSICAL_WORDS: [&str; 8] = ["push", "estop", "clear", "home", "stall", "free", "grip", "release"];
/// The speed at which a hand pushes the arm, in m/s.
const PUSH_SPEED: f64 = 0.1;

/// The help for the words other than faults.
const WORDS_HELP: &str = "\
ok                ends the present faults; a crashed controller listens again
  judge NAME:=VALUE changes a parameter of the monitor
  push X Y Z        with --physical: a hand pushes the arm by X Y Z, in the unit of the wire, at 0.1 m/s
  estop, clear      with --physical: an emergency stop, until it is cleared
  home              with --physical: the controller homes the arm
  stall, free       with --physical: an obstacle blocks the arm, or is removed
  grip, release     with --physical: a hand closes or opens the gripper
  status            shows the state of the controller
  quit              ends the controller";

const LINES_WAITING: usize = 4096;
const SHUTDOWN_FLUSH: Duration = Duration::from_millis(300);
