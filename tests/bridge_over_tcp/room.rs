//! A reply that is owed is read by the thread that has a target. Here nobody else can, since the tests hold the thread of the
//! driver.
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

/// A controller on a thread of its own that answers at once; tells its connection, and each line that it has answered.
fn controller() -> (u16, Receiver<TcpStream>, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ((hand_out, streams), (tell, answered)) = (channel(), channel());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        hand_out.send(stream.try_clone().unwrap()).unwrap();
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            if stream.write_all(OK).is_err() || tell.send(line).is_err() {
                return;
            }
        }
    });
    (port, streams, answered)
}

/// A bridge that follows the hand, its connection at the controller, what is answered, and how many commands have been.
async fn following(settings: &[(&str, Value)]) -> (Scene, TcpStream, Receiver<String>, usize) {
    let (port, streams, answered) = controller();
    // Nothing here depends on how long this thread takes.
    let patient = [
        ("teleop.command_rate", Value::Integer(0)),
        ("input.timeout", Value::Real(10.0)),
        ("input.min_rate", Value::Real(0.0)),
    ];
    let settings = [&patient, settings].concat();
    let mut scene = Scene::start(port, &settings);
    scene.move_hand(Some([0.2, 0.0, 0.2]));
    scene.tracking().await;
    let told = scene.told();
    wait_for(told, &answered, 0);
    (scene, streams.recv().unwrap(), answered, told)
}

/// Waits until all that was told has been answered.
fn wait_for(told: usize, answered: &Receiver<String>, before: usize) {
    for _ in before..told {
        answered.recv_timeout(PATIENCE).expect("a command never reached the controller");
    }
}

#[tokio::test]
async fn a_target_that_finds_no_room_reads_the_reply_itself() {
    let (scene, _stream, answered, mut before) = following(&[]).await;
    for place in 0..20 {
        let deadline = Instant::now() + PATIENCE;
        while scene.told() == before {
            assert!(Instant::now() < deadline, "it waits for the driver");
            scene.bridge.handle_target(Target::new(0.2 + f64::from(place) * 1e-5, 0.0, 0.2, None));
        }
        let told = scene.told();
        wait_for(told, &answered, before);
        before = told;
    }
}

#[tokio::test]
async fn a_reply_that_is_found_too_late_is_too_late() {
    let (mut scene, _stream, answered, before) = following(&[("link.timeout", Value::Real(5.0))]).await;
    scene.bridge.handle_target(Target::new(0.2, 0.0, 0.2, None));
    let told = scene.told();
    wait_for(told, &answered, before);
    // Five seconds pass, and nothing else.
    tokio::time::pause();
    let _ = pin!(tokio::time::advance(Duration::from_secs(5))).poll(&mut Context::from_waker(Waker::noop()));
    scene.bridge.handle_target(Target::new(0.2, 0.0, 0.2, None));
    assert_eq!(scene.told(), told, "it went on as if the reply had been in time");
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Backoff, "{status:?}");
    assert!(status.last_error.contains("5"), "{}", status.last_error);
}

/// The same with room: all that was told has been answered, and the answers have been read.
async fn with_room() -> (Scene, TcpStream, usize) {
    let (mut scene, stream, answered, before) = following(&[]).await;
    scene.move_hand(None);
    scene.until("answered", |status| status.sent == status.acknowledged).await;
    let told = scene.told();
    wait_for(told, &answered, before);
    (scene, stream, told)
}

#[tokio::test]
async fn nothing_is_told_after_the_end_whatever_comes() {
    let (mut scene, mut stream, told) = with_room().await;
    scene.bridge.shut_down();
    stream.write_all(OK).unwrap();
    for place in 0..20 {
        scene.bridge.handle_target(Target::new(0.2 + f64::from(place) * 1e-5, 0.0, 0.2, None));
    }
    scene.shut_down().await;
    assert_eq!(scene.told(), told, "a command was sent after the end");
}
