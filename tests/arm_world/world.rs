//! The bridge, the arm, and their surroundings, in virtual time.

use std::collections::VecDeque;
use std::io;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use aether_bridge::app::{Coordinator, Outgoing, Sent};
use aether_bridge::geometry::Position;
use aether_bridge::link::{Action, LinkError, PeerId};
use aether_bridge::teleop::{Arming, ArmingError, CommandKind, GripperInput, Target};
use aether_bridge::wire::{Order, Reply, ReplyStatus};
use aether_sim::physical::{Mover, PhysicalArm};
use fastrand::Rng;

use crate::checks::{self, Disturbance, Violation};
use crate::hand::{Hand, Sample};
use crate::ledger::Ledger;
use crate::network::{Channel, ControllerMessage, SentLine, ToArm, ToBridge, pop_due};
use crate::script::{Step, Trouble};
use crate::settings::{Server, Settings};

pub struct World {
    pub settings: Settings,
    pub coordinator: Coordinator,
    pub arm: PhysicalArm,
    pub now: Instant,
    start: Instant,
    pub counts: Counts,
    rng: Rng,
    hand: Hand,
    ledger: Ledger,
    disturbance: Disturbance,
    channels: VecDeque<Channel>,
    /// When the connection attempt of the bridge succeeds or fails.
    connecting: Option<Instant>,
    connect_until: Instant,
    /// The present problems, and when they end.
    troubles: Vec<(Trouble, Instant)>,
    /// Until when the bridge does not run.
    stalled_until: Option<Instant>,
    /// When the next bridge starts, while no bridge runs.
    restart_at: Option<Instant>,
    was_down: bool,
    failure: Option<(u8, String)>,
    /// The event log, if it is needed.
    pub log: Option<Vec<String>>,
    /// The rules that are checked, one bit for each. `None` checks all rules.
    rules: Option<u32>,
}

/// The numbers of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub worlds: u64,
    pub events: u64,
    pub commands: u64,
    pub repetitions: u64,
    pub motions: u64,
    pub obeyed: u64,
    pub refused: u64,
    pub stops: u64,
    pub heartbeats: u64,
    pub connections: u64,
    pub assumptions: u64,
    pub pushes: u64,
    pub faults: u64,
    pub grips: u64,
    pub homings: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.events += other.events;
        self.commands += other.commands;
        self.repetitions += other.repetitions;
        self.motions += other.motions;
        self.obeyed += other.obeyed;
        self.refused += other.refused;
        self.stops += other.stops;
        self.heartbeats += other.heartbeats;
        self.connections += other.connections;
        self.assumptions += other.assumptions;
        self.pushes += other.pushes;
        self.faults += other.faults;
        self.grips += other.grips;
        self.homings += other.homings;
    }
}

impl Counts {
    /// Returns whether the arm moves so often that the invariants are tested well.
    pub fn is_enough(&self) -> bool {
        let of_events = |count: u64, share: u64| count * share >= self.events;
        of_events(self.obeyed, 50)
            && of_events(self.motions, 2000)
            && of_events(self.refused, 2000)
            && self.grips > 0
            && self.homings > 0
            && self.pushes > 0
            && self.faults > 0
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let automatic = settings.bridge.teleop.arming == Arming::Automatic;
        let mut world = Self {
            coordinator: coordinator(&settings, now, settings.seed),
            arm: PhysicalArm::new(now, settings.arm.clone()),
            now,
            start: now,
            counts: Counts { worlds: 1, ..Counts::default() },
            rng: Rng::with_seed(settings.seed ^ 0x0e7),
            hand: Hand::new(now, settings.hand_period),
            ledger: Ledger::new(now, automatic),
            disturbance: Disturbance::default(),
            channels: VecDeque::new(),
            connecting: None,
            connect_until: now,
            troubles: Vec::new(),
            stalled_until: None,
            restart_at: None,
            was_down: false,
            failure: None,
            rules: rules(),
            log: None,
            settings,
        };
        world.pump();
        world
    }

