//! A bridge that the system has let wait: in the middle of a write, or one thread longer than the other. In virtual time.
#![allow(clippy::disallowed_methods)] // virtual

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aether_bridge::app::Bridge;
use aether_bridge::config::Value;
use aether_bridge::link::{LinkState, Network, Opened, Opening, Socket, TransportConfig};
use aether_bridge::teleop::{Kind, Motion, Position, Target};
use bytes::BytesMut;
use tokio::time::Instant;

use super::scene::Scene;

const STATE: &[u8] = b"{\"type\": \"state\", \"position\": [200.0, 0.0, 200.0]}\n";
const OK: &[u8] = b"{\"status\": \"ok\", \"message\": \"\"}\n";

/// A controller that answers at once, on a network on which writing takes time.
#[derive(Debug, Clone, Default)]
struct Controller(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    writing: Duration,
    written: Vec<Written>,
    /// Keeps the replies to itself.
    silent: bool,
    /// Says where the arm is, without end.
    talkative: bool,
    replies: VecDeque<&'static [u8]>,
    driver: Option<Waker>,
}

#[derive(Debug, Clone, Copy)]
struct Written {
    begun: Instant,
    done: Instant,
}

impl State {
    fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}

impl Controller {
    /// Lines take so long on their way out from now on.
    fn set_writing(&self, milliseconds: u64) {
        self.0.lock().unwrap().writing = Duration::from_millis(milliseconds);
    }

    fn set_silent(&self, silent: bool) {
        let mut state = self.0.lock().unwrap();
        state.silent = silent;
        state.wake_driver();
    }

    fn written(&self) -> Vec<Written> {
        self.0.lock().unwrap().written.clone()
    }
}

impl Network for Controller {
    fn open(&self, _: &TransportConfig) -> Opening<Opened> {
        let socket = Arc::new(self.clone());
        Box::pin(async { Ok(Opened::Socket(socket)) })
    }
}

impl Socket for Controller {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        state.driver = Some(cx.waker().clone());
        if state.silent || state.replies.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        let replies = if state.silent { None } else { state.replies.pop_front() };
        let reply = replies.or(state.talkative.then_some(STATE)).ok_or(io::ErrorKind::WouldBlock)?;
        buffer.extend_from_slice(reply);
        Ok(reply.len())
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let mut state = self.0.lock().unwrap();
        advance(state.writing);
        state.written.push(Written { begun, done: Instant::now() });
        state.replies.push_back(OK);
        state.wake_driver();
        Ok(line.len())
    }
}

/// Time passes, and nobody gets to do anything.
fn advance(by: Duration) {
    let _ = pin!(tokio::time::advance(by)).poll(&mut Context::from_waker(Waker::noop()));
}

fn target(bridge: &Bridge, x: f64) {
    bridge.handle_target(Target::new(x, 0.0, 0.2, None));
}

/// A bridge that has followed a hand, which is still since then.
async fn following(settings: &[(&str, Value)]) -> (Scene, Controller) {
    let controller = Controller::default();
    let mut scene = Scene::over(controller.clone(), 1, settings);
    scene.move_hand(Some([0.2, 0.0, 0.2]));
    scene.tracking().await;
    scene.move_hand(None);
    (scene, controller)
}

#[tokio::test(start_paused = true)]
async fn a_line_that_was_long_on_its_way_out_is_not_followed_as_if_it_had_gone_at_once() {
    let settings = [("command_rate", Value::Integer(0)), ("limits.acceleration", Value::Real(100.0))];
    let (scene, controller) = following(&settings).await;
    let before = scene.told();
    assert_eq!(before, controller.written().len());
    for writing in [0, 6, 0, 0, 15, 1, 0, 3, 9, 0].repeat(10) {
        controller.set_writing(writing);
        advance(Duration::from_millis(2));
        target(&scene.bridge, 0.29);
    }
    let commands = scene.heard.lock().unwrap().commands.clone();
    assert_eq!(commands.len(), before + 100);
    let place = |i: usize| -> Position { commands[i].planned.command.position };
    let mut moved = 0.0;
    for (i, pair) in controller.written().windows(2).enumerate().skip(before) {
        let (way, time) = (place(i).distance(place(i + 1)), pair[1].begun - pair[0].done);
        assert!(way <= 0.25 * time.as_secs_f64() + 2e-6, "{way} m in {time:?}");
        moved += way;
    }
    assert!(moved > 0.03, "{moved} m");
}

#[tokio::test(start_paused = true)]
async fn the_time_for_a_reply_counts_from_before_the_line_went() {
    let (scene, controller) = following(&[("reply_timeout", Value::Real(0.5))]).await;
    advance(Duration::from_millis(50));
    controller.set_writing(500);
    target(&scene.bridge, 0.201);
    let status = scene.news.borrow().clone().unwrap();
    assert_eq!((status.state, status.motion), (LinkState::Unresponsive, Motion::Holding), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_the_driver_finds_too_late_is_too_late() {
    let (mut scene, controller) = following(&[("reply_timeout", Value::Real(0.5))]).await;
    advance(Duration::from_millis(50));
    controller.set_silent(true);
    target(&scene.bridge, 0.201);
    advance(Duration::from_millis(500));
    controller.set_silent(false);
    scene.until("answered", |status| status.sent == status.acknowledged).await;
    let states = scene.heard.lock().unwrap().link_states.clone();
    assert!(states.ends_with(&[LinkState::Unresponsive, LinkState::Connected]), "{states:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_after_a_gap_is_approached_though_no_timer_has_told_of_the_gap() {
    let (scene, _controller) = following(&[("input_timeout", Value::Real(0.4))]).await;
    advance(Duration::from_millis(400));
    target(&scene.bridge, 0.201);
    let last = scene.heard.lock().unwrap().commands.last().copied().unwrap();
    assert_eq!(last.planned.kind, Kind::Approach, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_talks_without_end_is_told_no_more_than_a_stop() {
    let settings = [("accept_state", Value::Boolean(true)), ("hold_line", Value::Text("stop".into()))];
    let (scene, controller) = following(&settings).await;
    let (told, written) = (scene.told(), controller.written().len());
    controller.0.lock().unwrap().talkative = true;
    advance(Duration::from_millis(50));
    target(&scene.bridge, 0.201);
    assert_eq!(
        (scene.told(), controller.written().len()),
        (told, written),
        "who knows what is still to be heard?"
    );
    scene.bridge.stop();
    assert_eq!((scene.told(), controller.written().len()), (told, written + 1), "the stop waits");
}
