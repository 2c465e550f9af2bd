//! The state machine of the link, in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::Position;
use aether_bridge::link::backoff::Backoff;
use aether_bridge::link::{
    Action, Counters, Heartbeat, Link, LinkConfig, LinkError, LinkState, Outcome, PeerId, Role,
};
use aether_bridge::wire::{Order, Reply, ReplyStatus};
use proptest::prelude::*;

struct Scene {
    link: Link,
    now: Instant,
}

impl Scene {
    fn new(expect_reply: bool, max_in_flight: usize) -> Self {
        let now = Instant::now();
        Self { link: Link::new(config(expect_reply, max_in_flight), now, 7), now }
    }

    fn connected(expect_reply: bool, max_in_flight: usize) -> Self {
        let mut scene = Self::new(expect_reply, max_in_flight);
        assert_eq!(scene.link.poll_action(), Some(Action::Connect));
        scene.link.handle_connected(scene.now);
        scene
    }

    fn send(&mut self, x: f64) {
        self.link.handle_sent(self.now, Order::Command(command(x)));
    }

    fn stop(&mut self) {
        assert!(self.link.can_send_stop());
        self.link.handle_sent(self.now, Order::Stop);
    }

    fn reply(&mut self, status: ReplyStatus) -> Outcome {
        self.link.handle_reply(self.now, PeerId::ONLY, &reply(status))
    }

    /// Passes time as the driver task does: to each deadline in turn.
    fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(deadline) = self.link.poll_timeout().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let before = (self.link.state(), self.link.poll_timeout());
            self.link.handle_timeout(self.now);
            assert_ne!(
                (self.link.state(), self.link.poll_timeout()),
                before,
                "a deadline that leads nowhere"
            );
        }
        self.now = end;
        self.link.handle_timeout(end);
    }
}

fn config(expect_reply: bool, max_in_flight: usize) -> LinkConfig {
    LinkConfig {
        role: Role::TcpClient,
        expect_reply,
        max_in_flight,
        heartbeat: None,
        reply_timeout: Duration::from_millis(500),
        link_timeout: Duration::from_secs(3),
        backoff: Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(4) },
    }
}

fn command(x: f64) -> Command {
    Command { position: Position::new(x, 0.0, 0.2).unwrap(), gripper: Gripper::Open, orientation: None }
}

fn reply(status: ReplyStatus) -> Reply {
    Reply { status, message: "Command received".into(), seq: None, state: None }
}

fn refused() -> LinkError {
    LinkError::Connect { peer: "127.0.0.1:5000".into(), source: io::ErrorKind::ConnectionRefused.into() }
}

#[test]
fn connects_immediately_and_again_after_each_backoff() {
    let mut scene = Scene::new(true, 1);
    for expected in [100, 200, 400] {
        assert_eq!(scene.link.poll_action(), Some(Action::Connect));
        assert_eq!(scene.link.state(), LinkState::Connecting);
        scene.link.handle_failed(scene.now, refused());
        assert_eq!(scene.link.state(), LinkState::Backoff);
        let wait = scene.link.poll_timeout().unwrap() - scene.now;
        let full = Duration::from_millis(expected);
        assert!(wait <= full && wait >= full.mul_f64(0.75), "{wait:?} of {full:?}");
        scene.pass(expected);
    }
    assert_eq!(scene.link.attempts(), 4);
    assert_eq!(
        scene.link.last_error().unwrap().to_string(),
        "cannot connect to 127.0.0.1:5000: connection refused; nothing listens there: start the controller, or set link.host and link.port \
         to its address"
    );
}

#[test]
fn only_a_long_connection_resets_the_backoff() {
    let wait_after = |lived: bool| {
        let mut scene = Scene::new(true, 1);
        for _ in 0..6 {
            scene.link.handle_failed(scene.now, refused());
            scene.pass(5000);
        }
        scene.link.handle_connected(scene.now);
        if lived {
            scene.send(0.1);
            scene.reply(ReplyStatus::Ok);
        }
        scene.link.handle_failed(scene.now, LinkError::Closed);
        scene.link.poll_timeout().unwrap() - scene.now
    };
    assert!(wait_after(true) <= Duration::from_millis(100));
    assert!(wait_after(false) >= Duration::from_secs(3));
}

