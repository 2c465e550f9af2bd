//! The state machine of the link with controllers that connect to the bridge, and with datagrams,
//! in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::Position;
use aether_bridge::link::backoff::Backoff;
use aether_bridge::link::{Action, Heartbeat, Link, LinkConfig, LinkError, LinkState, Outcome, PeerId, Role};
use aether_bridge::wire::{Order, Reply, ReplyStatus};
use proptest::prelude::*;

struct Scene {
    link: Link,
    now: Instant,
}

impl Scene {
    fn new(role: Role, max_in_flight: usize, heartbeat: Option<Heartbeat>) -> Self {
        let config = LinkConfig {
            role,
            expect_reply: true,
            max_in_flight,
            heartbeat,
            reply_timeout: Duration::from_millis(500),
            link_timeout: Duration::from_secs(3),
            backoff: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(4) },
        };
        let now = Instant::now();
        let mut scene = Self { link: Link::new(config, now, 7), now };
        assert_eq!(scene.link.poll_action(), Some(Action::Connect));
        scene.link.handle_connected(now);
        scene
    }

    fn server(min_clients: usize) -> Self {
        Self::new(Role::TcpServer { min_clients }, 1, None)
    }

    fn join(&mut self, name: &str) -> PeerId {
        self.link.handle_joined(self.now, name.into()).unwrap()
    }

    fn send(&mut self, order: Order) -> u64 {
        let seq = self.link.next_seq();
        self.link.handle_sent(self.now, order);
        seq
    }

    fn reply(&mut self, peer: PeerId, status: ReplyStatus) -> Outcome {
        let reply = Reply { status, message: String::new(), seq: None, state: None };
        self.link.handle_reply(self.now, peer, &reply)
    }

    fn echo(&mut self, seq: Option<u64>) -> Outcome {
        let reply = Reply { status: ReplyStatus::Ok, message: String::new(), seq, state: None };
        self.link.handle_reply(self.now, PeerId::ONLY, &reply)
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(deadline) = self.link.poll_timeout().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.link.handle_timeout(self.now);
            if self.link.poll_heartbeat(self.now) {
                self.link.handle_sent(self.now, Order::Heartbeat);
            }
        }
        self.now = end;
        self.link.handle_timeout(end);
    }

    fn names(&self) -> Vec<&str> {
        self.link.peers().map(|peer| peer.name.as_str()).collect()
    }

    fn error(&self) -> String {
        self.link.last_error().unwrap().to_string()
    }
}

fn command(x: f64) -> Order {
    Order::Command(moved(x))
}

fn moved(x: f64) -> Command {
    Command { position: Position::new(x, 0.0, 0.2).unwrap(), gripper: Gripper::Open, orientation: None }
}

#[test]
fn link_listens_until_min_clients_are_connected() {
    let mut scene = Scene::server(2);
    let listening = |scene: &Scene| (scene.link.state(), scene.link.can_send_command());
    assert_eq!(listening(&scene), (LinkState::Listening, false));
    assert!(!scene.link.can_send_stop(), "no controller is connected");
    scene.pass(1000);
    scene.join("left");
    assert_eq!(listening(&scene), (LinkState::Listening, false));
    assert!(scene.link.can_send_stop(), "a stop can be sent to the connected controller");
    assert_eq!(scene.link.clients(), Some((1, 2)));
    scene.pass(1000);
    let right = scene.join("right");
    assert_eq!(listening(&scene), (LinkState::Connected, true));
    assert_eq!((scene.link.since(), scene.names()), (scene.now, vec!["left", "right"]));
    scene.pass(1000);
    scene.link.handle_ended(scene.now, right, LinkError::Closed);
    assert_eq!(listening(&scene), (LinkState::Listening, false));
    assert_eq!((scene.link.since(), scene.names()), (scene.now, vec!["left"]));
    assert_eq!(scene.error(), "right: the controller closed the connection");
    assert_eq!(scene.link.poll_action(), Some(Action::Drop(right)));
    assert_eq!(scene.link.poll_action(), None, "the other stays");
}

