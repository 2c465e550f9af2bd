//! The thread that has a target reads a missing reply itself. The driver task cannot read it,
//! because these tests hold its thread.
#![allow(clippy::disallowed_methods)] // for what must happen; how soon is not their business

use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use aether_bridge::config::Value;
use aether_bridge::link::LinkState;
use aether_bridge::teleop::Target;

use super::scene::{PATIENCE, Scene};

const OK: &[u8] = b"{\"status\": \"ok\", \"message\": \"\"}\n";

/// Starts a controller on its own thread that replies immediately. The receivers get its
/// connection, and each line that it has replied to.
fn controller() -> (u16, Receiver<TcpStream>, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ((hand_out, streams), (sender, answered)) = (channel(), channel());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        hand_out.send(stream.try_clone().unwrap()).unwrap();
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            if stream.write_all(OK).is_err() || sender.send(line).is_err() {
                return;
            }
        }
    });
    (port, streams, answered)
}

/// Returns a bridge that follows the hand, the controller's end of the connection, the replied
/// lines, and the number of commands.
async fn following(settings: &[(&str, Value)]) -> (Scene, TcpStream, Receiver<String>, usize) {
    let (port, streams, answered) = controller();
    // No result depends on the speed of this thread.
    let patient = [
        ("teleop.command_rate", Value::Integer(0)),
        ("input.timeout", Value::Real(10.0)),
        ("input.min_rate", Value::Real(0.0)),
    ];
    let settings = [&patient, settings].concat();
    let mut scene = Scene::start(port, &settings);
    scene.move_hand(Some([0.2, 0.0, 0.2]));
    scene.tracking().await;
    let sent = scene.command_count();
    wait_for(sent, &answered, 0);
    (scene, streams.recv().unwrap(), answered, sent)
}

/// Waits until the controller has replied to all commands.
fn wait_for(sent: usize, answered: &Receiver<String>, before: usize) {
    for _ in before..sent {
        answered.recv_timeout(PATIENCE).expect("a command never reached the controller");
    }
}

#[tokio::test]
async fn target_without_room_reads_the_reply_itself() {
    let (scene, _stream, answered, mut before) = following(&[]).await;
    for place in 0..20 {
        let deadline = Instant::now() + PATIENCE;
        while scene.command_count() == before {
            assert!(Instant::now() < deadline, "the target waits for the driver task");
            scene.bridge.handle_target(Target::new(0.2 + f64::from(place) * 1e-5, 0.0, 0.2, None));
        }
        let sent = scene.command_count();
        wait_for(sent, &answered, before);
        before = sent;
    }
}

#[tokio::test]
async fn reply_read_after_its_timeout_counts_as_late() {
    let (mut scene, _stream, answered, before) = following(&[("link.timeout", Value::Real(5.0))]).await;
    scene.bridge.handle_target(Target::new(0.2, 0.0, 0.2, None));
    let sent = scene.command_count();
    wait_for(sent, &answered, before);
    // Five seconds pass, and nothing else happens.
    tokio::time::pause();
    let _ = pin!(tokio::time::advance(Duration::from_secs(5))).poll(&mut Context::from_waker(Waker::noop()));
    scene.bridge.handle_target(Target::new(0.2, 0.0, 0.2, None));
    assert_eq!(scene.command_count(), sent, "a command followed a late reply");
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Backoff, "{status:?}");
    assert!(status.last_error.contains("5"), "{}", status.last_error);
}

/// Returns a bridge that may send a command: all replies have arrived and have been read.
async fn with_room() -> (Scene, TcpStream, usize) {
    let (mut scene, stream, answered, before) = following(&[]).await;
    scene.move_hand(None);
    scene.until("answered", |status| status.sent == status.acknowledged).await;
    let sent = scene.command_count();
    wait_for(sent, &answered, before);
    (scene, stream, sent)
}

#[tokio::test]
async fn no_command_is_sent_after_shutdown() {
    let (mut scene, mut stream, sent) = with_room().await;
    scene.bridge.shut_down();
    stream.write_all(OK).unwrap();
    for place in 0..20 {
        scene.bridge.handle_target(Target::new(0.2 + f64::from(place) * 1e-5, 0.0, 0.2, None));
    }
    scene.shut_down().await;
    assert_eq!(scene.command_count(), sent, "a command was sent after the end");
}
