//! Checks the numbered invariants of docs/safety.md over random event sequences and random valid
//! configurations.
#![allow(clippy::disallowed_methods)] // one base instant; all other times are virtual

mod arm_record;
mod checks;
mod events;
mod publishers;
mod returns;
mod settings;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use aether_bridge::teleop::Motion;
use events::{Event, event, gripper_event};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use settings::{gripper_settings, settings};
use world::World;

/// Returns a configuration with the same sequences in each run, so that two versions of the code
/// are comparable. Set `PROPTEST_RNG_SEED` for other sequences.
fn runner_config(cases: u32) -> ProptestConfig {
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    match config.rng_seed {
        RngSeed::Random => ProptestConfig { rng_seed: RngSeed::Fixed(1), ..config },
        RngSeed::Fixed(_) => config,
    }
}

#[test]
fn events_never_yield_a_forbidden_command() {
    let handled = AtomicU64::new(0);
    let sequence = (settings(), 1usize..4, prop::collection::vec(event(), 1..150));
    let mut runner = TestRunner::new(runner_config(CASES));
    let result = runner.run(&sequence, |(config, window, events)| {
        let mut world = World::new(config, window);
        for event in &events {
            world.handle(event);
        }
        handled.fetch_add(world.handled, Ordering::Relaxed);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let handled = handled.into_inner();
    assert!(handled >= 100_000, "only {handled} events");
}

/// Invariant 6, with more gripper events than in the other test.
#[test]
fn events_never_move_the_gripper_by_themselves() {
    let changes = AtomicU64::new(0);
    let sequence = (gripper_settings(), 1usize..4, prop::collection::vec(gripper_event(), 1..80));
    let mut runner = TestRunner::new(runner_config(CASES / 2));
    let result = runner.run(&sequence, |(config, window, events)| {
        let mut world = World::new(config, window);
        events.iter().for_each(|event| world.handle(event));
        changes.fetch_add(world.log().gripper_changes(), Ordering::Relaxed);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let changes = changes.into_inner();
    assert!(changes >= 200, "only {changes} changes");
}

/// Invariant 7: the wall clock, and with it the stamps, never changes the commands or their times.
#[test]
fn wall_clock_change_does_not_change_commands() {
    let sequence =
        (settings(), prop::collection::vec(event(), 1..60), prop::collection::vec(0u64..100, 1..5));
    let result = TestRunner::new(runner_config(CASES / 4)).run(&sequence, |(config, events, jumps)| {
        let mut worlds = [World::new(config.clone(), 1), World::new(config, 1)];
        for (i, event) in events.into_iter().enumerate() {
            // Use ages of zero only, because a jump of the clock may hide that a stamp goes back.
            let event = match event {
                Event::Target { at, frame, age_ms, gripper } => {
                    Event::Target { at, frame, age_ms: age_ms.map(|_| 0), gripper }
                }
                event => event,
            };
            if jumps.contains(&(i as u64)) {
                // Longer than any interval that the filter accepts between two targets of a sender.
                worlds[1].set_wall_clock_forward(std::time::Duration::from_secs(2 + i as u64));
            }
            for world in &mut worlds {
                world.handle(&event);
            }
        }
        let [undisturbed, disturbed] = worlds.map(|world| world.log());
        prop_assert_eq!(undisturbed, disturbed, "invariant 7");
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A property test in which no command is sent would prove nothing.
#[test]
fn random_events_do_move_the_arm() {
    let mut runner = TestRunner::deterministic();
    let strategy = (settings(), prop::collection::vec(event(), 100));
    let mut seen = Seen::default();
    for _ in 0..160 {
        let (config, events) = strategy.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(config, 1);
        for event in &events {
            world.handle(event);
            let motion = world.teleop.motion();
            seen.tracked += u64::from(motion == Motion::Tracking);
            seen.stopped += u64::from(motion == Motion::Stopped);
            seen.reconfigured += u64::from(matches!(event, Event::Configure(_)));
        }
        let log = world.log();
        seen.sent += log.commands();
        seen.repeated += log.repetitions();
        seen.stop_lines += log.stop_lines();
        seen.gripper_changes += log.gripper_changes();
    }
    let enough = seen.sent > 4500
        && seen.tracked > 150
        && seen.stopped > 100
        && seen.repeated > 200
        && seen.stop_lines > 100
        && seen.gripper_changes > 5
        && seen.reconfigured > 100;
    assert!(enough, "{seen:?}");
}

#[derive(Debug, Default)]
struct Seen {
    sent: u64,
    tracked: u64,
    stopped: u64,
    repeated: u64,
    stop_lines: u64,
    gripper_changes: u64,
    reconfigured: u64,
}

const CASES: u32 = 600;
