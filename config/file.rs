//! Files that the configuration refers to: they must be readable, and secret ones protected.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The maximum size of a file. Certificate chains and templates are far smaller; without a limit, a
/// path to a device or a log would exhaust the memory.
const MAX_SIZE: u64 = 4 << 20;

/// Reads a text file. The error is the end of a sentence that begins with the key.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let named = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(|error| named(&error))?;
    if !file.metadata().map_err(|error| named(&error))?.is_file() {
        return Err(named(&"not a regular file"));
    }
    let mut text = String::new();
    file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(|error| named(&error))?;
    if text.len() as u64 > MAX_SIZE {
        return Err(named(&"larger than 4 MiB"));
    }
    Ok(text)
}

/// Reads a text file that other users must not be able to access.
pub(crate) fn secret_text(path: &Path) -> Result<String, String> {
    check_permissions(path)?;
    text(path)
}

/// Fails if every user of the machine can access the file, or if its group can change it. A group may
/// read it: some distributions share keys in that way.
pub(crate) fn check_permissions(path: &Path) -> Result<(), String> {
    let metadata =
        fs::metadata(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mode = metadata.permissions().mode() & 0o777;
    let path = path.display();
    if mode & 0o007 != 0 {
        return Err(format!(
            "{path} is accessible to every user (mode {mode:03o}); run chmod o= {path}"
        ));
    }
    if mode & 0o020 != 0 {
        return Err(format!(
            "{path} can be changed by its group (mode {mode:03o}); run chmod g-w {path}"
        ));
    }
    Ok(())
}
