//! The parameters of the command line and of parameter files, with the source of each value.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rcl_ext::{NodeParameters, RclError, read_parameter_file};
use regex_lite::Regex;

use super::USE_SIM_TIME;
use super::message::given;
use crate::params::{ParameterError, Parameters, Table, Value};
use crate::ros::arguments::Arguments;
use crate::text::sanitize_short;

/// The parameters of a node from files and from the command line.
#[derive(Debug)]
pub struct Given {
    /// The full name of the node.
    node: String,
    /// The files in the order of the command line, then the command line.
    sources: Vec<Source>,
    /// The resulting values.
    merged: BTreeMap<String, Value>,
}

/// A parameter file, or the command line.
#[derive(Debug)]
struct Source {
    /// The path of the file, or `None` for the command line.
    file: Option<String>,
    /// The names of nodes in this source.
    keys: Vec<String>,
    /// The parameters for this node.
    parameters: BTreeMap<String, Value>,
}

impl Given {
    /// Reads the parameters for a node from the arguments and from their files. `node` is the full
    /// name. A key of a file matches the node as in rclcpp and rclpy.
    ///
    /// # Errors
    /// rcl cannot read the arguments or a file. [`readable`] returns a better error text.
    pub fn read(arguments: &Arguments, node: &str) -> Result<Self, RclError> {
        let all = rcl_ext::Arguments::parse(arguments.as_slice())?;
        let mut sources = Vec::new();
        for file in all.parameter_files()? {
            let nodes = read_parameter_file(Path::new(&file))?;
            sources.push(Source::new(Some(sanitize_short(&file)), &nodes, node));
        }
        let command_line: Vec<_> =
            ["", "--ros-args"].into_iter().chain(rules(arguments).flat_map(|rule| ["-p", rule])).collect();
        sources.push(Source::new(None, &rcl_ext::Arguments::parse(&command_line)?.parameters()?, node));
        let merged = matching(&all.parameters()?, node);
        Ok(Self { node: node.to_owned(), sources, merged })
    }

    /// Returns every name with its resulting value.
    fn parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.merged.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns the file that sets the resulting value of a parameter, if a file sets it.
    fn file_of(&self, name: &str) -> Option<&str> {
        // Compare the texts of the values, because NaN is not equal to NaN.
        let text = |parameters: &BTreeMap<String, Value>| parameters.get(name).map(ToString::to_string);
        let value = text(&self.merged);
        let source = self.sources.iter().rev().find(|source| text(&source.parameters) == value);
        source.and_then(|source| source.file.as_deref())
    }

    /// Logs the number of parameters from each source, and warns about probable mistakes.
    pub fn log<T: Table>(&self) {
        tracing::info!("{self}");
        for source in self.sources.iter().filter(|source| source.parameters.is_empty()) {
            let Some(file) = &source.file else { continue };
            let node = &self.node;
            match &source.keys[..] {
                [] => tracing::warn!("parameter file '{file}' is empty"),
                keys => tracing::warn!(
                    "parameter file '{file}' has no parameters for {node}: it has some for {}. Name the node '{node}' in it, or \
                     '/**' for every node",
                    some(keys)
                ),
            }
        }
        for (name, holds) in &self.merged {
            self.warn_of_overridden::<T>(name, holds);
        }
    }

    /// Warns if a source sets a value other than the default and another source overrides it.
    fn warn_of_overridden<T: Table>(&self, name: &str, holds: &Value) {
        let Some(parameter) = T::find(name) else { return };
        for source in &self.sources {
            match source.parameters.get(name) {
                Some(value) if value != holds && *value != parameter.default() => tracing::warn!(
                    "parameter '{name}' is {value} {}, but this value is not used, because it is {holds} {}",
                    source.place("in", "on"),
                    self.sources
                        .iter()
                        .rev()
                        .find(|source| source.parameters.get(name) == Some(holds))
                        .map_or_else(|| "under another key".to_owned(), |source| source.place("in", "on"))
                ),
                _ => {}
            }
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self
            .sources
            .iter()
            .filter(|source| source.file.is_some() || !source.parameters.is_empty())
            .map(|source| format!("{} {}", source.parameters.len(), source.place("from", "from")))
            .collect();
        match &counts[..] {
            [] => write!(f, "parameters of {}: all have their defaults", self.node),
            counts => write!(f, "parameters of {}: {}", self.node, counts.join(", ")),
        }
    }
}

impl Source {
    fn new(file: Option<String>, nodes: &[NodeParameters], node: &str) -> Self {
        let keys = nodes.iter().map(|entry| entry.key.clone()).collect();
        Self { file, keys, parameters: matching(nodes, node) }
    }

