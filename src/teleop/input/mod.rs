//! Decides which targets the arm may follow, and transforms them to the arm's base frame.
//!
//! Invariants:
//! - A target becomes a [`Sample`] only if every guard in this folder admits it.
//! - After a rejected target the input is bad until the next good target. Exception: a single zero
//!   while a hand is visible is skipped.
//! - After the computer has slept, the input is bad. Targets are rejected for a while, because they
//!   may have waited since before the sleep.
//! - If two senders are detected on one topic, motion holds.

mod jump;
mod senders;
mod stream_health;
mod watchdog;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::jump::JumpGuard;
pub use self::senders::{GraphNews, SenderWatch};
use self::stream_health::StreamHealth;
use self::watchdog::Watchdog;
pub use self::watchdog::check_age;
use super::config::TeleopConfig;
use super::input_fault::InputFault;
use super::reason::Obstacle;
use super::target::{Frame, Stamp, Target};
use crate::arm::Gripper;
use crate::geometry::{Orientation, Position, PositionError};

/// The state of the input.
#[derive(Debug, Default)]
pub(super) struct Input {
    watchdog: Watchdog,
    health: StreamHealth,
    jump: JumpGuard,
    /// When the last message arrived, good or bad.
    last_message: Option<Instant>,
    /// The times between the last messages. The newest is last.
    intervals: [Duration; 2],
    /// How many consecutive targets were all zero.
    zeros: u32,
    /// When the last good target arrived.
    last_good: Option<Instant>,
    /// When an operator armed last.
    armed_at: Option<Instant>,
    /// The hand's position in its own frame, and this frame: the reference for a move of the frame.
    anchor: Option<(Position, Frame)>,
    /// How long the computer last slept, and when it woke up.
    slept: Option<(Duration, Instant)>,
    /// Detects whether several nodes send targets.
    senders: SenderWatch,
    /// Detects whether several nodes send on the gripper topic.
    gripper_senders: SenderWatch,
}

/// A target that the arm may follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// When the tracker took the sample, on the steady clock.
    pub origin: Instant,
    /// When the tracker took the sample, on the sender's clock.
    pub stamp: Option<Stamp>,
    /// The hand's position in the arm's base frame.
    pub position: Position,
    /// The hand's orientation in the arm's base frame, if the target has one.
    pub orientation: Option<Orientation>,
    /// Whether the input was bad just before this sample, so that the hand may be anywhere.
    pub resumes: bool,
    /// Whether the target's frame has moved since the previous sample, and not only the hand in it.
    pub frame_moved: bool,
}

