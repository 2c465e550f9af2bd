//! When a parameter may change, and what a change brings with it.

use super::{Config, Value};
use super::{Parameter, parameters};

/// When a parameter may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// At any time; in motion it holds from the next command on.
    Live,
    /// While motion is not allowed: it says whose arm moves, or what a position means.
    Disarmed,
    /// Never: it is read when the node starts.
    Start,
}

impl Change {
    /// When, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Live => "at any time",
            Self::Disarmed => "only while disarmed",
            Self::Start => "only by a new start",
        }
    }
}

/// Why a parameter may not change now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChangeRefused {
    /// The arm is allowed to move.
    #[error(
        "parameter '{name}' is {value} and cannot change while armed: call ~/set_armed with data: false first"
    )]
    Armed {
        /// The parameter.
        name: &'static str,
        /// Its value, which stays.
        value: String,
    },
    /// It never may.
    #[error(
        "parameter '{name}' is {value} and read-only: set it at start, by a parameter file or -p {name}:=VALUE"
    )]
    Start {
        /// The parameter.
        name: &'static str,
        /// Its value, which stays.
        value: String,
    },
}

/// A parameter whose value differs between two configurations.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'a> {
    /// The parameter as declared.
    pub parameter: &'static Parameter,
    /// Its value before.
    pub before: &'a Value,
    /// Its value after.
    pub after: &'a Value,
}

impl Config {
    /// What differs from an earlier configuration, in the order of the table.
    pub fn changes<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Changed<'a>> {
        parameters().filter_map(move |parameter| {
            let (before, after) =
                (before.parameters.value(parameter.name), self.parameters.value(parameter.name));
            (before != after).then_some(Changed { parameter, before, after })
        })
    }

    /// Whether this configuration may take the place of an earlier one now.
    ///
    /// # Errors
    /// The first parameter that may not change now.
    pub fn check_changes(&self, before: &Self, armed: bool) -> Result<(), ChangeRefused> {
        for Changed { parameter, before, .. } in self.changes(before) {
            let (name, value) = (parameter.name, before.to_string());
            match parameter.change {
                Change::Start => return Err(ChangeRefused::Start { name, value }),
                Change::Disarmed if armed => return Err(ChangeRefused::Armed { name, value }),
                Change::Disarmed | Change::Live => {}
            }
        }
        Ok(())
    }

    /// Whether a connection that was made for an earlier configuration cannot serve this one.
    pub fn needs_new_link(&self, before: &Self) -> bool {
        // All fields by name: a new one does not compile before it has found its side.
        let Self {
            transport,
            hello,
            link,
            wire,
            teleop: _,
            source: _,
            frames: _,
            gripper_type: _,
            parameters: _,
        } = self;
        *transport != before.transport
            || *hello != before.hello
            || *link != before.link
            || *wire != before.wire
    }

    /// Whether what an earlier configuration has learnt of the arm's position may be of another arm, or in another
    /// unit.
    pub fn may_be_another_arm(&self, before: &Self) -> bool {
        self.changes(before).any(|changed| OF_THE_ARM.contains(&changed.parameter.name))
    }
}

/// The parameters that say which arm is moved, and what the numbers on its wire mean.
const OF_THE_ARM: [&str; 10] = [
    "role",
    "host",
    "port",
    "wire_unit",
    "codec",
    "text_template",
    "json_fields.x",
    "json_fields.y",
    "json_fields.z",
    "json_fields.constant",
];

#[cfg(test)]
mod tests {
    use super::super::{Parameters, Range};
    use super::*;

    fn with(settings: &[(&str, Value)]) -> Config {
        let mut parameters = Parameters::default();
        for (name, value) in settings {
            parameters.set(name, value.clone()).unwrap();
        }
        Config::new(&parameters).unwrap()
    }

