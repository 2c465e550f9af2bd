//! Commands and replies with the simulated controller, and with controllers that misbehave.

use std::ops::Deref;
use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::link::LinkState;
use aether_bridge::teleop::{CommandKind, Motion, Target};
use aether_sim::{ArmSim, ArmSimConfig, Ended, Fault, Rules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::scene::{PATIENCE, Scene};

/// A simulated controller whose monitor must find no violation.
struct Monitored(ArmSim);

impl Deref for Monitored {
    type Target = ArmSim;

    fn deref(&self) -> &ArmSim {
        &self.0
    }
}

impl Drop for Monitored {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.0.record().counts.violations == 0, "see its events");
    }
}

async fn sim() -> Monitored {
    judged(&[]).await
}

async fn judged(settings: &[&str]) -> Monitored {
    let asking = ["link.heartbeat.period:=60.0"];
    let settings: Vec<_> = asking.iter().chain(settings).map(|setting| setting.parse().unwrap()).collect();
    let monitor = Some(Rules::default().with(&settings).unwrap());
    let config = ArmSimConfig { monitor, report_state: true, ..ArmSimConfig::default() };
    Monitored(ArmSim::start(config).await.unwrap())
}

const HERE: [f64; 3] = [0.2, 0.0, 0.2];
const THERE: [f64; 3] = [0.22, 0.01, 0.21];

#[tokio::test]
async fn target_becomes_acknowledged_commands() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.move_hand(Some(THERE));
    scene.tracking().await;
    let record = sim
        .wait_for(|record| record.received.last().is_some_and(|last| last.line.contains("\"x\":220.0")))
        .await;
    let last = record.received.last().unwrap();
    assert_eq!(last.line, r#"{"type":"command","x":220.0,"y":10.0,"z":210.0,"gripper":"open"}"#);
    assert_eq!(record.connections[0].most_unanswered, 1);
    let status =
        scene.until("answered", |status| status.sent > 3 && status.sent == status.acknowledged).await;
    assert_eq!((status.state, status.rejected, status.dropped_input), (LinkState::Connected, 0, 0));
    assert!(status.round_trips.last > Duration::ZERO);
    let observed = scene.observed.lock().unwrap();
    let numbers: Vec<_> = observed.commands.iter().map(|command| command.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn slow_controller_receives_only_the_newest_target() {
    let sim = sim().await;
    sim.set_fault(Some(Fault::Delay(Duration::from_millis(100))));
    let mut scene =
        Scene::start_asking(sim.local_addr().port(), &[("teleop.command_rate", Value::Integer(0))]);
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    let status = scene.until("coalescing", |status| status.coalesced > 20).await;
    let record = sim.record();
    assert_eq!(record.connections[0].most_unanswered, 1, "a command was sent before the last was answered");
    // The hand moves at 100 Hz, and the controller replies 10 times a second. The other targets are
    // discarded, not queued.
    assert!(status.coalesced > 3 * status.sent, "{status:?}");
}

#[tokio::test]
async fn motion_after_a_restart_begins_with_an_approach() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    sim.crash().await;
    let status = scene.until("held", |status| status.motion == Motion::Holding).await;
    assert!(status.reason.starts_with("holding: no connection to the controller: "), "{}", status.reason);
    scene.until("backing off", |status| status.state == LinkState::Backoff).await;
    let acknowledged = scene.observed.lock().unwrap().commands.last().unwrap().planned.command.position;
    let sent_before = scene.observed.lock().unwrap().commands.len();
    scene.move_hand(Some([-0.2, 0.2, 0.1]));
    sim.restart().await.unwrap();
    scene.until("approaching", |status| status.motion == Motion::Approach).await;
    let record = sim.wait_for(|record| record.commands_on(record.connections.len() - 1).count() >= 5).await;
    let commands: Vec<_> = record.commands_on(record.connections.len() - 1).collect();
    // 0.1 m/s and 50 Hz: 2 mm a step, 4 mm for the first
    assert!(commands[0].position.distance(acknowledged) < 0.0041, "{commands:?}");
    assert!(
        commands.windows(2).all(|pair| pair[0].position.distance(pair[1].position) < 0.02),
        "{commands:?}"
    );
    let observed = scene.observed.lock().unwrap();
    assert!(observed.commands[sent_before].planned.kind == CommandKind::Approach);
}

#[tokio::test]
async fn motion_holds_until_a_late_reply_arrives() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[("link.timeout", Value::Real(60.0))]);
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    sim.set_fault(Some(Fault::Delay(Duration::from_millis(900))));
    let status = scene.until("unresponsive", |status| status.state == LinkState::Unresponsive).await;
    assert_eq!(status.motion, Motion::Holding);
    assert_eq!(
        status.reason,
        "holding: the controller does not reply: no reply for link.reply_timeout 0.5 s"
    );
    sim.set_fault(None);
    scene.until("connected again", |status| status.state == LinkState::Connected).await;
    scene.tracking().await;
    assert_eq!(sim.record().connections.len(), 1, "the connection was replaced");
}

