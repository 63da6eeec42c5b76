//! Loopback addresses that one test at a time may use.
//!
//! Under `tests/run` each test has a network of its own, and every address is free. Under
//! `cargo test` all tests of the machine share one network; a locked file for each address keeps
//! them apart.

use std::env;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::time::Duration;

use super::within;

/// How long a test waits for an address that other tests use: the longest queue of tests.
const QUEUE: Duration = Duration::from_secs(1800);

/// The networks `127.0.N.0/24` of simulated domain controllers.
const NETWORKS: std::ops::Range<u8> = 50..200;

/// An address or a network, until this is dropped.
pub(crate) struct Reserved(#[expect(dead_code, reason = "the lock ends with the file")] File);

impl Reserved {
    /// Waits until no other test uses `address`.
    pub(crate) fn address(address: &str) -> Self {
        let reserved = within(QUEUE, || Self::try_lock(address));
        reserved.unwrap_or_else(|| panic!("other tests have used {address} for {QUEUE:?}"))
    }

    /// A network `127.0.N.0/24` that no other test uses, and its `N`.
    pub(crate) fn network() -> (u8, Self) {
        let free = NETWORKS.filter_map(|n| Some((n, Self::try_lock(&format!("127.0.{n}.0"))?)));
        free.take(1).next().expect("other tests use all networks of simulated controllers")
    }

    fn try_lock(address: &str) -> Option<Self> {
        // Names this network: `net:[4026531840]`.
        let network = fs::read_link("/proc/self/ns/net").unwrap_or_default();
        let network = network.display().to_string().replace(|c: char| !c.is_ascii_digit(), "");
        let path = env::temp_dir().join(format!("rollcall-test-{network}-{address}.lock"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        match file.try_lock() {
            Ok(()) => Some(Self(file)),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(error)) => panic!("{}: {error}", path.display()),
        }
    }
}
