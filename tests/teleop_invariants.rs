//! The invariants of docs/safety.md, each by its number, over random event sequences and random valid configurations.
//!
//! The arm's side of the story is kept here independently of the machine under test: what was sent, on which
//! connection, what was answered, and which input was fresh.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::time::{Duration, Instant};

use aether_bridge::teleop::gripper::GripperConfig;
use aether_bridge::teleop::jump::JumpConfig;
use aether_bridge::teleop::limiter::Limits;
use aether_bridge::teleop::retarget::Retarget;
use aether_bridge::teleop::workspace::{Policy, Workspace};
use aether_bridge::teleop::{
    Arming, Command, Gripper, GripperInput, LinkView, Motion, Position, Stamp, Target, Teleop, TeleopConfig,
};
use nalgebra::Vector3;
use proptest::prelude::*;

/// What can happen to the machine.
#[derive(Debug, Clone)]
enum Event {
    /// A target from a hand that stays near `[x, y, z]`, without a stamp, or with one `age_ms` old.
    Target {
        x: f64,
        y: f64,
        z: f64,
        age_ms: Option<i64>,
    },
    NotATarget(f64),
    /// The hand moves in a straight line for a while: `count` targets, `period_ms` apart, answered as they are sent.
    Sweep {
        from: [f64; 3],
        step: [f64; 3],
        count: usize,
        period_ms: u64,
    },
    Gripper(GripperInput),
    Link(LinkView),
    /// The controller answers the oldest command.
    Reply {
        ok: bool,
    },
    SetArmed(bool),
    Stop,
    Reset,
    /// Time passes; the machine is driven at its deadlines meanwhile, or not at all (a stalled process).
    Pass {
        ms: u64,
        stalled: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let coordinate = prop_oneof![20 => -0.35..0.35, 1 => -100.0..100.0, 1 => Just(0.0)];
    let sweep = (
        prop::array::uniform3(-0.2..0.35),
        prop::array::uniform3(-0.01..0.01),
        1usize..60,
        prop_oneof![3 => 5u64..40, 1 => 1u64..300],
    )
        .prop_map(|(from, step, count, period_ms)| Event::Sweep { from, step, count, period_ms });
    let age =
        prop_oneof![6 => Just(None), 3 => (0i64..150).prop_map(Some), 1 => (-200i64..1000).prop_map(Some)];
    let target = (coordinate.clone(), coordinate.clone(), coordinate, age)
        .prop_map(|(x, y, z, age_ms)| Event::Target { x, y, z, age_ms });
    let gripper = prop_oneof![
        Just(GripperInput::Wanted(Gripper::Open)),
        Just(GripperInput::Wanted(Gripper::Closed)),
        (-0.5..1.5).prop_map(GripperInput::Opening),
        Just(GripperInput::Opening(f64::NAN)),
    ];
    let link =
        prop_oneof![6 => Just(LinkView::Ready), 1 => Just(LinkView::Unresponsive), 1 => Just(LinkView::Down)];
    prop_oneof![
        12 => sweep,
        12 => target,
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(1e300)].prop_map(Event::NotATarget),
        4 => gripper.prop_map(Event::Gripper),
        8 => link.prop_map(Event::Link),
        20 => prop_oneof![12 => Just(true), 1 => Just(false)].prop_map(|ok| Event::Reply { ok }),
        8 => prop_oneof![12 => Just(true), 1 => Just(false)].prop_map(Event::SetArmed),
        4 => prop_oneof![1 => Just(Event::Stop), 12 => Just(Event::Reset)],
        24 => (0u64..60, prop_oneof![9 => Just(false), 1 => Just(true)]).prop_map(|(ms, stalled)| Event::Pass { ms, stalled }),
        1 => (100u64..5000, any::<bool>()).prop_map(|(ms, stalled)| Event::Pass { ms, stalled }),
    ]
}

