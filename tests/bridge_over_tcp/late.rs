//! A bridge that the system has suspended: during a write, or one thread longer than the other. In
//! virtual time.
#![allow(clippy::disallowed_methods)] // virtual
use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::geometry::Position;
use aether_bridge::link::LinkState;
use aether_bridge::teleop::{CommandKind, Motion};

use super::memory::{advance, following, target};

#[tokio::test(start_paused = true)]
async fn steps_stay_limited_after_slow_writes() {
    let settings = [("teleop.command_rate", Value::Integer(0)), ("limits.acceleration", Value::Real(100.0))];
    let (scene, controller) = following(&settings).await;
    let before = scene.command_count();
    assert_eq!(before, controller.written().len());
    for writing in [0, 6, 0, 0, 15, 1, 0, 3, 9, 0].repeat(10) {
        controller.set_writing(writing);
        advance(Duration::from_millis(2));
        target(&scene.bridge, 0.29);
    }
    let commands = scene.observed.lock().unwrap().commands.clone();
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
async fn reply_timeout_starts_before_the_write() {
    let (scene, controller) = following(&[("link.reply_timeout", Value::Real(0.5))]).await;
    advance(Duration::from_millis(50));
    controller.set_writing(500);
    target(&scene.bridge, 0.201);
    let status = scene.news.borrow().clone().unwrap();
    assert_eq!((status.state, status.motion), (LinkState::Unresponsive, Motion::Holding), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn reply_read_late_by_driver_counts_as_late() {
    let (mut scene, controller) = following(&[("link.reply_timeout", Value::Real(0.5))]).await;
    advance(Duration::from_millis(50));
    controller.set_silent(true);
    target(&scene.bridge, 0.201);
    advance(Duration::from_millis(500));
    controller.set_silent(false);
    scene.until("answered", |status| status.sent == status.acknowledged).await;
    let states = scene.observed.lock().unwrap().link_states.clone();
    assert!(states.ends_with(&[LinkState::Unresponsive, LinkState::Connected]), "{states:?}");
}

#[tokio::test(start_paused = true)]
async fn target_after_a_gap_is_approached_without_timer() {
    let (scene, _controller) = following(&[("input.timeout", Value::Real(0.4))]).await;
    advance(Duration::from_millis(400));
    target(&scene.bridge, 0.201);
    let last = scene.observed.lock().unwrap().commands.last().copied().unwrap();
    assert_eq!(last.planned.kind, CommandKind::Approach, "{last:?}");
}
