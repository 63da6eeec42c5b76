//! One push target as it is known to everybody: its settings, how it is doing, and what is kept of
//! it while the actor that speaks to it is replaced.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_config::{PushProtocol, PushTarget};
use rollcall_identity::{Cursor, Revision, Timestamp};
use serde::Serialize;
use strum::IntoStaticStr;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::cursor_store::{CursorStore, StoredCursor};
use super::dialect::{self, Acknowledgement, FencePermit, WorkerPool};
use super::error::PushError;
use crate::status::Drift;
use crate::telemetry::{BatchAcknowledged, CursorNotStored, TargetStarted};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// What a target is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr, ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum State {
    /// Nothing was said yet.
    Starting,
    /// It is being told everything.
    Synchronising,
    /// It is told what is new.
    Following,
    /// It did not take something, which is tried again.
    Retrying,
}

/// How a push target is doing, for people who ask by REST.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetStatus {
    /// Its configured name.
    pub(crate) name: String,
    /// `secure_edge` or `srx_web_api`.
    pub(crate) kind: &'static str,
    /// Where it is.
    pub(crate) url: String,
    /// What it is doing.
    pub(crate) state: State,
    /// Up to which revision it has acknowledged everything.
    #[schema(value_type = Option<u64>)]
    pub(crate) revision: Option<Revision>,
    /// How many revisions it is behind; `null` for one that has acknowledged nothing yet.
    pub(crate) lag_changes: Option<u64>,
    /// For how many seconds it has not had everything; 0 when it has.
    pub(crate) lag_seconds: f64,
    /// Reports that it has taken.
    pub(crate) reports: u64,
    /// Reports that it knew already.
    pub(crate) duplicates: u64,
    /// Reports that it will never take.
    pub(crate) refused: u64,
    /// Bytes of request bodies, as they went over the line.
    pub(crate) bytes: u64,
    /// How often something had to be tried again.
    pub(crate) retries: u64,
    /// How often it was told everything.
    pub(crate) synchronisations: u64,
    /// What went wrong last, in plain words.
    pub(crate) last_error: Option<String>,
    /// When that was.
    #[schema(value_type = Option<String>)]
    pub(crate) last_error_at: Option<Timestamp>,
    /// When it last acknowledged something.
    #[schema(value_type = Option<String>)]
    pub(crate) last_arrival: Option<Timestamp>,
    /// When it is tried again; `null` unless something went wrong just now.
    #[schema(value_type = Option<String>)]
    pub(crate) next_try: Option<Timestamp>,
    /// Since when it may hold users who are gone: it was away for longer than ends are remembered, and
    /// cannot throw anything away. `null` when it does not, or was told everything anew by request since.
    #[schema(value_type = Option<String>)]
    pub(crate) may_hold_gone: Option<Timestamp>,
    /// What the last comparison of what it holds found.
    pub(crate) drift: Option<Drift>,
}

/// A push target, shared between the actor that speaks to it and everybody who asks.
pub struct TargetHandle {
    pub(super) target: PushTarget,
    pub(super) floor: FencePermit,
    scope: String,
    store: Arc<dyn CursorStore>,
    newest: watch::Receiver<Revision>,
    clock: Clock,
    counts: Mutex<Counts>,
}

struct Counts {
    state: State,
    cursor: Option<Cursor>,
    /// When it last had everything, or else was made known.
    complete: Timestamp,
    arrived: Acknowledgement,
    refused: u64,
    bytes: u64,
    retries: u64,
    synchronisations: u64,
    last_error: Option<(String, Timestamp)>,
    last_arrival: Option<Timestamp>,
    next_try: Option<Timestamp>,
    may_hold_gone: Option<Timestamp>,
    drift: Option<Drift>,
}

impl TargetHandle {
    /// One of whom nothing is known yet but where it is kept.
    pub fn new(
        target: PushTarget,
        store: Arc<dyn CursorStore>,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let counts = Mutex::new(Counts {
            state: State::Starting,
            cursor: None,
            complete: clock.now(),
            arrived: Acknowledgement::default(),
            refused: 0,
            bytes: 0,
            retries: 0,
            synchronisations: 0,
            last_error: None,
            last_arrival: None,
            next_try: None,
            may_hold_gone: None,
            drift: None,
        });
        TargetStarted { target: target.name.as_str() }.emit();
        let scope = scope(&target);
        Self { target, floor: dialect::floor(), scope, store, newest, clock, counts }
    }

