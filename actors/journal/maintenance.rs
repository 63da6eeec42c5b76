//! The maintenance thread: it writes snapshots, seals segments and applies retention, while the
//! journal continues.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use rollcall_identity::{CheckpointSink, Revision, TableSnapshot, Timestamp};

use super::corruption::Corruption;
use super::event_reader::SegmentHeader;
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

/// The queue capacity: one job of each kind, and the final snapshot.
const QUEUE_CAPACITY: usize = 3;

/// How many snapshots are kept: the newest, and the one before it in case the newest is damaged.
const KEPT_SNAPSHOTS: usize = 2;

/// The maximum number of segments whose names are erased in one run: each takes seconds, and the
/// next snapshot waits meanwhile.
const ERASURES_PER_RUN: usize = 8;

/// The niceness of the thread relative to the threads that answer or commit: a snapshot of a
/// million sessions takes seconds of CPU, and no answer depends on it.
const NICENESS: i32 = 5;

enum Job {
    Snapshot { file_header: FileHeader, snapshot: TableSnapshot, _permit: JobPermit },
    Tidy { open: Revision, now: Timestamp, _permit: JobPermit },
}

/// Held by a job of one kind, so that there is one at a time. A snapshot is as large as the table:
/// while one is written, the next would wait in memory.
type JobPermit = Arc<()>;

/// The handle of the thread.
pub(super) struct Maintenance {
    jobs: Option<Sender<Job>>,
    writing: JobPermit,
    tidying: JobPermit,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    pub(super) fn start(folder: JournalLayout, options: JournalOptions) -> io::Result<Self> {
        let (jobs, inbox) = bounded(QUEUE_CAPACITY);
        let thread_state = MaintenanceThread { folder, options };
        let thread = std::thread::Builder::new().name("journal-maint".to_owned());
        let run = move || {
            lower_priority(NICENESS);
            thread_state.run(&inbox);
        };
        let thread = thread.spawn(run)?;
        let (writing, tidying) = (JobPermit::default(), JobPermit::default());
        Ok(Self { jobs: Some(jobs), writing, tidying, thread: Some(thread) })
    }

    /// Whether a snapshot can be written: none is being written or was requested.
    pub(super) fn is_free(&self) -> bool {
        Arc::strong_count(&self.writing) == 1
    }

    /// A sink that writes the table as the state after `committed`: no earlier event that it lacks
    /// will be applied.
    pub(super) fn checkpoint_sink(
        &self,
        file_header: FileHeader,
        committed: Revision,
    ) -> CheckpointSink {
        let (jobs, _permit) = (self.jobs.clone(), Arc::clone(&self.writing));
        Box::new(move |snapshot| {
            let newest = snapshot.newest.max(committed);
            let snapshot = TableSnapshot { newest, ..snapshot };
            if let Some(jobs) = jobs {
                // There is room in the queue, or the thread has ended.
                let _ = jobs.try_send(Job::Snapshot { file_header, snapshot, _permit });
            }
        })
    }

    /// Seals full segments and applies retention. `open` is the segment that is written.
    pub(super) fn tidy(&self, open: Revision, now: Timestamp) {
        if let Some(jobs) = &self.jobs
            && Arc::strong_count(&self.tidying) == 1
        {
            let _ = jobs.try_send(Job::Tidy { open, now, _permit: Arc::clone(&self.tidying) });
        }
    }

    /// Ends the thread after its queued jobs.
    pub(super) fn stop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct MaintenanceThread {
    folder: JournalLayout,
    options: JournalOptions,
}

impl MaintenanceThread {
    fn run(&self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let (task, result) = match job {
                Job::Snapshot { file_header, snapshot, _permit } => {
                    (MaintenanceTask::Snapshot, self.write_snapshot(file_header, &snapshot))
                }
                Job::Tidy { open, now, _permit } => (MaintenanceTask::Tidy, self.tidy(open, now)),
            };
            if let Err(error) = result {
                MaintenanceFailed { task, error: &error }.emit();
            }
        }
    }

    fn write_snapshot(
        &self,
        file_header: FileHeader,
        snapshot: &TableSnapshot,
    ) -> Result<(), Corruption> {
        // A snapshot of the same position may exist, of other rules or from before a loss. It is
        // replaced.
        snapshot::write(&self.folder, file_header, snapshot)?;
        let (revision, sessions) = (snapshot.newest.0, snapshot.sessions.len());
        SnapshotWritten { revision, sessions }.emit();
        self.remove_snapshots(&self.folder.list()?)
    }

    fn tidy(&self, open: Revision, now: Timestamp) -> Result<(), Corruption> {
        let mut manifest = self.manifest(now)?;
        let before = manifest.clone();
        let listing = self.folder.list()?;
        for first in &listing.sealed {
            if manifest.find(*first).is_none() {
                manifest.insert(sealing::describe(&self.folder, *first)?);
            }
        }
        for first in listing.open.iter().filter(|first| **first < open) {
            if let Some(upto) = self.end_of(*first, &listing)? {
                manifest.insert(self.seal(*first, upto, now)?);
                manifest.save(&self.folder)?;
                self.folder.discard(&self.folder.open(*first))?;
            }
        }
        self.apply_retention(&mut manifest, &listing, now)?;
        self.erase_names(&mut manifest, &listing, now)?;
        if manifest != before {
            manifest.save(&self.folder)?;
        }
        self.remove_snapshots(&self.folder.list()?)
    }