#[test]
fn window_limits_lines_in_flight() {
    let mut scene = Scene::connected(true, 2);
    scene.send(0.1);
    assert!(scene.link.can_send_command());
    scene.send(0.2);
    assert!(!scene.link.can_send_command());
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Acknowledged(command(0.1)));
    assert!(scene.link.can_send_command());
}

#[test]
fn replies_are_matched_in_order() {
    let mut scene = Scene::connected(true, 3);
    scene.send(0.1);
    scene.send(0.2);
    scene.send(0.3);
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Acknowledged(command(0.1)));
    assert_eq!(scene.reply(ReplyStatus::Error), Outcome::Rejected(command(0.2)));
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Acknowledged(command(0.3)));
    let counters = scene.link.counters();
    assert_eq!((counters.sent, counters.acknowledged, counters.rejected), (3, 2, 1));
}

#[test]
fn silent_controller_is_unresponsive_then_dropped() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    scene.pass(499);
    assert_eq!(scene.link.state(), LinkState::Connected);
    scene.pass(1);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    assert!(!scene.link.can_send_command());
    scene.pass(2499);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    assert_eq!(scene.link.poll_action(), None);
    let given_up = scene.now + Duration::from_millis(1);
    scene.link.handle_timeout(given_up);
    assert_eq!(scene.link.state(), LinkState::Backoff);
    assert_eq!(scene.link.poll_action(), Some(Action::Close));
    assert!(scene.link.last_error().unwrap().to_string().contains("no reply for link.timeout 3.0 s"));
}

#[test]
fn late_reply_makes_controller_connected_again() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    scene.pass(700);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Acknowledged(command(0.1)));
    assert_eq!(scene.link.state(), LinkState::Connected);
    assert_eq!(scene.link.round_trips().last, Duration::from_millis(700));
    scene.pass(60_000);
    assert_eq!(scene.link.state(), LinkState::Connected);
}

#[test]
fn oldest_line_in_flight_sets_the_timeout() {
    let mut scene = Scene::connected(true, 2);
    scene.send(0.1);
    scene.pass(300);
    scene.send(0.2);
    scene.pass(100);
    scene.reply(ReplyStatus::Ok);
    scene.pass(399);
    assert_eq!(scene.link.state(), LinkState::Connected);
    scene.pass(1);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
}

#[test]
fn unsolicited_reply_ends_the_connection() {
    let mut scene = Scene::connected(true, 1);
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Unsolicited);
    assert_eq!(scene.link.state(), LinkState::Backoff);
    assert_eq!(scene.link.poll_action(), Some(Action::Close));
    assert!(scene.link.last_error().unwrap().to_string().contains("'Command received'"));
}

#[test]
fn next_connection_awaits_no_earlier_reply() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    scene.link.handle_failed(scene.now, LinkError::Closed);
    assert_eq!(scene.link.poll_action(), Some(Action::Close));
    scene.pass(100);
    assert_eq!(scene.link.poll_action(), Some(Action::Connect));
    scene.link.handle_connected(scene.now);
    assert!(scene.link.can_send_command());
    scene.pass(60_000);
    assert_eq!(scene.link.state(), LinkState::Connected);
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Unsolicited);
}

#[test]
fn without_expected_replies_sent_commands_count_as_acknowledged() {
    let mut scene = Scene::connected(false, 1);
    scene.send(0.1);
    scene.send(0.2);
    assert!(scene.link.can_send_command());
    assert_eq!(scene.link.counters().acknowledged, 2);
    assert_eq!(scene.reply(ReplyStatus::Error), Outcome::Ignored);
    scene.pass(60_000);
    assert_eq!(scene.link.state(), LinkState::Connected);
}

