//! The dialect of Juniper Secure Edge: onboarding, tokens, batches, full resyncs, digests.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rollcall_config::{self as config, Compression, DialectSettings, PushTarget};
use rollcall_identity::delivery::{DeliveryMode, TargetPosition};
use rollcall_identity::{Address, Cursor, Session};
use rollcall_wire::secure_edge::{self as wire, SecureEdgeError};
use rollcall_wire::secure_edge::{
    AccessToken, BatchAck, DigestPages, OnboardedCredentials, OnboardingRequest, ReportBatch,
    ReportList, SessionDigest, SyncBegin, SyncEnd, SyncEnded, path, read,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::capabilities::{Capabilities, DeleteAbsent, GroupsModel, ReadBack};
use crate::cursor_store::replace;
use crate::dialect::{
    Acknowledgement, ContentComparison, Dialect, DialectFactory, PushBatch, PushSession,
    ReadContent, ReadPosition, Registration, ReplaceContent, ReportedPosition, TargetContent,
};
use crate::error::PushError;
use crate::http::{Http, HttpResponse, Post};
use rollcall_runtime::clock::Clock;

/// The registration of the dialect.
pub(super) const REGISTRATION: Registration =
    Registration { section: config::SecureEdge::SECTION, factory };

fn factory(target: &PushTarget) -> Option<Arc<dyn DialectFactory>> {
    let settings = target.dialect.settings::<config::SecureEdge>()?.clone();
    let (target, tokens) = (target.clone(), TokenCache::default());
    Some(Arc::new(SecureEdgeFactory { target, settings, tokens }))
}

struct SecureEdgeFactory {
    target: PushTarget,
    settings: config::SecureEdge,
    tokens: TokenCache,
}

impl DialectFactory for SecureEdgeFactory {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: self.target.batch_size,
            parallel: self.settings.in_flight,
            rate: None,
            resync: DeliveryMode::Replace,
            read_back: ReadBack::Content { interval: self.settings.check },
            time_to_live: None,
            groups: GroupsModel::Objects,
            delete_absent: DeleteAbsent::Acknowledged,
        }
    }

    fn create(&self, clock: &Clock) -> Box<dyn Dialect> {
        Box::new(SecureEdge {
            name: self.target.name.to_string(),
            settings: self.settings.clone(),
            http: Http::new(self.target.clone(), clock.clone()),
            tokens: Arc::clone(&self.tokens),
        })
    }
}

/// How long before its expiry a token is renewed: longer than a request takes to arrive.
const RENEWAL_MARGIN: Duration = Duration::from_secs(30);

/// The product and version in the onboarding request.
const PRODUCT: &str = concat!("rollcall/", env!("CARGO_PKG_VERSION"));

/// The connection of one worker.
struct SecureEdge {
    name: String,
    settings: config::SecureEdge,
    http: Http,
    tokens: TokenCache,
}

/// The token that all workers of one target share: some services revoke the previous token when they
/// issue one. It is locked while a token is obtained.
type TokenCache = Arc<Mutex<Option<CachedToken>>>;

/// A token in use.
struct CachedToken {
    header: Zeroizing<String>,
    until: Option<Instant>,
}

impl SecureEdge {
    /// The stored credentials, or those for which the onboarding token is exchanged.
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
        let no_token = || {
            PushError::NotConfigured(
                "there is neither a credentials file nor an onboarding token".to_owned(),
            )
        };
        let file = self.settings.onboarding.clone().ok_or_else(no_token)?;
        let text = fs::read_to_string(&file).map_err(|why| PushError::file(&file, &why))?;
        let text = Zeroizing::new(text);
        let token = text.trim();
        // A token can be exchanged once. If the response is lost, the same key gets the same response.
        let key: String =
            Sha256::digest(token).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let request = OnboardingRequest { token, collector: &self.name, product: PRODUCT };
        let body = Zeroizing::new(json(&request));
        let post = Post {
            path: path::ONBOARD,
            content_type: "application/json",
            body: &body,
            compression: Compression::Plain,
        };
        let response = self.http.post(&post, &[("Idempotency-Key", &key)])?;
        let response = Zeroizing::new(response.granted()?);
        let credentials = OnboardedCredentials::read(&response)?;
        let stored = serde_json::json!({
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret.as_str(),
        });
        // Stored before they are used, because the token is not valid any more.
        replace(&self.settings.credentials, Zeroizing::new(stored.to_string()).as_bytes())
            .map_err(|why| PushError::file(&self.settings.credentials, &why))?;
        Ok(credentials)
    }

    /// The header with the cached token, or with a new one if that has expired.
    fn authorization(&mut self) -> Result<Zeroizing<String>, PushError> {
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
        let response = self.http.post(&post, &[("Authorization", &basic)])?;
        let token = AccessToken::read(&Zeroizing::new(response.granted()?))?;
        let header = Zeroizing::new(format!("Bearer {}", token.access_token.as_str()));
        let until = token.expires_in.and_then(|seconds| {
            // A token with a short lifetime is used for half of it.
            let lifetime = Duration::from_secs(seconds);
            now.checked_add(lifetime.saturating_sub(RENEWAL_MARGIN.min(lifetime / 2)))
        });
        *tokens = Some(CachedToken { header: header.clone(), until });
        Ok(header)
    }

    /// Sends a request with a token, and again with a new token if the first one is refused.
    fn with_token(
        &mut self,
        mut send: impl FnMut(&mut Http, &[(&str, &str)]) -> Result<HttpResponse, PushError>,
    ) -> Result<HttpResponse, PushError> {
        let token = self.authorization()?;
        let response = send(&mut self.http, &[("Authorization", &token)])?;
        if response.status != 401 {
            return Ok(response);
        }
        // Another worker may have obtained a new token meanwhile.
        locked(&self.tokens).take_if(|cached| cached.header == token);
        let token = self.authorization()?;
        send(&mut self.http, &[("Authorization", &token)])
    }

    fn get(&mut self, path: &str) -> Result<HttpResponse, PushError> {
        self.with_token(|http, headers| http.get(path, headers))
    }

    fn post(&mut self, path: &str, content: &impl Serialize) -> Result<Vec<u8>, PushError> {
        let (body, compression) = (json(content), self.settings.compression);
        let post = Post { path, content_type: "application/json", body: &body, compression };
        self.with_token(|http, headers| http.post(&post, headers))?.success()
    }
}

