//! The input: which target may be followed, and where it is in the arm's base frame.
//!
//! Invariants:
//! - A target becomes a [`Sample`] only if every guard in this folder admits it.
//! - After a refused target the input is bad until the next good one. A single zero while a hand is in sight is the
//!   exception: it is passed over.
//! - After the computer has slept nothing from before counts: the input is bad, and targets are refused for a while, because
//!   they may have waited since before.
//! - Motion never follows two senders at once.

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

/// What is known of the input.
#[derive(Debug, Default)]
pub(super) struct Input {
    watchdog: Watchdog,
    health: StreamHealth,
    jump: JumpGuard,
    /// When the last message was received, good or not.
    last_message: Option<Instant>,
    /// The times between the last messages, the newest last.
    intervals: [Duration; 2],
    /// How many targets in a row were all zero.
    zeros: u32,
    /// When the last good target came.
    last_good: Option<Instant>,
    /// When a person armed last.
    armed_at: Option<Instant>,
    /// Where the hand was in its own frame, and which frame that was: what a move of the frame is measured from.
    anchor: Option<(Position, Frame)>,
    /// How long the computer slept last, and when it woke up.
    slept: Option<(Duration, Instant)>,
    /// Whether several nodes send targets.
    senders: SenderWatch,
    /// Whether several nodes send on the gripper's topic.
    gripper_senders: SenderWatch,
}

/// A target that may be followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// When it was taken, on the steady clock.
    pub origin: Instant,
    /// When it was taken, by the sender's clock.
    pub stamp: Option<Stamp>,
    /// Where the hand is, in the arm's base frame.
    pub position: Position,
    /// The hand's orientation in the arm's base frame, if the sender gives one.
    pub orientation: Option<Orientation>,
    /// The input was not good just before it, so that the hand may be anywhere.
    pub resumes: bool,
    /// It is the frame that has moved since the sample before, not only the hand in it.
    pub frame_moved: bool,
}

