//! Simulations: producers, the journal, the cache, the query actor and consumers live through crashes
//! and replacements at every step, power cuts, ill disks and clocks that are set, all of it from one
//! number that repeats it.

mod checks;
mod consumers;
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

/// How long a session lasts: so short that many end of themselves.
const LOGOFF: Duration = Duration::from_secs(20);

/// How many seeds are lived through; `tests/simulation.sh` sets more.
const SEEDS: u64 = 500;

/// How many seeds a mistake may hide in.
const HIDES: u64 = 200;

/// Lives through one seed; how many crashes there were.
fn live(seed: u64, fault: Option<Fault>) -> Result<u64, Broken> {
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
        crashes += live(seed, None).unwrap_or_else(|broken| {
            panic!("ROLLCALL_SEED={seed} tests/simulation.sh shows it again: {broken:?}")
        });
    }
    println!("{count} seeds, {crashes} crashes, every promise kept");
}

#[test]
fn every_injected_defect_is_detected_by_the_simulation() {
    for fault in Fault::ALL {
        let found = (0..HIDES).find_map(|seed| Some((seed, live(seed, Some(fault)).err()?)));
        let (seed, broken) = found.unwrap_or_else(|| panic!("{fault:?} hides from {HIDES} seeds"));
        assert!(fault.breaks().contains(&broken.promise), "{fault:?}: seed {seed}: {broken:?}");
        println!("{fault:?}: seed {seed}: {:?}: {}", broken.promise, broken.how);
    }
}
