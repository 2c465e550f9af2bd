#![allow(clippy::disallowed_methods)] // tests need some instant to start from

use super::*;

const MS: i64 = 1_000_000;
/// The node's clock at the start of each test.
const NOW: i64 = 1_000_000 * MS;

/// A lookup with a camera on `/tf`, both clocks, and what targets have come to.
struct Scene {
    lookup: Lookup,
    start: Instant,
    ms: i64,
}

impl Scene {
    fn new(timeout_ms: u64) -> Self {
        let config = LookupConfig {
            base: "base".into(),
            timeout: Duration::from_millis(timeout_ms),
            input_timeout: Duration::from_millis(200),
        };
        Self { lookup: Lookup::new(config), start: Instant::now(), ms: 0 }
    }

    /// With the camera at x = 0 until now.
    fn with_camera(timeout_ms: u64) -> Self {
        let mut scene = Self::new(timeout_ms);
        scene.camera(-1000, 0.0);
        scene.camera(0, 0.0);
        scene
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms.unsigned_abs())
    }

    fn ros_now(&self) -> i64 {
        NOW + self.ms * MS
    }

    /// Where the camera was at `ms`, told now.
    fn camera(&mut self, ms: i64, x: f64) {
        let (stamp, rotation) = (Some(NOW + ms * MS), [0.0, 0.0, 0.0, 1.0]);
        let edge =
            TransformStamped { parent: "base", child: "camera", stamp, translation: [x, 0.0, 0.0], rotation };
        self.lookup.handle_transform(self.ros_now(), &edge).unwrap();
    }

    /// A target of the camera's that was taken at `ms` and has come now.
    fn target(&mut self, ms: i64, x: f64) -> Option<Result<Target, InputFault>> {
        self.stamped(Some(Stamp { taken: NOW + ms * MS, received: self.ros_now(), simulated: false }), x)
    }

    fn stamped(&mut self, stamp: Option<Stamp>, x: f64) -> Option<Result<Target, InputFault>> {
        let target = PendingTarget::new("camera", Target::new(x, 0.0, 0.0, stamp).unwrap());
        self.lookup.handle_target(self.now(), self.ros_now(), target)
    }

    fn poll(&mut self) -> Option<Result<Target, InputFault>> {
        self.lookup.poll(self.now(), self.ros_now())
    }
}

/// Where a target is in the base frame, in x.
fn x(target: Option<Result<Target, InputFault>>) -> f64 {
    let target = target.unwrap().unwrap();
    let Frame::Transformed(transform) = target.frame else { panic!("{target:?}") };
    transform.position(target.position).unwrap().coordinates()[0]
}

fn refused(target: Option<Result<Target, InputFault>>) -> String {
    target.unwrap().unwrap_err().to_string()
}

#[test]
fn a_target_whose_transform_is_there_is_placed_at_once() {
    let mut scene = Scene::with_camera(100);
    scene.ms = 50;
    scene.camera(50, 0.1);
    let target = scene.target(25, 0.2);
    let stamp = Stamp { taken: NOW + 25 * MS, received: NOW + 50 * MS, simulated: false };
    let placed = target.clone().unwrap().unwrap();
    assert_eq!((placed.stamp, placed.stall), (Some(stamp), Duration::ZERO));
    // The position stays as the sender said it: zeros and repetitions are told by it.
    assert_eq!(placed.position.coordinates(), [0.2, 0.0, 0.0]);
    assert_eq!(x(target), 0.25);
}

#[test]
fn a_target_a_little_ahead_of_its_transform_waits_for_it_and_ages_meanwhile() {
    let mut scene = Scene::with_camera(100);
    scene.ms = 10;
    assert_eq!(scene.target(5, 0.2), None);
    assert_eq!(scene.lookup.deadline(), Some(scene.start + Duration::from_millis(110)));
    assert_eq!(scene.poll(), None);
    scene.ms = 60;
    scene.camera(50, 0.5);
    let target = scene.poll();
    let placed = target.clone().unwrap().unwrap();
    assert_eq!(placed.stall, Duration::from_millis(50));
    assert_eq!(placed.stamp, Some(Stamp { taken: NOW + 5 * MS, received: NOW + 60 * MS, simulated: false }));
    assert_eq!(x(target), 0.25);
    assert_eq!((scene.poll(), scene.lookup.deadline()), (None, None));
}

#[test]
fn a_target_whose_transform_does_not_come_is_refused_after_the_timeout() {
    let mut scene = Scene::with_camera(100);
    assert_eq!(scene.target(5, 0.2), None);
    scene.ms = 99;
    assert_eq!(scene.poll(), None);
    scene.ms = 100;
    assert_eq!(
        refused(scene.poll()),
        "target refused: no transform from frame_id 'camera' to arm.base_frame 'base': the newest of 'camera' is 0.005 s \
         older than the stamp"
    );
    assert_eq!(scene.poll(), None);
}

#[test]
fn a_transform_that_comes_too_late_serves_no_more() {
    let mut scene = Scene::with_camera(100);
    assert_eq!(scene.target(5, 0.2), None);
    scene.ms = 100;
    scene.camera(90, 0.0);
    assert!(refused(scene.poll()).ends_with("it came later than tf.timeout"));
}

#[test]
fn a_target_waits_no_longer_than_it_may_move_the_arm() {
    let mut scene = Scene::with_camera(1000);
    scene.ms = 160;
    assert_eq!(scene.target(10, 0.2), None);
    assert_eq!(scene.lookup.deadline(), Some(scene.start + Duration::from_millis(210)));
}

