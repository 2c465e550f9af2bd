//! The list of all parameters of a program.

use std::fmt;

use super::declaration::Parameter;
use super::error::ParameterError;
use crate::text::sanitize_short;

/// All parameters of a program, in the order of its documentation.
pub trait Table: fmt::Debug + Clone + PartialEq + 'static {
    /// The parameters, by group.
    const GROUPS: &'static [&'static [&'static dyn Parameter]];
    /// Former names, each with the present name. Used for names that are not in the table.
    const FORMER_NAMES: &'static [(&'static str, &'static str)] = &[];
    /// Former values: name of the parameter, former value, present value. Used for values that the
    /// parameter does not accept.
    const FORMER_VALUES: &'static [(&'static str, &'static str, &'static str)] = &[];

    /// Returns all parameters.
    fn parameters() -> impl Iterator<Item = &'static dyn Parameter> {
        Self::GROUPS.iter().copied().flatten().copied()
    }

    /// Returns the parameter with this name.
    fn find(name: &str) -> Option<&'static dyn Parameter> {
        Self::parameters().find(|parameter| parameter.name == name)
    }

    /// Returns the error for a name that is not in the table.
    fn unknown(name: &str) -> ParameterError {
        if let Some((former, name)) = Self::FORMER_NAMES.iter().find(|(former, _)| *former == name) {
            return ParameterError::Renamed(former, name);
        }
        let name = sanitize_short(name);
        ParameterError::Unknown { suggestion: Self::nearest(&name), name }
    }

    /// Returns the known name that is most similar to a misspelt one.
    fn nearest(name: &str) -> Option<&'static str> {
        let length = name.chars().count();
        Self::parameters()
            .map(|parameter| parameter.name)
            // A difference in length counts as that many typing errors, so skip very different
            // lengths.
            .filter(|known| known.len().abs_diff(length) <= MAX_TYPING_ERRORS)
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .filter(|(distance, _)| *distance <= MAX_TYPING_ERRORS)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known)
    }
}

const MAX_TYPING_ERRORS: usize = 3;