    /// Returns the name of the source after a preposition: `for_file` for a file, `for_line` for
    /// the command line.
    fn place(&self, for_file: &str, for_line: &str) -> String {
        match &self.file {
            Some(file) => format!("{for_file} {}", quoted(file)),
            None => format!("{for_line} the command line"),
        }
    }
}

/// The faults of the parameters at the start, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ParameterFaults(Vec<String>);

impl ParameterFaults {
    /// Creates an error with one fault.
    pub fn of(error: impl fmt::Display) -> Self {
        Self(vec![error.to_string()])
    }
}

/// The parameter values of a node at its start.
pub struct Start<T> {
    /// A value for every parameter.
    pub parameters: Parameters<T>,
    /// The parameter that every ROS node has.
    pub use_sim_time: bool,
}

impl<T: Table> Start<T> {
    /// Sets the values of `--ros-args` and of the parameter files. Ignores unknown names with a
    /// warning, because a file may have parameters of several nodes.
    ///
    /// # Errors
    /// A value is wrong. The error names every wrong value and its file.
    pub fn read(given: &Given) -> Result<Self, ParameterFaults> {
        let (mut parameters, mut use_sim_time) = (Parameters::default(), false);
        let mut faults = Vec::new();
        for (name, value) in given.parameters() {
            let file = given.file_of(name).map(|file| format!(" (in {})", quoted(file))).unwrap_or_default();
            match (name, value) {
                (USE_SIM_TIME, Value::Boolean(value)) => use_sim_time = *value,
                (USE_SIM_TIME, value) => {
                    let error = ParameterError::wrong_type(USE_SIM_TIME, value, "boolean", "");
                    faults.push(format!("{error}{file}"));
                }
                (name, _)
                    if name == "start_type_description_service" || name.starts_with("qos_overrides.") => {}
                (name, value) => match parameters.set(name, value.clone()) {
                    Err(error @ ParameterError::Unknown { .. }) => tracing::warn!("ignored: {error}{file}"),
                    Err(error @ ParameterError::Renamed(..)) if !file.is_empty() => faults.push(format!(
                        "{error}{file}; if it belongs to another node, put it under the name of that node, not under /**"
                    )),
                    Err(error) => faults.push(format!("{error}{file}")),
                    Ok(()) => {}
                },
            }
        }
        if faults.is_empty() { Ok(Self { parameters, use_sim_time }) } else { Err(ParameterFaults(faults)) }
    }
}

/// Returns the path of a file in quotes. Marks a file that launch wrote, because the user does not
/// know its path.
fn quoted(file: &str) -> String {
    let made_by_launch = Path::new(file)
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("launch_params_"));
    let maker = if made_by_launch { ", which launch wrote" } else { "" };
    format!("'{file}'{maker}")
}

/// Returns the parameters of all keys that match the node. A later key overrides an earlier key, as
/// in rclcpp and rclpy.
fn matching(nodes: &[NodeParameters], node: &str) -> BTreeMap<String, Value> {
    nodes
        .iter()
        .filter(|entry| matches(&entry.key, node))
        .flat_map(|entry| &entry.parameters)
        .map(|(name, value)| (name.clone(), given(value)))
        .collect()
}

/// Returns whether a key of a parameter file matches the full name of a node. Like rclcpp and
/// rclpy, it converts the key to a regular expression. `/*` matches one level and `/**` any number
/// of levels.
fn matches(key: &str, node: &str) -> bool {
    let slash = if key.starts_with('/') { "" } else { "/" };
    let pattern = format!("{slash}{key}").replace("/*", r"(/\w+)");
    Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(node))
}

fn some(keys: &[String]) -> String {
    let shown: Vec<_> = keys.iter().take(MOST_KEYS).map(|key| format!("'{}'", sanitize_short(key))).collect();
    let more =
        if keys.len() > MOST_KEYS { format!(" and {} more", keys.len() - MOST_KEYS) } else { String::new() };
    shown.join(", ") + &more
}

/// Returns the rules `NAME:=VALUE` of `-p` and `--param`.
fn rules(arguments: &Arguments) -> impl Iterator<Item = &str> {
    arguments.ros_values(&["-p", "--param"])
}

/// Checks that rcl can read the arguments and their parameter files.
///
/// # Errors
/// rcl cannot read an argument or a file. The error names the first one and what to write instead.
pub fn readable(arguments: &Arguments) -> Result<(), String> {
    // A pipe is empty when it is read again, so its parameters would be lost.
    let is_pipe = |file: &&str| std::fs::metadata(file).is_ok_and(|found| found.file_type().is_fifo());
    if let Some(pipe) = arguments.ros_values(&["--params-file"]).find(is_pipe) {
        return Err(format!(
            "the parameter file '{}' is a pipe, and parameter files are read more than once: write it to a file",
            sanitize_short(pipe)
        ));
    }
    let Err(error) = rcl_ext::Arguments::parse(arguments.as_slice()) else { return Ok(()) };
    for file in arguments.ros_values(&["--params-file"]) {
        let shown = sanitize_short(file);
        if let Err(error) = std::fs::read(file) {
            return Err(format!("cannot read the parameter file '{shown}': {error}"));
        }
        if let Err(error) = read_parameter_file(Path::new(file)) {
            return Err(format!("parameter file '{shown}': {}{}", short(&error), advice(&error)));
        }
    }
    for rule in rules(arguments) {
        if let Err(error) = rcl_ext::Arguments::parse(&["", "--ros-args", "-p", rule]) {
            return Err(format!("-p '{}': {}", sanitize_short(rule), advice_on_rule(rule, &error)));
        }
    }
    let text = error.to_string();
    Err(sanitize_short(text.split(", at /").next().unwrap_or(&text)) + advice(&error))
}

