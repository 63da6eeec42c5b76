//! Synchronization of a domain: a full read at first, then a poll for changes in every interval.

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
use super::position::{ChangeMarker, FullResyncReason, Position};
use super::status::{DirectoryState, LastSync};
use super::{ActiveDirectory, DirectoryError, DirectoryUpdate, change_notification};
use crate::active_directory::telemetry::{
    DirectoryConnected, DirectoryFailed, DirectoryFullResync, DirectoryRead, ObjectUnreadable,
    SyncKind,
};
use crate::remote::RemoteReader;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The delay between a notification and the poll, because changes rarely come alone.
const NOTIFICATION_DELAY: Duration = Duration::from_millis(250);

/// Reads one directory as long as its actor lives.
pub(super) struct DirectoryReader {
    directory: Arc<ActiveDirectory>,
    producer: String,
    /// The read position, or the stored one after a start; `None` before the first full read.
    position: Option<Position>,
    /// Whether the position is stored.
    is_stored: bool,
    /// The time of the last full synchronization.
    last_full_sync: Option<Instant>,
    /// The objects below each base at that time.
    below: Vec<Below>,
    /// Detects deletions; `None` if the server reports them.
    deletion_scan: Option<DeletionScan>,
    /// The controller that authenticated the account and has not delivered data since. It is tried
    /// last.
    suspect: Option<String>,
    /// Whether the last connection completed a synchronization.
    has_synchronized: bool,
}

/// A connection to a controller whose domain is known.
struct Session {
    connection: LdapConnection,
    names: DomainNames,
    invocation: Guid,
}

impl RemoteReader for DirectoryReader {
    type Error = DirectoryError;

