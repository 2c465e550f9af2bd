//! The settings of a simulated controller.

use super::fault::FaultSpec;
use super::monitor::Rules;
use super::physical::PhysicalConfig;
use aether_bridge::geometry::Position;
use aether_bridge::wire::PositionUnit;

/// What a simulated controller is like.
#[derive(Debug, Clone)]
pub struct ArmSimConfig {
    /// The name or address to listen on.
    pub host: String,
    /// The port to listen on; 0 for a free one.
    pub port: u16,
    /// The unit of length of the protocol.
    pub unit: PositionUnit,
    /// Where the arm stands at the start.
    pub home: Position,
    /// How fast the arm moves, in m/s; above 0.
    pub speed: f64,
    /// How far from the base's origin the arm reaches, in metres; commands beyond are refused. `None`: anywhere.
    pub reach: Option<f64>,
    /// What the arm is like, if it is more than a point that goes to the newest command: with speed, reach and reports of its
    /// own, in place of those here.
    pub physical: Option<PhysicalConfig>,
    /// How many clients may be connected at a time.
    pub clients: Clients,
    /// Whether replies of "ok" carry position, gripper and motion.
    pub report_state: bool,
    /// Whether a line with members beyond the protocol is refused.
    pub strict: bool,
    /// Whether it knows commands and nothing else: a stop, or a heartbeat, is then refused like any unknown type, and the
    /// arm goes on.
    pub commands_only: bool,
    /// What it says to every client before anything else, a line each.
    pub greeting: Vec<String>,
    /// What every client has to show in a hello before anything else, if it has to.
    pub token: Option<String>,
    /// The rules that every line is checked against; `None`: the protocol alone.
    pub monitor: Option<Rules>,
    /// The faults it starts with.
    pub faults: Vec<FaultSpec>,
    /// Whether the record keeps every command and connection, as tests want, or only counts them, so that memory
    /// does not grow.
    pub keep_record: bool,
}

impl Default for ArmSimConfig {
    /// A well-behaved controller on a free port of 127.0.0.1 that speaks millimetres, knows every kind of line and keeps
    /// its record.
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            unit: PositionUnit::default(),
            home: Position::new(0.2, 0.0, 0.2).expect("three small numbers are a position"),
            speed: 0.5,
            reach: None,
            physical: None,
            clients: Clients::default(),
            report_state: false,
            strict: false,
            commands_only: false,
            greeting: Vec::new(),
            token: None,
            monitor: None,
            faults: Vec::new(),
            keep_record: true,
        }
    }
}

/// How many clients a controller has at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Clients {
    /// The first one; others are closed at once.
    One,
    /// All that come.
    #[default]
    Many,
}
