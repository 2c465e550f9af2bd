//! The handle to the running bridge, and its one lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::arming_request::StaleRequest;
use super::notifier::Notifier;
use super::report::InputNotes;
use super::sleep::{SleepClocks, SleepWatch, SystemClocks};
use super::state::{ReconfigureError, State, now};
use super::state_file::StateNotes;
use crate::config::Config;
use crate::link::Action;
use crate::status::Observer;
use crate::teleop::{ArmingError, GraphNews, GripperInput, InputFault, Restored, Target};

/// A handle to the running bridge. Cheap to clone. Every method may be called from any thread.
#[derive(Clone)]
pub struct Bridge(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A thread that holds `state` must never lock this, because an observer may block.
    notifier: Mutex<Notifier>,
    /// Wakes [`drive`](super::drive), so that it checks deadlines and actions again.
    wake: Notify,
}

impl Bridge {
    /// Creates a bridge. It connects as soon as it is [driven](super::drive).
    pub fn new(config: &Config, observer: impl Observer + 'static) -> Self {
        Self::with_clocks(config, observer, SystemClocks::new())
    }

    /// Creates a bridge as [`Bridge::new`] does, with other clocks to detect that the computer has
    /// slept.
    pub fn with_clocks(
        config: &Config,
        observer: impl Observer + 'static,
        clocks: impl SleepClocks + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::new(config, now(), SleepWatch::new(clocks))),
            notifier: Mutex::new(Notifier::new(observer)),
            wake: Notify::new(),
        }))
    }

    /// Restores the state of the last run. `notes` records the state for the next run. Call this
    /// method before all others.
    pub fn restore(&self, restored: Option<Restored>, notes: StateNotes) {
        lock(&self.0.notifier).keep(notes);
        if let Some(restored) = restored {
            // This happens before anything is published.
            self.access(|state| state.coordinator.teleop.handle_restored(restored));
        }
    }

    /// Handles a target, or the fault of a message without a valid target. On return, the command
    /// that results from the target has been written to the socket.
    pub fn handle_target(&self, target: Result<Target, InputFault>) {
        self.apply(|state, now| state.handle_target(now, target));
    }

    /// Handles a gripper input.
    pub fn handle_gripper(&self, input: GripperInput) {
        self.apply(|state, now| state.coordinator.teleop.handle_gripper(now, input));
    }

    /// Handles a latched message of the gripper topic, which its publisher sent earlier. The topic
    /// has other publishers, and their messages may be newer.
    pub fn handle_kept_gripper(&self, input: GripperInput) {
        self.apply(|state, now| state.coordinator.teleop.handle_kept_gripper(now, input));
    }

    /// Handles news from the ROS graph about the publishers of the input.
    pub fn handle_graph(&self, news: GraphNews) {
        self.apply(|state, now| state.coordinator.teleop.handle_graph(now, news));
    }

    /// Stores the reasons why no target or gripper message arrives.
    pub fn handle_input_notes(&self, notes: InputNotes) {
        self.apply(|state, _| state.coordinator.report.handle_input_notes(notes));
    }

    /// Handles a message of `stop.topic`. If the message requests a stop, the bridge then sends
    /// only the stop line, as after [`Bridge::stop`].
    pub fn handle_stop_message(&self, stop: bool) {
        self.apply(|state, now| state.coordinator.teleop.handle_stop_message(now, stop));
    }

    /// Checks a request to move the arm. It was sent `age` nanoseconds ago by its sender's clock,
    /// and may have waited in this process for up to `stall`. Call this before
    /// [`Bridge::set_armed`] and [`Bridge::go_home`].
    ///
    /// # Errors
    /// The request is too old, or its age is unknown.
    pub fn judge_request(&self, age: i64, stall: Duration) -> Result<(), StaleRequest> {
        self.apply(|state, now| state.last_forbidden.judge(now, age, stall))
    }

    /// Arms or disarms for the operator. Returns a message for the operator.
    ///
    /// # Errors
    /// Motion cannot be allowed now.
    pub fn set_armed(&self, armed: bool) -> Result<String, ArmingError> {
        self.apply(|state, now| {
            let answer = state.coordinator.teleop.handle_set_armed(now, armed);
            if matches!(answer, Err(ArmingError::PositionUnknown { .. })) {
                // The second call counts only if it was sent after this response.
                state.last_forbidden.note(now, "the response that shows where the arm would go");
            }
            answer
        })
    }

    /// Sends the arm home for the operator. Returns a message for the operator.
    ///
    /// # Errors
    /// The arm cannot go home now.
    pub fn go_home(&self) -> Result<String, ArmingError> {
        self.apply(|state, now| {
            let answer = state.coordinator.teleop.handle_go_home(now)?;
            state.last_forbidden.note(now, "~/go_home");
            Ok(answer)
        })
    }

    /// Sends the arm home because the bridge ends, if `arm.park` is set and the arm is armed. If
    /// the arm goes home, returns the most time that this may take.
    pub fn park(&self) -> Option<Duration> {
        self.apply(|state, now| {
            let teleop = &mut state.coordinator.teleop;
            if !state.config.park || !teleop.is_armed() {
                return None;
            }
            let limit = teleop.time_to_home();
            teleop.handle_go_home(now).ok().map(|_| limit)
        })
    }

    /// Returns whether the arm is on its way home.
    pub fn is_going_home(&self) -> bool {
        self.lock().coordinator.teleop.is_going_home()
    }

    /// Stops the arm for the operator, until [`Bridge::reset`]. After the return, the bridge sends
    /// only the stop line. It writes the stop line before it publishes or logs anything.
    pub fn stop(&self) {
        self.apply(|state, _| state.coordinator.teleop.handle_stop());
    }

    /// Releases a stop and disarms, for the operator. Returns a message for the operator. If
    /// `stop.topic` still demands a stop, the stop is latched again immediately.
    pub fn reset(&self) -> String {
        self.apply(|state, now| {
            let teleop = &mut state.coordinator.teleop;
            let released = teleop.handle_reset();
            teleop.handle_timeout(now);
            teleop.stop_cause().map_or(released, |cause| format!("not released: still {cause}"))
        })
    }

    /// Returns whether a stop is latched.
    pub fn is_stopped(&self) -> bool {
        self.access(|state| state.coordinator.teleop.stop_cause().is_some())
    }

    /// Opens a new connection for the operator.
    pub fn reconnect(&self) {
        self.apply(|state, now| state.coordinator.handle_reconnect(now));
    }

    /// Applies new parameters. On return, all new values are in force for the next command. No
    /// command is sent with only some of the new values. If a parameter of the link has changed,
    /// opens a new connection.
    ///
    /// # Errors
    /// The reason why the parameters cannot change now. In this case nothing has changed.
    pub fn reconfigure(&self, config: &Config) -> Result<(), ReconfigureError> {
        self.apply(|state, now| state.reconfigure(now, config))
    }

    /// Ends motion, then the link. After the return nothing is sent, and the last status has been
    /// observed.
    pub fn shut_down(&self) {
        self.apply(|state, now| state.coordinator.teleop.handle_shutdown(now));
        self.apply(|state, now| state.coordinator.handle_end(now));
    }

    /// Publishes the status even if nothing has changed, and the diagnostics if `diagnostics` is
    /// set.
    pub(super) fn tick(&self, diagnostics: bool) {
        self.access(|state| state.tick(now(), diagnostics));
    }

    /// Returns the next action for the driver task, once.
    pub(super) fn poll_action(&self, now: Instant) -> Option<Action> {
        self.access(|state| state.poll_action(now))
    }

    /// Completes when another thread wakes the driver task.
    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Applies an event to the state, then publishes and logs the results.
    pub(super) fn apply<R>(&self, event: impl FnOnce(&mut State, Instant) -> R) -> R {
        let mut state = self.lock();
        let (result, now) = state.apply(event);
        let wants_driver = state.wants_driver(now);
        self.release(state, wants_driver);
        result
    }

    /// Applies an event, but does not wake the driver task. The driver task checks everything after
    /// each of its own events. If it also woke itself, it would never sleep.
    pub(super) fn apply_from_driver<R>(&self, event: impl FnOnce(&mut State, Instant) -> R) -> R {
        self.access(|state| state.apply(event).0)
    }

    fn access<R>(&self, access: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = access(&mut state);
        self.release(state, false);
        result
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// Frees the state, then publishes and logs. The driver task is woken first, because publishing
    /// may block.
    fn release(&self, state: MutexGuard<'_, State>, wakes_driver: bool) {
        let has_events = !state.pending_events.is_empty();
        drop(state);
        if wakes_driver {
            self.0.wake.notify_one();
        }
        if has_events {
            let mut notifier = lock(&self.0.notifier);
            // Take the events under the notifier's lock, so that they keep their order.
            notifier.take(&mut self.lock().pending_events);
            notifier.notify();
        }
    }
}

