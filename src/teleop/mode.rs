//! The mode: what the bridge does with targets, and who lets it move the arm.
//!
//! Invariants:
//! - Only the methods of [`Mode`] change the mode. They are the arrows of the diagram in [the module](super).
//! - Motion begins as an approach, and only from a mode that permits motion.
//! - Only a person leads out of STOPPED, and only to DISARMED.
//! - A mode arms itself once, after the start. After that only a person arms.
//! - After a long absence the hand settles before motion begins again, and after a longer one a person arms.

use std::time::Duration;

use super::config::Arming;
use super::estimate::PositionUnknown;
use crate::geometry::Position;

/// What the bridge does with targets, as published in `LinkStatus.motion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Motion is not allowed.
    Disarmed,
    /// Ramping slowly from where the arm is to a live target.
    Approach,
    /// Following the target.
    Tracking,
    /// Armed, and staying where the last command put the arm.
    Holding,
    /// A stop request is latched.
    Stopped,
}

/// Why only a person can arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Disarmed {
    /// `teleop.arming` is, or was, `operator`, and the bridge has not been armed yet.
    #[error("disarmed: nobody has armed yet; call ~/set_armed with data: true")]
    NotYetArmed,
    /// `~/set_armed` false.
    #[error("disarmed by ~/set_armed; call it with data: true to arm again")]
    ByOperator,
    /// `~/reset`.
    #[error("disarmed by ~/reset; call ~/set_armed with data: true to arm again")]
    ByReset,
    /// The arm is at home, where `~/go_home` has sent it.
    #[error("disarmed: the arm is at home; call ~/set_armed with data: true to arm")]
    AtHome,
    /// Something stood in the way home.
    #[error("disarmed: the arm did not get home, because something stood in its way; call ~/go_home again")]
    OnTheWayHome,
    /// The controller reported a fault, and reports it no longer.
    #[error("disarmed: the controller reported a fault; call ~/set_armed with data: true to arm again")]
    ByArmFault,
    /// The link was lost while `teleop.arming` is `operator`.
    #[error(
        "disarmed: the link was lost and teleop.arming is 'operator'; call ~/set_armed with data: true to arm again"
    )]
    ByLinkLoss,
    /// No good target has come for `teleop.rearm_after`.
    #[error(
        "disarmed: no good target has come for teleop.rearm_after {:.0} s; call ~/set_armed with data: true to arm again",
        after.as_secs_f64()
    )]
    ByAbsence {
        /// `teleop.rearm_after`.
        after: Duration,
    },
    /// Another publisher sends targets than the one that the arm was armed for, which is silent.
    #[error(
        "disarmed: another publisher sends targets now than the one that the arm was armed for; call ~/set_armed with data: \
         true to follow it"
    )]
    ByNewPublisher,
    /// Launch has started the bridge again by itself.
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
    /// The controller has refused every command for so long.
    #[error(
        "disarmed: the controller has refused every command for {:.0} s; call ~/set_armed with data: true to arm again",
        after.as_secs_f64()
    )]
    ByRefusals {
        /// For how long.
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
    /// What positions mean has changed.
    #[error("disarmed: retarget.* has changed; call ~/set_armed with data: true to arm again")]
    ByRetarget,
}

/// Why a request by a person was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArmingError {
    /// `~/set_armed` true while a stop is latched.
    #[error("not armed: a stop request is latched; call ~/reset first")]
    StopLatched,
    /// `~/set_armed` true while it is not known where the arm is. The same call does it, if it comes again soon.
    #[error(
        "the arm is not moved: {unknown}; call ~/set_armed with data: true again within {:.0} s, and it goes to home {} at \
         its own speed", within.as_secs_f64(), in_millimetres(*home)
    )]
    #[allow(missing_docs)]
    PositionUnknown { unknown: PositionUnknown, home: Position, within: Duration },
    /// `~/go_home` while something stands in the way.
    #[error("not going home: {0}")]
    NotGoingHome(String),
    /// `~/set_armed` true at the end.
    #[error("not armed: the bridge is shutting down")]
    ShuttingDown,
}

/// Writes a position as people read it beside an arm.
fn in_millimetres(position: Position) -> String {
    let [x, y, z] = position.coordinates().map(|metres| metres * 1000.0);
    format!("({x:.0}, {y:.0}, {z:.0}) mm")
}

/// The mode of the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Disarmed until link and input are good.
    ArmsItself,
    /// Disarmed until a person arms.
    Disarmed(Disarmed),
    Approach,
    Tracking,
    /// A person, or the end of the process, sends the arm home.
    GoingHome,
    /// `settle`: the input has to prove itself first, because a person has just armed, or because the hand has been away.
    Holding {
        settle: bool,
    },
    Stopped,
}

impl Mode {
    /// Starts disarmed.
    pub(super) fn new(arming: Arming) -> Self {
        Self(match arming {
            Arming::Automatic => State::ArmsItself,
            Arming::Operator => State::Disarmed(Disarmed::NotYetArmed),
        })
    }

