//! New settings while the machine runs.

use std::time::Instant;

use super::command::Position;
use super::config::{Arming, TeleopConfig};
use super::machine::{Permission, State, Teleop};
use super::reason::Disarmed;
use super::workspace::Workspace;

/// Why settings cannot take the place of those in force.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ConfigRefused {
    /// The arm is inside the present workspace, and would be outside the new one.
    #[error(
        "the arm is at [{}] m, which the new workspace excludes; move the arm first",
        .position.coordinates().map(|coordinate| format!("{coordinate:.3}")).join(", ")
    )]
    WorkspaceExcludesArm {
        /// Where the arm is, in its base frame.
        position: Position,
    },
}

impl Teleop {
    /// Whether motion is allowed: approaching, tracking or holding.
    pub fn is_armed(&self) -> bool {
        matches!(self.state, State::Approach | State::Tracking | State::Holding { .. })
    }

    /// Whether [`Teleop::handle_config`] may be called with these settings now.
    ///
    /// # Errors
    /// What stands against it.
    pub fn check_config(&self, config: &TeleopConfig) -> Result<(), ConfigRefused> {
        let walk = self.walk.as_ref().filter(|_| self.is_armed()).map(|walk| walk.position());
        let excluded = |position: &Position| {
            let holds = |workspace: &Workspace| workspace.contains(*position);
            holds(&self.config.workspace) && !holds(&config.workspace)
        };
        // Where commands have led, and where the next approach would start.
        match [walk, self.acknowledged.or(self.reported)].into_iter().flatten().find(excluded) {
            Some(position) => Err(ConfigRefused::WorkspaceExcludesArm { position }),
            None => Ok(()),
        }
    }

    /// Takes new settings, all at once. Call [`Teleop::check_config`] first, at the same `now`.
    pub fn handle_config(&mut self, now: Instant, config: TeleopConfig) {
        let before = std::mem::replace(&mut self.config, config);
        if self.config.arming == Arming::Operator && self.state == State::Disarmed(Permission::ArmsItself) {
            self.state = State::Disarmed(Permission::NeedsOperator(Disarmed::NotYetArmed));
        }
        if self.config.retarget != before.retarget {
            // What was said in the old frame says nothing in the new one.
            self.goal = None;
            self.jump.forget();
        }
        if let Some(goal) = &mut self.goal {
            match self.config.workspace.admit(goal.position) {
                Ok((position, clamped)) => {
                    (goal.position, goal.clamped) = (position, goal.clamped || clamped)
                }
                Err(_) => self.goal = None,
            }
        }
        self.update(now);
    }

    /// From now on another arm is moved, or the same one by other numbers: forgets where the arm is. Call it while
    /// disarmed and without a link.
    pub fn handle_other_arm(&mut self) {
        self.acknowledged = None;
        self.reported = None;
        self.walk = None;
    }
}
