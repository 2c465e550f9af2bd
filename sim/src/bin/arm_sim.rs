//! `arm_sim`: a simulated arm controller to which the bridge can connect.

use std::process::ExitCode;

use aether_bridge::geometry::Position;
use aether_bridge::wire::PositionUnit;
use aether_sim::console::{self, Print};
use aether_sim::fault::FAULTS_HELP;
use aether_sim::monitor::Setting;
use aether_sim::physical::{AfterRestart, FaultWord, Intake, PhysicalConfig, Reports};
use aether_sim::replay;
use aether_sim::{ArmSim, ArmSimConfig, Clients, FaultSpec, Rules};
use anyhow::Context;
use clap::{CommandFactory, Parser, error::ErrorKind};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let Args {
        host,
        port,
        unit,
        speed,
        reach,
        clients,
        report_state,
        strict,
        commands_only,
        greeting,
        token,
        physical,
        judge,
        replay,
        fault,
        print,
    } = Args::parse();
    let rules = judge.map(|settings| Rules::default().with(&settings)).transpose();
    let monitor =
        rules.unwrap_or_else(|error| Args::command().error(ErrorKind::ValueValidation, error).exit());
    if let (Some(path), Some(rules)) = (replay, &monitor) {
        return check_recording(&path, rules.clone(), unit);
    }
    let config = ArmSimConfig {
        unit,
        speed,
        reach,
        physical: physical.config(speed, reach, report_state, commands_only, unit),
        clients,
        report_state,
        strict,
        commands_only,
        greeting,
        token,
        monitor,
        faults: fault,
        keep_record: false,
        ..ArmSimConfig { host: host.clone(), port, ..ArmSimConfig::default() }
    };
    let sim = ArmSim::start(config).await.with_context(|| {
        format!("cannot listen on {host}:{port}; if another controller runs there, stop it or choose another --port")
    })?;
    let counts = console::run(sim, print).await?;
    Ok(if counts.violations > 0 { ExitCode::from(VIOLATED) } else { ExitCode::SUCCESS })
}

/// Prints the violations in a recording.
fn check_recording(path: &str, rules: Rules, unit: PositionUnit) -> anyhow::Result<ExitCode> {
    let recording = match path {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let recording = recording.with_context(|| format!("cannot read {path}"))?;
    let found =
        replay::check(&recording, rules, unit).with_context(|| format!("{path} is not a recording"))?;
    found.iter().for_each(|violation| println!("{violation}"));
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(VIOLATED) })
}

/// The exit code if the monitor has found a violation. Exit code 1 is a failed start, 2 an invalid
/// option.
const VIOLATED: u8 = 3;

/// A simulated arm controller. It listens on a TCP port, checks every line against the protocol and
/// replies. A simulated arm moves towards the last command at a finite speed and halts at a stop.
/// Connect the bridge to it to try things without an arm, or add faults to see how the bridge
/// reacts.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP.replace("FAULTS", FAULTS_HELP), max_term_width = 110)]
struct Args {
    /// Name or address to listen on; 0.0.0.0 accepts connections from other machines
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// TCP port to listen on; with 0, the system chooses a free port, and the first printed line
    /// shows it
    #[arg(long, default_value_t = 5000)]
    port: u16,
    /// Unit of length on the wire: mm, cm or m
    #[arg(long, default_value_t = PositionUnit::Millimetres)]
    unit: PositionUnit,
    /// Speed of the arm, in m/s
    #[arg(long, default_value_t = 0.5, value_parser = above_zero)]
    speed: f64,
    /// Reach of the arm from its base, in m; a command beyond it gets an error reply [default: no
    /// limit]
    #[arg(long, value_parser = above_zero)]
    reach: Option<f64>,
    /// How many clients may be connected at the same time; with "one", a second client is
    /// disconnected immediately
    #[arg(long, value_enum, default_value_t)]
    clients: Clients,
    /// Add position, gripper and motion to every ok reply
    #[arg(long)]
    report_state: bool,
    /// Refuse lines with members that the protocol does not define
    #[arg(long)]
    strict: bool,
    /// Know only commands: refuse every other line as an unknown type. A stop does not halt the arm
    #[arg(long)]
    commands_only: bool,
    /// A line to send to every client after it connects; may be given several times
    #[arg(long, value_name = "TEXT")]
    greeting: Vec<String>,
    /// Token that every client must send in its first line, {"type":"hello","token":"..."}
    #[arg(long)]
    token: Option<String>,
    #[command(flatten)]
    physical: Physical,
    /// Check every line against the rules that a controller relies on. NAME:=VALUE sets parameters
    /// of the bridge that differ from their defaults. Each violation is printed as a line of JSON,
    /// and the exit code is then 3
    #[arg(long, value_name = "NAME:=VALUE", num_args = 0..)]
    judge: Option<Vec<Setting>>,
    /// Check a recording with --judge instead of listening. FILE is a file, or - for the standard
    /// input, with lines such as {"at":1.5,"connection":1,"event":"line","text":"..."}; an event is
    /// connected, line, reply or quiet (nothing to read)
    #[arg(long, value_name = "FILE", requires = "judge")]
    replay: Option<String>,
    /// A fault from the list below; may be given several times
    #[arg(long, value_name = "SPEC")]
    fault: Vec<FaultSpec>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    print: Print,
}

