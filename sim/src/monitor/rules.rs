//! The rules: those parameters of the bridge whose effect a controller can see, by their names.

use std::{str::FromStr, time::Duration};

use serde_json::Value as Json;

use aether_bridge::config::table::{self, BridgeTable};
use aether_bridge::config::{Config, ConfigError, Parameters, Value};
use aether_bridge::params::{Parameter, ParameterError, Table};
use aether_bridge::wire::{Extra, PositionUnit};

use super::motion::MotionLimits;
use crate::protocol;

/// The rules that a controller may rely on.
#[derive(Debug, Clone)]
pub struct Rules {
    parameters: Parameters,
    pub(super) motion: MotionLimits,
    pub(super) reply_timeout: Duration,
    pub(super) max_in_flight: u64,
    /// Whether lines get replies.
    pub(super) replies: bool,
    pub(super) stops: bool,
    pub(super) heartbeats: bool,
    pub(super) numbered: bool,
    /// The `ttl` of every line in milliseconds, if lines have one.
    ttl: Option<u64>,
}

/// A parameter of the bridge and its value, written `NAME:=VALUE` as for the bridge itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    name: String,
    value: Value,
}

/// The reason why rules are invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RulesError {
    /// The name or the value is missing.
    #[error("{0:?} is not a setting, expected NAME:=VALUE as in limits.speed:=0.25")]
    Form(String),
    /// A parameter without an effect that a controller sees, or one that has its own option in the
    /// simulated controller.
    #[error("parameter '{0}' cannot be set for --judge; the possible parameters are {judged}", judged = JUDGED.map(|judged| judged.name).join(", "))]
    NotJudged(String),
    /// Members that the simulated controller cannot check.
    #[error("parameter 'wire.extra_fields' is {0}; --judge can check only 'seq' and 'ttl'")]
    Extras(String),
    /// A text that is not a value.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A value that conflicts with another value.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Default for Rules {
    fn default() -> Self {
        Self::by(Parameters::default()).expect("the defaults are a configuration")
    }
}

impl Rules {
    /// Returns these rules with other values for some parameters.
    ///
    /// # Errors
    /// If a parameter cannot be set, or the bridge itself would reject the value.
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
        let Config { teleop, link, .. } = Config::new(&parameters)?;
        let extras = parameters.get(&table::WIRE_EXTRA_FIELDS);
        if !extras.is_subset(&[Extra::Seq, Extra::Ttl].into()) {
            return Err(RulesError::Extras(parameters.written(&table::WIRE_EXTRA_FIELDS)));
        }
        let ttl =
            extras.contains(&Extra::Ttl).then(|| parameters.get(&table::WIRE_COMMAND_TTL).as_millis() as u64);
        let numbered = extras.contains(&Extra::Seq);
        Ok(Self {
            motion: MotionLimits::from(&teleop),
            reply_timeout: link.reply_timeout,
            max_in_flight: link.max_in_flight as u64,
            replies: link.expect_reply,
            stops: teleop.hold_behavior.sends_stop(),
            heartbeats: link.heartbeat.is_some(),
            numbered,
            ttl,
            parameters,
        })
    }

    /// Returns the line that docs/protocol.md requires for the values in `text`, or `None` if
    /// `text` is not an object.
    pub(super) fn line(&self, text: &str, unit: PositionUnit) -> Option<String> {
        let members: Json = serde_json::from_str(text).ok()?;
        let kind = members["type"].as_str()?;
        let mut line = match kind {
            "command" => {
                let point = ["x", "y", "z"].map(|axis| members[axis].as_f64().unwrap_or_default());
                protocol::pose(kind, point, unit, members["gripper"].as_str()?)
            }
            _ => format!(r#"{{"type":"{kind}""#),
        };
        if self.numbered {
            line += &format!(r#","seq":{}"#, members["seq"].as_u64().unwrap_or_default());
        }
        if let Some(ttl) = self.ttl {
            line += &format!(r#","ttl":{ttl}"#);
        }
        Some(line + "}")
    }
}

impl FromStr for Setting {
    type Err = RulesError;

    /// # Errors
    /// If the name or the value is missing.
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

/// Converts a JSON value to a value of a parameter.
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

/// The parameters whose effect a controller sees, and the parameters that limit them.
static JUDGED: [&dyn Parameter; 21] = [
    &table::WORKSPACE_MIN,
    &table::WORKSPACE_MAX,
    &table::WORKSPACE_REACH_MIN,
    &table::WORKSPACE_REACH_MAX,
    &table::WORKSPACE_KEEP_OUT,
    &table::ARM_HOME,
    &table::LIMITS_SPEED,
    &table::LIMITS_APPROACH_SPEED,
    &table::LIMITS_STEP,
    &table::TELEOP_COMMAND_RATE,
    &table::INPUT_TIMEOUT,
    &table::LINK_REPLY_TIMEOUT,
    &table::LINK_TIMEOUT,
    &table::LINK_MAX_IN_FLIGHT,
    &table::LINK_EXPECT_REPLY,
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
    fn rules_are_set_by_parameter_names() {
        let rules = Rules::default();
        assert_eq!((rules.motion.speed, rules.max_in_flight, rules.stops), (0.25, 1, false));
        assert!(
            (rules.motion.approach_step - 0.002).abs() < 1e-12
                && (rules.motion.longest_step - 0.025).abs() < 1e-12
        );
        assert_eq!(with("limits.speed:=1").unwrap().motion.speed, 1.0);
        assert!(with("teleop.hold_behavior:=stop").unwrap().stops);
        assert!(with("link.heartbeat.period:=0.1").unwrap().heartbeats);
        assert!(with(r#"wire.extra_fields:=["seq","ttl"]"#).unwrap().numbered);
        assert_eq!(with("arm.home:=[0.1, 0.0, 0.1]").unwrap().motion.home.coordinates(), [0.1, 0.0, 0.1]);
        // Twice the time between two commands allows twice the step.
        assert!((with("teleop.command_rate:=25.0").unwrap().motion.approach_step - 0.004).abs() < 1e-12);
    }

    #[test]
    fn invalid_setting_is_named() {
        for (text, words) in [
            ("limits.speed", "expected NAME:=VALUE"),
            ("limits.speed:=", "expected NAME:=VALUE"),
            ("limits.speed:=null", "expected NAME:=VALUE"),
            ("limits.speed:=fast", "'limits.speed' is 'fast', a string; it must be a number"),
            ("limits.sped:=0.1", "did you mean 'limits.speed'?"),
            ("limits.approach_speed:=1.0", "it must be at most 'limits.speed'"),
            (
                "teleop.settle_time:=1.0",
                "'teleop.settle_time' cannot be set for --judge; the possible parameters are workspace.min",
            ),
            (r#"wire.extra_fields:=["stamp"]"#, "--judge can check only 'seq' and 'ttl'"),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
