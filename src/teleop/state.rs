//! What the machine is told and tells: states, counts, refusals.

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

/// What the link looks like from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkView {
    /// Connected and answering.
    Ready,
    /// Connected and silent.
    Unresponsive,
    /// Not connected.
    Down,
    /// Some of those that are wanted are not connected. No better than [`LinkView::Down`], but for those that are: they
    /// hear a stop.
    Partial,
}

impl LinkView {
    /// Whether nothing may move for want of a connection.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::Partial)
    }
}

/// How often input was not followed to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Targets replaced by a newer one before a command was sent for them.
    pub coalesced: u64,
    /// Commands that the speed limit or the workspace altered; not those that speed up or brake.
    pub limited: u64,
    /// Samples refused.
    pub dropped_input: u64,
}

/// Why a request by a person was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `~/set_armed` true while a stop is latched.
    #[error("not armed: a stop request is latched; call ~/reset first")]
    StopLatched,
    /// `~/set_armed` true at the end.
    #[error("not armed: the bridge is shutting down")]
    ShuttingDown,
}