fn config() -> impl Strategy<Value = TeleopConfig> {
    (
        any::<bool>(),
        0u64..1500,
        10u64..500,
        prop_oneof![Just(None), (1u64..200).prop_map(Some)],
        any::<bool>(),
        (0.01..2.0f64, 0.05..1.0f64, 0.05..20.0f64),
        1u32..8,
        0u64..300,
        any::<bool>(),
    )
        .prop_map(
            |(
                operator,
                settle,
                timeout,
                period,
                reject,
                (speed, approach, acceleration),
                error_limit,
                debounce,
                jump,
            )| {
                let policy = if reject { Policy::Reject } else { Policy::Clamp };
                TeleopConfig {
                    arming: if operator { Arming::Operator } else { Arming::Automatic },
                    settle_time: Duration::from_millis(settle),
                    input_timeout: Duration::from_millis(timeout),
                    zero_is_lost: true,
                    jump: JumpConfig {
                        distance: if jump { 0.15 } else { 0.0 },
                        confirm: Duration::from_millis(300),
                    },
                    command_period: period.map(Duration::from_millis),
                    workspace: Workspace::new(at(-0.3, -0.3, 0.0), at(0.3, 0.3, 0.4), policy).unwrap(),
                    home: at(0.2, 0.0, 0.2),
                    limits: Limits { speed, acceleration },
                    approach_speed: speed * approach,
                    retarget: Retarget::default(),
                    gripper: GripperConfig {
                        close_below: 0.3,
                        open_above: 0.5,
                        debounce: Duration::from_millis(debounce),
                    },
                    initial_gripper: Gripper::Open,
                    error_limit,
                }
            },
        )
}

fn at(x: f64, y: f64, z: f64) -> Position {
    Position::new(x, y, z).unwrap()
}

/// The world around the machine.
struct World {
    config: TeleopConfig,
    teleop: Teleop,
    start: Instant,
    now: Instant,
    link: LinkView,
    window: usize,
    in_flight: Vec<Command>,
    last_on_connection: Option<(Instant, Command)>,
    /// The velocity of the last command, and the time it is over, once the present motion has two.
    velocity: Option<(Vector3<f64>, f64)>,
    acknowledged: Option<Position>,
    /// When the newest good target was taken; none after a refused one.
    good_input: Option<Instant>,
    last_stamp: Option<i64>,
    /// Targets in a row that were all zero.
    zeros: u32,
    /// Error replies in a row on this connection.
    errors: u32,
    /// A loss of link or input, a run of error replies, a disarm or a stop since the last command.
    interrupted: bool,
    gripper: GripperSide,
    permitted: bool,
    /// As last sent, on any connection.
    last_gripper: Gripper,
    sent: usize,
}

/// What the gripper's topic has said, and since when without contradiction.
struct GripperSide {
    wanted: Gripper,
    since: Instant,
    /// The states that have been wanted for the debounce time since the last command.
    stood: Vec<Gripper>,
}

impl GripperSide {
    fn note(&mut self, now: Instant, debounce: Duration) {
        if now - self.since >= debounce {
            self.stood.push(self.wanted);
        }
    }
}

impl World {
    fn new(config: TeleopConfig, window: usize) -> Self {
        let now = Instant::now();
        Self {
            teleop: Teleop::new(config.clone()),
            permitted: config.arming == Arming::Automatic,
            config,
            start: now,
            now,
            link: LinkView::Down,
            window,
            in_flight: Vec::new(),
            last_on_connection: None,
            velocity: None,
            acknowledged: None,
            good_input: None,
            last_stamp: None,
            zeros: 0,
            errors: 0,
            interrupted: true,
            gripper: GripperSide { wanted: Gripper::Open, since: now, stood: Vec::new() },
            last_gripper: Gripper::Open,
            sent: 0,
        }
    }

    fn handle(&mut self, event: &Event) {
        self.gripper.note(self.now, self.config.gripper.debounce);
        match *event {
            Event::Target { x, y, z, age_ms } => self.handle_target(at(x, y, z), age_ms),
            Event::NotATarget(x) => {
                let fault = Target::new(x, 0.0, 0.0, None).unwrap_err();
                self.teleop.handle_invalid_target(self.now, fault);
                self.lose_input();
            }
            Event::Sweep { from, step, count, period_ms } => {
                for i in 0..count {
                    let [x, y, z] = std::array::from_fn(|axis| from[axis] + step[axis] * i as f64);
                    self.handle_target(at(x, y, z), None);
                    self.send();
                    while !self.in_flight.is_empty() {
                        self.handle_reply(true);
                    }
                    self.pass(Duration::from_millis(period_ms), false);
                }
            }
            Event::Gripper(input) => self.handle_gripper(input),
            Event::Link(link) => self.handle_link(link),
            Event::Reply { ok } => self.handle_reply(ok),
            Event::SetArmed(armed) => {
                let accepted = self.teleop.handle_set_armed(self.now, armed).is_ok();
                if armed && accepted {
                    self.permitted = true;
                } else if !armed {
                    self.permitted = false;
                    self.interrupted = true;
                }
            }
            Event::Stop => {
                self.teleop.handle_stop();
                self.permitted = false;
                self.interrupted = true;
            }
            Event::Reset => {
                self.teleop.handle_reset();
            }
            Event::Pass { ms, stalled } => self.pass(Duration::from_millis(ms), stalled),
        }
        self.send();
    }

