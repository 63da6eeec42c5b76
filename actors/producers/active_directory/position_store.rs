//! Stores the read position and the known members of a directory, so that they survive a restart.
//! They are stored in the journal, like the read positions of other producers.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use rollcall_identity::directory::{
    AffectedAccounts, Difference, KnownMembers, KnownMembersPart, KnownMembersWriter, UnknownDomain,
};
use rollcall_identity::{Name, ReadPosition};

use crate::{EventSink, InputBatch};
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::messages::ApplyError;

/// The number of objects that are processed before the directory lock is released.
const SLICE: usize = 16_384;

/// The members to store.
#[derive(Clone, Copy)]
pub(super) struct CurrentMembers<'a> {
    /// The directory that holds them.
    pub(super) directory: &'a SharedDirectory,
    /// Their domain.
    pub(super) domain: &'a Name,
    /// Whether the sessions reflect them.
    pub(super) state: ApplyState,
}

/// Whether the sessions reflect the changes of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApplyState {
    /// They do: former names and deleted members need not be stored.
    Applied,
    /// Some changes may be missing: sessions may still have former names or deleted members.
    Pending,
}

/// The known members and the read position of one directory, and what of them must still be stored.
#[derive(Default)]
pub(super) struct PositionStore {
    /// The members known before the start, until the directory is compared with them.
    members: Mutex<Arc<KnownMembers>>,
    /// The fingerprints of the stored parts: an unchanged part is not written again.
    fingerprints: Mutex<BTreeMap<KnownMembersPart, u64>>,
    /// Parts that may differ from what is stored.
    stale: Mutex<BTreeSet<KnownMembersPart>>,
}

impl PositionStore {
    /// Marks all parts as stale.
    pub(super) fn mark_all_stale(&self) {
        self.stale.lock().extend(KnownMembersPart::all());
    }

    /// Marks the parts of new, renamed and deleted accounts as stale.
    pub(super) fn mark_stale(&self, affected: &AffectedAccounts) {
        let relevant = [Difference::New, Difference::Renamed, Difference::Deleted];
        let accounts = affected.accounts.iter();
        let changed =
            accounts.filter(|it| relevant.iter().any(|difference| it.differences.has(*difference)));
        self.stale.lock().extend(changed.map(|account| KnownMembersPart::of(account.guid)));
    }

    /// The members known before the start.
    pub(super) fn members(&self) -> Arc<KnownMembers> {
        Arc::clone(&self.members.lock())
    }

    /// Discards the members known before the start, after the directory was compared with them.
    pub(super) fn discard_members(&self) {
        *self.members.lock() = Arc::default();
    }

    /// Loads the stored members and returns the stored read position. A part that cannot be decoded
    /// counts as never stored: an account in it that is missing in the directory counts as deleted.
    ///
    /// # Errors
    /// When the journal is unavailable.
    pub(super) async fn load(&self, sink: &EventSink) -> Result<Option<Arc<[u8]>>, ApplyError> {
        let (mut members, mut fingerprints) = (KnownMembers::default(), BTreeMap::new());
        for part in KnownMembersPart::all() {
            if let Some(bytes) = sink.last_read(part.source()).await?
                && members.add(&bytes).is_ok()
            {
                fingerprints.insert(part, fingerprint(&bytes));
            }
        }
        (*self.members.lock(), *self.fingerprints.lock()) = (Arc::new(members), fingerprints);
        sink.last_read(position_source()).await
    }

    /// Stores the stale parts of `members`, and then the read position.
    ///
    /// # Errors
    /// When the journal is unavailable. The next call stores the missing parts.
    pub(super) async fn store(
        &self,
        sink: &EventSink,
        members: CurrentMembers<'_>,
        position: Arc<[u8]>,
    ) -> Result<(), ApplyError> {
        self.store_members(sink, members).await?;
        submit(sink, position_source(), position).await
    }

    /// Stores the stale parts of the members, without a read position.
    ///
    /// # Errors
    /// When the journal is unavailable. The next call stores the missing parts.
    pub(super) async fn store_members(
        &self,
        sink: &EventSink,
        CurrentMembers { directory, domain, state }: CurrentMembers<'_>,
    ) -> Result<(), ApplyError> {
        let stale = self.stale.lock().clone();
        if stale.is_empty() {
            return Ok(());
        }
        let (directory, domain) = (directory.clone(), domain.clone());
        let encoding = tokio::task::spawn_blocking(move || encode(&directory, &domain, stale));
        // A domain that was removed has no members.
        let Ok(Ok(writer)) = encoding.await else { return Ok(()) };
        for (part, bytes) in writer.finish(ReadPosition::LIMIT) {
            match state {
                ApplyState::Applied => {
                    self.store_part(sink, part, bytes).await?;
                    self.stale.lock().remove(&part);
                }
                ApplyState::Pending => self.merge_part(sink, part, bytes).await?,
            }
        }
        Ok(())
    }

    /// Whether any member is stored. Otherwise no member can have a former name.
    pub(super) fn has_members(&self) -> bool {
        !self.fingerprints.lock().is_empty()
    }

    /// Adds the current members of a part to its stored members.
    async fn merge_part(
        &self,
        sink: &EventSink,
        part: KnownMembersPart,
        now: Vec<u8>,
    ) -> Result<(), ApplyError> {
        let stored = self.fingerprints.lock().get(&part).copied();
        if stored.is_none_or(|stored| stored == fingerprint(&now)) {
            return self.store_part(sink, part, now).await;
        }
        let before = sink.last_read(part.source()).await?;
        let merged = before.map(|before| KnownMembers::merge(&before, &now, ReadPosition::LIMIT));
        self.store_part(sink, part, merged.and_then(Result::ok).unwrap_or(now)).await
    }

    /// Stores a part, unless it is already stored.
    async fn store_part(
        &self,
        sink: &EventSink,
        part: KnownMembersPart,
        bytes: Vec<u8>,
    ) -> Result<(), ApplyError> {
        let (stored, new) = (self.fingerprints.lock().get(&part).copied(), fingerprint(&bytes));
        // A part that is empty and was never stored need not be written.
        let is_stored =
            stored == Some(new) || (stored.is_none() && KnownMembers::is_empty_part(&bytes));
        if !is_stored {
            submit(sink, part.source(), bytes.into()).await?;
            self.fingerprints.lock().insert(part, new);
        }
        Ok(())
    }
}

/// Encodes the members of these parts, slice by slice.
fn encode(
    directory: &SharedDirectory,
    domain: &Name,
    parts: BTreeSet<KnownMembersPart>,
) -> Result<KnownMembersWriter, UnknownDomain> {
    let mut writer = KnownMembersWriter::new(parts);
    while writer.step(&directory.read(), domain, SLICE)? {}
    Ok(writer)
}

async fn submit(sink: &EventSink, source: Name, position: Arc<[u8]>) -> Result<(), ApplyError> {
    let mut batch = InputBatch { read: Some((source, position)), ..InputBatch::default() };
    match sink.submit(&mut batch).await {
        Some(pending) => pending.receipt().await.map(drop),
        None => Ok(()),
    }
}

/// The name of the read position in the journal.
fn position_source() -> Name {
    Name::new("position").expect("a constant is a valid name")
}

/// The fingerprint of an encoded part.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