impl Input {
    /// Judges a target, or returns why it may not be followed. If the input [passes it over](Self::passes_over) that is
    /// no fault of the input.
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
            self.senders.handle_word(now, wanted);
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
            Frame::Tracker => config.retarget.turn(orientation),
            Frame::Base => orientation,
            Frame::Transformed(transform) => transform.orientation(orientation),
        });
        let frame_moved = self.frame_moves(target, position, config);
        Ok(Sample { origin, stamp: target.stamp, position, orientation, resumes, frame_moved })
    }

    /// Returns whether the last target was a single zero while a hand is in sight, here or where it has jumped to. Trackers slip
    /// in single zeros in mid-motion: such a zero is no target, and no loss either.
    pub(super) fn passes_over(&self, now: Instant, config: &TeleopConfig) -> bool {
        let jumped = matches!(self.watchdog.fault(), Some(InputFault::Jump { .. }));
        self.zeros == 1 && (jumped || self.good_since(now, config).is_some())
    }

    /// Returns whether the target's frame has moved by so much more than the hand in it that the arm must not follow at once.
    /// `place` is where the target is in the arm's base frame. A frame that moves little by little is measured from where it
    /// was when the hand came to rest in it.
    fn frame_moves(&mut self, target: &Target, place: Position, config: &TeleopConfig) -> bool {
        let here = Some((target.position, target.frame));
        let Some((position, frame)) = self.anchor.filter(|(_, frame)| *frame != target.frame) else {
            self.anchor = here;
            return false;
        };
        let by_hand = position.distance(target.position);
        let in_old_frame = in_base_frame(&Target { frame, ..*target }, config);
        let moved = in_old_frame.is_ok_and(|before| before.distance(place) > by_hand + NEAR);
        if moved || by_hand > NEAR {
            self.anchor = here;
        }
        moved
    }

    /// Records that a judged target is followed.
    pub(super) fn handle_good(&mut self, now: Instant, origin: Instant, config: &TeleopConfig) {
        self.watchdog.handle_good(now, origin, config.input_timeout);
        self.last_good = Some(now);
    }

    /// Records why the last message may not be followed.
    pub(super) fn handle_fault(&mut self, fault: InputFault) {
        if !matches!(fault, InputFault::Jump { .. }) {
            self.jump.handle_refused();
        }
        self.watchdog.handle_fault(fault);
    }

    /// Records that a person has armed. That gives the hand time to come, but does not make its absence shorter.
    pub(super) fn handle_armed(&mut self, now: Instant) {
        self.armed_at = Some(now);
    }

    /// Records that the computer has slept for so long, and has just woken up.
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

    /// Records a message that could not be made a target. [`Self::handle_fault`] has to follow.
    pub(super) fn handle_malformed(&mut self, now: Instant) {
        self.handle_message(now);
        self.senders.handle_malformed(now);
    }

    /// Takes what a message on the gripper's topic wants.
    pub(super) fn handle_gripper_word(&mut self, now: Instant, wanted: Gripper) {
        self.gripper_senders.handle_word(now, wanted);
    }

    /// Takes who publishes targets, if it is more than one node.
    pub(super) fn handle_publishers(&mut self, several: Option<Arc<str>>) {
        self.senders.handle_publishers(several);
    }

    /// Takes who publishes on the gripper's topic, if it is more than one node.
    pub(super) fn handle_gripper_publishers(&mut self, several: Option<Arc<str>>) {
        self.gripper_senders.handle_publishers(several);
    }

    /// Takes a message of another publisher than the one that the arm is armed for, beside messages of that one.
    pub(super) fn handle_stranger(&mut self, now: Instant) {
        self.senders.handle_stranger(now);
    }

    /// Takes that another publisher sends from now on: its hand has to prove itself from the beginning.
    pub(super) fn handle_new_publisher(&mut self) {
        self.watchdog.forget();
        self.jump.forget();
        self.health = StreamHealth::default();
        self.zeros = 0;
    }

    /// Takes other settings. They bring back no hand that was lost by the old ones.
    pub(super) fn handle_config(&mut self, now: Instant, before: &TeleopConfig, config: &TeleopConfig) {
        self.watchdog.handle_timeout_change(now, before.input_timeout);
        if before.retarget != config.retarget || before.retarget_mode != config.retarget_mode {
            // Positions mean something else from now on.
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

    /// Returns whether the hand has been away so long that it has to settle like a new one.
    pub(super) fn is_away(&self, now: Instant, config: &TeleopConfig) -> bool {
        self.last_good.is_some_and(|seen| config.is_absence(seen, now))
    }

    /// Returns when the hand will have been away so long that a person has to arm, maybe in the past. A hand that is not lost
    /// yet, by `input.timeout`, is not away.
    pub(super) fn rearm_at(&self, config: &TeleopConfig) -> Option<Instant> {
        let limit = Some(config.rearm_after).filter(|limit| !limit.is_zero())?;
        self.last_good.max(self.armed_at).map(|since| since + limit.max(config.input_timeout))
    }

    /// Returns when the input changes by itself, maybe in the past. With `settling` the moment when it settles counts too.
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

    /// Returns why no target may move the arm at present.
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

    /// Records that a message was received, good or not. Call it once for each message.
    fn handle_message(&mut self, now: Instant) {
        if let Some(last) = self.last_message.replace(now) {
            self.intervals = [self.intervals[1], now.saturating_duration_since(last)];
        }
    }

    /// Returns when a sender whose last message was refused counts as stopped: no message for `input.timeout`, nor for
    /// several of the sender's own intervals, and the refusal has been the reason for long enough to be read.
    fn stopped_at(&self, config: &TeleopConfig) -> Option<Instant> {
        self.watchdog.fault()?;
        let interval = self.intervals[0].min(self.intervals[1]);
        let missed = (interval * MISSED).min(LONGEST_SILENCE);
        Some(self.last_message? + config.input_timeout.max(missed).max(SHOWN_FOR))
    }
}

/// Returns where a target is in the arm's base frame. Fails if that is beyond what can be a position.
fn in_base_frame(target: &Target, config: &TeleopConfig) -> Result<Position, PositionError> {
    match target.frame {
        Frame::Tracker => config.retarget.apply(target.position),
        Frame::Base => Ok(target.position),
        Frame::Transformed(transform) => transform.position(target.position),
    }
}

/// How much farther than the hand its frame may move, in metres, and the arm follows at once: where an approach ends.
const NEAR: f64 = 0.005;
/// The shortest time for which a refusal stays the reason: longer than the second between two diagnostics.
const SHOWN_FOR: Duration = Duration::from_millis(1500);
/// How many messages in a row a sender may leave out before it counts as stopped: one or two get lost.
const MISSED: u32 = 3;
/// After this time a sender that sends now and then counts as stopped, too.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::tests::settings;
    use crate::teleop::{Retarget, StreamHealthConfig};

    /// An input that gets a target each 20 ms.
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
                Err(_) if self.input.passes_over(self.now, &self.config) => {}
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
    fn sample_is_in_the_base_frame() {
        let retarget = Retarget::new([1.0, 0.0, 0.0], [0.0; 3], [2.0; 3]);
        let mut scene = Scene::new(TeleopConfig { retarget, ..settings() });
        assert_eq!(scene.judge(at(0.1)).unwrap().position.coordinates(), [1.2, 0.0, 0.0]);
        let in_base = Target { frame: Frame::Base, ..at(1.2) };
        assert_eq!(scene.judge(in_base).unwrap().position.coordinates(), [1.2, 0.0, 0.0]);
    }

    #[test]
    fn single_zero_is_passed_over_and_second_is_a_fault() {
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
    fn sample_after_a_loss_resumes_and_may_be_anywhere() {
        let mut scene = Scene::new(settings());
        assert!(scene.judge(at(0.1)).unwrap().resumes);
        assert!(!scene.judge(at(0.11)).unwrap().resumes);
        scene.now += Duration::from_secs(1);
        assert!(matches!(scene.obstacle(), Some(Obstacle::Stale { refused: None, .. })));
        assert!(scene.judge(at(0.9)).unwrap().resumes);
        // A jump is no loss: it is waited out.
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
    fn refusal_of_a_sender_that_stops_becomes_stale() {
        let stream_health = StreamHealthConfig { frozen_timeout: Duration::from_millis(20), min_rate: 0.0 };
        let mut scene = Scene::new(TeleopConfig { stream_health, ..settings() });
        scene.judge(at(0.1)).unwrap();
        assert!(matches!(scene.judge(at(0.1)), Err(InputFault::Frozen { .. })));
        assert!(matches!(scene.obstacle(), Some(Obstacle::Input(InputFault::Frozen { .. }))));
        scene.now += SHOWN_FOR;
        assert!(matches!(scene.obstacle(), Some(Obstacle::Stale { refused: Some(_), .. })));
    }
}
