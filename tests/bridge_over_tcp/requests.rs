//! A request to move the arm holds only if it was sent after what it would undo, and after the answer that it would confirm. In
//! virtual time.

use std::time::Duration;

use aether_bridge::app::Bridge;

use super::memory::{advance, following};

/// Why a request is refused that was sent so many milliseconds ago.
fn refusal(bridge: &Bridge, milliseconds: i64) -> Option<String> {
    bridge.judge_request(milliseconds * 1_000_000, Duration::ZERO).err().map(|stale| stale.to_string())
}

#[tokio::test(start_paused = true)]
async fn request_from_before_a_way_home_is_refused() {
    let (scene, _controller) = following(&[]).await;
    scene.bridge.go_home().unwrap();
    advance(Duration::from_millis(500));
    assert!(refusal(&scene.bridge, 501).is_some_and(|refused| refused.contains("before ~/go_home")));
    assert_eq!(refusal(&scene.bridge, 499), None);
}

#[tokio::test(start_paused = true)]
async fn refused_way_home_makes_no_request_stale() {
    let (scene, _controller) = following(&[]).await;
    scene.bridge.stop();
    advance(Duration::from_millis(500));
    scene.bridge.go_home().unwrap_err();
    assert_eq!(refusal(&scene.bridge, 499), None);
}

#[tokio::test(start_paused = true)]
async fn second_call_from_before_the_first_answer_is_refused() {
    let (scene, _controller) = following(&[]).await;
    // The controller does not report where its arm is.
    scene.bridge.set_armed(false).unwrap();
    advance(Duration::from_secs(1));
    scene.bridge.set_armed(true).unwrap_err();
    advance(Duration::from_millis(500));
    let refused = refusal(&scene.bridge, 501).unwrap();
    assert!(refused.contains("before the answer that says where the arm would go"), "{refused}");
    assert_eq!(refusal(&scene.bridge, 499), None);
    scene.bridge.set_armed(true).unwrap();
}
