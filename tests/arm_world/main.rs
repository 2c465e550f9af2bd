//! Tests the whole bridge with a simulated physical arm. Hands, operators, networks and faults are
//! random. Time is virtual, and there are no sockets. The tests check the invariants of
//! docs/safety.md about the arm (A1 to A12). They check them at the simulated arm itself, not in
//! the messages of the bridge.
//!
//!     ARM_WORLD_EVENTS=100000000 cargo test --release --no-default-features \
//!         --test arm_world -- --nocapture
//!     ARM_WORLD_SEED=42 cargo test --no-default-features --test arm_world -- --nocapture
//!
//! A seed determines a world: its settings, and a script of events. A failure prints the seed and a
//! shortened script: all steps that the failure does not need are removed.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

mod checks;
mod directed;
mod hand;
mod ledger;
mod network;
mod script;
mod settings;
mod world;

use std::collections::BTreeMap;
use std::time::Instant;

use checks::Violation;
use script::Step;
use settings::Settings;
use world::{Counts, World};

/// Runs a script in the world of a seed.
fn play(seed: u64, script: &[Step]) -> (Result<(), Violation>, Counts) {
    play_with(Settings::random(seed), script)
}

fn play_with(settings: Settings, script: &[Step]) -> (Result<(), Violation>, Counts) {
    let mut world = World::new(settings);
    let result = script.iter().try_for_each(|step| world.handle(step));
    (result, world.counts)
}

/// Removes all steps from a script that the violation does not need.
fn shrink(seed: u64, mut script: Vec<Step>, found: &Violation) -> (Vec<Step>, Violation) {
    let fails = |script: &[Step]| play(seed, script).0.err().filter(|other| other.rule == found.rule);
    let mut last = found.clone();
    let mut chunk = script.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        let before = script.len();
        while at < script.len() {
            let end = (at + chunk).min(script.len());
            let shorter: Vec<_> = [&script[..at], &script[end..]].concat();
            match fails(&shorter) {
                Some(violation) => (script, last) = (shorter, violation),
                None => at = end,
            }
        }
        if chunk == 1 && script.len() == before {
            break;
        }
        chunk = if chunk > 1 { chunk / 2 } else { 1 };
    }
    (script, last)
}

/// Returns the text that a failure prints.
fn describe(seed: u64, script: Vec<Step>, found: &Violation) -> String {
    let (script, found) = shrink(seed, script, found);
    let steps: Vec<_> = script.iter().map(|step| format!("  {step:?}")).collect();
    let mut world = World::new(Settings::random(seed));
    world.log = Some(Vec::new());
    let _ = script.iter().try_for_each(|step| world.handle(step));
    let log = world.log.unwrap_or_default();
    let last = log[log.len().saturating_sub(LINES)..].join("\n");
    let settings = Settings::random(seed).describe();
    format!("ARM_WORLD_SEED={seed}: {found}\n{settings}\n{}\n{last}", steps.join("\n"))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, expected a whole number")))
}

#[test]
fn random_worlds_keep_the_arm_invariants() {
    let events = number("ARM_WORLD_EVENTS").unwrap_or(EVENTS);
    let only = number("ARM_WORLD_SEED");
    let begun = Instant::now();
    let (mut counts, mut failures) = (Counts::default(), BTreeMap::new());
    let mut seed = only.unwrap_or(1);
    while counts.events < events {
        let script = script::random(seed);
        let (result, seen) = play(seed, &script);
        counts += seen;
        if let Err(violation) = result {
            // Keep the first violation of each rule.
            failures.entry(violation.rule).or_insert((script, violation, Vec::new())).2.push(seed);
        }
        if only.is_some() || failures.values().map(|(.., seeds)| seeds.len()).sum::<usize>() > FAILURES {
            break;
        }
        seed += 1;
    }
    println!("{counts:?} in {:.1} s", begun.elapsed().as_secs_f64());
    let reports: Vec<_> = failures
        .into_values()
        .map(|(script, violation, seeds)| {
            format!("in the worlds {seeds:?}, {}", describe(seeds[0], script, &violation))
        })
        .collect();
    assert!(reports.is_empty(), "\n{}", reports.join("\n\n"));
    assert!(only.is_some() || counts.is_enough(), "too few events of a kind: {counts:?}");
}

#[test]
fn same_seed_plays_the_same_world() {
    for seed in 1..20 {
        let script = script::random(seed);
        assert_eq!(play(seed, &script).1, play(seed, &script).1, "seed {seed}");
    }
}

/// The search stops after this many failed worlds.
const FAILURES: usize = 100;
/// How many of the last events a failure prints.
const LINES: usize = 120;
/// Takes less than a minute on one core, without optimisation.
const EVENTS: u64 = 1_000_000;
