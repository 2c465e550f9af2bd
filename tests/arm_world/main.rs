//! The whole bridge against a physical arm: random hands, persons, networks and faults, in virtual time, without sockets.
//! The invariants of docs/safety.md that are about the arm, A1 to A12, are held at the metal, and not at the bridge's words.
//!
//!     ARM_WORLD_EVENTS=100000000 cargo test --release --no-default-features --test arm_world -- --nocapture
//!     ARM_WORLD_SEED=42 cargo test --no-default-features --test arm_world -- --nocapture
//!
//! A world is made of a seed: its settings, and a script of what happens. A failure names the seed, and the script without
//! all that is not needed for the failure.
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

/// Plays a script in a world of this seed.
fn play(seed: u64, script: &[Step]) -> (Result<(), Violation>, Counts) {
    play_with(Settings::random(seed), script)
}

fn play_with(settings: Settings, script: &[Step]) -> (Result<(), Violation>, Counts) {
    let mut world = World::new(settings);
    let result = script.iter().try_for_each(|step| world.handle(step));
    (result, world.counts)
}

/// Drops from a script what is not needed for the same violation.
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

/// What a failure prints.
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
fn no_random_world_breaks_an_invariant_of_the_arm() {
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
            // The first of each rule.
            failures.entry(violation.rule).or_insert((script, violation, Vec::new())).2.push(seed);
        }
        if only.is_some() || failures.values().map(|(.., seeds)| seeds.len()).sum::<usize>() > FAILURES {
            break;
        }
        seed += 1;
    }
    println!("{counts:?} in {:.1} s", begun.elapsed().as_secs_f64());
    let told: Vec<_> = failures
        .into_values()
        .map(|(script, violation, seeds)| {
            format!("in the worlds {seeds:?}, {}", describe(seeds[0], script, &violation))
        })
        .collect();
    assert!(told.is_empty(), "\n{}", told.join("\n\n"));
    assert!(only.is_some() || counts.is_enough(), "too little happens: {counts:?}");
}

#[test]
fn same_seed_plays_the_same_world() {
    for seed in 1..20 {
        let script = script::random(seed);
        assert_eq!(play(seed, &script).1, play(seed, &script).1, "seed {seed}");
    }
}

/// So many worlds fail before it stops to look for more.
const FAILURES: usize = 100;
/// How many lines of what happened last are printed.
const LINES: usize = 120;
/// In less than a minute on one core, without optimisation.
const EVENTS: u64 = 1_000_000;
