//! The judge of the wire: whether what a controller receives is what it may rely on (docs/safety.md, docs/protocol.md).
//! Pure: what comes and goes is told with its time.
//!
//! It knows the bridge by its lines alone, and shares none of its arithmetic. When a line was sent it knows to within
//! two bounds: it was there when it was read, and before the reply that it had to wait for, or well before the last look
//! at an empty socket, it was not. A line is wrong only if it is for every time between, so that a machine that is busy, or a
//! process that is stopped, is never taken for a fault. What cannot be told like that, as how suddenly velocity changes,
//! is not judged.
//!
//! All clients are taken for one bridge that connects anew: with another bridge the judge starts anew too.

mod checks;
mod client;
mod rules;
fn encoder(unit: WireUnit, rules: &Rules) -> CommandEncoder {
    CommandEncoder::new(&WireConfig { unit, lines: rules.lines.clone(), ..WireConfig::default() })
}

#[cfg(test)]
mod tests;
mod violation;

pub use rules::{Rules, RulesError, Setting};
pub use violation::{Rule, Violation};

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::protocol::{CommandDecoder, CommandFault, ReceivedOrder};
use aether_bridge::arm::Gripper;
use aether_bridge::geometry::Position;
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::{CommandEncoder, Incoming, Order, ReplyDecoder, ReplyStatus, WireConfig, WireUnit};
use client::{Client, Held, Pending, Sent};

/// Judges every line of the bridge that a controller serves.
#[derive(Debug)]
pub struct Judge {
    rules: Rules,
    unit: WireUnit,
    encoder: CommandEncoder,
    clients: BTreeMap<usize, Client>,
    /// Where the bridge knows the arm to be.
    known: Position,
    /// Where else it may know it to be: told, and nobody knows yet whether that was heard.
    told: Vec<Told>,
    gripper: Option<Fingers>,
    /// The number of the last line that had one.
    number: Option<u64>,
    /// The last two commands of the connection before, until the next has sent two.
    ended: Vec<Sent>,
    /// Before this no other connection can have been made.
    alone: Option<Instant>,
}

/// A position that a reply on this connection, to the line with this number, has told.
#[derive(Debug)]
struct Told {
    connection: usize,
    number: u64,
    position: Position,
}

/// What the gripper was last told to be, and when that can have been decided at the earliest.
#[derive(Debug)]
struct Fingers {
    gripper: Gripper,
    since: Option<Instant>,
    /// Before this the last command cannot have been sent.
    spoken: Option<Instant>,
}

type Found = Vec<Violation>;

impl Judge {
    /// A judge by these rules, for a controller that counts in `unit`.
    pub fn new(rules: Rules, unit: WireUnit) -> Self {
        Self {
            encoder: encoder(unit, &rules),
            known: rules.home,
            rules,
            unit,
            clients: BTreeMap::new(),
            told: Vec::new(),
            gripper: None,
            number: None,
            ended: Vec::new(),
            alone: None,
        }
    }

    /// What it judges by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes other rules from now on. Tell it of tighter ones when the bridge has taken them, of wider ones before.
    pub fn handle_rules(&mut self, rules: Rules) {
        self.encoder = encoder(self.unit, &rules);
        self.rules = rules;
        for client in self.clients.values_mut() {
            // What was sent by the old ones says nothing of the new.
            client.commands.clear();
        }
    }

    /// The controller listens from now on.
    pub fn handle_listening(&mut self, now: Instant) {
        self.alone = Some(now);
    }

    /// A client came, and has this number, higher than all before.
    pub fn handle_connected(&mut self, connection: usize) {
        if let Some((_, before)) = self.clients.last_key_value() {
            self.alone = self.alone.max(before.quiet());
            if !before.commands.is_empty() {
                self.ended = before.commands.iter().rev().take(2).cloned().collect();
            }
        }
        self.clients.insert(connection, Client::new(self.alone));
        while self.clients.len() > CLIENTS_KEPT {
            self.clients.pop_first();
        }
    }

    /// A client went; `torn`: what is wrong with the last that came of it.
    #[must_use]
    pub fn handle_disconnected(&mut self, connection: usize, torn: Option<&str>) -> Found {
        let why = torn.map(|why| {
            let (line, before) = (String::new(), self.last_line(connection));
            Violation { rule: Rule::Form, connection, why: why.to_owned(), line, before }
        });
        why.into_iter().collect()
    }

    /// A look at the socket has found nothing to be read, at this time or later.
    pub fn handle_quiet(&mut self, now: Instant, connection: usize) {
        if let Some(client) = self.clients.get_mut(&connection) {
            client.handle_quiet(now);
        }
    }

