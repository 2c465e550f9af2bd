//! What the parameters mean: one validated [`Config`] with units in its types, and errors that name the parameter.

mod change;
mod parameter;
mod place;
mod security;
mod source;
mod table;
mod value;
mod wire;

pub use change::{Change, ChangeRefused, Changed};
pub use parameter::{Parameter, Range};
pub use security::HelloConfig;
pub use source::SourceConfig;
pub use table::parameters;
pub use value::{Parameters, Value};

use std::time::Duration;

use crate::arm::Gripper;
use crate::geometry::{Orientation, Position};
use crate::link::backoff::Backoff;
use crate::link::{Heartbeat, LinkConfig, Role, TransportConfig};
use crate::mapping::PathError;
use crate::teleop::clutch::RetargetMode;
use crate::teleop::filter::{FilterConfig, OneEuro};
use crate::teleop::gripper::GripperConfig;
use crate::teleop::jump::JumpConfig;
use crate::teleop::limiter::Limits;
use crate::teleop::liveliness::LivelinessConfig;
use crate::teleop::retarget::Retarget;
use crate::teleop::workspace::{Policy, Workspace};
use crate::teleop::{Arming, Frames, HoldLine, TeleopConfig, Turning};
use crate::wire::{JsonFieldsError, WireConfig};

/// Everything that can be set, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where to connect.
    pub transport: TransportConfig,
    /// What the controller wants to be told first, if it wants anything.
    pub hello: Option<HelloConfig>,
    /// How to keep the link.
    pub link: LinkConfig,
    /// How to move.
    pub teleop: TeleopConfig,
    /// Where targets come from.
    pub source: SourceConfig,
    /// How lines are written and read.
    pub wire: WireConfig,
    /// The frames that targets may be in; the base frame is also the `frame_id` of what is published.
    pub frames: Frames,
    /// The type of the messages on the topic `gripper`.
    pub gripper_type: GripperType,
    parameters: Parameters,
}

/// The message types that the topic `gripper` can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GripperType {
    /// `std_msgs/msg/Bool`: closed?
    Bool,
    /// `std_msgs/msg/Float32`: opening 0..1
    Float32,
    /// `std_msgs/msg/Float64`: opening 0..1
    Float64,
    /// `std_msgs/msg/String`: "open" or "closed"
    String,
}

/// Why a set of parameters is no configuration. Names the parameter, its value and what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// No parameter has this name.
    #[error("parameter '{name}' is unknown{}", suggestion.map(|s| format!("; did you mean '{s}'?")).unwrap_or_default())]
    Unknown {
        /// The name, printable.
        name: String,
        /// The nearest known name, if one is near.
        suggestion: Option<&'static str>,
    },
    /// The value is of another type.
    #[error(
        "parameter '{name}' is {}; it must be {}{}{}",
        with_type(value, found),
        with_article(wanted),
        unit_of(wanted_range),
        how_to_write(value, found, wanted)
    )]
    Type {
        /// The parameter.
        name: &'static str,
        /// The value, as written.
        value: String,
        /// Its type.
        found: &'static str,
        /// The type that would be right.
        wanted: &'static str,
        /// The range that would be right.
        wanted_range: String,
    },
    /// The value is out of range.
    #[error("parameter '{name}' is {value}; it must be {range}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// The value, as written.
        value: String,
        /// What would be right.
        range: String,
    },
    /// What is to be an address or the path of a file cannot be one.
    #[error("parameter '{name}' is {value}; {fault}")]
    Place {
        /// The parameter.
        name: &'static str,
        /// The value, as written.
        value: String,
        /// What is wrong, and what to write.
        fault: String,
    },
    /// What is to be the path of a field is none.
    #[error("parameter '{name}': {error}")]
    Path {
        /// The parameter.
        name: &'static str,
        /// What is wrong with which path.
        error: PathError,
    },
    /// The members of a line of JSON make none.
    #[error("{0} (json_fields.*, wire_extras)")]
    JsonFields(JsonFieldsError),
    /// Two parameters contradict each other.
    #[error("parameter '{name}' is {value}; it must be {relation} '{other}', which is {other_value}")]
    Relation {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// Like "below" or "at most".
        relation: &'static str,
        /// The other parameter.
        other: &'static str,
        /// Its value.
        other_value: String,
    },
}

