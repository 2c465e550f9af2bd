//! A request to move the arm is valid only if it was sent after the event that it would undo, and
//! after the response that it would confirm. In virtual time.

use std::time::Duration;

use aether_bridge::app::Bridge;

use super::memory::{advance, following};

/// Returns why a request that was sent this long ago is rejected.
fn rejection(bridge: &Bridge, milliseconds: i64) -> Option<String> {
    bridge.judge_request(milliseconds * 1_000_000, Duration::ZERO).err().map(|stale| stale.to_string())
}

#[tokio::test(start_paused = true)]
async fn request_before_a_way_home_is_rejected() {
    let (scene, _controller) = following(&[]).await;
    scene.bridge.go_home().unwrap();
    advance(Duration::from_millis(500));
    assert!(rejection(&scene.bridge, 501).is_some_and(|text| text.contains("before ~/go_home")));
    assert_eq!(rejection(&scene.bridge, 499), None);
}

#[tokio::test(start_paused = true)]
async fn rejected_way_home_makes_no_request_stale() {
    let (scene, _controller) = following(&[]).await;
    scene.bridge.stop();
    advance(Duration::from_millis(500));
    scene.bridge.go_home().unwrap_err();
    assert_eq!(rejection(&scene.bridge, 499), None);
}

#[tokio::test(start_paused = true)]
async fn second_call_before_first_response_is_rejected() {
    let (scene, _controller) = following(&[]).await;
    // The controller does not report the position of its arm.
    scene.bridge.set_armed(false).unwrap();
    advance(Duration::from_secs(1));
    scene.bridge.set_armed(true).unwrap_err();
    advance(Duration::from_millis(500));
    let text = rejection(&scene.bridge, 501).unwrap();
    assert!(text.contains("before the response that shows where the arm would go"), "{text}");
    assert_eq!(rejection(&scene.bridge, 499), None);
    scene.bridge.set_armed(true).unwrap();
}
