#![allow(clippy::disallowed_methods)] // tests need some instant to start from

use super::*;

const MS: i64 = 1_000_000;
/// The node's clock at the start of each test.
const NOW: i64 = 1_000_000 * MS;

/// A lookup with a camera on `/tf`, and both clocks.
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

    /// Creates a scene in which the camera has been at x = 0 until now.
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

    /// Sends the position of the camera at the time `ms`.
    fn camera(&mut self, ms: i64, x: f64) {
        let (stamp, rotation) = (Some(NOW + ms * MS), [0.0, 0.0, 0.0, 1.0]);
        let edge =
            TransformStamped { parent: "base", child: "camera", stamp, translation: [x, 0.0, 0.0], rotation };
        self.lookup.handle_transform(self.ros_now(), &edge).unwrap();
    }

    /// Sends a target in the camera's frame with a stamp of the time `ms`.
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

/// Returns the x coordinate of a target in the base frame.
fn x(target: Option<Result<Target, InputFault>>) -> f64 {
    let target = target.unwrap().unwrap();
    let Frame::Transformed(transform) = target.frame else { panic!("{target:?}") };
    transform.position(target.position).unwrap().coordinates()[0]
}

fn fault(target: Option<Result<Target, InputFault>>) -> String {
    target.unwrap().unwrap_err().to_string()
}

#[test]
fn target_with_known_transform_does_not_wait() {
    let mut scene = Scene::with_camera(100);
    scene.ms = 50;
    scene.camera(50, 0.1);
    let target = scene.target(25, 0.2);
    let stamp = Stamp { taken: NOW + 25 * MS, received: NOW + 50 * MS, simulated: false };
    let found = target.clone().unwrap().unwrap();
    assert_eq!((found.stamp, found.stall), (Some(stamp), Duration::ZERO));
    // The position stays as the tracker sent it, because it shows zeros and repetitions.
    assert_eq!(found.position.coordinates(), [0.2, 0.0, 0.0]);
    assert_eq!(x(target), 0.25);
}

#[test]
fn target_before_its_transform_waits_and_ages() {
    let mut scene = Scene::with_camera(100);
    scene.ms = 10;
    assert_eq!(scene.target(5, 0.2), None);
    assert_eq!(scene.lookup.deadline(), Some(scene.start + Duration::from_millis(110)));
    assert_eq!(scene.poll(), None);
    scene.ms = 60;
    scene.camera(50, 0.5);
    let target = scene.poll();
    let found = target.clone().unwrap().unwrap();
    assert_eq!(found.stall, Duration::from_millis(50));
    assert_eq!(found.stamp, Some(Stamp { taken: NOW + 5 * MS, received: NOW + 60 * MS, simulated: false }));
    assert_eq!(x(target), 0.25);
    assert_eq!((scene.poll(), scene.lookup.deadline()), (None, None));
}

#[test]
fn target_without_transform_is_rejected_after_timeout() {
    let mut scene = Scene::with_camera(100);
    assert_eq!(scene.target(5, 0.2), None);
    scene.ms = 99;
    assert_eq!(scene.poll(), None);
    scene.ms = 100;
    assert_eq!(
        fault(scene.poll()),
        "target rejected: no transform from frame_id 'camera' to arm.base_frame 'base': the newest transform of 'camera' is 0.005 s \
         older than the stamp"
    );
    assert_eq!(scene.poll(), None);
}

#[test]
fn transform_after_the_timeout_has_no_effect() {
    let mut scene = Scene::with_camera(100);
    assert_eq!(scene.target(5, 0.2), None);
    scene.ms = 100;
    scene.camera(90, 0.0);
    assert!(fault(scene.poll()).ends_with("it arrived later than tf.timeout"));
}

#[test]
fn target_waits_at_most_until_input_timeout() {
    let mut scene = Scene::with_camera(1000);
    scene.ms = 160;
    assert_eq!(scene.target(10, 0.2), None);
    assert_eq!(scene.lookup.deadline(), Some(scene.start + Duration::from_millis(210)));
}

