//! A laptop that sleeps during motion.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aether_bridge::app::SleepClocks;
use aether_bridge::config::Value;
use aether_bridge::link::LinkState;
use aether_bridge::teleop::Motion;
use aether_sim::{ArmSim, ArmSimConfig};

use super::scene::Scene;

/// Clocks that show how long the computer has slept, as set by the test.
#[derive(Clone, Default)]
struct Slept(Arc<Mutex<Duration>>);

impl SleepClocks for Slept {
    fn read(&self) -> (Duration, Duration) {
        (*self.0.lock().unwrap(), Duration::ZERO)
    }
}

#[tokio::test]
async fn after_a_sleep_bridge_holds_reconnects_and_settles() {
    let sim = ArmSim::start(ArmSimConfig { report_state: true, ..ArmSimConfig::default() }).await.unwrap();
    let slept = Slept::default();
    let settle = ("teleop.settle_time", Value::Real(0.5));
    let asks = ("link.heartbeat.period", Value::Real(60.0));
    let mut scene = Scene::by_clocks(slept.clone(), sim.local_addr().port(), &[settle, asks]);
    scene.move_hand(Some([0.2, 0.0, 0.2]));
    scene.tracking().await;
    *slept.0.lock().unwrap() += Duration::from_secs(60);
    let status = scene.until("a new link", |status| status.motion == Motion::Holding).await;
    assert!(status.reason.contains("this computer slept for 60.0 s"), "{}", status.reason);
    scene.until("connected", |status| status.state == LinkState::Connected).await;
    scene.until("settling", |status| status.reason.contains("waiting until targets have been good")).await;
    scene.tracking().await;
    assert_eq!(sim.record().connections.len(), 2);
    // While the hand is away, the time asleep counts as absence, too.
    scene.move_hand(None);
    *slept.0.lock().unwrap() += Duration::from_secs(300);
    let status = scene.until("disarmed", |status| status.motion == Motion::Disarmed).await;
    assert!(status.reason.contains("teleop.rearm_after 300 s"), "{}", status.reason);
    scene.shut_down().await;
}
