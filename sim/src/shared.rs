//! The state that the tasks of one controller share, and its clock.
// This module reads the clock, because a simulated arm moves in real time and tests check times of
// arrival.
#![allow(clippy::disallowed_methods)]

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{broadcast, oneshot, watch};

use super::arm::{Arm, ArmState};
use super::config::{ArmSimConfig, Clients};
use super::controller::{CommandFault, ReceivedOrder};
use super::fault::FaultSpec;
use super::fault_schedule::{FaultSchedule, Treatment};
use super::monitor::{ArmMonitor, ConformanceMonitor, Rules, RulesError, Setting, Violation};
use super::physical::PhysicalArm;
use super::record::{ConnectionRecord, Ended, Event, Received, Record};
use aether_bridge::arm::ReportedState;
use aether_bridge::geometry::Position;
use aether_bridge::wire::Order;

/// A request to the task that owns the port.
#[derive(Debug)]
pub(super) enum Control {
    /// Reset all connections. Listen again after this time, or never.
    Crash { restart_after: Option<Duration>, done: Option<oneshot::Sender<()>> },
    /// Listen, if the controller does not listen.
    Listen { done: Option<oneshot::Sender<io::Result<()>>> },
}

/// The state of one controller.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: ArmSimConfig,
    pub(super) record: watch::Sender<Record>,
    /// Counting commands changes it without a notification; setting faults sends a notification.
    pub(super) schedule: watch::Sender<FaultSchedule>,
    pub(super) events: broadcast::Sender<Event>,
    arm: Mutex<Metal>,
    monitor: Option<Mutex<ConformanceMonitor>>,
    arm_monitor: Option<Mutex<ArmMonitor>>,
}

/// The arm of the controller.
#[derive(Debug)]
enum Metal {
    /// A point, and the time up to which it was moved.
    Point(Arm, Instant),
    Physical(Box<PhysicalArm>),
}

impl Metal {
    fn new(config: &ArmSimConfig) -> Self {
        let now = Instant::now();
        match &config.physical {
            Some(physical) => Self::Physical(Box::new(PhysicalArm::new(now, physical.clone()))),
            None => Self::Point(Arm::new(config.home, config.speed), now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Point(arm, stepped) => {
                arm.step(now.duration_since(*stepped));
                *stepped = now;
            }
            Self::Physical(arm) => arm.handle_timeout(now),
        }
    }

    fn state(&self) -> ArmState {
        match self {
            Self::Point(arm, _) => arm.state(),
            Self::Physical(arm) => {
                let body = arm.body();
                let [x, y, z] = arm.true_point().into();
                let position = Position::new(x, y, z).unwrap_or(body.position());
                ArmState { position, gripper: body.gripper(), moving: body.is_moving() }
            }
        }
    }

    fn halt(&mut self, now: Instant) {
        match self {
            Self::Point(arm, _) => arm.halt(),
            Self::Physical(arm) => arm.handle_expired(now),
        }
    }
}

impl Shared {
    pub(super) fn new(config: ArmSimConfig) -> Self {
        Self {
            record: watch::Sender::default(),
            schedule: watch::Sender::new(FaultSchedule::new(config.faults.clone())),
            events: broadcast::Sender::new(EVENTS_KEPT),
            arm: Mutex::new(Metal::new(&config)),
            arm_monitor: config
                .monitor
                .as_ref()
                .filter(|_| config.physical.is_some())
                .map(|rules| Mutex::new(ArmMonitor::new(rules))),
            monitor: config
                .monitor
                .clone()
                .map(|rules| Mutex::new(ConformanceMonitor::new(rules, config.unit))),
            config,
        }
    }

    pub(super) fn set_faults(&self, faults: Vec<FaultSpec>) {
        self.schedule.send_replace(FaultSchedule::new(faults));
    }

    pub(super) fn arm_state(&self) -> ArmState {
        self.arm().state()
    }

    /// Lets the arm execute an order of a client that may have disconnected (`gone`). Returns the
    /// state to report in the reply, or the reason for a refusal.
    pub(super) fn obey(
        &self,
        connection: usize,
        line: &str,
        order: Order,
        gone: bool,
    ) -> (Result<(), String>, Option<ReportedState>) {
        let mut found = Vec::new();
        let mut metal = self.arm();
        let now = Instant::now();
        let result = match &mut *metal {
            Metal::Point(arm, _) => {
                match order {
                    Order::Command(command) => arm.command(command),
                    Order::Stop => arm.halt(),
                    Order::Heartbeat => {}
                }
                (Ok(()), self.config.report_state.then(|| reported(arm.state())))
            }
            Metal::Physical(arm) => {
                let mut monitor = self
                    .arm_monitor
                    .as_ref()
                    .map(|monitor| monitor.lock().unwrap_or_else(PoisonError::into_inner));
                let goes = match &order {
                    Order::Command(command) => arm.would_obey(command),
                    Order::Stop | Order::Heartbeat => true,
                };
                if let Some(monitor) = monitor.as_mut().filter(|_| goes) {
                    found.extend(monitor.handle_time(now, arm));
                    found.extend(monitor.handle_order(connection, line, &order, arm, gone));
                }
                let answer = arm.handle_order(now, &order);
                if let Some(monitor) = monitor.as_mut().filter(|_| goes && answer.verdict.is_ok()) {
                    monitor.handle_obeyed(connection, line, &order, arm);
                }
                (answer.verdict.map_err(|refusal| refusal.as_str().to_owned()), answer.state)
            }
        };
        drop(metal);
        self.emit_violations(found);
        result
    }