/// Returns rcl's text without the positions in rcl's source code.
fn short(error: &RclError) -> String {
    let text = error.to_string();
    let text = text.split(", at /").next().unwrap_or(&text);
    sanitize_short(text.rsplit_once("Error: ").map_or(text, |(_, reason)| reason).trim_end())
}

/// Returns what to write instead, if rcl's text is not sufficient.
fn advice(error: &RclError) -> &'static str {
    let text = error.to_string();
    ADVICE.iter().find(|(words, _)| text.contains(words)).map_or("", |(_, advice)| advice)
}

fn advice_on_rule(rule: &str, error: &RclError) -> String {
    match rule.split_once(":=") {
        None => "it must be NAME:=VALUE, like 'link.port:=5000'".into(),
        Some((name, "")) => format!("it has no value; an empty string is \"{name}:=''\""),
        Some((name, value)) => {
            let quoted = format!("{name}:='{}'", value.replace('\'', "''"));
            let advice = advice(error);
            let has_advice = !advice.is_empty() && advice != QUOTES;
            if has_advice || rcl_ext::Arguments::parse(&["", "--ros-args", "-p", &quoted]).is_err() {
                return format!("{}{advice}", short(error));
            }
            format!("the value is not valid YAML; text in quotes is: -p \"{}\"", sanitize_short(&quoted))
        }
    }
}

/// The advice if YAML finds no value.
const QUOTES: &str =
    ". An empty string is written '', and text that begins with { or [ is put in single quotes";

/// Parts of rcl's error texts, each with its advice.
const ADVICE: &[(&str, &str)] = &[
    (
        "Value type 'bool'",
        ". YAML reads y, n, yes, no, on and off as true or false: in a list of words put them in quotes, like 'y'",
    ),
    ("Value type 'integer'", ". All values of a list have one type: write 0.0, not 0, beside 0.5"),
    (
        "Sequence should be of same type",
        ". All values of a list have one type: words in quotes, numbers with a point",
    ),
    ("No value at line", QUOTES),
    (
        "before ros__parameters",
        ". Parameters are below a node's name and 'ros__parameters': '/**:', then '  ros__parameters:', then '    link.port: 5000'",
    ),
    (
        "node name must not contain",
        ". The names at the top of the file are those of nodes: letters, digits and '_', with '/' between namespaces, or '/**'",
    ),
    ("a valid severity level", ": debug, info, warn, error or fatal"),
    ("Sequences cannot be key", ". A list has values only, no lists"),
    (
        "Error parsing a event",
        ". Near that line the file is not valid YAML: indent with spaces, and put text with any of : # { } [ ] \" in single quotes",
    ),
];

const MOST_KEYS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Parameter, real};

    #[test]
    fn keys_match_like_in_rclcpp() {
        let node = "/left/aether_bridge";
        for key in [
            "/left/aether_bridge",
            "left/aether_bridge",
            "/**",
            "**",
            "/**/aether_bridge",
            "/*/aether_bridge",
            "*/aether_bridge",
            "/left/*",
            "/left/**",
            "/*/*",
        ] {
            assert!(matches(key, node), "{key}");
        }
        for key in [
            "aether_bridge",
            "/aether_bridge",
            "/right/aether_bridge",
            "/*",
            "/left",
            "/left/a(",
            "/left/*/*",
            "",
        ] {
            assert!(!matches(key, node), "{key}");
        }
        assert!(matches("aether_bridge", "/aether_bridge") && matches("/*", "/aether_bridge"));
    }

    crate::parameters! {
        /// The parameters of a test.
        static ALL;

        /// The speed.
        SPEED: f64 = real("speed", 0.25, 0.0..=1.0);
    }

    #[derive(Debug, Clone, PartialEq)]
    enum TestTable {}

    impl Table for TestTable {
        const GROUPS: &'static [&'static [&'static dyn Parameter]] = &[ALL];
        const FORMER_NAMES: &'static [(&'static str, &'static str)] = &[("velocity", "speed")];
    }

    fn start(rule: &str) -> Result<Start<TestTable>, String> {
        let arguments = Arguments::new(["node", "--ros-args", "-p", rule].map(Into::into)).unwrap();
        Start::read(&Given::read(&arguments, "/node").unwrap()).map_err(|faults| faults.to_string())
    }

    #[test]
    fn unknown_name_is_ignored_former_name_is_rejected() {
        assert_eq!(start("speed:=0.5").unwrap().parameters.get(&SPEED), 0.5);
        assert_eq!(start("spede:=0.5").unwrap().parameters.get(&SPEED), 0.25);
        let faults = start("velocity:=0.5").err();
        assert_eq!(faults.as_deref(), Some("parameter 'velocity' has the new name 'speed'"));
        let faults = start("use_sim_time:=1").err();
        assert!(faults.is_some_and(|faults| faults.contains("is 1, an integer; it must be a boolean")));
    }
}
