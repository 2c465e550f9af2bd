//! The mode: what the bridge does with targets, and who may let it move the arm.
//!
//! Invariants:
//! - Only the methods of [`Mode`] change the mode. They are the arrows of the diagram in [the
//!   module](super).
//! - Motion begins as an approach, and only from a mode that permits motion.
//! - Only an operator can leave STOPPED, and only to DISARMED.
//! - The bridge arms automatically at most once, after the start. After that only an operator arms.
//! - After a long absence the hand settles before motion begins again. After a longer absence an
//!   operator arms.

use std::time::Duration;

use super::config::Arming;
use super::estimate::PositionUnknown;
use crate::geometry::Position;

/// What the bridge does with targets, as published in `LinkStatus.motion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Motion is not allowed.
    Disarmed,
    /// Commands ramp slowly from the arm's position to a live target.
    Approach,
    /// Commands follow the target.
    Tracking,
    /// Armed. The arm stays where the last command sent it.
    Holding,
    /// A stop request is latched.
    Stopped,
}

/// Why only an operator can arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Disarmed {
    /// `teleop.arming` is or was `operator`, and the bridge has not been armed yet.
    #[error("disarmed: the arm has not been armed yet; call ~/set_armed with data: true")]
    NotYetArmed,
    /// `~/set_armed` was called with false.
    #[error("disarmed by ~/set_armed; call it with data: true to arm again")]
    ByOperator,
    /// `~/reset` was called.
    #[error("disarmed by ~/reset; call ~/set_armed with data: true to arm again")]
    ByReset,
    /// The arm has reached home after `~/go_home`.
    #[error("disarmed: the arm is at home; call ~/set_armed with data: true to arm")]
    AtHome,
    /// An obstacle ended the motion home.
    #[error("disarmed: an obstacle ended the way home; call ~/go_home again")]
    OnTheWayHome,
    /// The controller reported a fault, and the fault has ended.
    #[error("disarmed: the controller reported a fault; call ~/set_armed with data: true to arm again")]
    ByArmFault,
    /// The link was lost while `teleop.arming` is `operator`.
    #[error(
        "disarmed: the link was lost and teleop.arming is 'operator'; call ~/set_armed with data: true to arm again"
    )]
    ByLinkLoss,
    /// No good target has arrived for `teleop.rearm_after`.
    #[error(
        "disarmed: no good target has come for teleop.rearm_after {:.0} s; call ~/set_armed with data: true to arm again",
        after.as_secs_f64()
    )]
    ByAbsence {
        /// `teleop.rearm_after`.
        after: Duration,
    },
    /// The publisher that the arm was armed for is silent, and another publisher sends targets.
    #[error(
        "disarmed: another publisher sends targets instead of the one that the arm was armed for; call \
         ~/set_armed with data: true to follow it"
    )]
    ByNewPublisher,
    /// Launch has restarted the bridge automatically.
    #[error(
        "disarmed: launch has started the bridge again (aether_respawn); call ~/set_armed with data: true to arm"
    )]
    ByRespawn,
    /// The state file cannot be written.
    #[error(
        "disarmed: the state file cannot be written, so the bridge does not know how its last run ended; call ~/set_armed with \
         data: true to arm, and see the log"
    )]
    WithoutStateFile,
    /// The controller has rejected every command for the time `after`.
    #[error(
        "disarmed: the controller has rejected every command for {:.0} s; call ~/set_armed with data: true to arm again",
        after.as_secs_f64()
    )]
    ByRefusals {
        /// How long the controller has rejected commands.
        after: Duration,
    },
    /// There was no connection for `teleop.rearm_after`.
    #[error(
        "disarmed: there was no connection for teleop.rearm_after {:.0} s; call ~/set_armed with data: true to arm again",
        after.as_secs_f64()
    )]
    ByOutage {
        /// `teleop.rearm_after`.
        after: Duration,
    },
    /// The meaning of positions has changed.
    #[error("disarmed: retarget.* has changed; call ~/set_armed with data: true to arm again")]
    ByRetarget,
}

/// Why a request of an operator was rejected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArmingError {
    /// `~/set_armed` true while a stop is latched.
    #[error("not armed: a stop request is latched; call ~/reset first")]
    StopLatched,
    /// `~/set_armed` was called with true while the arm's position is unknown. A second call within
    /// `within` sends the arm home.
    #[error(
        "the arm is not moved: {unknown}; call ~/set_armed with data: true again within {:.0} s, and the arm \
         goes to home {} at the controller's own speed", within.as_secs_f64(), in_millimetres(*home)
    )]
    #[allow(missing_docs)]
    PositionUnknown { unknown: PositionUnknown, home: Position, within: Duration },
    /// `~/go_home` was called while there is an obstacle.
    #[error("not going home: {0}")]
    NotGoingHome(String),
    /// `~/set_armed` was called with true during the shutdown.
    #[error("not armed: the bridge is shutting down")]
    ShuttingDown,
}

