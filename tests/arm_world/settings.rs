//! The settings of a world: the parameters of the bridge, the arm, and the network between them. A
//! seed determines all of them.

use std::time::Duration;

use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_sim::physical::{AfterRestart, FaultWord, Intake, PhysicalConfig, Reports};
use fastrand::Rng;

#[derive(Debug, Clone)]
pub struct Settings {
    pub seed: u64,
    pub bridge: Config,
    /// The parameters of the bridge that differ from the defaults, for the output.
    pub parameters: Vec<(&'static str, Value)>,
    pub arm: PhysicalConfig,
    pub server: Server,
    /// The smallest transit time of a packet.
    pub latency: Duration,
    pub jitter: Duration,
    /// Whether replies contain the number of their line.
    pub echoes_seq: bool,
    pub hand_period: Duration,
}

/// Which clients the controller serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// All clients at the same time.
    Many,
    /// One client after the other. A client that connects meanwhile waits in the backlog.
    One {
        /// Whether the controller checks for the end of the connection before it executes the first
        /// line.
        reads_to_end: bool,
    },
}

impl Settings {
    pub fn random(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let (speed, share) = (among(rng, &[0.1, 0.25, 0.25, 1.0]), among(rng, &[0.2, 0.4, 1.0]));
        let heartbeat = among(rng, &[0.0, 0.0, 0.1, 0.25, 1.0]);
        let parameters = vec![
            ("teleop.arming", text(among(rng, &["automatic", "automatic", "operator"]))),
            ("teleop.hold_behavior", text(among(rng, &["silent", "repeat", "stop"]))),
            ("teleop.settle_time", Value::Real(among(rng, &[0.0, 0.3, 1.0]))),
            ("teleop.command_rate", Value::Real(among(rng, &[0.0, 10.0, 50.0, 50.0, 200.0]))),
            ("limits.speed", Value::Real(speed)),
            ("limits.approach_speed", Value::Real(speed * share)),
            ("link.heartbeat.period", Value::Real(heartbeat)),
            ("link.max_in_flight", Value::Integer(among(rng, &[1, 1, 1, 2, 4]))),
            ("limits.step", Value::Real(among(rng, &[0.0, 0.0, 0.005]))),
            ("input.timeout", Value::Real(among(rng, &[0.1, 0.2, 0.2, 0.5]))),
            ("gripper.close_debounce", Value::Real(among(rng, &[0.0, 0.1]))),
            ("gripper.open_debounce", Value::Real(among(rng, &[0.0, 0.3]))),
            ("arm.assume_position", text(among(rng, &["none", "none", "none", "none", "home", "last"]))),
            ("arm.position_timeout", Value::Real(among(rng, &[5.0, 300.0]))),
            ("teleop.max_consecutive_errors", Value::Integer(among(rng, &[1, 5]))),
        ];
        let reports = among(rng, &[0, 0, 1, 2, 3, 4]);
        let home = Position::new(0.2, 0.0, 0.2).unwrap();
        let elsewhere = |rng: &mut Rng| {
            let [x, y, z] = [0.2, 0.2, 0.1].map(|size| size * (2.0 * rng.f64() - 1.0));
            Position::new(0.2 + x, y, 0.2 + z).unwrap()
        };
        let wrong_report = rng.u8(..12);
        let arm = PhysicalConfig {
            home,
            start: if rng.bool() { home } else { elsewhere(rng) },
            speed: among(rng, &[0.1, 0.3, 0.5, 2.0]),
            acceleration: among(rng, &[f64::INFINITY, f64::INFINITY, 1.0, 5.0]),
            intake: among(
                rng,
                &[Intake::Newest, Intake::Newest, Intake::Queue { size: 4 }, Intake::Queue { size: 64 }],
            ),
            reach: among(rng, &[None, Some(0.33), Some(0.5)]),
            wall: (rng.u8(..3) == 0).then(|| {
                let (x, thick) = (0.1 + 0.25 * rng.f64(), 0.02 + 0.1 * rng.f64());
                [Position::new(x, -1.0, -1.0).unwrap(), Position::new(x + thick, 1.0, 1.0).unwrap()]
            }),
            knows_stop: rng.u8(..4) > 0,
            knows_heartbeat: rng.u8(..5) > 0,
            reports: Reports {
                commands: reports == 1 || reports == 4,
                refusals: reports == 4,
                heartbeats: reports == 2 || reports == 4,
                stops: reports == 2 || reports == 4,
                unasked: (reports == 3).then_some(Duration::from_millis(50)),
                moving: rng.bool(),
                gripper: rng.bool(),
            },
            sag: among(rng, &[0.0, 0.0, 0.003]),
            noise: among(rng, &[0.0, 0.0, 0.0005]),
            unit_factor: match wrong_report {
                0 => 0.001,
                1 => 10.0,
                _ => 1.0,
            },
            zero_before_homing: wrong_report == 2,
            needs_homing: wrong_report == 3,
            fault_word: among(
                rng,
                &[FaultWord::Reported, FaultWord::OnlyRefuses, FaultWord::ReportedAndAccepts],
            ),
            after_restart: among(rng, &[AfterRestart::Keeps, AfterRestart::Homes, AfterRestart::Unhomed]),
            drop: 0.1,
            seed,
            ..PhysicalConfig::default()
        };
        Self {
            server: among(
                rng,
                &[Server::Many, Server::One { reads_to_end: true }, Server::One { reads_to_end: false }],
            ),
            latency: Duration::from_micros(among(rng, &[100, 2_000, 20_000])),
            jitter: Duration::from_micros(among(rng, &[1, 3_000, 30_000])),
            echoes_seq: rng.bool(),
            hand_period: Duration::from_millis(among(rng, &[16, 33, 33, 60])),
            ..Self::new(seed, parameters, arm)
        }
    }