#[tokio::test]
async fn silent_controller_is_dropped_and_connected_again() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(
        sim.local_addr().port(),
        &[("link.reply_timeout", Value::Real(0.1)), ("link.timeout", Value::Real(0.2))],
    );
    sim.set_fault(Some(Fault::HalfOpen));
    scene.move_hand(Some(HERE));
    let status = scene.until("given up", |status| status.state == LinkState::Backoff).await;
    assert!(status.last_error.contains("no reply for link.timeout 0.2 s"), "{}", status.last_error);
    sim.set_fault(None);
    sim.recover();
    scene.tracking().await;
}

#[tokio::test]
async fn split_and_merged_replies_are_understood() {
    for (fault, window) in [(Fault::Split, 1), (Fault::Merge(2), 2)] {
        let sim = judged(&[&format!("link.max_in_flight:={window}")]).await;
        sim.set_fault(Some(fault));
        let settings =
            [("link.max_in_flight", Value::Integer(window)), ("teleop.command_rate", Value::Integer(0))];
        // A position request would wait for the second line, because the two replies are merged.
        let mut scene = Scene::start(sim.local_addr().port(), &settings);
        scene.move_hand(Some(HERE));
        let status = scene.until("answered", |status| status.acknowledged > 20).await;
        assert_eq!(status.last_error, "");
        assert_eq!(scene.observed.lock().unwrap().link_states.last(), Some(&LinkState::Connected));
    }
}

#[tokio::test]
async fn reset_during_a_reply_ends_only_that_connection() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    sim.set_fault(Some(Fault::CloseMidLine));
    let status = scene.until("lost", |status| !status.last_error.is_empty()).await;
    assert!(status.state != LinkState::Connected);
    sim.set_fault(None);
    scene.tracking().await;
}

#[tokio::test]
async fn error_replies_hold_motion_until_controller_recovers() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    sim.set_fault(Some(Fault::Error("joint 3 too hot".into())));
    let refused = "holding: the controller rejected 5 commands in a row, last reply: 'joint 3 too hot'";
    let status = scene.until("held", |status| status.reason == refused).await;
    assert_eq!(status.motion, Motion::Holding);
    sim.set_fault(None);
    scene.tracking().await;
}

#[tokio::test]
async fn stop_holds_until_the_operator_arms() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    scene.bridge.stop();
    let sent = scene.observed.lock().unwrap().commands.len();
    assert!(scene.bridge.set_armed(true).is_err());
    // Two more statuses, half a second apart, while the hand moves.
    let stopped = scene.until("stopped", |status| status.motion == Motion::Stopped).await;
    scene.news.mark_unchanged();
    scene.news.changed().await.unwrap();
    assert_eq!(scene.news.borrow().as_ref().unwrap().sent, stopped.sent);
    assert!(scene.bridge.reset().starts_with("stop released"));
    scene.news.mark_unchanged();
    scene.news.changed().await.unwrap();
    assert_eq!(scene.observed.lock().unwrap().commands.len(), sent, "a reset moves nothing by itself");
    scene.bridge.set_armed(true).unwrap();
    scene.tracking().await;
    assert!(scene.observed.lock().unwrap().commands[sent].planned.kind == CommandKind::Approach);
}

#[tokio::test]
async fn shutdown_stops_commands_and_closes_the_connection() {
    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    scene.shut_down().await;
    let sent = scene.observed.lock().unwrap().commands.len() as u64;
    scene.bridge.handle_target(Target::new(0.1, 0.1, 0.1, None));
    assert!(scene.bridge.set_armed(true).is_err());
    let record = sim.wait_for(|record| record.connections[0].ended.is_some()).await;
    assert!(matches!(record.connections[0].ended, Some((_, Ended::ByPeer | Ended::Failed(_)))));
    assert_eq!(record.counts.commands, sent);
    let status = scene.news.borrow().clone().unwrap();
    assert_eq!(status.state, LinkState::Disconnected);
    assert!(status.reason.contains("shutting down"), "{}", status.reason);
}

