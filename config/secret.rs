//! Secrets: of clients, of which only the argon2id hash is ever configured or kept, and those that
//! Rollcall itself shows to servers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::password_hash::PasswordHash;
use zeroize::Zeroizing;

use crate::file;
use crate::section::Section;

/// The argon2id hash of a client secret, a PHC string such as `$argon2id$v=19$m=19456,t=2,p=1$…`.
/// Neither `Debug` nor any error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash(Arc<Zeroizing<String>>);

/// Why a text is not the hash of a secret. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Perhaps the secret itself was written where its hash belongs.
    #[error("is not an argon2id hash; `rollcall secret hash` makes one from a secret")]
    NotArgon2id,
    /// A parameter is outside of what argon2 allows, or the salt or the hash is missing.
    #[error("is an argon2id hash with parts missing or wrong; `rollcall secret hash` makes one")]
    Malformed,
    /// One check would take more than [`SecretHash::MEMORY_LIMIT`] of memory.
    #[error("is an argon2id hash that asks for more than 256 MiB of memory a check")]
    Costly,
}

impl SecretHash {
    /// The most memory that one check may take, in KiB: anybody who reaches the listener can make
    /// two of them run at once.
    pub const MEMORY_LIMIT: u32 = 256 * 1024;

    /// Checks that `text`, trimmed, is a whole argon2id PHC string.
    ///
    /// # Errors
    /// [`BadSecret`] says what it is instead.
    pub fn new(text: &str) -> Result<Self, BadSecret> {
        let text = text.trim();
        if !text.starts_with("$argon2id$") {
            return Err(BadSecret::NotArgon2id);
        }
        let parsed = PasswordHash::new(text).map_err(|_| BadSecret::Malformed)?;
        let costs = argon2::Params::try_from(&parsed).map_err(|_| BadSecret::Malformed)?;
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(BadSecret::Malformed);
        }
        if costs.m_cost() > Self::MEMORY_LIMIT {
            return Err(BadSecret::Costly);
        }
        Ok(Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    /// The PHC string, for the check and for the clients file.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads the one key of [`PLACES`] that says where the hash is.
    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let (place, hash) = found(section, &PLACES)?;
        Self::new(&hash).map_err(|why| section.complain(place, why.to_string())).ok()
    }
}

/// A password that Rollcall itself shows to another server. Neither `Debug` nor any error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// The secret `text` without the line end that editors leave behind it; `None` when nothing is
    /// left, which a server of LDAP would take for nobody.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        (!text.is_empty()).then(|| Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }

    /// The secret itself, for the one who proves by it who Rollcall is.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads the one key that says where the secret is: never the configuration itself.
    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let (place, text) = found(section, &PLACES[1..])?;
        let secret = Self::new(&text);
        if secret.is_none() {
            section.complain(place, "holds nothing: an empty password logs on as nobody");
        }
        secret
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Where a secret or its hash can be: here, in a file that nobody else reads, in a credential of
/// the systemd unit (`LoadCredential=`), in a variable.
const PLACES: [&str; 4] = ["secret_hash", "secret_file", "secret_credential", "secret_env"];

/// What the one of `places` that is written holds, and which that is.
fn found(
    section: &Section<'_>,
    places: &[&'static str],
) -> Option<(&'static str, Zeroizing<String>)> {
    let written: Vec<_> = places.iter().copied().filter(|key| section.has(key)).collect();
    let &[place] = written.as_slice() else {
        let message = match written.as_slice() {
            [] => format!("has no secret: write one of {}", places.join(", ")),
            many => {
                format!("has {} secrets: write only one of {}", many.len(), many.join(", "))
            }
        };
        section.complain("", message);
        return None;
    };
    let text = Zeroizing::new(section.get::<String>(place)?);
    let found = match place {
        "secret_file" => file::secret_text(&section.resolve(text.as_str())),
        "secret_credential" => credential(section, &text),
        "secret_env" => section
            .environment()
            .variable(&text)
            .ok_or_else(|| format!("names the variable {:?}, which is not set", text.as_str())),
        _ => Ok(text.to_string()),
    };
    let found = found.map_err(|why| section.complain(place, why)).ok()?;
    Some((place, Zeroizing::new(found)))
}

/// Reads a credential of the systemd unit (systemd.exec(5), `$CREDENTIALS_DIRECTORY`).
fn credential(section: &Section<'_>, name: &str) -> Result<String, String> {
    if Path::new(name).file_name().is_none_or(|file| file != name) {
        return Err(format!("{name:?} must be the name of a credential, not a path"));
    }
    match section.environment().variable("CREDENTIALS_DIRECTORY") {
        Some(folder) => file::secret_text(&PathBuf::from(folder).join(name)),
        None => Err("needs systemd: CREDENTIALS_DIRECTORY is not set".to_owned()),
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The hash of nothing that anybody uses.
    pub(crate) const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                                   Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5MDE";

    #[test]
    fn a_hash_is_taken_and_never_shown() {
        let hash = SecretHash::new(&format!("{HASH}\n")).unwrap();
        assert_eq!(hash.expose(), HASH);
        assert_eq!(format!("{hash:?}"), "(hidden)");
    }

    #[test]
    fn a_password_is_kept_whole_and_never_shown() {
        let secret = Secret::new(" pass word \r\n").unwrap();
        assert_eq!(secret.expose(), " pass word ");
        assert_eq!(format!("{secret:?}"), "(hidden)");
        assert_eq!(Secret::new("\n"), None);
    }

    #[test]
    fn what_is_no_hash_is_refused_without_repeating_it() {
        let cut = HASH.rsplit_once('$').unwrap().0;
        let costly = HASH.replace("m=19456", "m=262145");
        for (text, why) in [
            ("hunter2", BadSecret::NotArgon2id),
            ("$2b$12$abcdefghijklmnopqrstuv", BadSecret::NotArgon2id),
            (&HASH.replace("argon2id", "argon2i"), BadSecret::NotArgon2id),
            (cut, BadSecret::Malformed),
            ("$argon2id$", BadSecret::Malformed),
            (&HASH.replace("t=2", "t=0"), BadSecret::Malformed),
            (&costly, BadSecret::Costly),
        ] {
            assert_eq!(SecretHash::new(text), Err(why), "{text}");
            assert!(!why.to_string().contains(text));
        }
    }
}