    #[test]
    fn what_has_changed_is_told_with_both_values() {
        let (before, after) = (with(&[]), with(&[("limits.speed", Value::Real(0.2))]));
        let changes: Vec<_> = after
            .changes(&before)
            .map(|c| (c.parameter.name, c.before.to_string(), c.after.to_string()))
            .collect();
        assert_eq!(changes, [("limits.speed", "0.25".into(), "0.2".into())]);
        assert_eq!(after.changes(&after).count(), 0);
    }

    #[test]
    fn a_limit_changes_at_any_time_a_host_while_disarmed_a_type_never() {
        let before = with(&[]);
        assert_eq!(with(&[("limits.speed", Value::Real(0.2))]).check_changes(&before, true), Ok(()));
        let host = with(&[("limits.speed", Value::Real(0.2)), ("host", Value::Text("arm".into()))]);
        assert_eq!(host.check_changes(&before, false), Ok(()));
        let refused = host.check_changes(&before, true).unwrap_err().to_string();
        assert!(refused.contains("'host' is '127.0.0.1'") && refused.contains("~/set_armed"), "{refused}");
        let typed = with(&[("gripper.type", Value::Text("std_msgs/msg/String".into()))]);
        let refused = typed.check_changes(&before, false).unwrap_err().to_string();
        assert!(refused.contains("-p gripper.type:=VALUE"), "{refused}");
    }

    #[test]
    fn only_what_a_connection_is_made_of_needs_a_new_one() {
        let before = with(&[]);
        for (name, value) in [
            ("host", Value::Text("arm".into())),
            ("tcp_user_timeout", Value::Real(1.0)),
            ("expect_reply", Value::Boolean(false)),
            ("backoff.max", Value::Real(2.0)),
            ("wire_unit", Value::Text("cm".into())),
            ("greeting_lines", Value::Integer(1)),
            ("hello.token_file", Value::Text("/token".into())),
        ] {
            let after = with(&[(name, value)]);
            assert!(after.needs_new_link(&before), "{name}");
            assert_eq!(after.may_be_another_arm(&before), OF_THE_ARM.contains(&name), "{name}");
        }
        for (name, value) in [
            ("limits.speed", Value::Real(0.2)),
            ("base_frame", Value::Text("table".into())),
            ("arming", Value::Text("operator".into())),
        ] {
            assert!(!with(&[(name, value)]).needs_new_link(&before), "{name}");
        }
    }

    #[test]
    fn whatever_needs_a_new_link_is_refused_while_armed() {
        let before = with(&[]);
        let bounds = |parameter: &Parameter| match parameter.range {
            Range::Any if matches!(parameter.default(), Value::Text(_)) => {
                vec![Value::Text("other".into()), Value::Text(String::new()), Value::Text("{x} {seq}".into())]
            }
            Range::Any => vec![Value::Boolean(true), Value::Boolean(false)],
            Range::NotEmpty => vec![Value::Text("other".into())],
            Range::Subset(words) => words.iter().map(|word| Value::Texts(vec![(*word).into()])).collect(),
            Range::Paths { count, .. } => vec![Value::Texts(vec!["other".into(); count])],
            Range::OneOf(choices) => choices.iter().map(|text| Value::Text((*text).into())).collect(),
            Range::Integer(min, max) => vec![Value::Integer(min), Value::Integer(max)],
            Range::Real(min, max) if matches!(parameter.default(), Value::Reals(_)) => {
                vec![Value::Reals(vec![min; 3]), Value::Reals(vec![max; 3])]
            }
            Range::Real(min, max) => vec![Value::Real(min), Value::Real(max)],
        };
        for parameter in parameters() {
            for value in bounds(parameter) {
                let mut parameters = Parameters::default();
                parameters.set(parameter.name, value).unwrap();
                // Some contradict another parameter.
                let Ok(after) = Config::new(&parameters) else { continue };
                if after.needs_new_link(&before) || after.may_be_another_arm(&before) {
                    assert!(after.check_changes(&before, true).is_err(), "{}", parameter.name);
                }
            }
        }
    }
}
