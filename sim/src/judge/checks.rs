//! The rules, one by one.

use std::time::Instant;

use super::client::{Held, Sent};
use super::{Fingers, Found, Judge, Rule, SLACK, Told, Violation};
use crate::protocol::{CommandFault, ReceivedOrder};
use aether_bridge::arm::Command;
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::{Line, Order};

impl Judge {
    pub(super) fn check_form(
        &self,
        connection: usize,
        line: &Result<ReceivedOrder, CommandFault>,
    ) -> Option<Violation> {
        let wrong = |rule, why: String, line: &str| {
            let before = self.last_line(connection);
            Some(Violation { rule, connection, why, line: sanitize_short(line), before })
        };
        let received = match line {
            Ok(received) => received,
            Err(fault) => return wrong(Rule::Form, fault.why.clone(), &fault.line),
        };
        let asked = match received.order {
            Order::Command(_) => true,
            Order::Stop => self.rules.stops,
            Order::Heartbeat => self.rules.heartbeats,
        };
        if !asked {
            return wrong(Rule::Asked, "no parameter asks for such lines".to_owned(), &received.line);
        }
        let line = Line { seq: received.seq.unwrap_or_default(), ..Line::from(received.order) };
        let mut expected = Vec::new();
        self.encoder.encode_into(&line, &mut expected);
        let expected = String::from_utf8_lossy(expected.trim_ascii_end()).into_owned();
        if received.line == expected {
            return None;
        }
        wrong(Rule::Form, format!("the protocol has it as {expected}"), &received.line)
    }

    pub(super) fn check_number(&mut self, connection: usize, received: &ReceivedOrder) -> Option<Violation> {
        let number = received.seq.filter(|_| self.rules.numbered && self.is_newest(connection))?;
        let before = self.number.replace(number)?;
        (number <= before).then(|| {
            let why = format!("line {number} after line {before}");
            self.violation(Rule::Numbering, connection, why, &received.line, self.last_line(connection))
        })
    }

    /// The line has been sent with so many others unanswered.
    pub(super) fn check_pace(
        &self,
        connection: usize,
        unanswered: u64,
        line: &Result<ReceivedOrder, CommandFault>,
    ) -> Option<Violation> {
        let (text, order) = match line {
            Ok(received) => (&received.line, Some(received.order)),
            Err(fault) => (&fault.line, None),
        };
        let most = self.rules.max_in_flight;
        (unanswered >= most && order != Some(Order::Stop)).then(|| {
            let why = format!("sent with {unanswered} lines unanswered, where {most} may be with this one");
            self.violation(Rule::Pace, connection, why, text, self.last_line(connection))
        })
    }

    pub(super) fn check_command(&mut self, now: Instant, connection: usize, sent: &Sent) -> Found {
        let longest = self.rules.input_timeout + SLACK;
        let held =
            self.clients.get_mut(&connection).and_then(|client| client.take_held(sent.not_before, longest));
        let place = self.check_workspace(connection, sent);
        let speed = self.check_speed(now, connection, sent, held.is_some());
        let mut found: Found = place.into_iter().chain(speed).collect();
        if self.is_newest(connection) {
            found.extend(self.check_approach(connection, sent, held));
            found.extend(self.check_replay(connection, sent));
            found.extend(self.check_gripper(now, connection, sent));
        }
        found
    }

    fn check_workspace(&self, connection: usize, sent: &Sent) -> Option<Violation> {
        let outside = !self.rules.workspace.contains(sent.command.position);
        let why = || "outside the workspace".to_owned();
        outside.then(|| self.violation(Rule::Workspace, connection, why(), &sent.line, None))
    }

    /// A step is bounded by the time that there was for it; one in mid-motion, however long the last is ago, by that for
    /// which motion goes on without a target.
    fn check_speed(&self, now: Instant, connection: usize, sent: &Sent, begins: bool) -> Option<Violation> {
        let commands = &self.clients.get(&connection)?.commands;
        commands.iter().rev().enumerate().find_map(|(back, before)| {
            let way = before.command.position.distance(sent.command.position);
            let time = before.not_before.map(|since| now.saturating_duration_since(since));
            let by_time = time.map_or(f64::INFINITY, |time| self.rules.speed * time.as_secs_f64());
            let allowed = if back == 0 && !begins { by_time.min(self.rules.longest_step) } else { by_time };
            (way > allowed + RESOLUTION).then(|| {
                let within =
                    time.map_or_else(String::new, |time| format!(" in at most {:.4} s", time.as_secs_f64()));
                let why = format!("{:.3} mm{within}, {:.3} mm allowed", way * 1e3, allowed * 1e3);
                let before = Some(sanitize_short(&before.line));
                self.violation(Rule::Speed, connection, why, &sent.line, before)
            })
        })
    }

