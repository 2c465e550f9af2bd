//! The declaration of a parameter: name, type, default, unit, range, description and mutability.

use std::collections::BTreeSet;
use std::ops::{Deref, RangeInclusive};
use std::time::Duration;

use super::range::Range;
use super::value::Value;
use crate::geometry::Position;

/// A parameter whose value is read as a `T`. Functions like [`real`] create it.
#[must_use]
pub struct Param<T: 'static> {
    declaration: Declaration,
    read: Read<T>,
}

type Bounds = RangeInclusive<f64>;

/// How a value is converted to a `T`.
enum Read<T: 'static> {
    By(fn(&Value) -> Option<T>),
    Choice(&'static [(&'static str, T)]),
    Subset(&'static dyn Subset<T>),
}

/// A list of choices. Several of them can be selected, and the selection is read as a `T`.
trait Subset<T>: Sync {
    /// Returns the set that the words mean. Returns `None` if the list is empty, or if a word is
    /// unknown or occurs twice.
    fn of(&self, words: &[String]) -> Option<T>;
}

impl<T: Ord + Clone + Sync, const N: usize> Subset<BTreeSet<T>> for [(&'static str, T); N] {
    fn of(&self, words: &[String]) -> Option<BTreeSet<T>> {
        match words {
            [] => None,
            [word] if word == "none" => Some(BTreeSet::new()),
            words => {
                let set = words.iter().map(|word| meaning(self, word)).collect::<Option<BTreeSet<_>>>()?;
                (set.len() == words.len()).then_some(set)
            }
        }
    }
}

/// Returns the meaning of a word.
fn meaning<T: Clone>(choices: &[(&'static str, T)], text: &str) -> Option<T> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| choice.clone())
}

/// The part of a declaration that does not depend on the type of the value.
pub struct Declaration {
    /// The name. Dots separate the groups.
    pub name: &'static str,
    default: DefaultValue,
    /// The unit of the value; empty if it has no unit.
    pub unit: &'static str,
    /// The allowed values.
    pub range: Range,
    /// What the parameter does.
    pub description: &'static str,
    /// When the parameter may change.
    pub mutability: Mutability,
    /// Whether another value can mean another arm, or another meaning of the positions on the wire.
    pub identifies_arm: bool,
}

/// When a parameter may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// At any time. During motion the new value applies from the next command on.
    Always,
    /// Only while disarmed, because it selects the arm or the meaning of a position.
    WhileDisarmed,
    /// Never, because it is read only when the node starts.
    AtStart,
}

#[derive(Clone, Copy)]
enum DefaultValue {
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(&'static str),
    Reals([f64; 3]),
    Texts(&'static [&'static str]),
    RealList(&'static [f64]),
}

/// A parameter of a table.
pub trait Parameter: Deref<Target = Declaration> + Sync {
    /// Returns whether a value of the right type is in the range and all its words are known.
    fn accepts(&self, value: &Value) -> bool;
}

/// Declares a group of parameters. The comment above each parameter is its description.
///
/// ```
/// use aether_bridge::params::{Param, Parameter, real, text};
///
/// aether_bridge::parameters! {
///     /// A hand.
///     pub static HAND;
///
///     /// Maximum speed of the hand.
///     SPEED: f64 = real("speed", 0.25, 0.001..=10.0).unit("m/s").always();
///     /// Owner of the hand.
///     OWNER: String = text("owner", "");
/// }
/// assert_eq!(HAND[0].name, "speed");
/// assert_eq!(OWNER.description, "Owner of the hand.");
/// ```
#[macro_export]
macro_rules! parameters {
    (
        $(#[$about:meta])* $visibility:vis static $group:ident;
        $($(#[doc = $line:literal])+ $name:ident: $type:ty = $declared:expr;)+
    ) => {
        $($(#[doc = $line])+ #[allow(rustdoc::broken_intra_doc_links)]
        $visibility static $name: $crate::params::Param<$type> = $declared.description(concat!($($line),+));)+
        $(#[$about])*
        $visibility static $group: &[&dyn $crate::params::Parameter] = &[$(&$name),+];
    };
}

/// Declares a boolean.
pub const fn boolean(name: &'static str, default: bool) -> Param<bool> {
    let read = Read::By(|value| if let Value::Boolean(value) = value { Some(*value) } else { None });
    Param::new(name, DefaultValue::Boolean(default), Range::Any, read)
}

/// Declares an integer.
pub const fn integer<T: TryFrom<i64>>(
    name: &'static str,
    default: i64,
    range: RangeInclusive<i64>,
) -> Param<T> {
    let read =
        Read::By(|value| if let Value::Integer(value) = value { T::try_from(*value).ok() } else { None });
    let range = Range::Integer(*range.start(), *range.end());
    Param::new(name, DefaultValue::Integer(default), range, read)
}

/// Declares a number.
pub const fn real(name: &'static str, default: f64, range: Bounds) -> Param<f64> {
    Param::new(name, DefaultValue::Real(default), between(range), Read::By(real_of))
}

/// Declares a time in seconds.
pub const fn seconds(name: &'static str, default: f64, range: Bounds) -> Param<Duration> {
    let read = Read::By(|value| Duration::try_from_secs_f64(real_of(value)?).ok());
    Param::new(name, DefaultValue::Real(default), between(range), read).unit("s")
}

/// Declares three numbers.
pub const fn reals(name: &'static str, default: [f64; 3], range: Bounds) -> Param<[f64; 3]> {
    Param::new(name, DefaultValue::Reals(default), between(range), Read::By(reals_of))
}

/// Declares a position in metres.
pub const fn position(name: &'static str, default: [f64; 3], range: Bounds) -> Param<Position> {
    let read = Read::By(|value| reals_of(value).and_then(|[x, y, z]| Position::new(x, y, z).ok()));
    Param::new(name, DefaultValue::Reals(default), between(range), read).unit("m")
}

/// Declares a list of boxes with six numbers each: lower corner, then upper corner. The default is
/// no boxes, written `[0.0]`, because an empty list has no type in a parameter file.
pub const fn boxes(name: &'static str, range: Bounds) -> Param<Vec<[f64; 6]>> {
    let range = Range::Boxes(*range.start(), *range.end());
    Param::new(name, DefaultValue::RealList(&[0.0]), range, Read::By(boxes_of))
}

/// Declares any text.
pub const fn text(name: &'static str, default: &'static str) -> Param<String> {
    let read = Read::By(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None });
    Param::new(name, DefaultValue::Text(default), Range::Any, read)
}

/// Declares a choice between words. The first word is the default.
pub const fn one_of<T: Sync, const N: usize>(
    name: &'static str,
    choices: &'static [(&'static str, T); N],
) -> Param<T> {
    Param::new(name, DefaultValue::Text(choices[0].0), Range::OneOf(choices), Read::Choice(choices))
}

/// Declares a list of words, each at most once, or the word 'none', which is the default.
pub const fn subset<T: Ord + Clone + Sync, const N: usize>(
    name: &'static str,
    choices: &'static [(&'static str, T); N],
) -> Param<BTreeSet<T>> {
    Param::new(name, DefaultValue::Texts(&["none"]), Range::Subset(choices), Read::Subset(choices))
}

/// Declares the paths of `count` fields of a message. The word 'auto' is the default. The word
/// 'none' is allowed if `none` is true.
pub const fn field_paths(name: &'static str, count: usize, none: bool) -> Param<Vec<String>> {
    let range = Range::FieldPaths { count, none };
    Param::new(name, DefaultValue::Texts(&["auto"]), range, Read::By(texts_of))
}

const fn between(bounds: Bounds) -> Range {
    Range::Real(*bounds.start(), *bounds.end())
}

fn real_of(value: &Value) -> Option<f64> {
    if let Value::Real(value) = value { Some(*value) } else { None }
}

fn reals_of(value: &Value) -> Option<[f64; 3]> {
    if let Value::Reals(values) = value { values.as_slice().try_into().ok() } else { None }
}

/// Returns the boxes. Numbers after the last complete box are ignored. The range allows this for
/// `[0.0]` only.
fn boxes_of(value: &Value) -> Option<Vec<[f64; 6]>> {
    let Value::Reals(values) = value else { return None };
    Some(values.chunks_exact(6).map(|six| std::array::from_fn(|index| six[index])).collect())
}

fn texts_of(value: &Value) -> Option<Vec<String>> {
    if let Value::Texts(texts) = value { Some(texts.clone()) } else { None }
}

impl<T> Param<T> {
    /// Declares a parameter that is read only at start.
    const fn new(name: &'static str, default: DefaultValue, range: Range, read: Read<T>) -> Self {
        let declaration = Declaration {
            name,
            default,
            unit: "",
            range,
            description: "",
            mutability: Mutability::AtStart,
            identifies_arm: false,
        };
        Self { declaration, read }
    }

    /// Declares the unit of the value.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.declaration.unit = unit;
        self
    }

    /// Declares the description.
    pub const fn description(mut self, text: &'static str) -> Self {
        self.declaration.description = text.trim_ascii();
        self
    }

    /// Declares that the parameter may change at any time.
    pub const fn always(mut self) -> Self {
        self.declaration.mutability = Mutability::Always;
        self
    }

    /// Declares that the parameter may change only while disarmed.
    pub const fn while_disarmed(mut self) -> Self {
        self.declaration.mutability = Mutability::WhileDisarmed;
        self
    }

    /// Declares that another value can mean another arm, or another meaning of the positions on the
    /// wire.
    pub const fn identifies_arm(mut self) -> Self {
        self.declaration.identifies_arm = true;
        self
    }
}

impl Param<String> {
    /// Declares that the text must not be empty.
    pub const fn not_empty(mut self) -> Self {
        self.declaration.range = Range::NotEmpty;
        self
    }
}

impl<T: Clone> Param<T> {
    /// Returns the meaning of a value of the right type; `None` if it is out of range.
    pub(super) fn read(&self, value: &Value) -> Option<T> {
        if !self.range.holds(value) {
            return None;
        }
        match (&self.read, value) {
            (Read::By(read), value) => read(value),
            (Read::Choice(choices), Value::Text(text)) => meaning(choices, text),
            (Read::Subset(choices), Value::Texts(words)) => choices.of(words),
            (Read::Choice(_) | Read::Subset(_), _) => None,
        }
    }
}

impl<T: Clone + Sync> Parameter for Param<T> {
    fn accepts(&self, value: &Value) -> bool {
        self.read(value).is_some()
    }
}

impl<T> Deref for Param<T> {
    type Target = Declaration;

    fn deref(&self) -> &Declaration {
        &self.declaration
    }
}

impl Declaration {
    /// Returns the default value.
    pub fn default(&self) -> Value {
        match self.default {
            DefaultValue::Boolean(value) => Value::Boolean(value),
            DefaultValue::Integer(value) => Value::Integer(value),
            DefaultValue::Real(value) => Value::Real(value),
            DefaultValue::Text(value) => Value::Text(value.into()),
            DefaultValue::Reals(values) => Value::Reals(values.into()),
            DefaultValue::RealList(values) => Value::Reals(values.into()),
            DefaultValue::Texts(texts) => Value::Texts(texts.iter().map(|&text| text.into()).collect()),
        }
    }

    /// Returns the allowed values in words.
    pub fn describe_value(&self) -> String {
        let three = if matches!(self.default, DefaultValue::Reals(_)) { "3 numbers, each " } else { "" };
        format!("{three}{}", self.describe_range())
    }

    /// Returns the range and the unit in words. Empty if every value is allowed.
    pub fn describe_range(&self) -> String {
        self.range.describe(self.unit)
    }
}

impl Mutability {
    /// Returns in words when the parameter may change.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Always => "at any time",
            Self::WhileDisarmed => "only while disarmed",
            Self::AtStart => "only at start",
        }
    }
}
