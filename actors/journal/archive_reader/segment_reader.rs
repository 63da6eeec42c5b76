//! Reads one segment for queries: the events of an address, and the addresses of a user or a
//! period.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use rollcall_identity::{Address, Event, Name, Revision, TableSnapshot, Timestamp};
use rusqlite::{CachedStatement, Connection, Row, Rows};

use super::live_index::LiveIndex;
use crate::corruption::Corruption;
use crate::file::{self, HeaderField};
use crate::log::LogSegment;
use crate::rule_versions::{self, RuleVersion};
use crate::string_table::{Dictionary, References};
use crate::{checkpoint, event_rows, segment_log};

/// Selects events of an address.
#[derive(Debug, Clone, Copy)]
pub struct EventQuery {
    /// The address.
    pub address: Address,
    /// Only events received after this time.
    pub after: Timestamp,
    /// Only events received at this time or before.
    pub upto: Timestamp,
    /// Later positions were never acknowledged.
    pub end: Revision,
}

/// Statistics of a read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReadStats {
    /// The number of rows.
    pub rows: u64,
    /// The number of damaged rows.
    pub damaged: u64,
    /// The fingerprints of the rules that decided them.
    pub rules: BTreeSet<u64>,
}

/// An open reader of one segment. An open segment is read beside its writer.
pub struct SegmentReader {
    sql: Connection,
    /// The segment, with its rule versions at the time of opening.
    segment: LogSegment,
    /// The number of sessions at its beginning; `None` while unknown.
    sessions: Option<u64>,
    dictionary: RefCell<Dictionary>,
    live_index: Option<RefCell<LiveIndex>>,
}

/// The page cache per reader, in KiB: for the upper index pages. The kernel caches the others.
const CACHE: &str = "PRAGMA cache_size = -1024;";

impl SegmentReader {
    /// Opens a segment.
    pub(super) fn open(path: &Path, is_sealed: bool) -> Result<Self, Corruption> {
        let sql = file::open(path)?;
        sql.execute_batch(CACHE)?;
        let segment = segment_log::describe(&sql, path, is_sealed)?;
        if segment.is_nameless {
            return Err(Corruption::Missing("the names that were in it".to_owned()));
        }
        segment.rule_versions()?;
        let sessions = file::field(&sql, HeaderField::Sessions)?;
        let index = || RefCell::new(LiveIndex::new(segment.first));
        let live_index = (!is_sealed).then(index);
        Ok(Self { sql, segment, sessions, dictionary: RefCell::default(), live_index })
    }

    /// What the segment says about itself. Its end is not known here.
    pub(super) fn segment(&self) -> &LogSegment {
        &self.segment
    }