    /// The first command of a motion is near where the arm is known to be.
    fn check_approach(&mut self, connection: usize, sent: &Sent, held: Option<Held>) -> Option<Violation> {
        // What this line had to wait for has been heard; a motion begins when all has.
        let unheard = if held.is_some() { 0 } else { self.rules.max_in_flight - 1 };
        let lines = self.clients.get(&connection)?.lines;
        self.settle(connection, lines.saturating_sub(unheard));
        let places = || self.told.iter().map(|told| told.position).chain([self.known]);
        let way = places().map(|place| place.distance(sent.command.position)).fold(f64::INFINITY, f64::min);
        let held = held.filter(|_| way > self.rules.approach_step + RESOLUTION)?;
        let since = match held {
            Held::Connection => "a new connection".to_owned(),
            Held::LateReply(took) => format!("a reply that took {:.2} s", took.as_secs_f64()),
            Held::Silence(silence) => format!("a silence of {:.2} s", silence.as_secs_f64()),
            Held::Stop => "a stop".to_owned(),
        };
        let (way, allowed) = (way * 1e3, self.rules.approach_step * 1e3);
        let why = format!(
            "the first after {since} is {way:.3} mm from where the arm is known to be, {allowed:.3} mm allowed"
        );
        let before = self.last_line(connection).or(self.ended.first().map(|sent| sanitize_short(&sent.line)));
        Some(self.violation(Rule::Approach, connection, why, &sent.line, before))
    }

    /// The replies to the first `heard` lines of this connection have been heard.
    fn settle(&mut self, connection: usize, heard: u64) {
        let proven = |told: &Told| told.connection == connection && told.number < heard;
        if let Some(last) = self.told.iter().rposition(proven) {
            self.known = self.told[last].position;
            self.told.drain(..=last);
        }
    }

    /// A connection whose first command was the last of the one before, though the arm was moving and moves on; and so
    /// much later that what it was sent for then is too old.
    fn check_replay(&mut self, connection: usize, sent: &Sent) -> Option<Violation> {
        let first = self.clients.get(&connection)?.commands.front()?.clone();
        let ended = std::mem::take(&mut self.ended);
        let [last, before_it] = ended.as_slice() else { return None };
        let moving = last.command.position != before_it.command.position;
        let moves_on = sent.command.position != first.command.position;
        let later =
            first.not_before.map(|since| since.saturating_duration_since(last.at)).unwrap_or_default();
        let old = later > self.rules.input_timeout + SLACK;
        (first.command == last.command && moving && moves_on && old).then(|| {
            let later = later.as_secs_f64();
            let why =
                format!("the first line of a connection is the last of the one before, {later:.2} s later");
            self.violation(Rule::Replay, connection, why, &first.line, Some(sanitize_short(&last.line)))
        })
    }

    fn check_gripper(&mut self, now: Instant, connection: usize, sent: &Sent) -> Option<Violation> {
        let Command { gripper, .. } = sent.command;
        let spoken = sent.not_before;
        let Some(before) = &mut self.gripper else {
            self.gripper = Some(Fingers { gripper, since: None, spoken });
            return None;
        };
        // Decided before the last command, it would have been told with that.
        let decided = before.spoken;
        before.spoken = spoken;
        if before.gripper == gripper {
            return None;
        }
        let since = std::mem::replace(&mut before.since, decided);
        before.gripper = gripper;
        let stood = since.map(|since| now.saturating_duration_since(since))?;
        let debounce = self.rules.debounce(gripper);
        (stood < debounce).then(|| {
            let (stood, debounce) = (stood.as_secs_f64(), debounce.as_secs_f64());
            let why = format!(
                "{} {stood:.3} s after the last change, not before {debounce:.3} s",
                gripper.as_str()
            );
            self.violation(Rule::Gripper, connection, why, &sent.line, self.last_line(connection))
        })
    }

    fn violation(
        &self,
        rule: Rule,
        connection: usize,
        why: String,
        line: &str,
        before: Option<String>,
    ) -> Violation {
        Violation { rule, connection, why, line: sanitize_short(line), before }
    }
}

/// Two roundings to a micrometre in each of three axes, in metres.
const RESOLUTION: f64 = 2e-6;
