//! Tests of the arm's position (known, assumed by an operator, or unknown) and of the way home.

use std::time::Duration;

use aether_bridge::arm::{Gripper, ReportedState};
use aether_bridge::config::Value;
use aether_bridge::geometry::{Orientation, Position};
use aether_bridge::teleop::{
    ArmingError, CommandKind, GripperInput, LinkView, Motion, PositionUnknown, ReasonKind, ReportAbout,
};

use crate::scene::{Scene, at, config, text};

/// Creates a scene with a controller that replies but never reports its position, and with a
/// settled hand.
fn plain(settings: &[(&str, Value)]) -> Scene {
    let mut scene = Scene::new(settings);
    scene.reports = false;
    scene.link(LinkView::Ready);
    scene.hand = [0.25, 0.0, 0.2];
    scene.move_for(1500);
    scene
}

/// Creates a scene with a controller that replies to heartbeats with its position.
fn asked(settings: &[(&str, Value)]) -> Scene {
    let period = ("link.heartbeat.period", Value::Real(60.0));
    let mut scene = Scene::new(&[settings, &[period]].concat());
    scene.link(LinkView::Ready);
    scene
}

fn kind(scene: &Scene) -> ReasonKind {
    scene.teleop.reason(scene.now).kind()
}

const FAR: f64 = 0.002_001;

#[test]
fn arm_with_unknown_position_does_not_move() {
    let scene = plain(&[]);
    assert!(scene.sent.is_empty());
    assert_eq!(kind(&scene), ReasonKind::PositionUnknown);
    assert!(scene.reason().contains("call ~/set_armed with data: true twice"), "{}", scene.reason());
}

#[test]
fn second_set_armed_sends_arm_home() {
    let mut scene = plain(&[]);
    let refused = scene.set_armed().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the arm is not moved: this controller has not reported where the arm is; call ~/set_armed with data: true \
         again within 10 s, and the arm goes to home (200, 0, 200) mm at the controller's own speed"
    );
    scene.move_for(9000);
    assert!(scene.sent.is_empty());
    scene.set_armed().unwrap();
    scene.move_for(100);
    assert!(scene.positions()[0].distance(at(0.2, 0.0, 0.2)) <= FAR);
    assert_eq!(scene.sent[0].1.kind, CommandKind::Approach);
}

#[test]
fn late_second_call_counts_as_first() {
    let mut scene = plain(&[]);
    scene.set_armed().unwrap_err();
    scene.move_for(10_010);
    scene.set_armed().unwrap_err();
    scene.move_for(100);
    assert!(scene.sent.is_empty());
}

#[test]
fn other_events_cancel_the_first_call() {
    let between: [fn(&mut Scene); 4] = [
        |scene| scene.teleop.handle_stop(),
        |scene| drop(scene.teleop.handle_reset()),
        |scene| drop(scene.teleop.handle_set_armed(scene.now, false)),
        |scene| {
            scene.link(LinkView::Down);
            scene.link(LinkView::Ready);
        },
    ];
    for event in between {
        let mut scene = plain(&[]);
        scene.set_armed().unwrap_err();
        event(&mut scene);
        scene.teleop.handle_reset();
        let refused = scene.set_armed();
        assert!(matches!(refused, Err(ArmingError::PositionUnknown { .. })), "{refused:?}");
        scene.move_for(1500);
        assert!(scene.sent.is_empty());
    }
}

#[test]
fn assumed_home_is_valid_until_connection_breaks() {
    let mut scene = plain(&[("arm.assume_position", text("home"))]);
    assert!(scene.positions()[0].distance(at(0.2, 0.0, 0.2)) <= FAR);
    let sent = scene.sent.len();
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    scene.move_for(1500);
    assert_eq!((scene.sent.len(), kind(&scene)), (sent, ReasonKind::PositionUnknown));
}

#[test]
fn assumed_last_position_survives_broken_connection() {
    let mut scene = plain(&[("arm.assume_position", text("last"))]);
    assert!(scene.sent.is_empty(), "there is no last position yet");
    scene.set_armed().unwrap_err();
    scene.set_armed().unwrap();
    scene.move_for(1500);
    let sent = scene.sent.len();
    let last = scene.arm;
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    scene.hand = [0.2, 0.0, 0.2];
    scene.move_for(100);
    assert!(scene.positions()[sent].distance(last) <= FAR);
}