    /// Returns the mode as it is published.
    pub(super) fn motion(self) -> Motion {
        match self.0 {
            State::ArmsItself | State::Disarmed(_) => Motion::Disarmed,
            State::Approach | State::GoingHome => Motion::Approach,
            State::Tracking => Motion::Tracking,
            State::Holding { .. } => Motion::Holding,
            State::Stopped => Motion::Stopped,
        }
    }

    /// Returns why only a person can arm, if that is so.
    pub(super) fn disarmed(self) -> Option<Disarmed> {
        if let State::Disarmed(why) = self.0 { Some(why) } else { None }
    }

    /// Returns whether motion is allowed, though an obstacle may hold it.
    pub(super) fn is_armed(self) -> bool {
        self.is_moving() || matches!(self.0, State::Holding { .. })
    }

    /// Returns whether commands are planned.
    pub(super) fn is_moving(self) -> bool {
        matches!(self.0, State::Approach | State::Tracking | State::GoingHome)
    }

    /// Returns whether the arm goes home, whatever the hand does.
    pub(super) fn is_going_home(self) -> bool {
        self.0 == State::GoingHome
    }

    /// Sends the arm home. Fails while a stop is latched.
    pub(super) fn go_home(&mut self) -> Result<(), ArmingError> {
        if self.0 == State::Stopped {
            return Err(ArmingError::StopLatched);
        }
        self.0 = State::GoingHome;
        Ok(())
    }

    /// Returns whether the mode changes when the input has been good for `teleop.settle_time`.
    pub(super) fn awaits_settling(self) -> bool {
        matches!(self.0, State::ArmsItself | State::Holding { settle: true })
    }

    /// Returns whether motion begins as soon as nothing stands in its way, or has begun.
    pub(super) fn awaits_motion(self) -> bool {
        !matches!(self.0, State::Disarmed(_) | State::Stopped)
    }

    /// Arms, and returns whether that changed the mode. Fails while a stop is latched.
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

    /// Disarms, unless a stop is latched. Returns whether the mode is DISARMED now.
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

    /// Releases a stop and disarms. Returns what that did, in words.
    pub(super) fn reset(&mut self) -> &'static str {
        let happened = match self.0 {
            State::Stopped => "stop released; disarmed",
            State::Disarmed(_) => return "no stop was latched; disarmed already",
            State::ArmsItself
            | State::Approach
            | State::Tracking
            | State::GoingHome
            | State::Holding { .. } => "no stop was latched; disarmed",
        };
        self.0 = State::Disarmed(Disarmed::ByReset);
        happened
    }

    /// Takes whether the way is `clear` of obstacles, and whether the input has `settled`. Returns whether motion begins.
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

    /// Makes a hold last until the input has settled, because the hand has been away.
    pub(super) fn require_settling(&mut self) {
        if let State::Holding { settle } = &mut self.0 {
            *settle = true;
        }
    }

    /// Goes back from following to the pace of an approach, because it is not the hand that moves the goal, or because a command
    /// was refused or lost.
    pub(super) fn approach_again(&mut self) {
        if self.0 == State::Tracking {
            self.0 = State::Approach;
        }
    }

    /// Ends an approach, because the arm is at the target.
    pub(super) fn track(&mut self) {
        if self.0 == State::Approach {
            self.0 = State::Tracking;
        }
    }

    /// Takes another value of `arming`. It never arms: it only takes away, or gives, the permission to do so once.
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
    fn automatic_mode_arms_itself_once() {
        let mut mode = Mode::new(Arming::Automatic);
        assert!(!mode.advance(true, false) && !mode.advance(false, true));
        assert!(mode.advance(true, true));
        assert_eq!(mode.motion(), Motion::Approach);
        assert!(mode.disarm(Disarmed::ByOperator));
        assert!(!mode.advance(true, true));
        assert_eq!(mode.disarmed(), Some(Disarmed::ByOperator));
    }

    #[test]
    fn armed_mode_waits_until_input_has_settled() {
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
    fn hand_that_was_away_has_to_settle() {
        let mut mode = tracking();
        mode.require_settling();
        assert!(mode.is_moving(), "it is for a hold");
        assert!(!mode.advance(false, true));
        mode.require_settling();
        assert!(mode.awaits_settling() && !mode.advance(true, false) && mode.advance(true, true));
    }

    #[test]
    fn goal_that_moves_by_itself_is_approached() {
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
    fn reset_keeps_the_reason_of_a_disarm() {
        let mut mode = Mode::new(Arming::Operator);
        assert_eq!(mode.reset(), "no stop was latched; disarmed already");
        assert_eq!(mode.disarmed(), Some(Disarmed::NotYetArmed));
        for mut mode in [armed(), tracking(), Mode::new(Arming::Automatic)] {
            assert_eq!(mode.reset(), "no stop was latched; disarmed");
            assert_eq!(mode.disarmed(), Some(Disarmed::ByReset));
        }
    }

    #[test]
    fn other_arming_takes_back_only_an_unused_permission() {
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
