//! The path of the hand and the motion of its fingers. The hand makes straight reaches with the
//! bell-shaped speed of human reaches (minimum jerk, Flash and Hogan 1985). After each reach it
//! rests, and sometimes pinches. Tremor is added throughout.

use std::f64::consts::TAU;

use fastrand::Rng;

use super::config::HandConfig;

/// Position, rotation and grip of the hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HandPose {
    /// The point between the finger tips, in metres.
    pub position: [f64; 3],
    /// Rotation about z, in radians.
    pub yaw: f64,
    /// The opening of the fingers: 0 is together, 1 is apart.
    pub opening: f64,
}

/// The path, evaluated forwards in time.
#[derive(Debug, Clone)]
pub(super) struct Path {
    rng: Rng,
    /// The box minus the tremor, so that the hand including its tremor stays in the box.
    min: [f64; 3],
    max: [f64; 3],
    speed: f64,
    pinch: f64,
    tremor: [Tremor; 3],
    reach: Reach,
}

/// One reach and the pause after it.
#[derive(Debug, Clone, Copy)]
struct Reach {
    from: HandPose,
    to: HandPose,
    /// The start in seconds. The hand moves for `duration`, then rests for `rest`.
    start: f64,
    duration: f64,
    rest: f64,
}

/// A sum of a few sines around 10 Hz, which resembles physiological tremor.
#[derive(Debug, Clone, Copy)]
struct Tremor {
    amplitude: f64,
    waves: [Wave; 3],
}

#[derive(Debug, Clone, Copy)]
struct Wave {
    frequency: f64,
    phase: f64,
}

impl Path {
    /// Creates the path for a valid configuration. `seeds` gives the random values.
    pub(super) fn new(config: &HandConfig, seeds: &mut Rng) -> Self {
        let mut rng = seeds.fork();
        let half = |axis: usize| (config.max[axis] - config.min[axis]) / 2.0;
        let margin: [f64; 3] = std::array::from_fn(|axis| config.tremor.min(half(axis)));
        let centre = std::array::from_fn(|axis| config.min[axis] + half(axis));
        let at_rest = HandPose { position: centre, yaw: 0.0, opening: 1.0 };
        Self {
            min: std::array::from_fn(|axis| config.min[axis] + margin[axis]),
            max: std::array::from_fn(|axis| config.max[axis] - margin[axis]),
            speed: config.speed,
            pinch: config.pinch,
            tremor: margin.map(|amplitude| Tremor::new(amplitude, &mut rng)),
            reach: Reach { from: at_rest, to: at_rest, start: 0.0, duration: 0.0, rest: FIRST_REST },
            rng,
        }
    }

    /// Returns the pose of the hand at `t` seconds from the start. `t` must not decrease between
    /// calls.
    pub(super) fn at(&mut self, t: f64) -> HandPose {
        while t >= self.reach.end() {
            self.reach = self.reach_after(self.reach);
        }
        let pose = self.reach.at(t);
        let position = std::array::from_fn(|axis| {
            // Clamp the sum, because a rounding error may put it outside the box.
            let (low, high) =
                (self.min[axis] - self.tremor[axis].amplitude, self.max[axis] + self.tremor[axis].amplitude);
            (pose.position[axis] + self.tremor[axis].at(t)).clamp(low, high)
        });
        HandPose { position, ..pose }
    }

    fn reach_after(&mut self, last: Reach) -> Reach {
        let rng = &mut self.rng;
        let position =
            std::array::from_fn(|axis| between(rng, self.min[axis], self.max[axis].max(self.min[axis])));
        let speed = self.speed * between(rng, SLOWEST, 1.0);
        let pinches = rng.f64() < self.pinch;
        let opening = if pinches { 1.0 - last.to.opening } else { last.to.opening };
        let to = HandPose { position, yaw: between(rng, -MAX_YAW, MAX_YAW), opening };
        let way = distance(last.to.position, to.position);
        Reach {
            from: last.to,
            to,
            start: last.end(),
            duration: (PEAK_SPEED * way / speed).max(SHORTEST_REACH),
            rest: between(rng, SHORTEST_REST, LONGEST_REST),
        }
    }
}

impl Reach {
    fn end(&self) -> f64 {
        self.start + self.duration + self.rest
    }

    fn at(&self, t: f64) -> HandPose {
        let way = minimum_jerk((t - self.start) / self.duration.max(f64::MIN_POSITIVE));
        let pinch = minimum_jerk((t - self.start - self.duration - BEFORE_PINCH) / PINCH);
        HandPose {
            position: std::array::from_fn(|axis| mix(self.from.position[axis], self.to.position[axis], way)),
            yaw: mix(self.from.yaw, self.to.yaw, way),
            opening: mix(self.from.opening, self.to.opening, pinch),
        }
    }
}

impl Tremor {
    fn new(amplitude: f64, rng: &mut Rng) -> Self {
        let wave =
            |_| Wave { frequency: between(rng, SLOWEST_TREMOR, FASTEST_TREMOR), phase: rng.f64() * TAU };
        Self { amplitude, waves: [(); 3].map(wave) }
    }

    fn at(&self, t: f64) -> f64 {
        let sum: f64 = self.waves.iter().map(|wave| (TAU * wave.frequency * t + wave.phase).sin()).sum();
        self.amplitude * sum / self.waves.len() as f64
    }
}

/// Goes from 0 to 1 without a jump in speed or acceleration at either end. Its largest slope is
/// [`PEAK_SPEED`].
fn minimum_jerk(share: f64) -> f64 {
    let s = share.clamp(0.0, 1.0);
    s * s * s * (10.0 + s * (6.0 * s - 15.0))
}

fn mix(from: f64, to: f64, share: f64) -> f64 {
    from + (to - from) * share
}

fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    mix(low, high, rng.f64())
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// The ratio of the highest to the mean speed of a minimum-jerk reach: 15/8.
const PEAK_SPEED: f64 = 1.875;
/// The lowest speed of a reach, as a share of the highest.
const SLOWEST: f64 = 0.6;
/// The shortest duration of a human reach, in seconds.
pub(super) const SHORTEST_REACH: f64 = 0.7;
/// The pause after a reach, in seconds; long enough for a pinch.
const SHORTEST_REST: f64 = 0.5;
const LONGEST_REST: f64 = 1.0;
/// The pause at the start, in seconds.
const FIRST_REST: f64 = 1.0;
/// The delay of the fingers after a reach, and the duration of their motion, in seconds.
const BEFORE_PINCH: f64 = 0.1;
const PINCH: f64 = 0.3;
/// The largest rotation of the hand to either side, in radians.
const MAX_YAW: f64 = 0.5;
/// The band of physiological tremor, in Hz.
const SLOWEST_TREMOR: f64 = 8.0;
pub(super) const FASTEST_TREMOR: f64 = 12.0;
