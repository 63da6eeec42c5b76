//! One push target: its settings, its status, and what outlives the actor that sends to it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_config::PushTarget;
use rollcall_identity::{Cursor, Revision, Timestamp};
use tokio::sync::watch;

use super::cursor_store::{CursorStore, StoredCursor};
use super::dialect::{Acknowledgement, DialectFactory};
use super::dialects;
use super::error::PushError;
use super::worker::{Fence, WorkerPool, new_fence};
use crate::capabilities::Capabilities;
use crate::status::{Drift, State, TargetStatus};
use crate::telemetry::{BatchAcknowledged, CursorNotStored, TargetStarted};
use rollcall_runtime::backoff::Backoff;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// A push target, shared between the actor that sends to it and the readers of its status.
pub struct TargetHandle {
    pub(super) target: PushTarget,
    pub(super) fence: Fence,
    dialect: Arc<dyn DialectFactory>,
    capabilities: Capabilities,
    content_settings: String,
    store: Arc<dyn CursorStore>,
    newest: watch::Receiver<Revision>,
    clock: Clock,
    counts: Mutex<Counts>,
}

struct Counts {
    state: State,
    cursor: Option<Cursor>,
    /// When the target last had every change; before that, when it was started.
    complete: Timestamp,
    acknowledged: Acknowledgement,
    refused: u64,
    bytes: u64,
    retries: u64,
    full_resyncs: u64,
    last_error: Option<(String, Timestamp)>,
    last_acknowledged: Option<Timestamp>,
    next_retry: Option<Timestamp>,
    may_hold_ended: Option<Timestamp>,
    drift: Option<Drift>,
}

impl TargetHandle {
    /// The handle of a target that has not started.
    pub fn new(
        target: PushTarget,
        store: Arc<dyn CursorStore>,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let dialect = dialects::factory(&target);
        Self::with_dialect(target, dialect, store, newest, clock)
    }

    /// The handle of a target with this dialect.
    pub(crate) fn with_dialect(
        target: PushTarget,
        dialect: Arc<dyn DialectFactory>,
        store: Arc<dyn CursorStore>,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let counts = Mutex::new(Counts {
            state: State::Starting,
            cursor: None,
            complete: clock.now(),
            acknowledged: Acknowledgement::default(),
            refused: 0,
            bytes: 0,
            retries: 0,
            full_resyncs: 0,
            last_error: None,
            last_acknowledged: None,
            next_retry: None,
            may_hold_ended: None,
            drift: None,
        });
        TargetStarted { target: target.name.as_str() }.emit();
        let capabilities = dialect.capabilities();
        let content_settings = content_settings(&target, &*dialect);
        let fence = new_fence();
        Self {
            target,
            fence,
            dialect,
            capabilities,
            content_settings,
            store,
            newest,
            clock,
            counts,
        }
    }

    /// The same handle, as the successor of another one of its name: its workers start only when those
    /// of the predecessor have ended.
    pub fn after(self, before: &Self) -> Self {
        Self { fence: Arc::clone(&before.fence), ..self }
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        self.target.name.as_str()
    }

    /// The factory of its dialect.
    pub(super) fn dialect(&self) -> Arc<dyn DialectFactory> {
        Arc::clone(&self.dialect)
    }

    /// The capabilities of its dialect.
    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The settings that determine its content, as one text.
    pub(super) fn content_settings(&self) -> &str {
        &self.content_settings
    }

