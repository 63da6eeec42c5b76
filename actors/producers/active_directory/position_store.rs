//! What of a directory outlives a stop: how far it was read, and who was known of it. It is kept with
//! the journal, as the positions of other producers are.

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

/// How many objects are looked at before others have the book.
const SLICE: usize = 16_384;

/// Who is to be kept.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// Where they are known.
    pub(super) book: &'a SharedDirectory,
    /// Their domain.
    pub(super) domain: &'a Name,
    /// How much of it the sessions say.
    pub(super) told: ApplyState,
}

/// How much the sessions say of what a directory told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApplyState {
    /// All of it: whoever was known before by another name, or is gone, need not be kept.
    All,
    /// Perhaps not all: they may still say what they said before.
    NotYet,
}

/// What is kept, and what is still to be.
#[derive(Default)]
pub(super) struct PositionStore {
    /// Who was known before the start, until the sessions say who of them is missed.
    roster: Mutex<Arc<KnownMembers>>,
    /// The parts of the roster as they are kept, by their fingerprints: what is the same is not
    /// written again.
    prints: Mutex<BTreeMap<KnownMembersPart, u64>>,
    /// Parts that may differ from what is kept.
    stale: Mutex<BTreeSet<KnownMembersPart>>,
}

impl PositionStore {
    /// Notes that anybody may be new, gone, or called otherwise.
    pub(super) fn note_all(&self) {
        self.stale.lock().extend(KnownMembersPart::all());
    }

    /// Notes who is new, gone, or called otherwise.
    pub(super) fn note(&self, affected: &AffectedAccounts) {
        let matters = [Difference::New, Difference::Renamed, Difference::Deleted];
        let accounts = affected.accounts.iter();
        let listed =
            accounts.filter(|it| matters.iter().any(|difference| it.differences.has(*difference)));
        self.stale.lock().extend(listed.map(|altered| KnownMembersPart::of(altered.guid)));
    }

    /// Who was known before the start.
    pub(super) fn roster(&self) -> Arc<KnownMembers> {
        Arc::clone(&self.roster.lock())
    }

    /// The sessions say who of them is missed.
    pub(super) fn forget_roster(&self) {
        *self.roster.lock() = Arc::default();
    }

    /// How far the directory was read and who was known of it, when that was kept last: the former
    /// is returned. A part that cannot be read is as if it had never been kept: whoever is in it and
    /// not in the directory counts as deleted.
    ///
    /// # Errors
    /// When the journal cannot tell now.
    pub(super) async fn recall(&self, sink: &EventSink) -> Result<Option<Arc<[u8]>>, ApplyError> {
        let (mut roster, mut prints) = (KnownMembers::default(), BTreeMap::new());
        for part in KnownMembersPart::all() {
            if let Some(bytes) = sink.last_read(part.source()).await?
                && roster.add(&bytes).is_ok()
            {
                prints.insert(part, print(&bytes));
            }
        }
        (*self.roster.lock(), *self.prints.lock()) = (Arc::new(roster), prints);
        sink.last_read(position()).await
    }

    /// Keeps who `book` knows of `domain`, as far as it may differ from what is kept, and then how
    /// far the directory was read.
    ///
    /// # Errors
    /// When the journal takes nothing now. What is missing is kept the next time.
    pub(super) async fn keep(
        &self,
        sink: &EventSink,
        known: Known<'_>,
        place: Arc<[u8]>,
    ) -> Result<(), ApplyError> {
        self.keep_roster(sink, known).await?;
        submit(sink, position(), place).await
    }

    /// Keeps who is known as far as [`PositionStore::keep`] does, and nothing else.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn keep_roster(
        &self,
        sink: &EventSink,
        Known { book, domain, told }: Known<'_>,
    ) -> Result<(), ApplyError> {
        let stale = self.stale.lock().clone();
        if stale.is_empty() {
            return Ok(());
        }
        let (book, domain) = (book.clone(), domain.clone());
        let drafting = tokio::task::spawn_blocking(move || draft(&book, &domain, stale));
        // A domain that is not known any more has nobody.
        let Ok(Ok(draft)) = drafting.await else { return Ok(()) };
        for (part, bytes) in draft.finish(ReadPosition::LIMIT) {
            match told {
                ApplyState::All => {
                    self.keep_part(sink, part, bytes).await?;
                    self.stale.lock().remove(&part);
                }
                ApplyState::NotYet => self.add_to_part(sink, part, bytes).await?,
            }
        }
        Ok(())
    }

    /// Whether anybody is kept: otherwise nobody has had another name.
    pub(super) fn is_begun(&self) -> bool {
        !self.prints.lock().is_empty()
    }

    /// Keeps beside whoever is kept in a part those who are `now`.
    async fn add_to_part(
        &self,
        sink: &EventSink,
        part: KnownMembersPart,
        now: Vec<u8>,
    ) -> Result<(), ApplyError> {
        let kept = self.prints.lock().get(&part).copied();
        if kept.is_none_or(|kept| kept == print(&now)) {
            return self.keep_part(sink, part, now).await;
        }
        let before = sink.last_read(part.source()).await?;
        let joined = before.map(|before| KnownMembers::merge(&before, &now, ReadPosition::LIMIT));
        self.keep_part(sink, part, joined.and_then(Result::ok).unwrap_or(now)).await
    }

    /// Keeps a part, unless it is kept already.
    async fn keep_part(
        &self,
        sink: &EventSink,
        part: KnownMembersPart,
        bytes: Vec<u8>,
    ) -> Result<(), ApplyError> {
        let (kept, print) = (self.prints.lock().get(&part).copied(), print(&bytes));
        // A part in which nobody is and nobody was need not be written.
        let is_known =
            kept == Some(print) || (kept.is_none() && KnownMembers::is_empty_part(&bytes));
        if !is_known {
            submit(sink, part.source(), bytes.into()).await?;
            self.prints.lock().insert(part, print);
        }
        Ok(())
    }
}

/// Writes down, slice by slice, who is in these parts.
fn draft(
    book: &SharedDirectory,
    domain: &Name,
    parts: BTreeSet<KnownMembersPart>,
) -> Result<KnownMembersWriter, UnknownDomain> {
    let mut draft = KnownMembersWriter::new(parts);
    while draft.step(&book.read(), domain, SLICE)? {}
    Ok(draft)
}

async fn submit(sink: &EventSink, source: Name, place: Arc<[u8]>) -> Result<(), ApplyError> {
    let mut batch = InputBatch { read: Some((source, place)), ..InputBatch::default() };
    match sink.submit(&mut batch).await {
        Some(pending) => pending.receipt().await.map(drop),
        None => Ok(()),
    }
}

/// What the journal calls how far the directory was read.
fn position() -> Name {
    Name::new("position").expect("a word of our own is a name")
}

/// The fingerprint of a part.
fn print(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
