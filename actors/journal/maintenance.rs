//! The keeper: a thread that writes snapshots, seals segments and throws away what has had its time,
//! while the journal goes on.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use rollcall_identity::{CheckpointSink, Revision, TableSnapshot, Timestamp};

use super::corruption::Corruption;
use super::event_reader::SegmentTitle;
use super::file_header::FileHeader;
use super::layout::{JournalLayout, LayoutListing, name_of};
use super::manifest::{Manifest, Sealed};
use super::options::JournalOptions;
use super::{file, name_erasure, sealing, snapshot};
use crate::telemetry::{
    FileCorrupt, MaintenanceFailed, MaintenanceTask, NamesErased, SegmentSealed, SnapshotWritten,
};
use rollcall_runtime::telemetry::TelemetryEvent;
use rollcall_runtime::thread_priority::lower_priority;

/// How much may wait for it: one of each job, and the last snapshot of all.
const WAITING: usize = 3;

/// How many snapshots are kept: the newest, and one before it in case that is damaged.
const SNAPSHOTS: usize = 2;

/// From how many segments names are taken out at once: each takes some seconds, and the next snapshot
/// waits meanwhile.
const AT_ONCE: usize = 8;

/// By how much the keeper gives way to whoever answers or commits: a snapshot of a million sessions takes
/// seconds of a core, and no answer waits for it.
const YIELDING: i32 = 5;

enum Job {
    Snapshot { stamp: FileHeader, handover: TableSnapshot, _turn: Turn },
    Tidy { open: Revision, now: Timestamp, _turn: Turn },
}

/// Held by whoever has, or is, a job of one kind: there is one at a time. A snapshot is as large as the
/// table, and while one is written the next would wait in memory.
type Turn = Arc<()>;

/// The way to the keeper.
pub(super) struct Maintenance {
    jobs: Option<Sender<Job>>,
    writing: Turn,
    tidying: Turn,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the thread.
    pub(super) fn start(folder: JournalLayout, terms: JournalOptions) -> io::Result<Self> {
        let (jobs, inbox) = bounded(WAITING);
        let keeping = Keeping { folder, terms };
        let thread = std::thread::Builder::new().name("journal-keeper".to_owned());
        let keep = move || {
            lower_priority(YIELDING);
            keeping.work(&inbox);
        };
        let thread = thread.spawn(keep)?;
        let (writing, tidying) = (Turn::default(), Turn::default());
        Ok(Self { jobs: Some(jobs), writing, tidying, thread: Some(thread) })
    }

    /// Whether a table can be written down: none is, and none was asked for.
    pub(super) fn is_free(&self) -> bool {
        Arc::strong_count(&self.writing) == 1
    }

    /// What takes the table, to write it down as the state after `committed`: nothing that came
    /// before and is not in it will ever be.
    pub(super) fn survey(&self, stamp: FileHeader, committed: Revision) -> CheckpointSink {
        let (jobs, _turn) = (self.jobs.clone(), Arc::clone(&self.writing));
        Box::new(move |handover| {
            let newest = handover.newest.max(committed);
            let handover = TableSnapshot { newest, ..handover };
            if let Some(jobs) = jobs {
                // It has a place, or the thread is gone.
                let _ = jobs.try_send(Job::Snapshot { stamp, handover, _turn });
            }
        })
    }

    /// Seals what is not written any more, and throws away what has had its time. `open` is the
    /// segment that is written.
    pub(super) fn tidy(&self, open: Revision, now: Timestamp) {
        if let Some(jobs) = &self.jobs
            && Arc::strong_count(&self.tidying) == 1
        {
            let _ = jobs.try_send(Job::Tidy { open, now, _turn: Arc::clone(&self.tidying) });
        }
    }

    /// Ends it when it has done what it was told.
    pub(super) fn stop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }
}

/// The keeper at work.
struct Keeping {
    folder: JournalLayout,
    terms: JournalOptions,
}

