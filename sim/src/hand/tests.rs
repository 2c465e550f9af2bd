use std::f64::consts::TAU;

use super::*;

/// Returns `count` samples of a caller that is always on time.
fn samples(config: HandConfig, count: usize) -> Vec<Sample> {
    let mut hand = Hand::new(config).unwrap();
    (0..count).map(|_| hand.next(Duration::ZERO)).collect()
}

fn poses(samples: &[Sample]) -> Vec<HandPose> {
    let pose = |sample: &Sample| match sample.reading {
        Reading::Hand(pose) => Some(pose),
        Reading::Zeros | Reading::Nothing => None,
    };
    samples.iter().filter_map(pose).collect()
}

fn difference(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|axis| a[axis] - b[axis])
}

fn length(vector: [f64; 3]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

const MINUTE_AT_1_KHZ: usize = 60_000;

fn at_1_khz() -> HandConfig {
    HandConfig { rate: 1000.0, ..HandConfig::default() }
}

#[test]
fn hand_uses_most_of_its_box() {
    let config = HandConfig::default();
    let positions: Vec<_> =
        poses(&samples(config.clone(), 30 * 600)).iter().map(|pose| pose.position).collect();
    for axis in 0..3 {
        let along = || positions.iter().map(|position| position[axis]);
        let (low, high) = (along().fold(f64::MAX, f64::min), along().fold(f64::MIN, f64::max));
        assert!(low >= config.min[axis] && high <= config.max[axis], "axis {axis}: {low} to {high}");
        assert!(high - low > 0.8 * (config.max[axis] - config.min[axis]), "axis {axis}: {low} to {high}");
    }
}

#[test]
fn hand_stays_in_a_box_thinner_than_tremor() {
    let config = HandConfig { min: [0.0; 3], max: [1e-6, 0.1, 0.1], tremor: 0.01, ..HandConfig::default() };
    for pose in poses(&samples(config.clone(), 3000)) {
        for axis in 0..3 {
            let x = pose.position[axis];
            assert!((config.min[axis]..=config.max[axis]).contains(&x), "axis {axis}: {x}");
        }
    }
}

#[test]
fn hand_reaches_but_never_exceeds_its_speed() {
    let config = at_1_khz();
    let shake = TAU * path::FASTEST_TREMOR * config.tremor * 3f64.sqrt();
    let poses = poses(&samples(config.clone(), MINUTE_AT_1_KHZ));
    let speeds =
        poses.windows(2).map(|pair| length(difference(pair[1].position, pair[0].position)) * config.rate);
    let fastest = speeds.fold(0.0, f64::max);
    assert!(fastest <= config.speed + shake + 1e-9, "{fastest} m/s");
    assert!(fastest > 0.8 * config.speed, "{fastest} m/s");
}

#[test]
fn reaches_start_and_end_smoothly() {
    let config = HandConfig { tremor: 0.0, ..at_1_khz() };
    // The highest acceleration of a minimum-jerk reach is 10/√3 · distance/duration², and distance
    // ≤ speed · duration / 1.875.
    let bound = 10.0 / 3f64.sqrt() / 1.875 * config.speed / path::SHORTEST_REACH;
    let poses = poses(&samples(config.clone(), MINUTE_AT_1_KHZ));
    for three in poses.windows(3) {
        let [a, b, c] = [0, 1, 2].map(|i| three[i].position);
        let acceleration = length(difference(difference(c, b), difference(b, a))) * config.rate.powi(2);
        assert!(acceleration <= bound * 1.001, "{acceleration} m/s², bound {bound}");
    }
}

#[test]
fn fingers_move_smoothly_and_only_at_rest() {
    let config = HandConfig { tremor: 0.0, ..at_1_khz() };
    let poses = poses(&samples(config, MINUTE_AT_1_KHZ));
    for pair in poses.windows(2) {
        let fingers = (pair[1].opening - pair[0].opening).abs();
        assert!(fingers < 0.01, "{fingers} in a millisecond");
        assert!(fingers == 0.0 || pair[1].position == pair[0].position);
    }
    let closings = poses.windows(2).filter(|pair| pair[0].opening >= 0.5 && pair[1].opening < 0.5).count();
    assert!(closings >= 3, "{closings} pinches in a minute");
    assert!(poses.iter().any(|pose| pose.opening == 0.0) && poses.iter().any(|pose| pose.opening == 1.0));
}

#[test]
fn fingers_stay_apart_without_pinches() {
    let config = HandConfig { pinch: 0.0, ..HandConfig::default() };
    assert!(poses(&samples(config, 3000)).iter().all(|pose| pose.opening == 1.0));
}

#[test]
fn seed_determines_everything() {
    let config = HandConfig {
        position_jitter: 0.001,
        time_jitter: Duration::from_millis(5),
        dropout_share: 0.2,
        ..HandConfig::default()
    };
    assert_eq!(samples(config.clone(), 2000), samples(config.clone(), 2000));
    assert_ne!(samples(config.clone(), 2000), samples(HandConfig { seed: 2, ..config }, 2000));
}

#[test]
fn path_is_independent_of_rate_and_drop_outs() {
    let slow = poses(&samples(HandConfig { rate: 10.0, ..HandConfig::default() }, 200));
    let fast = samples(HandConfig { rate: 100.0, dropout_share: 0.3, ..HandConfig::default() }, 2000);
    let mut compared = 0;
    for (slow, fast) in slow.iter().zip(fast.iter().step_by(10)) {
        if let Reading::Hand(fast) = fast.reading {
            assert!(length(difference(slow.position, fast.position)) < 1e-9);
            compared += 1;
        }
    }
    assert!((100..200).contains(&compared), "{compared} of 200 samples compared");
}

#[test]
fn jitter_is_bounded_and_as_configured() {
    let sigma = 0.002;
    let smooth = poses(&samples(HandConfig::default(), 9000));
    let noisy = poses(&samples(HandConfig { position_jitter: sigma, ..HandConfig::default() }, 9000));
    let noise: Vec<f64> =
        smooth.iter().zip(&noisy).flat_map(|(a, b)| difference(a.position, b.position)).collect();
    let deviation = (noise.iter().map(|x| x * x).sum::<f64>() / noise.len() as f64).sqrt();
    assert!((deviation / sigma - 1.0).abs() < 0.05, "standard deviation {deviation}");
    assert!(noise.iter().all(|x| x.abs() <= MAX_SIGMA * sigma + 1e-12));
}

#[test]
fn delays_vary_but_samples_keep_their_order() {
    let config = HandConfig { time_jitter: Duration::from_millis(50), ..HandConfig::default() };
    let samples = samples(config, 1000);
    assert!(samples.windows(2).all(|pair| pair[0].taken + pair[0].delay < pair[1].taken));
    assert!(samples.windows(2).any(|pair| pair[0].delay != pair[1].delay));
}

#[test]
fn drop_outs_have_configured_share_and_length() {
    let config = HandConfig {
        rate: 100.0,
        dropout_share: 0.25,
        dropout_length: Duration::from_millis(800),
        ..HandConfig::default()
    };
    let lost: Vec<bool> =
        samples(config, 200_000).iter().map(|sample| sample.reading == Reading::Nothing).collect();
    assert!(!lost[0], "it starts with the hand in sight");
    let share = lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
    assert!((share - 0.25).abs() < 0.02, "lost for {share} of the time");
    let runs: Vec<&[bool]> = lost.chunk_by(|a, b| a == b).collect();
    let losses: Vec<f64> =
        runs[..runs.len() - 1].iter().filter(|run| run[0]).map(|run| run.len() as f64 / 100.0).collect();
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!((mean / 0.8 - 1.0).abs() < 0.05, "mean loss {mean} s");
    let range = 0.8 * (1.0 - dropouts::SPREAD) - 0.011..=0.8 * (1.0 + dropouts::SPREAD) + 0.011;
    assert!(losses.iter().all(|loss| range.contains(loss)), "{losses:?}");
}

#[test]
fn lost_hand_is_silent_zeros_or_repeated() {
    let with = |on_loss| {
        samples(
            HandConfig { dropout_share: 0.3, position_jitter: 0.001, on_loss, ..HandConfig::default() },
            900,
        )
    };
    let (silent, zeros, repeat) = (with(OnLoss::Silent), with(OnLoss::Zeros), with(OnLoss::Repeat));
    let mut last = None;
    let mut lost = 0;
    for ((silent, zeros), repeat) in silent.iter().zip(&zeros).zip(&repeat) {
        if let Reading::Hand(pose) = silent.reading {
            assert!(zeros.reading == silent.reading && repeat.reading == silent.reading);
            last = Some(pose);
        } else {
            lost += 1;
            assert_eq!(silent.reading, Reading::Nothing);
            assert_eq!(zeros.reading, Reading::Zeros);
            assert_eq!(Some(repeat.reading), last.map(Reading::Hand));
        }
    }
    assert!(lost > 100, "{lost} of 900 samples lost");
}

#[test]
fn late_caller_gets_no_burst() {
    let mut hand = Hand::new(HandConfig { rate: 50.0, ..HandConfig::default() }).unwrap();
    let ms = Duration::from_millis;
    assert_eq!(hand.next(ms(0)).taken, ms(0));
    assert_eq!(hand.next(ms(1)).taken, ms(20));
    assert_eq!(hand.next(ms(20)).taken, ms(40), "a sample is taken once");
    assert_eq!(hand.next(ms(1010)).taken, ms(1020));
    assert_eq!(hand.next(ms(1010)).taken, ms(1040));
}

#[test]
fn rounding_never_skips_a_sample() {
    let mut hand = Hand::new(HandConfig::default()).unwrap();
    let mut taken = hand.next(Duration::ZERO).taken;
    for number in 1..10_000 {
        let next = hand.next(taken + Duration::from_nanos(1)).taken;
        assert!((next.as_secs_f64() - f64::from(number) / 30.0).abs() < 1e-6, "sample {number} at {next:?}");
        taken = next;
    }
}

#[test]
fn invalid_configuration_error_names_the_value() {
    let error = |config| Hand::new(config).unwrap_err().to_string();
    let default = HandConfig::default;
    assert_eq!(error(HandConfig { rate: 0.0, ..default() }), "rate is 0.0; it must be above 0 Hz");
    assert_eq!(error(HandConfig { speed: f64::NAN, ..default() }), "speed is NaN; it must be above 0 m/s");
    assert_eq!(
        error(HandConfig { dropout_share: 1.0, ..default() }),
        "dropout_share is 1.0; it must be from 0 to 0.9"
    );
    assert_eq!(
        error(HandConfig { min: [0.3, -0.2, 0.08], ..default() }),
        "the box from [0.3, -0.2, 0.08] to [0.28, 0.2, 0.3] m is empty: each coordinate of min must be below \
         that of max"
    );
}
