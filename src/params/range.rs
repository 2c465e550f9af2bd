//! The allowed values of a parameter.

use super::value::Value;

/// The allowed values of a parameter.
#[derive(Clone, Copy)]
pub enum Range {
    /// Any value of the type.
    Any,
    /// A string that is not empty.
    NotEmpty,
    /// One of these strings.
    OneOf(&'static dyn Words),
    /// An integer between two bounds, inclusive.
    Integer(i64, i64),
    /// A number, or each of three numbers, between two bounds, inclusive.
    Real(f64, f64),
    /// Six numbers for each box, each between two bounds, inclusive. A single 0.0, or an empty
    /// list, means no boxes.
    Boxes(f64, f64),
    /// Any of these words, each once, or only the word 'none'.
    Subset(&'static dyn Words),
    /// `count` field paths, or the word 'auto', or 'none' if it is allowed.
    FieldPaths {
        /// The number of paths.
        count: usize,
        /// Whether the word 'none' is allowed.
        none: bool,
    },
}

/// The words of a choice.
pub trait Words: Sync {
    /// Returns the words in the order of their declaration.
    fn words(&self) -> Vec<&'static str>;
}

impl<T: Sync, const N: usize> Words for [(&'static str, T); N] {
    fn words(&self) -> Vec<&'static str> {
        self.iter().map(|(word, _)| *word).collect()
    }
}

impl Range {
    /// Returns whether a value of the right type is in the range. Does not check the words of a
    /// choice or a subset. `Param::read` checks them.
    pub(super) fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (Self::NotEmpty, Value::Text(text)) => !text.is_empty() && !text.contains('\0'),
            (Self::Integer(min, max), Value::Integer(value)) => (min..=max).contains(value),
            (Self::Real(min, max), Value::Real(value)) => (min..=max).contains(value),
            (Self::Real(min, max), Value::Reals(values)) => {
                values.iter().all(|value| (min..=max).contains(value))
            }
            (Self::Boxes(min, max), Value::Reals(values)) => {
                values.as_slice() == [0.0]
                    || values.len() % 6 == 0 && values.iter().all(|value| (min..=max).contains(value))
            }
            (Self::FieldPaths { count, none }, Value::Texts(texts)) => match texts.as_slice() {
                [word] if word == "auto" => true,
                [word] if word == "none" => none,
                paths => paths.len() == count,
            },
            (Self::Any | Self::OneOf(_) | Self::Subset(_), _) => true,
            _ => false,
        }
    }

    /// Returns the range in words, like "from 0.0 to 60.0 s". Empty if every value is allowed.
    pub fn describe(&self, unit: &str) -> String {
        let words = match self {
            Self::Any => String::new(),
            Self::NotEmpty => "a text that is not empty".into(),
            Self::OneOf(choices) => format!("one of: '{}'", choices.words().join("', '")),
            Self::Integer(min, max) => format!("from {min} to {max}"),
            Self::Real(min, max) => format!("from {min:?} to {max:?}"),
            Self::Boxes(min, max) => {
                format!("[0.0] for none, or six numbers for each box, each from {min:?} to {max:?}")
            }
            Self::Subset(choices) => format!("['none'] or any of '{}'", choices.words().join("', '")),
            Self::FieldPaths { count, none } => {
                let or_none = if *none { ", ['none']" } else { "" };
                format!("['auto']{or_none} or the paths of {count} fields")
            }
        };
        if unit.is_empty() || words.is_empty() { words } else { format!("{words} {unit}") }
    }
}