#[test]
fn accepted_command_is_valid_until_position_timeout() {
    let mut scene = Scene::tracking(&[("arm.position_timeout", Value::Real(30.0))]);
    scene.wait(28_000);
    let sent = scene.sent.len();
    scene.hand = [0.21, 0.0, 0.2];
    scene.move_for(1100);
    assert!(scene.sent.len() > sent, "{}", scene.reason());
    scene.wait(31_000);
    let sent = scene.sent.len();
    scene.move_for(1500);
    assert_eq!((scene.sent.len(), kind(&scene)), (sent, ReasonKind::PositionUnknown));
}

#[test]
fn end_of_session_makes_position_unknown() {
    let ends: [fn(&mut Scene); 3] = [
        |scene| scene.link(LinkView::Down),
        |scene| scene.link(LinkView::Partial),
        |scene| {
            scene.teleop.handle_set_armed(scene.now, false).unwrap();
            scene.teleop.handle_set_armed(scene.now, true).unwrap_err();
        },
    ];
    for end in ends {
        let mut scene = Scene::tracking(&[]);
        scene.reports = false;
        end(&mut scene);
        scene.link(LinkView::Ready);
        scene.hand = [0.21, 0.0, 0.2];
        scene.move_for(1500);
        assert!(scene.sent.is_empty(), "{}", scene.reason());
    }
}

#[test]
fn no_command_precedes_the_first_heartbeat_reply() {
    let mut scene = Scene::new(&[("link.heartbeat.period", Value::Real(60.0))]);
    scene.reports = false;
    scene.replies = false;
    scene.link(LinkView::Ready);
    assert!(scene.teleop.poll_question_at(scene.now).is_some());
    scene.move_for(3000);
    assert!(scene.sent.is_empty());
    let (reports, replies) = (true, true);
    (scene.reports, scene.replies, scene.arm) = (reports, replies, at(0.1, 0.1, 0.1));
    scene.report(scene.arm, Some(false));
    scene.teleop.handle_answered(scene.now);
    scene.move_for(1500);
    assert!(scene.positions()[0].distance(at(0.1, 0.1, 0.1)) <= FAR);
}

#[test]
fn position_is_requested_before_each_motion() {
    let mut scene = asked(&[]);
    scene.move_for(1500);
    assert_eq!(scene.motion(), Motion::Tracking);
    scene.wait(900);
    // An operator moves the arm.
    scene.arm = at(0.25, 0.05, 0.2);
    let sent = scene.sent.len();
    scene.move_for(500);
    assert!(scene.positions()[sent].distance(at(0.25, 0.05, 0.2)) <= FAR);
}

#[test]
fn sagging_arm_does_not_sink() {
    let mut scene = asked(&[]);
    scene.move_for(1500);
    let stood = scene.arm;
    for _ in 0..10 {
        scene.wait(500);
        let [x, y, z] = stood.coordinates();
        scene.arm = at(x, y, z - 0.006);
        scene.move_for(500);
    }
    assert!(scene.arm.distance(stood) < 1e-6, "{}", scene.arm);
}

#[test]
fn bridge_waits_while_others_move_the_arm() {
    let mut scene = asked(&[]);
    scene.move_for(1500);
    scene.wait(1000);
    let sent = scene.sent.len();
    scene.reports = false;
    for step in 0..20 {
        let moving = if step % 2 == 0 { Some(true) } else { None };
        scene.report(at(0.2, 0.0, 0.22 + 0.003 * f64::from(step)), moving);
        scene.move_for(50);
    }
    assert_eq!((scene.sent.len(), kind(&scene)), (sent, ReasonKind::ArmMoved));
    scene.report(at(0.2, 0.0, 0.3), Some(false));
    scene.move_for(100);
    assert!(scene.positions()[sent].distance(at(0.2, 0.0, 0.3)) <= FAR);
}

#[test]
fn arm_moved_by_others_is_not_pulled_back() {
    let mut scene = Scene::tracking(&[("teleop.hold_behavior", text("repeat"))]);
    scene.wait(1000);
    assert!(scene.sent.last().unwrap().1.kind == CommandKind::Repetition);
    scene.report(at(0.2, 0.05, 0.2), Some(false));
    let sent = scene.sent.len();
    scene.wait(5000);
    scene.report(at(0.2, 0.05, 0.2), Some(false));
    scene.wait(1000);
    let after = scene.sent.len();
    scene.wait(1000);
    assert_eq!(scene.sent.len(), after, "repeated after {sent}");
}

