//! The segment that is written: events are added at its end, and every commit is on the disk when
//! it returns.

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

/// When the write-ahead log is carried into the file, in bytes: about 80,000 events, or 2000 commits
/// of one event.
const CHECKPOINT_BYTES: u64 = 16 << 20;

/// How a segment begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct SegmentStart {
    /// Whose positions, by which rules.
    pub(super) file_header: FileHeader,
    /// The last position before it that was acknowledged.
    pub(super) after: Revision,
    /// The position of its first event.
    pub(super) first: Revision,
    /// When.
    pub(super) at: Timestamp,
}

/// A segment that is written. After an error nothing more is written to it: what SQLite and the
/// kernel hold of it is not known to be what is on the disk.
#[derive(Debug)]
pub(super) struct Segment {
    sql: Connection,
    strings: StringTable,
    first: Revision,
    begun: Timestamp,
    /// The rules that decide what is appended, as last noted.
    rules: u64,
    events: u64,
    appended: u64,
    is_open: bool,
}

impl Segment {
    /// Begins a segment, with what producers had read before it.
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
        // Here and not on the file that has its name: the change itself is no single write.
        file::enable_wal(&sql)?;
        sql.close().map_err(|(_, error)| error)?;
        if target.exists() {
            // Every event of that one is damaged, or it would not begin here. Its log must not be
            // taken for the log of this one.
            folder.set_aside(&target, at)?;
        }
        folder.finish(&target)?;
        Self::resume(folder, first)
    }

    /// Goes on with a segment that was read without fault.
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

    /// How many events are committed to it.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The position of the last event that is committed to it, when there is any.
    pub(super) fn last(&self) -> Option<Revision> {
        (self.events > 0).then(|| Revision(self.first.0 + self.events - 1))
    }

    /// What is appended from now on, from the position `first` on, these rules decide.
    pub(super) fn set_rules(&mut self, first: Revision, rules: u64) -> Result<(), Corruption> {
        if rules == self.rules {
            return Ok(());
        }
        self.begin_transaction()?;
        // A segment that was begun by an earlier program has no place for it.
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

    /// Adds `events` from the position `first` on.
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

    /// Makes what was added durable.
    pub(super) fn commit(&mut self) -> Result<(), Corruption> {
        if self.is_open {
            self.sql.execute_batch("COMMIT")?;
            self.is_open = false;
            self.events += std::mem::take(&mut self.appended);
        }
        Ok(())
    }

    /// Carries the write-ahead log into the file once it is long enough.
    pub(super) fn checkpoint(&self) -> Result<(), Corruption> {
        let wal = self.sql.path().and_then(|path| fs::metadata(format!("{path}-wal")).ok());
        if wal.is_none_or(|wal| wal.len() < CHECKPOINT_BYTES) {
            return Ok(());
        }
        // Somebody who reads it at the moment only lets it grow until the next time.
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.sql.query_row(checkpoint, [], |_| Ok(())).map_err(Corruption::from)
    }
}
