//! `arm_check`: tells the author of a controller what the bridge will make of it.

use std::{io::Write, process::ExitCode, time::Duration};

use aether_bridge::arm::Gripper;
use aether_bridge::link::{HostError, check_host};
use aether_bridge::wire::PositionUnit;
use aether_sim::check::{self, Allowed, CheckConfig, Person};
use clap::{CommandFactory, Parser, error::ErrorKind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let person = if args.yes || args.no_motion { Person::agreeing() } else { Person::answering(answers()) };
    let config = args.config();
    match check::run(&config, person, say).await {
        Ok(report) => {
            say(&format!("\n{report}"));
            if report.conformant() { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) }
        }
        Err(error) => {
            eprintln!("arm_check: {error}");
            ExitCode::from(NOTHING_CHECKED)
        }
    }
}

/// The lines of the standard input, as they come. The thread ends with the program, or when there are no more.
fn answers() -> UnboundedReceiver<String> {
    let (sender, answers) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.is_ok_and(|line| sender.send(line).is_ok()) {
                continue;
            }
            break;
        }
    });
    answers
}

/// Nobody reads on: nothing may go on moving unseen.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(NOTHING_CHECKED.into());
    }
}

/// Checks an arm's controller against the protocol (docs/protocol.md): plays the bridge's side, shows every line sent
/// and received with its time, and says of each thing whether it is right, and if not, what was seen, what the protocol
/// says and how to mend it.
///
/// It moves the arm, and asks before: it finds out where the arm is, says what will move, and waits for your yes. Then it
/// moves by small steps within --radius of where the arm is, and goes to --at if that is given. Stand clear, or use
/// --no-motion.
#[derive(Parser)]
#[command(name = "arm_check", version, after_help = AFTER_HELP, max_term_width = 110)]
struct Args {
    /// Name or address of the controller
    #[arg(value_parser = host)]
    host: String,
    /// Port of the controller
    port: u16,
    /// Where to check the arm, in the wire's unit and the arm's base frame: it goes there by small steps. Without it the
    /// arm is checked where it stands. With --yes, and a controller that does not say where the arm is: where it stands,
    /// by your word
    #[arg(
        long, num_args = 3, value_names = ["X", "Y", "Z"], allow_negative_numbers = true, conflicts_with = "no_motion"
    )]
    at: Option<Vec<f64>>,
    /// Ask nothing: you know that the way is free and that the arm may move. What only a person can see is not checked
    #[arg(long)]
    yes: bool,
    /// Send nothing that moves the arm: no command, and nothing that is wrong on purpose. What is left is connecting,
    /// and what --heartbeat and --stop ask for
    #[arg(long)]
    no_motion: bool,
    /// How far from there commands may lead, in mm; so far the arm moves along +x, +y and +z
    #[arg(long, default_value_t = 5.0, value_name = "MM")]
    radius: f64,
    /// What every command tells the gripper to be, open or closed, so that it may move. Without it the gripper stays as
    /// the controller says that it is, or you when you are asked
    #[arg(long, value_parser = gripper)]
    gripper: Option<Gripper>,
    /// Unit of length on the wire: mm, cm or m
    #[arg(long, default_value_t = PositionUnit::Millimetres)]
    unit: PositionUnit,
    /// How many lines the controller says on connecting (link.banner_lines)
    #[arg(long, default_value_t = 0, value_name = "LINES")]
    greeting: u32,
    /// For how long those lines are waited for after connecting, in s (link.banner_timeout)
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    banner_timeout: f64,
    /// When a reply is late, in s (link.reply_timeout)
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS", value_parser = seconds)]
    timeout: f64,
    /// The controller knows {"type":"stop"} (teleop.hold_behavior: stop)
    #[arg(long)]
    stop: bool,
    /// The controller knows {"type":"heartbeat"} (link.heartbeat.period)
    #[arg(long)]
    heartbeat: bool,
    /// Number every line (wire.extra_fields: seq), and look whether replies echo it
    #[arg(long)]
    seq: bool,
    /// Replies have to say where the arm is
    #[arg(long)]
    state: bool,
    /// Listen on HOST and PORT, for a controller that dials in (link.transport: tcp_server)
    #[arg(long)]
    listen: bool,
    /// Send datagrams (link.transport: udp); --seq goes with it
    #[arg(long, conflicts_with_all = ["listen", "greeting"])]
    udp: bool,
}

impl Args {
    /// What is asked for; what cannot be ends the program, with the reason.
    fn config(self) -> CheckConfig {
        let at = self.at.and_then(|at| <[f64; 3]>::try_from(at).ok());
        let allowed = Allowed::new(at, self.unit, self.radius, self.gripper);
        let allowed =
            allowed.unwrap_or_else(|error| Self::command().error(ErrorKind::ValueValidation, error).exit());
        let allowed = Some(allowed).filter(|_| !self.no_motion);
        CheckConfig {
            listen: self.listen,
            udp: self.udp,
            unit: self.unit,
            greeting: self.greeting,
            banner_timeout: Duration::from_secs_f64(self.banner_timeout),
            timeout: Duration::from_secs_f64(self.timeout),
            // The bridge's link.timeout, and longer where replies may take longer.
            patience: Duration::from_secs_f64((6.0 * self.timeout).max(3.0)),
            stop: self.stop,
            heartbeat: self.heartbeat,
            seq: self.seq || self.udp,
            state: self.state,
            ..CheckConfig::new(self.host, self.port, allowed)
        }
    }
}

fn host(text: &str) -> Result<String, HostError> {
    check_host(text).map(|()| text.to_owned())
}

fn gripper(word: &str) -> Result<Gripper, String> {
    let known = [Gripper::Open, Gripper::Closed].into_iter().find(|gripper| gripper.as_str() == word);
    known.ok_or_else(|| "expected open or closed".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| (0.01..=60.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds from 0.01 to 60".to_owned())
}

const FINDINGS: u8 = 1;
const NOTHING_CHECKED: u8 = 2;

const AFTER_HELP: &str = r#"Findings:
  ok     as the protocol has it
  note   allowed, and worth knowing
  WRONG  what was seen; what the protocol says; how to mend it

Exit code: 0 nothing is wrong; 1 something is; 2 nothing was checked: no connection, nobody said yes, or arguments that
make no sense.

Examples:
  arm_check 192.168.1.50 5000                           asks, then moves the arm by 5 mm around where it stands
  arm_check 192.168.1.50 5000 --at 200 0 200            asks, moves it so, and goes there by small steps
  arm_check 192.168.1.50 5000 --at 0.2 0 0.2 --unit m --stop --heartbeat --state
  arm_check 192.168.1.50 5000 --at 200 0 200 --gripper open --yes      for scripts
  arm_check 192.168.1.50 5000 --no-motion --heartbeat   moves nothing
  arm_check 0.0.0.0 5000 --listen --at 200 0 200        for a controller that dials in
  arm_check 192.168.1.50 5000 --udp --at 200 0 200      for one that speaks in datagrams

Try it without an arm: arm_sim --report-state, in another terminal, and arm_check 127.0.0.1 5000"#;