/// A physical arm, instead of a point that moves to the newest command.
#[derive(clap::Args)]
#[command(next_help_heading = "Physical arm")]
struct Physical {
    /// Simulate an arm that can be pushed, stopped, homed and blocked by words on the standard
    /// input (see help). Its controller can queue, refuse and report as set below. With --judge,
    /// the motion of the arm is checked too
    #[arg(long)]
    physical: bool,
    /// Position of the arm at the start, in the unit of the wire [default: home, 200 mm, 0, 200 mm]
    #[arg(
        long,
        value_name = "X,Y,Z",
        requires = "physical",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    start: Vec<f64>,
    /// Acceleration of the arm, in m/s² [default: no limit]
    #[arg(long, requires = "physical", value_parser = above_zero)]
    acceleration: Option<f64>,
    /// Execute commands one after another; if this many are waiting, refuse the next as busy
    /// [default: go to the newest]
    #[arg(long, value_name = "COMMANDS", requires = "physical")]
    queue: Option<usize>,
    /// Which replies report position, gripper and motion [default: all with --report-state,
    /// otherwise none]
    #[arg(long, requires = "physical", value_enum, value_delimiter = ',')]
    reports: Vec<Report>,
    /// How far the arm hangs below its commanded position, in m
    #[arg(long, requires = "physical", default_value_t = 0.0)]
    sag: f64,
    /// The largest error of a reported coordinate, in m
    #[arg(long, requires = "physical", default_value_t = 0.0)]
    noise: f64,
    /// Factor on reported positions; 0.001 reports metres on a millimetre wire
    #[arg(long, requires = "physical", default_value_t = 1.0)]
    unit_factor: f64,
    /// Report a position of zeros until the arm has been homed
    #[arg(long, requires = "physical")]
    zero_before_homing: bool,
    /// How the controller reports a fault
    #[arg(long, requires = "physical", value_enum, default_value = "reported")]
    fault_word: FaultWord,
    /// What the controller does with the arm after a crash and restart
    #[arg(long, requires = "physical", value_enum, default_value = "keeps")]
    after_restart: AfterRestart,
}

/// A kind of reply that can report the state of the arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Report {
    /// Replies that accept a command
    Commands,
    /// Replies that refuse a line
    Refusals,
    /// Replies to heartbeats
    Heartbeats,
    /// Replies to stops
    Stops,
}

impl Physical {
    fn config(
        &self,
        speed: f64,
        reach: Option<f64>,
        report_state: bool,
        commands_only: bool,
        unit: PositionUnit,
    ) -> Option<PhysicalConfig> {
        let default = PhysicalConfig::default();
        let has = |report| self.reports.contains(&report) || (report_state && self.reports.is_empty());
        let place = match *self.start.as_slice() {
            [x, y, z] => {
                let metres = [x, y, z].map(|length| length / unit.per_metre());
                Position::new(metres[0], metres[1], metres[2]).map_err(|error| error.to_string())
            }
            [] => Ok(default.home),
            _ => Err("expected three numbers, as in --start 200,0,200".to_owned()),
        };
        let start =
            place.unwrap_or_else(|error| Args::command().error(ErrorKind::ValueValidation, error).exit());
        let reports = Reports {
            commands: has(Report::Commands),
            refusals: has(Report::Refusals),
            heartbeats: has(Report::Heartbeats),
            stops: has(Report::Stops),
            unasked: None,
            moving: true,
            gripper: true,
        };
        self.physical.then(|| PhysicalConfig {
            start,
            speed,
            acceleration: self.acceleration.unwrap_or(f64::INFINITY),
            intake: self.queue.map_or(Intake::Newest, |size| Intake::Queue { size }),
            reach,
            knows_stop: !commands_only,
            knows_heartbeat: !commands_only,
            reports,
            sag: self.sag,
            noise: self.noise,
            unit_factor: self.unit_factor,
            zero_before_homing: self.zero_before_homing,
            fault_word: self.fault_word,
            after_restart: self.after_restart,
            ..default
        })
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

const AFTER_HELP: &str = r#"Protocol:
  One JSON object a line, UTF-8, ended by \n; one reply to each line, in order.
  client      {"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}
              {"type":"stop"}
              {"type":"heartbeat"}
  controller  {"status":"ok","message":"Command received"}
              {"status":"error","message":"z is \"up\", expected a number"}
  A line may have a "seq", which the reply echoes, and a "ttl" in milliseconds: if no further line
  comes within the ttl, the controller halts the arm.
  A stop halts the arm where it is and leaves the gripper, until the next command.
  gripper is "open" or "closed"; a line over 4096 bytes or not UTF-8 ends the connection.

Faults, for --fault or typed on the standard input (a typed fault replaces the present faults):
FAULTS
  Other words to type: ok (ends the faults), judge NAME:=VALUE, status, help, quit; with --physical
  also push X Y Z, estop, clear, home, stall, free, grip, release.

Examples:
  arm_sim                                    a well-behaved controller on 127.0.0.1:5000
  arm_sim --print lines --report-state       shows every line, and reports the position of the arm
  arm_sim --commands-only --strict           knows only commands, and no members beyond the protocol
  arm_sim --judge limits.speed:=0.1          prints every line that breaks a rule of docs/safety.md
  arm_sim --physical --reports heartbeats --judge
                                             an arm to push ("push 50 0 0"), to stop ("estop"), …
  arm_sim --fault delay:0.2 --fault split    slow, and byte by byte
  arm_sim --fault silence@100x50             replies to 100 commands, not to the next 50
  arm_sim --fault restart:2@300              crashes at command 301, and restarts 2 s later

SIGINT (Ctrl-C) and SIGTERM end arm_sim with a summary. The exit code is 0, or 3 if --judge has
found a violation."#;