    /// The manifest. A damaged one is set aside and rebuilt from the files.
    fn manifest(&self, now: Timestamp) -> Result<Manifest, Corruption> {
        Manifest::load(&self.folder).or_else(|error| {
            let path = self.folder.manifest();
            let aside = self.folder.set_aside(&path, now)?;
            let (file, aside) = (name_of(&path), name_of(&aside));
            FileCorrupt { file: &file, error: &error, aside: &aside }.emit();
            Ok(Manifest::default())
        })
    }

    /// The last position of the segment that begins at `first`, according to the next segment;
    /// `None` while the snapshot of its beginning is still being written.
    fn end_of(
        &self,
        first: Revision,
        listing: &LayoutListing,
    ) -> Result<Option<Revision>, Corruption> {
        let header = |first: Revision| {
            let is_sealed = listing.sealed.contains(&first);
            let path = if is_sealed { self.folder.sealed(first) } else { self.folder.open(first) };
            SegmentHeader::read(&file::open(&path)?)
        };
        let after = header(first)?.after;
        let has_newer_snapshot =
            listing.snapshots.iter().next_back().is_some_and(|newest| *newest > after);
        if after > Revision(0) && !listing.snapshots.contains(&after) && !has_newer_snapshot {
            return Ok(None);
        }
        let mut all = listing.open.union(&listing.sealed);
        all.find(|other| **other > first)
            .map(|next| header(*next).map(|next| next.after))
            .transpose()
    }

    fn seal(&self, first: Revision, upto: Revision, now: Timestamp) -> Result<Sealed, Corruption> {
        let source = self.folder.open(first);
        let sealed = sealing::seal(&self.folder, first, upto)?;
        if sealed.lost > 0 {
            let aside = self.folder.set_aside(&source, now)?;
            let error = Corruption::Missing(format!("{} events", sealed.lost));
            let (file, aside) = (name_of(&source), name_of(&aside));
            FileCorrupt { file: &file, error: &error, aside: &aside }.emit();
        }
        let Sealed { events, bytes, .. } = sealed;
        SegmentSealed { file: &sealed.file, events, bytes }.emit();
        Ok(sealed)
    }

    /// Removes the oldest sealed segments that are too old or exceed the size limit. A segment that
    /// a start needs stays.
    fn apply_retention(
        &self,
        manifest: &mut Manifest,
        listing: &LayoutListing,
        now: Timestamp,
    ) -> Result<(), Corruption> {
        let newest = listing.snapshots.iter().next_back().copied().unwrap_or_default();
        let mut bytes: u64 = manifest.segments.iter().map(|sealed| sealed.bytes).sum();
        let mut removed = 0;
        for sealed in &manifest.segments {
            let is_old = now.since(sealed.until) > self.options.retention;
            let is_over_size = bytes > self.options.retention_bytes;
            if !(is_old || is_over_size) || sealed.last > newest {
                break;
            }
            self.folder.discard(&self.folder.sealed(sealed.first))?;
            bytes -= sealed.bytes;
            removed += 1;
        }
        manifest.segments.drain(..removed);
        Ok(())
    }

    /// Erases the names in sealed segments after `names_retention`. A segment that a start needs
    /// keeps its names.
    fn erase_names(
        &self,
        manifest: &mut Manifest,
        listing: &LayoutListing,
        now: Timestamp,
    ) -> Result<(), Corruption> {
        let Some(retention) = self.options.names_retention else { return Ok(()) };
        let newest = listing.snapshots.iter().next_back().copied().unwrap_or_default();
        let due = |sealed: &&mut Sealed| {
            !sealed.nameless && now.since(sealed.until) > retention && sealed.last <= newest
        };
        for sealed in manifest.segments.iter_mut().filter(due).take(ERASURES_PER_RUN) {
            *sealed = name_erasure::erase(&self.folder, sealed)?;
            NamesErased { file: &sealed.file, events: sealed.events }.emit();
        }
        Ok(())
    }

    /// Removes old snapshots, except for the newest and those that a segment needs when it is
    /// sealed.
    fn remove_snapshots(&self, listing: &LayoutListing) -> Result<(), Corruption> {
        let mut needed = Vec::new();
        for first in &listing.open {
            let path = self.folder.open(*first);
            if let Ok(header) = file::open(&path).and_then(|sql| SegmentHeader::read(&sql)) {
                needed.push(header.after);
            }
        }
        for last in listing.snapshots.iter().rev().skip(KEPT_SNAPSHOTS) {
            if !needed.contains(last) {
                self.folder.discard(&self.folder.snapshot(*last))?;
            }
        }
        Ok(())
    }
}