    async fn read(&mut self) -> DirectoryError {
        self.has_synchronized = false;
        let (directory, producer) = (Arc::clone(&self.directory), self.producer.clone());
        let wakeup = Notify::new();
        let failed = tokio::select! {
            failed = self.try_read(&wakeup) => failed,
            never = change_notification::watch(&directory, &producer, &wakeup) => match never {},
        };
        match failed {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    fn has_progressed(&self) -> bool {
        self.has_synchronized
    }

    fn failed(&mut self, failure: &DirectoryError) {
        self.report_failure(failure);
    }
}

impl DirectoryReader {
    /// Reads `directory` for the actor `producer`.
    pub(super) fn new(directory: Arc<ActiveDirectory>, producer: String) -> Self {
        let (position, last_full_sync, deletion_scan) = (None, None, None);
        let (below, suspect) = (Vec::new(), None);
        let (is_stored, has_synchronized) = (false, false);
        Self {
            directory,
            producer,
            position,
            is_stored,
            last_full_sync,
            below,
            deletion_scan,
            suspect,
            has_synchronized,
        }
    }

    fn report_failure(&self, failure: &DirectoryError) {
        let now = self.directory.clock.now();
        let state = match failure.is_credentials_refused() {
            true => DirectoryState::CredentialsRefused,
            false => DirectoryState::Failing,
        };
        self.directory.status.write(|status| {
            status.enter(state, now);
            status.error = Some(failure.to_string());
        });
        DirectoryFailed { producer: &self.producer, why: failure }.emit();
    }

    async fn try_read(&mut self, wakeup: &Notify) -> Result<Infallible, DirectoryError> {
        let directory = Arc::clone(&self.directory);
        let controllers = &directory.controllers;
        let settings = &controllers.settings;
        if self.last_full_sync.is_none() {
            let stored = directory.sink.load_position().await?;
            self.position = stored.and_then(|position| Position::from_bytes(&position));
        }
        let suspect = self.suspect.take();
        let connection = controllers.connect_before(usize::MAX, suspect.as_deref()).await?;
        // Until the controller has delivered data.
        self.suspect = Some(connection.server.host.clone());
        let mut session = self.identify(connection).await?;
        let mut last_failback = Clock::instant();
        loop {
            match self.resync_reason(&session) {
                Ok(mark) => self.read_changes(&mut session, mark).await?,
                Err(why) => {
                    DirectoryFullResync { producer: &self.producer, why }.emit();
                    self.read_everything(&mut session).await?;
                }
            }
            (self.has_synchronized, self.suspect) = (true, None);
            tokio::select! {
                () = tokio::time::sleep(settings.poll_interval) => {}
                () = wakeup.notified() => tokio::time::sleep(NOTIFICATION_DELAY).await,
            }
            let rank = session.connection.server.rank;
            if rank > 0 && last_failback.elapsed() >= settings.limits.failback_interval {
                last_failback = Clock::instant();
                if let Ok(preferred) = controllers.connect_before(rank, None).await
                    && let Ok(preferred) = self.identify(preferred).await
                {
                    self.suspect = Some(preferred.connection.server.host.clone());
                    let previous = std::mem::replace(&mut session, preferred);
                    previous.connection.close().await;
                    continue;
                }
            }
            session.connection.refresh_root().await?;
        }
    }

    /// The mark from which changes are read, or why a full synchronization is necessary.
    fn resync_reason(&self, session: &Session) -> Result<ChangeMarker, FullResyncReason> {
        let position = self.position.as_ref().ok_or(FullResyncReason::First)?;
        if let Some(why) = position.resync_reason(&session.connection.root, session.invocation) {
            return Err(why);
        }
        let last = self.last_full_sync.ok_or(FullResyncReason::Start)?;
        let is_due =
            last.elapsed() >= self.directory.controllers.settings.limits.full_sync_interval;
        if is_due { Err(FullResyncReason::Due) } else { Ok(position.mark.clone()) }
    }

    /// Sets the read position and stores it for the next start.
    async fn advance(&mut self, names: &DomainNames, position: Position) {
        if self.is_stored && self.position.as_ref() == Some(&position) {
            return;
        }
        // A position that the journal does not accept is stored after the next interval.
        self.is_stored =
            self.directory.sink.store_position(names, position.to_bytes()).await.is_ok();
        self.position = Some(position);
    }

    /// Reads the names of the domain of a connected controller.
    async fn identify(&self, mut connection: LdapConnection) -> Result<Session, DirectoryError> {
        let now = self.directory.clock.now();
        let (names, invocation) = identify(&mut connection).await?;
        DirectoryConnected { producer: &self.producer, server: &connection.server }.emit();
        self.directory.status.write(|status| {
            status.server = Some(connection.server.to_string());
            status.domain = Some(names.clone());
            status.skew = connection.root.clock.map(|clock| seconds_ahead(clock, now));
        });
        Ok(Session { connection, names, invocation })
    }

    /// Reads all objects and replaces what is known of the domain.
    async fn read_everything(&mut self, session: &mut Session) -> Result<(), DirectoryError> {
        let directory = Arc::clone(&self.directory);
        let settings = &directory.controllers.settings;
        directory.status.write(|status| {
            status.enter(DirectoryState::Reading, directory.clock.now());
            status.problems.clear();
        });
        let mut pass = PagedSearch::new(settings);
        let Session { connection, names, invocation } = session;
        // The mark is read before the first object, so that no change is lost in between.
        connection.refresh_root().await?;
        let mark = match settings.change_tracking {
            ChangeTracking::Usn => ChangeMarker::Usn(connection.root.committed),
            ChangeTracking::DirSync => {
                ChangeMarker::Cookie(pass.initial_dirsync_cookie(connection).await?)
            }
        };
        let (mut image, mut present, bases) =
            (DirectorySnapshot::default(), Present::default(), settings.effective_search_bases());
        for base in &bases {
            let everything = wire::all_objects(base, mail(settings));
            let note = |update| {
                if let Update::Upsert { guid, .. } = &update {
                    present.note(*guid);
                }
                match update {
                    // A second copy of all objects would double the memory.
                    Update::Upsert { guid, .. } if directory.sink.is_current(names, &update) => {
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
        for (group, added) in pass.remaining_members(connection).await? {
            image.add(Update::MembersChanged { group, added, removed: Vec::new() });
        }
        pass.verify_absences(connection, &present, (&bases[..], &self.below[..])).await?;
        let below = present.below.clone();
        // The full read took longer than a scan will. The first scan measures its own duration.
        self.deletion_scan = DeletionScan::begin(connection, present, Duration::ZERO).await?;
        let position = Position::new(&connection.root, *invocation, mark);
        let update = DirectoryUpdate::Full(Box::new(image));
        directory.sink.apply_update(names, update).await?;
        self.advance(names, position).await;
        (self.below, self.last_full_sync) = (below, Some(Clock::instant()));
        self.report(SyncKind::Full, &pass, connection.take_searches());
        Ok(())
    }

    /// Reads the changes since `mark`.
    async fn read_changes(
        &mut self,
        session: &mut Session,
        mark: ChangeMarker,
    ) -> Result<(), DirectoryError> {
        let directory = Arc::clone(&self.directory);
        let settings = &directory.controllers.settings;
        let mut pass = PagedSearch::new(settings);
        let connection = &mut session.connection;
        if let Some(scan) = &mut self.deletion_scan {
            scan.note_committed_usn(connection.root.committed);
        }
        let (mut updates, next) = match mark {
            // The root DSE shows that nothing has changed.
            ChangeMarker::Usn(usn) if usn == connection.root.committed => {
                (Vec::new(), ChangeMarker::Usn(usn))
            }
            ChangeMarker::Usn(usn) => {
                let next = ChangeMarker::Usn(connection.root.committed);
                (pass.changed_since(connection, usn).await?, next)
            }
            ChangeMarker::Cookie(cookie) => {
                let (updates, cookie) = pass.dirsync_changes(connection, cookie).await?;
                (updates, ChangeMarker::Cookie(cookie))
            }
        };
        let mut empty_base = None;
        if let Some(scan) = &mut self.deletion_scan {
            scan.note(&updates);
            let bases = (&settings.effective_search_bases()[..], settings.poll_interval);
            match scan.scan_if_due(connection, &mut pass, bases).await {
                Ok(gone) => updates.extend(gone),
                // The changes of the other bases are applied.
                Err(why @ DirectoryError::Nothing(_)) => empty_base = Some(why),
                Err(why) => return Err(why),
            }
        }
        directory.sink.apply_update(&session.names, DirectoryUpdate::Changes(updates)).await?;
        let position = Position::new(&connection.root, session.invocation, next);
        self.advance(&session.names, position).await;
        if let Some(why) = empty_base {
            self.report_failure(&why);
            return Ok(());
        }
        self.report(SyncKind::Changes, &pass, session.connection.take_searches());
        Ok(())
    }

    /// Reports a completed synchronization.
    fn report(&self, way: SyncKind, pass: &PagedSearch<'_>, searches: u64) {
        let producer = self.producer.as_str();
        let now = self.directory.clock.now();
        let took = pass.began.elapsed();
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let read = LastSync { at: now, objects: pass.objects, millis };
        for (problem, count) in &pass.problems {
            ObjectUnreadable { producer, problem: *problem, count: *count }.emit();
        }
        DirectoryRead { producer, way, objects: pass.objects, searches, took, at: now }.emit();
        self.directory.status.write(|status| {
            status.enter(DirectoryState::Current, now);
            status.error = None;
            match way {
                SyncKind::Full => status.last_full_sync = Some(read),
                SyncKind::Changes => status.last_poll = Some(read),
            }
            for (problem, count) in &pass.problems {
                *status.problems.entry(*problem).or_default() += count;
            }
        });
    }
}

/// Whether mail addresses are read.
fn mail(settings: &rollcall_config::ActiveDirectory) -> wire::MailAttribute {
    if settings.mail { wire::MailAttribute::Read } else { wire::MailAttribute::Skip }
}

/// The seconds by which `theirs` is ahead of `ours`.
pub(super) fn seconds_ahead(
    theirs: rollcall_identity::Timestamp,
    ours: rollcall_identity::Timestamp,
) -> i64 {
    (theirs.millis() - ours.millis()) / 1000
}

/// The names of the domain of a controller, and the invocation ID of the controller.
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