#[test]
fn one_rejection_rejects_a_line_for_all() {
    let mut scene = Scene::server(2);
    let [left, right] = ["left", "right"].map(|name| scene.join(name));
    for (status, expected) in [
        (ReplyStatus::Ok, Outcome::Acknowledged(moved(0.1))),
        (ReplyStatus::Error, Outcome::Rejected(moved(0.1))),
    ] {
        scene.send(command(0.1));
        assert!(!scene.link.can_send_command());
        assert_eq!(scene.reply(right, status), Outcome::Partial(command(0.1)));
        assert!(!scene.link.can_send_command(), "the other has not replied");
        assert_eq!(scene.reply(left, ReplyStatus::Ok), expected);
        assert!(scene.link.can_send_command());
    }
    let counters = scene.link.counters();
    assert_eq!((counters.sent, counters.acknowledged, counters.rejected), (2, 1, 1));
    scene.send(Order::Stop);
    assert_eq!(scene.reply(left, ReplyStatus::Ok), Outcome::Partial(Order::Stop));
    assert_eq!(scene.reply(right, ReplyStatus::Ok), Outcome::StopAcknowledged);
}

#[test]
fn each_controller_has_its_own_reply_order() {
    let mut scene = Scene::new(Role::TcpServer { min_clients: 2 }, 2, None);
    let [left, right] = ["left", "right"].map(|name| scene.join(name));
    scene.send(command(0.1));
    scene.send(command(0.2));
    assert_eq!(scene.reply(left, ReplyStatus::Ok), Outcome::Partial(command(0.1)));
    assert_eq!(scene.reply(left, ReplyStatus::Error), Outcome::Partial(command(0.2)));
    assert_eq!(scene.reply(right, ReplyStatus::Ok), Outcome::Acknowledged(moved(0.1)));
    assert_eq!(scene.reply(right, ReplyStatus::Ok), Outcome::Rejected(moved(0.2)));
}

#[test]
fn late_controller_is_dropped_others_continue() {
    let mut scene = Scene::server(1);
    let [quick, slow] = ["quick", "slow"].map(|name| scene.join(name));
    scene.send(command(0.1));
    assert_eq!(scene.reply(quick, ReplyStatus::Ok), Outcome::Partial(command(0.1)));
    assert_eq!(scene.link.poll_timeout(), Some(scene.now + Duration::from_millis(500)));
    scene.pass(499);
    assert_eq!(scene.names(), ["quick", "slow"]);
    scene.pass(1);
    assert_eq!((scene.names(), scene.link.state()), (vec!["quick"], LinkState::Connected));
    assert!(
        scene.error().starts_with("slow: dropped, because it has not replied for link.reply_timeout 0.5 s")
    );
    assert_eq!(scene.link.poll_action(), Some(Action::Drop(slow)));
    // The replies of the others to this line count.
    assert_eq!(scene.link.poll_outcome(), Some(Outcome::Acknowledged(moved(0.1))));
    assert_eq!(scene.link.poll_outcome(), None);
    assert!(scene.link.can_send_command());
    let late = Reply { status: ReplyStatus::Ok, message: String::new(), seq: None, state: None };
    assert_eq!(scene.link.handle_reply(scene.now, slow, &late), Outcome::Unsolicited);
    assert_eq!(scene.names(), ["quick"]);
}

#[test]
fn line_without_remaining_controllers_is_not_accepted() {
    let mut scene = Scene::server(1);
    scene.join("slow");
    scene.send(command(0.1));
    scene.pass(500);
    assert_eq!((scene.link.state(), scene.link.poll_outcome()), (LinkState::Listening, None));
    assert_eq!(scene.link.counters().acknowledged, 0);
    let next = scene.join("next");
    scene.send(command(0.2));
    assert_eq!(scene.reply(next, ReplyStatus::Ok), Outcome::Acknowledged(moved(0.2)));
}