    fn handle_target(&mut self, position: Position, age_ms: Option<i64>) {
        // The clock of stamps starts at 100 s, so that ages never make it negative.
        let received = 100_000_000_000 + (self.now - self.start).as_nanos() as i64;
        let stamp = age_ms.map(|age| Stamp { taken: received - age * 1_000_000, received });
        let accepted =
            self.teleop.handle_target(self.now, Target { position, stamp, held_up: Duration::ZERO }).is_ok();

        let age = Duration::from_millis(age_ms.unwrap_or(0).max(0) as u64);
        let backwards = matches!((stamp, self.last_stamp), (Some(stamp), Some(last)) if stamp.taken < last);
        if let Some(stamp) = stamp.filter(|_| position.coordinates() != [0.0; 3]) {
            self.last_stamp = Some(stamp.taken);
        }
        let inside = self.config.workspace.contains(position);
        let sane = age <= self.config.input_timeout && age_ms.unwrap_or(0) >= -50 && !backwards;
        let rejects = self.config.workspace.admit(at(9.0, 9.0, 9.0)).is_err();
        let zero = position.coordinates() == [0.0; 3];
        self.zeros = if zero { self.zeros + 1 } else { 0 };
        let acceptable = sane && (inside || !rejects) && !zero;
        // A leap may be refused for a while, whatever else is good.
        let may_leap = self.config.jump.distance > 0.0;
        assert!(accepted == acceptable || (!accepted && may_leap), "{position:?} {age_ms:?}");
        if accepted {
            let gap = self.good_input.is_none_or(|taken| self.now >= taken + self.config.input_timeout);
            self.interrupted |= gap;
            self.good_input = Some(self.now - age);
        } else if !(zero && self.zeros == 1) {
            self.lose_input();
        }
    }

    fn lose_input(&mut self) {
        self.good_input = None;
        self.interrupted = true;
    }

    fn handle_gripper(&mut self, input: GripperInput) {
        self.teleop.handle_gripper(self.now, input);
        let wanted = match input {
            GripperInput::Wanted(gripper) => gripper,
            GripperInput::Opening(opening) if opening < 0.3 => Gripper::Closed,
            GripperInput::Opening(opening) if opening > 0.5 => Gripper::Open,
            GripperInput::Opening(_) => return,
        };
        if wanted != self.gripper.wanted {
            self.gripper.wanted = wanted;
            self.gripper.since = self.now;
        }
    }

    fn handle_link(&mut self, link: LinkView) {
        if link == LinkView::Down {
            self.in_flight.clear();
            self.errors = 0;
            self.last_on_connection = None;
            self.permitted &= self.config.arming == Arming::Automatic;
        }
        self.interrupted |= link != LinkView::Ready;
        self.link = link;
        self.teleop.handle_link(self.now, link);
    }

    fn handle_reply(&mut self, ok: bool) {
        if self.in_flight.is_empty() {
            return;
        }
        let command = self.in_flight.remove(0);
        if ok {
            self.acknowledged = Some(command.position);
            self.errors = 0;
            self.teleop.handle_acknowledged(self.now, &command);
        } else {
            self.teleop.handle_rejected(self.now);
            self.errors += 1;
            self.interrupted |= self.errors >= self.config.error_limit;
        }
    }

    fn pass(&mut self, time: Duration, stalled: bool) {
        let end = self.now + time;
        if !stalled {
            self.drive_until(end);
        }
        self.now = end;
        self.teleop.handle_timeout(self.now);
    }

