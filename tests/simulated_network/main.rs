//! The bridge's driver and link over a simulated network, in simulated time. Partitions, delays,
//! crashes, a misbehaving controller and the operator's requests come in random order. The seed of
//! a run replays it.
//!
//!     SIMULATION_SEED=42 cargo test --no-default-features --test simulated_network -- --nocapture
//!     SIMULATION_RUNS=10000 cargo test --release --no-default-features --test simulated_network

mod arm;
mod judge;
mod network;

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use aether_bridge::app::{Bridge, drive_over};
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::teleop::Target;
use aether_sim::Rules;
use arm::{Arm, Mood};
use fastrand::Rng;
use judge::{HOME, Judge};
use network::Simulated;
use turmoil::{Builder, Sim};

/// A fault or request with a duration.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// All packets are lost, in both directions.
    Partition,
    /// All packets are lost in one direction.
    OneWay {
        to_arm: bool,
    },
    /// All packets are delayed until the end of the fault.
    Hold,
    /// The controller crashes, and restarts at the end.
    Crash,
    Moody(Mood),
    /// The hand leaves the picture.
    Blind,
    /// The operator stops motion, and releases the stop at the end.
    Stop,
    /// The operator asks for a new connection.
    Reconnect,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    from: Duration,
    until: Duration,
    trouble: Trouble,
}

fn trouble(rng: &mut Rng) -> Trouble {
    match rng.u8(..12) {
        0 => Trouble::Partition,
        1 => Trouble::OneWay { to_arm: rng.bool() },
        2 => Trouble::Hold,
        3 => Trouble::Crash,
        4 => Trouble::Moody(Mood::Mute),
        5 => Trouble::Moody(Mood::Refusing),
        6 => Trouble::Moody(Mood::Stuttering),
        7 => Trouble::Moody(Mood::BreakingOff),
        8 => Trouble::Moody(Mood::Well(Duration::from_millis(rng.u64(20..1500)))),
        9 => Trouble::Blind,
        10 => Trouble::Stop,
        _ => Trouble::Reconnect,
    }
}

/// Returns faults one after the other, with short and long pauses, until `TROUBLES_END`.
fn schedule(rng: &mut Rng) -> VecDeque<Event> {
    let mut events = VecDeque::new();
    let mut at = Duration::from_millis(rng.u64(100..1500));
    while at < TROUBLES_END {
        let until = at + Duration::from_millis(rng.u64(1..2000));
        events.push_back(Event { from: at, until, trouble: trouble(rng) });
        at = until + Duration::from_millis(if rng.bool() { rng.u64(0..100) } else { rng.u64(0..3000) });
    }
    events
}

/// The present requests of the operator, and whether the hand is out of view.
#[derive(Default)]
struct Operator {
    blind: Cell<bool>,
    stopped: Cell<bool>,
    reconnects: Cell<u32>,
}

/// The parts of one run that the test checks.
struct Run {
    arm: Arm,
    judge: Judge,
    operator: Rc<Operator>,
}

impl Run {
    fn begin(&self, sim: &mut Sim<'_>, trouble: Trouble) {
        match trouble {
            Trouble::Partition => sim.partition(BRIDGE, ARM),
            Trouble::OneWay { to_arm: true } => sim.partition_oneway(BRIDGE, ARM),
            Trouble::OneWay { to_arm: false } => sim.partition_oneway(ARM, BRIDGE),
            Trouble::Hold => sim.hold(BRIDGE, ARM),
            Trouble::Crash => sim.crash(ARM),
            Trouble::Moody(mood) => self.arm.set_mood(mood),
            Trouble::Blind => self.operator.blind.set(true),
            Trouble::Stop => self.operator.stopped.set(true),
            Trouble::Reconnect => self.operator.reconnects.set(self.operator.reconnects.get() + 1),
        }
    }

    fn end(&self, sim: &mut Sim<'_>, trouble: Trouble) {
        match trouble {
            Trouble::Partition | Trouble::OneWay { .. } => sim.repair(BRIDGE, ARM),
            Trouble::Hold => sim.release(BRIDGE, ARM),
            Trouble::Crash => {
                self.arm.home();
                self.judge.see_homed(arm::HOMED);
                sim.bounce(ARM);
            }
            Trouble::Moody(_) => self.arm.set_mood(Mood::Well(Duration::from_millis(5))),
            Trouble::Blind => self.operator.blind.set(false),
            Trouble::Stop => self.operator.stopped.set(false),
            Trouble::Reconnect => {}
        }
    }
}

