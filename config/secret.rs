//! Secrets: hashes of client secrets, and passwords that Rollcall sends to servers.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::password_hash::PasswordHash;
use zeroize::Zeroizing;

use crate::file;
use crate::table_reader::TableReader;

/// The error for an empty password.
const EMPTY: &str = "is empty, and LDAP treats an empty password as an anonymous bind";

/// What is printed instead of a secret.
const REDACTED: &str = "<redacted>";

/// The hash of a client secret. `Debug` and errors never contain it.
///
/// * `$argon2id$v=19$m=19456,t=2,p=1$…`, a PHC string: for a secret that a person chose.
/// * `$sha256$…`, followed by 64 hexadecimal digits: for a secret of 192 random bits that Rollcall
///   generated. No list of guesses contains it, so that a slow hash protects nothing, and the
///   check is so cheap that an attacker cannot delay it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash(Arc<Zeroizing<String>>);

/// Why a text is not a valid hash of a secret. It never contains the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretHashError {
    /// The text has neither prefix. It may be the secret itself.
    #[error(
        "is not a hash that begins with $argon2id$ or $sha256$; run `rollcall secret hash` to \
         create one from a secret"
    )]
    Unknown,
    /// A SHA-256 hash is not 64 hexadecimal digits in lower case.
    #[error("is not a complete $sha256$ hash; run `rollcall client add` to generate a secret")]
    MalformedSha256,
    /// A parameter is outside of the range that argon2 allows, or the salt or the hash is missing.
    #[error("is an incomplete or invalid argon2id hash; run `rollcall secret hash` to create one")]
    Malformed,
    /// A verification would need more than [`SecretHash::MEMORY_LIMIT`] of memory.
    #[error("is an argon2id hash that needs more than 256 MiB of memory; lower its parameter m")]
    Costly,
}

impl SecretHash {
    /// The maximum memory of one verification in KiB. Every host that reaches the listener can
    /// trigger two verifications at a time.
    pub const MEMORY_LIMIT: u32 = 256 * 1024;

    /// The prefix of the SHA-256 hash of a generated secret.
    const SHA256: &str = "$sha256$";

    /// Checks that `text`, trimmed, is a complete hash.
    ///
    /// # Errors
    /// [`SecretHashError`] if it is not.
    pub fn new(text: &str) -> Result<Self, SecretHashError> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix(Self::SHA256) {
            let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let is_complete = digits.len() == 64 && digits.bytes().all(is_digit);
            return match is_complete {
                true => Ok(Self(Arc::new(Zeroizing::new(text.to_owned())))),
                false => Err(SecretHashError::MalformedSha256),
            };
        }
        if !text.starts_with("$argon2id$") {
            return Err(SecretHashError::Unknown);
        }
        let parsed = PasswordHash::new(text).map_err(|_| SecretHashError::Malformed)?;
        let costs = argon2::Params::try_from(&parsed).map_err(|_| SecretHashError::Malformed)?;
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(SecretHashError::Malformed);
        }
        if costs.m_cost() > Self::MEMORY_LIMIT {
            return Err(SecretHashError::Costly);
        }
        Ok(Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    /// The hash of a generated secret, from its SHA-256 digest.
    pub fn of_generated(digest: [u8; 32]) -> Self {
        let mut text = Self::SHA256.to_owned();
        for byte in digest {
            let _ = write!(text, "{byte:02x}");
        }
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// Whether this is the SHA-256 hash of a generated secret.
    pub fn is_of_generated(&self) -> bool {
        self.0.starts_with(Self::SHA256)
    }

    /// The text, for verification and for the clients file.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads the hash from the one key of [`SECRET_KEYS`] that is present.
    pub(crate) fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let (key, hash) = read(table, &SECRET_KEYS)?;
        Self::new(&hash).map_err(|error| table.error_at(key, error.to_string())).ok()
    }
}

/// A password that Rollcall sends to a server. `Debug` and errors never contain it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: Arc<Zeroizing<String>>,
    /// The file that it was read from; `None` for one from the environment.
    file: Option<Arc<Path>>,
}