#[test]
fn no_target_waits_if_timeout_is_zero() {
    let mut scene = Scene::with_camera(0);
    assert!(fault(scene.target(5, 0.2)).contains("0.005 s older"));
    assert_eq!(scene.lookup.deadline(), None);
}

#[test]
fn newest_target_with_transform_replaces_older_targets() {
    let mut scene = Scene::with_camera(100);
    for ms in [10, 20, 30] {
        scene.ms = ms;
        assert_eq!(scene.target(ms, 0.001 * ms as f64), None);
    }
    scene.ms = 40;
    scene.camera(25, 0.0);
    assert_eq!(x(scene.poll()), 0.02);
    assert_eq!(scene.poll(), None, "the first is discarded, the last waits");
    scene.camera(35, 0.0);
    assert_eq!(x(scene.poll()), 0.03);
}

#[test]
fn slow_transforms_set_the_rate_of_targets() {
    // Targets at 100 Hz. Transforms of the camera at 20 Hz, 30 ms late. With a queue of one target,
    // no target would get its transform.
    let mut scene = Scene::with_camera(100);
    let mut found = Vec::new();
    for ms in (10..=1000).step_by(10) {
        scene.ms = ms;
        if ms % 50 == 30 {
            scene.camera(ms - 30, 0.0);
        }
        let polled = scene.poll();
        let decided = scene.target(ms, 0.0);
        found.extend(polled.into_iter().chain(decided).map(|target| target.unwrap().stamp.unwrap().taken));
    }
    let should: Vec<_> = (50..=950).step_by(50).map(|ms| NOW + ms * MS).collect();
    assert_eq!(found, should);
}

#[test]
fn decided_target_discards_older_targets() {
    let fixed = TransformStamped {
        parent: "base",
        child: "table",
        stamp: None,
        translation: [0.1; 3],
        rotation: [0.0, 0.0, 0.0, 1.0],
    };
    for drop in [
        // A message without a hand, or a target in the tracker's own frame.
        (|scene: &mut Scene| scene.lookup.handle_other()) as fn(&mut Scene),
        // A target in a fixed frame, and a target that is rejected.
        |scene| {
            let target = PendingTarget::new("table", Target::new(0.0, 0.0, 0.0, None).unwrap());
            assert!(scene.lookup.handle_target(scene.now(), scene.ros_now(), target).unwrap().is_ok());
        },
        |scene| {
            let target = PendingTarget::new("map", Target::new(0.0, 0.0, 0.0, None).unwrap());
            assert!(scene.lookup.handle_target(scene.now(), scene.ros_now(), target).unwrap().is_err());
        },
        // A change of the base frame, and a jump of the clock.
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
fn target_in_an_unknown_frame_does_not_wait() {
    let mut scene = Scene::new(100);
    assert_eq!(
        fault(scene.target(0, 0.2)),
        "target rejected: no transform from frame_id 'camera' to arm.base_frame 'base': neither /tf nor /tf_static has 'base'"
    );
}

#[test]
fn invalid_stamp_has_its_own_fault() {
    let mut scene = Scene::with_camera(100);
    assert!(matches!(scene.target(51, 0.2), Some(Err(InputFault::StampFromFuture { .. }))));
    assert!(matches!(scene.target(-201, 0.2), Some(Err(InputFault::StampTooOld { .. }))));
}

#[test]
fn target_without_stamp_has_its_transforms_age() {
    let mut scene = Scene::with_camera(100);
    scene.ms = 150;
    let target = scene.stamped(None, 0.2);
    assert_eq!(target.clone().unwrap().unwrap().stall, Duration::from_millis(150));
    assert_eq!(x(target), 0.2);
    scene.ms = 201;
    assert!(
        fault(scene.stamped(None, 0.2))
            .ends_with("the newest transform of 'camera' is 0.201 s old, more than input.timeout")
    );
}

#[test]
fn wait_adds_to_the_stall_of_a_target() {
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
fn number_of_waiting_targets_is_limited() {
    let mut scene = Scene::with_camera(100);
    for _ in 0..MAX_WAITING {
        assert_eq!(scene.target(5, 0.2), None);
    }
    assert!(fault(scene.target(5, 0.2)).contains("0.005 s older"));
    assert_eq!(scene.lookup.deadline(), None);
}