impl ConfigError {
    /// A value of another type than the wanted one.
    pub fn wrong_type(name: &'static str, value: &Value, wanted: &'static str, wanted_range: &str) -> Self {
        let (found, value) = (value.type_name(), value.to_string());
        Self::Type { name, value, found, wanted, wanted_range: wanted_range.to_owned() }
    }

    /// A value that is out of a range which its row of the table cannot say.
    fn range(p: &Parameters, name: &'static str, range: &str) -> Self {
        Self::Range { name, value: p.written(name), range: range.to_owned() }
    }

    fn relation(p: &Parameters, name: &'static str, relation: &'static str, other: &'static str) -> Self {
        Self::Relation { name, value: p.written(name), relation, other, other_value: p.written(other) }
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// A value and its type, which are the same words for a type that no parameter has.
fn with_type(value: &str, found: &str) -> String {
    let found = with_article(found);
    if value == found { found } else { format!("{value}, {found}") }
}

/// How to write a value that YAML takes for another type than it is meant to have.
fn how_to_write(value: &str, found: &str, wanted: &str) -> String {
    match (wanted, found) {
        ("string", "boolean") => {
            ". YAML reads y, n, yes, no, on and off without quotes as true or false: write it in quotes, like 'y' in a file \
             and \"NAME:='y'\" after -p"
                .into()
        }
        ("string", "integer" | "number") => format!(
            ". YAML reads it as a number: write it in quotes, like '{value}' in a file and \"NAME:='{value}'\" after -p"
        ),
        // What `ros2 param set` makes of a list with several types in it.
        ("list of numbers", "string") if value.trim_start_matches('\'').starts_with('[') => {
            ". All values of a list have one type: write 0.0, not 0, beside 0.5".into()
        }
        _ => String::new(),
    }
}

fn unit_of(range: &str) -> String {
    if range.is_empty() { String::new() } else { format!(", {range}") }
}

impl Config {
    /// The configuration that a set of parameters stands for.
    ///
    /// # Errors
    /// The first contradiction between two parameters. Types and ranges have been checked when the set was made.
    pub fn new(parameters: &Parameters) -> Result<Self, ConfigError> {
        place::check(parameters)?;
        check_relations(parameters)?;
        let p = parameters;
        let wire = wire::wire(p)?;
        Ok(Self {
            transport: TransportConfig {
                host: p.text("host").to_owned(),
                port: u16::try_from(p.integer("port")).expect("its range is checked"),
                connect_timeout: p.seconds("connect_timeout"),
                greeting_timeout: p.seconds("greeting_timeout"),
                tcp_user_timeout: p.seconds("tcp_user_timeout"),
                tls: security::tls(p)?,
            },
            hello: security::hello(p)?,
            link: LinkConfig {
                role: role(p),
                expect_reply: p.boolean("expect_reply"),
                max_in_flight: usize::try_from(p.integer("max_in_flight")).expect("its range is checked"),
                heartbeat: heartbeat(p),
                reply_timeout: p.seconds("reply_timeout"),
                link_timeout: p.seconds("link_timeout"),
                backoff: Backoff { initial: p.seconds("backoff.initial"), max: p.seconds("backoff.max") },
            },
            teleop: teleop(p, wire.lines.command.has_orientation()),
            source: SourceConfig::new(p)?,
            wire,
            frames: Frames {
                tracker: p.text("retarget.frame").to_owned(),
                base: p.text("base_frame").to_owned(),
            },
            gripper_type: match p.text("gripper.type") {
                "std_msgs/msg/Float32" => GripperType::Float32,
                "std_msgs/msg/Float64" => GripperType::Float64,
                "std_msgs/msg/String" => GripperType::String,
                _ => GripperType::Bool,
            },
            parameters: parameters.clone(),
        })
    }

    /// The parameters that it was made of.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

fn teleop(p: &Parameters, turns: bool) -> TeleopConfig {
    let rate = p.real("command_rate");
    TeleopConfig {
        arming: if p.text("arming") == "operator" { Arming::Operator } else { Arming::Automatic },
        settle_time: p.seconds("settle_time"),
        input_timeout: p.seconds("input_timeout"),
        zero_is_lost: p.boolean("source.zero_is_lost"),
        liveliness: LivelinessConfig {
            frozen_timeout: p.seconds("source.frozen_timeout"),
            min_rate: p.real("source.min_rate"),
        },
        filter: match p.text("filter.kind") {
            "none" => FilterConfig::None,
            _ => FilterConfig::OneEuro(OneEuro {
                min_cutoff: p.real("filter.min_cutoff"),
                beta: p.real("filter.beta"),
                derivative_cutoff: p.real("filter.derivative_cutoff"),
            }),
        },
        jump: JumpConfig { distance: p.real("limits.jump"), confirm: p.seconds("limits.jump_confirm") },
        command_period: (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate)),
        workspace: workspace(p).expect("the corners' order is checked"),
        home: position(p, "home"),
        limits: Limits { speed: p.real("limits.speed"), acceleration: p.real("limits.acceleration") },
        approach_speed: p.real("approach_speed"),
        turning: turns.then(|| Turning {
            speed: p.real("limits.angular_speed"),
            home: Orientation::from_rpy(p.reals("home_rpy")),
        }),
        retarget: Retarget::new(
            p.reals("retarget.translation"),
            p.reals("retarget.rotation_rpy"),
            p.reals("retarget.scale"),
        ),
        retarget_mode: match p.text("retarget.mode") {
            "relative" => RetargetMode::Relative,
            _ => RetargetMode::Absolute,
        },
        gripper: GripperConfig {
            close_below: p.real("gripper.close_below"),
            open_above: p.real("gripper.open_above"),
            close_debounce: p.seconds("gripper.close_debounce"),
            open_debounce: p.seconds("gripper.open_debounce"),
        },
        initial_gripper: if p.text("gripper.initial") == "closed" { Gripper::Closed } else { Gripper::Open },
        error_limit: u32::try_from(p.integer("error_limit")).expect("its range is checked"),
        hold_line: match p.text("hold_line") {
            "repeat" => HoldLine::Repeat,
            "stop" => HoldLine::Stop,
            _ => HoldLine::Nothing,
        },
    }
}

fn role(p: &Parameters) -> Role {
    match p.text("role") {
        "tcp_server" => Role::TcpServer {
            min_clients: usize::try_from(p.integer("min_clients")).expect("its range is checked"),
        },
        "udp" => Role::Udp,
        _ => Role::TcpClient,
    }
}

fn heartbeat(p: &Parameters) -> Option<Heartbeat> {
    let period = p.seconds("heartbeat_period");
    (!period.is_zero()).then(|| Heartbeat { period, expects_reply: p.boolean("heartbeat_expects_reply") })
}

fn workspace(p: &Parameters) -> Option<Workspace> {
    let policy = if p.text("workspace.policy") == "reject" { Policy::Reject } else { Policy::Clamp };
    let workspace = Workspace::new(position(p, "workspace.min"), position(p, "workspace.max"), policy)?;
    Some(workspace.with_reach(p.real("workspace.reach_min"), p.real("workspace.reach_max")))
}

fn position(p: &Parameters, name: &str) -> Position {
    let [x, y, z] = p.reals(name);
    Position::new(x, y, z).expect("its range is checked")
}

/// More often is no heartbeat but a load, in seconds.
const MIN_HEARTBEAT: f64 = 0.01;
/// Less often is no motion, and at last no time that can be told, in Hz.
const MIN_COMMAND_RATE: f64 = 0.01;

fn check_relations(p: &Parameters) -> Result<(), ConfigError> {
    let (min, home) = (position(p, "workspace.min"), position(p, "home"));
    let require = |holds: bool, name: &'static str, relation: &'static str, other: &'static str| {
        if holds { Ok(()) } else { Err(ConfigError::relation(p, name, relation, other)) }
    };
    let workspace = workspace(p);
    require(workspace.is_some(), "workspace.min", "below, on every axis,", "workspace.max")?;
    let above = home.coordinates().iter().zip(min.coordinates()).all(|(home, min)| *home >= min);
    require(above, "home", "at or above, on every axis,", "workspace.min")?;
    let unbounded = workspace.map(|workspace| workspace.with_reach(0.0, 0.0));
    let contains = |workspace: Option<Workspace>| workspace.is_some_and(|workspace| workspace.contains(home));
    require(contains(unbounded), "home", "at or below, on every axis,", "workspace.max")?;
    let (nearest, farthest) = (p.real("workspace.reach_min"), p.real("workspace.reach_max"));
    let room = farthest == 0.0 || nearest < farthest;
    require(room, "workspace.reach_min", "below", "workspace.reach_max")?;
    let distance = home.point().coords.norm();
    let (near, far) =
        ("no nearer to the origin of base_frame than", "no farther from the origin of base_frame than");
    require(distance >= nearest, "home", near, "workspace.reach_min")?;
    require(contains(workspace), "home", far, "workspace.reach_max")?;
    let named_apart = p.text("retarget.frame") != p.text("base_frame");
    require(named_apart, "retarget.frame", "another name than", "base_frame")?;
    let heartbeat = p.real("heartbeat_period");
    if heartbeat > 0.0 && heartbeat < MIN_HEARTBEAT {
        let range = format!("0.0, or from {MIN_HEARTBEAT:?} to 60.0 s");
        return Err(ConfigError::range(p, "heartbeat_period", &range));
    }
    let rate = p.real("command_rate");
    if rate > 0.0 && rate < MIN_COMMAND_RATE {
        let range = format!("0.0, or from {MIN_COMMAND_RATE:?} to 1000.0 Hz");
        return Err(ConfigError::range(p, "command_rate", &range));
    }
    let ordered = |low: &str, high: &str| p.real(low) <= p.real(high);
    require(ordered("approach_speed", "limits.speed"), "approach_speed", "at most", "limits.speed")?;
    require(ordered("backoff.initial", "backoff.max"), "backoff.initial", "at most", "backoff.max")?;
    require(ordered("reply_timeout", "link_timeout"), "reply_timeout", "at most", "link_timeout")?;
    require(
        p.real("gripper.close_below") < p.real("gripper.open_above"),
        "gripper.close_below",
        "below",
        "gripper.open_above",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: Value) -> Result<Config, ConfigError> {
        let mut parameters = Parameters::default();
        parameters.set(name, value)?;
        Config::new(&parameters)
    }

    fn error(name: &str, value: Value) -> String {
        with(name, value).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_the_designs() {
        let config = Config::new(&Parameters::default()).unwrap();
        assert_eq!(config.transport.host, "127.0.0.1");
        assert_eq!(config.transport.port, 5000);
        assert_eq!(config.transport.tcp_user_timeout, Duration::from_millis(500));
        assert_eq!(config.link.max_in_flight, 1);
        assert_eq!(config.link.link_timeout, Duration::from_secs(3));
        assert_eq!(config.teleop.command_period, Some(Duration::from_millis(20)));
        assert_eq!(config.teleop.home.coordinates(), [0.2, 0.0, 0.2]);
        assert_eq!(config.teleop.arming, Arming::Automatic);
        assert_eq!(config.wire, WireConfig::default());
    }

    #[test]
    fn an_error_says_of_a_long_list_how_long_it_is() {
        let refused = error("home", Value::Integers(vec![i64::MIN; 5000]));
        assert!(refused.contains("… (5000 in all)]") && refused.len() < 1000, "{refused}");
    }

    #[test]
    fn an_error_names_parameter_value_and_range() {
        assert_eq!(
            error("port", Value::Integer(70_000)),
            "parameter 'port' is 70000; it must be from 1 to 65535"
        );
        assert_eq!(
            error("port", Value::Text("abc".into())),
            "parameter 'port' is 'abc', a string; it must be an integer, from 1 to 65535"
        );
        assert_eq!(
            error("arming", Value::Text("always".into())),
            "parameter 'arming' is 'always'; it must be one of: 'automatic', 'operator'"
        );
        assert_eq!(
            error("limits.speed", Value::Real(0.0)),
            "parameter 'limits.speed' is 0.0; it must be from 0.001 to 10.0 m/s"
        );
        assert_eq!(
            error("settle_time", Value::Real(f64::NAN)),
            "parameter 'settle_time' is NaN; it must be from 0.0 to 60.0 s"
        );
        assert_eq!(
            error("home", Value::Reals(vec![0.1, 0.2])),
            "parameter 'home' is [0.1, 0.2]; it must be 3 numbers, each from -100.0 to 100.0 m"
        );
    }

    #[test]
    fn contradictions_name_both_parameters_and_both_values() {
        assert_eq!(
            error("workspace.min", Value::Reals(vec![0.4, -0.3, 0.0])),
            "parameter 'workspace.min' is [0.4, -0.3, 0.0]; it must be below, on every axis, 'workspace.max', \
             which is [0.3, 0.3, 0.4]"
        );
        assert!(error("home", Value::Reals(vec![0.2, 0.0, 0.5])).contains("'workspace.max'"));
        assert!(error("home", Value::Reals(vec![0.2, 0.0, -0.1])).contains("'workspace.min'"));
        assert_eq!(
            error("retarget.frame", Value::Text("arm_base".into())),
            "parameter 'retarget.frame' is 'arm_base'; it must be another name than 'base_frame', which is 'arm_base'"
        );
        let reach = Value::Real(0.29);
        assert_eq!(
            error("workspace.reach_min", reach.clone()),
            "parameter 'home' is [0.2, 0.0, 0.2]; it must be no nearer to the origin of base_frame than \
             'workspace.reach_min', which is 0.29"
        );
        assert!(error("workspace.reach_max", Value::Real(0.28)).contains("no farther from the origin"));
        let mut parameters = Parameters::default();
        parameters.set("workspace.reach_min", reach.clone()).unwrap();
        parameters.set("workspace.reach_max", reach).unwrap();
        let error_text = Config::new(&parameters).unwrap_err().to_string();
        assert!(error_text.contains("below 'workspace.reach_max', which is 0.29"), "{error_text}");
        assert!(error("approach_speed", Value::Real(0.3)).contains("'limits.speed', which is 0.25"));
        assert!(error("backoff.initial", Value::Real(5.0)).contains("'backoff.max'"));
        assert!(error("reply_timeout", Value::Real(5.0)).contains("'link_timeout'"));
        assert!(error("gripper.close_below", Value::Real(0.5)).contains("'gripper.open_above'"));
    }

    #[test]
    fn a_whole_number_serves_where_a_real_is_wanted() {
        assert_eq!(
            with("settle_time", Value::Integer(2)).unwrap().teleop.settle_time,
            Duration::from_secs(2)
        );
        let config = with("home", Value::Integers(vec![0, 0, 0])).unwrap();
        assert_eq!(config.teleop.home.coordinates(), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_known_one() {
        assert_eq!(
            error("limits.sped", Value::Real(0.1)),
            "parameter 'limits.sped' is unknown; did you mean 'limits.speed'?"
        );
        assert_eq!(
            error("robot_description", Value::Text(String::new())),
            "parameter 'robot_description' is unknown"
        );
        assert_eq!(
            error("\u{1b}[2J\u{202e}", Value::Real(0.1)),
            "parameter '\u{fffd}[2J\u{fffd}' is unknown"
        );
    }

    #[test]
    fn a_heartbeat_has_a_period_that_a_controller_can_bear() {
        assert_eq!(with("heartbeat_period", Value::Real(0.0)).unwrap().link.heartbeat, None);
        let heartbeat = with("heartbeat_period", Value::Real(0.1)).unwrap().link.heartbeat.unwrap();
        assert_eq!((heartbeat.period, heartbeat.expects_reply), (Duration::from_millis(100), true));
        assert_eq!(
            error("heartbeat_period", Value::Real(0.001)),
            "parameter 'heartbeat_period' is 0.001; it must be 0.0, or from 0.01 to 60.0 s"
        );
    }

    #[test]
    fn a_rate_of_zero_means_a_command_for_every_target() {
        assert_eq!(with("command_rate", Value::Integer(0)).unwrap().teleop.command_period, None);
    }

    #[test]
    fn a_rate_has_a_period_that_can_be_told() {
        let slowest = with("command_rate", Value::Real(0.01)).unwrap();
        assert_eq!(slowest.teleop.command_period, Some(Duration::from_secs(100)));
        assert_eq!(
            error("command_rate", Value::Real(1e-300)),
            "parameter 'command_rate' is 1e-300; it must be 0.0, or from 0.01 to 1000.0 Hz"
        );
    }
}