#[test]
fn stop_ignores_the_window_and_fills_it() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    assert!(!scene.link.can_send_command());
    scene.stop();
    scene.stop();
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Acknowledged(command(0.1)));
    assert!(!scene.link.can_send_command(), "a command passes a stop that is unanswered");
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::StopAcknowledged);
    assert!(!scene.link.can_send_command());
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::StopAcknowledged);
    assert!(scene.link.can_send_command());
}

#[test]
fn stops_keep_reply_order_and_are_not_counted() {
    let mut scene = Scene::connected(true, 3);
    scene.send(0.1);
    scene.stop();
    scene.send(0.2);
    scene.stop();
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Acknowledged(command(0.1)));
    assert_eq!(scene.reply(ReplyStatus::Error), Outcome::StopRejected);
    assert_eq!(scene.reply(ReplyStatus::Error), Outcome::Rejected(command(0.2)));
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::StopAcknowledged);
    let counters = scene.link.counters();
    assert_eq!((counters.sent, counters.acknowledged, counters.rejected), (2, 1, 1));
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Unsolicited);
}

#[test]
fn stop_without_reply_ends_the_connection() {
    let mut scene = Scene::connected(true, 1);
    scene.stop();
    scene.pass(499);
    assert_eq!(scene.link.state(), LinkState::Connected);
    scene.pass(1);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    scene.pass(2500);
    assert_eq!(scene.link.state(), LinkState::Backoff);
    assert!(scene.link.last_error().unwrap().to_string().contains("no reply for link.timeout"));
}

#[test]
fn stop_to_late_controller_does_not_extend_timeout() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    scene.pass(2000);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    scene.stop();
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    scene.pass(999);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    scene.pass(1);
    assert_eq!(scene.link.state(), LinkState::Backoff);
}

#[test]
fn stop_waits_while_the_write_is_blocked() {
    let mut scene = Scene::new(true, 1);
    assert!(!scene.link.can_send_stop(), "there is no connection");
    scene.link.handle_connected(scene.now);
    assert!(scene.link.can_send_stop());
    scene.link.handle_blocked(scene.now);
    assert!(!scene.link.can_send_stop());
    scene.link.handle_writable(scene.now);
    assert!(scene.link.can_send_stop());
    scene.link.handle_failed(scene.now, LinkError::Closed);
    assert!(!scene.link.can_send_stop());
    scene.link.handle_sent(scene.now, Order::Stop);
    scene.pass(100);
    scene.link.handle_connected(scene.now);
    assert!(scene.link.can_send_command(), "a stop of a dead connection is awaited on the next");
}

#[test]
fn without_expected_replies_no_line_waits_for_stop() {
    let mut scene = Scene::connected(false, 1);
    scene.stop();
    assert!(scene.link.can_send_command());
    assert_eq!(scene.reply(ReplyStatus::Error), Outcome::Ignored);
    assert_eq!(scene.link.counters(), Counters::default());
    scene.pass(60_000);
    assert_eq!(scene.link.state(), LinkState::Connected);
}

/// Returns a connected link with a heartbeat after 100 ms without a line.
fn with_heartbeat(expect_reply: bool, expects_reply: bool) -> Scene {
    let now = Instant::now();
    let heartbeat = Some(Heartbeat { period: Duration::from_millis(100), expects_reply });
    let config = LinkConfig { heartbeat, ..config(expect_reply, 1) };
    let mut scene = Scene { link: Link::new(config, now, 7), now };
    assert!(!scene.link.poll_heartbeat(now + Duration::from_secs(9)), "there is no connection");
    scene.link.handle_connected(now);
    scene
}