#[test]
fn arm_moved_during_tracking_holds_motion() {
    let mut scene = Scene::tracking(&[]);
    scene.move_for(3000);
    scene.report(at(0.2, 0.05, 0.2), Some(false));
    assert_eq!((scene.motion(), kind(&scene)), (Motion::Holding, ReasonKind::ArmMoved));
    let sent = scene.sent.len();
    scene.report(at(0.2, 0.05, 0.2), Some(false));
    scene.move_for(1000);
    assert!(scene.positions()[sent].distance(at(0.2, 0.05, 0.2)) <= FAR);
}

/// Follows the hand. In each reply, the controller reports the position that `arm` returns for the
/// commanded position.
fn follow(scene: &mut Scene, millis: u64, arm: impl Fn(Position) -> Position) {
    scene.replies = false;
    for _ in 0..millis / 10 {
        scene.target();
        for (_, planned) in std::mem::take(&mut scene.sent) {
            let position = Some(arm(planned.command.position));
            let state = ReportedState { position, ..ReportedState::default() };
            scene.teleop.handle_report(scene.now, 0, ReportAbout::Accepted, Some(&state));
            scene.teleop.handle_acknowledged(scene.now, &planned.command);
        }
        scene.now += Duration::from_millis(10);
        scene.teleop.handle_timeout(scene.now);
    }
}

const WIDE: [(&str, Value); 2] = [("limits.max_jump", Value::Real(0.0)), ("filter.beta", Value::Real(50.0))];

#[test]
fn lagging_arm_holds_motion() {
    let mut scene = Scene::tracking(&WIDE);
    scene.hand = [-0.25, 0.0, 0.2];
    let stuck = scene.arm;
    follow(&mut scene, 3500, |_| stuck);
    assert_eq!((scene.motion(), kind(&scene)), (Motion::Holding, ReasonKind::ArmLags));
    assert!(scene.reason().contains("behind its commands"), "{}", scene.reason());
    // The arm is reported at rest, and the next motion begins there.
    scene.replies = true;
    scene.report(stuck, Some(false));
    scene.move_for(4000);
    assert!(scene.positions()[0].distance(stuck) <= FAR);
}

#[test]
fn arm_at_half_the_speed_limit_follows() {
    let mut scene = Scene::tracking(&WIDE);
    scene.hand = [0.2, 0.24, 0.2];
    let start = scene.arm;
    follow(&mut scene, 1000, |commanded| {
        let way = commanded.point() - start.point();
        let half = start.point() + way * 0.5;
        at(half.x, half.y, half.z)
    });
    assert_eq!(scene.motion(), Motion::Tracking, "{}", scene.reason());
}

fn fault(scene: &mut Scene, fault: Option<&str>) {
    let state = ReportedState { fault: fault.map(str::to_owned), ..ReportedState::default() };
    scene.teleop.handle_report(scene.now, 0, ReportAbout::Accepted, Some(&state));
}

#[test]
fn fault_holds_and_then_needs_an_operator() {
    for setting in ["automatic", "operator"] {
        let mut scene = Scene::new(&[("teleop.arming", text(setting))]);
        scene.link(LinkView::Ready);
        scene.set_armed().unwrap();
        scene.move_for(1500);
        fault(&mut scene, Some("emergency stop"));
        assert_eq!((scene.motion(), kind(&scene)), (Motion::Holding, ReasonKind::ArmFault));
        assert!(scene.reason().contains("'emergency stop'"), "{}", scene.reason());
        let sent = scene.sent.len();
        scene.move_for(1500);
        fault(&mut scene, None);
        assert_eq!((scene.motion(), kind(&scene)), (Motion::Disarmed, ReasonKind::ArmFault));
        scene.move_for(1500);
        assert_eq!(scene.sent.len(), sent);
        scene.set_armed().unwrap();
        scene.move_for(1500);
        assert!(scene.sent.len() > sent, "{}", scene.reason());
    }
}

#[test]
fn fault_before_first_motion_needs_an_operator() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    fault(&mut scene, Some("overload"));
    scene.move_for(1500);
    fault(&mut scene, None);
    scene.move_for(1500);
    assert!(scene.sent.is_empty());
    assert_eq!(kind(&scene), ReasonKind::ArmFault);
}

#[test]
fn refused_first_command_requires_a_new_report() {
    let mut scene = asked(&[]);
    scene.hand = [0.25, 0.0, 0.2];
    scene.replies = false;
    scene.report(scene.arm, Some(false));
    scene.teleop.handle_answered(scene.now);
    while scene.sent.is_empty() {
        scene.report(scene.arm, Some(false));
        scene.teleop.handle_answered(scene.now);
        scene.move_for(100);
    }
    scene.teleop.handle_rejected(scene.now);
    assert_eq!(kind(&scene), ReasonKind::PositionUnknown);
    let sent = scene.sent.len();
    scene.move_for(1500);
    assert_eq!(scene.sent.len(), sent, "the controller has not reported its position");
}

