//! The way between bridge and controller: connections that deliver in order, late, or not at all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aether_bridge::app::Outgoing;
use aether_bridge::arm::ReportedState;
use aether_bridge::wire::Order;
use aether_sim::physical::Refusal;

/// What the bridge has sent, and what could be known when it did.
#[derive(Debug, Clone, Copy)]
pub struct SentLine {
    pub outgoing: Outgoing,
    pub order: Order,
    pub seq: u64,
    pub at: Instant,
    /// Whether it begins a motion.
    pub begins: bool,
    /// How many commands were unanswered before it.
    pub unanswered: u32,
    /// Whether a command had been accepted in this session.
    pub accepted_before: bool,
    /// Whether a person has said where the arm is, and no command has been accepted since.
    pub by_word: bool,
    /// Whether the command before it was refused.
    pub after_refusal: bool,
    /// How long what the bridge heard last had been on its way.
    pub lag: Duration,
    /// Until when the bridge knew what happened to the arm, by what has come back.
    pub informed_at: Option<Instant>,
}

/// What the controller says.
#[derive(Debug, Clone)]
pub struct Speech {
    /// The line that it answers, and whether it was obeyed; otherwise this is a state.
    pub answers: Option<(Order, u64, Result<(), Refusal>)>,
    pub state: Option<ReportedState>,
    /// When it was true.
    pub generated: Instant,
}

// Nearly all of them are lines.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum ToArm {
    Line(SentLine),
    End,
}

// Nearly all of them are replies.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum ToBridge {
    Speech(Speech),
    Reset,
}

/// One connection.
#[derive(Debug)]
pub struct Channel {
    /// Whether the bridge's end is open.
    pub bridge_open: bool,
    /// Whether the controller's end is.
    pub arm_open: bool,
    /// Whether anything has come back.
    pub answered: bool,
    /// Whether the controller has begun to read.
    pub served: bool,
    /// Whether the controller has left out a reply that does not tell its line. Every later one would answer the line before, so it
    /// leaves out all of them: the bridge cannot tell the difference, see docs/safety.md.
    pub mute: bool,
    pub to_arm: VecDeque<(Instant, ToArm)>,
    pub to_bridge: VecDeque<(Instant, ToBridge)>,
    /// What has arrived at the controller's machine and has not been read.
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

    /// No end is open.
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

    /// When the next packet arrives; at the bridge's end only if the bridge `runs`.
    pub fn next(&self, runs: bool) -> Option<Instant> {
        let (arm, bridge) =
            (self.to_arm.front(), self.to_bridge.front().filter(|_| runs && self.bridge_open));
        [arm.map(|(at, _)| *at), bridge.map(|(at, _)| *at)].into_iter().flatten().min()
    }

    /// The end of the connection is not heard of before then.
    pub fn delay_end_until(&mut self, at: Instant) {
        if let Some((due, ToArm::End)) = self.to_arm.back_mut() {
            *due = at.max(*due);
        }
    }

    /// What is under way comes not before then.
    pub fn delay_until(&mut self, at: Instant) {
        self.to_arm.iter_mut().for_each(|(due, _)| *due = at.max(*due));
        self.to_bridge.iter_mut().for_each(|(due, _)| *due = at.max(*due));
    }
}

/// Takes the first packet, if it is there by now.
pub fn pop_due<T>(packets: &mut VecDeque<(Instant, T)>, now: Instant) -> Option<T> {
    let is_due = packets.front().is_some_and(|(at, _)| *at <= now);
    if is_due { packets.pop_front().map(|(_, packet)| packet) } else { None }
}
