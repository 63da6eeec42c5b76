//! Access tokens that were given out, of which only the hash is kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use rollcall_config::SecretHash;
use rollcall_identity::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Tokens of one client at once. A cluster of two needs four, with those that it has just lost in
/// a restart; what asks for more loses its oldest.
const OF_ONE_CLIENT: usize = 32;

type Hash = [u8; 32];

/// The tokens that are good.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    good: HashMap<Hash, Ticket>,
    of_client: HashMap<Arc<str>, VecDeque<Hash>>,
}

/// What a token is good for.
#[derive(Debug, Clone)]
struct Ticket {
    client_id: Arc<str>,
    /// The secret that bought it: when that changes, the token ends.
    secret: SecretHash,
    expires: Timestamp,
}

impl Tokens {
    /// A new token: a random UUID, as an SRX shows them.
    pub(super) fn issue(
        &mut self,
        client_id: &str,
        secret: &SecretHash,
        lifetime: Duration,
        now: Timestamp,
    ) -> Zeroizing<String> {
        let token = Zeroizing::new(Uuid::new_v4().to_string());
        let client_id: Arc<str> = client_id.into();
        let issued = self.of_client.entry(Arc::clone(&client_id)).or_default();
        while let Some(oldest) = issued.front() {
            let is_good = self.good.get(oldest).is_some_and(|ticket| ticket.expires > now);
            if is_good && issued.len() < OF_ONE_CLIENT {
                break;
            }
            self.good.remove(oldest);
            issued.pop_front();
        }
        let hash = hash(&token);
        issued.push_back(hash);
        let ticket = Ticket { client_id, secret: secret.clone(), expires: now + lifetime };
        self.good.insert(hash, ticket);
        token
    }

    /// Whose token this is, and the secret that bought it, if it is good at `now`.
    pub(super) fn holder(&self, token: &str, now: Timestamp) -> Option<(Arc<str>, SecretHash)> {
        // Found by a hash, of which an attacker cannot choose a prefix: no time tells how near a
        // guess was.
        let ticket = self.good.get(&hash(token))?;
        let is_good = ticket.expires > now;
        is_good.then(|| (Arc::clone(&ticket.client_id), ticket.secret.clone()))
    }

    /// Ends the tokens of clients that are not there any more, or whose secret changed.
    pub(super) fn revoke(&mut self, is_good: impl Fn(&str, &SecretHash) -> bool) {
        self.good.retain(|_, ticket| is_good(&ticket.client_id, &ticket.secret));
        self.of_client.retain(|_, issued| {
            issued.retain(|hash| self.good.contains_key(hash));
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
    fn a_token_is_good_until_it_expires() {
        let (mut tokens, secret, now) = (Tokens::default(), secret::hash("s"), Timestamp::EPOCH);
        let token = tokens.issue("srx1", &secret, HOUR, now);
        assert_eq!(Uuid::parse_str(&token).unwrap().get_version_num(), 4);
        let holder = |at| tokens.holder(&token, at).map(|(client, _)| client);
        assert_eq!(holder(now).as_deref(), Some("srx1"));
        assert_eq!(holder(now + HOUR), None);
        assert!(tokens.holder(&token.to_uppercase(), now).is_none());
        assert!(!format!("{tokens:?}").contains(token.as_str()));
    }

    #[test]
    fn a_client_has_a_bounded_number_of_tokens_and_loses_the_oldest() {
        let (mut tokens, secret, now) = (Tokens::default(), secret::hash("s"), Timestamp::EPOCH);
        let other = tokens.issue("srx2", &secret, HOUR, now);
        let all: Vec<_> =
            (0..OF_ONE_CLIENT + 1).map(|_| tokens.issue("srx1", &secret, HOUR, now)).collect();
        assert!(tokens.holder(&all[0], now).is_none());
        assert!(all[1..].iter().all(|token| tokens.holder(token, now).is_some()));
        assert!(tokens.holder(&other, now).is_some());
        tokens.issue("srx1", &secret, HOUR, now + HOUR);
        assert_eq!(tokens.good.len(), 2, "the expired ones are forgotten with the next");
    }

    #[test]
    fn what_is_revoked_is_forgotten() {
        let (mut tokens, secret, now) = (Tokens::default(), secret::hash("s"), Timestamp::EPOCH);
        let kept = tokens.issue("srx1", &secret, HOUR, now);
        let ended = tokens.issue("srx2", &secret, HOUR, now);
        tokens.revoke(|client, _| client == "srx1");
        assert!(tokens.holder(&kept, now).is_some());
        assert!(tokens.holder(&ended, now).is_none());
        assert_eq!((tokens.good.len(), tokens.of_client.len()), (1, 1));
    }
}
