//! Differences between two sets of parameters, and whether each change is allowed.

use super::declaration::{Mutability, Parameter};
use super::set::Parameters;
use super::table::Table;
use super::value::Value;

/// Why a parameter may not change now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// The arm is armed. Contains the name of the parameter and its unchanged value.
    #[error("parameter '{0}' is {1} and cannot change while armed: call ~/set_armed with data: false first")]
    Armed(&'static str, String),
    /// The parameter is read only at start. Contains its name and its unchanged value.
    #[error("parameter '{0}' is {1} and read-only: set it at start, by a parameter file or -p {0}:=VALUE")]
    ReadOnly(&'static str, String),
}

/// A parameter whose value differs between two sets.
#[derive(Clone, Copy)]
pub struct Changed<'a> {
    /// The declaration of the parameter.
    pub parameter: &'static dyn Parameter,
    /// Its value before.
    pub before: &'a Value,
    /// Its value after.
    pub after: &'a Value,
}

impl<'a> Changed<'a> {
    /// Returns the differences between two sets, in the order of the table.
    pub fn between<T: Table>(
        before: &'a Parameters<T>,
        after: &'a Parameters<T>,
    ) -> impl Iterator<Item = Self> {
        T::parameters().filter_map(|parameter| {
            let (before, after) = (before.value(parameter.name)?, after.value(parameter.name)?);
            (before != after).then_some(Self { parameter, before, after })
        })
    }

    /// Checks that the parameter may change now.
    ///
    /// # Errors
    /// The parameter may not change now.
    pub fn check(&self, armed: bool) -> Result<(), ChangeError> {
        let (name, value) = (self.parameter.name, self.before.to_string());
        match self.parameter.mutability {
            Mutability::AtStart => Err(ChangeError::ReadOnly(name, value)),
            Mutability::WhileDisarmed if armed => Err(ChangeError::Armed(name, value)),
            Mutability::WhileDisarmed | Mutability::Always => Ok(()),
        }
    }
}