/// Formats a position in millimetres, the unit that operators know from their arm.
fn in_millimetres(position: Position) -> String {
    let [x, y, z] = position.coordinates().map(|metres| metres * 1000.0);
    format!("({x:.0}, {y:.0}, {z:.0}) mm")
}

/// The mode of the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Disarmed. Arms automatically as soon as link and input are good.
    ArmsItself,
    /// Disarmed until an operator arms.
    Disarmed(Disarmed),
    Approach,
    Tracking,
    /// An operator or the shutdown sends the arm home.
    GoingHome,
    /// If `settle` is set, the input has to settle first, because an operator has just armed or the
    /// hand was absent.
    Holding {
        settle: bool,
    },
    Stopped,
}

impl Mode {
    /// Creates a disarmed mode.
    pub(super) fn new(arming: Arming) -> Self {
        Self(match arming {
            Arming::Automatic => State::ArmsItself,
            Arming::Operator => State::Disarmed(Disarmed::NotYetArmed),
        })
    }

    /// Returns the motion state as published in `LinkStatus.motion`.
    pub(super) fn motion(self) -> Motion {
        match self.0 {
            State::ArmsItself | State::Disarmed(_) => Motion::Disarmed,
            State::Approach | State::GoingHome => Motion::Approach,
            State::Tracking => Motion::Tracking,
            State::Holding { .. } => Motion::Holding,
            State::Stopped => Motion::Stopped,
        }
    }

    /// Returns why only an operator can arm. `None` in every other mode.
    pub(super) fn disarmed(self) -> Option<Disarmed> {
        if let State::Disarmed(why) = self.0 { Some(why) } else { None }
    }

    /// Returns whether motion is allowed. An obstacle may still prevent it.
    pub(super) fn is_armed(self) -> bool {
        self.is_moving() || matches!(self.0, State::Holding { .. })
    }

    /// Returns whether the bridge plans commands.
    pub(super) fn is_moving(self) -> bool {
        matches!(self.0, State::Approach | State::Tracking | State::GoingHome)
    }

    /// Returns whether the arm goes home. The hand then has no influence.
    pub(super) fn is_going_home(self) -> bool {
        self.0 == State::GoingHome
    }

    /// Sends the arm home.
    ///
    /// # Errors
    /// A stop is latched.
    pub(super) fn go_home(&mut self) -> Result<(), ArmingError> {
        if self.0 == State::Stopped {
            return Err(ArmingError::StopLatched);
        }
        self.0 = State::GoingHome;
        Ok(())
    }

    /// Returns whether the mode changes after the input has been good for `teleop.settle_time`.
    pub(super) fn awaits_settling(self) -> bool {
        matches!(self.0, State::ArmsItself | State::Holding { settle: true })
    }

    /// Returns whether motion has begun, or begins as soon as there is no obstacle.
    pub(super) fn awaits_motion(self) -> bool {
        !matches!(self.0, State::Disarmed(_) | State::Stopped)
    }

    /// Arms. Returns whether the mode has changed.
    ///
    /// # Errors
    /// A stop is latched.
    pub(super) fn arm(&mut self) -> Result<bool, ArmingError> {
        match self.0 {
            State::Stopped => Err(ArmingError::StopLatched),
            State::ArmsItself | State::Disarmed(_) | State::GoingHome => {
                self.0 = State::Holding { settle: true };
                Ok(true)
            }
            State::Approach | State::Tracking | State::Holding { .. } => Ok(false),
        }
    }

    /// Disarms, unless a stop is latched. Returns whether the mode is now DISARMED.
    pub(super) fn disarm(&mut self, why: Disarmed) -> bool {
        if self.0 != State::Stopped {
            self.0 = State::Disarmed(why);
        }
        self.0 != State::Stopped
    }

    /// Latches a stop.
    pub(super) fn stop(&mut self) {
        self.0 = State::Stopped;
    }