/// Runs the bridge with a hand that moves in a circle, and an operator.
async fn bridge(config: Config, judge: Judge, operator: Rc<Operator>) {
    let bridge = Bridge::new(&config, judge.clone());
    tokio::task::spawn_local(drive_over(bridge.clone(), Simulated, std::future::pending()));
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let (mut armed, mut reconnects) = (true, 0);
    loop {
        ticks.tick().await;
        let turn = 0.5 * turmoil::elapsed().as_secs_f64();
        if operator.stopped.get() {
            bridge.stop();
            judge.stop(true);
            armed = false;
        } else if !armed {
            judge.stop(false);
            bridge.reset();
            armed = bridge.set_armed(true).is_ok();
        }
        if reconnects != operator.reconnects.replace(reconnects) {
            bridge.reconnect();
        }
        reconnects = operator.reconnects.get();
        if !operator.blind.get() {
            // A circle of 6 cm radius at half a radian per second: slower than an approach, so that
            // an approach can reach the hand.
            let [x, y, z] = [HOME[0] + 0.06 * turn.cos(), HOME[1] + 0.06 * turn.sin(), HOME[2]];
            judge.see_hand();
            bridge.handle_target(Target::new(x, y, z, None));
        }
    }
}

fn config() -> Config {
    let parameters = Parameters::with(&[
        ("link.host", Value::Text(ARM.into())),
        ("link.port", Value::Integer(arm::PORT.into())),
        ("wire.extra_fields", Value::Texts(vec!["seq".into()])),
        ("teleop.settle_time", Value::Real(0.1)),
        ("link.connect_timeout", Value::Real(0.5)),
        ("link.reply_timeout", Value::Real(0.3)),
        ("link.timeout", Value::Real(1.0)),
        ("link.backoff.max", Value::Real(0.5)),
        // A position request is the only heartbeat.
        ("link.heartbeat.period", Value::Real(60.0)),
    ]);
    Config::new(&parameters.unwrap()).unwrap()
}

/// Returns the rules of the controller that match `config`.
fn rules() -> Rules {
    let settings =
        [r#"wire.extra_fields:=["seq"]"#, "link.reply_timeout:=0.3", "link.heartbeat.period:=60.0"]
            .map(|text| text.parse().unwrap());
    Rules::default().with(&settings).unwrap()
}

/// Runs one simulation. Returns its log.
fn run(seed: u64) -> Vec<String> {
    // The seed also sets the jitter of the back-off.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let mut events = schedule(&mut rng);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_micros(100))
        .max_message_latency(Duration::from_millis(rng.u64(1..30)))
        .simulation_duration(2 * (TROUBLES_END + RECOVERY))
        .build();
    let all = Run { arm: Arm::new(rules()), judge: Judge::new(&config()), operator: Rc::default() };
    sim.host(ARM, {
        let arm = all.arm.clone();
        move || arm.clone().run()
    });
    sim.client(BRIDGE, {
        let (judge, operator) = (all.judge.clone(), Rc::clone(&all.operator));
        async move {
            bridge(config(), judge, operator).await;
            Ok(())
        }
    });
    let fail = |what: &str, rest: &[String]| -> ! {
        let log = all.judge.log();
        let last = log[log.len().saturating_sub(30)..].join("\n");
        panic!("seed {seed}: {what}\n{}\nthe last events:\n{last}", rest.join("\n"));
    };
    let mut present: Option<Event> = None;
    let mut lines_before = 0;
    loop {
        sim.step().unwrap();
        let now = sim.elapsed();
        if let Some(ended) = present.take_if(|event| event.until <= now) {
            all.judge.note(now, &format!("-- end of {:?}", ended.trouble));
            all.end(&mut sim, ended.trouble);
            lines_before = all.arm.lines();
        }
        if present.is_none() && events.front().is_some_and(|event| event.from <= now) {
            present = events.pop_front();
            if let Some(Event { trouble, .. }) = present {
                all.judge.note(now, &format!("-- {trouble:?}"));
                all.begin(&mut sim, trouble);
            }
        }
        let violations = [all.judge.violations(), all.arm.violations()].concat();
        if !violations.is_empty() {
            fail("a forbidden command", &violations);
        }
        if present.is_none() && events.is_empty() {
            if all.judge.is_tracking() && all.arm.lines() > lines_before + 10 {
                return all.judge.log();
            }
            if now > TROUBLES_END + RECOVERY {
                fail("the arm does not follow the hand again", &[]);
            }
        }
    }
}

#[test]
fn commands_keep_the_rules_under_network_faults() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    if let Some(seed) = number("SIMULATION_SEED") {
        println!("{}", run(seed).join("\n"));
        return;
    }
    for seed in 0..number("SIMULATION_RUNS").unwrap_or(RUNS) {
        run(seed);
    }
}

#[test]
fn same_seed_replays_the_same_run() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

const ARM: &str = "arm";
const BRIDGE: &str = "bridge";
const RUNS: u64 = 40;
const TROUBLES_END: Duration = Duration::from_secs(15);
/// Enough for the timeouts, the longest back-off, settling, and an approach across the circle.
const RECOVERY: Duration = Duration::from_secs(10);
