//! The table: each decision applies one event to the state of its address.

mod claim;
mod decision;
mod early_logouts;
mod expiry;
mod explain;
mod memory;
#[cfg(test)]
mod properties;
mod shared_address;
mod snapshot;
mod source_sessions;
#[cfg(test)]
mod tests;

use std::hint::black_box;
use std::sync::Arc;

use hashbrown::HashMap;

use self::claim::Claim;
pub use self::claim::UngrantedDetails;
use self::decision::{DecisionInput, Transition};
use self::expiry::{ExpiryQueue, RETRY_INTERVAL, is_from_future};
pub use self::explain::Explanation;
use self::memory::{AddressMemory, RetentionEntry, RetentionQueue};
use self::source_sessions::SourceSessions;
use crate::{
    Address, Change, DecisionRecord, Effect, EndedSession, Event, Kind, Name, Origin, Refusal,
    Revision, Rule, Rules, Session, Timestamp, Verdict,
};

/// How many events, changes or sessions are prefetched at once: more than the CPU can load in
/// parallel, and few enough to stay in its cache.
pub(crate) const PREFETCH_BATCH: usize = 64;

/// The decision about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The change of the table, if any.
    pub change: Option<Change>,
    /// The details of the event that were ignored because its source is not granted them.
    pub ungranted: UngrantedDetails,
}

impl Decision {
    fn of(verdict: Verdict, change: Option<Change>) -> Self {
        Self { verdict, change, ungranted: UngrantedDetails::default() }
    }
}

/// The sessions of all addresses.
///
/// Ended sessions and refusals are remembered in bounded memory, whatever the sources send: see
/// [`Table::MAX_ENDED`] and [`Table::MAX_COMPETED`].
#[derive(Debug)]
pub struct Table {
    entries: HashMap<Address, Entry>,
    present: usize,
    source_sessions: SourceSessions,
    expiries: ExpiryQueue,
    /// When the due sessions were last requested.
    last_due_check: Option<Timestamp>,
    ended: RetentionQueue,
    competed: RetentionQueue,
    competed_without_session: RetentionQueue,
    /// The position of the newest end that was evicted.
    forgotten: Revision,
}

/// The state of one address. Kept small, because there are a million of them.
#[derive(Debug, Default)]
struct Entry {
    session: Option<Arc<Session>>,
    memory: Option<Box<AddressMemory>>,
    /// The earliest entry of the address in the expiry queue, in milliseconds; 0 if it has none.
    queued_at: i64,
    /// The position of the event that last changed or extended the session.
    published: Revision,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            present: 0,
            source_sessions: SourceSessions::default(),
            expiries: ExpiryQueue::default(),
            last_due_check: None,
            ended: RetentionQueue::new(Self::MAX_ENDED),
            competed: RetentionQueue::new(Self::MAX_COMPETED),
            competed_without_session: RetentionQueue::new(Self::MAX_COMPETED),
            forgotten: Revision(0),
        }
    }
}

impl Table {
    /// The maximum number of competing events kept per address.
    pub const RECORDS_PER_ADDRESS: usize = 8;

    /// The maximum number of ended sessions kept in total. They keep a late login from reviving an
    /// ended session. Enough for 290 ends a second over the default maximum event age of 15
    /// minutes, in at most 100 MB.
    pub const MAX_ENDED: usize = 1 << 18;

    /// The maximum number of competing events kept for addresses that have or had a session, and
    /// the maximum for addresses that never had one. About 20 MB each. The limits are separate so
    /// that forged events for arbitrary addresses cannot evict real ones.
    pub const MAX_COMPETED: usize = 1 << 16;

    /// Loads the entries of the addresses of `events` into the CPU cache before they are applied.
    /// The entries are scattered: here many loads run in parallel, while each apply waits for its
    /// own.
    pub(crate) fn prefetch(&self, events: &[Event]) {
        let held = events.iter().filter_map(|event| self.get(event.address));
        black_box(held.map(Arc::strong_count).sum::<usize>());
    }

