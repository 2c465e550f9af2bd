//! A bridge that the system has let wait: in the middle of a write, or one thread longer than the other. In virtual time.
#![allow(clippy::disallowed_methods)] // virtual
use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::geometry::Position;
use aether_bridge::link::LinkState;
use aether_bridge::teleop::{CommandKind, Motion};

use super::memory::{advance, following, target};

#[tokio::test(start_paused = true)]
async fn a_line_that_was_long_on_its_way_out_is_not_followed_as_if_it_had_gone_at_once() {
    let settings = [("teleop.command_rate", Value::Integer(0)), ("limits.acceleration", Value::Real(100.0))];
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
    let (scene, controller) = following(&[("link.reply_timeout", Value::Real(0.5))]).await;
    advance(Duration::from_millis(50));
    controller.set_writing(500);
    target(&scene.bridge, 0.201);
    let status = scene.news.borrow().clone().unwrap();
    assert_eq!((status.state, status.motion), (LinkState::Unresponsive, Motion::Holding), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_the_driver_finds_too_late_is_too_late() {
    let (mut scene, controller) = following(&[("link.reply_timeout", Value::Real(0.5))]).await;
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
    let (scene, _controller) = following(&[("input.timeout", Value::Real(0.4))]).await;
    advance(Duration::from_millis(400));
    target(&scene.bridge, 0.201);
    let last = scene.heard.lock().unwrap().commands.last().copied().unwrap();
    assert_eq!(last.planned.kind, CommandKind::Approach, "{last:?}");
}
