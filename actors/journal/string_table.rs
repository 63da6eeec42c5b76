//! Values that many rows of a file share, stored once and referred to by number: origins, the
//! groups that a source listed, and the groups of a directory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use rollcall_identity::directory::{Group, Sid};
use rollcall_identity::{GroupSet, Membership, Name, Origin, Roles};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::Deserialize;

use super::corruption::Corruption;
use super::row_codec::{Cells, insert, insert_sql, text};

/// The tables, each with the checksum of its row in the last column.
pub(super) const TABLES: &str = "
CREATE TABLE origins (
    id INTEGER PRIMARY KEY, kind TEXT, producer TEXT, client TEXT, form TEXT, sum INTEGER);
CREATE TABLE roles (id INTEGER PRIMARY KEY, names TEXT, sum INTEGER);
CREATE TABLE directory_groups (id INTEGER PRIMARY KEY, groups TEXT, sum INTEGER);
";

/// Their names, with the number of their cells.
pub(super) const SHARED: [(&str, usize); 3] =
    [("origins", 5), ("roles", 2), ("directory_groups", 2)];

/// The maximum number of cached values of a kind. A later repetition is stored again, which costs
/// space and is harmless.
const MAX_CACHED: usize = 1 << 16;

/// Assigns numbers to shared values while a file is written.
#[derive(Debug, Default)]
pub(super) struct StringTable {
    origins: Interned<Arc<Origin>>,
    /// The last origin: usually the next one is the same.
    last_origin: Option<(Arc<Origin>, i64)>,
    roles: Interned<Arc<[Name]>>,
    /// Keyed by allocation: equal sets of one directory share one, and may hold a thousand groups
    /// each.
    groups: Interned<usize>,
    /// Keeps these allocations from being reused.
    retained: Vec<GroupSet>,
}

/// Values and their numbers.
#[derive(Debug)]
struct Interned<K> {
    numbers: HashMap<K, i64>,
    last: i64,
}

impl<K> Default for Interned<K> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), last: 0 }
    }
}

impl<K: Hash + Eq> Interned<K> {
    fn load(&mut self, key: K) -> i64 {
        self.last += 1;
        self.numbers.insert(key, self.last);
        self.last
    }
}

impl StringTable {
    /// For a file that is continued: the cache is empty, and the numbers continue.
    pub(super) fn resume(sql: &Connection) -> Result<Self, Corruption> {
        let last = |table: &str| {
            sql.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |row| {
                row.get(0)
            })
        };
        let mut strings = Self::default();
        strings.origins.last = last("origins")?;
        strings.roles.last = last("roles")?;
        strings.groups.last = last("directory_groups")?;
        Ok(strings)
    }

    /// The number of `origin`.
    pub(super) fn origin(
        &mut self,
        sql: &Connection,
        origin: &Arc<Origin>,
    ) -> rusqlite::Result<i64> {
        match &self.last_origin {
            Some((last_origin, id)) if Arc::ptr_eq(last_origin, origin) => Ok(*id),
            _ => {
                let id = self.intern_origin(sql, origin)?;
                self.last_origin = Some((Arc::clone(origin), id));
                Ok(id)
            }
        }
    }

    fn intern_origin(&mut self, sql: &Connection, origin: &Arc<Origin>) -> rusqlite::Result<i64> {
        if let Some(id) = self.origins.numbers.get(origin) {
            return Ok(*id);
        }
        if self.origins.numbers.len() >= MAX_CACHED {
            self.origins.numbers.clear();
        }
        let id = self.origins.load(Arc::clone(origin));
        let Origin { kind, producer, client, form } = &**origin;
        let names = [kind.as_str(), producer.as_str(), client.as_str(), form.as_str()];
        let [kind, producer, client, form] = names.map(|name| text(Some(name)));
        insert_row(sql, SHARED[0], &[ValueRef::Integer(id), kind, producer, client, form])?;
        Ok(id)
    }

    /// The number of the groups that a source listed, if it listed any.
    pub(super) fn roles(
        &mut self,
        sql: &Connection,
        roles: &Roles,
    ) -> rusqlite::Result<Option<i64>> {
        let Some(roles) = roles else { return Ok(None) };
        if let Some(id) = self.roles.numbers.get(roles) {
            return Ok(Some(*id));
        }
        if self.roles.numbers.len() >= MAX_CACHED {
            self.roles.numbers.clear();
        }
        let id = self.roles.load(Arc::clone(roles));
        let names = serde_json::json!(roles).to_string();
        insert_row(sql, SHARED[1], &[ValueRef::Integer(id), text(Some(&names))])?;
        Ok(Some(id))
    }

    /// The numbers of the directory groups of user and device.
    pub(super) fn membership(
        &mut self,
        sql: &Connection,
        membership: &Membership,
    ) -> rusqlite::Result<[Option<i64>; 2]> {
        let user = self.groups(sql, membership.user.as_ref())?;
        Ok([user, self.groups(sql, membership.device.as_ref())?])
    }

    fn groups(
        &mut self,
        sql: &Connection,
        groups: Option<&GroupSet>,
    ) -> rusqlite::Result<Option<i64>> {
        let Some(groups) = groups else { return Ok(None) };
        // Empty sets share a pointer that is no allocation, and are equal.
        let pointer = groups.as_slice().as_ptr().addr();
        if let Some(id) = self.groups.numbers.get(&pointer) {
            return Ok(Some(*id));
        }
        if self.retained.len() >= MAX_CACHED {
            self.groups.numbers.clear();
            self.retained.clear();
        }
        self.retained.push(groups.clone());
        let id = self.groups.load(pointer);
        let json_text = serde_json::json!(groups).to_string();
        insert_row(sql, SHARED[2], &[ValueRef::Integer(id), text(Some(&json_text))])?;
        Ok(Some(id))
    }
}

