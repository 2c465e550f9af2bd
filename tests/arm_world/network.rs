//! The network between bridge and controller: connections that deliver in order, late, or not at
//! all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aether_bridge::app::Outgoing;
use aether_bridge::arm::ReportedState;
use aether_bridge::wire::Order;
use aether_sim::physical::Refusal;

/// A line of the bridge, and what the bridge could know when it sent the line.
#[derive(Debug, Clone, Copy)]
pub struct SentLine {
    pub outgoing: Outgoing,
    pub order: Order,
    pub seq: u64,
    pub at: Instant,
    /// Whether the line begins a motion.
    pub begins: bool,
    /// How many commands were unanswered before this line.
    pub unanswered: u32,
    /// Whether the controller had accepted a command in this session.
    pub accepted_before: bool,
    /// Whether the position was assumed, and no command had been accepted since.
    pub is_assumed: bool,
    /// Whether the controller rejected the command before.
    pub after_refusal: bool,
    /// The transit time of the last message that the bridge received.
    pub lag: Duration,
    /// The time up to which received messages describe the arm.
    pub known_until: Option<Instant>,
}

/// A message of the controller.
#[derive(Debug, Clone)]
pub struct ControllerMessage {
    /// The line to which this is the reply, and whether the arm executed it. `None` for an
    /// unsolicited state.
    pub reply_to: Option<(Order, u64, Result<(), Refusal>)>,
    pub state: Option<ReportedState>,
    /// The time at which the message was true.
    pub generated: Instant,
}

// Nearly all values are lines.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum ToArm {
    Line(SentLine),
    End,
}

// Nearly all values are replies.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum ToBridge {
    Message(ControllerMessage),
    Reset,
}

/// One connection.
#[derive(Debug)]
pub struct Channel {
    /// Whether the bridge's end is open.
    pub bridge_open: bool,
    /// Whether the controller's end is open.
    pub arm_open: bool,
    /// Whether the controller has sent anything on this connection.
    pub answered: bool,
    /// Whether the controller has begun to read.
    pub served: bool,
    /// Whether the controller has omitted a reply, and replies have no line numbers. Then the
    /// bridge would match each later reply to the line before. The bridge cannot detect this, see
    /// docs/safety.md. Therefore the controller omits all later replies too.
    pub mute: bool,
    pub to_arm: VecDeque<(Instant, ToArm)>,
    pub to_bridge: VecDeque<(Instant, ToBridge)>,
    /// Packets that have arrived at the controller's machine, and that it has not read.
    pub inbox: VecDeque<ToArm>,
}

impl Channel {
    pub fn new() -> Self {
        Self {
            bridge_open: true,
            arm_open: true,
            answered: false,
            served: false,
            mute: false,
            to_arm: VecDeque::new(),
            to_bridge: VecDeque::new(),
            inbox: VecDeque::new(),
        }
    }

    /// Returns whether both ends are closed.
    pub fn is_over(&self) -> bool {
        !self.arm_open && !self.bridge_open
    }

    pub fn send_to_arm(&mut self, at: Instant, packet: ToArm) {
        let at = self.to_arm.back().map_or(at, |(last, _)| at.max(*last));
        self.to_arm.push_back((at, packet));
    }

    pub fn send_to_bridge(&mut self, at: Instant, packet: ToBridge) {
        let at = self.to_bridge.back().map_or(at, |(last, _)| at.max(*last));
        self.to_bridge.push_back((at, packet));
    }

    /// Returns when the next packet arrives. Packets arrive at the bridge's end only if the bridge
    /// `runs`.
    pub fn next(&self, runs: bool) -> Option<Instant> {
        let (arm, bridge) =
            (self.to_arm.front(), self.to_bridge.front().filter(|_| runs && self.bridge_open));
        [arm.map(|(at, _)| *at), bridge.map(|(at, _)| *at)].into_iter().flatten().min()
    }

    /// Delays the end of the connection until `at`.
    pub fn delay_end_until(&mut self, at: Instant) {
        if let Some((due, ToArm::End)) = self.to_arm.back_mut() {
            *due = at.max(*due);
        }
    }

    /// Delays all packets in transit until `at`.
    pub fn delay_until(&mut self, at: Instant) {
        self.to_arm.iter_mut().for_each(|(due, _)| *due = at.max(*due));
        self.to_bridge.iter_mut().for_each(|(due, _)| *due = at.max(*due));
    }
}

/// Removes and returns the first packet, if it has arrived.
pub fn pop_due<T>(packets: &mut VecDeque<(Instant, T)>, now: Instant) -> Option<T> {
    let is_due = packets.front().is_some_and(|(at, _)| *at <= now);
    if is_due { packets.pop_front().map(|(_, packet)| packet) } else { None }
}
