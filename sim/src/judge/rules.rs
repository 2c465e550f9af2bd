//! What the bridge is set to, as far as a controller can tell: its own parameters, by their names.

use std::{str::FromStr, time::Duration};

use serde_json::Value as Json;

use aether_bridge::arm::Gripper;
use aether_bridge::config::table::{self, BridgeTable};
use aether_bridge::config::{Config, ConfigError, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_bridge::params::{Parameter, ParameterError, Table};
use aether_bridge::teleop::{HoldLine, workspace::Workspace};
use aether_bridge::wire::{Extra, OrderLines};

/// What a controller may rely on.
#[derive(Debug, Clone)]
pub struct Rules {
    parameters: Parameters,
    pub(super) workspace: Workspace,
    pub(super) home: Position,
    /// In m/s.
    pub(super) speed: f64,
    /// The longest first step of a motion, in metres.
    pub(super) approach_step: f64,
    /// The longest step of all, in metres, however long the last was ago.
    pub(super) longest_step: f64,
    pub(super) input_timeout: Duration,
    pub(super) reply_timeout: Duration,
    pub(super) max_in_flight: u64,
    pub(super) stops: bool,
    pub(super) heartbeats: bool,
    pub(super) numbered: bool,
    pub(super) lines: OrderLines,
    close_debounce: Duration,
    open_debounce: Duration,
}

/// A parameter of the bridge and its value, written `NAME:=VALUE` as for the bridge itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    name: String,
    value: Value,
}

/// Why there are no such rules.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RulesError {
    /// No name, or no value.
    #[error("{0:?} is no setting, expected NAME:=VALUE as in limits.speed:=0.25")]
    Form(String),
    /// A parameter that a controller does not see the effect of, or that the simulated one has an option for.
    #[error("parameter '{0}' is none that the judge goes by; those are {judged}", judged = JUDGED.map(|judged| judged.name).join(", "))]
    NotJudged(String),
    /// Members that the simulated controller cannot check.
    #[error("parameter 'wire_extras' is {0}; the judge can check 'seq' and 'ttl'")]
    Extras(String),
    /// A value that is none.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A value that does not go with another.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Default for Rules {
    fn default() -> Self {
        Self::by(Parameters::default()).expect("the defaults are a configuration")
    }
}

impl Rules {
    /// These rules with parameters of the bridge set.
    ///
    /// # Errors
    /// Names that are not judged by, and what the bridge itself would refuse.
    pub fn with<'a>(&self, settings: impl IntoIterator<Item = &'a Setting>) -> Result<Self, RulesError> {
        let mut parameters = self.parameters.clone();
        for Setting { name, value } in settings {
            let judged = JUDGED.iter().any(|judged| judged.name == name);
            if !judged && BridgeTable::find(name).is_some() {
                return Err(RulesError::NotJudged(name.clone()));
            }
            parameters.set(name, value.clone())?;
        }
        Self::by(parameters)
    }

    fn by(parameters: Parameters) -> Result<Self, RulesError> {
        let Config { teleop, link, wire, .. } = Config::new(&parameters)?;
        let extras = &table::WIRE_EXTRA_FIELDS;
        if !parameters.get(extras).is_subset(&[Extra::Seq, Extra::Ttl].into()) {
            return Err(RulesError::Extras(parameters.written(extras)));
        }
        let (speed, period) = (teleop.limits.speed, teleop.ramp_period());
        Ok(Self {
            workspace: teleop.workspace,
            home: teleop.home,
            speed,
            approach_step: teleop.approach_limits().speed * period.as_secs_f64(),
            longest_step: speed * teleop.input_timeout.max(period).as_secs_f64(),
            input_timeout: teleop.input_timeout,
            reply_timeout: link.reply_timeout,
            max_in_flight: link.max_in_flight as u64,
            stops: teleop.hold_line == HoldLine::Stop,
            heartbeats: link.heartbeat.is_some(),
            numbered: wire.lines.command.has_seq(),
            lines: wire.lines,
            close_debounce: teleop.gripper.close_debounce,
            open_debounce: teleop.gripper.open_debounce,
            parameters,
        })
    }

    /// How long the wish for this has to have stood.
    pub(super) fn debounce(&self, gripper: Gripper) -> Duration {
        match gripper {
            Gripper::Open => self.open_debounce,
            Gripper::Closed => self.close_debounce,
        }
    }
}