    /// Runs one step.
    ///
    /// # Errors
    /// The first violation of an invariant.
    pub fn handle(&mut self, step: &Step) -> Result<(), Violation> {
        self.step(step);
        self.failure.take().map_or(Ok(()), |(rule, why)| {
            Err(Violation { rule, why, at: (self.now - self.start).as_secs_f64() })
        })
    }

    fn step(&mut self, step: &Step) {
        self.trace(|_| format!("{step:?}"));
        let now = self.now;
        let after = |ms: u32| now + Duration::from_millis(ms.into());
        match *step {
            Step::Pass { ms } => return self.pass(after(ms)),
            Step::HandGoes { to, speed } => self.hand.goes(to, speed),
            Step::HandJumps { to } => self.hand.jumps(to),
            Step::HandLost { how, ms } => self.hand.lose(how, after(ms)),
            Step::Fingers { opening } => self.hand.opening = opening,
            Step::Trouble { what, ms } => {
                self.troubles.push((what, after(ms)));
                self.begin(what);
            }
            Step::Push { by, speed } => self.push(by, speed),
            Step::SetGripper { gripper } => self.arm.handle_gripper_set(gripper),
            Step::Home => {
                self.disturbance.at = Some(now);
                self.arm.handle_homed(now);
                self.record_mover();
            }
            Step::ControllerDies { ms, power } => {
                let back = Duration::from_millis(ms.into());
                if self.arm.body().is_under_way() {
                    self.disturbance.at = Some(now);
                }
                if power {
                    self.arm.handle_power_loss(now, back);
                } else {
                    self.arm.handle_restart(now, back);
                }
                self.reset_connections(!power);
                self.record_mover();
            }
            Step::Break => self.reset_connections(true),
            Step::BridgeDies { ms, machine } => {
                self.close_bridge_end();
                if machine && let Some(channel) = self.channels.back_mut() {
                    channel.delay_end_until(now + UNNOTICED);
                }
                (self.connecting, self.stalled_until) = (None, None);
                self.restart_at = Some(after(ms.min(5000)));
            }
            Step::BridgeStalls { ms } => self.stalled_until = self.stalled_until.max(Some(after(ms))),
            _ if !self.bridge_runs() => {}
            Step::GripperMessage { gripper } => {
                self.ledger.gripper_message = Some(gripper);
                self.ledger.record_request(now, Some(gripper));
                self.coordinator.teleop.handle_gripper(now, GripperInput::Wanted(gripper));
                self.count();
            }
            Step::SetArmed { armed, twice } => {
                self.set_armed(armed);
                if armed && twice {
                    self.set_armed(true);
                }
            }
            Step::Stop => {
                (self.ledger.stopped, self.ledger.permitted) = (true, false);
                self.coordinator.teleop.handle_stop();
                self.count();
            }
            Step::Reset => {
                (self.ledger.stopped, self.ledger.permitted) = (false, false);
                self.coordinator.teleop.handle_reset();
                self.count();
            }
            Step::GoHome => {
                let result = self.coordinator.teleop.handle_go_home(now);
                self.trace(|_| format!("go_home: {result:?}"));
                if result.is_ok() {
                    self.ledger.record_going_home();
                    self.counts.homings += 1;
                }
                self.count();
            }
            Step::Reconnect => {
                self.coordinator.handle_reconnect(now);
                self.count();
            }
        }
        self.pump();
    }

    fn set_armed(&mut self, armed: bool) {
        let result = self.coordinator.teleop.handle_set_armed(self.now, armed);
        self.trace(|_| format!("set_armed {armed}: {result:?}"));
        match result {
            Ok(_) if armed => {
                self.ledger.record_armed(self.now);
                self.counts.assumptions += u64::from(self.ledger.assumed);
            }
            Ok(_) => self.ledger.permitted = false,
            Err(ArmingError::PositionUnknown { .. }) => self.ledger.arming_refused_at = Some(self.now),
            Err(_) => {}
        }
        self.count();
        self.pump();
    }

