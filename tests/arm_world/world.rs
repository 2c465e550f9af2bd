//! The bridge, the arm, and all that is between and around them, in virtual time.

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
use crate::network::{Channel, SentLine, Speech, ToArm, ToBridge, pop_due};
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
    /// When the connection that the bridge opens is there, or has failed.
    connecting: Option<Instant>,
    connect_until: Instant,
    /// What is wrong at present, and until when.
    troubles: Vec<(Trouble, Instant)>,
    /// Until when the bridge gets no time.
    stalled_until: Option<Instant>,
    /// When the next bridge starts, while there is none.
    reborn_at: Option<Instant>,
    was_down: bool,
    failure: Option<(u8, String)>,
    /// What has happened, if it is to be read.
    pub log: Option<Vec<String>>,
    /// The rules that are held, a bit for each; none: all.
    rules: Option<u32>,
}

/// What has happened.
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
    pub words: u64,
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
        self.words += other.words;
        self.pushes += other.pushes;
        self.faults += other.faults;
        self.grips += other.grips;
        self.homings += other.homings;
    }
}

impl Counts {
    /// Whether the arm moves so often that the invariants mean something.
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
            reborn_at: None,
            was_down: false,
            failure: None,
            rules: rules(),
            log: None,
            settings,
        };
        world.pump();
        world
    }

    /// Lets something happen.
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
                self.note_arm();
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
                self.note_arm();
            }
            Step::Break => self.reset_connections(true),
            Step::BridgeDies { ms, machine } => {
                self.close_bridge_end();
                if machine && let Some(channel) = self.channels.back_mut() {
                    channel.delay_end_until(now + UNNOTICED);
                }
                (self.connecting, self.stalled_until) = (None, None);
                self.reborn_at = Some(after(ms.min(5000)));
            }
            Step::BridgeStalls { ms } => self.stalled_until = self.stalled_until.max(Some(after(ms))),
            _ if !self.bridge_runs() => {}
            Step::Word { gripper } => {
                self.ledger.word_on_topic = Some(gripper);
                self.ledger.note_wish(now, Some(gripper));
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
                    self.ledger.note_going_home();
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
                self.ledger.note_armed(self.now);
                self.counts.words += u64::from(self.ledger.word);
            }
            Ok(_) => self.ledger.permitted = false,
            Err(ArmingError::PositionUnknown { .. }) => self.ledger.asked_at = Some(self.now),
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
                // It goes on to where it was sent before.
                self.disturbance.at = Some(now);
            }
            self.serve();
        }
    }

    fn has(&self, trouble: Trouble) -> bool {
        self.troubles.iter().any(|(what, _)| *what == trouble)
    }

    /// Packets under way come when nothing is cut any more.
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
            self.note_arm();
        }
    }

    /// Notes what else than a command moves the arm.
    fn note_arm(&mut self) {
        let others = self.arm.body().mover().is_some_and(|mover| mover != Mover::Command);
        if others {
            self.disturbance.at = Some(self.now);
            self.disturbance.since.get_or_insert(self.now);
        } else {
            self.disturbance.since = None;
        }
    }

    fn bridge_runs(&self) -> bool {
        self.reborn_at.is_none() && self.stalled_until.is_none()
    }

    fn count(&mut self) {
        self.counts.events += 1;
        self.ledger.note_motion(self.now, self.coordinator.teleop.motion());
    }

    /// Lets time pass.
    fn pass(&mut self, until: Instant) {
        while self.failure.is_none() {
            let next = self.next().filter(|next| *next < until);
            self.now = next.unwrap_or(until).max(self.now);
            self.arm.handle_timeout(self.now);
            if next.is_none() {
                return self.note_arm();
            }
            self.happen();
        }
    }

    /// When something happens next.
    fn next(&self) -> Option<Instant> {
        let runs = self.bridge_runs();
        let deadline = self.coordinator.poll_timeout(self.now).filter(|_| runs);
        // A command that is due and waits for something else comes by an event.
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
            self.reborn_at,
            state,
            back,
            moved,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Lets all happen that is due now.
    fn happen(&mut self) {
        let now = self.now;
        self.note_arm();
        self.end_troubles();
        if self.was_down && self.arm.is_up() {
            self.note_arm();
        }
        self.was_down = !self.arm.is_up();
        if self.reborn_at.is_some_and(|at| at <= now) {
            self.start_bridge();
        }
        if self.stalled_until.is_some_and(|at| at <= now) {
            self.stalled_until = None;
        }
        self.speak_unasked();
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
        self.reborn_at = None;
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
                    self.ledger.note_wish(now, checks::wish(config, self.hand.opening));
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

    /// How long a packet takes.
    fn transit(&mut self) -> Instant {
        let jitter = Duration::from_nanos(self.rng.u64(..self.settings.jitter.as_nanos() as u64 + 1));
        let at = self.now + self.settings.latency + jitter;
        let cut =
            self.troubles.iter().filter(|(what, _)| *what == Trouble::Cut).map(|(_, until)| *until).max();
        cut.map_or(at, |until| at.max(until + jitter))
    }

    /// The bridge closes its end: what is under way still arrives.
    fn close_bridge_end(&mut self) {
        let at = self.transit();
        if let Some(channel) = self.channels.back_mut().filter(|channel| channel.bridge_open) {
            channel.bridge_open = false;
            channel.to_bridge.clear();
            channel.send_to_arm(at, ToArm::End);
        }
        self.ledger.end_connection();
    }

    /// All connections are reset. What has not arrived is lost, and so is what has not been read.
    fn reset_connections(&mut self, told: bool) {
        let at = self.transit();
        for channel in &mut self.channels {
            channel.to_arm.clear();
            channel.inbox.clear();
            channel.to_bridge.clear();
            channel.arm_open = false;
            if told && channel.bridge_open {
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

    /// The controller reads what it may read.
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
            // One client at a time: the next waits until this one has gone.
            if self.settings.server != Server::Many && self.channels[index].arm_open {
                break;
            }
            index += 1;
        }
        self.channels.retain(|channel| !channel.is_over());
    }

    fn obey(&mut self, index: usize, line: &SentLine) {
        let now = self.now;
        self.note_arm();
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
        let speech = Speech {
            answers: Some((line.order, line.seq, answer.verdict)),
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
                channel.send_to_bridge(at, ToBridge::Speech(speech.clone()));
            }
            channel.send_to_bridge(at, ToBridge::Speech(speech));
        }
    }

    fn speak_unasked(&mut self) {
        let Some(state) = self.arm.poll_state(self.now) else { return };
        let at = self.transit();
        let speech = Speech { answers: None, state: Some(state), generated: self.now };
        if let Some(channel) =
            self.channels.back_mut().filter(|channel| channel.served && channel.bridge_open)
        {
            channel.send_to_bridge(at, ToBridge::Speech(speech));
        }
    }

    fn arrive_at_bridge(&mut self) {
        let now = self.now;
        while let Some(channel) = self.channels.back_mut().filter(|channel| channel.bridge_open) {
            let Some(packet) = pop_due(&mut channel.to_bridge, now) else { return };
            match packet {
                ToBridge::Speech(speech) => {
                    channel.answered = true;
                    self.hear(&speech);
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

    fn hear(&mut self, speech: &Speech) {
        let believed = self.tell(speech);
        // What a reply reports is of the session that it begins, if it ends one.
        self.ledger.note_motion(self.now, self.coordinator.teleop.motion());
        self.ledger.note_speech(self.now, speech, believed, &self.settings, &self.settings.bridge.teleop);
    }

    /// Tells the bridge. Returns whether something waited for it.
    fn tell(&mut self, speech: &Speech) -> bool {
        self.trace(|_| format!("hears {}", told(speech)));
        match &speech.answers {
            Some((_, seq, verdict)) => {
                let (status, message) = match verdict {
                    Ok(()) => (ReplyStatus::Ok, String::new()),
                    Err(refusal) => (ReplyStatus::Error, refusal.as_str().to_owned()),
                };
                let seq = self.settings.echoes_seq.then_some(*seq);
                let reply = Reply { status, message, seq, state: speech.state.clone() };
                self.coordinator.handle_reply(self.now, PeerId::ONLY, &reply)
            }
            None => speech
                .state
                .as_ref()
                .is_some_and(|state| self.coordinator.handle_state(self.now, PeerId::ONLY, state)),
        }
    }

    /// Keeps a line of what happens, if somebody wants to read it.
    fn trace(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.log.is_some() {
            let (at, what) = ((self.now - self.start).as_secs_f64(), what(self));
            let [x, y, z] = self.arm.true_point().into();
            let reason = self.coordinator.teleop.reason(self.now);
            let line = format!("{at:9.4} [{x:.4} {y:.4} {z:.4}] {what} | {reason}");
            self.log.iter_mut().for_each(|log| log.push(line.clone()));
        }
    }

    /// What the bridge's driver does: it opens and closes connections, and writes lines.
    fn pump(&mut self) {
        if !self.bridge_runs() || self.failure.is_some() {
            return;
        }
        self.act();
        // Reads before it writes, as the bridge does.
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
        self.failure = Some((0, "the bridge writes without end".into()));
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
            by_word: self.ledger.word || self.ledger.is_at_home_by_word(&self.settings.bridge.teleop),
            informed_at: self.ledger.informed_at,
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

fn told(speech: &Speech) -> String {
    let answers =
        speech.answers.as_ref().map(|(order, seq, verdict)| format!("{} {seq} {verdict:?}", ordered(order)));
    let state = speech.state.as_ref().map_or_else(String::new, |state| {
        let at = state.position.map(Position::coordinates);
        format!(" at {at:?} moving {:?} gripper {:?} fault {:?}", state.moving, state.gripper, state.fault)
    });
    format!("{}{state}", answers.unwrap_or_else(|| "unasked".into()))
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

/// The rules named in `ARM_WORLD_RULES`, as in 1,4,9, to look at some alone.
fn rules() -> Option<u32> {
    let text = std::env::var("ARM_WORLD_RULES").ok()?;
    let bit = |word: &str| 1u32 << word.trim().parse::<u32>().expect("ARM_WORLD_RULES is a list of numbers");
    Some(text.split(',').map(bit).sum())
}

fn coordinator(settings: &Settings, now: Instant, seed: u64) -> Coordinator {
    let config = &settings.bridge;
    Coordinator::new(config.teleop.clone(), config.link.clone(), "controller".into(), now, seed)
}

/// For how long the controller does not know that the bridge's machine is gone.
const UNNOTICED: Duration = Duration::from_secs(4);
/// More than the bridge can write without time passing.
const MOST_LINES: u32 = 64;
const LENGTH: usize = 70;
/// How often it is looked whether somebody moves the arm.
const MOVING: Duration = Duration::from_millis(20);