#[test]
fn heartbeat_is_due_after_its_period_without_line() {
    let mut scene = with_heartbeat(true, true);
    let due_in = |scene: &Scene| (scene.link.poll_timeout().unwrap() - scene.now).as_millis();
    assert_eq!(due_in(&scene), 100);
    scene.now += Duration::from_millis(99);
    assert!(!scene.link.poll_heartbeat(scene.now));
    scene.send(0.1);
    scene.reply(ReplyStatus::Ok);
    assert_eq!(due_in(&scene), 100, "a command replaces a heartbeat");
    scene.now += Duration::from_millis(100);
    assert!(scene.link.poll_heartbeat(scene.now));
    scene.link.handle_sent(scene.now, Order::Heartbeat);
    assert!(!scene.link.poll_heartbeat(scene.now));
    assert!(!scene.link.can_send_command(), "the heartbeat counts as a line in flight");
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::HeartbeatAcknowledged);
    assert_eq!(due_in(&scene), 100);
    assert_eq!(
        (scene.link.counters().sent, scene.link.counters().acknowledged),
        (1, 1),
        "a heartbeat does not count as a command"
    );
    // A heartbeat waits for missing replies. It is not sent again to a peer that does not read.
    scene.send(0.2);
    scene.now += Duration::from_millis(200);
    assert!(!scene.link.poll_heartbeat(scene.now));
    scene.reply(ReplyStatus::Ok);
    assert!(scene.link.poll_heartbeat(scene.now));
    scene.link.handle_blocked(scene.now);
    assert!(!scene.link.poll_heartbeat(scene.now));
    assert_eq!(due_in(&scene), 500);
}

#[test]
fn heartbeat_without_reply_ends_the_connection() {
    let mut scene = with_heartbeat(true, true);
    scene.link.handle_sent(scene.now, Order::Heartbeat);
    scene.pass(500);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    assert_eq!(scene.reply(ReplyStatus::Error), Outcome::HeartbeatRejected, "the controller is alive");
    assert_eq!(scene.link.state(), LinkState::Connected);
    scene.link.handle_sent(scene.now, Order::Heartbeat);
    scene.now += Duration::from_secs(3);
    scene.link.handle_timeout(scene.now);
    assert_eq!(scene.link.state(), LinkState::Backoff);
    assert!(!scene.link.poll_heartbeat(scene.now));
}

#[test]
fn heartbeat_without_expected_reply_is_not_awaited() {
    for (expect_reply, expects_reply) in [(true, false), (false, true), (false, false)] {
        let mut scene = with_heartbeat(expect_reply, expects_reply);
        scene.link.handle_sent(scene.now, Order::Heartbeat);
        assert!(scene.link.can_send_command());
        scene.now += Duration::from_millis(100);
        assert!(scene.link.poll_heartbeat(scene.now));
        scene.now += Duration::from_secs(60);
        scene.link.handle_timeout(scene.now);
        assert_eq!(scene.link.state(), LinkState::Connected);
    }
}

#[test]
fn reply_after_connection_end_is_unsolicited() {
    for expect_reply in [true, false] {
        let mut scene = Scene::connected(expect_reply, 1);
        scene.send(0.1);
        scene.link.handle_failed(scene.now, LinkError::Closed);
        assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Unsolicited);
        assert_eq!(scene.link.last_error().unwrap().to_string(), LinkError::Closed.to_string());
    }
}

#[test]
fn peer_that_does_not_read_is_finally_dropped() {
    let mut scene = Scene::connected(false, 1);
    scene.link.handle_blocked(scene.now);
    assert!(scene.link.is_write_blocked());
    scene.pass(500);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    scene.link.handle_writable(scene.now);
    assert_eq!(scene.link.state(), LinkState::Connected);
    assert!(!scene.link.is_write_blocked());
    scene.link.handle_blocked(scene.now);
    scene.pass(3000);
    assert_eq!(scene.link.state(), LinkState::Backoff);
    assert!(scene.link.last_error().unwrap().to_string().contains("receive window is full"));
}

#[test]
fn requested_reconnect_is_immediate_also_during_backoff() {
    let mut scene = Scene::connected(true, 1);
    scene.link.handle_reconnect(scene.now);
    assert_eq!(scene.link.poll_action(), Some(Action::Close));
    scene.link.handle_timeout(scene.now);
    assert_eq!(scene.link.poll_action(), Some(Action::Connect));
    scene.link.handle_failed(scene.now, refused());
    assert_eq!(scene.link.poll_action(), None);
    scene.link.handle_reconnect(scene.now);
    assert_eq!(scene.link.poll_action(), Some(Action::Connect));
}

