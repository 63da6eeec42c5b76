//! Reading a domain: whole at first, then what changed, interval by interval.

mod deletion_scan;
mod paged_search;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rollcall_config::ChangeTracking;
use rollcall_identity::directory::{DirectorySnapshot, DomainNames, Guid, Update};
use rollcall_wire::active_directory as wire;
use tokio::sync::Notify;

use self::deletion_scan::DeletionScan;
pub(super) use self::paged_search::PagedSearch;
use self::paged_search::{Below, Present};
use super::connection::LdapConnection;
use super::position::{FullResyncReason, Mark, Position};
use super::status::{DirectoryState, LastSync};
use super::{ActiveDirectory, DirectoryError, DirectoryUpdate, change_notification, servers};
use crate::active_directory::telemetry::{
    DirectoryConnected, DirectoryFailed, DirectoryFullResync, DirectoryRead, ObjectUnreadable,
    ReadWay,
};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long it gathers after a notification: changes rarely come alone.
const GATHERING: Duration = Duration::from_millis(250);

/// Reads one directory for as long as its actor lives.
pub(super) struct Reader {
    directory: Arc<ActiveDirectory>,
    producer: String,
    /// How far it is, or was when Rollcall stopped; `None` when it was never read.
    position: Option<Position>,
    /// Whether the next start knows so, too.
    is_kept: bool,
    /// When everything was read the last time.
    compared: Option<Instant>,
    /// What was below each base then.
    below: Vec<Below>,
    /// Who is there; `None` where deletions are told.
    census: Option<DeletionScan>,
    /// The server that let us in and then gave nothing: the others are tried before it.
    doubtful: Option<String>,
}

/// A server that answers, and what its domain is called.
struct Visit {
    connection: LdapConnection,
    names: DomainNames,
    invocation: Guid,
}

impl Reader {
    /// Reads `directory` from the beginning, for the actor `producer`.
    pub(super) fn new(directory: Arc<ActiveDirectory>, producer: String) -> Self {
        let (position, compared, below, census, doubtful) = (None, None, Vec::new(), None, None);
        let is_kept = false;
        Self { directory, producer, position, is_kept, compared, below, census, doubtful }
    }

    /// Reads until it fails: why, and whether anything was read before.
    pub(super) async fn follow(&mut self) -> (DirectoryError, bool) {
        let (directory, producer) = (Arc::clone(&self.directory), self.producer.clone());
        let (bell, mut lasted) = (Notify::new(), false);
        let failed = tokio::select! {
            failed = self.read_on(&bell, &mut lasted) => failed,
            never = change_notification::watch(&directory, &producer, &bell) => match never {},
        };
        match failed {
            Ok(never) => match never {},
            Err(failure) => (failure, lasted),
        }
    }

    /// Says that it failed.
    pub(super) fn failed(&self, failure: &DirectoryError) {
        let now = self.directory.clock.now();
        self.directory.board.write(|status| {
            status.enter(DirectoryState::Failing, now);
            status.error = Some(failure.to_string());
        });
        DirectoryFailed { producer: &self.producer, why: failure }.emit();
    }

    async fn read_on(
        &mut self,
        bell: &Notify,
        lasted: &mut bool,
    ) -> Result<Infallible, DirectoryError> {
        let directory = Arc::clone(&self.directory);
        let (settings, tls) = (&directory.settings, &directory.tls);
        if self.compared.is_none() {
            let kept = directory.learner.recall().await?;
            self.position = kept.and_then(|place| Position::from_bytes(&place));
        }
        let doubtful = self.doubtful.take();
        let connection = servers::first(settings, tls, usize::MAX, doubtful.as_deref()).await?;
        // Until it has given something.
        self.doubtful = Some(connection.server.host.clone());
        let mut visit = self.arrive(connection).await?;
        let mut arrived = Clock::instant();
        loop {
            match self.why_anew(&visit) {
                Ok(mark) => self.read_changes(&mut visit, mark).await?,
                Err(why) => {
                    DirectoryFullResync { producer: &self.producer, why }.emit();
                    self.read_whole(&mut visit).await?;
                }
            }
            (*lasted, self.doubtful) = (true, None);
            tokio::select! {
                () = tokio::time::sleep(settings.interval) => {}
                () = bell.notified() => tokio::time::sleep(GATHERING).await,
            }
            let rank = visit.connection.server.rank;
            if rank > 0 && arrived.elapsed() >= settings.limits.back {
                arrived = Clock::instant();
                if let Ok(better) = servers::first(settings, tls, rank, None).await
                    && let Ok(better) = self.arrive(better).await
                {
                    self.doubtful = Some(better.connection.server.host.clone());
                    let left = std::mem::replace(&mut visit, better);
                    left.connection.close().await;
                    continue;
                }
            }
            visit.connection.ask_root().await?;
        }
    }