#[test]
fn long_streak_of_refusals_disarms() {
    let mut scene = Scene::tracking(&[("teleop.settle_time", Value::Real(0.0))]);
    scene.replies = false;
    scene.hand = [0.25, 0.0, 0.2];
    for _ in 0..4000 {
        let sent = scene.sent.len();
        scene.target();
        scene.wait(10);
        (sent..scene.sent.len()).for_each(|_| scene.teleop.handle_rejected(scene.now));
    }
    assert_eq!(scene.motion(), Motion::Disarmed);
    assert!(scene.reason().contains("rejected every command for 30 s"), "{}", scene.reason());
}

#[test]
fn long_link_loss_disarms() {
    for (millis, motion) in [(299_000, Motion::Approach), (301_000, Motion::Disarmed)] {
        let mut scene = Scene::tracking(&[]);
        scene.link(LinkView::Down);
        for _ in 0..millis / 100 {
            scene.target();
            scene.wait(100);
        }
        scene.hand = [0.25, 0.0, 0.2];
        scene.link(LinkView::Ready);
        scene.move_for(1500);
        let moved = scene.sent.is_empty();
        assert_eq!(moved, motion == Motion::Disarmed, "{millis} ms: {}", scene.reason());
    }
}

#[test]
fn tool_with_unknown_orientation_does_not_move() {
    let settings = [("wire.extra_fields", Value::Texts(vec!["rpy".into()]))];
    let mut scene = Scene::new(&settings);
    scene.reports = false;
    scene.link(LinkView::Ready);
    let state = |orientation| ReportedState {
        position: Some(at(0.2, 0.0, 0.2)),
        orientation,
        moving: Some(false),
        ..ReportedState::default()
    };
    scene.teleop.handle_report(scene.now, 0, ReportAbout::Observed, Some(&state(None)));
    scene.move_for(1500);
    assert!(scene.sent.is_empty());
    assert!(scene.reason().contains("the orientation of the tool"), "{}", scene.reason());
    let turned = Orientation::from_rpy([0.0, 0.0, 1.0]);
    scene.teleop.handle_report(scene.now, 0, ReportAbout::Observed, Some(&state(Some(turned))));
    scene.move_for(100);
    let first = scene.sent[0].1.command.orientation.unwrap();
    assert!(first.angle_to(turned) < 1e-6, "{first:?}");
}

#[test]
fn way_home_obeys_limits_and_then_disarms() {
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.25, 0.05, 0.25];
    scene.move_for(2000);
    scene.sent.clear();
    scene.teleop.handle_go_home(scene.now).unwrap();
    assert_eq!((scene.motion(), kind(&scene)), (Motion::Approach, ReasonKind::GoingHome));
    scene.move_for(3000);
    assert_eq!(scene.arm, config(&[]).home);
    assert_eq!(scene.motion(), Motion::Disarmed);
    assert!(scene.reason().contains("the arm is at home"), "{}", scene.reason());
    for pair in scene.sent.windows(2) {
        let way = pair[0].1.command.position.distance(pair[1].1.command.position);
        let seconds = (pair[1].0 - pair[0].0).as_secs_f64();
        assert!(way <= 0.1 * seconds + 2e-6, "{way} m in {seconds} s");
    }
    let sent = scene.sent.len();
    scene.move_for(2000);
    assert_eq!(scene.sent.len(), sent, "only an operator arms");
}

#[test]
fn way_home_keeps_the_gripper_state() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    scene.hand = [0.25, 0.05, 0.25];
    scene.move_for(2000);
    assert_eq!(scene.sent.last().unwrap().1.command.gripper, Gripper::Closed);
    scene.sent.clear();
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Open));
    scene.teleop.handle_go_home(scene.now).unwrap();
    scene.move_for(3000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    assert_eq!(scene.arm, config(&[]).home);
}

#[test]
fn way_home_begins_at_reported_rest_position() {
    // The process was stalled, and an operator has moved the arm meanwhile.
    let mut scene = Scene::tracking(&[]);
    scene.report(at(0.3, 0.1, 0.2), Some(false));
    scene.sent.clear();
    scene.teleop.handle_go_home(scene.now).unwrap();
    scene.send();
    scene.wait(3000);
    assert!(scene.positions()[0].distance(at(0.3, 0.1, 0.2)) <= FAR, "{:?}", scene.positions());
}