/// The number of batches that the receiver accepts in parallel.
fn window(receiver: &wire::ReceiverPosition) -> usize {
    usize::try_from(receiver.window.unwrap_or(1)).unwrap_or(usize::MAX)
}

fn locked(tokens: &Mutex<Option<CachedToken>>) -> MutexGuard<'_, Option<CachedToken>> {
    tokens.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json(content: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(content).expect("texts and numbers can be serialized")
}

impl Dialect for SecureEdge {
    fn send(&mut self, batch: &PushBatch) -> Result<Acknowledgement, PushError> {
        let positions = (batch.after.as_ref(), &batch.next);
        let reports = match &batch.session {
            PushSession::Incremental(id) => ReportBatch::new(&batch.changes, id, positions),
            PushSession::FullResync(id) => {
                ReportBatch::new(&batch.changes, id, positions).as_synchronization()
            }
        };
        let response = self.post(path::REPORTS, &reports)?;
        let ack = BatchAck::read(&response, reports.counts(), &reports.next.to_string())?;
        let refused = ack.refused.into_iter().map(|refused| {
            let is_session = refused.list == ReportList::Sessions;
            let address = is_session.then(|| reports.address(refused.index)).flatten();
            (address, refused.reason)
        });
        let refused = refused.collect();
        Ok(Acknowledgement { accepted: ack.accepted, duplicates: ack.duplicates, refused })
    }

    fn take_bytes_sent(&mut self) -> u64 {
        self.http.take_bytes_sent()
    }

    fn position(&mut self) -> Option<&mut dyn ReadPosition> {
        Some(self)
    }

    fn resync(&mut self) -> Option<&mut dyn ReplaceContent> {
        Some(self)
    }

    fn content(&mut self) -> Option<&mut dyn ReadContent> {
        Some(self)
    }
}

impl ReadPosition for SecureEdge {
    fn read_position(&mut self) -> Result<ReportedPosition, PushError> {
        let response = self.get(path::POSITION)?;
        let receiver: wire::ReceiverPosition = read(&response.success()?)?;
        let window = window(&receiver);
        Ok(ReportedPosition { position: position(receiver.position.as_deref()), window })
    }
}

impl ReplaceContent for SecureEdge {
    fn start_resync(&mut self, id: &str) -> Result<usize, PushError> {
        let response = self.post(path::SYNC_BEGIN, &SyncBegin { synchronisation: id })?;
        let receiver: wire::ReceiverPosition = read(&response)?;
        match receiver.position {
            None => Ok(window(&receiver)),
            Some(_) => Err(SecureEdgeError::Position.into()),
        }
    }

    fn finish_resync(&mut self, id: &str, at: &Cursor) -> Result<(), PushError> {
        let position = at.to_string();
        let response = self.post(path::SYNC_END, &SyncEnd { synchronisation: id, position })?;
        let ended: SyncEnded = read(&response)?;
        match ended.position == at.to_string() {
            true => Ok(()),
            false => Err(SecureEdgeError::Position.into()),
        }
    }
}

impl ReadContent for SecureEdge {
    fn read_content(&mut self) -> Result<Option<TargetContent>, PushError> {
        let response = self.get(path::DIGEST)?;
        if response.status == 404 {
            return Ok(None);
        }
        let DigestPages { position: at, pages } = DigestPages::read(&response.success()?)?;
        let comparison = DigestComparison { expected: SessionDigest::default(), pages };
        let (position, comparison) = (position(at.as_deref()), Box::new(comparison));
        Ok(Some(TargetContent { position, comparison }))
    }
}

/// The position of a receiver. One that is not of Rollcall counts as none.
fn position(token: Option<&str>) -> TargetPosition {
    let cursor = token.and_then(|token| token.parse().ok());
    cursor.map_or(TargetPosition::Empty, TargetPosition::At)
}

/// The digests of the receiver, and those of the expected sessions.
struct DigestComparison {
    expected: SessionDigest,
    pages: Vec<String>,
}

impl ContentComparison for DigestComparison {
    fn add(&mut self, session: &Session) {
        self.expected.toggle(session);
    }

    fn page(&self, address: Address) -> usize {
        SessionDigest::page(address)
    }

    fn differing(&self) -> BTreeSet<usize> {
        self.expected.differing(&self.pages).collect()
    }
}

impl From<SecureEdgeError> for PushError {
    fn from(error: SecureEdgeError) -> Self {
        Self::ProtocolError(error.to_string())
    }
}