#[tokio::test]
async fn peer_that_never_reads_gets_no_queue() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    socket2::SockRef::from(&listener).set_recv_buffer_size(2048).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut scene = Scene::start(
        port,
        &[
            ("link.expect_reply", Value::Boolean(false)),
            ("teleop.command_rate", Value::Integer(0)),
            ("link.reply_timeout", Value::Real(0.1)),
            ("link.timeout", Value::Real(0.3)),
            ("link.tcp_user_timeout", Value::Real(60.0)), // otherwise the kernel would detect it first
        ],
    );
    let (_unread, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    // A burst fills the buffers of the kernel. Each call returns.
    for i in 0..20_000 {
        let x = 0.2 + f64::from(i % 10) * 1e-4;
        scene.bridge.handle_target(Target::new(x, 0.0, 0.2, None));
    }
    let status = scene.until("given up", |status| !status.last_error.is_empty()).await;
    let known = ["receive window", "has not read"];
    assert!(known.iter().any(|words| status.last_error.contains(words)), "{}", status.last_error);
    assert!(status.sent < 5_000, "{} commands were queued in buffers", status.sent);
}

/// Returns a scene whose controller has stopped reading during motion, when no further command
/// fits; and its connection.
async fn with_a_full_window() -> (Scene, TcpStream) {
    let settings = [
        ("link.expect_reply", Value::Boolean(false)),
        ("teleop.command_rate", Value::Integer(0)),
        ("link.timeout", Value::Real(60.0)),
        ("link.tcp_user_timeout", Value::Real(60.0)),
    ];
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        socket2::SockRef::from(&listener).set_recv_buffer_size(2048).unwrap();
        let mut scene = Scene::start(listener.local_addr().unwrap().port(), &settings);
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        scene.move_hand(Some(HERE));
        scene.tracking().await;
        for i in 0..20_000 {
            let x = 0.2 + f64::from(i % 10) * 1e-4;
            scene.bridge.handle_target(Target::new(x, 0.0, 0.2, None));
        }
        // If a line was sent only in part, the connection is dropped. Try again.
        if scene.next_status().await.state != LinkState::Backoff {
            return (scene, stream);
        }
    }
}

#[tokio::test]
async fn peer_that_reads_again_keeps_its_connection() {
    let (scene, mut stream) = with_a_full_window().await;
    let before = scene.command_count();
    let again = async {
        while scene.command_count() == before {
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0, "the connection was dropped");
        }
    };
    timeout(PATIENCE, again).await.expect("no command was sent after that");
}

#[tokio::test]
async fn waiting_command_is_discarded_without_hand() {
    let (mut scene, mut stream) = with_a_full_window().await;
    scene.move_hand(None);
    scene.until("without a hand", |status| status.input_fault.starts_with("no new target")).await;
    let before = scene.command_count();
    // The window opens, and the connection ends later.
    let received = tokio::spawn(async move {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.map(|_| received)
    });
    for _ in 0..2 {
        scene.next_status().await;
    }
    scene.bridge.reconnect();
    let received = timeout(PATIENCE, received).await.expect("the connection did not end").unwrap().unwrap();
    assert_eq!(scene.command_count(), before, "a command was published long after the hand had gone");
    let lines = received.split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(lines, before, "a command was sent long after the hand had gone");
}

/// Starts a controller that sends `line` for every line that it receives.
async fn constant_reply(line: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 1024];
            while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                stream.write_all(line.as_bytes()).await.unwrap();
            }
        }
    });
    port
}