impl FromStr for Setting {
    type Err = RulesError;

    /// # Errors
    /// Text without a name or a value.
    fn from_str(text: &str) -> Result<Self, RulesError> {
        let form = || RulesError::Form(text.to_owned());
        let (name, written) = text.split_once(":=").ok_or_else(form)?;
        if name.is_empty() || written.is_empty() {
            return Err(form());
        }
        let value = match serde_json::from_str(written) {
            Ok(json) => value(&json).ok_or_else(form)?,
            Err(_) => Value::Text(written.to_owned()),
        };
        Ok(Self { name: name.to_owned(), value })
    }
}

/// A value of JSON as one of a parameter.
fn value(json: &Json) -> Option<Value> {
    let all = |values: &[Json]| {
        let numbers = values.iter().map(Json::as_f64).collect::<Option<_>>().map(Value::Reals);
        let text = |value: &Json| value.as_str().map(str::to_owned);
        numbers.or_else(|| values.iter().map(text).collect::<Option<_>>().map(Value::Texts))
    };
    match json {
        Json::Bool(value) => Some(Value::Boolean(*value)),
        Json::Number(number) => number.as_i64().map(Value::Integer).or(number.as_f64().map(Value::Real)),
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Array(values) => all(values),
        Json::Null | Json::Object(_) => None,
    }
}

/// The parameters whose effect a controller sees.
static JUDGED: [&dyn Parameter; 17] = [
    &table::WORKSPACE_MIN,
    &table::WORKSPACE_MAX,
    &table::WORKSPACE_REACH_MIN,
    &table::WORKSPACE_REACH_MAX,
    &table::ARM_HOME,
    &table::LIMITS_SPEED,
    &table::LIMITS_APPROACH_SPEED,
    &table::TELEOP_COMMAND_RATE,
    &table::INPUT_TIMEOUT,
    &table::LINK_REPLY_TIMEOUT,
    &table::LINK_MAX_IN_FLIGHT,
    &table::TELEOP_HOLD_BEHAVIOR,
    &table::LINK_HEARTBEAT_PERIOD,
    &table::WIRE_EXTRA_FIELDS,
    &table::WIRE_COMMAND_TTL,
    &table::GRIPPER_CLOSE_DEBOUNCE,
    &table::GRIPPER_OPEN_DEBOUNCE,
];

#[cfg(test)]
mod tests {
    use super::{Rules, Setting};

    fn with(text: &str) -> Result<Rules, String> {
        let setting: Setting = text.parse().map_err(|error: super::RulesError| error.to_string())?;
        Rules::default().with([&setting]).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_are_parameters_of_the_bridge_by_their_names_and_units() {
        let rules = Rules::default();
        assert_eq!((rules.speed, rules.max_in_flight, rules.stops), (0.25, 1, false));
        assert!((rules.approach_step - 0.002).abs() < 1e-12 && (rules.longest_step - 0.05).abs() < 1e-12);
        assert_eq!(with("limits.speed:=1").unwrap().speed, 1.0);
        assert!(with("hold_line:=stop").unwrap().stops);
        assert!(with("heartbeat_period:=0.1").unwrap().heartbeats);
        assert!(with(r#"wire_extras:=["seq","ttl"]"#).unwrap().numbered);
        assert_eq!(with("home:=[0.1, 0.0, 0.1]").unwrap().home.coordinates(), [0.1, 0.0, 0.1]);
        // Twice the time between two commands, twice the step.
        assert!((with("command_rate:=25.0").unwrap().approach_step - 0.004).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_rules_is_named() {
        for (text, words) in [
            ("limits.speed", "expected NAME:=VALUE"),
            ("limits.speed:=", "expected NAME:=VALUE"),
            ("limits.speed:=null", "expected NAME:=VALUE"),
            ("limits.speed:=fast", "'limits.speed' is 'fast', a string; it must be a number"),
            ("limits.sped:=0.1", "did you mean 'limits.speed'?"),
            ("approach_speed:=1.0", "it must be at most 'limits.speed'"),
            ("settle_time:=1.0", "'settle_time' is none that the judge goes by; those are workspace.min"),
            (r#"wire_extras:=["stamp"]"#, "the judge can check 'seq' and 'ttl'"),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