impl Secret {
    /// The secret `text` without trailing line breaks. `None` if the rest is empty, because LDAP
    /// treats an empty password as an anonymous bind (RFC 4513 section 5.1.2).
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        let text = Arc::new(Zeroizing::new(text.to_owned()));
        (!text.is_empty()).then_some(Self { text, file: None })
    }

    /// The secret in the file `path`, which other users must not be able to access.
    ///
    /// # Errors
    /// Why the file cannot be used: the end of a sentence that begins with the name of its key.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let text = Zeroizing::new(file::secret_text(path)?);
        let secret = Self::new(&text).ok_or(EMPTY)?;
        Ok(Self { file: Some(path.into()), ..secret })
    }

    /// The secret as its file has it now. A secret that is not from a file does not change.
    ///
    /// # Errors
    /// As [`Secret::from_file`].
    pub fn reread(&self) -> Result<Self, String> {
        self.file.as_ref().map_or_else(|| Ok(self.clone()), |path| Self::from_file(path))
    }

    /// The secret itself, for authentication.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Reads the secret from the one key of [`SECRET_KEYS`] that is present. The configuration
    /// itself never contains it.
    pub(crate) fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let (key, text) = read(table, &SECRET_KEYS[1..])?;
        let Some(secret) = Self::new(&text) else {
            table.error_at(key, EMPTY);
            return None;
        };
        let file = (key == "secret_file").then(|| table.file_path(key)).flatten();
        Some(Self { file: file.map(Arc::from), ..secret })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The keys for a secret or its hash: inline, in a file, in a credential of the systemd unit
/// (`LoadCredential=`), in an environment variable.
const SECRET_KEYS: [&str; 4] = ["secret_hash", "secret_file", "secret_credential", "secret_env"];

/// The value of the one key of `keys` that is present, and that key.
fn read(
    table: &TableReader<'_>,
    keys: &[&'static str],
) -> Option<(&'static str, Zeroizing<String>)> {
    let present: Vec<_> = keys.iter().copied().filter(|key| table.has(key)).collect();
    let &[key] = present.as_slice() else {
        let message = match present.as_slice() {
            [] => format!("has no secret: set one of {}", keys.join(", ")),
            many => format!("has {} secrets: set only one of {}", many.len(), many.join(", ")),
        };
        table.error_at("", message);
        return None;
    };
    let text = Zeroizing::new(table.get::<String>(key)?);
    let value = match key {
        "secret_file" => file::secret_text(&table.file_path(key)?),
        "secret_credential" => credential(table, &text),
        "secret_env" => table.environment().variable(&text).ok_or_else(|| {
            format!("refers to the environment variable {:?}, which is not set", text.as_str())
        }),
        _ => {
            table.set_effective(key, REDACTED.into());
            Ok(text.to_string())
        }
    };
    let value = value.map_err(|error| table.error_at(key, error)).ok()?;
    Some((key, Zeroizing::new(value)))
}

/// Reads a credential of the systemd unit (systemd.exec(5), `$CREDENTIALS_DIRECTORY`).
fn credential(table: &TableReader<'_>, name: &str) -> Result<String, String> {
    if Path::new(name).file_name().is_none_or(|file| file != name) {
        return Err(format!("{name:?} must be the name of a credential, not a path"));
    }
    match table.environment().variable("CREDENTIALS_DIRECTORY") {
        Some(folder) => file::secret_text(&PathBuf::from(folder).join(name)),
        None => {
            Err("requires systemd with LoadCredential=: CREDENTIALS_DIRECTORY is not set"
                .to_owned())
        }
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A valid hash without a known secret.
    pub(crate) const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                                   Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5MDE";

    #[test]
    fn a_hash_is_accepted_and_never_printed() {
        let hash = SecretHash::new(&format!("{HASH}\n")).unwrap();
        assert_eq!(hash.expose(), HASH);
        assert_eq!(format!("{hash:?}"), "<redacted>");
    }

    #[test]
    fn a_password_keeps_its_spaces_and_is_never_printed() {
        let secret = Secret::new(" pass word \r\n").unwrap();
        assert_eq!(secret.expose(), " pass word ");
        assert_eq!(format!("{secret:?}"), "<redacted>");
        assert_eq!(Secret::new("\n"), None);
    }

    #[test]
    fn an_invalid_hash_is_refused_without_printing_it() {
        let cut = HASH.rsplit_once('$').unwrap().0;
        let costly = HASH.replace("m=19456", "m=262145");
        for (text, error) in [
            ("$sha256$abc", SecretHashError::MalformedSha256),
            (&format!("$sha256${}", "A".repeat(64)), SecretHashError::MalformedSha256),
            ("hunter2", SecretHashError::Unknown),
            ("$2b$12$abcdefghijklmnopqrstuv", SecretHashError::Unknown),
            (&HASH.replace("argon2id", "argon2i"), SecretHashError::Unknown),
            (cut, SecretHashError::Malformed),
            ("$argon2id$", SecretHashError::Malformed),
            (&HASH.replace("t=2", "t=0"), SecretHashError::Malformed),
            (&costly, SecretHashError::Costly),
        ] {
            assert_eq!(SecretHash::new(text), Err(error), "{text}");
            assert!(!error.to_string().contains(text));
        }
    }
}
