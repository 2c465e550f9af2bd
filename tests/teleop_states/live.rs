//! Other settings while running.

use aether_bridge::config::Value;
use aether_bridge::teleop::{LinkView, Motion, TeleopConfigError};

use crate::BRISK;
use crate::scene::{Scene, at, config, text};

fn set(scene: &mut Scene, settings: &[(&str, Value)]) {
    let config = config(settings);
    scene.teleop.check_config(&config).unwrap();
    scene.teleop.handle_config(scene.now, config);
}

/// The speeds between successive commands from `first` on, in m/s.
fn speeds(scene: &Scene, first: usize) -> Vec<f64> {
    let sent = &scene.sent[first..];
    sent.windows(2)
        .map(|pair| {
            let moved = pair[0].1.command.position.distance(pair[1].1.command.position);
            moved / (pair[1].0 - pair[0].0).as_secs_f64()
        })
        .collect()
}

#[test]
fn a_tighter_speed_limit_holds_from_the_next_command_on() {
    let mut scene = Scene::tracking(&[BRISK]);
    scene.hand = [0.29, 0.0, 0.2];
    scene.move_for(100);
    assert!(speeds(&scene, 0).last().is_some_and(|speed| *speed > 0.249));
    let count = scene.sent.len();
    set(&mut scene, &[BRISK, ("limits.speed", Value::Real(0.1))]);
    scene.move_for(100);
    assert!(
        speeds(&scene, count - 1).iter().all(|speed| *speed <= 0.1001),
        "{:?}",
        speeds(&scene, count - 1)
    );
}

#[test]
fn a_tighter_workspace_moves_the_goal_and_what_would_exclude_the_arm_is_refused() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.29, 0.0, 0.2];
    while scene.positions().last().is_none_or(|position| position.coordinates()[0] < 0.235) {
        scene.move_for(10);
    }
    let count = scene.sent.len();
    let x_max = |x: f64| ("workspace.max", Value::Reals(vec![x, 0.3, 0.4]));
    set(&mut scene, &[x_max(0.25)]);
    // Though no target has come since.
    scene.wait(180);
    assert_eq!(*scene.positions().last().unwrap(), at(0.25, 0.0, 0.2));
    assert!(scene.sent[count..].iter().all(|(_, planned)| planned.clamped));
    scene.move_for(1000);
    assert!(scene.positions().iter().all(|position| position.coordinates()[0] <= 0.25));
    let home = ("arm.home", Value::Reals(vec![0.1, 0.0, 0.2]));
    let refused = scene.teleop.check_config(&config(&[x_max(0.24), home.clone()])).unwrap_err();
    assert_eq!(refused, TeleopConfigError::WorkspaceExcludesArm { position: at(0.25, 0.0, 0.2) });
    assert!(refused.to_string().contains("[0.250, 0.000, 0.200] m"), "{refused}");
    // Disarmed it is where it was told to be last, too.
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    assert!(scene.teleop.check_config(&config(&[x_max(0.24), home])).is_err());
}

#[test]
fn a_goal_that_a_tighter_workspace_rejects_is_given_up() {
    let reject = ("workspace.policy", text("reject"));
    let mut scene = Scene::tracking(std::slice::from_ref(&reject));
    scene.hand = [0.29, 0.0, 0.2];
    scene.move_for(100);
    set(&mut scene, &[reject, ("workspace.max", Value::Reals(vec![0.25, 0.3, 0.4]))]);
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(scene.reason().contains("[0.290, 0.000, 0.200] m"), "{}", scene.reason());
}

#[test]
fn an_arm_that_is_outside_already_may_be_given_room() {
    let mut scene = Scene::new(&[]);
    scene.arm = at(0.5, 0.0, 0.2);
    scene.link(LinkView::Ready);
    scene.move_for(1500);
    assert_eq!(scene.motion(), Motion::Disarmed);
    set(&mut scene, &[("workspace.max", Value::Reals(vec![0.45, 0.3, 0.4]))]);
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Disarmed);
    set(&mut scene, &[("workspace.max", Value::Reals(vec![0.6, 0.3, 0.4]))]);
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Approach);
}

#[test]
fn another_filter_begins_with_the_next_sample() {
    let mut scene = Scene::tracking(&[("filter.kind", text("one_euro")), ("filter.beta", Value::Real(0.0))]);
    scene.hand = [0.21, 0.0, 0.2];
    scene.move_for(500);
    assert!(scene.positions().last().unwrap().coordinates()[0] < 0.205);
    set(&mut scene, &[]);
    scene.move_for(500);
    assert_eq!(*scene.positions().last().unwrap(), at(0.21, 0.0, 0.2));
}

#[test]
fn a_filter_that_is_switched_on_again_knows_nothing_of_before() {
    let one_euro = ("filter.kind", text("one_euro"));
    let mut scene = Scene::tracking(std::slice::from_ref(&one_euro));
    set(&mut scene, &[]);
    scene.hand = [0.25, 0.0, 0.2];
    scene.move_for(1500);
    set(&mut scene, &[one_euro]);
    scene.move_for(300);
    assert!(scene.positions().iter().rev().take(5).all(|position| *position == at(0.25, 0.0, 0.2)));
}

#[test]
fn setting_who_arms_takes_back_what_nobody_has_made_use_of_and_never_arms() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    set(&mut scene, &[("teleop.arming", text("operator"))]);
    scene.move_for(2000);
    assert_eq!(scene.motion(), Motion::Disarmed);
    assert!(scene.reason().contains("nobody has armed yet"), "{}", scene.reason());
    set(&mut scene, &[]);
    scene.move_for(2000);
    assert_eq!(scene.motion(), Motion::Disarmed);
    scene.set_armed().unwrap();
    scene.move_for(100);
    assert_eq!(scene.motion(), Motion::Tracking);
}

#[test]
fn another_retargeting_takes_nothing_from_the_one_before() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    set(&mut scene, &[("retarget.translation", Value::Reals(vec![-0.2, 0.2, 0.0]))]);
    // No leap: the hand has not moved.
    scene.target();
    scene.set_armed().unwrap();
    scene.move_for(6000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.0, 0.2, 0.2));
}

#[test]
fn a_longer_time_out_does_not_bring_a_lost_hand_back() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.28, 0.0, 0.2];
    scene.move_for(50);
    scene.wait(300);
    let count = scene.sent.len();
    set(&mut scene, &[("input.timeout", Value::Real(10.0))]);
    scene.wait(1000);
    assert_eq!((scene.motion(), scene.sent.len()), (Motion::Holding, count));
    assert!(scene.reason().contains("no new target for 1.3 s"), "{}", scene.reason());
    scene.target();
    assert_eq!(scene.motion(), Motion::Approach);
    // A shorter one holds at once.
    set(&mut scene, &[("input.timeout", Value::Real(0.1))]);
    scene.wait(100);
    assert_eq!(scene.motion(), Motion::Holding);
}
