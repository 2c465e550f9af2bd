//! Why new parameters are not taken while the bridge runs.

use crate::config::{ChangeError, Config};
use crate::teleop::TeleopConfigError;

/// Why a configuration cannot take the place of the one in force.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReconfigureError {
    /// A parameter may not change, or not now.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The arm stands against it.
    #[error("cannot set {wanted}: {refused}")]
    Motion {
        /// What was to change, with the new values.
        wanted: String,
        /// Why it cannot.
        refused: TeleopConfigError,
    },
}

impl ReconfigureError {
    /// Names what was to change from `before` to `config`, which motion refuses.
    pub(super) fn motion(config: &Config, before: &Config, refused: TeleopConfigError) -> Self {
        let changes = config.changes(before);
        let wanted: Vec<_> =
            changes.map(|changed| format!("'{}' to {}", changed.parameter.name, changed.after)).collect();
        Self::Motion { wanted: wanted.join(" and "), refused }
    }
}