fn insert_row(
    sql: &Connection,
    (table, cells): (&str, usize),
    row: &[ValueRef<'_>],
) -> rusqlite::Result<()> {
    let mut into = sql.prepare_cached(&insert_sql(table, cells))?;
    insert(&mut into, row)
}

/// The references of one row.
#[derive(Debug, Default)]
pub(super) struct References {
    pub(super) origins: Vec<i64>,
    pub(super) roles: Option<i64>,
    pub(super) groups: [Option<i64>; 2],
}

/// Shared values by number, while a file is read. Damaged rows are absent.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    origins: HashMap<i64, Arc<Origin>>,
    roles: HashMap<i64, Arc<[Name]>>,
    groups: HashMap<i64, GroupSet>,
}

/// A stored group.
#[derive(Deserialize)]
struct StoredGroup {
    name: Name,
    domain: Name,
    dn: Arc<str>,
    sid: Option<Sid>,
}

/// Each distinct group once.
type GroupCache = HashMap<Group, Arc<Group>>;

impl Dictionary {
    /// Reads all shared values of a file.
    pub(super) fn read(sql: &Connection) -> Result<Self, Corruption> {
        let mut cache = GroupCache::new();
        Ok(Self {
            origins: each(sql, SHARED[0], origin)?,
            roles: each(sql, SHARED[1], roles)?,
            groups: each(sql, SHARED[2], |cells| groups(cells, &mut cache))?,
        })
    }

    /// Loads the values that `references` refers to, for a reader of a few rows among millions.
    pub(super) fn load(
        &mut self,
        sql: &Connection,
        references: &References,
    ) -> Result<(), Corruption> {
        if self.roles.len().max(self.groups.len()) > MAX_CACHED {
            *self = Self::default();
        }
        for id in &references.origins {
            load(sql, (SHARED[0], *id), &mut self.origins, origin)?;
        }
        if let Some(id) = references.roles {
            load(sql, (SHARED[1], id), &mut self.roles, roles)?;
        }
        for id in references.groups.into_iter().flatten() {
            let mut cache = GroupCache::new();
            load(sql, (SHARED[2], id), &mut self.groups, |cells| groups(cells, &mut cache))?;
        }
        Ok(())
    }

    pub(super) fn origin(&self, id: i64) -> Result<Arc<Origin>, Corruption> {
        self.origins.get(&id).cloned().ok_or(Corruption::Value)
    }

    /// The groups that a source listed.
    pub(super) fn roles(&self, id: Option<i64>) -> Result<Roles, Corruption> {
        id.map(|id| self.roles.get(&id).cloned().ok_or(Corruption::Value)).transpose()
    }

    /// The directory groups of the user and the device.
    pub(super) fn membership(&self, ids: [Option<i64>; 2]) -> Result<Membership, Corruption> {
        let existing = |id: Option<i64>| {
            id.map(|id| self.groups.get(&id).cloned().ok_or(Corruption::Value)).transpose()
        };
        Ok(Membership { user: existing(ids[0])?, device: existing(ids[1])? })
    }
}

fn origin(cells: &mut Cells<'_>) -> Result<Arc<Origin>, Corruption> {
    let (kind, producer) = (cells.required()?, cells.required()?);
    let (client, form) = (cells.required()?, cells.required()?);
    Ok(Arc::new(Origin { kind, producer, client, form }))
}

fn roles(cells: &mut Cells<'_>) -> Result<Arc<[Name]>, Corruption> {
    let names: Vec<Name> = json(cells)?;
    Ok(names.into())
}

fn groups(cells: &mut Cells<'_>, cache: &mut GroupCache) -> Result<GroupSet, Corruption> {
    let groups: Vec<StoredGroup> = json(cells)?;
    let one = |StoredGroup { name, domain, dn, sid }| {
        let group = Group { name, domain, dn, sid };
        Arc::clone(cache.entry(group.clone()).or_insert_with(|| Arc::new(group)))
    };
    Ok(GroupSet::new(groups.into_iter().map(one).collect()))
}

fn json<T: serde::de::DeserializeOwned>(cells: &mut Cells<'_>) -> Result<T, Corruption> {
    let text = cells.text()?.ok_or(Corruption::Value)?;
    serde_json::from_str(text).map_err(|_| Corruption::Value)
}

/// The valid rows of a table. A row that refers to a damaged row is damaged, too.
fn each<T>(
    sql: &Connection,
    (table, cells): (&str, usize),
    mut read: impl FnMut(&mut Cells<'_>) -> Result<T, Corruption>,
) -> Result<HashMap<i64, T>, Corruption> {
    let mut found = HashMap::new();
    let mut statement = sql.prepare(&format!("SELECT * FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Ok(mut checked) = Cells::check(row, cells) else { continue };
        let id = checked.number()?;
        if let Ok(value) = read(&mut checked) {
            found.insert(id, value);
        }
    }
    Ok(found)
}

/// Loads the row of a table with this number, if it is valid and not loaded yet.
fn load<T>(
    sql: &Connection,
    ((table, cells), id): ((&str, usize), i64),
    existing: &mut HashMap<i64, T>,
    read: impl FnOnce(&mut Cells<'_>) -> Result<T, Corruption>,
) -> Result<(), Corruption> {
    if existing.contains_key(&id) {
        return Ok(());
    }
    let mut statement = sql.prepare_cached(&format!("SELECT * FROM {table} WHERE id = ?"))?;
    let mut rows = statement.query([id])?;
    if let Some(row) = rows.next()?
        && let Ok(mut checked) = Cells::check(row, cells)
    {
        checked.number()?;
        if let Ok(value) = read(&mut checked) {
            existing.insert(id, value);
        }
    }
    Ok(())
}
