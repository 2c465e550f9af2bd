//! The process's ROS context, from its arguments.

use std::path::PathBuf;

use super::arguments::Arguments;
use super::error::RosError;
use super::params::readable;
use super::r2r_ext::create_context;

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The arguments are not understood, or a parameter file cannot be read.
    #[error("bad arguments: {0}")]
    Arguments(String),
    /// rcl does not start with this environment, like a ROS_DOMAIN_ID that is no number.
    #[error("ROS does not start: {0}")]
    Start(String),
    /// rcl cannot write its log: where and why, because rcl's own text, which follows, does not always name the folder.
    #[error("{0} {1}")]
    LogFolder(String, RosError),
    /// Something else in ROS.
    #[error(transparent)]
    Ros(#[from] RosError),
}

/// Creates the context of a program that takes no arguments but `--ros-args …`.
///
/// # Errors
/// Arguments that are not known, or that rcl refuses; an environment that rcl refuses.
pub fn context(arguments: &Arguments) -> Result<r2r::Context, ContextError> {
    arguments.check().and_then(|()| readable(arguments)).map_err(ContextError::Arguments)?;
    create_context().map_err(ContextError::Start)?.map_err(|error| {
        let rcl = RosError::from(error);
        match log_folder_fault() {
            Some(fault) => ContextError::LogFolder(fault, rcl),
            None => rcl.into(),
        }
    })
}

/// Says why the folder of rcl's log cannot be written, with the variables that lead to it; nothing if it can be written.
fn log_folder_fault() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let now = ["ROS_LOG_DIR", "ROS_HOME", "HOME"].map(|name| match set(name) {
        Some(value) => format!("{name} is '{value}'"),
        None => format!("{name} is not set"),
    });
    let fault = |folder: &str, reason: &str| {
        Some(format!(
            "ROS cannot write its log in '{folder}': {reason}. Set ROS_LOG_DIR to a folder that can be written ({}).",
            now.join(", ")
        ))
    };
    // As rcl_logging chooses it.
    let folder = set("ROS_LOG_DIR")
        .or_else(|| set("ROS_HOME").map(|home| format!("{home}/log")))
        .unwrap_or_else(|| "~/.ros/log".into());
    let folder = match folder.strip_prefix('~') {
        Some(rest) => match set("HOME") {
            Some(home) => home + rest,
            None => return fault(&folder, "HOME is not set"),
        },
        None => folder,
    };
    let probe = PathBuf::from(&folder).join(format!(".aether_bridge-{}", std::process::id()));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&probe, ""));
    let _ = std::fs::remove_file(&probe);
    written.err().and_then(|error| fault(&folder, &error.to_string()))
}
