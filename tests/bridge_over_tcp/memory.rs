//! A controller in memory, whose every word and silence a test decides, and a bridge that follows a hand for it.
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
use aether_bridge::link::{ConnectFuture, Endpoint, Network, Role, Socket, TransportConfig};
use aether_bridge::teleop::Target;
use tokio::time::Instant;

use super::scene::Scene;

pub const STATE: &[u8] = b"{\"type\": \"state\", \"position\": [200.0, 0.0, 200.0]}\n";
pub const OK: &[u8] = b"{\"status\": \"ok\", \"message\": \"\"}\n";

/// A controller that answers at once, on a network on which writing may take time.
#[derive(Debug, Clone, Default)]
pub struct Controller(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    writing: Duration,
    written: Vec<Written>,
    /// Keeps to itself what there is to hear.
    silent: bool,
    /// Answers nothing.
    mute: bool,
    /// Says where the arm is, without end.
    talkative: bool,
    /// Has left, after what there is to hear.
    left: bool,
    /// What there is to hear, a read each.
    words: VecDeque<Vec<u8>>,
    driver: Option<Waker>,
}

#[derive(Debug, Clone, Copy)]
pub struct Written {
    pub begun: Instant,
    pub done: Instant,
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
    pub fn set_writing(&self, milliseconds: u64) {
        self.0.lock().unwrap().writing = Duration::from_millis(milliseconds);
    }

    pub fn set_silent(&self, silent: bool) {
        let mut state = self.0.lock().unwrap();
        state.silent = silent;
        state.wake_driver();
    }

    pub fn set_mute(&self) {
        self.0.lock().unwrap().mute = true;
    }

    pub fn set_talkative(&self) {
        self.0.lock().unwrap().talkative = true;
    }

    pub fn say(&self, words: &[u8]) {
        let mut state = self.0.lock().unwrap();
        state.words.push_back(words.to_vec());
        state.wake_driver();
    }

    pub fn leave(&self) {
        let mut state = self.0.lock().unwrap();
        state.left = true;
        state.wake_driver();
    }

    pub fn written(&self) -> Vec<Written> {
        self.0.lock().unwrap().written.clone()
    }
}

impl Network for Controller {
    fn open(&self, _: Role, _: &TransportConfig) -> ConnectFuture<Endpoint> {
        let socket = Arc::new(self.clone());
        Box::pin(async { Ok(Endpoint::Socket(socket)) })
    }
}

impl Socket for Controller {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        state.driver = Some(cx.waker().clone());
        let nothing = state.silent || (state.words.is_empty() && !state.left);
        if nothing { Poll::Pending } else { Poll::Ready(()) }
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        let words = if state.silent { None } else { state.words.pop_front() };
        match words.or(state.talkative.then(|| STATE.to_vec())) {
            Some(words) => {
                room[..words.len()].copy_from_slice(&words);
                Ok(words.len())
            }
            None if state.left => Ok(0),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let mut state = self.0.lock().unwrap();
        advance(state.writing);
        state.written.push(Written { begun, done: Instant::now() });
        if !state.mute {
            state.words.push_back(OK.to_vec());
        }
        state.wake_driver();
        Ok(line.len())
    }
}

/// Time passes, and nobody gets to do anything.
pub fn advance(by: Duration) {
    let _ = pin!(tokio::time::advance(by)).poll(&mut Context::from_waker(Waker::noop()));
}

pub fn target(bridge: &Bridge, x: f64) {
    bridge.handle_target(Target::new(x, 0.0, 0.2, None));
}

/// A bridge that has followed a hand, which is still since then.
pub async fn following(settings: &[(&str, Value)]) -> (Scene, Controller) {
    let controller = Controller::default();
    let mut scene = Scene::over(controller.clone(), 1, settings);
    scene.move_hand(Some([0.2, 0.0, 0.2]));
    scene.tracking().await;
    scene.move_hand(None);
    (scene, controller)
}