    /// Before any reply to the last line `waiting` has come, whole lines or not.
    #[must_use]
    pub fn handle_ahead(&mut self, connection: usize, waiting: &[u8]) -> Found {
        let Some(client) = self.clients.get(&connection) else { return Found::new() };
        let mut unanswered = client.pending.len() as u64;
        let mut found = Found::new();
        let (mut decoder, mut bytes) = (CommandDecoder::new(self.unit), BytesMut::from(waiting));
        while let Ok(Some(line)) = decoder.decode(&mut bytes) {
            found.extend(self.check_pace(connection, unanswered, &line));
            unanswered += 1;
        }
        found
    }

    /// A line has been read.
    #[must_use]
    pub fn handle_line(
        &mut self,
        now: Instant,
        connection: usize,
        line: &Result<ReceivedOrder, CommandFault>,
    ) -> Found {
        let Some(client) = self.clients.get(&connection) else { return Found::new() };
        let not_before = client.not_before(self.rules.max_in_flight);
        let mut found: Found = self.check_form(connection, line).into_iter().collect();
        found.extend(self.check_pace(connection, client.pending.len() as u64, line));
        let order = line.as_ref().ok().map(|line| line.order);
        if let Ok(received) = line {
            if let Order::Command(command) = received.order {
                let sent = Sent { command, line: received.line.clone(), at: now, not_before };
                found.extend(self.check_command(now, connection, &sent));
                self.take_command(connection, sent);
            }
            found.extend(self.check_number(connection, received));
        }
        if let Some(client) = self.clients.get_mut(&connection) {
            if order == Some(Order::Stop) {
                client.held = Some(Held::Stop);
            }
            client.pending.push_back(Pending { number: client.lines, order, at: now, not_before });
            client.lines += 1;
        }
        found
    }

    /// So many lines have been written for replies, the first byte not before `at`.
    pub fn handle_replied(&mut self, at: Instant, connection: usize, text: &[u8], replies: u64) {
        let wire = WireConfig { unit: self.unit, ..WireConfig::default() };
        let (mut decoder, mut bytes) = (ReplyDecoder::new(&wire), BytesMut::from(text));
        for _ in 0..replies {
            // What is no reply answers nothing.
            let Ok(Some(heard)) = decoder.decode(&mut bytes) else { return };
            let newest = self.is_newest(connection);
            let Some(client) = self.clients.get_mut(&connection) else { return };
            let Some(answered) = client.handle_reply(at, self.rules.max_in_flight) else { return };
            let took = at.saturating_duration_since(answered.at);
            if took > self.rules.reply_timeout + SLACK {
                client.held = Some(Held::LateReply(took));
            }
            let position = self.place(answered.order, &heard).filter(|_| newest);
            self.told.extend(position.map(|position| Told { connection, number: answered.number, position }));
        }
        let excess = self.told.len().saturating_sub(TOLD_KEPT);
        self.told.drain(..excess);
    }

    /// Where a reply says that the arm is, if it does.
    fn place(&self, order: Option<Order>, heard: &Incoming) -> Option<Position> {
        let Incoming::Reply(reply) = heard else { return None };
        let state = reply.state.as_ref();
        let position = state.and_then(|state| state.position);
        let told = self.told.last().map_or(self.known, |told| told.position);
        match order? {
            Order::Command(command) => (reply.status == ReplyStatus::Ok).then_some(command.position),
            Order::Stop => position,
            Order::Heartbeat => position
                .filter(|_| state.is_some_and(|state| state.moving != Some(true)))
                .filter(|position| position.distance(told) > MEASURING),
        }
    }

    fn take_command(&mut self, connection: usize, sent: Sent) {
        if let Some(client) = self.clients.get_mut(&connection) {
            client.remember(sent);
        }
    }

    fn is_newest(&self, connection: usize) -> bool {
        self.clients.last_key_value().is_some_and(|(newest, _)| *newest == connection)
    }

    fn last_line(&self, connection: usize) -> Option<String> {
        self.clients.get(&connection)?.commands.back().map(|sent| sanitize_short(&sent.line))
    }
}

/// How far from where it was told to be an arm that is there may be measured, in metres.
const MEASURING: f64 = 0.005;
/// How much later than due the bridge may take note that something has not come.
const SLACK: Duration = Duration::from_millis(300);
/// Of clients that are gone lines may yet be read.
const CLIENTS_KEPT: usize = 16;
const TOLD_KEPT: usize = 16;
