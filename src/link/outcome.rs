//! What became of the lines that were sent, and how many of each there were.

use crate::arm::Command;
use crate::wire::Order;

/// What a reply meant, or what became of an order without one.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The controller accepted this command.
    Acknowledged(Command),
    /// The controller refused this command.
    Rejected(Command),
    /// The controller took a stop.
    StopAcknowledged,
    /// The controller refused a stop: it does not know the line, or will not stand still.
    StopRejected,
    /// The controller took a heartbeat.
    HeartbeatAcknowledged,
    /// The controller refused a heartbeat: it is there, and may not know the line.
    HeartbeatRejected,
    /// The controller answered a stop that had been given up: it is there.
    LateStop,
    /// One of several controllers has answered this line, and the others have yet to.
    Partial(Order),
    /// This reply decides nothing, because replies are not expected.
    Ignored,
    /// A datagram that answers nothing that is waited for: it comes late, or twice. What it says is of another time.
    Late,
    /// No line waited for this reply, or another line did. The link has given the connection up.
    Unsolicited,
    /// An order whose datagram, or reply, was lost; or that went to a controller that is gone, and to no other.
    Lost(Order),
}

impl Outcome {
    /// Whether something waited for the reply, so that what it says of the arm is of now.
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::Late | Self::Unsolicited | Self::Lost(_))
    }
}

/// What has been exchanged since start. Stops are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands handed to a connection.
    pub sent: u64,
    /// Commands answered with ok; without `link.expect_reply`, commands sent.
    pub acknowledged: u64,
    /// Commands answered with an error.
    pub rejected: u64,
    /// Lines, sent as datagrams, that a later one was answered before.
    pub lost: u64,
}

impl Counters {
    /// Counts an order that all have answered, and returns what that meant.
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