#[test]
fn unsolicited_reply_drops_only_its_sender() {
    let mut scene = Scene::server(1);
    let [left, right] = ["left", "right"].map(|name| scene.join(name));
    let reply = Reply { status: ReplyStatus::Ok, message: "hello".into(), seq: None, state: None };
    assert_eq!(scene.link.handle_reply(scene.now, left, &reply), Outcome::Unsolicited);
    assert_eq!(scene.names(), ["right"]);
    assert_eq!(scene.error(), "left: the controller sent a reply that no command was waiting for: 'hello'");
    scene.send(command(0.1));
    assert_eq!(scene.reply(right, ReplyStatus::Ok), Outcome::Acknowledged(moved(0.1)));
}

#[test]
fn new_controller_owes_no_reply_to_earlier_lines() {
    let mut scene = Scene::server(1);
    let first = scene.join("first");
    scene.send(command(0.1));
    let second = scene.join("second");
    assert_eq!(scene.reply(first, ReplyStatus::Ok), Outcome::Acknowledged(moved(0.1)));
    scene.send(command(0.2));
    scene.reply(first, ReplyStatus::Ok);
    assert_eq!(scene.reply(second, ReplyStatus::Ok), Outcome::Acknowledged(moved(0.2)));
}

#[test]
fn new_controller_does_not_accept_earlier_lines() {
    let mut scene = Scene::server(1);
    let first = scene.join("first");
    scene.send(command(0.1));
    scene.join("second");
    scene.link.handle_ended(scene.now, first, LinkError::Closed);
    assert_eq!(scene.link.poll_outcome(), Some(Outcome::Lost(command(0.1))));
    assert_eq!((scene.link.counters().acknowledged, scene.link.can_send_command()), (0, true));
}

#[test]
fn at_most_thirty_two_controllers_can_join() {
    let mut scene = Scene::server(1);
    let all: Vec<_> = (0..32).map(|number| scene.join(&number.to_string())).collect();
    let full = scene.link.handle_joined(scene.now, "one more".into()).unwrap_err();
    assert_eq!(full.to_string(), "32 controllers are connected, which is the maximum");
    scene.link.handle_ended(scene.now, all[7], LinkError::Closed);
    let next = scene.join("next");
    assert!(!all.contains(&next), "a name is never used again");
    scene.send(command(0.1));
    for peer in all.iter().filter(|peer| **peer != all[7]) {
        assert_eq!(scene.reply(*peer, ReplyStatus::Ok), Outcome::Partial(command(0.1)));
    }
    assert_eq!(scene.reply(next, ReplyStatus::Ok), Outcome::Acknowledged(moved(0.1)));
}

#[test]
fn heartbeats_are_sent_to_connected_controllers() {
    let heartbeat = Heartbeat { period: Duration::from_millis(100), expects_reply: true };
    let mut scene = Scene::new(Role::TcpServer { min_clients: 2 }, 1, Some(heartbeat));
    scene.pass(1000);
    assert_eq!(scene.link.next_seq(), 1, "sent without a controller");
    let peer = scene.join("left");
    scene.pass(99);
    assert_eq!(scene.link.next_seq(), 1);
    scene.pass(1);
    assert_eq!(scene.link.next_seq(), 2);
    assert_eq!(scene.reply(peer, ReplyStatus::Ok), Outcome::HeartbeatAcknowledged);
}

