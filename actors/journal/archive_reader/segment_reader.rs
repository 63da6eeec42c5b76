//! A segment opened for questions: what it says of one address, and which addresses it speaks of.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use rollcall_identity::{Address, Event, Name, Revision, TableSnapshot, Timestamp};
use rusqlite::{CachedStatement, Connection, Row, Rows};

use super::live_index::LiveIndex;
use crate::corruption::Corruption;
use crate::event_reader::SegmentTitle;
use crate::file::{self, HeaderField};
use crate::rule_versions::{self, RuleVersion};
use crate::string_table::{Dictionary, References};
use crate::{checkpoint, event_rows};

/// Which events of an address are asked for.
#[derive(Debug, Clone, Copy)]
pub struct EventQuery {
    /// The address.
    pub address: Address,
    /// Received after this,
    pub after: Timestamp,
    /// and not after this.
    pub upto: Timestamp,
    /// What stands behind this position was never acknowledged.
    pub end: Revision,
}

/// What a reading of rows met.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReadStats {
    /// How many.
    pub rows: u64,
    /// Rows that are not what was written.
    pub damaged: u64,
    /// The fingerprints of the rules that decided them at the time.
    pub rules: BTreeSet<u64>,
}

/// A segment that is open. One that is written is read beside its writer.
pub struct SegmentReader {
    sql: Connection,
    title: SegmentTitle,
    begun: Timestamp,
    /// How many sessions it holds from before it began; `None` when nobody knew, or knows yet.
    sessions: Option<u64>,
    /// Where other rules came into force, as far as that had happened when it was opened.
    governed: Vec<RuleVersion>,
    dictionary: RefCell<Dictionary>,
    finder: Option<RefCell<LiveIndex>>,
}

/// What a volume keeps in memory of its pages, in KiB: the upper ones of its indexes. The kernel
/// keeps the others.
const CACHE: &str = "PRAGMA cache_size = -1024;";

impl SegmentReader {
    /// Opens a sealed segment.
    pub(super) fn sealed(path: &Path) -> Result<Self, Corruption> {
        Self::open(path)
    }

    /// Opens one that is written, or was until it is sealed.
    pub(super) fn written(path: &Path) -> Result<Self, Corruption> {
        let volume = Self::open(path)?;
        let finder = Some(RefCell::new(LiveIndex::new(volume.title.first)));
        Ok(Self { finder, ..volume })
    }

    fn open(path: &Path) -> Result<Self, Corruption> {
        let sql = file::open(path)?;
        sql.execute_batch(CACHE)?;
        let title = SegmentTitle::of(&sql)?;
        if title.is_nameless {
            return Err(Corruption::Missing("the names that were in it".to_owned()));
        }
        let begun = Timestamp::from_millis(file::need(&sql, HeaderField::Begun)?.cast_signed());
        let sessions = file::ask(&sql, HeaderField::Sessions)?;
        let (governed, dictionary) = (rule_versions::read(&sql)?, RefCell::default());
        Ok(Self { sql, title, begun, sessions, governed, dictionary, finder: None })
    }

    /// What it says of itself.
    pub(super) fn title(&self) -> SegmentTitle {
        self.title
    }

