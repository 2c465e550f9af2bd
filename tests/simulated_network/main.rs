//! The bridge's driver and link over a simulated network, in simulated time: partitions, delays, crashes, a controller in
//! a bad mood and a person's requests in random order, each run by a seed that replays it.
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

/// What happens, for how long, and then ends.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// Nothing gets through, either way; what is sent is lost.
    Partition,
    /// Nothing gets to the arm, or nothing back.
    OneWay {
        to_arm: bool,
    },
    /// What is sent comes later, all at once.
    Hold,
    /// The controller is gone, and comes back.
    Crash,
    Moody(Mood),
    /// The hand leaves the picture.
    Blind,
    /// A person stops motion, and releases it.
    Stop,
    /// A person asks for a new connection.
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

/// Troubles one after the other, with pauses short and long, until `TROUBLES_END`.
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

/// What the person at the bridge does at present.
#[derive(Default)]
struct Person {
    blind: Cell<bool>,
    stopped: Cell<bool>,
    reconnects: Cell<u32>,
}

/// Everything of one run that is looked at.
struct Run {
    arm: Arm,
    judge: Judge,
    person: Rc<Person>,
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
            Trouble::Blind => self.person.blind.set(true),
            Trouble::Stop => self.person.stopped.set(true),
            Trouble::Reconnect => self.person.reconnects.set(self.person.reconnects.get() + 1),
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
            Trouble::Blind => self.person.blind.set(false),
            Trouble::Stop => self.person.stopped.set(false),
            Trouble::Reconnect => {}
        }
    }
}

/// The bridge, driven, with a hand that goes round and a person beside it.
async fn bridge(config: Config, judge: Judge, person: Rc<Person>) {
    let bridge = Bridge::new(&config, judge.clone());
    tokio::task::spawn_local(drive_over(bridge.clone(), Simulated, std::future::pending()));
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let (mut armed, mut reconnects) = (true, 0);
    loop {
        ticks.tick().await;
        let turn = 0.5 * turmoil::elapsed().as_secs_f64();
        if person.stopped.get() {
            bridge.stop();
            judge.stop(true);
            armed = false;
        } else if !armed {
            judge.stop(false);
            bridge.reset();
            armed = bridge.set_armed(true).is_ok();
        }
        if reconnects != person.reconnects.replace(reconnects) {
            bridge.reconnect();
        }
        reconnects = person.reconnects.get();
        if !person.blind.get() {
            // 6 cm round, half a radian a second: slower than an approach, which is to catch up with it.
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
        // The question is the only heartbeat.
        ("link.heartbeat.period", Value::Real(60.0)),
    ]);
    Config::new(&parameters.unwrap()).unwrap()
}

/// What `config` has of the controller's rules.
fn rules() -> Rules {
    let settings =
        [r#"wire.extra_fields:=["seq"]"#, "link.reply_timeout:=0.3", "link.heartbeat.period:=60.0"]
            .map(|text| text.parse().unwrap());
    Rules::default().with(&settings).unwrap()
}

/// One run; returns all that was told in it.
fn run(seed: u64) -> Vec<String> {
    // The jitter of the back-off too.
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
    let all = Run { arm: Arm::new(rules()), judge: Judge::new(&config()), person: Rc::default() };
    sim.host(ARM, {
        let arm = all.arm.clone();
        move || arm.clone().run()
    });
    sim.client(BRIDGE, {
        let (judge, person) = (all.judge.clone(), Rc::clone(&all.person));
        async move {
            bridge(config(), judge, person).await;
            Ok(())
        }
    });
    let fail = |what: &str, rest: &[String]| -> ! {
        let log = all.judge.log();
        let last = log[log.len().saturating_sub(30)..].join("\n");
        panic!("seed {seed}: {what}\n{}\nthe last that was told:\n{last}", rest.join("\n"));
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
                fail("the arm is not followed again", &[]);
            }
        }
    }
}

#[test]
fn whatever_the_network_does_no_command_is_forbidden_and_the_arm_is_followed_again() {
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
fn a_seed_replays() {
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

const ARM: &str = "arm";
const BRIDGE: &str = "bridge";
const RUNS: u64 = 40;
const TROUBLES_END: Duration = Duration::from_secs(15);
/// For the time-outs, the longest wait, settling, and an approach across the circle.
const RECOVERY: Duration = Duration::from_secs(10);
