//! The outcomes of the lines that were sent, and their counts.

use crate::arm::Command;
use crate::wire::Order;

/// The meaning of a reply, or the outcome of an order that will get no reply.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The controller accepted this command.
    Acknowledged(Command),
    /// The controller rejected this command.
    Rejected(Command),
    /// The controller accepted a stop.
    StopAcknowledged,
    /// The controller rejected a stop: it does not know the line, or will not stand still.
    StopRejected,
    /// The controller accepted a heartbeat.
    HeartbeatAcknowledged,
    /// The controller rejected a heartbeat: it is alive, and may not know the line.
    HeartbeatRejected,
    /// The controller replied to a stop that had expired: it is alive.
    LateStop,
    /// One of several controllers has replied to this line, and others have not yet.
    Partial(Order),
    /// The reply has no effect, because replies are not expected.
    Ignored,
    /// A late or duplicate datagram. Its contents are out of date.
    Late,
    /// An unsolicited reply, or a reply to the wrong line. The link has dropped the connection.
    Unsolicited,
    /// The datagram of this order, or its reply, was lost; or the order was sent only to
    /// controllers that have left.
    Lost(Order),
}

impl Outcome {
    /// Returns whether the reported state of the arm is current: a line was waiting for the reply,
    /// or no replies are expected.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::Late | Self::Unsolicited | Self::Lost(_))
    }
}

/// The counts of lines and replies since the start. Only `lost` counts stops and heartbeats, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands passed to a connection.
    pub sent: u64,
    /// Commands with the reply ok; without `link.expect_reply`, commands sent.
    pub acknowledged: u64,
    /// Commands with an error as reply.
    pub rejected: u64,
    /// Lines that count as lost: the reply to a later line arrived first (only over UDP).
    pub lost: u64,
}

impl Counters {
    /// Counts an order that all controllers have replied to, and returns its outcome.
    pub(super) fn record(&mut self, order: Order, accepted: bool) -> Outcome {
        match (order, accepted) {
            (Order::Command(command), true) => {
                self.acknowledged += 1;
                Outcome::Acknowledged(command)
            }
            (Order::Command(command), false) => {
                self.rejected += 1;
                Outcome::Rejected(command)
            }
            (Order::Stop, true) => Outcome::StopAcknowledged,
            (Order::Stop, false) => Outcome::StopRejected,
            (Order::Heartbeat, true) => Outcome::HeartbeatAcknowledged,
            (Order::Heartbeat, false) => Outcome::HeartbeatRejected,
        }
    }
}