/// Returns settings with shorter timeouts and more commands in flight.
fn other_config() -> LinkConfig {
    LinkConfig {
        reply_timeout: Duration::from_millis(200),
        link_timeout: Duration::from_secs(1),
        backoff: Backoff { initial: Duration::from_millis(50), max: Duration::from_millis(50) },
        ..config(true, 3)
    }
}

#[test]
fn new_settings_reconnect_and_keep_the_counts() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    scene.reply(ReplyStatus::Ok);
    scene.send(0.2);
    scene.link.handle_config(scene.now, other_config());
    assert!(!scene.link.can_send_command());
    assert_eq!(scene.link.state(), LinkState::Connecting);
    assert_eq!(scene.link.last_error().unwrap().to_string(), "reconnecting with new parameters");
    assert_eq!(scene.link.poll_action(), Some(Action::Connect));
    scene.link.handle_connected(scene.now);
    for x in [0.3, 0.4, 0.5] {
        assert!(scene.link.can_send_command());
        scene.send(x);
    }
    assert!(!scene.link.can_send_command());
    assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Acknowledged(command(0.3)));
    let counters = scene.link.counters();
    assert_eq!((counters.sent, counters.acknowledged), (5, 2));
    scene.pass(200);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    scene.pass(800);
    assert_eq!(scene.link.state(), LinkState::Backoff);
}

#[test]
fn new_settings_restart_attempts_unless_link_has_ended() {
    let mut scene = Scene::new(true, 1);
    assert_eq!(scene.link.poll_action(), Some(Action::Connect));
    scene.link.handle_config(scene.now, other_config());
    assert_eq!(scene.link.poll_action(), Some(Action::Connect));
    scene.link.handle_failed(scene.now, refused());
    assert!(scene.link.poll_timeout().unwrap() <= scene.now + Duration::from_millis(50));
    scene.link.handle_config(scene.now, other_config());
    assert_eq!(scene.link.poll_action(), Some(Action::Connect));
    scene.link.handle_shutdown(scene.now);
    assert_eq!(scene.link.poll_action(), Some(Action::Close));
    scene.link.handle_config(scene.now, other_config());
    assert_eq!((scene.link.state(), scene.link.poll_action()), (LinkState::Disconnected, None));
}

#[test]
fn shutdown_closes_the_link_permanently() {
    let mut scene = Scene::connected(true, 1);
    scene.link.handle_shutdown(scene.now);
    assert_eq!(scene.link.poll_action(), Some(Action::Close));
    assert_eq!(scene.link.state(), LinkState::Disconnected);
    scene.link.handle_failed(scene.now, LinkError::Closed);
    scene.link.handle_reconnect(scene.now);
    scene.pass(60_000);
    assert_eq!(scene.link.state(), LinkState::Disconnected);
    assert_eq!(scene.link.poll_action(), None);
    assert!(!scene.link.can_send_command());
}

