//! The query actor: holds the compacted log of changes and answers everyone who asks from it: SRX
//! firewalls, REST, the live stream.

mod view;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_identity::{
    Address, Answerer, Beginning, Change, Cursor, Filter, Found, Handover, Limits, Page, Request,
    Revision, Session, Timestamp,
};
use tokio::sync::watch;

use crate::cache::{Cache, Recount};
use crate::clock::Clock;
use crate::happenings::{Happening, LogRestored, Visible};
use crate::heart::succession::{Estate, Term, Vacant, estate};
use crate::mailbox::{Desk, Mailbox, Receive, Reply, Role, Seat};
use crate::meter::Stage;

pub use self::view::View;
pub(crate) use self::view::Window;

use self::view::Log;

/// What became true with one batch of events, in order.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The term of the cache that decided so.
    term: u64,
    changes: Vec<Change>,
    /// When its events were received, and how many in a row at the same time: one reading of a socket
    /// gives them all the same.
    seen: Vec<(Timestamp, usize)>,
}

impl Message for Changed {
    type Result = ();
}

impl Changed {
    /// Nothing yet of a batch of `events`, by the cache of this term.
    pub(crate) fn by(term: u64, events: usize) -> Self {
        Self { term, changes: Vec::with_capacity(events), seen: Vec::new() }
    }

    /// What became true and was not told, by the cache of this term.
    pub(crate) fn missed(term: u64, changes: Vec<Change>) -> Self {
        Self { term, changes, seen: Vec::new() }
    }

    /// Notes what became of an event that was received at `seen`.
    pub(crate) fn note(&mut self, seen: Timestamp, change: Option<Change>) {
        match self.seen.last_mut() {
            Some((last, count)) if *last == seen => *count += 1,
            _ => self.seen.push((seen, 1)),
        }
        self.changes.extend(change);
    }
}

/// Asks for the changes after a cursor.
#[derive(Debug, Clone)]
pub struct Read {
    /// Where the consumer stands; `None` for one that knows nothing.
    pub cursor: Option<Cursor>,
    /// Only what was told at or after this time, for a consumer without a cursor.
    pub since: Option<Timestamp>,
    /// What it wants to hear of.
    pub filter: Arc<Filter>,
    /// How many changes at most.
    pub limit: usize,
}

impl Message for Read {
    type Result = Page;
}

/// Asks who has an address.
#[derive(Debug, Clone, Copy)]
pub struct Look(pub Address);

impl Message for Look {
    type Result = Option<Arc<Session>>;
}

/// Asks for the sessions that are wanted, a bounded number looked at with each asking.
pub struct Search {
    /// Go on after this position.
    pub after: Revision,
    /// At most so many.
    pub limit: usize,
    /// Which ones.
    pub wanted: Arc<dyn Fn(&Session) -> bool + Send + Sync>,
}

impl Message for Search {
    type Result = Found;
}

/// Asks for the cursor of a consumer that knows everything.
#[derive(Debug, Clone, Copy)]
pub struct Newest;

impl Message for Newest {
    type Result = Cursor;
}

/// Asks for the cursor from which everything that is remembered to have ended can still be read.
#[derive(Debug, Clone, Copy)]
pub struct Oldest;

impl Message for Oldest {
    type Result = Cursor;
}

/// Asks for all that is known, for the cache of this term, which takes over from it.
#[derive(Debug)]
pub(crate) struct Snapshot(pub u64);

impl Message for Snapshot {
    type Result = Estate;
}

/// What others see of the query actor without asking it.
#[derive(Clone)]
pub(crate) struct Front {
    /// How far it knows.
    pub newest: watch::Sender<Revision>,
    /// Its log, once it answers.
    pub window: Window,
}

/// The role.
pub struct Query {
    term: Term,
    log: Log,
    limits: Limits,
    cache: Mailbox<Cache>,
    front: Front,
    clock: Clock,
}

impl Query {
    /// A query actor that begins with what `cache` holds, if a cache ever held anything. It tells
    /// `front` how far it knows, and shows its log there.
    pub(crate) fn new(
        term: Term,
        limits: Limits,
        cache: Mailbox<Cache>,
        front: Front,
        clock: Clock,
    ) -> Self {
        // What a predecessor knew is not enough any more.
        front.window.show(term.number(), None);
        let log = Arc::new(RwLock::new(Answerer::new(term.epoch(), limits)));
        Self { term, log, limits, cache, front, clock }
    }