#[test]
fn motion_after_refusal_begins_at_reported_position() {
    // The controller homes its arm, and refuses commands meanwhile.
    let mut scene = Scene::tracking(&[]);
    scene.replies = false;
    scene.hand = [0.25, 0.0, 0.2];
    scene.target();
    scene.teleop.handle_rejected(scene.now);
    scene.report(at(0.3, 0.1, 0.2), Some(false));
    (scene.replies, scene.arm) = (true, at(0.3, 0.1, 0.2));
    scene.sent.clear();
    scene.move_for(2000);
    assert!(scene.positions()[0].distance(at(0.3, 0.1, 0.2)) <= FAR, "{:?}", scene.positions());
}

#[test]
fn way_home_needs_no_hand() {
    let mut scene = asked(&[("teleop.arming", text("operator"))]);
    scene.arm = at(0.1, 0.1, 0.1);
    scene.report(scene.arm, Some(false));
    scene.teleop.handle_go_home(scene.now).unwrap();
    scene.send();
    scene.wait(5000);
    assert_eq!((scene.arm, scene.motion()), (config(&[]).home, Motion::Disarmed), "{}", scene.reason());
    // The hand may also have been absent for minutes.
    let mut scene = Scene::tracking(&[]);
    scene.hand = [0.25, 0.05, 0.25];
    scene.move_for(2000);
    scene.wait(310_000);
    scene.report(scene.arm, Some(false));
    scene.teleop.handle_go_home(scene.now).unwrap();
    scene.send();
    scene.wait(5000);
    assert_eq!(scene.arm, config(&[]).home, "{}", scene.reason());
}

#[test]
fn go_home_is_refused_with_unknown_position() {
    let mut scene = plain(&[]);
    let refused = scene.teleop.handle_go_home(scene.now).unwrap_err();
    assert!(refused.to_string().contains("this controller has not reported where the arm is"), "{refused}");
    scene.wait(5000);
    assert!(scene.sent.is_empty());
    let mut scene = asked(&[]);
    scene.reports = false;
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.teleop.handle_go_home(scene.now).unwrap();
    scene.wait(5000);
    assert!(scene.sent.is_empty(), "the reply contains no position");
    assert_eq!(scene.motion(), Motion::Disarmed);
}

#[test]
fn way_home_ends_at_an_obstacle() {
    let events: [fn(&mut Scene); 5] = [
        |scene| scene.link(LinkView::Down),
        |scene| scene.link(LinkView::Unresponsive),
        |scene| fault(scene, Some("overload")),
        |scene| scene.teleop.handle_stop(),
        |scene| scene.teleop.handle_shutdown(scene.now),
    ];
    for event in events {
        let mut scene = Scene::tracking(&[]);
        scene.hand = [0.25, 0.05, 0.25];
        scene.move_for(2000);
        scene.teleop.handle_go_home(scene.now).unwrap();
        scene.wait(200);
        event(&mut scene);
        let sent = scene.sent.len();
        scene.link(LinkView::Ready);
        scene.move_for(3000);
        assert_eq!(scene.sent.len(), sent, "{}", scene.reason());
    }
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_stop();
    assert!(matches!(scene.teleop.handle_go_home(scene.now), Err(ArmingError::StopLatched)));
}

#[test]
fn doubtful_report_is_named_until_good_report() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    scene.report(at(0.0002, 0.0, 0.0002), Some(false));
    scene.move_for(1500);
    assert!(scene.sent.is_empty());
    assert!(
        scene.reason().contains("1000 times larger; check that wire.position_unit"),
        "{}",
        scene.reason()
    );
    let unknown = scene.teleop.handle_set_armed(scene.now, true).unwrap_err();
    assert!(matches!(unknown, ArmingError::PositionUnknown { unknown: PositionUnknown::Doubtful(_), .. }));
    scene.report(at(0.2, 0.0, 0.2), Some(false));
    scene.move_for(1500);
    assert!(!scene.sent.is_empty(), "{}", scene.reason());
}

#[test]
fn end_of_fault_cancels_the_first_call() {
    let mut scene = Scene::new(&[]);
    scene.reports = false;
    scene.link(LinkView::Ready);
    fault(&mut scene, Some("overload"));
    scene.teleop.handle_set_armed(scene.now, true).unwrap_err();
    fault(&mut scene, None);
    assert_eq!(scene.motion(), Motion::Disarmed);
    let unknown = scene.teleop.handle_set_armed(scene.now, true).unwrap_err();
    assert!(matches!(unknown, ArmingError::PositionUnknown { .. }), "{unknown}");
}
