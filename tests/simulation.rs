//! Deterministic simulation: producers, the journal, the cache, the query actor and consumers run
//! through crashes and replacements at every step, power cuts, disk faults and clock changes. One
//! seed determines a run and repeats it.

mod checks;
mod consumers;
mod directory;
mod disk;
mod faults;
mod receivers;
mod server;
mod sources;
mod store;
mod targets;
mod truth;
mod world;

use std::env;
use std::time::Duration;

use self::faults::Fault;
use self::truth::Broken;
use self::world::World;

/// The logoff time: short, so that many sessions expire.
const LOGOFF: Duration = Duration::from_secs(20);

/// The number of seeds that are simulated; `tests/simulation.sh` sets more.
const SEEDS: u64 = 500;

/// The maximum number of seeds until an injected defect must be detected.
const DETECTION_SEEDS: u64 = 200;

/// Simulates one seed, and returns the number of crashes.
fn simulate(seed: u64, fault: Option<Fault>) -> Result<u64, Broken> {
    let mut world = World::new(seed, fault);
    world.run().map(|()| world.crashes)
}

#[test]
fn every_guarantee_holds_under_any_sequence_of_faults() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("ROLLCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROLLCALL_SEEDS").unwrap_or(SEEDS),
    };
    let (count, mut crashes) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        crashes += simulate(seed, None).unwrap_or_else(|broken| {
            panic!("ROLLCALL_SEED={seed} tests/simulation.sh repeats it: {broken:?}")
        });
    }
    println!("{count} seeds, {crashes} crashes, every guarantee holds");
}

#[test]
fn every_injected_defect_is_detected_by_the_simulation() {
    for fault in Fault::ALL {
        let found =
            (0..DETECTION_SEEDS).find_map(|seed| Some((seed, simulate(seed, Some(fault)).err()?)));
        let (seed, broken) =
            found.unwrap_or_else(|| panic!("{fault:?} is not detected in {DETECTION_SEEDS} seeds"));
        assert!(fault.breaks().contains(&broken.promise), "{fault:?}: seed {seed}: {broken:?}");
        println!("{fault:?}: seed {seed}: {:?}: {}", broken.promise, broken.how);
    }
}