    /// From where what changed is read, or why everything is.
    fn why_anew(&self, visit: &Visit) -> Result<Mark, FullResyncReason> {
        let position = self.position.as_ref().ok_or(FullResyncReason::First)?;
        if let Some(why) = position.breaks(&visit.connection.root, visit.invocation) {
            return Err(why);
        }
        let compared = self.compared.ok_or(FullResyncReason::Start)?;
        let is_due = compared.elapsed() >= self.directory.settings.limits.compare;
        if is_due { Err(FullResyncReason::Due) } else { Ok(position.mark.clone()) }
    }

    /// Notes how far it was read, for the next start, too.
    async fn reach(&mut self, names: &DomainNames, position: Position) {
        if self.is_kept && self.position.as_ref() == Some(&position) {
            return;
        }
        // What the journal does not take now it is given again at the next interval.
        self.is_kept = self.directory.learner.keep(names, position.to_bytes()).await.is_ok();
        self.position = Some(position);
    }

    /// Hears from a server that let the account in what its domain is called.
    async fn arrive(&self, mut connection: LdapConnection) -> Result<Visit, DirectoryError> {
        let now = self.directory.clock.now();
        let (names, invocation) = identify(&mut connection).await?;
        DirectoryConnected { producer: &self.producer, server: &connection.server }.emit();
        self.directory.board.write(|status| {
            status.server = Some(connection.server.to_string());
            status.domain = Some(names.clone());
            status.skew = connection.root.clock.map(|clock| seconds_ahead(clock, now));
        });
        Ok(Visit { connection, names, invocation })
    }

    /// Reads everything, and has it compared with what is known.
    async fn read_whole(&mut self, visit: &mut Visit) -> Result<(), DirectoryError> {
        let directory = Arc::clone(&self.directory);
        let settings = &directory.settings;
        directory.board.write(|status| {
            status.enter(DirectoryState::Reading, directory.clock.now());
            status.problems.clear();
        });
        let mut pass = PagedSearch::new(settings);
        let Visit { connection, names, invocation } = visit;
        // Where the changes begin is asked for before the first object: nothing falls between.
        connection.ask_root().await?;
        let mark = match settings.changes {
            ChangeTracking::Usn => Mark::Usn(connection.root.committed),
            ChangeTracking::DirSync => Mark::Cookie(pass.skip(connection).await?),
        };
        let (mut image, mut present, places) =
            (DirectorySnapshot::default(), Present::default(), settings.places());
        for base in &places {
            let everything = wire::all_objects(base, mail(settings));
            let note = |update| {
                if let Update::Upsert { guid, .. } = &update {
                    present.note(*guid);
                }
                match update {
                    // A second copy of everybody would be as large as the first.
                    Update::Upsert { guid, .. } if directory.learner.knows(names, &update) => {
                        image.keep(guid);
                    }
                    update => image.add(update),
                }
            };
            pass.pages(connection, &everything, &[], note).await?;
            for guid in pass.unread.drain(..) {
                present.note(guid);
                image.keep(guid);
            }
            present.end_of_base();
        }
        for (group, added) in pass.rest_of_groups(connection).await? {
            image.add(Update::MembersChanged { group, added, removed: Vec::new() });
        }
        pass.believe(connection, &present, (&places[..], &self.below[..])).await?;
        let below = present.below.clone();
        // What was read took longer than counting will: the first one finds out.
        self.census = DeletionScan::begin(connection, present, Duration::ZERO).await?;
        let position = Position::new(&connection.root, *invocation, mark);
        let learnt = DirectoryUpdate::Whole(Box::new(image));
        directory.learner.learn(names, learnt).await?;
        self.reach(names, position).await;
        (self.below, self.compared) = (below, Some(Clock::instant()));
        self.tell(ReadWay::Whole, &pass, connection.take_searches());
        Ok(())
    }