    /// Creates settings with a quick network and a controller that serves all clients.
    pub fn new(seed: u64, parameters: Vec<(&'static str, Value)>, arm: PhysicalConfig) -> Self {
        let bridge =
            Config::new(&Parameters::with(&parameters).expect("known parameters")).expect("valid parameters");
        Self {
            seed,
            bridge,
            parameters,
            arm,
            server: Server::Many,
            latency: Duration::from_micros(200),
            jitter: Duration::from_micros(1),
            echoes_seq: false,
            hand_period: Duration::from_millis(33),
        }
    }

    /// Returns whether every reported position is true.
    pub fn is_truthful(&self) -> bool {
        self.arm.unit_factor == 1.0 && !self.arm.zero_before_homing
    }

    /// Returns whether the bridge can request the position, or receives it all the time.
    pub fn reports_position(&self) -> bool {
        let asked =
            self.bridge.link.heartbeat.is_some() && self.arm.knows_heartbeat && self.arm.reports.heartbeats;
        asked || self.arm.reports.unasked.is_some()
    }

    /// Returns whether the controller replies to a line that moves nothing.
    pub fn answers_heartbeats(&self) -> bool {
        self.bridge.link.heartbeat.is_some_and(|heartbeat| heartbeat.expects_reply)
    }

    /// Returns the largest age of a position report when a motion begins.
    pub fn position_request_time(&self) -> Duration {
        let period = self.bridge.link.heartbeat.map_or(Duration::ZERO, |heartbeat| heartbeat.period);
        period.max(self.arm.reports.unasked.unwrap_or_default())
            + 4 * (self.latency + self.jitter)
            + Duration::from_millis(200)
    }

    /// Returns the settings in a few lines, for a failure.
    pub fn describe(&self) -> String {
        let parameters: Vec<_> =
            self.parameters.iter().map(|(name, value)| format!("{name}:={value}")).collect();
        let (server, latency, jitter) = (self.server, self.latency, self.jitter);
        format!(
            "  {}\n  {:?}\n  {server:?}, latency {latency:?} + {jitter:?}",
            parameters.join(" "),
            self.arm
        )
    }
}

fn among<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}
