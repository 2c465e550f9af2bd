//! The set of values of all parameters.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::declaration::{Declaration, Param};
use super::error::ParameterError;
use super::table::Table;
use super::value::Value;

/// A value for each parameter of a table. Each value has the right type and is in its range.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters<T>(BTreeMap<&'static str, Value>, PhantomData<T>);

impl<T: Table> Default for Parameters<T> {
    fn default() -> Self {
        let defaults = T::parameters().map(|parameter| (parameter.name, parameter.default()));
        Self(defaults.collect(), PhantomData)
    }
}

impl<T: Table> Parameters<T> {
    /// Returns the defaults, changed by these settings.
    ///
    /// # Errors
    /// The first setting that [`set`](Self::set) rejects.
    pub fn with(settings: &[(&str, Value)]) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        settings.iter().try_for_each(|(name, value)| parameters.set(name, value.clone()))?;
        Ok(parameters)
    }

    /// Sets one parameter.
    ///
    /// # Errors
    /// The name is unknown, or the value has the wrong type or is out of range. Then the set is
    /// unchanged.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), ParameterError> {
        let parameter = T::find(name).ok_or_else(|| T::unknown(name))?;
        let default = parameter.default();
        let value = value.coerced_to(&default).map_err(|value| {
            let range = parameter.describe_range();
            ParameterError::wrong_type(parameter.name, &value, default.type_name(), &range)
        })?;
        if !parameter.accepts(&value) {
            let is_former = |(name, former, _): &&(&str, &str, &str)| {
                *name == parameter.name && matches!(&value, Value::Text(word) if word == former)
            };
            let fault = match T::FORMER_VALUES.iter().find(is_former) {
                Some((_, _, word)) => format!("the new name of this value is '{word}'"),
                None => format!("it must be {}", parameter.describe_value()),
            };
            return Err(ParameterError::Value { name: parameter.name, value: value.to_string(), fault });
        }
        self.0.insert(parameter.name, value);
        Ok(())
    }

    /// Returns the value of a parameter, converted to its type.
    pub fn get<V: Clone>(&self, parameter: &Param<V>) -> V {
        let read = match self.0.get(parameter.name) {
            Some(value) => parameter.read(value),
            None => parameter.read(&parameter.default()),
        };
        read.expect("defaults and stored values are always accepted")
    }

    /// Returns the value of the parameter with this name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns the value of a parameter as errors show it.
    pub fn written(&self, parameter: &Declaration) -> String {
        self.value(parameter.name).map(ToString::to_string).unwrap_or_default()
    }

    /// Returns the error for a value outside a range that is not in the declaration.
    pub fn range_error(&self, parameter: &Declaration, range: &str) -> ParameterError {
        self.value_error(parameter, format!("it must be {range}"))
    }

    /// Returns the error for a value, with this description of the fault.
    pub fn value_error(&self, parameter: &Declaration, fault: String) -> ParameterError {
        ParameterError::Value { name: parameter.name, value: self.written(parameter), fault }
    }

    /// Returns the error for a value that must have a relation to the value of another parameter.
    pub fn relation_error(
        &self,
        parameter: &Declaration,
        relation: &str,
        other: &Declaration,
    ) -> ParameterError {
        let other_value = self.written(other);
        self.range_error(parameter, &format!("{relation} '{}', which is {other_value}", other.name))
    }

    /// Returns the error for a value that must meet a requirement ("be 0") while another parameter
    /// has its present value. `why` is added at the end. It is empty, or begins with ", because".
    pub fn condition_error(
        &self,
        parameter: &Declaration,
        requirement: &str,
        other: &Declaration,
        why: &str,
    ) -> ParameterError {
        let other_value = self.written(other);
        let fault = format!("it must {requirement} while '{}' is {other_value}{why}", other.name);
        self.value_error(parameter, fault)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::geometry::Position;
    use crate::params::{
        Parameter, boolean, field_paths, integer, one_of, position, real, reals, seconds, subset, text,
    };

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Hold {
        Silent,
        Stop,
    }

    crate::parameters! {
        /// One parameter of each type.
        static ALL;

        /// Any text,
        /// in two lines.
        NAME: String = text("name", "");
        /// A text that is not empty.
        HOST: String = text("host", "arm").not_empty();
        /// True or false.
        LOUD: bool = boolean("loud", true);
        /// An integer, in a range that is wider than its type.
        PORT: u16 = integer("port", 5000, 0..=70_000);
        /// A number.
        SPEED: f64 = real("limits.speed", 0.25, 0.001..=10.0).unit("m/s").always();
        /// A time.
        TIMEOUT: Duration = seconds("timeout", 0.5, 0.0..=60.0).while_disarmed();
        /// Three numbers.
        SCALE: [f64; 3] = reals("scale", [1.0; 3], -1.0..=1.0);
        /// A position.
        HOME: Position = position("home", [0.2, 0.0, 0.2], -1.0..=1.0);
        /// A choice.
        HOLD: Hold = one_of("hold", &[("silent", Hold::Silent), ("stop", Hold::Stop)]);
        /// Words that mean numbers.
        DIGITS: BTreeSet<u8> = subset("digits", &[("1", 1), ("2", 2)]);
        /// Paths.
        PATHS: Vec<String> = field_paths("paths", 2, false);
    }

    #[derive(Debug, Clone, PartialEq)]
    enum TestTable {}

    impl Table for TestTable {
        const GROUPS: &'static [&'static [&'static dyn Parameter]] = &[ALL];
        const FORMER_NAMES: &'static [(&'static str, &'static str)] =
            &[("velocity", "limits.speed"), ("host", "link.host")];
        const FORMER_VALUES: &'static [(&'static str, &'static str, &'static str)] =
            &[("hold", "nothing", "silent"), ("hold", "stop", "halt")];
    }

    fn set(name: &str, value: Value) -> Result<Parameters<TestTable>, String> {
        Parameters::with(&[(name, value)]).map_err(|error| error.to_string())
    }

    fn word(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn each_default_is_read_as_its_type() {
        let all = Parameters::<TestTable>::default();
        assert_eq!((all.get(&NAME), all.get(&HOST)), (String::new(), "arm".into()));
        assert_eq!((all.get(&LOUD), all.get(&PORT), all.get(&SPEED)), (true, 5000, 0.25));
        assert_eq!((all.get(&TIMEOUT), all.get(&SCALE)), (Duration::from_millis(500), [1.0; 3]));
        assert_eq!(all.get(&HOME), Position::new(0.2, 0.0, 0.2).unwrap());
        assert_eq!((all.get(&HOLD), all.get(&DIGITS)), (Hold::Silent, BTreeSet::new()));
        assert_eq!(all.get(&PATHS), ["auto"]);
        assert!(ALL.iter().all(|parameter| parameter.accepts(&parameter.default())));
    }

    #[test]
    fn value_is_read_as_its_meaning() {
        assert_eq!(set("hold", word("stop")).unwrap().get(&HOLD), Hold::Stop);
        assert_eq!(set("timeout", Value::Integer(2)).unwrap().get(&TIMEOUT), Duration::from_secs(2));
        let digits = Value::Texts(vec!["2".into(), "1".into()]);
        assert_eq!(set("digits", digits).unwrap().get(&DIGITS), BTreeSet::from([1, 2]));
    }

    #[test]
    fn value_without_a_meaning_is_rejected() {
        let texts = |words: &[&str]| Value::Texts(words.iter().map(ToString::to_string).collect());
        for (name, value, words) in [
            ("host", word(""), "is ''; it must be a text that is not empty"),
            ("port", Value::Integer(65_536), "is 65536; it must be from 0 to 70000"),
            ("timeout", Value::Real(f64::NAN), "is NaN; it must be from 0.0 to 60.0 s"),
            ("home", Value::Reals(vec![0.0; 4]), "it must be 3 numbers, each from -1.0 to 1.0 m"),
            ("hold", word("Stop"), "is 'Stop'; it must be one of: 'silent', 'stop'"),
            ("digits", texts(&["1", "1"]), "it must be ['none'] or any of '1', '2'"),
            ("digits", texts(&["x"]), "it must be ['none'] or any of '1', '2'"),
            ("digits", texts(&[]), "it must be ['none'] or any of '1', '2'"),
            ("paths", texts(&["none"]), "it must be ['auto'] or the paths of 2 fields"),
            ("loud", word("y"), "is 'y', a string; it must be a boolean"),
        ] {
            let error = set(name, value).unwrap_err();
            assert!(error.contains(words) && error.contains(&format!("'{name}'")), "{error}");
        }
    }

    #[test]
    fn former_name_is_rejected_with_the_new_name() {
        let error = set("velocity", Value::Real(0.1)).unwrap_err();
        assert_eq!(error, "parameter 'velocity' has the new name 'limits.speed'");
        assert_eq!(set("velocityy", Value::Real(0.1)).unwrap_err(), "parameter 'velocityy' is unknown");
        // A name in the table means the present parameter, even if it is also a former name.
        assert_eq!(set("host", word("other")).unwrap().get(&HOST), "other");
    }

    #[test]
    fn former_value_is_rejected_with_the_new_value() {
        let error = set("hold", word("nothing")).unwrap_err();
        assert_eq!(error, "parameter 'hold' is 'nothing'; the new name of this value is 'silent'");
        assert_eq!(set("hold", word("stop")).unwrap().get(&HOLD), Hold::Stop);
        assert!(set("name", word("nothing")).is_ok());
    }

    #[test]
    fn comment_of_several_lines_is_one_description() {
        assert_eq!(NAME.description, "Any text, in two lines.");
    }
}