#[test]
fn timeout_error_quotes_input_instead_of_reply() {
    for instead in [None, Some("\"OK\" has come".to_owned())] {
        let mut scene = Scene::connected(true, 1);
        scene.send(0.1);
        scene.pass(499);
        assert!(!scene.link.is_overdue(scene.now));
        scene.pass(1);
        assert!(scene.link.is_overdue(scene.now));
        scene.link.handle_instead(PeerId::ONLY, instead.clone());
        assert_eq!(scene.link.instead(), instead.as_deref());
        scene.pass(2500);
        let error = scene.link.last_error().unwrap().to_string();
        let expected = match instead {
            Some(_) => "no reply for link.timeout 3.0 s: \"OK\" has come",
            None => {
                "no reply for link.timeout 3.0 s; does it serve another client? If this controller never replies, set \
                 link.expect_reply to false"
            }
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn timeout_error_mentions_earlier_replies() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    scene.reply(ReplyStatus::Ok);
    scene.send(0.2);
    scene.pass(3000);
    let error = scene.link.last_error().unwrap().to_string();
    assert_eq!(error, "no reply for link.timeout 3.0 s: the controller replied to an earlier line");
}

#[test]
fn reply_clears_the_input_instead_of_reply() {
    let mut scene = Scene::connected(true, 1);
    scene.send(0.1);
    scene.pass(700);
    scene.link.handle_instead(PeerId::ONLY, Some("half".into()));
    scene.reply(ReplyStatus::Ok);
    assert_eq!(scene.link.instead(), None);
    scene.send(0.2);
    scene.pass(3000);
    let error = scene.link.last_error().unwrap().to_string();
    assert!(error.ends_with("the controller replied to an earlier line"), "{error}");
}

#[test]
fn timeout_error_names_datagrams_with_wrong_seq() {
    for (seq, words) in
        [(None, "a reply has come without \"seq\""), (Some(9), "with \"seq\" 9, which no line")]
    {
        let now = Instant::now();
        let config = LinkConfig { role: Role::Udp, ..config(true, 1) };
        let mut scene = Scene { link: Link::new(config, now, 7), now };
        scene.link.handle_connected(now);
        scene.send(0.1);
        let reply = Reply { seq, ..reply(ReplyStatus::Ok) };
        assert_eq!(scene.link.handle_reply(scene.now, PeerId::ONLY, &reply), Outcome::Late);
        scene.pass(3000);
        let error = scene.link.last_error().unwrap().to_string();
        assert!(error.contains(words) && !error.contains("never replies"), "{error}");
    }
}

#[test]
fn error_stays_until_next_connection_has_lasted() {
    let mut scene = Scene::connected(true, 1);
    scene.link.handle_failed(scene.now, LinkError::Closed);
    let lost_at = scene.now;
    let stands = |scene: &Scene| scene.link.standing_error(scene.now).is_some();
    scene.pass(10_000);
    assert!(stands(&scene), "there is no connection yet");
    scene.link.handle_connected(scene.now);
    scene.pass(2999);
    assert!(stands(&scene));
    scene.pass(1);
    assert!(!stands(&scene));
    let (at, error) = scene.link.last_error_at().unwrap();
    assert_eq!((at, error.to_string()), (lost_at, LinkError::Closed.to_string()), "the last error is kept");
    // The error also stays while a reply is overdue.
    let mut scene = Scene::connected(true, 1);
    scene.link.handle_reconnect(scene.now);
    scene.link.handle_timeout(scene.now);
    scene.link.handle_connected(scene.now);
    scene.send(0.1);
    scene.pass(2999);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    assert!(stands(&scene));
}

#[test]
fn second_end_after_first_reply_is_named() {
    let error_after = |replies: &[u32]| {
        let mut scene = Scene::connected(true, 1);
        for count in replies {
            for _ in 0..*count {
                scene.send(0.1);
                scene.reply(ReplyStatus::Ok);
            }
            scene.link.handle_failed(scene.now, LinkError::Closed);
            scene.pass(5000);
            scene.link.handle_connected(scene.now);
        }
        scene.link.last_error().unwrap().advised()
    };
    let plain = LinkError::Closed.to_string();
    for replies in [&[1][..], &[1, 2], &[2, 2], &[0, 0], &[1, 0, 1]] {
        assert_eq!(error_after(replies), plain, "{replies:?}");
    }
    let again = error_after(&[1, 1]);
    assert!(again.contains("after its first reply") && again.contains("read in a loop"), "{again}");
}

#[test]
fn only_first_unsolicited_input_counts_as_greeting() {
    for (replies, words) in
        [(0, "set link.banner_lines"), (1, "reply when you accept the line, and not again")]
    {
        let mut scene = Scene::connected(true, 1);
        for _ in 0..replies {
            scene.send(0.1);
            scene.reply(ReplyStatus::Ok);
        }
        assert_eq!(scene.reply(ReplyStatus::Ok), Outcome::Unsolicited);
        let advised = scene.link.last_error().unwrap().advised();
        assert!(advised.contains(words), "{advised}");
    }
}

#[derive(Debug, Clone)]
enum Event {
    Connected,
    Failed,
    Reply,
    Send,
    Stop,
    Blocked,
    Writable,
    Reconnect,
    Config,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Connected),
        1 => Just(Event::Failed),
        6 => Just(Event::Reply),
        8 => Just(Event::Send),
        3 => Just(Event::Stop),
        1 => Just(Event::Blocked),
        1 => Just(Event::Writable),
        1 => Just(Event::Reconnect),
        1 => Just(Event::Config),
        6 => (0u64..1500).prop_map(Event::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// For every sequence of events: the window is kept, and replies match commands and stops in
    /// the order in which they were sent. The counts add up. A link that is down knows the time of
    /// its next attempt, and asks for a connection only if it has none.
    #[test]
    fn invariants_hold_for_every_event_sequence(
        expect_reply in any::<bool>(),
        window in 1usize..5,
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut scene = Scene::new(expect_reply, window);
        let mut open = false;
        let mut commands = 0.0;
        let mut unanswered = VecDeque::new();
        for event in events {
            if scene.link.poll_action() == Some(Action::Connect) {
                prop_assert_eq!(scene.link.state(), LinkState::Connecting);
            }
            match event {
                Event::Connected => scene.link.handle_connected(scene.now),
                Event::Failed => scene.link.handle_failed(scene.now, LinkError::Closed),
                Event::Reply => {
                    let outcome = scene.link.handle_reply(scene.now, PeerId::ONLY, &reply(ReplyStatus::Ok));
                    if open && expect_reply {
                        prop_assert_eq!(outcome, unanswered.pop_front().unwrap_or(Outcome::Unsolicited));
                    } else {
                        prop_assert_eq!(outcome, if open { Outcome::Ignored } else { Outcome::Unsolicited });
                    }
                }
                Event::Send if scene.link.can_send_command() => {
                    commands += 1.0;
                    scene.send(commands * 1e-3);
                    unanswered.extend(expect_reply.then_some(Outcome::Acknowledged(command(commands * 1e-3))));
                    prop_assert!(unanswered.len() <= window);
                }
                Event::Stop if scene.link.can_send_stop() => {
                    scene.stop();
                    unanswered.extend(expect_reply.then_some(Outcome::StopAcknowledged));
                }
                Event::Send | Event::Stop => {}
                Event::Blocked => scene.link.handle_blocked(scene.now),
                Event::Writable => scene.link.handle_writable(scene.now),
                Event::Reconnect => scene.link.handle_reconnect(scene.now),
                Event::Config => scene.link.handle_config(scene.now, config(expect_reply, window)),
                Event::Pass(millis) => scene.pass(millis),
            }
            let state = scene.link.state();
            open = matches!(state, LinkState::Connected | LinkState::Unresponsive);
            if !open {
                unanswered.clear();
                prop_assert!(!scene.link.can_send_command() && !scene.link.can_send_stop());
            }
            prop_assert!(state != LinkState::Backoff || scene.link.poll_timeout().is_some());
            let counters = scene.link.counters();
            prop_assert!(counters.acknowledged + counters.rejected <= counters.sent);
            prop_assert_eq!(counters.sent, commands as u64);
        }
    }
}

#[test]
fn rejected_client_is_named_in_the_error() {
    // The error comes before the first line, or after it. In the second case it looks like the
    // reply to the line.
    for asked in [false, true] {
        let mut scene = Scene::connected(true, 1);
        if asked {
            scene.send(0.1);
        }
        let refusal = Reply { message: "another client is served".into(), ..reply(ReplyStatus::Error) };
        scene.link.handle_reply(scene.now, PeerId::ONLY, &refusal);
        scene.link.handle_failed(scene.now, LinkError::Closed);
        assert_eq!(
            scene.link.last_error().unwrap().to_string(),
            "the controller rejected this connection: 'another client is served'; does it serve another client?"
        );
    }
    // One rejected command among others does not mean that the client is rejected.
    let mut scene = Scene::connected(true, 1);
    for status in [ReplyStatus::Error, ReplyStatus::Ok] {
        scene.send(0.1);
        scene.reply(status);
    }
    scene.link.handle_failed(scene.now, LinkError::Closed);
    assert_eq!(scene.link.last_error().unwrap().to_string(), "the controller closed the connection");
}

/// An action in a test of duplicate replies.
#[derive(Debug, Clone, Copy)]
enum Exchange {
    /// The bridge sends a line.
    Line,
    /// The controller replies to the oldest line.
    Reply,
    /// The controller repeats its last reply.
    Again,
}

fn exchanges() -> impl Strategy<Value = Vec<Exchange>> {
    let one = prop_oneof![5 => Just(Exchange::Line), 5 => Just(Exchange::Reply), 1 => Just(Exchange::Again)];
    prop::collection::vec(one, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn duplicate_reply_with_seq_acknowledges_nothing(window in 1usize..5, exchanges in exchanges()) {
        let mut scene = Scene::connected(true, window);
        let (mut sent, mut answered) = (0, 0);
        for exchange in exchanges {
            let numbered = |seq| Reply { seq: Some(seq), ..reply(ReplyStatus::Ok) };
            match exchange {
                Exchange::Line if scene.link.can_send_command() => {
                    sent += 1;
                    scene.send(sent as f64 * 1e-3);
                }
                Exchange::Reply if answered < sent => {
                    answered += 1;
                    let outcome = scene.link.handle_reply(scene.now, PeerId::ONLY, &numbered(answered));
                    prop_assert_eq!(outcome, Outcome::Acknowledged(command(answered as f64 * 1e-3)));
                }
                Exchange::Again if answered > 0 => {
                    let outcome = scene.link.handle_reply(scene.now, PeerId::ONLY, &numbered(answered));
                    prop_assert_eq!(outcome, Outcome::Unsolicited);
                    prop_assert_eq!(scene.link.state(), LinkState::Backoff);
                    prop_assert_eq!(scene.link.counters().acknowledged, answered);
                    return Ok(());
                }
                Exchange::Line | Exchange::Reply | Exchange::Again => {}
            }
        }
    }

    /// The duplicate looks like the reply to the next line. But it is one reply too many, so the
    /// connection ends as soon as every line has a reply.
    #[test]
    fn duplicate_reply_without_seq_ends_the_connection(window in 1usize..5, exchanges in exchanges()) {
        let mut scene = Scene::connected(true, window);
        let (mut sent, mut answered, mut again) = (0, 0, 0);
        for exchange in exchanges {
            match exchange {
                Exchange::Line if scene.link.can_send_command() => {
                    sent += 1;
                    scene.send(sent as f64 * 1e-3);
                }
                Exchange::Reply if answered < sent => {
                    answered += 1;
                    scene.reply(ReplyStatus::Ok);
                }
                Exchange::Again if answered > 0 => {
                    again += 1;
                    scene.reply(ReplyStatus::Ok);
                }
                Exchange::Line | Exchange::Reply | Exchange::Again => continue,
            }
            let ended = scene.link.state() == LinkState::Backoff;
            prop_assert_eq!(ended, answered + again > sent);
            // The acknowledged lines are never more than the replies.
            prop_assert!(scene.link.counters().acknowledged <= answered + again);
            if ended {
                return Ok(());
            }
        }
    }
}

#[test]
fn stop_does_not_wait_for_lagging_program() {
    let mut scene = Scene::connected(false, 1);
    scene.send(0.1);
    scene.link.handle_lagging(scene.now);
    assert!(scene.link.is_write_blocked() && scene.link.can_send_stop());
    scene.stop();
    scene.link.handle_lagging(scene.now);
    scene.pass(2999);
    assert_eq!(scene.link.state(), LinkState::Unresponsive);
    scene.pass(1);
    let error = scene.link.last_error().unwrap().to_string();
    assert!(error.starts_with("the controller has not read for link.timeout 3.0 s"), "{error}");
    assert!(error.ends_with("does it serve another client?"), "{error}");
    // If the system accepts no bytes, a stop also waits.
    let mut scene = Scene::connected(false, 1);
    scene.link.handle_blocked(scene.now);
    scene.link.handle_lagging(scene.now);
    assert!(!scene.link.can_send_stop());
    scene.link.handle_writable(scene.now);
    assert!(scene.link.can_send_stop() && !scene.link.is_write_blocked());
}
