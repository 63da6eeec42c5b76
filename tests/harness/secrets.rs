//! Client secrets, hashed for the configuration.

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// The argon2id hash of `secret` with the lowest cost that argon2 allows: these tests cover the
/// authentication and not the cost of a guess.
pub(crate) fn hash(secret: &str) -> String {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).expect("the least is allowed");
    let salt = SaltString::encode_b64(b"salt of a test!").expect("15 bytes are a salt");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(secret.as_bytes(), &salt)
        .expect("any text can be hashed")
        .to_string()
}
