//! Checks invariant 8: while motion is allowed, the arm follows the targets of one publisher only.
//! Checks invariant 9: while `stop.topic` demands a stop, the bridge is stopped.

use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, ReportedState};
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_bridge::teleop::{GraphNews, LinkView, Motion, PublisherId, ReportAbout, Target, Teleop};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// An event. The numbers are the publisher, a count, or a time in milliseconds.
#[derive(Debug, Clone)]
enum Event {
    /// A publisher sends a number of targets, 20 ms apart.
    Sends(u8, u8),
    /// Two publishers send alternately.
    SendInTurn(u8),
    SetArmed(bool),
    Stop,
    Reset,
    StopMessage(bool),
    Link(bool),
    Graph(bool),
    Pass(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0u8..3, 1u8..80).prop_map(|(publisher, count)| Event::Sends(publisher, count)),
        1 => (1u8..20).prop_map(Event::SendInTurn),
        3 => prop::bool::weighted(0.8).prop_map(Event::SetArmed),
        1 => Just(Event::Stop),
        2 => Just(Event::Reset),
        1 => prop::bool::weighted(0.3).prop_map(Event::StopMessage),
        1 => prop::bool::weighted(0.8).prop_map(Event::Link),
        1 => any::<bool>().prop_map(Event::Graph),
        4 => (1u16..2500).prop_map(Event::Pass),
    ]
}

struct World {
    teleop: Teleop,
    now: Instant,
    /// The publisher whose targets the arm has followed since motion was allowed.
    owner: Option<u8>,
    /// The last message of `stop.topic`.
    stop: Option<(Instant, bool)>,
    changes_of_owner: u32,
    last_owner: Option<u8>,
    commands: u32,
    stops_by_topic: u32,
    /// The arm's position. Its controller reports this position before each event.
    arm: Position,
}

impl World {
    fn new(arming: &str) -> Self {
        let settings = [
            ("teleop.arming", Value::Text(arming.into())),
            ("teleop.settle_time", Value::Real(0.2)),
            ("filter.kind", Value::Text("none".into())),
        ];
        let mut teleop = Teleop::new(Config::new(&Parameters::with(&settings).unwrap()).unwrap().teleop);
        let now = Instant::now();
        teleop.handle_link(now, LinkView::Ready);
        Self {
            teleop,
            now,
            owner: None,
            stop: None,
            changes_of_owner: 0,
            last_owner: None,
            commands: 0,
            stops_by_topic: 0,
            arm: Position::new(0.2, 0.0, 0.2).unwrap(),
        }
    }

    fn report(&mut self) {
        let (position, moving) = (Some(self.arm), Some(false));
        let state = ReportedState { position, moving, ..ReportedState::default() };
        self.teleop.handle_report(self.now, 0, ReportAbout::Observed, Some(&state));
    }

    fn handle(&mut self, event: &Event) {
        self.report();
        match event {
            Event::Sends(publisher, count) => (0..*count).for_each(|_| self.send(*publisher)),
            Event::SendInTurn(count) => (0..*count).for_each(|index| self.send(index % 2)),
            Event::SetArmed(armed) => drop(self.teleop.handle_set_armed(self.now, *armed)),
            Event::Stop => self.teleop.handle_stop(),
            Event::Reset => drop(self.teleop.handle_reset()),
            Event::StopMessage(stop) => {
                self.stop = Some((self.now, *stop));
                self.teleop.handle_stop_message(self.now, *stop);
            }
            Event::Link(up) => {
                let link = if *up { LinkView::Ready } else { LinkView::Down };
                self.teleop.handle_link(self.now, link);
            }
            Event::Graph(several) => {
                let several = several.then(|| "several".into());
                self.teleop.handle_graph(self.now, GraphNews::TargetPublishers(several));
            }
            Event::Pass(ms) => self.pass(u64::from(*ms)),
        }
        self.check();
    }

    /// Sends a target. Each publisher has its own hand position.
    fn send(&mut self, publisher: u8) {
        let target = Target::new(0.2, 0.05 * f64::from(publisher), 0.2, None).unwrap();
        let target = Target { publisher: Some(PublisherId([publisher + 1; 16])), ..target };
        let accepted = self.teleop.handle_target(self.now, target).is_ok();
        if accepted && self.teleop.is_armed() {
            assert!(
                self.owner.is_none_or(|owner| owner == publisher),
                "invariant 8: {publisher} beside {:?}",
                self.owner
            );
            self.owner = Some(publisher);
            if self.last_owner.replace(publisher).is_some_and(|last| last != publisher) {
                self.changes_of_owner += 1;
            }
        }
        self.check();
        self.pass(20);
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let next = [self.teleop.poll_timeout(self.now), self.teleop.poll_command_at(self.now)];
            let next = next.into_iter().flatten().filter(|next| *next > self.now && *next <= end).min();
            self.now = next.unwrap_or(end);
            self.teleop.handle_timeout(self.now);
            self.check();
            if next.is_none() {
                return;
            }
        }
    }

    fn check(&mut self) {
        if !self.teleop.is_armed() {
            self.owner = None;
        }
        // An event without a time takes effect at the next event with a time.
        self.teleop.handle_timeout(self.now);
        let silence = Duration::from_millis(500);
        if self.stop.is_some_and(|(at, stop)| stop || self.now >= at + silence) {
            assert_eq!(self.teleop.motion(), Motion::Stopped, "invariant 9");
            self.stops_by_topic += 1;
        }
        while let Some(planned) = self.teleop.poll_command(self.now) {
            assert!(self.teleop.is_armed());
            let Command { position, .. } = planned.command;
            assert!(position.coordinates().iter().all(|coordinate| coordinate.is_finite()));
            self.teleop.handle_sent(self.now, &planned);
            self.teleop.handle_acknowledged(self.now, &planned.command);
            self.arm = position;
            self.commands += 1;
        }
    }
}

#[test]
fn one_publisher_is_followed_and_stop_topic_obeyed() {
    let sequence =
        (prop::sample::select(vec!["automatic", "operator"]), prop::collection::vec(event(), 1..80));
    let config = crate::runner_config(400);
    let (changes, commands, stops) =
        (std::cell::Cell::new(0), std::cell::Cell::new(0), std::cell::Cell::new(0));
    let result = TestRunner::new(config).run(&sequence, |(arming, events)| {
        let mut world = World::new(arming);
        events.iter().for_each(|event| world.handle(event));
        changes.set(changes.get() + world.changes_of_owner);
        commands.set(commands.get() + world.commands);
        stops.set(stops.get() + world.stops_by_topic);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let seen = (changes.get(), commands.get(), stops.get());
    assert!(seen.0 > 20 && seen.1 > 5000 && seen.2 > 100, "too few events for a meaningful test: {seen:?}");
}
