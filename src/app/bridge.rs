//! The handle to the running bridge, and the one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::clock::now;
use super::notifier::Notifier;
use super::reconfigure::ReconfigureError;
use super::state::State;
use crate::config::Config;
use crate::link::Action;
use crate::status::Observer;
use crate::teleop::{GraphNews, GripperInput, InputFault, Refused, Target};

/// A handle to the running bridge. Cheap to clone; every method may be called from any thread.
#[derive(Clone)]
pub struct Bridge(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Never locked by a thread that holds `state`: an observer may block.
    notifier: Mutex<Notifier>,
    /// Wakes [`drive`](super::drive), so that it looks at deadlines and actions again.
    wake: Notify,
}

impl Bridge {
    /// A bridge that will connect as soon as it is [driven](super::drive).
    pub fn new(config: &Config, observer: impl Observer + 'static) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::new(config, now())),
            notifier: Mutex::new(Notifier::new(observer)),
            wake: Notify::new(),
        }))
    }

    /// Takes a sample of the target, or why a message was none. A command that follows from it has been written to the
    /// socket on return.
    pub fn handle_target(&self, target: Result<Target, InputFault>) {
        self.apply(|state, now| state.handle_target(now, target));
    }

    /// Takes a sample of the gripper's input.
    pub fn handle_gripper(&self, input: GripperInput) {
        self.apply(|state, now| state.coordinator.teleop.handle_gripper(now, input));
    }

    /// Takes what a publisher of the gripper's input kept from before, beside other publishers.
    pub fn handle_kept_gripper(&self, input: GripperInput) {
        self.apply(|state, now| state.coordinator.teleop.handle_kept_gripper(now, input));
    }

    /// Takes what the graph says of who publishes input.
    pub fn handle_graph(&self, news: GraphNews) {
        self.apply(|state, now| state.coordinator.teleop.handle_graph(now, news));
    }

    /// Allows or forbids motion, as a person asks. Returns a line for that person.
    ///
    /// # Errors
    /// When motion cannot be allowed now.
    pub fn set_armed(&self, armed: bool) -> Result<String, Refused> {
        self.apply(|state, now| state.coordinator.teleop.handle_set_armed(now, armed))
    }

    /// Ends motion, as a person asks, until [`Bridge::reset`]. Nothing but the stop line is sent after the return, and that
    /// is written before anything is published or logged.
    pub fn stop(&self) {
        self.apply(|state, _| state.coordinator.teleop.handle_stop());
    }

    /// Releases a stop, and disarms, as a person asks. Returns a line for that person.
    pub fn reset(&self) -> String {
        self.apply(|state, _| state.coordinator.teleop.handle_reset())
    }

    /// Connects anew, as a person asks.
    pub fn reconnect(&self) {
        self.apply(|state, now| state.coordinator.handle_reconnect(now));
    }

    /// Takes new parameters. On return all of them are in force, and hold from the next command on: nothing is sent in
    /// between. Where they concern the link it connects anew.
    ///
    /// # Errors
    /// Why they cannot be taken now. Then nothing has changed.
    pub fn reconfigure(&self, config: &Config) -> Result<(), ReconfigureError> {
        self.apply(|state, now| state.reconfigure(now, config))
    }

    /// Ends motion, then the link. Nothing is sent after the return, and the last status has been observed.
    pub fn shut_down(&self) {
        self.apply(|state, now| state.coordinator.teleop.handle_shutdown(now));
        self.apply(|state, now| state.coordinator.handle_end(now));
    }

    /// Publishes the status though nothing has changed, and the diagnostics if wanted.
    pub(super) fn tick(&self, diagnostics: bool) {
        let mut state = self.lock();
        state.tick(now(), diagnostics);
        self.release(state, false);
    }

    /// Takes what the driver has to do, once.
    pub(super) fn poll_action(&self, now: Instant) -> Option<Action> {
        let mut state = self.lock();
        let action = state.poll_action(now);
        self.release(state, false);
        action
    }

    /// Completes when another thread wants the driver to look.
    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Applies an event to the state, and hands on what follows from it.
    pub(super) fn apply<R>(&self, event: impl FnOnce(&mut State, Instant) -> R) -> R {
        let mut state = self.lock();
        let (result, now) = state.apply(event);
        let wants_driver = state.wants_driver(now);
        self.release(state, wants_driver);
        result
    }

    /// Applies an event without waking the driver, which looks at everything afterwards: it would wake itself for ever.
    pub(super) fn apply_from_driver<R>(&self, event: impl FnOnce(&mut State, Instant) -> R) -> R {
        let mut state = self.lock();
        let (result, _) = state.apply(event);
        self.release(state, false);
        result
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// Frees the state, and then publishes and logs what has happened. The driver is woken before, because that may block.
    fn release(&self, state: MutexGuard<'_, State>, wakes_driver: bool) {
        let has_events = !state.pending_events.is_empty();
        drop(state);
        if wakes_driver {
            self.0.wake.notify_one();
        }
        if has_events {
            let mut notifier = lock(&self.0.notifier);
            // Taken under the notifier's lock, so that events keep their order.
            notifier.take(&mut self.lock().pending_events);
            notifier.notify();
        }
    }
}

/// Locks, though a thread may have panicked with the lock: a stop request must be handled all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::config::Parameters;

    struct Nobody;

    impl Observer for Nobody {}

    #[test]
    fn time_never_goes_back_for_the_machines() {
        let bridge = Bridge::new(&Config::new(&Parameters::default()).unwrap(), Nobody);
        for _ in 0..100 {
            let (tell, told) = channel();
            thread::scope(|scope| {
                let state = bridge.lock();
                let other = scope.spawn(|| {
                    tell.send(()).unwrap();
                    bridge.apply(|_, now| now)
                });
                told.recv().unwrap();
                let before = now();
                drop(state);
                assert!(other.join().unwrap() >= before);
            });
        }
    }
}