    /// Where other rules came into force in it. One that is written may have been told of more since.
    fn governed(&self) -> Result<Cow<'_, [RuleVersion]>, Corruption> {
        Ok(match &self.finder {
            Some(_) => rule_versions::read(&self.sql)?.into(),
            None => Cow::from(&self.governed),
        })
    }

    /// When it was begun.
    pub fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Its last position, and when its earliest and its latest event were received. Reads it through.
    pub(super) fn extent(&self) -> Result<(Revision, Timestamp, Timestamp), Corruption> {
        let before = self.title.first.0.saturating_sub(1).cast_signed();
        let asked = "SELECT coalesce(max(revision), ?), coalesce(min(seen), 0),
            coalesce(max(seen), 0) FROM events";
        let [last, from, until] = self.sql.query_row(asked, [before], |row| {
            Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?])
        })?;
        let (from, until) = (Timestamp::from_millis(from), Timestamp::from_millis(until));
        Ok((Revision(last.cast_unsigned()), from, until))
    }

    /// What was known of `address` when it began; `None` when it does not say.
    pub fn beginning(&self, address: Address) -> Result<Option<TableSnapshot>, Corruption> {
        match (self.title.after, self.sessions) {
            (Revision(0), _) => Ok(Some(TableSnapshot::default())),
            (_, None) => Ok(None),
            _ => {
                let mut dictionary = self.dictionary.borrow_mut();
                checkpoint::read_at(&self.sql, &mut dictionary, address).map(Some)
            }
        }
    }

    /// Gives each wanted event to `each`, in order, until that says that it is enough.
    pub fn events(
        &self,
        wanted: &EventQuery,
        mut each: impl FnMut(Revision, Event) -> bool,
    ) -> Result<ReadStats, Corruption> {
        let (mut met, governed) = (ReadStats::default(), self.governed()?);
        let mut take = |row: &Row<'_>| -> Result<bool, Corruption> {
            met.rows += 1;
            match self.event(row) {
                Ok((revision, event)) if event.address == wanted.address => {
                    let rules = rule_versions::of(self.title.stamp.rules, &governed, revision);
                    met.rules.insert(rules);
                    Ok(each(revision, event))
                }
                Ok(_) => Ok(true),
                Err(Corruption::Sqlite(error)) => Err(error.into()),
                Err(_) => {
                    met.damaged += 1;
                    Ok(true)
                }
            }
        };
        let address = wanted.address.to_string();
        let (after, upto) = (wanted.after.millis(), wanted.upto.millis());
        if let Some(finder) = &self.finder {
            finder.borrow_mut().catch_up(&self.sql)?;
            let asked = "SELECT * FROM events WHERE revision = ?1 AND seen > ?2 AND seen <= ?3";
            let mut statement = self.sql.prepare_cached(asked)?;
            let places = finder.borrow().at(&address);
            for place in places.into_iter().take_while(|place| *place <= wanted.end) {
                let mut rows = statement.query((place.0.cast_signed(), after, upto))?;
                if let Some(row) = rows.next()?
                    && !take(row)?
                {
                    break;
                }
            }
        } else {
            let asked = "SELECT * FROM events INDEXED BY events_by_address
                WHERE address = ?1 AND seen > ?2 AND seen <= ?3 AND revision <= ?4
                ORDER BY revision";
            let mut statement = self.sql.prepare_cached(asked)?;
            let mut rows = statement.query((address, after, upto, position(wanted.end)))?;
            while let Some(row) = rows.next()? {
                if !take(row)? {
                    break;
                }
            }
        }
        Ok(met)
    }

    fn event(&self, row: &Row<'_>) -> Result<(Revision, Event), Corruption> {
        let wanted = References {
            origins: [row.get("origin")?, None],
            roles: row.get("roles")?,
            groups: [row.get("user_groups")?, row.get("device_groups")?],
        };
        let mut dictionary = self.dictionary.borrow_mut();
        dictionary.learn(&self.sql, &wanted)?;
        event_rows::read(row, &dictionary)
    }

    /// Puts into `found` the addresses where something was heard of `user`, up to `upto`, and those
    /// where they were when the segment began.
    pub fn addresses_of(
        &self,
        user: &Name,
        upto: Timestamp,
        found: &mut Addresses,
    ) -> Result<(), Corruption> {
        let user = user.as_str();
        if let Some(finder) = &self.finder {
            finder.borrow_mut().catch_up(&self.sql)?;
            let asked = "SELECT address FROM events WHERE revision = ?1 AND user = ?2
                AND seen <= ?3";
            let mut statement = self.sql.prepare_cached(asked)?;
            let places = finder.borrow().of(user);
            for place in places {
                let rows = statement.query((place.0.cast_signed(), user, upto.millis()))?;
                found.take(rows)?;
            }
            return Ok(());
        }
        let asked = "SELECT DISTINCT address FROM events INDEXED BY events_by_user
            WHERE user = ?1 AND seen <= ?2";
        found.take(self.prepared(asked)?.query((user, upto.millis()))?)?;
        let asked = "SELECT DISTINCT address FROM sessions INDEXED BY sessions_by_user
            WHERE user = ?1";
        found.take(self.prepared(asked)?.query([user])?)
    }

    /// Puts into `found` the addresses of which anything was heard after `from` and up to `upto`, or
    /// whose logoff time was noticed only later.
    pub fn addresses_between(
        &self,
        (from, upto): (Timestamp, Timestamp),
        found: &mut Addresses,
    ) -> Result<(), Corruption> {
        let asked = "SELECT address FROM events
            WHERE seen > ?1 AND (seen <= ?2 OR kind = 'expiry')";
        found.take(self.prepared(asked)?.query((from.millis(), upto.millis()))?)
    }

    fn prepared(&self, asked: &str) -> Result<CachedStatement<'_>, Corruption> {
        Ok(self.sql.prepare_cached(asked)?)
    }
}

fn position(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// The first addresses, in their order, of all that are put in: a page of them, whatever was asked.
pub struct Addresses {
    /// Those after this one.
    after: Option<Address>,
    room: usize,
    admits: Box<dyn Fn(Address) -> bool>,
    found: BTreeSet<Address>,
    is_cut: bool,
}

impl Addresses {
    /// Room for so many addresses behind `after` that `admits` does not leave out.
    pub fn new(
        after: Option<Address>,
        room: usize,
        admits: impl Fn(Address) -> bool + 'static,
    ) -> Self {
        Self { after, room, admits: Box::new(admits), found: BTreeSet::new(), is_cut: false }
    }

    /// Puts one in.
    pub fn put(&mut self, address: Address) {
        let is_behind = self.after.is_none_or(|after| address > after);
        if !is_behind || self.found.contains(&address) || !(self.admits)(address) {
            return;
        }
        self.found.insert(address);
        if self.found.len() > self.room {
            self.found.pop_last();
            self.is_cut = true;
        }
    }

    /// Those that were found, and whether there are more.
    pub fn into_found(self) -> (BTreeSet<Address>, bool) {
        (self.found, self.is_cut)
    }

    pub(super) fn take(&mut self, mut rows: Rows<'_>) -> Result<(), Corruption> {
        while let Some(row) = rows.next()? {
            // A row whose address is mangled is counted where its events are read.
            if let Some(address) = row.get_ref(0)?.as_str().ok().and_then(|text| text.parse().ok())
            {
                self.put(address);
            }
        }
        Ok(())
    }
}