    /// Releases a stop and disarms. Returns a text that describes the change.
    pub(super) fn reset(&mut self) -> &'static str {
        let happened = match self.0 {
            State::Stopped => "stop released; disarmed",
            State::Disarmed(_) => return "no stop was latched; already disarmed",
            State::ArmsItself
            | State::Approach
            | State::Tracking
            | State::GoingHome
            | State::Holding { .. } => "no stop was latched; disarmed",
        };
        self.0 = State::Disarmed(Disarmed::ByReset);
        happened
    }

    /// Updates the mode. `clear`: there is no obstacle. `settled`: the input has settled. Returns
    /// whether motion begins.
    pub(super) fn advance(&mut self, clear: bool, settled: bool) -> bool {
        let begins = clear
            && match self.0 {
                State::ArmsItself | State::Holding { settle: true } => settled,
                State::Holding { settle: false } => true,
                State::Disarmed(_)
                | State::Approach
                | State::Tracking
                | State::GoingHome
                | State::Stopped => false,
            };
        if begins {
            self.0 = State::Approach;
        } else if self.0 == State::GoingHome && !clear {
            self.0 = State::Disarmed(Disarmed::OnTheWayHome);
        } else if self.is_moving() && !clear {
            self.0 = State::Holding { settle: false };
        }
        begins
    }

    /// Makes a hold last until the input has settled, because the hand was absent.
    pub(super) fn require_settling(&mut self) {
        if let State::Holding { settle } = &mut self.0 {
            *settle = true;
        }
    }

    /// Changes from following to approaching, because something other than the hand moves the goal,
    /// or because a command was rejected or lost.
    pub(super) fn approach_again(&mut self) {
        if self.0 == State::Tracking {
            self.0 = State::Approach;
        }
    }

    /// Ends an approach, because the arm has reached the target.
    pub(super) fn track(&mut self) {
        if self.0 == State::Approach {
            self.0 = State::Tracking;
        }
    }

    /// Handles a changed `arming`. This never arms the bridge. If the bridge has not armed yet,
    /// `operator` removes the permission to arm automatically.
    pub(super) fn handle_arming(&mut self, arming: Arming) {
        if self.0 == State::ArmsItself {
            *self = Self::new(arming);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed() -> Mode {
        let mut mode = Mode::new(Arming::Operator);
        assert_eq!(mode.arm(), Ok(true));
        mode
    }

    fn tracking() -> Mode {
        let mut mode = armed();
        assert!(mode.advance(true, true));
        mode.track();
        mode
    }

    #[test]
    fn automatic_mode_arms_once() {
        let mut mode = Mode::new(Arming::Automatic);
        assert!(!mode.advance(true, false) && !mode.advance(false, true));
        assert!(mode.advance(true, true));
        assert_eq!(mode.motion(), Motion::Approach);
        assert!(mode.disarm(Disarmed::ByOperator));
        assert!(!mode.advance(true, true));
        assert_eq!(mode.disarmed(), Some(Disarmed::ByOperator));
    }

    #[test]
    fn armed_mode_waits_until_input_settles() {
        let mut mode = armed();
        assert!(mode.awaits_settling() && !mode.advance(true, false));
        assert!(mode.advance(true, true));
    }

    #[test]
    fn obstacle_holds_and_motion_resumes_as_approach() {
        let mut mode = tracking();
        assert!(!mode.advance(false, true));
        assert_eq!(mode.motion(), Motion::Holding);
        assert!(!mode.awaits_settling() && mode.advance(true, false));
        assert_eq!(mode.motion(), Motion::Approach);
    }

    #[test]
    fn absent_hand_has_to_settle_again() {
        let mut mode = tracking();
        mode.require_settling();
        assert!(mode.is_moving(), "only a hold has to settle");
        assert!(!mode.advance(false, true));
        mode.require_settling();
        assert!(mode.awaits_settling() && !mode.advance(true, false) && mode.advance(true, true));
    }

    #[test]
    fn goal_moved_by_others_is_approached() {
        let mut mode = tracking();
        mode.approach_again();
        assert_eq!(mode.motion(), Motion::Approach);
        let mut mode = armed();
        mode.approach_again();
        assert_eq!(mode.motion(), Motion::Holding);
    }

    #[test]
    fn stopped_mode_is_left_only_by_reset() {
        let mut mode = tracking();
        mode.stop();
        assert_eq!(mode.arm(), Err(ArmingError::StopLatched));
        assert!(!mode.disarm(Disarmed::ByOperator) && !mode.advance(true, true));
        mode.track();
        mode.handle_arming(Arming::Automatic);
        assert_eq!(mode.motion(), Motion::Stopped);
        assert_eq!(mode.reset(), "stop released; disarmed");
        assert_eq!(mode.disarmed(), Some(Disarmed::ByReset));
        assert!(!mode.advance(true, true));
    }

    #[test]
    fn reset_keeps_reason_of_earlier_disarm() {
        let mut mode = Mode::new(Arming::Operator);
        assert_eq!(mode.reset(), "no stop was latched; already disarmed");
        assert_eq!(mode.disarmed(), Some(Disarmed::NotYetArmed));
        for mut mode in [armed(), tracking(), Mode::new(Arming::Automatic)] {
            assert_eq!(mode.reset(), "no stop was latched; disarmed");
            assert_eq!(mode.disarmed(), Some(Disarmed::ByReset));
        }
    }

    #[test]
    fn changed_arming_removes_only_unused_permission() {
        let mut mode = Mode::new(Arming::Automatic);
        mode.handle_arming(Arming::Operator);
        assert_eq!(mode.disarmed(), Some(Disarmed::NotYetArmed));
        mode.handle_arming(Arming::Automatic);
        assert!(!mode.advance(true, true), "it never arms");
        let mut mode = tracking();
        mode.handle_arming(Arming::Operator);
        assert!(mode.is_moving());
    }
}