#[test]
fn without_a_timeout_no_target_waits() {
    let mut scene = Scene::with_camera(0);
    assert!(refused(scene.target(5, 0.2)).contains("0.005 s older"));
    assert_eq!(scene.lookup.deadline(), None);
}

#[test]
fn of_the_targets_that_wait_the_newest_that_can_be_placed_is_and_those_before_it_are_dropped() {
    let mut scene = Scene::with_camera(100);
    for ms in [10, 20, 30] {
        scene.ms = ms;
        assert_eq!(scene.target(ms, 0.001 * ms as f64), None);
    }
    scene.ms = 40;
    scene.camera(25, 0.0);
    assert_eq!(x(scene.poll()), 0.02);
    assert_eq!(scene.poll(), None, "the first is dropped, the last waits");
    scene.camera(35, 0.0);
    assert_eq!(x(scene.poll()), 0.03);
}

#[test]
fn a_tracker_that_is_faster_than_its_transforms_is_followed_at_their_pace() {
    // 100 Hz, and a camera at 20 Hz that is told of 30 ms late: with one slot no target would ever be placed.
    let mut scene = Scene::with_camera(100);
    let mut placed = Vec::new();
    for ms in (10..=1000).step_by(10) {
        scene.ms = ms;
        if ms % 50 == 30 {
            scene.camera(ms - 30, 0.0);
        }
        let polled = scene.poll();
        let decided = scene.target(ms, 0.0);
        placed.extend(polled.into_iter().chain(decided).map(|target| target.unwrap().stamp.unwrap().taken));
    }
    let should: Vec<_> = (50..=950).step_by(50).map(|ms| NOW + ms * MS).collect();
    assert_eq!(placed, should);
}

#[test]
fn what_is_decided_drops_what_came_before_it() {
    let fixed = TransformStamped {
        parent: "base",
        child: "table",
        stamp: None,
        translation: [0.1; 3],
        rotation: [0.0, 0.0, 0.0, 1.0],
    };
    for drop in [
        // A message without a hand, or a target of the tracker's own frame.
        (|scene: &mut Scene| scene.lookup.handle_other()) as fn(&mut Scene),
        // One in a fixed frame, and one that is refused.
        |scene| {
            let target = PendingTarget::new("table", Target::new(0.0, 0.0, 0.0, None).unwrap());
            assert!(scene.lookup.handle_target(scene.now(), scene.ros_now(), target).unwrap().is_ok());
        },
        |scene| {
            let target = PendingTarget::new("map", Target::new(0.0, 0.0, 0.0, None).unwrap());
            assert!(scene.lookup.handle_target(scene.now(), scene.ros_now(), target).unwrap().is_err());
        },
        // Another base frame, and another time.
        |scene| {
            let config = LookupConfig { base: "table".into(), ..scene.lookup.config.clone() };
            scene.lookup.handle_config(config);
        },
        |scene| scene.ms = -10,
    ] {
        let mut scene = Scene::with_camera(100);
        scene.lookup.handle_transform(NOW, &fixed).unwrap();
        assert_eq!(scene.target(5, 0.2), None);
        drop(&mut scene);
        assert_eq!((scene.poll(), scene.lookup.deadline()), (None, None));
    }
}

#[test]
fn a_frame_that_nobody_tells_of_is_refused_at_once() {
    let mut scene = Scene::new(100);
    assert_eq!(
        refused(scene.target(0, 0.2)),
        "target refused: no transform from frame_id 'camera' to arm.base_frame 'base': neither /tf nor /tf_static has 'base'"
    );
}

#[test]
fn a_stamp_that_is_no_good_is_refused_by_its_own_name() {
    let mut scene = Scene::with_camera(100);
    assert!(matches!(scene.target(51, 0.2), Some(Err(InputFault::StampFromFuture { .. }))));
    assert!(matches!(scene.target(-201, 0.2), Some(Err(InputFault::StampTooOld { .. }))));
}

#[test]
fn a_target_without_a_stamp_is_as_old_as_its_transform() {
    let mut scene = Scene::with_camera(100);
    scene.ms = 150;
    let target = scene.stamped(None, 0.2);
    assert_eq!(target.clone().unwrap().unwrap().stall, Duration::from_millis(150));
    assert_eq!(x(target), 0.2);
    scene.ms = 201;
    assert!(
        refused(scene.stamped(None, 0.2))
            .ends_with("the newest of 'camera' is 0.201 s old, more than input.timeout")
    );
}

#[test]
fn a_target_that_was_held_up_before_stays_so() {
    let mut scene = Scene::with_camera(100);
    let stall = Duration::from_millis(80);
    let target =
        Target::new(0.2, 0.0, 0.0, Some(Stamp { taken: NOW + MS, received: NOW, simulated: false })).unwrap();
    let pending = PendingTarget::new("camera", Target { stall, ..target });
    assert_eq!(scene.lookup.handle_target(scene.now(), NOW, pending), None);
    scene.ms = 20;
    scene.camera(10, 0.0);
    assert_eq!(scene.poll().unwrap().unwrap().stall, Duration::from_millis(100));
}

#[test]
fn targets_that_wait_are_bounded() {
    let mut scene = Scene::with_camera(100);
    for _ in 0..MAX_WAITING {
        assert_eq!(scene.target(5, 0.2), None);
    }
    assert!(refused(scene.target(5, 0.2)).contains("0.005 s older"));
    assert_eq!(scene.lookup.deadline(), None);
}
