//! The whole bridge but ROS, driven over real sockets, and a hand.
#![allow(clippy::disallowed_methods)] // the hand's pace

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_bridge::app::{Bridge, drive_over};
use aether_bridge::arm::ReportedState;
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::link::{LinkState, Network, System};
use aether_bridge::status::{Observer, SentCommand, Status};
use aether_bridge::teleop::{Motion, Target};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// For what must happen; how soon is not these tests' business.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A bridge that is driven, a hand that can be moved, and what the bridge tells.
pub struct Scene {
    pub bridge: Bridge,
    pub news: watch::Receiver<Option<Status>>,
    pub heard: Arc<Mutex<Heard>>,
    hand: watch::Sender<Option<[f64; 3]>>,
    tasks: Vec<JoinHandle<()>>,
    end: Option<oneshot::Sender<()>>,
}

#[derive(Default)]
pub struct Heard {
    pub commands: Vec<SentCommand>,
    pub arm_states: Vec<ReportedState>,
    pub link_states: Vec<LinkState>,
}

struct Ear {
    news: watch::Sender<Option<Status>>,
    heard: Arc<Mutex<Heard>>,
}

impl Observer for Ear {
    fn handle_command(&mut self, command: &SentCommand) {
        self.heard.lock().unwrap().commands.push(*command);
    }

    fn handle_status(&mut self, status: &Status) {
        let mut heard = self.heard.lock().unwrap();
        if heard.link_states.last() != Some(&status.state) {
            heard.link_states.push(status.state);
        }
        self.news.send_replace(Some(status.clone()));
    }

    fn handle_arm_state(&mut self, state: &ReportedState) {
        self.heard.lock().unwrap().arm_states.push(state.clone());
    }
}

impl Scene {
    /// Starts a bridge to a plain controller, whose arm stands at home.
    pub fn start(port: u16, settings: &[(&str, Value)]) -> Self {
        Self::over(System, port, settings)
    }

    /// Starts a bridge to a controller that answers a heartbeat with where its arm is.
    pub fn start_asking(port: u16, settings: &[(&str, Value)]) -> Self {
        let asking = [
            ("arm.assume_position", Value::Text("none".into())),
            // The question is the only heartbeat of a test.
            ("link.heartbeat.period", Value::Real(60.0)),
        ];
        Self::start(port, &[&asking, settings].concat())
    }

    pub fn over(network: impl Network + 'static, port: u16, settings: &[(&str, Value)]) -> Self {
        let own = [
            ("link.port", Value::Integer(port.into())),
            ("teleop.settle_time", Value::Real(0.1)),
            ("arm.assume_position", Value::Text("home".into())),
        ];
        let config = Config::new(&Parameters::with(&[&own, settings].concat()).unwrap()).unwrap();
        let (tell, news) = watch::channel(None);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let bridge = Bridge::new(&config, Ear { news: tell, heard: Arc::clone(&heard) });
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
        Self { bridge, news, heard, hand, tasks: vec![driver, mover], end: Some(end) }
    }

    /// The next status that fulfils a condition.
    pub async fn until(&mut self, what: &str, condition: impl Fn(&Status) -> bool) -> Status {
        let wanted = self.news.wait_for(|status| status.as_ref().is_some_and(&condition));
        let status = timeout(PATIENCE, wanted).await.map(|found| found.unwrap().clone());
        status.unwrap_or_else(|_| panic!("never {what}; last: {:?}", self.news.borrow())).unwrap()
    }

    /// What is told next, in half a second at the latest.
    pub async fn next_status(&mut self) -> Status {
        self.news.mark_unchanged();
        timeout(PATIENCE, self.news.changed()).await.expect("nothing is told").unwrap();
        self.news.borrow().clone().unwrap()
    }

    /// How many commands the bridge has told of.
    pub fn told(&self) -> usize {
        self.heard.lock().unwrap().commands.len()
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
        timeout(PATIENCE, driver).await.expect("it never ended").unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
