//! A controller in memory whose replies the test controls, and a bridge that follows a hand for it.
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

/// A controller that replies immediately. Writing to it may take time.
#[derive(Debug, Clone, Default)]
pub struct Controller(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    writing: Duration,
    written: Vec<Written>,
    /// Whether its pending input is hidden from the bridge.
    silent: bool,
    /// Whether it sends no replies.
    mute: bool,
    /// Whether it sends states without pause.
    flooding: bool,
    /// Whether it has closed the connection, after its pending input.
    left: bool,
    /// The pending input, one entry for each read.
    input: VecDeque<Vec<u8>>,
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
    /// Sets how long each write takes from now on.
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

    pub fn set_flooding(&self) {
        self.0.lock().unwrap().flooding = true;
    }

    pub fn send(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap();
        state.input.push_back(bytes.to_vec());
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
        let nothing = state.silent || (state.input.is_empty() && !state.left);
        if nothing { Poll::Pending } else { Poll::Ready(()) }
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        let bytes = if state.silent { None } else { state.input.pop_front() };
        match bytes.or(state.flooding.then(|| STATE.to_vec())) {
            Some(bytes) => {
                room[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
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
            state.input.push_back(OK.to_vec());
        }
        state.wake_driver();
        Ok(line.len())
    }
}

/// Advances the time without running any task.
pub fn advance(by: Duration) {
    let _ = pin!(tokio::time::advance(by)).poll(&mut Context::from_waker(Waker::noop()));
}

pub fn target(bridge: &Bridge, x: f64) {
    bridge.handle_target(Target::new(x, 0.0, 0.2, None));
}

/// Returns a bridge that has followed a hand; the hand is still since then.
pub async fn following(settings: &[(&str, Value)]) -> (Scene, Controller) {
    let controller = Controller::default();
    let mut scene = Scene::over(controller.clone(), 1, settings);
    scene.move_hand(Some([0.2, 0.0, 0.2]));
    scene.tracking().await;
    scene.move_hand(None);
    (scene, controller)
}