#[test]
fn port_in_use_is_tried_again() {
    let config = LinkConfig {
        role: Role::TcpServer { min_clients: 1 },
        expect_reply: true,
        max_in_flight: 1,
        heartbeat: None,
        reply_timeout: Duration::from_millis(500),
        link_timeout: Duration::from_secs(3),
        backoff: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(4) },
    };
    let now = Instant::now();
    let mut link = Link::new(config, now, 7);
    let source = std::io::ErrorKind::AddrInUse.into();
    link.handle_failed(now, LinkError::Listen { address: "127.0.0.1:5000".into(), source });
    assert_eq!((link.state(), link.poll_action()), (LinkState::Backoff, Some(Action::Connect)));
    link.handle_timeout(now + Duration::from_millis(100));
    assert_eq!((link.state(), link.poll_action()), (LinkState::Connecting, Some(Action::Connect)));
}

#[test]
fn echoed_seq_must_match_the_oldest_line() {
    let mut scene = Scene::new(Role::TcpClient, 2, None);
    let first = scene.send(command(0.1));
    let second = scene.send(command(0.2));
    assert_eq!((first, second), (1, 2));
    assert_eq!(scene.echo(Some(first)), Outcome::Acknowledged(moved(0.1)));
    assert_eq!(scene.echo(None), Outcome::Acknowledged(moved(0.2)), "an echo is optional");
    let [third, fourth] = [0.3, 0.4].map(|x| scene.send(command(x)));
    let reply = Reply { status: ReplyStatus::Ok, message: String::new(), seq: Some(fourth), state: None };
    assert_eq!(scene.link.handle_reply(scene.now, PeerId::ONLY, &reply), Outcome::Unsolicited);
    assert_eq!(scene.link.state(), LinkState::Backoff);
    let expected = format!(
        "the controller replied to line {fourth}, but line {third} was next: replies must come in order"
    );
    assert_eq!(scene.error(), expected);
}

fn datagrams(max_in_flight: usize, heartbeat: Option<Heartbeat>) -> Scene {
    Scene::new(Role::Udp, max_in_flight, heartbeat)
}

#[test]
fn datagram_reply_marks_earlier_lines_as_lost() {
    let mut scene = datagrams(4, None);
    let lines = [command(0.1), Order::Stop, command(0.2), command(0.3)].map(|order| scene.send(order));
    assert_eq!(scene.echo(Some(lines[2])), Outcome::Acknowledged(moved(0.2)));
    assert_eq!(scene.link.poll_outcome(), Some(Outcome::Lost(command(0.1))));
    assert_eq!(scene.link.poll_outcome(), Some(Outcome::Lost(Order::Stop)));
    assert_eq!(scene.link.poll_outcome(), None);
    assert_eq!(scene.link.counters().lost, 2);
    // Late, duplicate, from an earlier run, or without a number: these datagrams acknowledge
    // nothing and end nothing.
    for seq in [Some(lines[0]), Some(lines[2]), Some(99), None] {
        assert_eq!(scene.echo(seq), Outcome::Late);
    }
    assert_eq!(scene.echo(Some(lines[3])), Outcome::Acknowledged(moved(0.3)));
    assert_eq!((scene.link.state(), scene.link.counters().lost), (LinkState::Connected, 2));
}

#[test]
fn stop_without_reply_in_time_is_sent_again() {
    let mut scene = datagrams(4, None);
    scene.send(command(0.1));
    let stop = scene.send(Order::Stop);
    scene.pass(499);
    assert_eq!(scene.link.poll_outcome(), None);
    scene.pass(1);
    assert_eq!(scene.link.poll_outcome(), Some(Outcome::Lost(Order::Stop)));
    assert!(scene.link.can_send_stop());
    let again = scene.send(Order::Stop);
    scene.pass(500);
    assert_eq!(scene.link.poll_outcome(), Some(Outcome::Lost(Order::Stop)));
    // The reply to the first stop was only late.
    assert_eq!(scene.echo(Some(stop)), Outcome::LateStop);
    assert_eq!(scene.link.poll_outcome(), Some(Outcome::Lost(command(0.1))));
    let third = scene.send(Order::Stop);
    assert_eq!(scene.echo(Some(third)), Outcome::StopAcknowledged);
    assert_eq!(scene.link.poll_outcome(), None, "the second, {again}, is lost twice");
    // Over a connection the stop is not lost, however long its reply takes.
    let mut scene = Scene::new(Role::TcpClient, 4, None);
    scene.send(Order::Stop);
    scene.pass(600);
    assert_eq!(scene.link.poll_outcome(), None);
}