impl Input {
    /// Checks a target.
    ///
    /// # Errors
    /// Returns why the arm may not follow the target. If the input [skips the
    /// target](Self::skips_last), the input stays good.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        target: &Target,
        config: &TeleopConfig,
    ) -> Result<Sample, InputFault> {
        self.handle_message(now);
        let position = in_base_frame(target, config);
        self.senders.handle_target(now, target, position.as_ref().ok().copied());
        if let Some(wanted) = target.gripper.and_then(|input| config.gripper.wanted(input)) {
            self.senders.handle_gripper(now, wanted);
        }
        let zero = config.zero_is_lost && target.is_zero();
        self.zeros = if zero { self.zeros.saturating_add(1) } else { 0 };
        if self.zeros == 1 {
            return Err(InputFault::Zero);
        }
        self.health.handle_arrival(now, target.position, config);
        if zero {
            return Err(InputFault::Zero);
        }
        if let Some((slept, _)) = self.slept.filter(|(_, woke)| now < *woke + config.input_timeout) {
            return Err(InputFault::ComputerSlept { slept });
        }
        let origin = self.watchdog.admit(now, target, config.input_timeout)?;
        let position = position?;
        let resumes = self.good_since(now, config).is_none();
        self.jump.admit(now, position, config)?;
        self.health.check(now, config)?;
        let orientation = target.orientation.map(|orientation| match target.frame {
            Frame::Tracker => config.retarget.rotate(orientation),
            Frame::Base => orientation,
            Frame::Transformed(transform) => transform.orientation(orientation),
        });
        let frame_moved = self.frame_moves(target, position, config);
        Ok(Sample { origin, stamp: target.stamp, position, orientation, resumes, frame_moved })
    }

    /// Returns whether the last target was a single zero while a hand is visible. The hand may be
    /// at its last position or, after a jump, at another position. Some trackers send single zeros
    /// during motion. Such a zero is neither a target nor a loss.
    pub(super) fn skips_last(&self, now: Instant, config: &TeleopConfig) -> bool {
        let jumped = matches!(self.watchdog.fault(), Some(InputFault::Jump { .. }));
        self.zeros == 1 && (jumped || self.good_since(now, config).is_some())
    }

    /// Returns whether the arm must approach again, because the frame of the target has moved more
    /// than the hand in this frame, by more than [`NEAR`].
    ///
    /// `position` is the target in the arm's base frame. If a frame moves in small steps while the
    /// hand rests in it, the steps add up.
    fn frame_moves(&mut self, target: &Target, position: Position, config: &TeleopConfig) -> bool {
        let here = Some((target.position, target.frame));
        let Some((anchor, frame)) = self.anchor.filter(|(_, frame)| *frame != target.frame) else {
            self.anchor = here;
            return false;
        };
        let by_hand = anchor.distance(target.position);
        let in_old_frame = in_base_frame(&Target { frame, ..*target }, config);
        let moved = in_old_frame.is_ok_and(|before| before.distance(position) > by_hand + NEAR);
        if moved || by_hand > NEAR {
            self.anchor = here;
        }
        moved
    }

    /// Records that the arm follows a checked target.
    pub(super) fn handle_good(&mut self, now: Instant, origin: Instant, config: &TeleopConfig) {
        self.watchdog.handle_good(now, origin, config.input_timeout);
        self.last_good = Some(now);
    }

    /// Records why the arm may not follow the last message.
    pub(super) fn handle_fault(&mut self, fault: InputFault) {
        if !matches!(fault, InputFault::Jump { .. }) {
            self.jump.handle_refused();
        }
        self.watchdog.handle_fault(fault);
    }

    /// Records that an operator has armed. The hand gets `teleop.rearm_after` to appear. If the
    /// hand was absent for long, it still has to settle.
    pub(super) fn handle_armed(&mut self, now: Instant) {
        self.armed_at = Some(now);
    }

    /// Records that the computer has just woken up after a sleep of this length.
    pub(super) fn handle_slept(&mut self, now: Instant, slept: Duration) {
        self.slept = Some((slept, now));
        for time in [&mut self.last_good, &mut self.armed_at] {
            *time = time.and_then(|time| time.checked_sub(slept));
        }
        if self.last_message.is_some() {
            self.last_message = Some(now);
            self.handle_fault(InputFault::ComputerSlept { slept });
        }
    }

    /// Records a message that is not a valid target. The caller must call [`Self::handle_fault`]
    /// next.
    pub(super) fn handle_malformed(&mut self, now: Instant) {
        self.handle_message(now);
        self.senders.handle_malformed(now);
    }

    /// Records the gripper state that a message on the gripper topic requests.
    pub(super) fn handle_gripper_message(&mut self, now: Instant, wanted: Gripper) {
        self.gripper_senders.handle_gripper(now, wanted);
    }

    /// Records who publishes targets, if it is more than one node.
    pub(super) fn handle_publishers(&mut self, several: Option<Arc<str>>) {
        self.senders.handle_publishers(several);
    }

    /// Records who publishes on the gripper topic, if it is more than one node.
    pub(super) fn handle_gripper_publishers(&mut self, several: Option<Arc<str>>) {
        self.gripper_senders.handle_publishers(several);
    }

    /// Records a message of another publisher while the publisher that the arm is armed for also
    /// sends.
    pub(super) fn handle_other_publisher(&mut self, now: Instant) {
        self.senders.handle_other_publisher(now);
    }

    /// Records that another publisher sends from now on. All checks of its hand start from the
    /// beginning.
    pub(super) fn handle_new_publisher(&mut self) {
        self.watchdog.forget();
        self.jump.forget();
        self.health = StreamHealth::default();
        self.zeros = 0;
    }

    /// Applies changed settings. A hand that was lost under the old settings stays lost.
    pub(super) fn handle_config(&mut self, now: Instant, before: &TeleopConfig, config: &TeleopConfig) {
        self.watchdog.handle_timeout_change(now, before.input_timeout);
        if before.retarget != config.retarget || before.retarget_mode != config.retarget_mode {
            // Positions now have another meaning.
            self.jump.forget();
        }
    }

    /// Returns the age of the newest good target, if there has been one since the last fault.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.watchdog.age(now)
    }

    /// Returns since when the input has been good without a gap, if it is good.
    pub(super) fn good_since(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        self.watchdog.good_since(now, config.input_timeout)
    }

    /// Returns whether the input has been good for `teleop.settle_time`.
    pub(super) fn has_settled(&self, now: Instant, config: &TeleopConfig) -> bool {
        self.good_since(now, config)
            .is_some_and(|since| now.saturating_duration_since(since) >= config.settle_time)
    }

    /// Returns whether the hand has been absent for so long that it has to settle like a new hand.
    pub(super) fn is_away(&self, now: Instant, config: &TeleopConfig) -> bool {
        self.last_good.is_some_and(|seen| config.is_absence(seen, now))
    }

    /// Returns when the hand will have been absent for so long that an operator has to arm. This
    /// time may be in the past. A hand counts as absent only after `input.timeout`.
    pub(super) fn rearm_at(&self, config: &TeleopConfig) -> Option<Instant> {
        let limit = Some(config.rearm_after).filter(|limit| !limit.is_zero())?;
        self.last_good.max(self.armed_at).map(|since| since + limit.max(config.input_timeout))
    }

    /// Returns the times at which the input changes without an event. They may be in the past. If
    /// `settling` is set, they include the end of settling.
    pub(super) fn deadlines(
        &self,
        now: Instant,
        settling: bool,
        config: &TeleopConfig,
    ) -> [Option<Instant>; 5] {
        let settled =
            self.good_since(now, config).filter(|_| settling).map(|since| since + config.settle_time);
        [
            self.watchdog.deadline(config.input_timeout),
            self.stopped_at(config),
            settled,
            self.senders.quiet_at(),
            self.gripper_senders.quiet_at(),
        ]
    }

    /// Returns why no target may currently move the arm.
    pub(super) fn obstacle(&self, now: Instant, config: &TeleopConfig) -> Option<Obstacle> {
        if let Some(senders) = self.senders.several(now).or_else(|| self.gripper_senders.several(now)) {
            return Some(Obstacle::MultiplePublishers(Arc::clone(senders)));
        }
        if let Some(fault) = self.watchdog.fault() {
            let stopped = self.stopped_at(config).is_some_and(|stopped| now >= stopped);
            return Some(match self.last_message.map(|last| now.saturating_duration_since(last)) {
                Some(age) if stopped => Obstacle::Stale { age, refused: Some(fault.clone()) },
                _ => Obstacle::Input(fault.clone()),
            });
        }
        if self.good_since(now, config).is_some() {
            return None;
        }
        Some(self.age(now).map_or(Obstacle::NoInput, |age| Obstacle::Stale { age, refused: None }))
    }

    /// Records that a message arrived, good or bad. Call it once for each message.
    fn handle_message(&mut self, now: Instant) {
        if let Some(last) = self.last_message.replace(now) {
            self.intervals = [self.intervals[1], now.saturating_duration_since(last)];
        }
    }

    /// Returns when a sender whose last message was rejected counts as stopped.
    ///
    /// This is the case if no message has arrived for `input.timeout` and for several intervals of
    /// the sender. The rejection must also stay the published reason until an operator can read it.
    fn stopped_at(&self, config: &TeleopConfig) -> Option<Instant> {
        self.watchdog.fault()?;
        let interval = self.intervals[0].min(self.intervals[1]);
        let missed = (interval * MISSED).min(LONGEST_SILENCE);
        Some(self.last_message? + config.input_timeout.max(missed).max(SHOWN_FOR))
    }
}

