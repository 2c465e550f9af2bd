//! The link as the motion sees it.

use super::reason::Obstacle;

/// What the link looks like from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkView {
    /// Connected, and the controller answers.
    Ready,
    /// Connected, and the controller is silent.
    Unresponsive,
    /// Not connected.
    Down,
    /// Some of the wanted controllers are not connected. Nothing may move, as when the link is [`LinkView::Down`], but the
    /// controllers that are connected get a stop line.
    Partial,
}

impl LinkView {
    /// Returns whether nothing may move because a connection is missing.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::Partial)
    }

    /// Returns how the link stands in the way of motion, if it does.
    pub(super) fn obstacle(self) -> Option<Obstacle> {
        match self {
            Self::Ready => None,
            Self::Unresponsive => Some(Obstacle::Unresponsive),
            Self::Down | Self::Partial => Some(Obstacle::LinkDown),
        }
    }
}