/// Locks a mutex even if another thread panicked with it, because a stop request must always be
/// handled.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::OnceLock;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::app::drive;
    use crate::arm::ReportedState;
    use crate::config::{Parameters, Value};
    use crate::status::{SentCommand, Status};

    struct NoObserver;

    impl Observer for NoObserver {}

    #[test]
    fn time_never_goes_back_for_the_state_machines() {
        let bridge = Bridge::new(&Config::new(&Parameters::default()).unwrap(), NoObserver);
        for _ in 0..100 {
            let (sender, receiver) = channel();
            thread::scope(|scope| {
                let state = bridge.lock();
                let other = scope.spawn(|| {
                    sender.send(()).unwrap();
                    bridge.apply(|_, now| now)
                });
                receiver.recv().unwrap();
                let before = now();
                drop(state);
                assert!(other.join().unwrap() >= before);
            });
        }
    }

    /// Records everything that the one thread of a test publishes and logs, and whether the state
    /// was free each time.
    #[derive(Clone, Default)]
    struct Witness(Arc<Notes>);

    #[derive(Default)]
    struct Notes {
        bridge: OnceLock<Bridge>,
        lines: Mutex<Vec<String>>,
        /// The lines that were published or logged while the state was locked.
        locked: Mutex<Vec<String>>,
    }

    impl Witness {
        fn note(&self, line: String) {
            let Self(notes) = self;
            if notes.bridge.get().is_some_and(|bridge| bridge.0.state.try_lock().is_err()) {
                notes.locked.lock().unwrap().push(line.clone());
            }
            notes.lines.lock().unwrap().push(line);
        }

        fn has(&self, words: &str) -> bool {
            self.0.lines.lock().unwrap().iter().any(|line| line.contains(words))
        }
    }

    impl Observer for Witness {
        fn handle_command(&mut self, _: &SentCommand) {
            self.note("published: command".into());
        }
        fn handle_status(&mut self, _: &Status) {
            self.note("published: status".into());
        }
        fn handle_arm_state(&mut self, _: &ReportedState) {
            self.note("published: arm state".into());
        }
        fn handle_diagnostics(&mut self, _: &Status) {
            self.note("published: diagnostics".into());
        }
        fn handle_config(&mut self, _: &Config) {
            self.note("published: config".into());
        }
    }

    impl Subscriber for Witness {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            struct Text(String);
            impl Visit for Text {
                fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                    self.0 += &format!(" {}={value:?}", field.name());
                }
            }
            let mut text = Text("logged:".into());
            event.record(&mut text);
            self.note(text.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    /// The reply of a controller to each line; `None` ends the connection.
    type Answer = fn(&str) -> Option<&'static str>;

    async fn serve(stream: TcpStream, answer: Answer) {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
            let Some(answer) = answer(&line) else { return };
            stream.write_all(answer.as_bytes()).await.unwrap();
            line.clear();
        }
    }

    /// Runs a bridge with a hand and this controller on one thread, until all of `words` have been
    /// published or logged. Checks that the state was free each time.
    async fn assert_state_is_free(settings: &[(&str, Value)], answer: Answer, words: &[&str]) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut parameters = Parameters::default();
        parameters.set("link.port", Value::Integer(port.into())).unwrap();
        parameters.set("teleop.settle_time", Value::Real(0.0)).unwrap();
        parameters.set("arm.assume_position", Value::Text("home".into())).unwrap();
        for (name, value) in settings {
            parameters.set(name, value.clone()).unwrap();
        }
        let config = Config::new(&parameters).unwrap();
        let connects_to_bridge = config.link.role != crate::link::Role::TcpClient;
        let witness = Witness::default();
        let _guard = tracing::subscriber::set_default(witness.clone());
        let bridge = Bridge::new(&config, witness.clone());
        assert!(witness.0.bridge.set(bridge.clone()).is_ok());
        let listener = (!connects_to_bridge).then_some(listener);
        let controller = async {
            loop {
                let stream = match &listener {
                    Some(listener) => listener.accept().await.map(|(stream, _)| stream),
                    None => TcpStream::connect(("127.0.0.1", port)).await,
                };
                match stream {
                    Ok(stream) => serve(stream, answer).await,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let hand = async {
            for step in 0.. {
                tokio::time::sleep(Duration::from_millis(5)).await;
                bridge.handle_target(Target::new(0.2 + f64::from(step % 100) * 1e-4, 0.0, 0.2, None));
                match step % 100 {
                    30 => bridge.handle_target(Err(InputFault::HandNotDetected)),
                    60 => bridge.stop(),
                    65 => {
                        bridge.reset();
                        // The first call only reports what the second call does.
                        bridge.set_armed(true).unwrap_err();
                        bridge.set_armed(true).unwrap();
                    }
                    80 => bridge.reconnect(),
                    90 => drop(bridge.reconfigure(&config)),
                    _ => {}
                }
                if words.iter().all(|words| witness.has(words)) {
                    return;
                }
            }
        };
        let end = async {
            tokio::select! {
                () = controller => {}
                ended = tokio::time::timeout(Duration::from_secs(20), hand) => {
                    let lines = witness.0.lines.lock().unwrap();
                    let missing: Vec<_> = words.iter().filter(|words| !lines.iter().any(|line| line.contains(**words))).collect();
                    assert!(ended.is_ok(), "never {missing:?} among {:#?}", &lines[..lines.len().min(40)]);
                }
            }
        };
        drive(bridge.clone(), end).await;
        assert_eq!(*witness.0.locked.lock().unwrap(), [""; 0], "came while the state was locked");
    }

    #[tokio::test]
    async fn the_state_is_free_during_publishing_and_logging() {
        let text = |text: &str| Value::Text(text.into());
        let answer: Answer = |line| match line {
            line if line.contains("stop") => Some("{\"status\": \"error\", \"message\": \"no stop\"}\n"),
            line if line.contains("heartbeat") => Some("{\"status\": \"error\", \"message\": \"what?\"}\n"),
            line if line.contains("\"x\":203") => Some("{\"status\": \"error\", \"message\": \"no\"}\n"),
            line if line.contains("\"x\":207") => Some("OK\n"),
            _ => Some("{\"status\": \"ok\", \"message\": \"\", \"position\": [200, 0, 200]}\n"),
        };
        let words = [
            "published: command",
            "published: status",
            "published: arm state",
            "published: diagnostics",
            "published: config",
            "sent line=",
            "received message=",
            "link up",
            "link down",
            "input rejected",
            "the controller rejected the stop line",
            "command rejected by the controller",
        ];
        let stop = ("teleop.hold_behavior", text("stop"));
        assert_state_is_free(std::slice::from_ref(&stop), answer, &words).await;
        let settings = [
            stop.clone(),
            ("link.heartbeat.period", Value::Real(0.05)),
            ("link.expect_reply", Value::Boolean(true)),
        ];
        assert_state_is_free(&settings, answer, &["the controller rejected a heartbeat"]).await;
        let settings = [stop.clone(), ("link.expect_reply", Value::Boolean(false))];
        assert_state_is_free(&settings, |_| Some("OK\n"), &["ignored error=", "sent line="]).await;
        let settings = [stop, ("link.transport", text("tcp_server"))];
        let words = ["listening for controllers", "controller connected", "controller gone"];
        assert_state_is_free(
            &settings,
            |line| (!line.contains("stop")).then_some("{\"status\": \"ok\"}\n"),
            &words,
        )
        .await;
    }
}