/// Returns the target's position in the arm's base frame.
///
/// # Errors
/// The transformed position is not a valid [`Position`].
fn in_base_frame(target: &Target, config: &TeleopConfig) -> Result<Position, PositionError> {
    match target.frame {
        Frame::Tracker => config.retarget.apply(target.position),
        Frame::Base => Ok(target.position),
        Frame::Transformed(transform) => transform.position(target.position),
    }
}

/// How much farther than the hand its frame may move without a new approach, in metres. An approach
/// ends at this distance.
const NEAR: f64 = 0.005;
/// The least time for which a rejection stays the reason. It is longer than the 1 s between two
/// diagnostics.
const SHOWN_FOR: Duration = Duration::from_millis(1500);
/// How many consecutive messages may be missing before a sender counts as stopped. One or two
/// messages can be lost.
const MISSED: u32 = 3;
/// After this time without a message, a slow sender counts as stopped too.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::tests::settings;
    use crate::teleop::{Retarget, StreamHealthConfig};

    /// An input that receives a target every 20 ms.
    struct Scene {
        now: Instant,
        config: TeleopConfig,
        input: Input,
    }

    impl Scene {
        fn new(config: TeleopConfig) -> Self {
            Self { now: Instant::now(), config, input: Input::default() }
        }

        fn judge(&mut self, target: Target) -> Result<Sample, InputFault> {
            self.now += Duration::from_millis(20);
            let judged = self.input.judge(self.now, &target, &self.config);
            match &judged {
                Ok(sample) => self.input.handle_good(self.now, sample.origin, &self.config),
                Err(_) if self.input.skips_last(self.now, &self.config) => {}
                Err(fault) => self.input.handle_fault(fault.clone()),
            }
            judged
        }

        fn obstacle(&self) -> Option<Obstacle> {
            self.input.obstacle(self.now, &self.config)
        }
    }

    fn at(x: f64) -> Target {
        Target::new(x, 0.0, 0.0, None).unwrap()
    }

    #[test]
    fn sample_is_in_base_frame() {
        let retarget = Retarget::new([1.0, 0.0, 0.0], [0.0; 3], [2.0; 3]);
        let mut scene = Scene::new(TeleopConfig { retarget, ..settings() });
        assert_eq!(scene.judge(at(0.1)).unwrap().position.coordinates(), [1.2, 0.0, 0.0]);
        let in_base = Target { frame: Frame::Base, ..at(1.2) };
        assert_eq!(scene.judge(in_base).unwrap().position.coordinates(), [1.2, 0.0, 0.0]);
    }

    #[test]
    fn single_zero_is_skipped_second_is_a_fault() {
        let mut scene = Scene::new(settings());
        scene.judge(at(0.05)).unwrap();
        assert_eq!(scene.judge(at(0.0)).unwrap_err(), InputFault::Zero);
        assert_eq!(scene.obstacle(), None);
        assert!(!scene.judge(at(0.05)).unwrap().resumes);
        for _ in 0..2 {
            assert_eq!(scene.judge(at(0.0)).unwrap_err(), InputFault::Zero);
        }
        assert_eq!(scene.obstacle(), Some(Obstacle::Input(InputFault::Zero)));
    }

    #[test]
    fn sample_after_loss_resumes_at_any_position() {
        let mut scene = Scene::new(settings());
        assert!(scene.judge(at(0.1)).unwrap().resumes);
        assert!(!scene.judge(at(0.11)).unwrap().resumes);
        scene.now += Duration::from_secs(1);
        assert!(matches!(scene.obstacle(), Some(Obstacle::Stale { refused: None, .. })));
        assert!(scene.judge(at(0.9)).unwrap().resumes);
        // A jump is not a loss. The guard waits until it is confirmed.
        assert!(matches!(scene.judge(at(0.1)), Err(InputFault::Jump { .. })));
        assert!(matches!(scene.judge(at(0.1)), Err(InputFault::Jump { .. })));
        assert!(scene.judge(at(0.9)).unwrap().resumes);
    }

    #[test]
    fn input_settles_only_without_a_gap() {
        let mut scene = Scene::new(settings());
        for _ in 0..15 {
            scene.judge(at(0.1)).unwrap();
            assert!(!scene.input.has_settled(scene.now, &scene.config));
        }
        let deadlines = scene.input.deadlines(scene.now, true, &scene.config);
        assert_eq!(deadlines[2], Some(scene.now + Duration::from_millis(20)));
        scene.judge(at(0.1)).unwrap();
        assert!(scene.input.has_settled(scene.now, &scene.config));
        scene.now += Duration::from_millis(500);
        assert!(!scene.input.has_settled(scene.now, &scene.config));
    }

    #[test]
    fn refusal_becomes_stale_after_sender_stops() {
        let stream_health = StreamHealthConfig { frozen_timeout: Duration::from_millis(20), min_rate: 0.0 };
        let mut scene = Scene::new(TeleopConfig { stream_health, ..settings() });
        scene.judge(at(0.1)).unwrap();
        assert!(matches!(scene.judge(at(0.1)), Err(InputFault::Frozen { .. })));
        assert!(matches!(scene.obstacle(), Some(Obstacle::Input(InputFault::Frozen { .. }))));
        scene.now += SHOWN_FOR;
        assert!(matches!(scene.obstacle(), Some(Obstacle::Stale { refused: Some(_), .. })));
    }
}
