//! `arm_check`: checks an arm controller against the protocol and reports the findings to its
//! author.

use std::{io::Write, process::ExitCode, time::Duration};

use aether_bridge::arm::Gripper;
use aether_bridge::link::{HostError, check_host};
use aether_bridge::wire::PositionUnit;
use aether_sim::check::{self, Allowed, CheckConfig, Operator};
use clap::{CommandFactory, Parser, error::ErrorKind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let operator =
        if args.yes || args.no_motion { Operator::agreeing() } else { Operator::answering(answers()) };
    let config = args.config();
    match check::run(&config, operator, print_line).await {
        Ok(report) => {
            print_line(&format!("\n{report}"));
            if report.conformant() { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) }
        }
        Err(error) => {
            eprintln!("arm_check: {error}");
            ExitCode::from(NOTHING_CHECKED)
        }
    }
}

/// Returns a channel with the lines of the standard input. The thread that reads them ends at the
/// end of the input, or with the program.
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

/// Prints a line. If the output is closed, ends the program, because the arm must not move while
/// the operator cannot read the output.
fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(NOTHING_CHECKED.into());
    }
}

/// Checks an arm controller against the protocol (docs/protocol.md). arm_check takes the role of
/// the bridge. It shows every line sent and received with its time, and reports for each check
/// whether the controller conforms. If not, it shows what was seen, the rule of the protocol and a
/// fix.
///
/// arm_check moves the arm, but asks first: it finds out where the arm is, shows what will move,
/// and waits for your yes. Then it moves the arm in small steps within --radius of its position,
/// and to --at if that is given. Stand clear, or use --no-motion.
#[derive(Parser)]
#[command(name = "arm_check", version, after_help = AFTER_HELP, max_term_width = 110)]
struct Args {
    /// Name or address of the controller
    #[arg(value_parser = host)]
    host: String,
    /// Port of the controller
    port: u16,
    /// Position where the arm is checked, in the unit of --unit and the arm's base frame. The arm
    /// goes there in small steps. Without --at, the arm is checked where it is. With --yes, and a
    /// controller that does not report a position, --at must be the present position of the arm
    #[arg(
        long, num_args = 3, value_names = ["X", "Y", "Z"], allow_negative_numbers = true, conflicts_with = "no_motion"
    )]
    at: Option<Vec<f64>>,
    /// Ask no questions, because you know that the way is free and that the arm may move. Checks
    /// that need an observer are skipped
    #[arg(long)]
    yes: bool,
    /// Send nothing that moves the arm: no command, and no invalid line. Only the connection, and
    /// what --heartbeat and --stop ask for, are checked
    #[arg(long)]
    no_motion: bool,
    /// Largest distance in mm between a command and the checked position; also the length of the
    /// test motions along +x, +y and +z
    #[arg(long, default_value_t = 5.0, value_name = "MM")]
    radius: f64,
    /// State of the gripper in every command, open or closed, so the gripper may move. Without it,
    /// the gripper keeps the state that the controller reports, or that you enter when asked
    #[arg(long, value_parser = gripper)]
    gripper: Option<Gripper>,
    /// Unit of length on the wire: mm, cm or m
    #[arg(long, default_value_t = PositionUnit::Millimetres)]
    unit: PositionUnit,
    /// Number of lines that the controller sends after connecting (link.banner_lines)
    #[arg(long, default_value_t = 0, value_name = "LINES")]
    greeting: u32,
    /// Longest wait for those lines after connecting, in s (link.banner_timeout)
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    banner_timeout: f64,
    /// Time after which a reply is late, in s (link.reply_timeout)
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS", value_parser = seconds)]
    timeout: f64,
    /// The controller knows {"type":"stop"} (teleop.hold_behavior: stop)
    #[arg(long)]
    stop: bool,
    /// The controller knows {"type":"heartbeat"} (link.heartbeat.period)
    #[arg(long)]
    heartbeat: bool,
    /// Number every line (wire.extra_fields: seq), and check whether replies return the number
    #[arg(long)]
    seq: bool,
    /// Require that replies report the arm's position
    #[arg(long)]
    state: bool,
    /// Listen on HOST and PORT for a controller that connects to the bridge (link.transport:
    /// tcp_server)
    #[arg(long)]
    listen: bool,
    /// Send datagrams (link.transport: udp); includes --seq
    #[arg(long, conflicts_with_all = ["listen", "greeting"])]
    udp: bool,
}

impl Args {
    /// Converts the arguments. An invalid argument ends the program with the reason.
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
            // link.timeout of the bridge, or longer if replies may take longer.
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
  ok     conforms to the protocol
  note   allowed, and worth knowing
  WRONG  does not conform: what was seen, the rule of the protocol, and a fix

Exit code: 0 nothing is wrong; 1 something is wrong; 2 nothing was checked: no connection, no "yes"
from the operator, or invalid arguments.

Examples:
  arm_check 192.168.1.50 5000                           asks, then moves the arm by 5 mm
  arm_check 192.168.1.50 5000 --at 200 0 200            also goes there in small steps
  arm_check 192.168.1.50 5000 --at 0.2 0 0.2 --unit m --stop --heartbeat --state
  arm_check 192.168.1.50 5000 --at 200 0 200 --gripper open --yes      for scripts
  arm_check 192.168.1.50 5000 --no-motion --heartbeat   moves nothing
  arm_check 0.0.0.0 5000 --listen --at 200 0 200        for a controller that connects to the bridge
  arm_check 192.168.1.50 5000 --udp --at 200 0 200      for a controller that uses UDP datagrams

Try it without an arm: arm_sim --report-state, in another terminal, and arm_check 127.0.0.1 5000"#;
