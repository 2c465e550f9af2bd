//! Other settings while running.

use std::time::Instant;

use super::config::TeleopConfig;
use super::machine::{Goal, Teleop};
use crate::geometry::Position;

/// Why settings were not taken. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ConfigRefused {
    /// The arm would be outside the new workspace, where no command could lead it back from.
    #[error(
        "the workspace would exclude the arm, which is at [{:.3}, {:.3}, {:.3}] m; move it first",
        position.coordinates()[0], position.coordinates()[1], position.coordinates()[2]
    )]
    WorkspaceExcludesArm {
        /// Where the arm is, in the arm's base frame.
        position: Position,
    },
}

impl Teleop {
    /// Judges settings that are valid in themselves by where the arm is.
    ///
    /// # Errors
    /// Why [`Teleop::handle_config`] must not be called with them now.
    pub fn check_config(&self, config: &TeleopConfig) -> Result<(), ConfigRefused> {
        let sent = self.course.last_sent().map(|(_, command)| command.position);
        let excluded = [sent, self.course.known()].into_iter().flatten().find(|position| {
            // An arm that is outside already is not made worse off.
            self.config.workspace.contains(*position) && !config.workspace.contains(*position)
        });
        excluded.map_or(Ok(()), |position| Err(ConfigRefused::WorkspaceExcludesArm { position }))
    }

    /// Takes other settings; they are in force from the next command on. What decides who arms, and where the hand is,
    /// may change while disarmed only: see [`Teleop::is_armed`].
    pub fn handle_config(&mut self, now: Instant, config: TeleopConfig) {
        let before = std::mem::replace(&mut self.config, config);
        // A parameter that is set brings back neither a lost hand nor a command from before.
        self.input.handle_timeout_change(now, before.input_timeout);
        if before.hold_line != self.config.hold_line && !self.is_moving() {
            self.course.forbid_repetition();
        }
        if before.filter != self.config.filter {
            self.input.forget_smoothing();
        }
        if before.retarget != self.config.retarget || before.retarget_mode != self.config.retarget_mode {
            self.input.forget_positions();
            self.goal = None;
        }
        if before.arming != self.config.arming {
            self.handle_arming();
        }
        // The goal of a narrower workspace is another one.
        if let Some(goal) = self.goal {
            match self.place(goal.hand) {
                Ok((position, clamped)) => self.goal = Some(Goal { position, clamped, ..goal }),
                Err(fault) => {
                    self.goal = None;
                    self.input.handle_fault(fault);
                }
            }
        }
        self.update(now);
    }

    /// From now on another arm is moved, or the same one by other numbers: forgets where the arm is. Call it while
    /// disarmed and without a link.
    pub fn handle_other_arm(&mut self) {
        self.course.forget();
    }
}
