//! Before each line, the sending thread reads all pending replies. In virtual time: the driver task
//! runs only where a test waits.
#![allow(clippy::disallowed_methods)] // virtual

use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::link::LinkState;

use super::memory::{Controller, OK, STATE, advance, following, target};
use super::scene::Scene;

/// Returns a bridge that may send a command: every command has its reply.
async fn with_room() -> (Scene, Controller) {
    let settings =
        [("wire.accept_state", Value::Boolean(true)), ("teleop.hold_behavior", Value::Text("stop".into()))];
    let (mut scene, controller) = following(&settings).await;
    scene.until("answered", |status| status.sent == status.acknowledged).await;
    advance(Duration::from_millis(50));
    (scene, controller)
}

/// Checks that the link dropped the connection because of an unsolicited reply.
fn assert_unsolicited(scene: &mut Scene) {
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Backoff, "{status:?}");
    assert!(status.last_error.contains("no command was waiting for"), "{}", status.last_error);
}

#[tokio::test(start_paused = true)]
async fn unsolicited_reply_is_not_matched_to_next_command() {
    let (mut scene, controller) = with_room().await;
    let sent = scene.command_count();
    controller.send(OK);
    target(&scene.bridge, 0.201);
    assert_eq!(scene.command_count(), sent, "a command was sent before its reply was read");
    assert_unsolicited(&mut scene);
}

#[tokio::test(start_paused = true)]
async fn unsolicited_reply_after_many_states_is_not_matched() {
    let (mut scene, controller) = with_room().await;
    let sent = scene.command_count();
    for _ in 0..3 {
        controller.send(&STATE.repeat(70));
    }
    controller.send(OK);
    target(&scene.bridge, 0.201);
    assert_eq!(scene.command_count(), sent, "a command was sent before its reply was read");
    assert_unsolicited(&mut scene);
}

#[tokio::test(start_paused = true)]
async fn unsolicited_reply_begun_before_command_is_not_matched() {
    for (begun, rest) in [(&OK[..1], &OK[1..]), (&OK[..20], &OK[20..])] {
        let (mut scene, controller) = with_room().await;
        let sent = scene.command_count();
        controller.set_mute();
        controller.send(begun);
        target(&scene.bridge, 0.201);
        assert_eq!(scene.command_count(), sent + 1, "half a reply prevents a command");
        controller.send(rest);
        target(&scene.bridge, 0.202);
        assert_unsolicited(&mut scene);
    }
}

#[tokio::test(start_paused = true)]
async fn state_may_begin_before_a_command() {
    let (mut scene, controller) = with_room().await;
    let sent = scene.command_count();
    controller.set_mute();
    controller.send(&STATE[..20]);
    target(&scene.bridge, 0.201);
    controller.send(&[&STATE[20..], OK].concat());
    advance(Duration::from_millis(50));
    target(&scene.bridge, 0.202);
    assert_eq!(scene.command_count(), sent + 2);
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Connected, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn late_newline_of_a_reply_is_ignored() {
    let (mut scene, controller) = with_room().await;
    let sent = scene.command_count();
    controller.set_mute();
    let (whole, newline) = OK.split_at(OK.len() - 1);
    for place in 1..=5 {
        target(&scene.bridge, 0.2 + f64::from(place) * 1e-3);
        controller.send(whole);
        advance(Duration::from_millis(50));
        target(&scene.bridge, 0.2 + f64::from(place) * 1e-3);
        controller.send(newline);
        advance(Duration::from_millis(50));
    }
    assert!(scene.command_count() > sent + 5, "{} commands", scene.command_count() - sent);
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Connected, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn closed_connection_receives_no_command() {
    for last_words in [&b""[..], STATE] {
        let (mut scene, controller) = with_room().await;
        let sent = scene.command_count();
        if !last_words.is_empty() {
            controller.send(last_words);
        }
        controller.leave();
        target(&scene.bridge, 0.201);
        assert_eq!(scene.command_count(), sent, "a command was sent to a closed connection");
        let status = scene.news.borrow_and_update().clone().unwrap();
        assert_eq!(status.last_error, "the controller closed the connection");
    }
}

#[tokio::test(start_paused = true)]
async fn pending_fault_prevents_the_next_command() {
    let (scene, controller) = with_room().await;
    let sent = scene.command_count();
    controller.send(b"{\"type\": \"state\", \"position\": [200.0, 0.0, 200.0], \"fault\": \"overload\"}\n");
    target(&scene.bridge, 0.201);
    assert_eq!(scene.command_count(), sent, "a command was sent after a fault");
}

#[tokio::test(start_paused = true)]
async fn flooding_controller_receives_only_a_stop() {
    let (scene, controller) = with_room().await;
    let (sent, written) = (scene.command_count(), controller.written().len());
    controller.set_flooding();
    target(&scene.bridge, 0.201);
    assert_eq!(
        (scene.command_count(), controller.written().len()),
        (sent, written),
        "a command was sent before all input was read"
    );
    scene.bridge.stop();
    assert_eq!((scene.command_count(), controller.written().len()), (sent, written + 1), "the stop waits");
}

#[tokio::test(start_paused = true)]
async fn duplicate_reply_is_not_matched_to_next_command() {
    // Together with the first reply, in a separate segment, and after a first reply without its
    // newline.
    let together = [OK, OK].concat();
    for (first, second) in [(&together[..], &b""[..]), (OK, OK), (OK.trim_ascii_end(), OK)] {
        let (mut scene, controller) = with_room().await;
        controller.set_mute();
        let sent = scene.command_count();
        target(&scene.bridge, 0.201);
        assert_eq!(scene.command_count(), sent + 1);
        let acknowledged = scene.news.borrow().clone().unwrap().acknowledged;
        controller.send(first);
        if !second.is_empty() {
            controller.send(second);
        }
        advance(Duration::from_millis(50));
        target(&scene.bridge, 0.202);
        assert_eq!(
            scene.command_count(),
            sent + 1,
            "an unsolicited reply was matched to a command: {first:?}, {second:?}"
        );
        assert_unsolicited(&mut scene);
        let status = scene.news.borrow().clone().unwrap();
        assert_eq!(status.acknowledged, acknowledged + 1, "{first:?}, {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn late_duplicate_reply_ends_connection_one_reply_later() {
    let (mut scene, controller) = with_room().await;
    controller.set_mute();
    for x in [0.201, 0.202] {
        target(&scene.bridge, x);
        controller.send(OK);
        advance(Duration::from_millis(50));
    }
    let sent = scene.command_count();
    target(&scene.bridge, 0.203);
    // The first OK is a duplicate of the last reply. The second OK is the reply to this command.
    controller.send(OK);
    advance(Duration::from_millis(5));
    controller.send(OK);
    advance(Duration::from_millis(50));
    target(&scene.bridge, 0.204);
    assert_eq!(scene.command_count(), sent + 1);
    assert_unsolicited(&mut scene);
}
