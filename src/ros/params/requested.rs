//! What a person asks to set, made a set of parameters or refused with a reason.

use r2r::rcl_interfaces::msg;

use super::USE_SIM_TIME;
use super::message::{NOT_SET, from_message};
use crate::params::{ChangeError, ParameterError, Parameters, Table, Value};

/// Why parameters cannot be set to what is asked, whatever the node is doing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SetParametersError {
    /// Unknown, of the wrong type, or out of range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// Read at start only.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A value of type NOT_SET.
    #[error("parameter '{name}' cannot be deleted: set it to its default, {default}")]
    Deleted {
        /// The parameter.
        name: &'static str,
        /// What would be right.
        default: String,
    },
}

/// Makes the set that comes of setting these parameters, all together, where `parameters` are in force.
///
/// # Errors
/// The first of them that is wrong by itself.
pub fn requested<T: Table>(
    parameters: &Parameters<T>,
    use_sim_time: bool,
    given: &[msg::Parameter],
) -> Result<Parameters<T>, SetParametersError> {
    let mut parameters = parameters.clone();
    for msg::Parameter { name, value } in given {
        let (name, value) = (crate::text::sanitize_short(name), from_message(value));
        if name == USE_SIM_TIME {
            if value != Value::Boolean(use_sim_time) {
                let value = Value::Boolean(use_sim_time).to_string();
                return Err(ChangeError::ReadOnly { name: USE_SIM_TIME, value }.into());
            }
            continue;
        }
        match T::find(&name) {
            Some(parameter) if value == NOT_SET => {
                let default = parameter.default().to_string();
                return Err(SetParametersError::Deleted { name: parameter.name, default });
            }
            _ => parameters.set(&name, value)?,
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::super::message::message;
    use super::*;
    use crate::config::{Config, Parameters};

    fn set(given: &[(&str, Value)]) -> Result<Config, String> {
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| msg::Parameter { name: (*name).into(), value: message(value) })
            .collect();
        let parameters =
            requested(&Parameters::default(), false, &given).map_err(|error| error.to_string())?;
        Config::new(&parameters).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_set_together_is_judged_together() {
        let min = ("workspace.min", Value::Reals(vec![0.5, 0.0, 0.0]));
        assert!(
            set(std::slice::from_ref(&min))
                .unwrap_err()
                .contains("'workspace.max', which is [0.3, 0.3, 0.4]")
        );
        let others = [
            ("workspace.max", Value::Reals(vec![1.0, 1.0, 1.0])),
            ("arm.home", Value::Reals(vec![0.6, 0.1, 0.1])),
        ];
        let config = set(&[vec![min], others.to_vec()].concat()).unwrap();
        assert_eq!(config.teleop.home.coordinates(), [0.6, 0.1, 0.1]);
    }

    #[test]
    fn a_refusal_names_the_parameter_its_value_and_what_would_be_right() {
        for (name, value, words) in [
            ("limits.sped", Value::Real(0.1), "'limits.sped' is unknown; did you mean 'limits.speed'?"),
            ("limits.speed", Value::Text("fast".into()), "is 'fast', a string; it must be a number"),
            ("arm.home", Value::Text("[0.2, 0, 0.2]".into()), "write 0.0, not 0"),
            ("limits.speed", Value::Real(99.0), "is 99.0; it must be from 0.001 to 10.0 m/s"),
            (
                "limits.speed",
                Value::Real(0.05),
                "'limits.approach_speed' is 0.1; it must be at most 'limits.speed'",
            ),
            ("limits.speed", NOT_SET, "'limits.speed' cannot be deleted: set it to its default, 0.25"),
            ("no.such", NOT_SET, "'no.such' is unknown"),
            ("use_sim_time", Value::Boolean(true), "'use_sim_time' is false and read-only"),
            ("use_sim_time", NOT_SET, "'use_sim_time' is false and read-only"),
        ] {
            let refused = set(&[(name, value)]).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn names_and_types_that_no_tool_sends_are_refused_too() {
        let given = msg::Parameter {
            name: "limits.speed".into(),
            value: msg::ParameterValue { type_: 42, ..Default::default() },
        };
        let refused = requested(&Parameters::default(), false, &[given]).unwrap_err().to_string();
        assert!(refused.contains("'limits.speed' is a value of no known type"), "{refused}");
        let refused = set(&[(&"x\u{1b}".repeat(10_000), Value::Real(0.1))]).unwrap_err();
        assert!(refused.len() < 1000 && !refused.contains('\u{1b}'), "{refused}");
    }

    #[test]
    fn a_value_that_a_parameter_has_already_is_no_change() {
        let before = Config::new(&Parameters::default()).unwrap();
        let same = [("use_sim_time", Value::Boolean(false)), ("teleop.settle_time", Value::Integer(1))];
        assert_eq!(set(&same).unwrap(), before);
        assert_eq!(set(&[]).unwrap(), before);
    }
}
