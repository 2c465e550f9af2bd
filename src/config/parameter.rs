//! A parameter as it is declared: its name, default, range, and when it may change.

use std::collections::BTreeSet;

use super::{Change, ConfigError, Value, parameters};

/// A parameter as declared.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, groups separated by dots.
    pub name: &'static str,
    pub(super) default: Initial,
    /// The unit of its value; empty if it has none.
    pub unit: &'static str,
    /// What it may be.
    pub range: Range,
    /// What it does, in one or two sentences.
    pub description: &'static str,
    /// When it may change.
    pub change: Change,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Anything of its type.
    Any,
    /// A string that is not empty.
    NotEmpty,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An integer between two bounds, inclusive.
    Integer(i64, i64),
    /// A number, or each of three numbers, between two bounds, inclusive.
    Real(f64, f64),
    /// Any of these words, each once, or only the word 'none'.
    Subset(&'static [&'static str]),
    /// So many paths to fields of a message, or the word 'auto', or 'none' where there may be none.
    Paths {
        /// How many paths.
        count: usize,
        /// Whether there may be none.
        none: bool,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Initial {
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(&'static str),
    Reals([f64; 3]),
    Texts(&'static [&'static str]),
}

impl Parameter {
    /// The parameter of that name, if there is one.
    pub fn find(name: &str) -> Option<&'static Self> {
        parameters().find(|parameter| parameter.name == name)
    }

    /// Its value when nobody sets it.
    pub fn default(&self) -> Value {
        match self.default {
            Initial::Boolean(value) => Value::Boolean(value),
            Initial::Integer(value) => Value::Integer(value),
            Initial::Real(value) => Value::Real(value),
            Initial::Text(value) => Value::Text(value.into()),
            Initial::Reals(values) => Value::Reals(values.into()),
            Initial::Texts(texts) => Value::Texts(texts.iter().map(|&text| text.into()).collect()),
        }
    }

    /// Checks a value of the right type against the range.
    pub(super) fn check(&self, value: &Value) -> Result<(), ConfigError> {
        let range = || {
            let three = if matches!(value, Value::Reals(_)) { "3 numbers, each " } else { "" };
            format!("{three}{}", self.range.describe(self.unit))
        };
        if self.range.holds(value) {
            Ok(())
        } else {
            Err(ConfigError::Range { name: self.name, value: value.to_string(), range: range() })
        }
    }
}

impl Range {
    /// Whether a value of the right type lies in the range.
    pub fn holds(&self, value: &Value) -> bool {
        match (*self, value) {
            (Self::NotEmpty, Value::Text(text)) => !text.is_empty() && !text.contains('\0'),
            (Self::OneOf(choices), Value::Text(text)) => choices.contains(&text.as_str()),
            (Self::Integer(min, max), Value::Integer(value)) => (min..=max).contains(value),
            (Self::Real(min, max), Value::Real(value)) => (min..=max).contains(value),
            (Self::Real(min, max), Value::Reals(values)) => {
                values.len() == 3 && values.iter().all(|value| (min..=max).contains(value))
            }
            (Self::Paths { count, none }, Value::Texts(texts)) => match texts.as_slice() {
                [word] if word == "auto" => true,
                [word] if word == "none" => none,
                paths => paths.len() == count,
            },
            (Self::Subset(words), Value::Texts(texts)) => match texts.as_slice() {
                [word] if word == "none" => true,
                texts => {
                    let once: BTreeSet<_> = texts.iter().map(String::as_str).collect();
                    !texts.is_empty()
                        && once.len() == texts.len()
                        && once.iter().all(|word| words.contains(word))
                }
            },
            (Self::Any, _) => true,
            _ => false,
        }
    }

    /// The range in words, like "from 0.0 to 60.0 s"; empty where anything goes.
    pub fn describe(&self, unit: &str) -> String {
        let words = match self {
            Self::Any => String::new(),
            Self::NotEmpty => "not empty".into(),
            Self::OneOf(choices) => format!("one of: '{}'", choices.join("', '")),
            Self::Integer(min, max) => format!("from {min} to {max}"),
            Self::Real(min, max) => format!("from {min:?} to {max:?}"),
            Self::Subset(words) => format!("['none'] or any of '{}'", words.join("', '")),
            Self::Paths { count, none } => {
                let or_none = if *none { ", ['none']" } else { "" };
                format!("['auto']{or_none} or the paths of {count} fields")
            }
        };
        if unit.is_empty() || words.is_empty() { words } else { format!("{words} {unit}") }
    }
}

pub(super) const fn parameter(
    name: &'static str,
    default: Initial,
    unit: &'static str,
    range: Range,
    description: &'static str,
    change: Change,
) -> Parameter {
    Parameter { name, default, unit, range, description, change }
}
