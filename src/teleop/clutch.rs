//! From where the hand is to where the arm is to go.

use nalgebra::Vector3;

use super::target::InputFault;
use super::workspace::Workspace;
use crate::geometry::Orientation;
use crate::geometry::Position;

/// What a hand's position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetargetMode {
    /// The arm goes to where the hand is.
    Absolute,
    /// The arm goes as far, and in the direction, as the hand has gone since motion began.
    Relative,
}

/// Couples the hand to the arm when motion begins, and lets it go when it ends.
///
/// In [`RetargetMode::Relative`] the first target of a motion is where the arm is; what follows is taken from there.
/// Between motions the hand is free to move, as a mouse that is lifted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clutch {
    /// From the hand to the arm, in the arm's base frame; none while they are not coupled.
    offset: Option<Vector3<f64>>,
    /// How the tool is turned, seen from the hand; none while they are not coupled.
    turn: Option<Orientation>,
}

impl Clutch {
    /// Where the arm is to go for a hand at `hand`, and whether that had to be clamped. `arm` is where the arm is.
    ///
    /// # Errors
    /// [`InputFault::OutsideWorkspace`] when the workspace's policy is to reject, or a position that is none.
    pub(super) fn place(
        self,
        mode: RetargetMode,
        hand: Position,
        arm: Position,
        workspace: &Workspace,
    ) -> Result<(Position, bool), InputFault> {
        match (mode, self.offset) {
            (RetargetMode::Absolute, _) => workspace.admit(hand),
            (RetargetMode::Relative, None) => Ok((arm, false)),
            (RetargetMode::Relative, Some(offset)) => {
                let place = hand.point() + offset;
                workspace.admit(Position::new(place.x, place.y, place.z)?)
            }
        }
    }

    /// How the tool is to be turned for a hand that is turned like `hand`. `tool` is how it is turned.
    pub(super) fn turn(self, mode: RetargetMode, hand: Orientation, tool: Orientation) -> Orientation {
        match (mode, self.turn) {
            (RetargetMode::Absolute, _) => hand,
            (RetargetMode::Relative, None) => tool,
            (RetargetMode::Relative, Some(turn)) => hand.carrying(turn),
        }
    }

    /// Motion begins with the tool turned like `tool` and the hand like `hand`. Does nothing when they are coupled already.
    pub(super) fn engage_turn(&mut self, hand: Orientation, tool: Orientation) {
        self.turn.get_or_insert(tool.seen_from(hand));
    }

    /// Motion begins with the arm at `arm` and the hand at `hand`. Does nothing when they are coupled already.
    pub(super) fn engage(&mut self, hand: Position, arm: Position) {
        self.offset.get_or_insert(arm.point() - hand.point());
    }

    /// Motion ends.
    pub(super) fn release(&mut self) {
        *self = Self::default();
    }
}
