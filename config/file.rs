//! Files that the configuration names: there, readable, and closed to others when they are secret.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The longest file that a configuration may name. A certificate chain or a template is far
/// shorter; a device or a log named by mistake would fill the memory.
const LIMIT: u64 = 4 << 20;

/// Reads a text file. Errors follow the key in a sentence.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let named = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
    let file = File::open(path).map_err(|why| named(&why))?;
    if !file.metadata().map_err(|why| named(&why))?.is_file() {
        return Err(named(&"not a regular file"));
    }
    let mut text = String::new();
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(|why| named(&why))?;
    if text.len() as u64 > LIMIT {
        return Err(named(&"longer than 4 MiB"));
    }
    Ok(text)
}

/// Reads a text file that no other user may read.
pub(crate) fn secret_text(path: &Path) -> Result<String, String> {
    closed_to_others(path)?;
    text(path)
}

/// Refuses a file that every user of the machine can read or write.
pub(crate) fn closed_to_others(path: &Path) -> Result<(), String> {
    let metadata =
        fs::metadata(path).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(format!("{0} is open to every user (mode {mode:03o}); chmod o= {0}", path.display()))
}
