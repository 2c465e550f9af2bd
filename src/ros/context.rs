//! Creation of the ROS context of the process from its arguments.

use std::path::PathBuf;

use super::arguments::Arguments;
use super::error::RosError;
use super::params::readable;
use super::r2r_ext::create_context;

/// Why the context was not created.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// An argument is unknown, or a parameter file cannot be read.
    #[error("bad arguments: {0}")]
    Arguments(String),
    /// rcl does not start in this environment, for example if ROS_DOMAIN_ID is not a number.
    #[error("ROS does not start: {0}")]
    Start(String),
    /// rcl cannot write its log. Has the folder and the reason, because rcl's own text (the second
    /// value) does not always name the folder.
    #[error("{0} {1}")]
    LogFolder(String, RosError),
    /// Another error of ROS.
    #[error(transparent)]
    Ros(#[from] RosError),
}

/// Creates the context of a program whose only arguments are `--ros-args …`.
///
/// # Errors
/// An argument is unknown, or rcl rejects the arguments or the environment.
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

/// Returns why rcl cannot write to the folder of its log, and the variables that select the folder.
/// Returns `None` if the folder can be written.
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
    // rcl_logging selects the folder in the same way.
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