impl Keeping {
    fn work(&self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let (chore, done) = match job {
                Job::Snapshot { stamp, handover, _turn } => {
                    (MaintenanceTask::Snapshot, self.write_down(stamp, &handover))
                }
                Job::Tidy { open, now, _turn } => (MaintenanceTask::Tidy, self.tidy(open, now)),
            };
            if let Err(error) = done {
                MaintenanceFailed { chore, error: &error }.emit();
            }
        }
    }

    fn write_down(&self, stamp: FileHeader, handover: &TableSnapshot) -> Result<(), Corruption> {
        // One of the same position may be there, of other rules or before something was lost.
        snapshot::write(&self.folder, stamp, handover)?;
        let (revision, sessions) = (handover.newest.0, handover.sessions.len());
        SnapshotWritten { revision, sessions }.emit();
        self.forget_snapshots(&self.folder.list()?)
    }

    fn tidy(&self, open: Revision, now: Timestamp) -> Result<(), Corruption> {
        let mut manifest = self.manifest(now)?;
        let before = manifest.clone();
        let listing = self.folder.list()?;
        for first in &listing.sealed {
            if manifest.find(*first).is_none() {
                manifest.enter(sealing::describe(&self.folder, *first)?);
            }
        }
        for first in listing.open.iter().filter(|first| **first < open) {
            if let Some(upto) = self.end_of(*first, &listing)? {
                manifest.enter(self.seal(*first, upto, now)?);
                manifest.save(&self.folder)?;
                self.folder.discard(&self.folder.open(*first))?;
            }
        }
        self.retain(&mut manifest, &listing, now)?;
        self.forget_names(&mut manifest, &listing, now)?;
        if manifest != before {
            manifest.save(&self.folder)?;
        }
        self.forget_snapshots(&self.folder.list()?)
    }

    /// The list; one that cannot be read is set aside and made anew from the files.
    fn manifest(&self, now: Timestamp) -> Result<Manifest, Corruption> {
        Manifest::load(&self.folder).or_else(|damage| {
            let path = self.folder.manifest();
            let aside = self.folder.set_aside(&path, now)?;
            let (file, aside) = (name_of(&path), name_of(&aside));
            FileCorrupt { file: &file, damage: &damage, aside: &aside }.emit();
            Ok(Manifest::default())
        })
    }

    /// Where the segment that begins at `first` ends, as the next one says; `None` while its own
    /// beginning is still on its way to be written down.
    fn end_of(
        &self,
        first: Revision,
        listing: &LayoutListing,
    ) -> Result<Option<Revision>, Corruption> {
        let title = |first: Revision| {
            let is_sealed = listing.sealed.contains(&first);
            let path = if is_sealed { self.folder.sealed(first) } else { self.folder.open(first) };
            SegmentTitle::of(&file::open(&path)?)
        };
        let after = title(first)?.after;
        let is_late = listing.snapshots.iter().next_back().is_some_and(|newest| *newest > after);
        if after > Revision(0) && !listing.snapshots.contains(&after) && !is_late {
            return Ok(None);
        }
        let mut all = listing.open.union(&listing.sealed);
        all.find(|other| **other > first)
            .map(|next| title(*next).map(|next| next.after))
            .transpose()
    }

    fn seal(&self, first: Revision, upto: Revision, now: Timestamp) -> Result<Sealed, Corruption> {
        let source = self.folder.open(first);
        let sealed = sealing::seal(&self.folder, first, upto)?;
        if sealed.lost > 0 {
            let aside = self.folder.set_aside(&source, now)?;
            let damage = Corruption::Missing(format!("{} events", sealed.lost));
            let (file, aside) = (name_of(&source), name_of(&aside));
            FileCorrupt { file: &file, damage: &damage, aside: &aside }.emit();
        }
        let Sealed { events, bytes, .. } = sealed;
        SegmentSealed { file: &sealed.file, events, bytes }.emit();
        Ok(sealed)
    }

    /// Throws away the oldest sealed segments that are too old, or too many bytes together. One
    /// that a start would still need stays.
    fn retain(
        &self,
        manifest: &mut Manifest,
        listing: &LayoutListing,
        now: Timestamp,
    ) -> Result<(), Corruption> {
        let newest = listing.snapshots.iter().next_back().copied().unwrap_or_default();
        let mut bytes: u64 = manifest.segments.iter().map(|sealed| sealed.bytes).sum();
        let mut gone = 0;
        for sealed in &manifest.segments {
            let is_old = now.since(sealed.until) > self.terms.retention;
            let is_much = bytes > self.terms.retention_bytes;
            if !(is_old || is_much) || sealed.last > newest {
                break;
            }
            self.folder.discard(&self.folder.sealed(sealed.first))?;
            bytes -= sealed.bytes;
            gone += 1;
        }
        manifest.segments.drain(..gone);
        Ok(())
    }

    /// Takes the names out of the sealed segments in which they have had their time. One that a start
    /// would still fold keeps them.
    fn forget_names(
        &self,
        manifest: &mut Manifest,
        listing: &LayoutListing,
        now: Timestamp,
    ) -> Result<(), Corruption> {
        let Some(retention) = self.terms.names_retention else { return Ok(()) };
        let newest = listing.snapshots.iter().next_back().copied().unwrap_or_default();
        let due = |sealed: &&mut Sealed| {
            !sealed.nameless && now.since(sealed.until) > retention && sealed.last <= newest
        };
        for sealed in manifest.segments.iter_mut().filter(due).take(AT_ONCE) {
            *sealed = name_erasure::forget(&self.folder, sealed)?;
            NamesErased { file: &sealed.file, events: sealed.events }.emit();
        }
        Ok(())
    }

    /// Keeps the newest snapshots, and those that a segment needs to be sealed.
    fn forget_snapshots(&self, listing: &LayoutListing) -> Result<(), Corruption> {
        let mut needed = Vec::new();
        for first in &listing.open {
            let path = self.folder.open(*first);
            if let Ok(title) = file::open(&path).and_then(|sql| SegmentTitle::of(&sql)) {
                needed.push(title.after);
            }
        }
        for last in listing.snapshots.iter().rev().skip(SNAPSHOTS) {
            if !needed.contains(last) {
                self.folder.discard(&self.folder.snapshot(*last))?;
            }
        }
        Ok(())
    }
}