    /// Calls `act` on the physical arm and returns its result, or `None` if there is no physical
    /// arm.
    pub(super) fn with_physical<R>(&self, act: impl FnOnce(&mut PhysicalArm, Instant) -> R) -> Option<R> {
        match &mut *self.arm() {
            Metal::Point(..) => None,
            Metal::Physical(arm) => Some(act(arm, Instant::now())),
        }
    }

    /// Checks what the arm has done since the last call.
    pub(super) fn judge_arm(&self) {
        let Some(monitor) = &self.arm_monitor else { return };
        let found = match &*self.arm() {
            Metal::Point(..) => Vec::new(),
            Metal::Physical(arm) => {
                monitor.lock().unwrap_or_else(PoisonError::into_inner).handle_time(Instant::now(), arm)
            }
        };
        self.emit_violations(found);
    }

    /// Returns whether another client may connect.
    pub(super) fn has_room(&self) -> bool {
        self.config.clients == Clients::Many || self.record.borrow().connected() == 0
    }

    pub(super) fn listening(&self, address: SocketAddr) {
        self.with_physical(PhysicalArm::handle_back);
        self.monitored(|monitor| {
            monitor.handle_listening(Instant::now());
            Vec::new()
        });
        self.record.send_modify(|record| record.listening = true);
        self.emit(Event::Listening(address));
    }

    /// Records that the listener is closed and every connection has ended.
    pub(super) fn crashed(&self) {
        match &mut *self.arm() {
            Metal::Point(arm, _) => arm.halt(),
            // The controller process stays down until the controller listens again.
            Metal::Physical(arm) => arm.handle_restart(Instant::now(), Duration::from_secs(86_400)),
        }
        self.record.send_modify(|record| {
            record.listening = false;
            record.counts.crashes += 1;
        });
        self.emit(Event::Crashed);
    }

    pub(super) fn refused(&self, peer: SocketAddr) {
        self.record.send_modify(|record| record.counts.refused_connections += 1);
        self.emit(Event::ConnectionRefused { peer });
    }

    /// Registers a client and returns its number.
    pub(super) fn connected(&self, peer: SocketAddr) -> usize {
        let mut connection = 0;
        self.record.send_modify(|record| {
            connection = record.counts.connections as usize;
            record.counts.connections += 1;
            if self.config.keep_record {
                let connected_at = Instant::now();
                let client = ConnectionRecord { peer, connected_at, ended: None, most_unanswered: 0 };
                record.connections.push(client);
            }
        });
        self.monitored(|monitor| {
            monitor.handle_connected(connection);
            Vec::new()
        });
        self.emit(Event::Connected { connection, peer });
        connection
    }

    pub(super) fn disconnected(&self, connection: usize, peer: SocketAddr, why: Ended) {
        let torn = if let Ended::MalformedMessage(why) = &why { Some(why.as_str()) } else { None };
        self.monitored(|monitor| monitor.handle_disconnected(connection, torn));
        self.record.send_modify(|record| {
            record.counts.disconnections += 1;
            if let Some(client) = record.connections.get_mut(connection) {
                client.ended = Some((Instant::now(), why.clone()));
            }
        });
        self.emit(Event::Disconnected { connection, peer, why });
    }

    /// Checks and records a line, and returns its treatment by the faults.
    pub(super) fn received(
        &self,
        connection: usize,
        peer: SocketAddr,
        line: Result<ReceivedOrder, CommandFault>,
    ) -> (Result<Order, String>, Treatment) {
        let at = Instant::now();
        self.monitored(|monitor| monitor.handle_line(at, connection, &line));
        let (line, order) = match line {
            Ok(received) => {
                let verdict = self.check_limits(&received).map(|()| received.order);
                (received.line, verdict)
            }
            Err(fault) => (fault.line, Err(fault.why)),
        };
        let mut treatment = Treatment::default();
        self.schedule.send_if_modified(|schedule| {
            treatment = schedule.treat();
            false
        });
        let received = Received { connection, peer, at, line, order: order.clone() };
        self.record.send_modify(|record| {
            match order {
                Ok(Order::Command(_)) => record.counts.commands += 1,
                Ok(Order::Stop) => record.counts.stops += 1,
                Ok(Order::Heartbeat) => record.counts.heartbeats += 1,
                Err(_) => record.counts.bad_lines += 1,
            }
            if self.config.keep_record {
                record.received.push(received.clone());
            }
        });
        self.emit(Event::Received(received));
        (order, treatment)
    }