    /// Reads what changed since `mark`.
    async fn read_changes(&mut self, visit: &mut Visit, mark: Mark) -> Result<(), DirectoryError> {
        let directory = Arc::clone(&self.directory);
        let mut pass = PagedSearch::new(&directory.settings);
        let connection = &mut visit.connection;
        if let Some(census) = &mut self.census {
            census.reached(connection.root.committed);
        }
        let (mut updates, next) = match mark {
            // One search has said that nothing changed.
            Mark::Usn(usn) if usn == connection.root.committed => (Vec::new(), Mark::Usn(usn)),
            Mark::Usn(usn) => {
                let next = Mark::Usn(connection.root.committed);
                (pass.changed_since(connection, usn).await?, next)
            }
            Mark::Cookie(cookie) => {
                let (updates, cookie) = pass.synchronized(connection, cookie).await?;
                (updates, Mark::Cookie(cookie))
            }
        };
        let mut doubt = None;
        if let Some(census) = &mut self.census {
            census.note(&updates);
            let settings = &directory.settings;
            let terms = (&settings.places()[..], settings.interval);
            match census.gone(connection, &mut pass, terms).await {
                Ok(gone) => updates.extend(gone),
                // Whoever is still seen is heard all the same.
                Err(why @ DirectoryError::Nothing(_)) => doubt = Some(why),
                Err(why) => return Err(why),
            }
        }
        directory.learner.learn(&visit.names, DirectoryUpdate::Changes(updates)).await?;
        let position = Position::new(&connection.root, visit.invocation, next);
        self.reach(&visit.names, position).await;
        if let Some(why) = doubt {
            self.failed(&why);
            return Ok(());
        }
        self.tell(ReadWay::Changes, &pass, visit.connection.take_searches());
        Ok(())
    }

    /// Says what a reading brought.
    fn tell(&self, way: ReadWay, pass: &PagedSearch<'_>, searches: u64) {
        let producer = self.producer.as_str();
        let now = self.directory.clock.now();
        let took = pass.began.elapsed();
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let read = LastSync { at: now, objects: pass.objects, millis };
        for (problem, count) in &pass.problems {
            ObjectUnreadable { producer, problem: *problem, count: *count }.emit();
        }
        DirectoryRead { producer, way, objects: pass.objects, searches, took, at: now }.emit();
        self.directory.board.write(|status| {
            status.enter(DirectoryState::Current, now);
            status.error = None;
            match way {
                ReadWay::Whole => status.whole = Some(read),
                ReadWay::Changes => status.changes = Some(read),
            }
            for (problem, count) in &pass.problems {
                *status.problems.entry(*problem).or_default() += count;
            }
        });
    }
}

/// Whether mail addresses are wanted.
fn mail(settings: &rollcall_config::ActiveDirectory) -> wire::MailAttribute {
    if settings.mail { wire::MailAttribute::Read } else { wire::MailAttribute::Skip }
}

/// By how many seconds `theirs` is ahead of `ours`.
pub(super) fn seconds_ahead(
    theirs: rollcall_identity::Timestamp,
    ours: rollcall_identity::Timestamp,
) -> i64 {
    (theirs.millis() - ours.millis()) / 1000
}

/// What the domain of a server is called, and which life of the server this is.
pub(super) async fn identify(
    connection: &mut LdapConnection,
) -> Result<(DomainNames, Guid), DirectoryError> {
    let root = connection.root.clone();
    let (mut sid, mut invocation, mut naming) = (None, None, None);
    connection
        .search(&wire::sid_of(&root.domain), &[], |entry| {
            sid = wire::domain_sid(entry);
            Ok(())
        })
        .await?;
    connection
        .search(&wire::invocation_of(&root.service), &[], |entry| {
            invocation = wire::invocation(entry);
            Ok(())
        })
        .await?;
    connection
        .search(&wire::partitions(&root.configuration), &[], |entry| {
            let found = wire::cross_ref(entry);
            naming = naming.take().or(found.filter(|n| n.dn.eq_ignore_ascii_case(&root.domain)));
            Ok(())
        })
        .await?;
    let sid = sid.ok_or(wire::RootDseError("objectSid"))?;
    let invocation = invocation.ok_or(wire::RootDseError("invocationId"))?;
    let naming = naming.ok_or(wire::RootDseError("crossRef"))?;
    Ok((naming.with(&sid), invocation))
}
