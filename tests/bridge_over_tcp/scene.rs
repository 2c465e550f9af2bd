//! The whole bridge without ROS, driven over real sockets, and a hand.
#![allow(clippy::disallowed_methods)] // the hand's pace

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_bridge::app::{Bridge, SleepClocks, drive_over};
use aether_bridge::arm::ReportedState;
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::link::{LinkState, Network, System};
use aether_bridge::status::{Observer, SentCommand, Status};
use aether_bridge::teleop::{Motion, Target};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The time limit for expected events. These tests do not check how fast they come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running bridge, a hand that can be moved, and the observed events.
pub struct Scene {
    pub bridge: Bridge,
    pub news: watch::Receiver<Option<Status>>,
    pub observed: Arc<Mutex<Observed>>,
    hand: watch::Sender<Option<[f64; 3]>>,
    tasks: Vec<JoinHandle<()>>,
    end: Option<oneshot::Sender<()>>,
}

#[derive(Default)]
pub struct Observed {
    pub commands: Vec<SentCommand>,
    pub arm_states: Vec<ReportedState>,
    pub link_states: Vec<LinkState>,
}

struct Recorder {
    news: watch::Sender<Option<Status>>,
    observed: Arc<Mutex<Observed>>,
}

impl Observer for Recorder {
    fn handle_command(&mut self, command: &SentCommand) {
        self.observed.lock().unwrap().commands.push(*command);
    }

    fn handle_status(&mut self, status: &Status) {
        let mut observed = self.observed.lock().unwrap();
        if observed.link_states.last() != Some(&status.state) {
            observed.link_states.push(status.state);
        }
        self.news.send_replace(Some(status.clone()));
    }

    fn handle_arm_state(&mut self, state: &ReportedState) {
        self.observed.lock().unwrap().arm_states.push(state.clone());
    }
}

impl Scene {
    /// Starts a bridge with a controller that does not report positions. The arm is assumed at
    /// home.
    pub fn start(port: u16, settings: &[(&str, Value)]) -> Self {
        Self::over(System, port, settings)
    }

    /// Starts a bridge with a controller that replies to a heartbeat with the position of its arm.
    pub fn start_asking(port: u16, settings: &[(&str, Value)]) -> Self {
        let asking = [
            ("arm.assume_position", Value::Text("none".into())),
            // A position request is the only heartbeat of a test.
            ("link.heartbeat.period", Value::Real(60.0)),
        ];
        Self::start(port, &[&asking, settings].concat())
    }

    pub fn over(network: impl Network + 'static, port: u16, settings: &[(&str, Value)]) -> Self {
        Self::with(network, port, settings, Bridge::new)
    }

    /// Starts a bridge with other clocks, which show a sleep.
    pub fn by_clocks(clocks: impl SleepClocks + 'static, port: u16, settings: &[(&str, Value)]) -> Self {
        Self::with(System, port, settings, |config, recorder| Bridge::with_clocks(config, recorder, clocks))
    }

    fn with(
        network: impl Network + 'static,
        port: u16,
        settings: &[(&str, Value)],
        new_bridge: impl FnOnce(&Config, Recorder) -> Bridge,
    ) -> Self {
        let own = [
            ("link.port", Value::Integer(port.into())),
            ("teleop.settle_time", Value::Real(0.1)),
            ("arm.assume_position", Value::Text("home".into())),
        ];
        let config = Config::new(&Parameters::with(&[&own, settings].concat()).unwrap()).unwrap();
        let (sender, news) = watch::channel(None);
        let observed = Arc::new(Mutex::new(Observed::default()));
        let bridge = new_bridge(&config, Recorder { news: sender, observed: Arc::clone(&observed) });
        let (end, ended) = oneshot::channel::<()>();
        let (hand, mut place) = watch::channel(None::<[f64; 3]>);
        let driver = tokio::spawn({
            let bridge = bridge.clone();
            async move { drive_over(bridge, network, async { drop(ended.await) }).await }
        });
        let mover = tokio::spawn({
            let bridge = bridge.clone();
            async move {
                let mut ticks = tokio::time::interval(Duration::from_millis(10));
                loop {
                    ticks.tick().await;
                    let now = *place.borrow_and_update();
                    if let Some([x, y, z]) = now {
                        bridge.handle_target(Target::new(x, y, z, None));
                    }
                }
            }
        });
        Self { bridge, news, observed, hand, tasks: vec![driver, mover], end: Some(end) }
    }

    /// Returns the next status that fulfils the condition.
    pub async fn until(&mut self, what: &str, condition: impl Fn(&Status) -> bool) -> Status {
        let wanted = self.news.wait_for(|status| status.as_ref().is_some_and(&condition));
        let status = timeout(PATIENCE, wanted).await.map(|found| found.unwrap().clone());
        status.unwrap_or_else(|_| panic!("never {what}; last: {:?}", self.news.borrow())).unwrap()
    }

    /// Returns the next status, which is published within half a second.
    pub async fn next_status(&mut self) -> Status {
        self.news.mark_unchanged();
        timeout(PATIENCE, self.news.changed()).await.expect("no status was published").unwrap();
        self.news.borrow().clone().unwrap()
    }

    /// Returns how many commands the bridge has published.
    pub fn command_count(&self) -> usize {
        self.observed.lock().unwrap().commands.len()
    }

    pub fn move_hand(&self, place: Option<[f64; 3]>) {
        self.hand.send_replace(place);
    }

    pub async fn tracking(&mut self) {
        self.until("tracking", |status| status.motion == Motion::Tracking).await;
    }

    pub async fn shut_down(&mut self) {
        drop(self.end.take());
        let driver = self.tasks.remove(0);
        timeout(PATIENCE, driver).await.expect("the driver task did not end").unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
