//! The monitor of the wire, on the controller's side.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use aether_bridge::geometry::Position;
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::{Incoming, Order, PositionUnit, ReplyDecoder, ReplyStatus, WireConfig};

use crate::controller::{CommandDecoder, CommandFault, ReceivedOrder};

use super::client::{Client, MotionStart, Pending};
use super::motion::{GripperHistory, Step, TimedCommand};
use super::rules::Rules;
use super::violation::{Fault, Rule, Violation};

/// Checks every line that a controller receives from the bridge.
///
/// All clients count as one bridge that reconnects. A second bridge needs a second monitor.
#[derive(Debug)]
pub struct ConformanceMonitor {
    rules: Rules,
    unit: PositionUnit,
    clients: BTreeMap<usize, Client>,
    /// The position of the arm that the bridge certainly knows.
    known: Position,
    /// Other positions that the bridge may know, because it may or may not have read these replies.
    reported: Vec<ReportedPosition>,
    /// The position at rest in the reply to a heartbeat, if no reply followed. If it is near the
    /// last command, the bridge may use either as the position.
    measured: Option<Position>,
    gripper: Option<GripperHistory>,
    /// The last two commands of the previous connection, newest first, until the new connection has
    /// sent two.
    ended: Vec<TimedCommand>,
    /// A new connection cannot have been made before this time.
    alone: Option<Instant>,
}

/// The position that a reply reports or accepts, with its connection and the number of its line.
#[derive(Debug)]
struct ReportedPosition {
    connection: usize,
    number: u64,
    position: Position,
}

type Line = Result<ReceivedOrder, CommandFault>;

impl ConformanceMonitor {
    /// Creates a monitor for a controller with positions in `unit`.
    pub fn new(rules: Rules, unit: PositionUnit) -> Self {
        Self {
            known: rules.motion.home,
            rules,
            unit,
            clients: BTreeMap::new(),
            reported: Vec::new(),
            measured: None,
            gripper: None,
            ended: Vec::new(),
            alone: None,
        }
    }

    /// Returns the present rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Changes the rules. Pass tighter rules after the bridge has begun to use them. Pass wider
    /// rules before the bridge uses them.
    pub fn handle_rules(&mut self, rules: Rules) {
        self.rules = rules;
        for client in self.clients.values_mut() {
            // The new rules do not apply to lines that were sent under the old rules.
            client.history.keep(0);
        }
    }

    /// Records that the controller starts to listen.
    pub fn handle_listening(&mut self, now: Instant) {
        self.alone = Some(now);
    }

    /// Records a new connection with a number higher than all before.
    pub fn handle_connected(&mut self, connection: usize) {
        if let Some((_, before)) = self.clients.last_key_value() {
            self.alone = self.alone.max(before.quiet());
            if before.history.last().is_some() {
                self.ended = before.history.newest_first().take(2).cloned().collect();
            }
        }
        if let Some(history) = &mut self.gripper {
            history.handle_connected();
        }
        self.clients.insert(connection, Client::new(self.alone));
        while self.clients.len() > CLIENTS_KEPT {
            self.clients.pop_first();
        }
    }

    /// Records the end of a connection. `torn` states what is wrong with the last bytes of the
    /// client.
    #[must_use]
    pub fn handle_disconnected(&mut self, connection: usize, torn: Option<&str>) -> Vec<Violation> {
        let fault = torn.map(|why| self.fault(Rule::Form, connection, why.to_owned()));
        fault.map(|fault| fault.on(connection, "")).into_iter().collect()
    }

    /// Records that a poll of the socket found nothing to read, at this time or later.
    pub fn handle_quiet(&mut self, now: Instant, connection: usize) {
        if let Some(client) = self.clients.get_mut(&connection) {
            client.handle_quiet(now);
        }
    }

