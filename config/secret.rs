//! Client secrets, of which only the argon2id hash is ever configured or kept.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::PasswordHash;
use zeroize::Zeroizing;

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
    /// The most memory that one check may take, in KiB: two checks run at once, for anybody.
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
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