    /// The same, after another one of its name: it speaks only when that has finished.
    pub fn after(self, before: &Self) -> Self {
        Self { floor: Arc::clone(&before.floor), ..self }
    }

    /// Its configured name.
    pub fn name(&self) -> &str {
        self.target.name.as_str()
    }

    /// What it is told of.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// How many changes are read for it at once: what it is told within a second, where that is
    /// bounded.
    pub(super) fn page(&self) -> usize {
        match &self.target.protocol {
            PushProtocol::SecureEdge(_) => self.target.batch,
            PushProtocol::SrxWebApi(srx) => {
                self.target.batch.min(usize::try_from(srx.rate).unwrap_or(usize::MAX))
            }
        }
    }

    /// How often what it holds is compared with what it should hold.
    pub(super) fn check_every(&self) -> Duration {
        match &self.target.protocol {
            PushProtocol::SecureEdge(edge) => edge.check,
            // It cannot be asked: a month is as good as never, and no instant overflows.
            PushProtocol::SrxWebApi(_) => Duration::from_secs(30 * 24 * 3600),
        }
    }

    /// The pause after so many failures in a row: doubling, with up to a quarter more by chance, so
    /// that servers that failed together do not come back together.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let doubled =
            self.target.first_retry.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.target.longest_retry).mul_f64(1.0 + fastrand::f64() / 4.0)
    }

    /// What was kept of it. What cannot be read counts as nothing: it is told everything then.
    pub(super) async fn load(
        &self,
        workers: &mut WorkerPool,
    ) -> Result<Option<StoredCursor>, PushError> {
        let store = Arc::clone(&self.store);
        let loaded: io::Result<_> = workers.ask(move |_| store.load()).await?;
        Ok(loaded.unwrap_or_else(|why| {
            CursorNotStored {
                target: self.name(),
                why: &format!("its position cannot be read: {why}"),
            }
            .emit();
            None
        }))
    }

    /// Keeps what it has acknowledged.
    pub(super) async fn keep(
        &self,
        workers: &mut WorkerPool,
        acknowledged: StoredCursor,
    ) -> Result<(), PushError> {
        let store = Arc::clone(&self.store);
        let kept: io::Result<()> = workers.ask(move |_| store.keep(&acknowledged)).await?;
        kept.map_err(|why| PushError::NotConfigured(format!("its position cannot be kept: {why}")))
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn is(&self, state: State, cursor: Option<Cursor>) {
        let mut counts = self.counts();
        counts.state = state;
        counts.next_try = None;
        counts.cursor = cursor;
    }

    /// It has everything that there was.
    pub(super) fn rests(&self, cursor: Option<Cursor>) {
        let mut counts = self.counts();
        counts.cursor = cursor;
        counts.complete = self.clock.now();
    }

    pub(super) fn arrived(&self, arrived: &Acknowledgement) {
        let Acknowledgement { accepted, duplicates, refused } = arrived;
        let refused = refused.len() as u64;
        let (accepted, duplicates) = (*accepted, *duplicates);
        BatchAcknowledged { target: self.name(), accepted, duplicates, refused }.emit();
        let mut counts = self.counts();
        counts.arrived.accepted += accepted;
        counts.arrived.duplicates += duplicates;
        counts.refused += refused;
        counts.last_arrival = Some(self.clock.now());
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.counts().bytes += bytes;
    }

    pub(super) fn start_resync(&self) {
        self.counts().synchronisations += 1;
    }

    pub(super) fn failed(&self, error: &PushError, pause: Duration) {
        let now = self.clock.now();
        let mut counts = self.counts();
        counts.state = State::Retrying;
        counts.retries += 1;
        counts.last_error = Some((error.to_string(), now));
        counts.next_try = Some(now + pause);
    }

    /// Ends of which it may never have been told are forgotten.
    pub(super) fn may_hold_gone(&self) {
        let now = self.clock.now();
        self.counts().may_hold_gone.get_or_insert(now);
    }

    /// It was cleared.
    pub(super) fn holds_nobody_gone(&self) {
        self.counts().may_hold_gone = None;
    }

    pub(super) fn checked(&self, drift: Drift) {
        self.counts().drift = Some(drift);
    }

    /// How far it is behind: in changes, when it has acknowledged any, and in time.
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

    /// How it is doing.
    pub(crate) fn status(&self) -> TargetStatus {
        let (lag_changes, lag) = self.lag();
        let counts = self.counts();
        let known = counts.cursor.filter(|cursor| *cursor != Cursor::UNKNOWN);
        TargetStatus {
            name: self.name().to_owned(),
            kind: match self.target.protocol {
                PushProtocol::SecureEdge(_) => "secure_edge",
                PushProtocol::SrxWebApi(_) => "srx_web_api",
            },
            url: self.target.url.clone(),
            state: counts.state,
            revision: known.map(|cursor| cursor.revision),
            lag_changes,
            lag_seconds: lag.as_secs_f64(),
            reports: counts.arrived.accepted,
            duplicates: counts.arrived.duplicates,
            refused: counts.refused,
            bytes: counts.bytes,
            retries: counts.retries,
            synchronisations: counts.synchronisations,
            last_error: counts.last_error.as_ref().map(|(text, _)| text.clone()),
            last_error_at: counts.last_error.as_ref().map(|(_, at)| *at),
            last_arrival: counts.last_arrival,
            next_try: counts.next_try,
            may_hold_gone: counts.may_hold_gone,
            drift: counts.drift,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing under the lock can leave the counts half written.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a target is told of, as one text: with another, it must be told everything anew.
fn scope(target: &PushTarget) -> String {
    let listed = |items: Vec<String>| items.join(",");
    let domains = listed(target.domains.iter().map(ToString::to_string).collect());
    let include = listed(target.include.iter().map(ToString::to_string).collect());
    let exclude = listed(target.exclude.iter().map(ToString::to_string).collect());
    let filtered = format!("{}|{domains}|{include}|{exclude}", target.url);
    match &target.protocol {
        PushProtocol::SecureEdge(_) => filtered,
        // By other groups, a firewall holds roles that nobody would ever take back.
        PushProtocol::SrxWebApi(srx) => {
            let names = listed(srx.groups.names.iter().map(ToString::to_string).collect());
            let bases = srx.groups.bases.iter().map(ToString::to_string).collect::<Vec<_>>();
            let (most, limit) = (srx.roles, srx.groups.limit);
            format!("{filtered}|{most}|{limit}|{names}|{}", bases.join(";"))
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_config::{SecureEdge, SrxWebApi};
    use rollcall_identity::Glob;
    use rollcall_identity::directory::GroupFilter;

    use super::*;

    fn target(protocol: PushProtocol) -> PushTarget {
        PushTarget {
            name: rollcall_identity::Name::new("t").unwrap(),
            url: "https://fw".to_owned(),
            authorities: "ca.pem".into(),
            identity: None,
            timeout: Duration::from_secs(1),
            batch: 10,
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(1),
            domains: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            protocol,
        }
    }

    #[test]
    fn other_groups_are_another_scope_of_a_firewall() {
        let groups = |names: &[&str], limit| {
            let names = names.iter().map(|glob| Glob::new(glob).unwrap()).collect();
            GroupFilter { names, limit, ..GroupFilter::default() }
        };
        let firewall = |roles, groups| {
            let (user, password) = ("user".to_owned(), "password".into());
            let srx = SrxWebApi { user, password, rate: 10, roles, groups };
            scope(&target(PushProtocol::SrxWebApi(srx)))
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
    fn pauses_double_up_to_the_longest_with_up_to_a_quarter_more_by_chance() {
        let (user, password) = ("user".to_owned(), "password".into());
        let groups = GroupFilter::default();
        let srx = SrxWebApi { user, password, rate: 10, roles: 200, groups };
        let longest_retry = Duration::from_secs(300);
        let target = PushTarget { longest_retry, ..target(PushProtocol::SrxWebApi(srx)) };
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(crate::FileCursorStore::new(folder.path(), "t"));
        let newest = watch::Sender::new(Revision(0)).subscribe();
        let target = TargetHandle::new(target, store, newest, Clock::system());
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (u32::MAX, 300)] {
            let (shortest, pause) = (Duration::from_secs(seconds), target.pause(failures));
            assert!(pause >= shortest && pause <= shortest.mul_f64(1.25), "{failures}: {pause:?}");
        }
    }

    #[test]
    fn how_a_target_is_reached_is_no_part_of_its_scope() {
        let edge = |compression, check| {
            let (credentials, onboarding) = ("credentials".into(), None);
            let check = Duration::from_secs(check);
            let edge = SecureEdge { credentials, onboarding, compression, in_flight: 4, check };
            scope(&target(PushProtocol::SecureEdge(edge)))
        };
        let gzip = edge(rollcall_config::Compression::Gzip, 1);
        assert_eq!(gzip, edge(rollcall_config::Compression::Plain, 2));
    }
}
