//! `arm_sim`: a simulated arm controller to point the bridge at.

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
    let found = replay::check(&recording, rules, unit).with_context(|| format!("{path} is no recording"))?;
    found.iter().for_each(|violation| println!("{violation}"));
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(VIOLATED) })
}

/// The exit code if the monitor has found a violation; 1 is for what cannot be run, 2 for bad options.
const VIOLATED: u8 = 3;

/// A simulated arm controller: listens on a TCP port, judges every line by the protocol, moves a simulated arm
/// towards the last command at a finite speed, halts it at a stop, and answers. Point the bridge at it to try things
/// without an arm, and let it misbehave to see what the bridge does then.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP.replace("FAULTS", FAULTS_HELP), max_term_width = 110)]
struct Args {
    /// Name or address to listen on; 0.0.0.0 lets other machines in
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// TCP port to listen on; 0 takes a free one, which the first line printed tells
    #[arg(long, default_value_t = 5000)]
    port: u16,
    /// Unit of length on the wire: mm, cm or m
    #[arg(long, default_value_t = PositionUnit::Millimetres)]
    unit: PositionUnit,
    /// How fast the arm moves, in m/s
    #[arg(long, default_value_t = 0.5, value_parser = above_zero)]
    speed: f64,
    /// How far the arm reaches from its base, in m; commands beyond get an error reply [default: anywhere]
    #[arg(long, value_parser = above_zero)]
    reach: Option<f64>,
    /// How many clients may be connected at a time; the second of one is closed at once
    #[arg(long, value_enum, default_value_t)]
    clients: Clients,
    /// Add position, gripper and motion to every ok reply
    #[arg(long)]
    report_state: bool,
    /// Refuse lines with members beyond the protocol
    #[arg(long)]
    strict: bool,
    /// Refuse all but commands like any line of an unknown type; at a stop, go on moving
    #[arg(long)]
    commands_only: bool,
    /// A line to say to every client before anything else; may be given several times
    #[arg(long, value_name = "TEXT")]
    greeting: Vec<String>,
    /// What every client has to show before anything else, as {"type":"hello","token":"..."}
    #[arg(long)]
    token: Option<String>,
    #[command(flatten)]
    physical: Physical,
    /// Hold every line against what a controller may rely on, by these parameters of the bridge where they are not the
    /// defaults; what is wrong is printed as a line of JSON, and makes the exit code 3
    #[arg(long, value_name = "NAME:=VALUE", num_args = 0..)]
    judge: Option<Vec<Setting>>,
    /// Check a recording by --judge instead of listening: a file, or - for the standard input, of lines like
    /// {"at":1.5,"connection":1,"event":"line","text":"..."}; an event is connected, line, reply or quiet (nothing to read)
    #[arg(long, value_name = "FILE", requires = "judge")]
    replay: Option<String>,
    /// A fault to show, as below; may be given several times
    #[arg(long, value_name = "SPEC")]
    fault: Vec<FaultSpec>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    print: Print,
}

/// A physical arm in place of a point that goes to the newest command.
#[derive(clap::Args)]
#[command(next_help_heading = "Physical arm")]
struct Physical {
    /// Simulate an arm that can be pushed, stopped, homed and blocked (by words on the standard input, see help), and whose
    /// controller may queue, refuse and report as below; with --judge the arm's motion is judged too
    #[arg(long)]
    physical: bool,
    /// Where the arm stands at first, in the unit of the wire [default: at home, 200 mm, 0, 200 mm]
    #[arg(
        long,
        value_name = "X,Y,Z",
        requires = "physical",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    start: Vec<f64>,
    /// The arm's own acceleration, in m/s² [default: it has its speed at once]
    #[arg(long, requires = "physical", value_parser = above_zero)]
    acceleration: Option<f64>,
    /// Work off commands one after the other, and refuse more than so many as busy [default: go to the newest]
    #[arg(long, value_name = "COMMANDS", requires = "physical")]
    queue: Option<usize>,
    /// Which replies report position, gripper and motion [default: those of --report-state]
    #[arg(long, requires = "physical", value_enum, value_delimiter = ',')]
    reports: Vec<Report>,
    /// How far the arm hangs below where it was told to be, in m
    #[arg(long, requires = "physical", default_value_t = 0.0)]
    sag: f64,
    /// The largest error of a reported coordinate, in m
    #[arg(long, requires = "physical", default_value_t = 0.0)]
    noise: f64,
    /// What reported positions are multiplied by: 0.001 is metres on a millimetre wire
    #[arg(long, requires = "physical", default_value_t = 1.0)]
    unit_factor: f64,
    /// Report zeros until the arm has been homed
    #[arg(long, requires = "physical")]
    zero_before_homing: bool,
    /// How a fault is told
    #[arg(long, requires = "physical", value_enum, default_value = "reported")]
    fault_word: FaultWord,
    /// What a controller that crashed and is back does with the arm
    #[arg(long, requires = "physical", value_enum, default_value = "keeps")]
    after_restart: AfterRestart,
}

/// A reply that may report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Report {
    /// Those that accept a command
    Commands,
    /// Those that refuse
    Refusals,
    /// Those to heartbeats
    Heartbeats,
    /// Those to stops
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
  A line may have a "seq", which the reply echoes, and a "ttl" in milliseconds: without a further line for so long the
  arm halts by itself.
  A stop halts the arm where it is and leaves the gripper, until the next command.
  gripper is "open" or "closed"; a line over 4096 bytes or not UTF-8 ends the connection.

Faults, for --fault and to be typed while it runs (typed, they replace those in force):
FAULTS
  Typed besides: ok (ends the faults), judge NAME:=VALUE, status, help, quit; with --physical push X Y Z, estop, clear,
  home, stall, free, grip, release.

Examples:
  arm_sim                                    a well-behaved controller on 127.0.0.1:5000
  arm_sim --print lines --report-state       shows every line, reports where the arm is
  arm_sim --commands-only --strict           a controller that knows commands as they are, and nothing else
  arm_sim --judge limits.speed:=0.1          tells of every line that breaks a rule of docs/safety.md
  arm_sim --physical --reports heartbeats --judge
                                             an arm to be pushed by "push 50 0 0", stopped by "estop", ...
  arm_sim --fault delay:0.2 --fault split    slow, and byte by byte
  arm_sim --fault silence@100x50             answers 100 commands, not the next 50, then all again
  arm_sim --fault restart:2@300              crashes at command 301, is back 2 s later

SIGINT (Ctrl-C) and SIGTERM end it with a summary and exit code 0, or 3 where --judge has found a line wrong."#;