    /// The backoff after `failures` consecutive failures: exponential, with up to a quarter of jitter,
    /// so that servers that failed together do not retry together.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        Backoff::new(self.target.initial_backoff, self.target.max_backoff).delay_after(failures)
    }

    /// The stored position. If it cannot be read, the target receives everything.
    pub(super) async fn load(
        &self,
        workers: &mut WorkerPool,
    ) -> Result<Option<StoredCursor>, PushError> {
        let store = Arc::clone(&self.store);
        let loaded: io::Result<_> = workers.run(move |_| store.load()).await?;
        Ok(loaded.unwrap_or_else(|why| {
            let why = format!("the position cannot be read: {why}");
            CursorNotStored { target: self.name(), why: &why }.emit();
            None
        }))
    }

    /// Stores the acknowledged position.
    pub(super) async fn store(
        &self,
        workers: &mut WorkerPool,
        position: StoredCursor,
    ) -> Result<(), PushError> {
        let store = Arc::clone(&self.store);
        let stored: io::Result<()> = workers.run(move |_| store.store(&position)).await?;
        stored.map_err(|why| {
            PushError::NotConfigured(format!("the position cannot be written: {why}"))
        })
    }

    /// The current time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn set_state(&self, state: State, cursor: Option<Cursor>) {
        let mut counts = self.counts();
        counts.state = state;
        counts.next_retry = None;
        counts.cursor = cursor;
    }

    /// The target has every change.
    pub(super) fn set_complete(&self, cursor: Option<Cursor>) {
        let mut counts = self.counts();
        counts.cursor = cursor;
        counts.complete = self.clock.now();
    }

    pub(super) fn acknowledged(&self, acknowledgement: &Acknowledgement) {
        let Acknowledgement { accepted, duplicates, refused } = acknowledgement;
        let refused = refused.len() as u64;
        let (accepted, duplicates) = (*accepted, *duplicates);
        BatchAcknowledged { target: self.name(), accepted, duplicates, refused }.emit();
        let mut counts = self.counts();
        counts.acknowledged.accepted += accepted;
        counts.acknowledged.duplicates += duplicates;
        counts.refused += refused;
        counts.last_acknowledged = Some(self.clock.now());
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.counts().bytes += bytes;
    }

    pub(super) fn full_resync_started(&self) {
        self.counts().full_resyncs += 1;
    }

    pub(super) fn failed(&self, error: &PushError, pause: Duration) {
        let now = self.clock.now();
        let mut counts = self.counts();
        counts.state = State::Retrying;
        counts.retries += 1;
        counts.last_error = Some((error.to_string(), now));
        counts.next_retry = Some(now + pause);
    }

    /// Tombstones expired that the target may not have received.
    pub(super) fn set_may_hold_ended(&self) {
        let now = self.clock.now();
        self.counts().may_hold_ended.get_or_insert(now);
    }

    /// The administrator has cleared the target.
    pub(super) fn clear_may_hold_ended(&self) {
        self.counts().may_hold_ended = None;
    }

    pub(super) fn checked(&self, drift: Drift) {
        self.counts().drift = Some(drift);
    }

    /// The lag in changes, if the target has acknowledged any, and in time.
    pub(super) fn lag(&self) -> (Option<u64>, Duration) {
        let newest = *self.newest.borrow();
        let counts = self.counts();
        let changes = counts.cursor.map(|cursor| match cursor == Cursor::UNKNOWN {
            true => newest.0,
            false => newest.0.saturating_sub(cursor.revision.0),
        });
        let following = matches!(counts.state, State::Following);
        match changes {
            Some(0) if following => (changes, Duration::ZERO),
            _ => (changes, self.clock.now().since(counts.complete)),
        }
    }

    /// The status.
    pub(crate) fn status(&self) -> TargetStatus {
        let (lag_changes, lag) = self.lag();
        let counts = self.counts();
        let known = counts.cursor.filter(|cursor| *cursor != Cursor::UNKNOWN);
        TargetStatus {
            name: self.name().to_owned(),
            kind: self.target.dialect.name(),
            url: self.target.url.clone(),
            capabilities: self.capabilities,
            state: counts.state,
            revision: known.map(|cursor| cursor.revision),
            lag_changes,
            lag_seconds: lag.as_secs_f64(),
            reports: counts.acknowledged.accepted,
            duplicates: counts.acknowledged.duplicates,
            refused: counts.refused,
            bytes: counts.bytes,
            retries: counts.retries,
            full_resyncs: counts.full_resyncs,
            last_error: counts.last_error.as_ref().map(|(text, _)| text.clone()),
            last_error_at: counts.last_error.as_ref().map(|(_, at)| *at),
            last_acknowledged: counts.last_acknowledged,
            next_attempt: counts.next_retry,
            may_hold_ended: counts.may_hold_ended,
            drift: counts.drift,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // No code under the lock can panic between two related writes.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings that determine the content of a target, as one text. If they change, the target receives
/// everything again.
fn content_settings(target: &PushTarget, dialect: &dyn DialectFactory) -> String {
    let listed = |items: Vec<String>| items.join(",");
    let domains = listed(target.domains.iter().map(ToString::to_string).collect());
    let include = listed(target.include.iter().map(ToString::to_string).collect());
    let exclude = listed(target.exclude.iter().map(ToString::to_string).collect());
    let filter = format!("{}|{domains}|{include}|{exclude}", target.url);
    match dialect.content_settings() {
        None => filter,
        Some(of_dialect) => format!("{filter}|{of_dialect}"),
    }
}

#[cfg(test)]
mod tests {
    use rollcall_config::{DialectSection, DialectSettings, SecureEdge, SrxWebApi};
    use rollcall_identity::Glob;
    use rollcall_identity::directory::GroupFilter;

    use super::*;

    fn target(settings: impl DialectSettings) -> PushTarget {
        PushTarget {
            name: rollcall_identity::Name::new("t").unwrap(),
            url: "https://fw".to_owned(),
            ca: "ca.pem".into(),
            identity: None,
            timeout: Duration::from_secs(1),
            batch_size: 10,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(1),
            domains: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            dialect: DialectSection::new(settings),
        }
    }

    fn content_settings(target: &PushTarget) -> String {
        super::content_settings(target, &*dialects::factory(target))
    }

    #[test]
    fn the_group_filter_determines_the_content_of_a_firewall() {
        let groups = |names: &[&str], limit| {
            let names = names.iter().map(|glob| Glob::new(glob).unwrap()).collect();
            GroupFilter { names, limit, ..GroupFilter::default() }
        };
        let firewall = |roles, groups| {
            let (user, password) = ("user".to_owned(), "password".into());
            let srx = SrxWebApi { user, password, rate: 10, roles, groups };
            content_settings(&target(srx))
        };
        let all = [
            firewall(200, GroupFilter::default()),
            firewall(100, GroupFilter::default()),
            firewall(200, groups(&[], 100)),
            firewall(200, groups(&["vpn-*"], 200)),
            firewall(200, groups(&["vpn-*", "staff"], 200)),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{one}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_the_maximum_with_up_to_a_quarter_of_jitter() {
        let (user, password) = ("user".to_owned(), "password".into());
        let groups = GroupFilter::default();
        let srx = SrxWebApi { user, password, rate: 10, roles: 200, groups };
        let longest_retry = Duration::from_secs(300);
        let target = PushTarget { max_backoff: longest_retry, ..target(srx) };
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(crate::FileCursorStore::new(folder.path(), "t"));
        let newest = watch::Sender::new(Revision(0)).subscribe();
        let target = TargetHandle::new(target, store, newest, Clock::system());
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            let (min, backoff) = (Duration::from_secs(seconds), target.backoff(failures));
            assert!(backoff >= min && backoff <= min.mul_f64(1.25), "{failures}: {backoff:?}");
        }
    }

    #[test]
    fn transport_settings_do_not_determine_the_content() {
        let edge = |compression, check| {
            let (credentials, onboarding) = ("credentials".into(), None);
            let check = Duration::from_secs(check);
            let edge = SecureEdge { credentials, onboarding, compression, in_flight: 4, check };
            content_settings(&target(edge))
        };
        let gzip = edge(rollcall_config::Compression::Gzip, 1);
        assert_eq!(gzip, edge(rollcall_config::Compression::Plain, 2));
    }
}