#[test]
fn heartbeat_after_lost_datagram_restores_the_link() {
    let heartbeat = Heartbeat { period: Duration::from_millis(100), expects_reply: true };
    let mut scene = datagrams(1, Some(heartbeat));
    scene.send(command(0.1));
    assert!(!scene.link.can_send_command());
    scene.pass(100);
    let heartbeat = scene.link.next_seq() - 1;
    assert_eq!(heartbeat, 2);
    assert_eq!(scene.echo(Some(heartbeat)), Outcome::HeartbeatAcknowledged);
    assert!(scene.link.can_send_command());
    // From UNRESPONSIVE too.
    scene.pass(700);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    assert_eq!(scene.echo(Some(scene.link.next_seq() - 1)), Outcome::HeartbeatAcknowledged);
    assert_eq!(scene.link.state(), LinkState::Connected);
    scene.pass(3200);
    assert_ne!(scene.link.state(), LinkState::Unresponsive);
    assert!(scene.error().starts_with("no reply for link.timeout 3.0 s"), "{}", scene.error());
}

#[derive(Debug, Clone)]
enum Event {
    Join,
    Leave(usize),
    /// A controller replies to its oldest line.
    Reply(usize, bool),
    Send,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Join),
        1 => (0usize..8).prop_map(Event::Leave),
        8 => (0usize..8, prop::bool::weighted(0.8)).prop_map(|(which, ok)| Event::Reply(which, ok)),
        6 => Just(Event::Send),
        4 => (0u64..300).prop_map(Event::Pass),
    ]
}

/// The replies to a line, counted by the test.
#[derive(Debug, Default)]
struct Known {
    accepted: u32,
    refused: u32,
    settled: bool,
}

/// The controllers: their missing replies, and the replies to each line.
struct Others {
    scene: Scene,
    pending: BTreeMap<PeerId, VecDeque<usize>>,
    lines: Vec<Known>,
}

impl Others {
    fn peer(&self, which: usize) -> Option<PeerId> {
        let count = self.pending.len();
        (count > 0).then(|| *self.pending.keys().nth(which % count).unwrap())
    }

    fn handle(&mut self, event: &Event) {
        match event {
            Event::Join => {
                let peer = self.scene.join("one");
                self.pending.insert(peer, VecDeque::new());
            }
            Event::Leave(which) => {
                let Some(peer) = self.peer(*which) else { return };
                self.pending.remove(&peer);
                self.scene.link.handle_ended(self.scene.now, peer, LinkError::Closed);
            }
            Event::Reply(which, ok) => {
                let Some(peer) = self.peer(*which) else { return };
                let Some(line) = self.pending.get_mut(&peer).unwrap().pop_front() else { return };
                let count = if *ok { &mut self.lines[line].accepted } else { &mut self.lines[line].refused };
                *count += 1;
                let outcome = self.scene.reply(peer, if *ok { ReplyStatus::Ok } else { ReplyStatus::Error });
                self.settle(outcome);
            }
            Event::Send => {
                if self.scene.link.can_send_command() {
                    let line = self.lines.len();
                    self.lines.push(Known::default());
                    self.scene.send(command(line as f64 / 1e3));
                    self.pending.values_mut().for_each(|pending| pending.push_back(line));
                }
            }
            Event::Pass(ms) => self.scene.pass(*ms),
        }
        // Controllers that are late have been dropped, and no other controllers.
        let left: Vec<_> = self.scene.link.peers().map(|peer| peer.id).collect();
        self.pending.retain(|peer, pending| left.contains(peer) || pending.is_empty());
        assert_eq!(
            self.pending.keys().copied().collect::<Vec<_>>(),
            left,
            "a controller without missing replies was dropped"
        );
        while let Some(outcome) = self.scene.link.poll_outcome() {
            self.settle(outcome);
        }
        let most = self.pending.values().map(VecDeque::len).max().unwrap_or(0);
        assert!(most <= WINDOW, "{most} lines unanswered");
        let expected = if left.len() < MIN_CLIENTS { LinkState::Listening } else { LinkState::Connected };
        assert_eq!(self.scene.link.state(), expected);
    }