    /// The rule versions. An open segment may have new ones since it was opened.
    fn rule_versions(&self) -> Result<Cow<'_, [RuleVersion]>, Corruption> {
        Ok(match &self.live_index {
            Some(_) => rule_versions::read(&self.sql)?.into(),
            None => self.segment.rule_versions()?.into(),
        })
    }

    /// When it was begun.
    pub fn begun(&self) -> Timestamp {
        self.segment.begun
    }

    /// The last position, and when the earliest and the latest event were received. Scans the
    /// segment.
    pub(super) fn extent(&self) -> Result<(Revision, Timestamp, Timestamp), Corruption> {
        let before = self.segment.first.0.saturating_sub(1).cast_signed();
        let select = "SELECT coalesce(max(revision), ?), coalesce(min(seen), 0),
            coalesce(max(seen), 0) FROM events";
        let [last, from, until] = self.sql.query_row(select, [before], |row| {
            Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?])
        })?;
        let (from, until) = (Timestamp::from_millis(from), Timestamp::from_millis(until));
        Ok((Revision(last.cast_unsigned()), from, until))
    }

    /// The state of `address` at the beginning; `None` if the segment does not contain it.
    pub fn beginning(&self, address: Address) -> Result<Option<TableSnapshot>, Corruption> {
        match (self.segment.after, self.sessions) {
            (Revision(0), _) => Ok(Some(TableSnapshot::default())),
            (_, None) => Ok(None),
            _ => {
                let mut dictionary = self.dictionary.borrow_mut();
                checkpoint::read_at(&self.sql, &mut dictionary, address).map(Some)
            }
        }
    }

    /// Calls `each` for each selected event, in order, until it returns false.
    pub fn events(
        &self,
        query: &EventQuery,
        mut each: impl FnMut(Revision, Event) -> bool,
    ) -> Result<ReadStats, Corruption> {
        let (mut stats, rule_versions) = (ReadStats::default(), self.rule_versions()?);
        let mut add_rows = |row: &Row<'_>| -> Result<bool, Corruption> {
            stats.rows += 1;
            match self.event(row) {
                Ok((revision, event)) if event.address == query.address => {
                    let rules = rule_versions::at(self.segment.rules, &rule_versions, revision);
                    stats.rules.insert(rules);
                    Ok(each(revision, event))
                }
                Ok(_) => Ok(true),
                Err(Corruption::Sqlite(error)) => Err(error.into()),
                Err(_) => {
                    stats.damaged += 1;
                    Ok(true)
                }
            }
        };
        let address = query.address.to_string();
        let (after, upto) = (query.after.millis(), query.upto.millis());
        if let Some(live_index) = &self.live_index {
            live_index.borrow_mut().catch_up(&self.sql)?;
            let select = "SELECT * FROM events WHERE revision = ?1 AND seen > ?2 AND seen <= ?3";
            let mut statement = self.sql.prepare_cached(select)?;
            let positions = live_index.borrow().by_address(&address);
            for position in positions.into_iter().take_while(|position| *position <= query.end) {
                let mut rows = statement.query((position.0.cast_signed(), after, upto))?;
                if let Some(row) = rows.next()?
                    && !add_rows(row)?
                {
                    break;
                }
            }
        } else {
            let select = "SELECT * FROM events INDEXED BY events_by_address
                WHERE address = ?1 AND seen > ?2 AND seen <= ?3 AND revision <= ?4
                ORDER BY revision";
            let mut statement = self.sql.prepare_cached(select)?;
            let mut rows = statement.query((address, after, upto, sqlite_position(query.end)))?;
            while let Some(row) = rows.next()? {
                if !add_rows(row)? {
                    break;
                }
            }
        }
        Ok(stats)
    }

    fn event(&self, row: &Row<'_>) -> Result<(Revision, Event), Corruption> {
        let query = References {
            origins: row.get::<_, Option<i64>>("origin")?.into_iter().collect(),
            roles: row.get("roles")?,
            groups: [row.get("user_groups")?, row.get("device_groups")?],
        };
        let mut dictionary = self.dictionary.borrow_mut();
        dictionary.load(&self.sql, &query)?;
        event_rows::read(row, &dictionary)
    }

    /// Adds to `found` the addresses with events of `user` up to `upto`, and the addresses of the
    /// user at the beginning of the segment.
    pub fn addresses_of(
        &self,
        user: &Name,
        upto: Timestamp,
        found: &mut Addresses,
    ) -> Result<(), Corruption> {
        let user = user.as_str();
        if let Some(live_index) = &self.live_index {
            live_index.borrow_mut().catch_up(&self.sql)?;
            let select = "SELECT address FROM events WHERE revision = ?1 AND user = ?2
                AND seen <= ?3";
            let mut statement = self.sql.prepare_cached(select)?;
            let positions = live_index.borrow().by_user(user);
            for position in positions {
                let rows = statement.query((position.0.cast_signed(), user, upto.millis()))?;
                found.add_rows(rows)?;
            }
            return Ok(());
        }
        let select = "SELECT DISTINCT address FROM events INDEXED BY events_by_user
            WHERE user = ?1 AND seen <= ?2";
        found.add_rows(self.prepared(select)?.query((user, upto.millis()))?)?;
        let select = "SELECT DISTINCT address FROM sessions INDEXED BY sessions_by_user
            WHERE user = ?1";
        found.add_rows(self.prepared(select)?.query([user])?)
    }

    /// Adds to `found` the addresses with events received after `from` and up to `upto`, or with a
    /// later expiry.
    pub fn addresses_between(
        &self,
        (from, upto): (Timestamp, Timestamp),
        found: &mut Addresses,
    ) -> Result<(), Corruption> {
        let select = "SELECT address FROM events
            WHERE seen > ?1 AND (seen <= ?2 OR kind = 'expiry')";
        found.add_rows(self.prepared(select)?.query((from.millis(), upto.millis()))?)
    }

    fn prepared(&self, select: &str) -> Result<CachedStatement<'_>, Corruption> {
        Ok(self.sql.prepare_cached(select)?)
    }
}

fn sqlite_position(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// The first addresses, in order, of all that are inserted: one page.
pub struct Addresses {
    /// Only addresses after this one.
    after: Option<Address>,
    limit: usize,
    matches: Box<dyn Fn(Address) -> bool>,
    found: BTreeSet<Address>,
    has_more: bool,
}

impl Addresses {
    /// A page of `limit` addresses after `after` for which `matches` holds.
    pub fn new(
        after: Option<Address>,
        limit: usize,
        matches: impl Fn(Address) -> bool + 'static,
    ) -> Self {
        Self { after, limit, matches: Box::new(matches), found: BTreeSet::new(), has_more: false }
    }

    /// Inserts an address.
    pub fn insert(&mut self, address: Address) {
        let is_after = self.after.is_none_or(|after| address > after);
        if !is_after || self.found.contains(&address) || !(self.matches)(address) {
            return;
        }
        self.found.insert(address);
        if self.found.len() > self.limit {
            self.found.pop_last();
            self.has_more = true;
        }
    }

    /// The addresses, and whether there are more.
    pub fn into_found(self) -> (BTreeSet<Address>, bool) {
        (self.found, self.has_more)
    }

    pub(super) fn add_rows(&mut self, mut rows: Rows<'_>) -> Result<(), Corruption> {
        while let Some(row) = rows.next()? {
            // A row with a damaged address is counted where its events are read.
            if let Some(address) = row.get_ref(0)?.as_str().ok().and_then(|text| text.parse().ok())
            {
                self.insert(address);
            }
        }
        Ok(())
    }
}
