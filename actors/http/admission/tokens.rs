//! Issued access tokens, of which only the hash is kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use rollcall_config::SecretHash;
use rollcall_identity::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The number of valid tokens of one client. A cluster of two nodes needs four, with those lost in
/// a restart. A client that requests more loses its oldest token.
const MAX_PER_CLIENT: usize = 32;

type Hash = [u8; 32];

/// The valid tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    valid: HashMap<Hash, TokenRecord>,
    by_client: HashMap<Arc<str>, VecDeque<Hash>>,
}

/// What is known about a token.
#[derive(Debug, Clone)]
struct TokenRecord {
    client_id: Arc<str>,
    /// The hash of the secret that it was issued for: when the secret changes, the token is
    /// revoked.
    secret: SecretHash,
    expires: Timestamp,
}

impl Tokens {
    /// A new token: a random UUID, as an SRX displays it.
    pub(super) fn issue(
        &mut self,
        client_id: &str,
        secret: &SecretHash,
        lifetime: Duration,
        now: Timestamp,
    ) -> Zeroizing<String> {
        let token = Zeroizing::new(Uuid::new_v4().to_string());
        let client_id: Arc<str> = client_id.into();
        let issued = self.by_client.entry(Arc::clone(&client_id)).or_default();
        while let Some(oldest) = issued.front() {
            let is_valid = self.valid.get(oldest).is_some_and(|record| record.expires > now);
            if is_valid && issued.len() < MAX_PER_CLIENT {
                break;
            }
            self.valid.remove(oldest);
            issued.pop_front();
        }
        let hash = hash(&token);
        issued.push_back(hash);
        let record = TokenRecord { client_id, secret: secret.clone(), expires: now + lifetime };
        self.valid.insert(hash, record);
        token
    }

    /// The client ID of a token and the hash of the secret that it was issued for, if it is valid
    /// at `now`.
    pub(super) fn lookup(&self, token: &str, now: Timestamp) -> Option<(Arc<str>, SecretHash)> {
        // Looked up by a hash, of which an attacker cannot choose a prefix: the time of the lookup
        // does not show how close a guess is.
        let record = self.valid.get(&hash(token))?;
        let is_valid = record.expires > now;
        is_valid.then(|| (Arc::clone(&record.client_id), record.secret.clone()))
    }

    /// Keeps the tokens for which `is_valid` holds, and revokes the others.
    pub(super) fn retain(&mut self, is_valid: impl Fn(&str, &SecretHash) -> bool) {
        self.valid.retain(|_, record| is_valid(&record.client_id, &record.secret));
        self.by_client.retain(|_, issued| {
            issued.retain(|hash| self.valid.contains_key(hash));
            !issued.is_empty()
        });
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::super::secret;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_token_is_valid_until_it_expires() {
        let (mut tokens, secret, now) = (Tokens::default(), secret::hash("s"), Timestamp::EPOCH);
        let token = tokens.issue("srx1", &secret, HOUR, now);
        assert_eq!(Uuid::parse_str(&token).unwrap().get_version_num(), 4);
        let lookup = |at| tokens.lookup(&token, at).map(|(client, _)| client);
        assert_eq!(lookup(now).as_deref(), Some("srx1"));
        assert_eq!(lookup(now + HOUR), None);
        assert!(tokens.lookup(&token.to_uppercase(), now).is_none());
        assert!(!format!("{tokens:?}").contains(token.as_str()));
    }

    #[test]
    fn a_client_has_a_bounded_number_of_tokens_and_the_oldest_is_revoked() {
        let (mut tokens, secret, now) = (Tokens::default(), secret::hash("s"), Timestamp::EPOCH);
        let other = tokens.issue("srx2", &secret, HOUR, now);
        let all: Vec<_> =
            (0..MAX_PER_CLIENT + 1).map(|_| tokens.issue("srx1", &secret, HOUR, now)).collect();
        assert!(tokens.lookup(&all[0], now).is_none());
        assert!(all[1..].iter().all(|token| tokens.lookup(token, now).is_some()));
        assert!(tokens.lookup(&other, now).is_some());
        tokens.issue("srx1", &secret, HOUR, now + HOUR);
        assert_eq!(tokens.valid.len(), 2, "expired tokens are removed with the next one");
    }

    #[test]
    fn revoked_tokens_are_removed() {
        let (mut tokens, secret, now) = (Tokens::default(), secret::hash("s"), Timestamp::EPOCH);
        let kept = tokens.issue("srx1", &secret, HOUR, now);
        let ended = tokens.issue("srx2", &secret, HOUR, now);
        tokens.retain(|client, _| client == "srx1");
        assert!(tokens.lookup(&kept, now).is_some());
        assert!(tokens.lookup(&ended, now).is_none());
        assert_eq!((tokens.valid.len(), tokens.by_client.len()), (1, 1));
    }
}
