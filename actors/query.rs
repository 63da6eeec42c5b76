//! The query actor: holds the compacted log of changes and answers everyone who asks from it: SRX
//! firewalls, REST, the live stream.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_identity::{
    Address, Change, ChangeLog, Cursor, Filter, Found, Limits, Page, Request, Revision, Session,
    Timestamp,
};
use tokio::sync::watch;

use crate::cache::{Cache, Recount};
use crate::clock::Clock;
use crate::happenings::{Happening, LogRestored, NothingToRestore, Visible};
use crate::mailbox::{Desk, Mailbox, Receive, Reply, Role, Seat};
use crate::meter::Stage;

/// What became true with one commit, in order.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    changes: Vec<Change>,
    events: usize,
    oldest: Option<Timestamp>,
}

impl Message for Changed {
    type Result = ();
}

impl Changed {
    /// Notes what became of an event that was received at `seen`.
    pub(crate) fn note(&mut self, seen: Timestamp, change: Option<Change>) {
        self.events += 1;
        self.oldest = Some(self.oldest.map_or(seen, |oldest| oldest.min(seen)));
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

/// Asks for all sessions that are alive, for a cache that is being replaced.
#[derive(Debug)]
pub(crate) struct Snapshot;

impl Message for Snapshot {
    type Result = Vec<Arc<Session>>;
}

/// How long a new query actor or cache waits for what the other holds. The other answers within
/// milliseconds, or is being replaced itself and waits for this one.
pub(crate) const TAKE_OVER: Duration = Duration::from_secs(2);

/// The role.
pub struct Query {
    log: ChangeLog,
    limits: Limits,
    cache: Mailbox<Cache>,
    newest: watch::Sender<Revision>,
    clock: Clock,
}

impl Query {
    /// A query actor that begins with what `cache` holds, if a cache is there already. It tells
    /// `newest` how far it knows.
    pub fn new(
        epoch: u64,
        limits: Limits,
        cache: Mailbox<Cache>,
        newest: watch::Sender<Revision>,
        clock: Clock,
    ) -> Self {
        Self { log: ChangeLog::new(epoch, limits), limits, cache, newest, clock }
    }
}

impl Role for Query {
    const KIND: &'static str = "query";
    const STAGE: Stage = Stage::Answering;
    const CAPACITY: usize = 1024;

    fn started(&mut self, desk: &mut Desk<Self>) {
        // At a first start nobody is behind the cache's mailbox, and there is nothing to take over.
        let Ok(recount) = self.cache.post(Recount) else { return };
        let recount = wrap_future::<_, Seat<Self>>(tokio::time::timeout(TAKE_OVER, recount));
        // No answer before it holds what its predecessor held: an empty one would end sessions.
        desk.wait(recount.map(|counted, seat, _| {
            let query = seat.role();
            let Ok(Ok((newest, sessions))) = counted else {
                return NothingToRestore { actor: "query" }.emit();
            };
            LogRestored { sessions: sessions.len() }.emit();
            query.log = ChangeLog::restore(query.log.epoch(), query.limits, newest, sessions);
            query.newest.send_replace(newest);
        }));
    }
}

impl Receive<Changed> for Query {
    fn receive(&mut self, changed: Changed, _: &mut Desk<Self>) -> Reply<()> {
        let now = self.clock.now();
        for change in &changed.changes {
            self.log.apply(change, now);
        }
        if let Some(oldest) = changed.oldest {
            Visible { delay: now.since(oldest), count: changed.events }.emit();
        }
        if !changed.changes.is_empty() {
            self.newest.send_replace(self.log.newest());
        }
        Reply::Now(())
    }
}

impl Receive<Read> for Query {
    fn receive(&mut self, read: Read, _: &mut Desk<Self>) -> Reply<Page> {
        let Read { cursor, since, filter, limit } = read;
        let now = self.clock.now();
        Reply::Now(self.log.read(&Request { cursor, since, filter: &filter, limit, now }))
    }
}

impl Receive<Look> for Query {
    fn receive(&mut self, Look(address): Look, _: &mut Desk<Self>) -> Reply<Option<Arc<Session>>> {
        Reply::Now(self.log.get(address, self.clock.now()).map(Arc::clone))
    }
}

impl Receive<Search> for Query {
    fn receive(&mut self, search: Search, _: &mut Desk<Self>) -> Reply<Found> {
        let Search { after, limit, wanted } = search;
        Reply::Now(self.log.find(after, limit, self.clock.now(), |session| wanted(session)))
    }
}

impl Receive<Newest> for Query {
    fn receive(&mut self, _: Newest, _: &mut Desk<Self>) -> Reply<Cursor> {
        Reply::Now(Cursor::new(self.log.epoch(), self.log.newest()))
    }
}

impl Receive<Oldest> for Query {
    fn receive(&mut self, _: Oldest, _: &mut Desk<Self>) -> Reply<Cursor> {
        Reply::Now(Cursor::new(self.log.epoch(), self.log.oldest()))
    }
}

impl Receive<Snapshot> for Query {
    fn receive(&mut self, _: Snapshot, _: &mut Desk<Self>) -> Reply<Vec<Arc<Session>>> {
        let (now, mut everything) = (self.clock.now(), Vec::with_capacity(self.log.len()));
        let mut after = Some(Revision(0));
        while let Some(from) = after {
            let found = self.log.find(from, usize::MAX, now, |_| true);
            everything.extend(found.sessions);
            after = found.next;
        }
        Reply::Now(everything)
    }
}
