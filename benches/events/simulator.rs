//! Simulated domain controllers, as the stories have them.

use std::io;
use std::path::{Path, PathBuf};

/// Where the simulator is.
pub fn folder() -> PathBuf {
    repository().join("tests/peers/dc-simulator")
}

/// The Python that it is installed in.
///
/// # Errors
/// It is not installed: `tests/run` does so.
pub fn python() -> io::Result<PathBuf> {
    let python = repository().join("target/peers/dc-simulator/bin/python");
    match python.is_file() {
        true => Ok(python),
        false => Err(io::Error::other("the simulator of a domain controller is not installed")),
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