    /// Records how many lines a client has sent before one of them gets its reply. `waiting` holds
    /// the lines that are not read yet.
    pub(super) fn unanswered(&self, connection: usize, unanswered: usize, waiting: &[u8]) {
        self.monitored(|monitor| monitor.handle_ahead(connection, waiting));
        self.record.send_modify(|record| {
            if let Some(client) = record.connections.get_mut(connection) {
                client.most_unanswered = client.most_unanswered.max(unanswered);
            }
        });
    }

    /// Halts the arm, because a client has sent no line within the `ttl` of its last line.
    pub(super) fn expired(&self, connection: usize, peer: SocketAddr, ttl: Duration) {
        self.arm().halt(Instant::now());
        self.record.send_modify(|record| record.counts.expiries += 1);
        self.emit(Event::Expired { connection, peer, ttl });
    }

    /// Records written bytes, the first at `begun`. `replies` is the number of complete replies,
    /// `errors` the number of error replies among them.
    pub(super) fn replied(
        &self,
        connection: usize,
        peer: SocketAddr,
        begun: Instant,
        text: &[u8],
        replies: u64,
        errors: u64,
    ) {
        self.monitored(|monitor| {
            monitor.handle_replied(begun, connection, text, replies);
            Vec::new()
        });
        let text = String::from_utf8_lossy(text).into_owned();
        self.record.send_modify(|record| {
            record.counts.replies += replies;
            record.counts.error_replies += errors;
        });
        self.emit(Event::Replied { connection, peer, text });
    }

    /// Informs the monitor that a client's socket had nothing to read at this time or later.
    pub(super) fn quiet(&self, connection: usize, since: Instant) {
        self.monitored(|monitor| {
            monitor.handle_quiet(since, connection);
            Vec::new()
        });
    }

    pub(super) fn has_monitor(&self) -> bool {
        self.monitor.is_some()
    }

    /// Changes the rules of the monitor. Returns false if there is no monitor.
    pub(super) fn set_rules(&self, settings: &[Setting]) -> Result<bool, RulesError> {
        let Some(monitor) = &self.monitor else { return Ok(false) };
        let mut monitor = monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let rules: Rules = monitor.rules().with(settings)?;
        if let Some(monitor) = &self.arm_monitor {
            monitor.lock().unwrap_or_else(PoisonError::into_inner).handle_rules(&rules);
        }
        monitor.handle_rules(rules);
        Ok(true)
    }

    /// Applies `event` to the monitor, if there is one, and emits the violations that it finds.
    fn monitored(&self, event: impl FnOnce(&mut ConformanceMonitor) -> Vec<Violation>) {
        let Some(monitor) = &self.monitor else { return };
        let found = event(&mut monitor.lock().unwrap_or_else(PoisonError::into_inner));
        self.emit_violations(found);
    }

    fn emit_violations(&self, found: Vec<Violation>) {
        for violation in found {
            self.record.send_modify(|record| record.counts.violations += 1);
            self.emit(Event::Violation(violation));
        }
    }

    pub(super) fn emit(&self, event: Event) {
        // It is not an error if there is no receiver.
        let _ = self.events.send(event);
    }

    /// Checks the limits that the protocol leaves to the controller: the reach of the arm, and
    /// unknown members.
    fn check_limits(&self, received: &ReceivedOrder) -> Result<(), String> {
        if self.config.strict && !received.extras.is_empty() {
            let members = match received.order {
                Order::Command(_) => "type, x, y, z, gripper",
                Order::Stop | Order::Heartbeat => "type",
            };
            return Err(format!("unknown members {:?}, expected only {members}", received.extras));
        }
        let Order::Command(command) = received.order else { return Ok(()) };
        let position = command.position;
        let distance = position.point().coords.norm();
        match self.config.reach {
            Some(reach) if distance > reach => Err(format!(
                "{} is {distance:.3} m from the base, beyond the reach of {reach} m",
                self.in_wire_unit(position)
            )),
            _ => Ok(()),
        }
    }

    /// Formats a position in the unit of the wire.
    pub(super) fn in_wire_unit(&self, position: Position) -> String {
        let unit = self.config.unit;
        let [x, y, z] = position.coordinates().map(|metres| metres * unit.per_metre());
        let places = (6.0 - unit.per_metre().log10()) as usize;
        let places = places.saturating_sub(2).max(1);
        format!("x={x:.places$} y={y:.places$} z={z:.places$} {unit}")
    }

    /// Moves the arm up to the present time and returns it.
    fn arm(&self) -> MutexGuard<'_, Metal> {
        let mut metal = self.arm.lock().unwrap_or_else(PoisonError::into_inner);
        metal.handle_timeout(Instant::now());
        metal
    }
}

fn reported(state: ArmState) -> ReportedState {
    ReportedState {
        position: Some(state.position),
        gripper: Some(state.gripper),
        moving: Some(state.moving),
        ..ReportedState::default()
    }
}

/// How many events a slow receiver may be behind.
const EVENTS_KEPT: usize = 4096;