    fn settle(&mut self, outcome: Outcome) {
        let (command, accepted) = match outcome {
            Outcome::Acknowledged(command) => (command, Some(true)),
            Outcome::Rejected(command) => (command, Some(false)),
            Outcome::Lost(Order::Command(command)) => (command, None),
            _ => return,
        };
        let line = (command.position.coordinates()[0] * 1e3).round() as usize;
        let known = &mut self.lines[line];
        assert!(!std::mem::replace(&mut known.settled, true), "line {line} was settled twice");
        let pending = self.pending.values().flatten().any(|pending| *pending == line);
        assert!(!pending, "line {line} was settled before all replies");
        let expected = (known.accepted + known.refused > 0).then_some(known.refused == 0);
        assert_eq!(accepted, expected, "line {line}: {known:?}");
    }
}

const WINDOW: usize = 2;
const MIN_CLIENTS: usize = 2;

proptest! {
    #[test]
    fn line_is_accepted_only_by_all_controllers(events in prop::collection::vec(event(), 0..200)) {
        let scene = Scene::new(Role::TcpServer { min_clients: MIN_CLIENTS }, WINDOW, None);
        let mut others = Others { scene, pending: BTreeMap::new(), lines: Vec::new() };
        for event in &events {
            if matches!(event, Event::Join) && others.pending.len() >= 6 {
                continue;
            }
            others.handle(event);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A datagram may be duplicated, and may arrive long after others.
    #[test]
    fn duplicate_datagram_acknowledges_nothing(
        window in 1usize..5, again in prop::collection::vec((any::<bool>(), 1u64..40), 1..60),
    ) {
        let mut scene = Scene::new(Role::Udp, window, None);
        let mut answered = 0;
        for (sends, seq) in again {
            let sent = scene.link.next_seq() - 1;
            if sends && scene.link.can_send_command() {
                scene.send(command((sent + 1) as f64 * 1e-3));
            } else if seq <= answered {
                let before = scene.link.counters();
                prop_assert_eq!(scene.echo(Some(seq)), Outcome::Late);
                prop_assert_eq!(scene.link.counters(), before);
            } else if seq <= sent {
                answered = seq;
                prop_assert_eq!(scene.echo(Some(seq)), Outcome::Acknowledged(moved(seq as f64 * 1e-3)));
            }
            prop_assert_eq!(scene.link.state(), LinkState::Connected);
        }
    }
}

#[test]
fn second_reply_of_one_peer_drops_it() {
    for seq in [None, Some(1)] {
        let mut scene = Scene::server(1);
        let (left, right) = (scene.join("left"), scene.join("right"));
        scene.send(command(0.1));
        let reply = Reply { status: ReplyStatus::Ok, message: String::new(), seq, state: None };
        let outcome = scene.link.handle_reply(scene.now, left, &reply);
        assert!(matches!(outcome, Outcome::Partial(_)), "{outcome:?}");
        assert_eq!(scene.link.handle_reply(scene.now, left, &reply), Outcome::Unsolicited);
        assert_eq!(scene.names(), ["right"], "seq {seq:?}");
        assert_eq!(scene.link.counters().acknowledged, 0, "the other has not replied");
        let acknowledged = scene.link.handle_reply(scene.now, right, &reply);
        assert_eq!(acknowledged, Outcome::Acknowledged(moved(0.1)));
    }
}
