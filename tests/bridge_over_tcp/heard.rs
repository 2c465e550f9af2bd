//! What a controller has said is heard before it is told anything, by the thread that tells it. In virtual time, in which the
//! driver gets to do something only where a test waits.
#![allow(clippy::disallowed_methods)] // virtual

use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::link::LinkState;

use super::memory::{Controller, OK, STATE, advance, following, target};
use super::scene::Scene;

/// A bridge with room for a command: all that was told has been answered.
async fn with_room() -> (Scene, Controller) {
    let settings =
        [("wire.accept_state", Value::Boolean(true)), ("teleop.hold_behavior", Value::Text("stop".into()))];
    let (mut scene, controller) = following(&settings).await;
    scene.until("answered", |status| status.sent == status.acknowledged).await;
    advance(Duration::from_millis(50));
    (scene, controller)
}

/// The link was given up, for an answer to nothing.
fn assert_unasked(scene: &mut Scene) {
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Backoff, "{status:?}");
    assert!(status.last_error.contains("no command was waiting for"), "{}", status.last_error);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_asked_for_does_not_pass_for_that_to_the_next_command() {
    let (mut scene, controller) = with_room().await;
    let told = scene.told();
    controller.say(OK);
    target(&scene.bridge, 0.201);
    assert_eq!(scene.told(), told, "a command was sent that was answered before");
    assert_unasked(&mut scene);
}

#[tokio::test(start_paused = true)]
async fn nor_if_much_else_was_said_before_it() {
    let (mut scene, controller) = with_room().await;
    let told = scene.told();
    for _ in 0..3 {
        controller.say(&STATE.repeat(70));
    }
    controller.say(OK);
    target(&scene.bridge, 0.201);
    assert_eq!(scene.told(), told, "a command was sent that was answered before");
    assert_unasked(&mut scene);
}

#[tokio::test(start_paused = true)]
async fn nor_if_only_its_beginning_came_before_the_command() {
    for (begun, rest) in [(&OK[..1], &OK[1..]), (&OK[..20], &OK[20..])] {
        let (mut scene, controller) = with_room().await;
        let told = scene.told();
        controller.set_mute();
        controller.say(begun);
        target(&scene.bridge, 0.201);
        assert_eq!(scene.told(), told + 1, "half a word keeps a command");
        controller.say(rest);
        target(&scene.bridge, 0.202);
        assert_unasked(&mut scene);
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_may_begin_before_a_command_and_end_after_it() {
    let (mut scene, controller) = with_room().await;
    let told = scene.told();
    controller.set_mute();
    controller.say(&STATE[..20]);
    target(&scene.bridge, 0.201);
    controller.say(&[&STATE[20..], OK].concat());
    advance(Duration::from_millis(50));
    target(&scene.bridge, 0.202);
    assert_eq!(scene.told(), told + 2);
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Connected, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_an_answer_without_its_newline_is_no_answer() {
    let (mut scene, controller) = with_room().await;
    let told = scene.told();
    controller.set_mute();
    let (whole, newline) = OK.split_at(OK.len() - 1);
    for place in 1..=5 {
        target(&scene.bridge, 0.2 + f64::from(place) * 1e-3);
        controller.say(whole);
        advance(Duration::from_millis(50));
        target(&scene.bridge, 0.2 + f64::from(place) * 1e-3);
        controller.say(newline);
        advance(Duration::from_millis(50));
    }
    assert!(scene.told() > told + 5, "{} commands", scene.told() - told);
    let status = scene.news.borrow_and_update().clone().unwrap();
    assert_eq!(status.state, LinkState::Connected, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_has_left_is_told_nothing() {
    for last_words in [&b""[..], STATE] {
        let (mut scene, controller) = with_room().await;
        let told = scene.told();
        if !last_words.is_empty() {
            controller.say(last_words);
        }
        controller.leave();
        target(&scene.bridge, 0.201);
        assert_eq!(scene.told(), told, "a command was sent to nobody");
        let status = scene.news.borrow_and_update().clone().unwrap();
        assert_eq!(status.last_error, "the controller closed the connection");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_heard_before_a_command_keeps_that_command() {
    let (scene, controller) = with_room().await;
    let told = scene.told();
    controller.say(b"{\"type\": \"state\", \"position\": [200.0, 0.0, 200.0], \"fault\": \"overload\"}\n");
    target(&scene.bridge, 0.201);
    assert_eq!(scene.told(), told, "a command was sent after a fault was heard");
}

#[tokio::test(start_paused = true)]
async fn one_that_talks_without_end_is_told_no_more_than_a_stop() {
    let (scene, controller) = with_room().await;
    let (told, written) = (scene.told(), controller.written().len());
    controller.set_talkative();
    target(&scene.bridge, 0.201);
    assert_eq!(
        (scene.told(), controller.written().len()),
        (told, written),
        "who knows what is still to be heard?"
    );
    scene.bridge.stop();
    assert_eq!((scene.told(), controller.written().len()), (told, written + 1), "the stop waits");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_twice_does_not_answer_the_next_command() {
    // Together with the reply, in a segment of its own, and with the newline missing from the first.
    let together = [OK, OK].concat();
    for (first, second) in [(&together[..], &b""[..]), (OK, OK), (OK.trim_ascii_end(), OK)] {
        let (mut scene, controller) = with_room().await;
        controller.set_mute();
        let told = scene.told();
        target(&scene.bridge, 0.201);
        assert_eq!(scene.told(), told + 1);
        let acknowledged = scene.news.borrow().clone().unwrap().acknowledged;
        controller.say(first);
        if !second.is_empty() {
            controller.say(second);
        }
        advance(Duration::from_millis(50));
        target(&scene.bridge, 0.202);
        assert_eq!(
            scene.told(),
            told + 1,
            "a command was sent that was answered before: {first:?}, {second:?}"
        );
        assert_unasked(&mut scene);
        let status = scene.news.borrow().clone().unwrap();
        assert_eq!(status.acknowledged, acknowledged + 1, "{first:?}, {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_reply_after_the_next_command_ends_the_connection_one_reply_later() {
    let (mut scene, controller) = with_room().await;
    controller.set_mute();
    for x in [0.201, 0.202] {
        target(&scene.bridge, x);
        controller.say(OK);
        advance(Duration::from_millis(50));
    }
    let told = scene.told();
    target(&scene.bridge, 0.203);
    // That was the answer to the last command, a second time. This is the one to this command.
    controller.say(OK);
    advance(Duration::from_millis(5));
    controller.say(OK);
    advance(Duration::from_millis(50));
    target(&scene.bridge, 0.204);
    assert_eq!(scene.told(), told + 1);
    assert_unasked(&mut scene);
}