    fn begin(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Fault => {
                if self.arm.body().is_under_way() {
                    self.disturbance.at = Some(self.now);
                }
                self.arm.handle_fault(self.now, "emergency stop");
                self.counts.faults += 1;
            }
            Trouble::Stall => self.arm.handle_stalled(self.now, true),
            Trouble::Cut => self.hold_packets(),
            Trouble::Slow | Trouble::Mute | Trouble::Twice | Trouble::Busy => {}
        }
    }

    fn end_troubles(&mut self) {
        let now = self.now;
        let ended = self.troubles.iter().any(|(_, until)| *until <= now);
        self.troubles.retain(|(_, until)| *until > now);
        if ended {
            if !self.has(Trouble::Fault) {
                self.arm.handle_fault_cleared();
            }
            if !self.has(Trouble::Stall) && self.arm.body().is_stalled() {
                self.arm.handle_stalled(now, false);
                // The arm continues to its last command.
                self.disturbance.at = Some(now);
            }
            self.serve();
        }
    }

    fn has(&self, trouble: Trouble) -> bool {
        self.troubles.iter().any(|(what, _)| *what == trouble)
    }

    /// Delays the packets in transit until the end of the cut.
    fn hold_packets(&mut self) {
        let cut =
            self.troubles.iter().filter(|(what, _)| *what == Trouble::Cut).map(|(_, until)| *until).max();
        if let Some(until) = cut {
            self.disturbance.cut_until = Some(until);
            self.channels.iter_mut().for_each(|channel| channel.delay_until(until));
            if self.connecting.is_some() {
                self.connecting = self.connecting.max(Some(until));
            }
        }
    }

    fn push(&mut self, by: [f64; 3], speed: f64) {
        let [x, y, z] = self.arm.body().position().coordinates();
        let to = Position::new(x + by[0], y + by[1], (z + by[2]).max(0.01));
        if let Ok(to) = to {
            self.disturbance.at = Some(self.now);
            self.arm.handle_moved_by_person(self.now, to, speed);
            self.counts.pushes += 1;
            self.record_mover();
        }
    }

    /// Records whether something other than a command moves the arm.
    fn record_mover(&mut self) {
        let others = self.arm.body().mover().is_some_and(|mover| mover != Mover::Command);
        if others {
            self.disturbance.at = Some(self.now);
            self.disturbance.since.get_or_insert(self.now);
        } else {
            self.disturbance.since = None;
        }
    }

    fn bridge_runs(&self) -> bool {
        self.restart_at.is_none() && self.stalled_until.is_none()
    }

    fn count(&mut self) {
        self.counts.events += 1;
        self.ledger.record_motion(self.now, self.coordinator.teleop.motion());
    }

    /// Runs the world until the time `until`.
    fn pass(&mut self, until: Instant) {
        while self.failure.is_none() {
            let next = self.next().filter(|next| *next < until);
            self.now = next.unwrap_or(until).max(self.now);
            self.arm.handle_timeout(self.now);
            if next.is_none() {
                return self.record_mover();
            }
            self.happen();
        }
    }

    /// Returns when the next event happens.
    fn next(&self) -> Option<Instant> {
        let runs = self.bridge_runs();
        let deadline = self.coordinator.poll_timeout(self.now).filter(|_| runs);
        // A command that is due but still waits for something needs no deadline: another event
        // triggers it.
        let deadline =
            deadline.map(|at| if at <= self.now { self.now + Duration::from_millis(1) } else { at });
        let hand = Some(self.hand.next);
        let connecting = self.connecting.filter(|_| runs);
        let packets = self.channels.iter().filter_map(|channel| channel.next(runs)).min();
        let troubles = self.troubles.iter().map(|(_, until)| *until).min();
        let back = self.arm.back_at();
        let state = self.arm.poll_state_at().filter(|_| back.is_none());
        let moved = self.disturbance.since.map(|_| self.arm.body().at_rest_at().max(self.now + MOVING));
        [
            deadline,
            hand,
            connecting,
            packets,
            troubles,
            self.stalled_until,
            self.restart_at,
            state,
            back,
            moved,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Handles all events that are due now.
    fn happen(&mut self) {
        let now = self.now;
        self.record_mover();
        self.end_troubles();
        if self.was_down && self.arm.is_up() {
            self.record_mover();
        }
        self.was_down = !self.arm.is_up();
        if self.restart_at.is_some_and(|at| at <= now) {
            self.start_bridge();
        }
        if self.stalled_until.is_some_and(|at| at <= now) {
            self.stalled_until = None;
        }
        self.send_unsolicited();
        self.arrive_at_arm();
        if self.bridge_runs() {
            self.coordinator.handle_timeout(now);
            self.count();
            self.arrive_at_bridge();
            self.connect();
        }
        if self.hand.next <= now {
            let sample = self.hand.sample(now);
            if self.bridge_runs() {
                self.see(sample);
            }
        }
        self.pump();
    }

    fn start_bridge(&mut self) {
        self.restart_at = None;
        let automatic = self.settings.bridge.teleop.arming == Arming::Automatic;
        self.ledger = Ledger::new(self.now, automatic);
        self.coordinator = coordinator(&self.settings, self.now, self.rng.u64(..));
    }

    fn see(&mut self, sample: Sample) {
        let (now, config) = (self.now, &self.settings.bridge.teleop);
        match sample {
            Sample::Nothing => return,
            Sample::Invalid => {
                let fault = Target::new(f64::NAN, 0.0, 0.0, None).unwrap_err();
                self.coordinator.teleop.handle_invalid_target(now, fault);
            }
            Sample::Target(target) => {
                if self.coordinator.teleop.handle_target(now, target).is_ok() {
                    self.ledger.last_good = Some(now);
                    self.ledger.record_request(now, checks::gripper_request(config, self.hand.opening));
                }
            }
        }
        self.count();
    }

    fn connect(&mut self) {
        if self.connecting.is_none_or(|at| at > self.now) {
            return;
        }
        self.connecting = None;
        if self.has(Trouble::Cut) || self.now >= self.connect_until {
            let timeout = self.settings.bridge.transport.connect_timeout;
            self.coordinator
                .handle_failed(self.now, LinkError::ConnectTimeout { peer: String::new(), timeout });
        } else if self.arm.is_up() {
            self.channels.push_back(Channel::new());
            self.counts.connections += 1;
            self.coordinator.handle_connected(self.now);
            self.serve();
        } else {
            let source = io::ErrorKind::ConnectionRefused.into();
            self.coordinator.handle_failed(self.now, LinkError::Connect { peer: String::new(), source });
        }
        self.count();
    }

    /// Returns when a packet that is sent now arrives.
    fn transit(&mut self) -> Instant {
        let jitter = Duration::from_nanos(self.rng.u64(..self.settings.jitter.as_nanos() as u64 + 1));
        let at = self.now + self.settings.latency + jitter;
        let cut =
            self.troubles.iter().filter(|(what, _)| *what == Trouble::Cut).map(|(_, until)| *until).max();
        cut.map_or(at, |until| at.max(until + jitter))
    }

    /// Closes the bridge's end of the connection. Packets in transit to the arm still arrive.
    fn close_bridge_end(&mut self) {
        let at = self.transit();
        if let Some(channel) = self.channels.back_mut().filter(|channel| channel.bridge_open) {
            channel.bridge_open = false;
            channel.to_bridge.clear();
            channel.send_to_arm(at, ToArm::End);
        }
        self.ledger.end_connection();
    }

    /// Resets all connections. Packets in transit and unread packets are lost.
    fn reset_connections(&mut self, notifies: bool) {
        let at = self.transit();
        for channel in &mut self.channels {
            channel.to_arm.clear();
            channel.inbox.clear();
            channel.to_bridge.clear();
            channel.arm_open = false;
            if notifies && channel.bridge_open {
                channel.send_to_bridge(at, ToBridge::Reset);
            }
        }
    }

    fn arrive_at_arm(&mut self) {
        let (now, up) = (self.now, self.arm.is_up());
        let back = now + self.settings.latency;
        let mut arrived = false;
        for channel in &mut self.channels {
            while let Some(packet) = pop_due(&mut channel.to_arm, now) {
                arrived = true;
                if !channel.arm_open || !up {
                    channel.arm_open = false;
                    if channel.bridge_open {
                        channel.send_to_bridge(back, ToBridge::Reset);
                    }
                } else {
                    channel.inbox.push_back(packet);
                }
            }
        }
        if arrived {
            self.serve();
        }
    }

    /// Lets the controller read all packets that it may read.
    fn serve(&mut self) {
        if !self.arm.is_up() || self.has(Trouble::Busy) {
            return;
        }
        let reads_to_end = self.settings.server == Server::One { reads_to_end: true };
        let mut index = 0;
        while index < self.channels.len() {
            let channel = &mut self.channels[index];
            if !channel.arm_open {
                index += 1;
                continue;
            }
            channel.served = true;
            let ended = channel.inbox.iter().any(|packet| matches!(packet, ToArm::End));
            if reads_to_end && ended {
                channel.inbox.clear();
                channel.arm_open = false;
            }
            while let Some(packet) = self.channels[index].inbox.pop_front() {
                match packet {
                    ToArm::End => self.channels[index].arm_open = false,
                    ToArm::Line(line) => self.obey(index, &line),
                }
                if self.failure.is_some() {
                    return;
                }
            }
            // The controller serves one client at a time. The next client waits until this one has
            // left.
            if self.settings.server != Server::Many && self.channels[index].arm_open {
                break;
            }
            index += 1;
        }
        self.channels.retain(|channel| !channel.is_over());
    }

    fn obey(&mut self, index: usize, line: &SentLine) {
        let now = self.now;
        self.record_mover();
        let before = self.arm.body().gripper();
        if let Order::Command(command) = &line.order
            && self.arm.would_obey(command)
        {
            let found = checks::check_obeyed(
                line,
                command,
                &self.arm,
                self.disturbance,
                &self.channels[index],
                &self.settings.bridge.teleop,
                &self.settings,
            );
            self.fail(found);
        }
        let halts = line.order == Order::Stop && self.arm.body().is_under_way();
        let answer = self.arm.handle_order(now, &line.order);
        self.counts.events += 1;
        match (&line.order, answer.verdict) {
            (Order::Command(_), Ok(())) => self.counts.obeyed += 1,
            (Order::Command(_), Err(_)) => self.counts.refused += 1,
            (Order::Stop, Ok(())) if halts && self.arm.body().mover() != Some(Mover::Command) => {
                self.disturbance.at = Some(now);
            }
            _ => {}
        }
        self.counts.grips += u64::from(self.arm.body().gripper() != before);
        let leaves_out = self.has(Trouble::Mute);
        let channel = &mut self.channels[index];
        channel.mute |= leaves_out && !self.settings.echoes_seq;
        if leaves_out || channel.mute {
            return;
        }
        let message = ControllerMessage {
            reply_to: Some((line.order, line.seq, answer.verdict)),
            state: answer.state,
            generated: now,
        };
        let slow = if self.has(Trouble::Slow) {
            Duration::from_millis(self.rng.u64(20..900))
        } else {
            Duration::ZERO
        };
        let at = self.transit() + slow;
        let twice = self.has(Trouble::Twice) && self.settings.echoes_seq;
        let channel = &mut self.channels[index];
        if channel.bridge_open {
            if twice {
                channel.send_to_bridge(at, ToBridge::Message(message.clone()));
            }
            channel.send_to_bridge(at, ToBridge::Message(message));
        }
    }

    fn send_unsolicited(&mut self) {
        let Some(state) = self.arm.poll_state(self.now) else { return };
        let at = self.transit();
        let message = ControllerMessage { reply_to: None, state: Some(state), generated: self.now };
        if let Some(channel) =
            self.channels.back_mut().filter(|channel| channel.served && channel.bridge_open)
        {
            channel.send_to_bridge(at, ToBridge::Message(message));
        }
    }

    fn arrive_at_bridge(&mut self) {
        let now = self.now;
        while let Some(channel) = self.channels.back_mut().filter(|channel| channel.bridge_open) {
            let Some(packet) = pop_due(&mut channel.to_bridge, now) else { return };
            match packet {
                ToBridge::Message(message) => {
                    channel.answered = true;
                    self.receive(&message);
                }
                ToBridge::Reset => {
                    self.lose_connection(LinkError::Broken(io::ErrorKind::ConnectionReset.into()))
                }
            }
            self.count();
            self.act();
        }
    }

    fn lose_connection(&mut self, error: LinkError) {
        self.close_bridge_end();
        self.coordinator.handle_ended(self.now, PeerId::ONLY, error);
    }

    fn receive(&mut self, message: &ControllerMessage) {
        let believed = self.deliver(message);
        // If a reply ends a session, its report belongs to the new session.
        self.ledger.record_motion(self.now, self.coordinator.teleop.motion());
        self.ledger.record_message(self.now, message, believed, &self.settings, &self.settings.bridge.teleop);
    }

    /// Passes a message to the bridge. Returns whether the bridge expected it.
    fn deliver(&mut self, received: &ControllerMessage) -> bool {
        self.trace(|_| format!("receives {}", describe(received)));
        match &received.reply_to {
            Some((_, seq, verdict)) => {
                let (status, text) = match verdict {
                    Ok(()) => (ReplyStatus::Ok, String::new()),
                    Err(refusal) => (ReplyStatus::Error, refusal.as_str().to_owned()),
                };
                let seq = self.settings.echoes_seq.then_some(*seq);
                let reply = Reply { status, message: text, seq, state: received.state.clone() };
                self.coordinator.handle_reply(self.now, PeerId::ONLY, &reply)
            }
            None => received
                .state
                .as_ref()
                .is_some_and(|state| self.coordinator.handle_state(self.now, PeerId::ONLY, state)),
        }
    }

    /// Adds a line to the event log, if the log is needed.
    fn trace(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.log.is_some() {
            let (at, what) = ((self.now - self.start).as_secs_f64(), what(self));
            let [x, y, z] = self.arm.true_point().into();
            let reason = self.coordinator.teleop.reason(self.now);
            let line = format!("{at:9.4} [{x:.4} {y:.4} {z:.4}] {what} | {reason}");
            self.log.iter_mut().for_each(|log| log.push(line.clone()));
        }
    }

    /// Does the work of the bridge's driver: opens and closes connections, and writes lines.
    fn pump(&mut self) {
        if !self.bridge_runs() || self.failure.is_some() {
            return;
        }
        self.act();
        // Read before writing, as the bridge does.
        self.arrive_at_bridge();
        for _ in 0..MOST_LINES {
            let Some(outgoing) = self.coordinator.poll_transmit(self.now) else { return };
            let has_connection = self.channels.back().is_some_and(|channel| channel.bridge_open);
            if !has_connection {
                self.coordinator
                    .handle_failed(self.now, LinkError::Broken(io::ErrorKind::NotConnected.into()));
                self.act();
                continue;
            }
            self.write(&outgoing);
            if self.failure.is_some() {
                return;
            }
            self.act();
        }
        self.failure = Some((0, "the bridge writes without limit".into()));
    }

    fn act(&mut self) {
        while let Some(action) = self.coordinator.link.poll_action() {
            self.close_bridge_end();
            self.connecting = None;
            if action == Action::Connect {
                let at = self.transit() + self.settings.latency;
                self.connect_until = self.now + self.settings.bridge.transport.connect_timeout;
                self.connecting = Some(at.min(self.connect_until));
            }
        }
    }

    fn write(&mut self, outgoing: &Outgoing) {
        let now = self.now;
        let line = self.coordinator.line(outgoing, Duration::ZERO);
        self.trace(|_| format!("sends {}", written(outgoing)));
        let moves = matches!(outgoing, Outgoing::Command(planned) if planned.kind != CommandKind::Repetition);
        let begins = moves && !self.ledger.has_begun;
        if let (Outgoing::Command(planned), Some(channel)) = (outgoing, self.channels.back()) {
            let config = &self.settings.bridge.teleop;
            let found = checks::check_sent(now, planned, &self.ledger, channel, config, &self.settings);
            self.fail(found);
        }
        let sent = SentLine {
            outgoing: *outgoing,
            order: line.order,
            seq: line.seq,
            at: now,
            begins,
            unanswered: self.ledger.unanswered + self.ledger.lost,
            accepted_before: self.ledger.accepted.is_some(),
            after_refusal: self.ledger.refused,
            is_assumed: self.ledger.assumed || self.ledger.is_assumed_home(&self.settings.bridge.teleop),
            known_until: self.ledger.known_until,
            lag: self.ledger.lag,
        };
        let at = self.transit();
        if let Some(channel) = self.channels.back_mut() {
            channel.send_to_arm(at, ToArm::Line(sent));
        }
        let written = [(PeerId::ONLY, Ok(LENGTH))];
        self.ledger.lines = line.seq;
        match self.coordinator.handle_transmitted(now, now, outgoing, LENGTH, written) {
            Some(Sent::Command(command)) => {
                self.ledger.unanswered += 1;
                self.ledger.has_begun |= moves;
                if moves {
                    self.ledger.carried = Some(command.planned.command.gripper);
                }
                if begins {
                    self.ledger.from = Some(command.planned.command.position);
                }
                self.ledger.has_sent = true;
                self.counts.motions += u64::from(begins);
                self.counts.commands += u64::from(moves);
                self.counts.repetitions += u64::from(!moves);
            }
            Some(Sent::Stop) => self.counts.stops += 1,
            Some(Sent::Heartbeat) => self.counts.heartbeats += 1,
            None => {}
        }
        self.count();
        self.coordinator.handle_timeout(now);
        self.count();
    }

    fn fail(&mut self, found: Result<(), (u8, String)>) {
        if let Err(found) = found
            && self.rules.is_none_or(|rules| rules & (1 << found.0) != 0)
        {
            self.failure.get_or_insert(found);
        }
    }
}

fn describe(message: &ControllerMessage) -> String {
    let reply_to = message
        .reply_to
        .as_ref()
        .map(|(order, seq, verdict)| format!("{} {seq} {verdict:?}", ordered(order)));
    let state = message.state.as_ref().map_or_else(String::new, |state| {
        let at = state.position.map(Position::coordinates);
        format!(" at {at:?} moving {:?} gripper {:?} fault {:?}", state.moving, state.gripper, state.fault)
    });
    format!("{}{state}", reply_to.unwrap_or_else(|| "unsolicited".into()))
}

fn ordered(order: &Order) -> String {
    match order {
        Order::Command(command) => format!("{:?} {:?}", command.position.coordinates(), command.gripper),
        Order::Stop => "stop".into(),
        Order::Heartbeat => "heartbeat".into(),
    }
}

fn written(outgoing: &Outgoing) -> String {
    match outgoing {
        Outgoing::Command(planned) => {
            format!("{} {:?}", ordered(&Order::Command(planned.command)), planned.kind)
        }
        other => format!("{other:?}"),
    }
}

/// Returns the rules that `ARM_WORLD_RULES` names, such as `1,4,9`. `None` means all rules.
fn rules() -> Option<u32> {
    let text = std::env::var("ARM_WORLD_RULES").ok()?;
    let bit =
        |number: &str| 1u32 << number.trim().parse::<u32>().expect("ARM_WORLD_RULES is a list of numbers");
    Some(text.split(',').map(bit).sum())
}

fn coordinator(settings: &Settings, now: Instant, seed: u64) -> Coordinator {
    let config = &settings.bridge;
    Coordinator::new(config.teleop.clone(), config.link.clone(), "controller".into(), now, seed)
}

/// How long the controller does not notice that the bridge's machine has failed.
const UNNOTICED: Duration = Duration::from_secs(4);
/// More lines than the bridge can write before time passes.
const MOST_LINES: u32 = 64;
const LENGTH: usize = 70;
/// The interval of checks whether something else moves the arm.
const MOVING: Duration = Duration::from_millis(20);
