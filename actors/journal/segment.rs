//! The open segment: events are appended at its end, and every commit is durable when it returns.

use std::fs;

use rollcall_identity::{Event, ReadPosition, ReadPositions, Revision, Timestamp};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::event_rows;
use super::file::{self, HeaderField};
use super::file_header::FileHeader;
use super::layout::JournalLayout;
use super::position_rows;
use super::rule_versions::{self, RuleVersion};
use super::string_table::StringTable;

/// The size in bytes at which the write-ahead log is checkpointed: about 80,000 events, or 2000
/// commits of one event.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// The beginning of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentStart {
    /// The epoch and the rules.
    pub(super) file_header: FileHeader,
    /// The last acknowledged position before the segment.
    pub(super) after: Revision,
    /// The position of the first event.
    pub(super) first: Revision,
    /// The start time.
    pub(super) at: Timestamp,
}

/// An open segment. After an error nothing more is written to it: what SQLite and the kernel cache
/// may differ from what is on disk.
#[derive(Debug)]
pub(super) struct Segment {
    sql: Connection,
    strings: StringTable,
    first: Revision,
    begun: Timestamp,
    /// The rules of the last rule version.
    rules: u64,
    events: u64,
    appended: u64,
    is_open: bool,
}

impl Segment {
    /// Begins a segment with the current read positions of producers.
    pub(super) fn begin(
        folder: &JournalLayout,
        start: SegmentStart,
        read: &ReadPositions,
    ) -> Result<Self, Corruption> {
        let SegmentStart { file_header, after, first, at } = start;
        let target = folder.open(first);
        let unfinished = JournalLayout::unfinished(&target);
        folder.discard(&unfinished)?;
        let sql = crate::schema::create(&unfinished)?;
        file_header.write(&sql)?;
        file::write_field(&sql, HeaderField::After, after.0)?;
        file::write_field(&sql, HeaderField::First, first.0)?;
        file::write_field(&sql, HeaderField::Begun, at.millis().cast_unsigned())?;
        for (source, place) in read {
            let read = ReadPosition { source: source.clone(), position: place.clone() };
            position_rows::write(&sql, &read)?;
        }
        // This runs before the file has its name, because the change is not one atomic write.
        file::enable_wal(&sql)?;
        sql.close().map_err(|(_, error)| error)?;
        if target.exists() {
            // Every event of the existing file is damaged, or this segment would not begin here.
            // Its log must not be used as the log of this file.
            folder.set_aside(&target, at)?;
        }
        folder.finish(&target)?;
        Self::resume(folder, first)
    }

    /// Continues a segment that was read without errors.
    pub(super) fn resume(folder: &JournalLayout, first: Revision) -> Result<Self, Corruption> {
        let sql = file::resume(&folder.open(first))?;
        let begun =
            Timestamp::from_millis(file::required_field(&sql, HeaderField::Begun)?.cast_signed());
        let last = "SELECT coalesce(max(revision), ?) FROM events";
        let before = first.0.saturating_sub(1).cast_signed();
        let last: i64 = sql.query_row(last, [before], |row| row.get(0))?;
        let events = last.cast_unsigned().saturating_sub(before.cast_unsigned());
        let strings = StringTable::resume(&sql)?;
        let last_version = rule_versions::read(&sql)?.last().map(|last| last.rules);
        let rules = last_version
            .map_or_else(|| FileHeader::read(&sql).map(|file_header| file_header.rules), Ok)?;
        Ok(Self { sql, strings, first, begun, rules, events, appended: 0, is_open: false })
    }

    /// The position of its first event.
    pub(super) fn first(&self) -> Revision {
        self.first
    }

    /// When it was begun.
    pub(super) fn begun(&self) -> Timestamp {
        self.begun
    }

    /// The number of committed events.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The position of the last committed event, if there is one.
    pub(super) fn last(&self) -> Option<Revision> {
        (self.events > 0).then(|| Revision(self.first.0 + self.events - 1))
    }

    /// Sets the rules that decide the events from the position `first` on.
    pub(super) fn set_rules(&mut self, first: Revision, rules: u64) -> Result<(), Corruption> {
        if rules == self.rules {
            return Ok(());
        }
        self.begin_transaction()?;
        // A segment of an earlier version lacks the table.
        self.sql.execute_batch(rule_versions::TABLE)?;
        let after = Revision(first.0.saturating_sub(1));
        rule_versions::write(&self.sql, RuleVersion { after, rules })?;
        self.rules = rules;
        Ok(())
    }

    fn begin_transaction(&mut self) -> Result<(), Corruption> {
        if !self.is_open {
            self.sql.execute_batch("BEGIN IMMEDIATE")?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Appends `events` from the position `first` on.
    pub(super) fn append(
        &mut self,
        first: Revision,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<(), Corruption> {
        self.begin_transaction()?;
        event_rows::write_all(&self.sql, &mut self.strings, (first, events))?;
        if let Some(read) = read {
            position_rows::write(&self.sql, read)?;
        }
        self.appended += events.len() as u64;
        Ok(())
    }

    /// Makes appended events durable.
    pub(super) fn commit(&mut self) -> Result<(), Corruption> {
        if self.is_open {
            self.sql.execute_batch("COMMIT")?;
            self.is_open = false;
            self.events += std::mem::take(&mut self.appended);
        }
        Ok(())
    }

    /// Checkpoints the write-ahead log when it is long enough.
    pub(super) fn checkpoint(&self) -> Result<(), Corruption> {
        let wal = self.sql.path().and_then(|path| fs::metadata(format!("{path}-wal")).ok());
        if wal.is_none_or(|wal| wal.len() < CHECKPOINT_BYTES) {
            return Ok(());
        }
        // A concurrent reader only delays the checkpoint.
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.sql.query_row(checkpoint, [], |_| Ok(())).map_err(Corruption::from)
    }
}