#[tokio::test]
async fn replies_without_newline_work() {
    let port = constant_reply(r#"{"status": "ok", "message": "Command received"}"#).await;
    let mut scene = Scene::start(port, &[]);
    scene.move_hand(Some(HERE));
    let status = scene.until("answered", |status| status.acknowledged > 20).await;
    assert_eq!(status.last_error, "");
}

#[tokio::test]
async fn invalid_input_matters_only_if_replies_are_expected() {
    let port = constant_reply("hello\n").await;
    let mut scene = Scene::start(port, &[]);
    scene.move_hand(Some(HERE));
    let status = scene.until("lost", |status| status.state == LinkState::Backoff).await;
    assert!(status.last_error.contains("hello"), "{}", status.last_error);
    drop(scene);
    let mut scene = Scene::start(port, &[("link.expect_reply", Value::Boolean(false))]);
    scene.move_hand(Some(HERE));
    let status = scene.until("many sent", |status| status.sent > 50).await;
    assert_eq!(status.last_error, "");
}

#[tokio::test]
async fn status_shows_unresolved_name_and_requested_reconnect() {
    let mut scene = Scene::start(5000, &[("link.host", Value::Text("no-such-host.invalid".into()))]);
    let status = scene.until("failed", |status| status.state == LinkState::Backoff).await;
    assert!(status.last_error.contains("'no-such-host.invalid'"), "{}", status.last_error);
    drop(scene);

    let sim = sim().await;
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.until("connected", |status| status.state == LinkState::Connected).await;
    scene.bridge.reconnect();
    sim.wait_for(|record| record.connections.len() == 2).await;
    let status = scene
        .until("connected", |status| status.state == LinkState::Connected && !status.last_error.is_empty())
        .await;
    assert_eq!(status.last_error, "reconnecting on request");
}

#[tokio::test]
async fn reported_state_is_published() {
    let config = ArmSimConfig { report_state: true, ..ArmSimConfig::default() };
    let sim = ArmSim::start(config).await.unwrap();
    let mut scene = Scene::start_asking(sim.local_addr().port(), &[]);
    scene.move_hand(Some(HERE));
    scene.until("answered", |status| status.acknowledged > 3).await;
    let observed = scene.observed.lock().unwrap();
    let state = observed.arm_states.last().unwrap();
    assert!(state.position.is_some() && state.gripper.is_some(), "{state:?}");
}

#[tokio::test]
async fn deadlines_hold_while_controller_sends_without_pause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talker = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let chatter = "{\"status\":\"ok\"}\n".repeat(1000);
        // Until the bridge has closed the connection.
        while std::io::Write::write_all(&mut stream, chatter.as_bytes()).is_ok() {}
    });
    let mut scene = Scene::start(port, &[("link.expect_reply", Value::Boolean(false))]);
    scene.move_hand(Some([0.2, 0.0, 0.2]));
    scene.tracking().await;
    scene.move_hand(None);
    scene.until("held", |status| status.motion == Motion::Holding).await;
    scene.shut_down().await;
    talker.join().unwrap();
}

/// Returns how many commands a controller obeys after a stop request. It has read nothing since it
/// accepted the connection, or never accepted it.
async fn obeyed_after_a_stop(hold: &str, is_served: bool) -> usize {
    // With the default receive buffer.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = [
        ("link.expect_reply", Value::Boolean(false)),
        ("link.timeout", Value::Real(60.0)),
        ("teleop.command_rate", Value::Integer(0)),
        ("teleop.hold_behavior", Value::Text(hold.into())),
    ];
    let mut scene = Scene::start(port, &settings);
    scene.until("connected", |status| status.state == LinkState::Connected).await;
    let mut served = is_served.then(|| listener.accept().unwrap().0);
    scene.move_hand(Some(HERE));
    scene.until("with commands", |status| status.sent > 0).await;
    for i in 0..2000 {
        let x = 0.2 + f64::from(i % 10) * 1e-4;
        scene.bridge.handle_target(Target::new(x, 0.0, 0.2, None));
    }
    scene.bridge.stop();
    scene.until("stopped", |status| status.motion == Motion::Stopped).await;
    scene.shut_down().await;
    let stream = served.get_or_insert_with(|| listener.accept().unwrap().0);
    let mut received = String::new();
    std::io::Read::read_to_string(stream, &mut received).unwrap();
    assert_eq!(received.contains("\"stop\""), hold == "stop", "{received}");
    received.lines().filter(|line| line.contains("\"command\"")).count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn stop_follows_few_commands_if_controller_lags() {
    for hold in ["silent", "stop"] {
        for is_served in [true, false] {
            let obeyed = obeyed_after_a_stop(hold, is_served).await;
            assert!((1..=6).contains(&obeyed), "{obeyed} commands are obeyed after the stop");
        }
    }
}