    /// Checks the bytes `waiting`, which came before the controller replied to the last line. They
    /// may end with an incomplete line.
    #[must_use]
    pub fn handle_ahead(&mut self, connection: usize, waiting: &[u8]) -> Vec<Violation> {
        let Some(client) = self.clients.get(&connection) else { return Vec::new() };
        let mut unanswered = client.pending.len() as u64;
        let mut found = Vec::new();
        let (mut decoder, mut bytes) = (CommandDecoder::new(self.unit), BytesMut::from(waiting));
        while let Ok(Some(line)) = decoder.decode(&mut bytes) {
            let fault = self.check_pace(connection, unanswered, &line);
            found.extend(fault.map(|fault| fault.on(connection, text(&line))));
            unanswered += 1;
        }
        found
    }

    /// Checks a line that was read.
    #[must_use]
    pub fn handle_line(&mut self, now: Instant, connection: usize, line: &Line) -> Vec<Violation> {
        let Some(client) = self.clients.get(&connection) else { return Vec::new() };
        let not_before = client.not_before(self.rules.max_in_flight);
        let mut faults: Vec<Fault> = Vec::new();
        faults.extend(self.check_form(connection, line));
        faults.extend(self.check_pace(connection, client.pending.len() as u64, line));
        let order = line.as_ref().ok().map(|line| line.order);
        if let Ok(received) = line {
            faults.extend(self.check_number(connection, received));
        }
        let mut found: Vec<_> = faults.into_iter().map(|fault| fault.on(connection, text(line))).collect();
        if let Ok(ReceivedOrder { order: Order::Command(command), line, .. }) = line {
            let sent = TimedCommand { command: *command, line: line.clone(), at: now, not_before };
            found.extend(self.check_command(connection, &sent));
            if let Some(client) = self.clients.get_mut(&connection) {
                client.history.remember(sent);
            }
        }
        if let Some(client) = self.clients.get_mut(&connection) {
            if order == Some(Order::Stop) {
                client.start = Some(MotionStart::Stop);
            }
            client.pending.push_back(Pending { number: client.lines, order, at: now, not_before });
            client.lines += 1;
            if !self.rules.replies {
                client.pending.clear();
            }
        }
        found
    }

    /// Records `replies` written replies. Their first byte was written at `at` or later.
    pub fn handle_replied(&mut self, at: Instant, connection: usize, text: &[u8], replies: u64) {
        let wire = WireConfig { unit: self.unit, ..WireConfig::default() };
        let (mut decoder, mut bytes) = (ReplyDecoder::new(&wire), BytesMut::from(text));
        for _ in 0..replies {
            // A text that is not a reply does not count as the reply to a line.
            let Ok(Some(incoming)) = decoder.decode(&mut bytes) else { return };
            let newest = self.is_newest(connection);
            let Some(client) = self.clients.get_mut(&connection) else { return };
            let Some(answered) = client.handle_reply(at, self.rules.max_in_flight) else { return };
            let took = at.saturating_duration_since(answered.at);
            if took > self.rules.reply_timeout + SLACK {
                client.start = Some(MotionStart::LateReply(took));
            }
            let (order, number) = (answered.order, answered.number);
            if newest {
                self.measured = measured(order, &incoming);
            }
            if let (Some(Order::Command(command)), Incoming::Reply(reply)) = (order, &incoming) {
                let accepted = (reply.status == ReplyStatus::Ok).then_some(command.gripper);
                self.gripper.iter_mut().filter(|_| newest).for_each(|history| history.handle_reply(accepted));
            }
            let position = self.position(order, &incoming).filter(|_| newest);
            if order == Some(Order::Heartbeat)
                && position.is_some()
                && let Some(client) = self.clients.get_mut(&connection)
            {
                client.start = Some(MotionStart::Elsewhere);
            }
            self.reported.extend(position.map(|position| ReportedPosition { connection, number, position }));
        }
        let excess = self.reported.len().saturating_sub(REPORTED_KEPT);
        self.reported.drain(..excess);
    }

    /// Returns the position of the arm from the reply to `order`.
    fn position(&self, order: Option<Order>, incoming: &Incoming) -> Option<Position> {
        let Incoming::Reply(reply) = incoming else { return None };
        let position = reply.state.as_ref().and_then(|state| state.position);
        let expected = self.reported.last().map_or(self.known, |reported| reported.position);
        match order? {
            Order::Command(command) => (reply.status == ReplyStatus::Ok).then_some(command.position),
            Order::Stop => position,
            Order::Heartbeat => self.measured.filter(|position| position.distance(expected) > MEASURING),
        }
    }

