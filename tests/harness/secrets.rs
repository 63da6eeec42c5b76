//! Client secrets, hashed as the configuration wants them.

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// The argon2id hash of `secret`, of the least work that argon2 allows: what is tried here is who
/// is let in, and not how long a guess takes.
pub(crate) fn hash(secret: &str) -> String {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).expect("the least is allowed");
    let salt = SaltString::encode_b64(b"salt of a story").expect("15 bytes are a salt");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(secret.as_bytes(), &salt)
        .expect("any text can be hashed")
        .to_string()
}