    fn drive_until(&mut self, end: Instant) {
        loop {
            let command_at = self.teleop.poll_command_at(self.now).filter(|_| self.has_room());
            let next = [self.teleop.poll_timeout(self.now), command_at].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end && *next > self.now) else { return };
            self.now = next;
            self.teleop.handle_timeout(self.now);
            self.send();
        }
    }

    fn has_room(&self) -> bool {
        self.link == LinkView::Ready && self.in_flight.len() < self.window
    }

    fn send(&mut self) {
        while self.has_room() {
            let Some(planned) = self.teleop.poll_command(self.now) else { return };
            self.gripper.note(self.now, self.config.gripper.debounce);
            self.check(&planned.command, planned.approach);
            self.teleop.handle_sent(self.now, &planned);
            self.in_flight.push(planned.command);
            if self.interrupted {
                self.velocity = None;
            } else if let Some((sent_at, last)) = self.last_on_connection.filter(|(at, _)| *at < self.now) {
                let seconds = (self.now - sent_at).as_secs_f64();
                let moved = planned.command.position.point() - last.position.point();
                self.velocity = Some((moved / seconds, seconds));
            }
            self.last_on_connection = Some((self.now, planned.command));
            self.interrupted = false;
            self.last_gripper = planned.command.gripper;
            self.gripper.stood.clear();
            self.sent += 1;
        }
    }

    fn check(&self, command: &Command, approach: bool) {
        let now = self.now;
        // 1. Every command is finite and inside the workspace.
        assert!(command.position.coordinates().iter().all(|c| c.is_finite()), "invariant 1: {command:?}");
        assert!(self.config.workspace.contains(command.position), "invariant 1: {command:?}");
        // 2. Successive commands on one connection keep the speed limit.
        if let Some((sent_at, last)) = self.last_on_connection {
            let speed = if approach { self.config.approach_speed } else { self.config.limits.speed };
            let seconds = (now - sent_at).as_secs_f64();
            let allowed = speed * seconds + WIRE_RESOLUTION;
            let moved = last.position.distance(command.position);
            assert!(moved <= allowed, "invariant 2: {moved} m, {allowed} m allowed");
            self.check_acceleration(command, last, seconds);
        }
        // 3. Nothing moves while DISARMED, HOLDING or STOPPED, nor without permission.
        assert!(matches!(self.teleop.motion(), Motion::Approach | Motion::Tracking), "invariant 3");
        assert!(self.permitted && self.link == LinkView::Ready, "invariant 3");
        // 4. After any loss the first motion is an approach from the acknowledged position.
        if self.interrupted {
            assert!(approach, "invariant 4: not an approach");
            let start = self.acknowledged.unwrap_or(self.config.home);
            let step = self.config.approach_speed * self.config.ramp_period().as_secs_f64() * 2.0;
            let moved = start.distance(command.position);
            assert!(
                moved <= step + WIRE_RESOLUTION,
                "invariant 4: {moved} m from the start, {step} m allowed"
            );
        }
        // 5. Stale input never moves the arm.
        let taken = self.good_input.expect("invariant 5: no good input");
        assert!(now < taken + self.config.input_timeout, "invariant 5: input taken {:?} ago", now - taken);
        // 6. The gripper changes only by its own input, debounced.
        if command.gripper != self.last_gripper {
            assert!(self.gripper.stood.contains(&command.gripper), "invariant 6: {:?}", self.gripper.stood);
        }
    }

    /// 2, second half: the velocity changes by no more than the acceleration allows, except towards standing: that is
    /// what silence does to an arm.
    fn check_acceleration(&self, command: &Command, last: Command, seconds: f64) {
        let Some((before, seconds_before)) = self.velocity.filter(|_| !self.interrupted && seconds > 0.0)
        else {
            return; // the first of a motion: see 4.
        };
        let velocity = (command.position.point() - last.position.point()) / seconds;
        let share = if before.norm() > 0.0 { velocity.dot(&before) / before.norm_squared() } else { 0.0 };
        let change = (velocity - before * share.clamp(0.0, 1.0)).norm();
        let noise = WIRE_RESOLUTION / seconds + WIRE_RESOLUTION / seconds_before;
        let allowed = self.config.limits.acceleration * seconds + noise;
        assert!(
            change <= allowed,
            "invariant 2: {change} m/s of change in {seconds} s, {allowed} m/s allowed"
        );
    }
}

/// Two roundings to a micrometre in each of three axes, and the arithmetic's own noise.
const WIRE_RESOLUTION: f64 = 2e-6;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_yields_a_forbidden_command(
        config in config(),
        window in 1usize..4,
        events in prop::collection::vec(event(), 1..150),
    ) {
        let mut world = World::new(config, window);
        world.handle_link(LinkView::Ready);
        for event in &events {
            world.handle(event);
        }
    }
}

/// A property test that never sends anything proves nothing.
#[test]
fn the_random_world_does_move_the_arm() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = (config(), prop::collection::vec(event(), 100));
    let (mut sent, mut tracked, mut stopped) = (0, 0, 0);
    for _ in 0..64 {
        let (config, events) = strategy.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(config, 1);
        world.handle_link(LinkView::Ready);
        for event in &events {
            world.handle(event);
            tracked += usize::from(world.teleop.motion() == Motion::Tracking);
            stopped += usize::from(world.teleop.motion() == Motion::Stopped);
        }
        sent += world.sent;
    }
    assert!(
        sent > 5000 && tracked > 150 && stopped > 100,
        "{sent} sent, {tracked} tracked, {stopped} stopped"
    );
}