    fn check_form(&self, connection: usize, line: &Line) -> Option<Fault> {
        let received = match line {
            Ok(received) => received,
            Err(fault) => return Some(self.fault(Rule::Form, connection, fault.why.clone())),
        };
        let asked = match received.order {
            Order::Command(_) => true,
            Order::Stop => self.rules.stops,
            Order::Heartbeat => self.rules.heartbeats,
        };
        if !asked {
            let why = "no parameter enables such lines".to_owned();
            return Some(self.fault(Rule::Asked, connection, why));
        }
        let expected = self.rules.line(&received.line, self.unit)?;
        let why = || format!("the protocol requires {expected}");
        (received.line != expected).then(|| self.fault(Rule::Form, connection, why()))
    }

    /// Checks that the numbers of lines grow, on one connection and from one connection to the
    /// next. If the network delays lines, the controller may read them after lines of a later
    /// connection. Their numbers must then be lower.
    fn check_number(&mut self, connection: usize, received: &ReceivedOrder) -> Option<Fault> {
        let number = received.seq.filter(|_| self.rules.numbered)?;
        let before =
            self.clients.range(..=connection).filter_map(|(_, client)| Some(client.numbers?.1)).max();
        let after =
            self.clients.range(connection + 1..).filter_map(|(_, client)| Some(client.numbers?.0)).min();
        let client = self.clients.get_mut(&connection)?;
        client.numbers = Some((client.numbers.map_or(number, |(first, _)| first), number));
        let why = match (before, after) {
            (Some(before), _) if number <= before => format!("line {number} after line {before}"),
            (_, Some(after)) if number >= after => {
                format!("line {number} is on an earlier connection than line {after}")
            }
            _ => return None,
        };
        Some(self.fault(Rule::Numbering, connection, why))
    }

    /// Checks how many lines had no reply when this line was sent.
    fn check_pace(&self, connection: usize, unanswered: u64, line: &Line) -> Option<Fault> {
        let is_stop = line.as_ref().is_ok_and(|received| received.order == Order::Stop);
        let most = self.rules.max_in_flight;
        (self.rules.replies && unanswered >= most && !is_stop).then(|| {
            let why = format!(
                "sent with {unanswered} unanswered lines; at most {most} are allowed, this one included"
            );
            self.fault(Rule::Pace, connection, why)
        })
    }

    fn check_command(&mut self, connection: usize, sent: &TimedCommand) -> Vec<Violation> {
        let longest = self.rules.motion.input_timeout + SLACK;
        let Some(client) = self.clients.get_mut(&connection) else { return Vec::new() };
        let start = client.take_start(sent.not_before, longest);
        let step = start.is_none().then_some(Step::Continue);
        let speed = client.history.check_speed(&self.rules.motion, sent, step);
        let place = self.rules.motion.check_workspace(&sent.command);
        let way = client.history.check_way(&self.rules.motion, sent, step, &[]);
        let mut faults: Vec<_> = place.into_iter().chain(speed).chain(way).collect();
        let mut replay = None;
        if self.is_newest(connection) {
            faults.extend(self.check_approach(connection, sent, start));
            replay = self.check_replay(connection, sent);
            faults.extend(self.check_gripper(connection, sent));
        }
        faults.into_iter().map(|fault| fault.on(connection, &sent.line)).chain(replay).collect()
    }

