//! The bearer token of the administrators: created at the first start, kept in a file that only its
//! owner can read, and compared in constant time.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use argon2::password_hash::rand_core::{OsRng, RngCore};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The token of the REST interface. Only its hash is kept, so that neither a memory dump nor the
/// duration of a comparison reveals it.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// The minimum length of a token in an existing file: 128 bits in base64.
const MIN_LENGTH: usize = 22;

impl Token {
    /// The token in the file at `path`. If the file does not exist, it is created with mode 0600
    /// and a token of 256 random bits.
    ///
    /// # Errors
    /// The file cannot be read or written, other users can read it, or its token is shorter than 22
    /// characters.
    pub fn open(path: &Path) -> io::Result<Self> {
        match read(path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => create(path),
            other => other,
        }
        .map(|text| Self::new(&text))
    }

    /// A token with this text.
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Whether `text` is the token.
    pub(super) fn matches(&self, text: &str) -> bool {
        let other: [u8; 32] = Sha256::digest(text).into();
        self.0.ct_eq(&other).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Reads a token file, for the server and for the command line.
///
/// # Errors
/// As [`Token::open`], and if the file does not exist.
pub fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        let why = format!("other users can read it (mode {:03o}); set mode 600", mode & 0o777);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut text = Zeroizing::new(fs::read_to_string(path)?);
    let trimmed = text.trim_end().len();
    text.truncate(trimmed);
    let fits = text.len() >= MIN_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let why = format!("a token is one line of at least {MIN_LENGTH} printable characters");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(text)
}

fn create(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut bits = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut *bits);
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bits));
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Written completely under a temporary name: a process that dies in between leaves no empty
    // token file. If two processes start at the same time, the link of the second fails, and it
    // reads the token of the first.
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let written = writeln!(file, "{}", text.as_str()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    match linked {
        Ok(()) => Ok(text),
        Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_created_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/admin.token");
        let made = Token::open(&path).unwrap();
        let text = read(&path).unwrap();
        assert_eq!(text.len(), 43, "256 bits in base64");
        assert!(made.matches(&text) && Token::open(&path).unwrap().matches(&text));
        assert!(
            !made.matches("")
                && !made.matches(&text[1..])
                && !made.matches(&format!("{}x", text.as_str()))
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn an_existing_token_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(create(&path).is_err(), "an existing file is never overwritten");
        assert_eq!(fs::read_to_string(&path).unwrap(), "x");
    }

    #[test]
    fn a_token_file_that_others_can_read_or_that_is_too_short_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        let good = "0123456789abcdef0123456789abcdef";
        for (text, mode, kind) in [
            (good, 0o640, io::ErrorKind::PermissionDenied),
            (good, 0o604, io::ErrorKind::PermissionDenied),
            ("", 0o600, io::ErrorKind::InvalidData),
            ("short\n", 0o600, io::ErrorKind::InvalidData),
            ("two lines, each of them quite long\nsecond", 0o600, io::ErrorKind::InvalidData),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Token::open(&path).unwrap_err();
            assert_eq!(error.kind(), kind, "{text:?} {mode:o}");
            assert!(!error.to_string().contains(good), "the token is not repeated");
        }
    }
}
