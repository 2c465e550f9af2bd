//! The settings of a simulated controller.

use super::fault::FaultSpec;
use super::monitor::Rules;
use super::physical::PhysicalConfig;
use aether_bridge::geometry::Position;
use aether_bridge::wire::PositionUnit;

/// The settings of a simulated controller and its arm.
#[derive(Debug, Clone)]
pub struct ArmSimConfig {
    /// The name or address to listen on.
    pub host: String,
    /// The port to listen on; with 0, the system chooses a free port.
    pub port: u16,
    /// The unit of length of the protocol.
    pub unit: PositionUnit,
    /// The position of the arm at the start.
    pub home: Position,
    /// The speed of the arm, in m/s; above 0.
    pub speed: f64,
    /// The reach of the arm from the origin of its base, in metres. A command beyond it is refused.
    /// `None`: no limit.
    pub reach: Option<f64>,
    /// A physical arm, instead of a point that moves to the newest command. If it is set, its own
    /// speed, reach and reports replace the values here.
    pub physical: Option<PhysicalConfig>,
    /// How many clients may be connected at the same time.
    pub clients: Clients,
    /// Whether replies of "ok" carry position, gripper and motion.
    pub report_state: bool,
    /// Whether a line with members that the protocol does not define is refused.
    pub strict: bool,
    /// Whether the controller knows only commands. If so, it refuses a stop or a heartbeat as an
    /// unknown type, and a stop does not halt the arm.
    pub commands_only: bool,
    /// The lines that the controller sends to every client after it connects.
    pub greeting: Vec<String>,
    /// The token that every client must send in its first line (hello). `None`: no token is needed.
    pub token: Option<String>,
    /// The rules that the monitor checks. `None`: there is no monitor.
    pub monitor: Option<Rules>,
    /// The faults at the start.
    pub faults: Vec<FaultSpec>,
    /// Whether the record keeps every command and connection, for tests. If not, it only counts
    /// them, so that memory does not grow.
    pub keep_record: bool,
}

impl Default for ArmSimConfig {
    /// Returns a well-behaved controller on a free port of 127.0.0.1. It uses millimetres, knows
    /// every kind of line and keeps its record.
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

/// How many clients a controller serves at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Clients {
    /// The first client; other connections are closed immediately.
    One,
    /// All clients.
    #[default]
    Many,
}