    /// Applies one event.
    pub fn apply(&mut self, revision: Revision, event: &Event, rules: &Rules) -> Decision {
        let claim = Claim::read(event, rules);
        let entry = self.entries.get(&event.address);
        let session = entry.and_then(|entry| entry.session.as_ref());
        let memory = entry.and_then(|entry| entry.memory.as_deref());
        let admitted = claim.admitted(rules, session.map(|session| &**session));
        let ungranted = admitted.as_ref().map(|admitted| admitted.ungranted).unwrap_or_default();
        let transition = admitted.and_then(|assertion| {
            let assertion = &assertion;
            DecisionInput { claim: &claim, assertion, session, memory, rules, revision }.decide()
        });
        let transition = transition.and_then(|transition| match &transition {
            Transition::Set(Effect::Began, ..) => {
                self.check_quota(event, session, rules).map(|()| transition)
            }
            _ => Ok(transition),
        });
        let decision = match transition {
            Ok(Transition::Keep) => Decision::of(Verdict::Deduplicated, None),
            Ok(Transition::Set(effect, rule, after)) => {
                self.change(&claim, (effect, rule), after, revision)
            }
            Ok(Transition::End(rule, at)) => self.end(&claim, (rule, at), revision),
            Err(refusal) => self.refuse(&claim, refusal, revision),
        };
        if decision.verdict.is_shared()
            && let Some(memory) = self.memory_mut(event.address)
        {
            memory.recent_users.set_shared_until(event.seen + rules.shared_addresses.quiet_period);
        }
        Decision { ungranted, ..decision }
    }

    /// The session held for an address. It may have expired while its expiry event is in flight:
    /// check [`Session::is_active_at`].
    pub fn get(&self, address: Address) -> Option<&Arc<Session>> {
        self.entries.get(&address)?.session.as_ref()
    }

    /// Checks whether the source of `event` may begin one more session.
    fn check_quota(
        &self,
        event: &Event,
        current: Option<&Arc<Session>>,
        rules: &Rules,
    ) -> Result<(), Refusal> {
        let origin = &*event.origin;
        if current.is_none() && self.present >= rules.max_sessions {
            return Err(Refusal::SessionLimit);
        }
        let is_same = |source: &Origin| {
            (&source.producer, &source.client) == (&origin.producer, &origin.client)
        };
        if current.is_some_and(|current| is_same(&current.cause.origin)) {
            return Ok(());
        }
        let authority = rules.authority(&origin.producer, &origin.client);
        match authority.and_then(|authority| authority.max_sessions) {
            Some(quota) if self.source_sessions.of(origin) >= quota => Err(Refusal::SourceQuota),
            _ => Ok(()),
        }
    }

    /// The number of active sessions that each producer and client began. Sources that began none
    /// since the start are missing.
    pub fn source_sessions(&self) -> impl Iterator<Item = (&Name, &Name, usize)> {
        self.source_sessions.iter()
    }

    /// The number of sessions held.
    pub fn len(&self) -> usize {
        self.present
    }

