//! Simulation: producers, the journal, the cache, the query actor and consumers run through crashes and
//! replacements at every step, power cuts, failing disks and clock changes. One number determines a run
//! and repeats it.

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

/// The logoff time: so short that many sessions expire.
const LOGOFF: Duration = Duration::from_secs(20);

/// The number of seeds; `tests/simulation.sh` sets more.
const SEEDS: u64 = 500;

/// The number of seeds within which every planted mistake is found.
const HIDES: u64 = 200;

/// Runs one seed, and returns the number of crashes.
fn run(seed: u64, fault: Option<Fault>) -> Result<u64, Broken> {
    let mut world = World::new(seed, fault);
    world.run().map(|()| world.crashes)
}

#[test]
fn whatever_happens_every_promise_is_kept() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("ROLLCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROLLCALL_SEEDS").unwrap_or(SEEDS),
    };
    let (count, mut crashes) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        crashes += run(seed, None).unwrap_or_else(|broken| {
            panic!("ROLLCALL_SEED={seed} tests/simulation.sh shows it again: {broken:?}")
        });
    }
    println!("{count} seeds, {crashes} crashes, every promise kept");
}

#[test]
fn every_mistake_that_is_planted_is_found() {
    for fault in Fault::ALL {
        let found = (0..HIDES).find_map(|seed| Some((seed, run(seed, Some(fault)).err()?)));
        let (seed, broken) = found.unwrap_or_else(|| panic!("{fault:?} hides from {HIDES} seeds"));
        assert!(fault.breaks().contains(&broken.promise), "{fault:?}: seed {seed}: {broken:?}");
        println!("{fault:?}: seed {seed}: {:?}: {}", broken.promise, broken.how);
    }
}