    fn take_over(&mut self, Estate { term, handover }: Estate) -> Result<(), Vacant> {
        self.term.succeed(term)?;
        LogRestored { sessions: handover.standing.len() }.emit();
        self.begin_with(term, handover);
        Ok(())
    }

    /// Answers from now on, out of what the cache of the term `decider` knows.
    fn begin_with(&mut self, decider: u64, known: Handover) {
        let answerer = Answerer::succeed((self.term.epoch(), self.limits), decider, known);
        let newest = answerer.log().newest();
        *self.write() = answerer;
        self.front.newest.send_replace(newest);
        self.front.window.show(self.term.number(), Some(&self.log));
    }

    fn read(&self) -> RwLockReadGuard<'_, Answerer> {
        // Only this actor writes, and after a panic it handles nothing more.
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Answerer> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Role for Query {
    const KIND: &'static str = "query";
    const STAGE: Stage = Stage::Answering;
    const CAPACITY: usize = 1024;

    fn started(&mut self, desk: &mut Desk<Self>) {
        match self.term.begin(self.clock.now()) {
            Beginning::Successor => {}
            Beginning::First(legacy) => return self.begin_with(0, legacy.handover),
            Beginning::Anew => return,
        }
        let cache = self.cache.clone();
        let estate = async move { estate(&cache, Recount).await };
        // No answer before it holds what its predecessor held: an empty one would end sessions.
        desk.wait(wrap_future::<_, Seat<Self>>(estate).map(|estate, seat, desk| {
            if let Err(vacant) = estate.and_then(|estate| seat.role().take_over(estate)) {
                seat.fail(vacant, desk);
            }
        }));
    }
}

impl Receive<Changed> for Query {
    fn receive(&mut self, changed: Changed, _: &mut Desk<Self>) -> Reply<()> {
        let now = self.clock.now();
        let mut answerer = self.write();
        if !answerer.show(changed.term, &changed.changes, now) {
            return Reply::Now(());
        }
        let newest = answerer.log().newest();
        drop(answerer);
        for (seen, count) in changed.seen {
            Visible { delay: now.since(seen), count }.emit();
        }
        if !changed.changes.is_empty() {
            self.front.newest.send_replace(newest);
        }
        Reply::Now(())
    }
}

impl Receive<Read> for Query {
    fn receive(&mut self, read: Read, _: &mut Desk<Self>) -> Reply<Page> {
        let Read { cursor, since, filter, limit } = read;
        let now = self.clock.now();
        Reply::Now(self.read().log().read(&Request { cursor, since, filter: &filter, limit, now }))
    }
}

impl Receive<Look> for Query {
    fn receive(&mut self, Look(address): Look, _: &mut Desk<Self>) -> Reply<Option<Arc<Session>>> {
        Reply::Now(self.read().log().get(address, self.clock.now()).map(Arc::clone))
    }
}

impl Receive<Search> for Query {
    fn receive(&mut self, search: Search, _: &mut Desk<Self>) -> Reply<Found> {
        let Search { after, limit, wanted } = search;
        Reply::Now(
            self.read().log().find(after, limit, self.clock.now(), |session| wanted(session)),
        )
    }
}

impl Receive<Newest> for Query {
    fn receive(&mut self, _: Newest, _: &mut Desk<Self>) -> Reply<Cursor> {
        let answerer = self.read();
        Reply::Now(Cursor::new(answerer.log().epoch(), answerer.log().newest()))
    }
}

impl Receive<Oldest> for Query {
    fn receive(&mut self, _: Oldest, _: &mut Desk<Self>) -> Reply<Cursor> {
        let answerer = self.read();
        Reply::Now(Cursor::new(answerer.log().epoch(), answerer.log().oldest()))
    }
}

impl Receive<Snapshot> for Query {
    fn receive(&mut self, Snapshot(cache): Snapshot, _: &mut Desk<Self>) -> Reply<Estate> {
        self.write().heed(cache);
        // Whoever looks an address up does not wait for a million sessions to be told.
        let handover = self.read().hand_over();
        Reply::Now(Estate { term: self.term.number(), handover })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_waited_since_it_was_received_itself() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_400));
        let mut changed = Changed::by(1, 4);
        for seen in [early, early, late, early] {
            changed.note(seen, None);
        }
        assert_eq!(changed.seen, [(early, 2), (late, 1), (early, 1)]);
    }
}