    /// Whether no session is held.
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// The sessions held, in no particular order.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.entries.values().filter_map(|entry| entry.session.as_ref())
    }

    /// Explains the session of `address` at `now`.
    pub fn explain(&self, address: Address, now: Timestamp) -> Explanation {
        let entry = self.entries.get(&address);
        let held = entry.and_then(|entry| entry.session.clone());
        let memory = entry.and_then(|entry| entry.memory.as_deref());
        let ended =
            memory.and_then(|memory| memory.ended.as_ref()).map(|ended| ended.session.clone());
        let shared = memory.and_then(|memory| memory.recent_users.shared_at(now));
        let competed: Vec<_> =
            memory.into_iter().flat_map(AddressMemory::newest_first).cloned().collect();
        match held {
            Some(session) if session.is_active_at(now) => {
                Explanation { address, session: Some(session), previous: ended, shared, competed }
            }
            expired => {
                let previous = expired.or(ended);
                Explanation { address, session: None, previous, shared, competed }
            }
        }
    }

    /// When to call [`Table::due_expiries`] next: no session expires earlier.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.expiries.next()
    }

    /// At most `limit` expiry events, from `origin`, for sessions that have expired at `now`, or
    /// that were confirmed at a time in the future because the clock was wrong. They end nothing by
    /// themselves: they go through the journal like every event, and are proposed again after a
    /// minute if they were lost.
    pub fn due_expiries(
        &mut self,
        now: Timestamp,
        origin: &Arc<Origin>,
        limit: usize,
    ) -> Vec<Event> {
        if self.last_due_check.replace(now).is_none_or(|asked| now < asked) {
            self.queue_future_sessions(now);
        }
        let mut events = Vec::new();
        while events.len() < limit
            && let Some((when, address)) = self.expiries.pop_due(now)
        {
            let Some(entry) = self.entries.get_mut(&address) else { continue };
            if entry.queued_at != when.millis() {
                continue;
            }
            entry.queued_at = 0;
            let Some(session) = &entry.session else {
                self.remove_if_empty(address);
                continue;
            };
            let expired = !session.is_active_at(now) || is_from_future(session, now);
            let next = if expired { now + RETRY_INTERVAL } else { session.expires };
            entry.queued_at = next.millis();
            self.expiries.push(next, address);
            if expired {
                events.push(expiry_event(address, now, origin));
            }
        }
        events
    }

    /// Queues sessions that were confirmed in the future. There are none unless the clock was set
    /// back.
    fn queue_future_sessions(&mut self, now: Timestamp) {
        for (address, entry) in &mut self.entries {
            if entry.session.as_ref().is_some_and(|session| is_from_future(session, now)) {
                entry.queued_at = now.millis();
                self.expiries.push(now, *address);
            }
        }
    }

    /// Forgets the ends and the competing events received before `before`. Call it periodically
    /// with a time older than the maximum age of any event.
    pub fn forget_before(&mut self, before: Timestamp) {
        while let Some(entry) = self.ended.pop_before(before) {
            self.forget_ended(entry);
        }
        while let Some(entry) = self.competed.pop_before(before) {
            self.forget_record(entry);
        }
        while let Some(entry) = self.competed_without_session.pop_before(before) {
            self.forget_record(entry);
        }
    }

    /// Sets the session of the address to `after`.
    fn change(
        &mut self,
        claim: &Claim<'_>,
        (effect, rule): (Effect, Rule),
        after: Arc<Session>,
        revision: Revision,
    ) -> Decision {
        let (address, since) = (after.address, after.since);
        let (before, had_no_memory) = self.store(after.clone(), revision);
        let displaced =
            before.as_ref().filter(|before| effect == Effect::Began && before.principal.is_some());
        let altered = before.as_ref().filter(|_| effect == Effect::Altered);
        // At the first competing event, the beginning of the current session is recorded too.
        if let Some(before) = displaced.or(altered).filter(|_| had_no_memory) {
            self.remember(DecisionRecord::of_session(before), address);
        }
        if let Some(before) = displaced {
            // A device replaces only a user whose session expired. It proves nothing about logins
            // in between, so it orders later logins no more than the expiry does.
            let at = if rule == Rule::DeviceOnly { before.confirmed } else { since };
            let (session, cause) = (before.clone(), claim.cause(rule));
            self.remember_end(EndedSession { session, at, revision, cause });
        }
        let domain_changed = effect == Effect::Altered
            && before.as_ref().is_some_and(|before| before.domain() != after.domain());
        if let Some(before) =
            before.as_ref().filter(|before| domain_changed && before.domain().is_some())
        {
            // A directory moved the user to another domain. A consumer filtered to the former
            // domain must receive the end, even from a rebuilt log. It rejects no login.
            let (session, cause) = (before.clone(), claim.cause(rule));
            self.remember_end(EndedSession { session, at: since, revision, cause });
        }
        if let Some((memory, user)) = self.memory_mut(address).zip(after.principal.as_ref())
            && effect == Effect::Began
        {
            displaced.into_iter().for_each(|before| note_login(memory, before));
            memory.recent_users.note(&user.user, claim.event.seen);
        }
        // A session's cause does not show how its details changed. It shows every other beginning,
        // until an event competes with it.
        let competes = effect == Effect::Began && (displaced.is_some() || !had_no_memory);
        if effect == Effect::Altered || competes {
            self.remember(claim.record(revision, Verdict::Applied(rule)), address);
        }
        let cause = claim.cause(rule);
        let change = Change { revision, address, effect, before, after: Some(after), cause };
        Decision::of(Verdict::Applied(rule), Some(change))
    }

    /// Ends the session of the address.
    fn end(
        &mut self,
        claim: &Claim<'_>,
        (rule, at): (Rule, Timestamp),
        revision: Revision,
    ) -> Decision {
        let address = claim.event.address;
        let verdict = Verdict::Applied(rule);
        self.record_beginning(address);
        let before = self.entries.get_mut(&address).and_then(|entry| entry.session.take());
        if let Some(before) = &before {
            self.present -= 1;
            self.source_sessions.remove(&before.cause.origin);
            let (session, cause) = (before.clone(), claim.cause(rule));
            self.remember_end(EndedSession { session, at, revision, cause });
        }
        self.remember(claim.record(revision, verdict), address);
        if let Some((memory, before)) = self.memory_mut(address).zip(before.as_ref()) {
            note_login(memory, before);
        }
        let (effect, cause) = (Effect::Ended, claim.cause(rule));
        let change = Change { revision, address, effect, before, after: None, cause };
        Decision::of(verdict, Some(change))
    }

    /// Records the refusal; nothing changes.
    fn refuse(&mut self, claim: &Claim<'_>, refusal: Refusal, revision: Revision) -> Decision {
        let address = claim.event.address;
        let verdict = Verdict::Refused(refusal);
        // An expiry that lost a race is internal and of no use to administrators.
        if claim.kind != Kind::Expiry {
            self.record_beginning(address);
            self.remember(claim.record(revision, verdict), address);
        }
        if matches!(refusal, Refusal::NoSession | Refusal::OtherUser)
            && claim.kind.ends()
            && let Some(principal) = claim.principal.as_deref()
            && let Some(memory) = self.memory_mut(address)
        {
            memory.early_logouts.note(principal, claim.moment());
        }
        Decision::of(verdict, None)
    }

    /// Stores `session` at `revision`. Returns the session that it replaces, and whether nothing
    /// else is remembered of the address.
    fn store(&mut self, session: Arc<Session>, revision: Revision) -> (Option<Arc<Session>>, bool) {
        let (address, expires) = (session.address, session.expires);
        let entry = self.entries.entry(address).or_default();
        entry.published = revision;
        if entry.queued_at == 0 || expires.millis() < entry.queued_at {
            entry.queued_at = expires.millis();
            self.expiries.push(expires, address);
        }
        let origin = Arc::clone(&session.cause.origin);
        let before = entry.session.replace(session);
        self.present += usize::from(before.is_none());
        let previous = before.as_ref().map(|before| &before.cause.origin);
        if previous.is_none_or(|previous| !Arc::ptr_eq(previous, &origin)) {
            self.source_sessions.add(&origin);
            if let Some(previous) = previous {
                self.source_sessions.remove(previous);
            }
        }
        (before, entry.memory.is_none())
    }

    /// Records the beginning of the session of `address` when the first event competes with it.
    fn record_beginning(&mut self, address: Address) {
        let without_memory = self.entries.get(&address).filter(|entry| entry.memory.is_none());
        if let Some(record) =
            without_memory.and_then(|e| e.session.as_ref()).map(|s| DecisionRecord::of_session(s))
        {
            self.remember(record, address);
        }
    }

    fn memory_mut(&mut self, address: Address) -> Option<&mut AddressMemory> {
        self.entries.get_mut(&address)?.memory.as_deref_mut()
    }

    fn remember_end(&mut self, ended: EndedSession) {
        let (address, revision, seen) = (ended.session.address, ended.revision, ended.cause.seen);
        let entry = self.entries.entry(address).or_default();
        entry.memory.get_or_insert_default().ended = Some(ended);
        if let Some(due) = self.ended.push(RetentionEntry { address, revision, seen }) {
            self.forget_ended(due);
        }
    }

    fn remember(&mut self, record: DecisionRecord, address: Address) {
        let seen = record.seen;
        let entry = self.entries.entry(address).or_default();
        let memory = entry.memory.get_or_insert_default();
        let without_session = entry.session.is_none() && memory.ended.is_none();
        let Some(revision) = memory.remember(record, Self::RECORDS_PER_ADDRESS) else { return };
        let queue =
            if without_session { &mut self.competed_without_session } else { &mut self.competed };
        if let Some(due) = queue.push(RetentionEntry { address, revision, seen }) {
            self.forget_record(due);
        }
    }

    fn forget_record(&mut self, RetentionEntry { address, revision, .. }: RetentionEntry) {
        if let Some(memory) = self.entries.get_mut(&address).and_then(|e| e.memory.as_mut()) {
            memory.forget(revision);
        }
        self.remove_if_empty(address);
    }

    fn forget_ended(&mut self, RetentionEntry { address, revision, .. }: RetentionEntry) {
        let Some(entry) = self.entries.get_mut(&address) else { return };
        if entry.memory.as_mut().is_some_and(|memory| memory.forget_ended(revision)) {
            // A consumer may receive the end only together with the session that followed.
            let published = if entry.session.is_some() { entry.published } else { revision };
            self.forgotten = self.forgotten.max(revision).max(published);
        }
        self.remove_if_empty(address);
    }

    /// Frees the entry of an address if nothing is left to remember.
    fn remove_if_empty(&mut self, address: Address) {
        let Some(entry) = self.entries.get_mut(&address) else { return };
        if entry.memory.as_ref().is_some_and(|memory| memory.is_empty()) {
            entry.memory = None;
        }
        if entry.session.is_none() && entry.memory.is_none() && entry.queued_at == 0 {
            self.entries.remove(&address);
        }
    }
}

/// Records the login that began this session.
fn note_login(memory: &mut AddressMemory, session: &Session) {
    if let Some(principal) = &session.principal {
        memory.recent_users.note(&principal.user, session.cause.seen);
    }
}

/// The event that expires the session of `address`.
fn expiry_event(address: Address, now: Timestamp, origin: &Arc<Origin>) -> Event {
    Event::bare(Kind::Expiry, address, now, origin.clone())
}
