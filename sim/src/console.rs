//! The controller on a terminal: what `arm_sim` prints, and the words it takes on its standard input.

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

/// What is printed, besides the first line and the summary at the end.
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

/// Runs the controller until SIGINT, SIGTERM or the word `quit`, then prints a summary, stops it, and returns how often
/// things have happened. What the judge finds is printed in any case, a line of JSON each.
///
/// The first line printed is `arm_sim listening on ADDRESS:PORT`; from then on signals are heeded. Whoever reads the
/// output slowly, or not at all, does not slow the controller down: lines that find no room are counted and dropped.
///
/// # Errors
/// Only from setting up the signals.
pub async fn run(sim: ArmSim, print: Print) -> io::Result<Counts> {
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut events = sim.events();
    let mut words = read_words();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut console =
        Console { sim, print, out: LineWriter::new(), started: now(), ticked: now(), counted: 0 };
    console.say(format!("arm_sim listening on {}", console.sim.local_addr()));
    loop {
        select! {
            event = events.recv() => match event {
                Ok(event) => console.show(event),
                Err(RecvError::Lagged(missed)) => console.say(format!("({missed} events are not shown)")),
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
    /// Commands counted at the last tick.
    counted: u64,
}

impl Console {
    fn say(&mut self, line: String) {
        self.out.print(line);
    }

    /// Prints a line with the time since the start.
    fn log(&mut self, line: &str) {
        let time = now().duration_since(self.started).as_secs_f64();
        self.say(format!("{time:9.3}  {line}"));
    }

    fn show(&mut self, event: Event) {
        if let Event::Violation(violation) = &event {
            return self.say(violation.to_string());
        }
        if self.print == Print::None {
            return;
        }
        match event {
            Event::Listening(address) => self.log(&format!("listening on {address}")),
            Event::CannotListen(why) => {
                self.log(&format!("cannot take clients, trying again: {}", sanitize_short(&why)))
            }
            Event::Crashed => self.log("crashed: every connection reset, nobody listens"),
            Event::Connected { peer, .. } => self.log(&format!("{peer} connected")),
            Event::ArmingError { peer } => self.log(&format!("{peer} refused: another client is connected")),
            Event::Disconnected { peer, why, .. } => {
                self.log(&format!("{peer} {}", sanitize_short(&why.to_string())))
            }
            Event::Expired { peer, ttl, .. } => {
                let ttl = ttl.as_millis();
                self.log(&format!("{peer} has said nothing for its ttl, {ttl} ms: the arm is halted"));
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
                self.log(&format!("{peer} refused a line: {}", sanitize_short(&why)));
            }
            Event::Received(Received { peer, order: Ok(Order::Stop), .. }) => {
                self.log(&format!("{peer} asked for a stop"));
            }
            Event::Received(_) | Event::Replied { .. } | Event::Violation(_) => {}
        }
    }

    /// Once a second.
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

    /// Obeys a word that was typed; false, if it ends the program.
    fn obey(&mut self, word: &str) -> bool {
        match word {
            "" => {}
            "quit" => return false,
            "help" => self.say(format!("{FAULTS_HELP}\n  {WORDS_HELP}")),
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
                Err(error) => self.say(format!("{}; try help", sanitize_short(&error.to_string()))),
            },
        }
        true
    }

    /// Does to a physical arm what a word says. Returns whether it is such a word.
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
            self.say(format!("{act}: try help"));
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
            Some(false) => format!("{act}: that is no place"),
            None => format!("{act}: start with --physical"),
        };
        self.log(&words);
        true
    }

    fn set_rules(&self, settings: Result<Vec<Setting>, RulesError>) -> Result<String, RulesError> {
        let judged = self.sim.shared().set_rules(&settings?)?;
        Ok(if judged { "the judge goes by that now" } else { "there is no judge; start with --judge" }
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
        self.say(line);
        self.out.finish();
        counts
    }
}

/// The standard output, written by a thread of its own.
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
            // Ends with the last sender, or when nobody reads any more; neither is an error of the controller.
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
            dropped => format!("({dropped} lines found no reader)\n{line}"),
        };
        match self.lines.try_send(line) {
            Ok(()) => self.dropped = 0,
            Err(TrySendError::Full(_)) => self.dropped += 1,
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// Gives the thread a moment to write what is left.
    fn finish(self) {
        drop(self.lines);
        let _ = self.written.recv_timeout(SHUTDOWN_FLUSH);
    }
}

/// The lines typed on the standard input, read by a thread of its own, which the end of the process ends.
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

/// Whether this runs behind a shell's `&`, where reading from the terminal would stop the process (SIGTTIN).
fn is_background_job() -> bool {
    // After the name, which is in parentheses: state, parent, process group, session, terminal, foreground group.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(2);
    let (own, foreground) = (fields.next(), fields.nth(2));
    io::stdin().is_terminal() && own != foreground
}

#[allow(clippy::disallowed_methods)] // what is printed carries the time it is printed
fn now() -> Instant {
    Instant::now()
}

/// What happens to a physical arm beside its controller.
const PHYSICAL_WORDS: [&str; 8] = ["push", "estop", "clear", "home", "stall", "free", "grip", "release"];
/// How fast a person moves the arm, in m/s.
const PUSH_SPEED: f64 = 0.1;

/// The words besides the faults.
const WORDS_HELP: &str = "\
ok                ends the faults in force; a crashed controller listens again
  judge NAME:=VALUE the judge goes by another value of this parameter from now on
  push X Y Z        with --physical: a person moves the arm by so much, in the unit of the wire, at 0.1 m/s
  estop, clear      with --physical: an emergency stop, until it is cleared
  home              with --physical: the controller homes the arm
  stall, free       with --physical: an obstacle blocks the arm, or is taken away
  grip, release     with --physical: a person closes or opens the gripper
  status            what is going on
  quit              ends the controller";

const LINES_WAITING: usize = 4096;
const SHUTDOWN_FLUSH: Duration = Duration::from_millis(300);