    /// Checks that the first command of a motion is near the known position of the arm.
    fn check_approach(
        &mut self,
        connection: usize,
        sent: &TimedCommand,
        start: Option<MotionStart>,
    ) -> Option<Fault> {
        // The bridge has read the reply that this line had to wait for. A motion begins after all
        // replies are read.
        let unread = if start.is_some() { 0 } else { self.rules.max_in_flight - 1 };
        let lines = self.clients.get(&connection)?.lines;
        self.settle(connection, lines.saturating_sub(unread));
        // Without replies, the bridge assumes that every sent command was executed.
        let start = start.filter(|_| self.rules.replies)?;
        let places =
            self.reported.iter().map(|reported| reported.position).chain([self.known]).chain(self.measured);
        let way = self.rules.motion.excess_at_start(&sent.command, places)? * 1e3;
        let allowed = self.rules.motion.approach_step * 1e3;
        let why = format!(
            "the first command after {start} is {way:.3} mm from the known position of the arm, {allowed:.3} mm allowed"
        );
        let before = self.last_line(connection).or(self.ended.first().map(|sent| sanitize_short(&sent.line)));
        Some(Fault { before, ..Fault::new(Rule::Approach, why) })
    }

    /// Records that the bridge has read the replies to the first `read` lines of this connection.
    fn settle(&mut self, connection: usize, read: u64) {
        let proven =
            |reported: &ReportedPosition| reported.connection == connection && reported.number < read;
        if let Some(last) = self.reported.iter().rposition(proven) {
            self.known = self.reported[last].position;
            self.reported.drain(..=last);
        }
    }

    /// Checks that a connection does not begin with the last command of the previous connection.
    /// This is a violation only if three conditions hold. The last commands of the previous
    /// connection moved the arm. The next command moves it further. The target of the repeated
    /// command has expired.
    fn check_replay(&mut self, connection: usize, sent: &TimedCommand) -> Option<Violation> {
        let first = self.clients.get(&connection)?.history.first()?;
        let ended = std::mem::take(&mut self.ended);
        let [last, before_it] = ended.as_slice() else { return None };
        let moving = last.command.position != before_it.command.position;
        let moves_on = sent.command.position != first.command.position;
        let later =
            first.not_before.map(|since| since.saturating_duration_since(last.at)).unwrap_or_default();
        let old = later > self.rules.motion.input_timeout + SLACK;
        (first.command == last.command && moving && moves_on && old).then(|| {
            let later = later.as_secs_f64();
            let why = format!(
                "the first line repeats the last line of the previous connection, {later:.2} s later"
            );
            let before = Some(sanitize_short(&last.line));
            Fault { before, ..Fault::new(Rule::Replay, why) }.on(connection, &first.line)
        })
    }

    fn check_gripper(&mut self, connection: usize, sent: &TimedCommand) -> Option<Fault> {
        let Some(history) = &mut self.gripper else {
            self.gripper = Some(GripperHistory::new(sent));
            return None;
        };
        let fault = history.handle_command(&self.rules.motion, sent)?;
        Some(Fault { before: self.last_line(connection), ..fault })
    }

    fn is_newest(&self, connection: usize) -> bool {
        self.clients.last_key_value().is_some_and(|(newest, _)| *newest == connection)
    }

    fn fault(&self, rule: Rule, connection: usize, why: String) -> Fault {
        Fault { before: self.last_line(connection), ..Fault::new(rule, why) }
    }

    fn last_line(&self, connection: usize) -> Option<String> {
        self.clients.get(&connection)?.history.last().map(|sent| sanitize_short(&sent.line))
    }
}

/// Returns the position of an arm at rest, from the reply to a heartbeat.
fn measured(order: Option<Order>, incoming: &Incoming) -> Option<Position> {
    let Incoming::Reply(reply) = incoming else { return None };
    let state = reply.state.as_ref()?;
    state.position.filter(|_| order == Some(Order::Heartbeat) && state.moving != Some(true))
}

fn text(line: &Line) -> &str {
    match line {
        Ok(received) => &received.line,
        Err(fault) => &fault.line,
    }
}

/// The largest distance between the last command and the reported position of an arm that has
/// reached this command, in metres (`arm.position_tolerance`).
const MEASURING: f64 = 0.01;
/// How late the bridge may notice a timeout.
const SLACK: Duration = Duration::from_millis(300);
/// How many of the last clients are kept, because lines of disconnected clients may still be read.
const CLIENTS_KEPT: usize = 16;
const REPORTED_KEPT: usize = 16;
