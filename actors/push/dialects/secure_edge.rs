//! Rollcall's dialect for Juniper Secure Edge, spoken: onboarding, tokens, batches, synchronisation.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rollcall_config::{self as config, Compression};
use rollcall_identity::Cursor;
use rollcall_identity::delivery::{DeliveryMode, TargetPosition};
use rollcall_wire::secure_edge::{self as wire, SecureEdgeError};
use rollcall_wire::secure_edge::{
    AccessToken, BatchAck, DigestPages, OnboardedCredentials, OnboardingRequest, ReportBatch,
    ReportList, SyncBegin, SyncEnd, SyncEnded, path, read,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cursor_store::replace;
use crate::dialect::{Acknowledgement, Dialect, PushBatch, PushSession};
use crate::error::PushError;
use crate::http::{Answer, Http, Post};
use rollcall_runtime::clock::Clock;

/// How long before its end a token is renewed: longer than a request may take on its way.
const EARLY: Duration = Duration::from_secs(30);

/// What is said in the name of this program.
const PRODUCT: &str = concat!("rollcall/", env!("CARGO_PKG_VERSION"));

/// One Secure Edge.
pub(crate) struct SecureEdge {
    name: String,
    settings: config::SecureEdge,
    http: Http,
    tokens: TokenCache,
}

/// The token that all workers of one target share: some services revoke the previous token when they
/// issue one. It is locked while a token is obtained.
pub(crate) type TokenCache = Arc<Mutex<Option<CachedToken>>>;

/// A token in use.
pub(crate) struct CachedToken {
    header: Zeroizing<String>,
    until: Option<Instant>,
}

impl SecureEdge {
    pub(crate) fn new(
        name: &str,
        settings: config::SecureEdge,
        http: Http,
        tokens: TokenCache,
    ) -> Self {
        Self { name: name.to_owned(), settings, http, tokens }
    }

    /// The credentials: those that are kept, or those that the onboarding token is exchanged for.
    fn credentials(&mut self) -> Result<OnboardedCredentials, PushError> {
        let file = &self.settings.credentials;
        match fs::read(file).map(Zeroizing::new) {
            Ok(text) => OnboardedCredentials::read(&text)
                .map_err(|why| PushError::NotConfigured(format!("{}: {why}", file.display()))),
            Err(why) if why.kind() == io::ErrorKind::NotFound => self.onboard(),
            Err(why) => Err(PushError::file(file, &why)),
        }
    }

    fn onboard(&mut self) -> Result<OnboardedCredentials, PushError> {
        let none =
            || PushError::NotConfigured("there are neither credentials nor a token".to_owned());
        let file = self.settings.onboarding.clone().ok_or_else(none)?;
        let text = fs::read_to_string(&file).map_err(|why| PushError::file(&file, &why))?;
        let text = Zeroizing::new(text);
        let token = text.trim();
        // An answer that is lost on its way must not use the token up: the same key, the same answer.
        let key: String =
            Sha256::digest(token).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let ask = OnboardingRequest { token, collector: &self.name, product: PRODUCT };
        let body = Zeroizing::new(json(&ask));
        let post = Post {
            path: path::ONBOARD,
            content_type: "application/json",
            body: &body,
            compression: Compression::Plain,
        };
        let answer = self.http.post(&post, &[("Idempotency-Key", &key)])?;
        let answer = Zeroizing::new(answer.granted()?);
        let credentials = OnboardedCredentials::read(&answer)?;
        let kept = serde_json::json!({
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret.as_str(),
        });
        // On the disk before they are used: the token is good for nothing any more.
        replace(&self.settings.credentials, Zeroizing::new(kept.to_string()).as_bytes())
            .map_err(|why| PushError::file(&self.settings.credentials, &why))?;
        Ok(credentials)
    }

    /// Buys a token, unless one is there that is still good.
    fn authorise(&mut self) -> Result<Zeroizing<String>, PushError> {
        let (now, tokens) = (Clock::instant(), Arc::clone(&self.tokens));
        let mut tokens = locked(&tokens);
        if let Some(token) = &*tokens
            && token.until.is_none_or(|until| now < until)
        {
            return Ok(token.header.clone());
        }
        let OnboardedCredentials { client_id, client_secret } = self.credentials()?;
        let pair = Zeroizing::new(format!("{client_id}:{}", client_secret.as_str()));
        let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let post = Post {
            path: path::TOKEN,
            content_type: "application/x-www-form-urlencoded",
            body: b"grant_type=client_credentials",
            compression: Compression::Plain,
        };
        let answer = self.http.post(&post, &[("Authorization", &basic)])?;
        let token = AccessToken::read(&Zeroizing::new(answer.granted()?))?;
        let header = Zeroizing::new(format!("Bearer {}", token.access_token.as_str()));
        let until = token.expires_in.and_then(|seconds| {
            // One that lives no longer than that is used for half of its life.
            let life = Duration::from_secs(seconds);
            now.checked_add(life.saturating_sub(EARLY.min(life / 2)))
        });
        *tokens = Some(CachedToken { header: header.clone(), until });
        Ok(header)
    }

    /// Asks with a token, and once more with a new one when that is refused.
    fn with_token(
        &mut self,
        mut ask: impl FnMut(&mut Http, &[(&str, &str)]) -> Result<Answer, PushError>,
    ) -> Result<Answer, PushError> {
        let token = self.authorise()?;
        let answer = ask(&mut self.http, &[("Authorization", &token)])?;
        if answer.status != 401 {
            return Ok(answer);
        }
        // Another may have bought a new one meanwhile.
        locked(&self.tokens).take_if(|held| held.header == token);
        let token = self.authorise()?;
        ask(&mut self.http, &[("Authorization", &token)])
    }

    /// How many batches it takes at once: no more than the administrator allows.
    fn window(&self, place: &wire::ReceiverPosition) -> usize {
        let theirs = usize::try_from(place.window.unwrap_or(1)).unwrap_or(usize::MAX);
        theirs.min(self.settings.in_flight).max(1)
    }

    fn post(&mut self, path: &str, shape: &impl Serialize) -> Result<Vec<u8>, PushError> {
        let (body, compression) = (json(shape), self.settings.compression);
        let post = Post { path, content_type: "application/json", body: &body, compression };
        self.with_token(|http, headers| http.post(&post, headers))?.success()
    }
}

fn locked(tokens: &Mutex<Option<CachedToken>>) -> MutexGuard<'_, Option<CachedToken>> {
    tokens.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json(shape: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(shape).expect("shapes of texts and numbers can be written")
}

impl Dialect for SecureEdge {
    fn opening(&self) -> DeliveryMode {
        DeliveryMode::Replace
    }

    fn place(&mut self) -> Result<(TargetPosition, usize), PushError> {
        let answer = self.with_token(|http, headers| http.get(path::POSITION, headers))?;
        let place: wire::ReceiverPosition = read(&answer.success()?)?;
        let window = self.window(&place);
        let cursor = place.position.and_then(|position| position.parse().ok());
        Ok((cursor.map_or(TargetPosition::Empty, TargetPosition::At), window))
    }

    fn begin(&mut self, synchronisation: &str) -> Result<usize, PushError> {
        let answer = self.post(path::SYNC_BEGIN, &SyncBegin { synchronisation })?;
        let place: wire::ReceiverPosition = read(&answer)?;
        match place.position {
            None => Ok(self.window(&place)),
            Some(_) => Err(PushError::ProtocolError(SecureEdgeError::Position)),
        }
    }

    fn tell(&mut self, batch: &PushBatch) -> Result<Acknowledgement, PushError> {
        let places = (batch.after.as_ref(), &batch.next);
        let batch = match &batch.turn {
            PushSession::News(turn) => ReportBatch::new(&batch.changes, turn, places),
            PushSession::Synchronisation(turn) => {
                ReportBatch::new(&batch.changes, turn, places).as_synchronization()
            }
        };
        let answer = self.post(path::REPORTS, &batch)?;
        let taken = BatchAck::read(&answer, batch.tally(), &batch.next.to_string())?;
        let about = |refused: wire::RejectedReport| {
            let of_session = refused.list == ReportList::Sessions;
            let address = of_session.then(|| batch.address(refused.index)).flatten();
            (address, refused.reason)
        };
        let refused = taken.refused.into_iter().map(about).collect();
        Ok(Acknowledgement { accepted: taken.accepted, duplicates: taken.duplicates, refused })
    }

    fn end(&mut self, synchronisation: &str, at: &Cursor) -> Result<(), PushError> {
        let position = at.to_string();
        let answer = self.post(path::SYNC_END, &SyncEnd { synchronisation, position })?;
        let ended: SyncEnded = read(&answer)?;
        match ended.position == at.to_string() {
            true => Ok(()),
            false => Err(PushError::ProtocolError(SecureEdgeError::Position)),
        }
    }

    fn digests(&mut self) -> Result<Option<DigestPages>, PushError> {
        let answer = self.with_token(|http, headers| http.get(path::DIGEST, headers))?;
        match answer.status {
            404 => Ok(None),
            _ => Ok(Some(DigestPages::read(&answer.success()?)?)),
        }
    }

    fn rate(&self) -> Option<u32> {
        None
    }

    fn take_sent(&mut self) -> u64 {
        self.http.take_sent()
    }
}
