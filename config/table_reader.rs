//! Reads TOML tables key by key. An invalid value is recorded as an error and reading continues.
//!
//! A [`TableReader`] also builds the effective table: the values that apply after defaults.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::did_you_mean::did_you_mean;
use crate::environment::Environment;
use crate::load_context::LoadContext;
use crate::renamed_keys::new_name;
use crate::scalar::{Bytes, FromToml, plain_text, type_with_article};
use crate::socket::TransportProtocol;
use crate::source_file::SourceFile;

/// Reads one table of a file. If the table is absent, all its keys are absent.
pub(crate) struct TableReader<'a> {
    file: &'a SourceFile<'a>,
    table: Option<&'a DeTable<'a>>,
    /// The dotted path of the table; empty for the root.
    path: String,
    span: Range<usize>,
    /// The keys that were looked up, which are the known ones.
    known: RefCell<BTreeSet<&'static str>>,
    effective: RefCell<Table>,
}

/// Parses `file` and reads its root table with `read`. Returns the result and the effective table.
///
/// After a syntax error nothing is read, because the rest of the file would be misinterpreted.
pub(crate) fn read_file<T>(
    file: &SourceFile<'_>,
    read: impl FnOnce(&TableReader<'_>) -> T,
) -> Option<(T, Table)> {
    let (table, errors) = DeTable::parse_recoverable(file.text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start).min(file.text.len());
        let column = file.text[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
        let message = error.message().replace('\n', ", ");
        file.add_error(String::new(), Some(at), format!("column {column}: {message}"));
    }
    if !errors.is_empty() {
        return None;
    }
    let root = TableReader::new(file, Some(table.get_ref()), String::new(), 0..0);
    let value = root.read_all(read);
    Some((value, root.effective.into_inner()))
}

impl<'a> TableReader<'a> {
    fn new(
        file: &'a SourceFile<'a>,
        table: Option<&'a DeTable<'a>>,
        path: String,
        span: Range<usize>,
    ) -> Self {
        let (known, effective) = (RefCell::default(), RefCell::default());
        Self { file, table, path, span, known, effective }
    }

    pub(crate) fn context(&self) -> &'a LoadContext<'a> {
        self.file.context
    }

    pub(crate) fn environment(&self) -> &'a Environment {
        self.file.context.environment
    }

    /// The dotted path of the table.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The dotted path of `key`, or of the table if `key` is empty.
    fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            (own, "") => own.to_owned(),
            ("", key) => key.to_owned(),
            (own, key) => format!("{own}.{key}"),
        }
    }

    fn find(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().insert(key);
        self.context().add_known_key(&self.path_of(key));
        self.table?.get(key)
    }

    /// Whether `key` is present.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// Records an error at `key`, or at the table if `key` is empty.
    pub(crate) fn error_at(&self, key: &str, message: impl Into<String>) {
        let (name, rest) = key.split_at(key.find('[').unwrap_or(key.len()));
        let value = self.table.and_then(|table| table.get(name));
        let at = match (value, index_of(rest)) {
            (Some(value), Some(index)) => value.get_ref().get(index).unwrap_or(value).span().start,
            (Some(value), None) => value.span().start,
            (None, _) => self.span.start,
        };
        let at = (value.is_some() || self.table.is_some()).then_some(at);
        self.file.add_error(self.path_of(key), at, message.into());
    }

    /// Sets the effective value of `key`.
    pub(crate) fn set_effective(&self, key: &str, value: Value) {
        self.effective.borrow_mut().insert(key.to_owned(), value);
    }

    /// The value of `key`; `None` if it is absent or invalid.
    pub(crate) fn get<T: FromToml>(&self, key: &'static str) -> Option<T> {
        let value = self.find(key)?;
        let read = T::from_toml(value.get_ref()).map_err(|message| self.error_at(key, message));
        let read = read.ok()?;
        self.set_effective(key, read.to_toml());
        Some(read)
    }

    /// The value of `key`, or `default` if it is absent or invalid.
    pub(crate) fn get_or<T: FromToml>(&self, key: &'static str, default: T) -> T {
        self.get(key).unwrap_or_else(|| {
            self.set_effective(key, default.to_toml());
            default
        })
    }

    /// The value of `key`. It is an error if the key is absent.
    pub(crate) fn required<T: FromToml>(&self, key: &'static str) -> Option<T> {
        if !self.has(key) {
            self.error_at(key, format!("is missing, must be {}", T::EXPECTED));
        }
        self.get(key)
    }

    /// The value of `key`, or `default` if it is absent. It is an error if the value is outside of
    /// `range`.
    pub(crate) fn in_range<T: FromToml + PartialOrd>(
        &self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let value = self.get_or(key, default);
        if !range.contains(&value) {
            let (min, max) = (plain_text(range.start()), plain_text(range.end()));
            self.error_at(key, format!("is {}, must be {min} to {max}", plain_text(&value)));
        }
        value
    }

    /// A size in bytes, as [`Self::in_range`].
    pub(crate) fn bytes_in_range(
        &self,
        key: &'static str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> usize {
        self.in_range(key, Bytes(default), Bytes(*range.start())..=Bytes(*range.end())).0
    }

    /// The path at `key`. A relative path is relative to the folder of the file.
    pub(crate) fn file_path(&self, key: &'static str) -> Option<PathBuf> {
        let path = self.resolve(self.get::<PathBuf>(key)?);
        self.set_effective(key, path.to_toml());
        Some(path)
    }

    /// The path at `key`, or `default` if it is absent or invalid.
    pub(crate) fn file_path_or(&self, key: &'static str, default: PathBuf) -> PathBuf {
        self.file_path(key).unwrap_or_else(|| {
            self.set_effective(key, default.to_toml());
            default
        })
    }

    /// Joins a relative path to the folder of the file.
    pub(crate) fn resolve(&self, path: impl AsRef<std::path::Path>) -> PathBuf {
        self.file.base.join(path)
    }

    /// The valid values of the list `key`; `None` if it is absent.
    pub(crate) fn list<T: FromToml>(&self, key: &'static str) -> Option<Vec<T>> {
        let value = self.find(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let actual = type_with_article(value.get_ref());
            self.error_at(key, format!("is {actual}, must be a list: [ … ]"));
            return Some(Vec::new());
        };
        let read = |(index, item): (usize, &Spanned<DeValue<'a>>)| {
            let invalid = |message| self.error_at(&format!("{key}[{index}]"), message);
            T::from_toml(item.get_ref()).map_err(invalid).ok()
        };
        let list: Vec<T> = items.iter().enumerate().filter_map(read).collect();
        self.set_effective(key, Value::Array(list.iter().map(T::to_toml).collect()));
        Some(list)
    }

    /// The valid values of the list `key`, or `default` if it is absent.
    pub(crate) fn list_or<T: FromToml>(&self, key: &'static str, default: Vec<T>) -> Vec<T> {
        self.list(key).unwrap_or_else(|| {
            self.set_effective(key, Value::Array(default.iter().map(T::to_toml).collect()));
            default
        })
    }

    /// The valid entries of the table `key`, whose keys are chosen by the administrator.
    pub(crate) fn entries<T: FromToml>(&self, key: &'static str) -> Vec<(String, T)> {
        let Some(table) = self.table_at(key) else { return Vec::new() };
        let mut entries = Vec::new();
        let mut effective = Table::new();
        for (name, value) in table {
            match T::from_toml(value.get_ref()) {
                Ok(read) => {
                    effective.insert(name.get_ref().to_string(), read.to_toml());
                    entries.push((name.get_ref().to_string(), read));
                }
                Err(message) => {
                    let path = self.path_of(&format!("{key}.{}", name.get_ref()));
                    self.file.add_error(path, Some(value.span().start), message);
                }
            }
        }
        if !effective.is_empty() {
            self.set_effective(key, Value::Table(effective));
        }
        entries
    }

    /// Reads the table `key`; an absent table is read as an empty one.
    pub(crate) fn subtable<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&TableReader<'_>) -> T,
    ) -> T {
        let span = self.find(key).map_or(self.span.clone(), Spanned::span);
        let reader = TableReader::new(self.file, self.table_at(key), self.path_of(key), span);
        let value = reader.read_all(read);
        let effective = reader.effective.into_inner();
        if !effective.is_empty() {
            self.set_effective(key, Value::Table(effective));
        }
        value
    }

    /// Reads each table of the array of tables `key`: `[[key]]`.
    pub(crate) fn subtables<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&TableReader<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            let actual = type_with_article(value.get_ref());
            self.error_at(key, format!("is {actual}, must be [[{key}]] tables"));
            return Vec::new();
        };
        let (mut found, mut effective) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let path = self.path_of(&format!("{key}[{index}]"));
            if let Some((value, table)) = self.nested(item, path, &mut read) {
                found.extend(value);
                effective.push(Value::Table(table));
            }
        }
        self.set_effective(key, Value::Array(effective));
        found
    }

    /// Reads each table within the table `key`, whose keys are chosen by the administrator.
    pub(crate) fn named_subtables<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&str, &TableReader<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(table) = self.table_at(key) else { return Vec::new() };
        let (mut found, mut effective) = (Vec::new(), Table::new());
        for (name, value) in table {
            let name: &str = name.get_ref();
            let path = self.path_of(&format!("{key}.{name}"));
            if let Some((value, table)) = self.nested(value, path, |reader| read(name, reader)) {
                found.extend(value);
                effective.insert(name.to_owned(), Value::Table(table));
            }
        }
        self.set_effective(key, Value::Table(effective));
        found
    }

    /// Reads `value`, which must be a table. Returns the result and the effective table.
    fn nested<T>(
        &self,
        value: &'a Spanned<DeValue<'a>>,
        path: String,
        read: impl FnOnce(&TableReader<'_>) -> T,
    ) -> Option<(T, Table)> {
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("is {}, must be a table", type_with_article(value.get_ref()));
            self.file.add_error(path, Some(value.span().start), message);
            return None;
        };
        let reader = TableReader::new(self.file, Some(table), path, value.span());
        let value = reader.read_all(read);
        Some((value, reader.effective.into_inner()))
    }

    fn table_at(&self, key: &'static str) -> Option<&'a DeTable<'a>> {
        let value = self.find(key)?.get_ref();
        let table = value.as_table();
        if table.is_none() {
            let actual = type_with_article(value);
            self.error_at(key, format!("is {actual}, must be a table: [{key}]"));
        }
        table
    }

    /// Records an error if another key of the same scope already has `value`.
    pub(crate) fn unique(&self, scope: impl Into<String>, key: &str, value: &str) {
        let path = format!("{} in {}", self.path_of(key), self.file.path.display());
        if let Some(earlier) = self.context().add_unique(scope.into(), value, path) {
            self.error_at(key, format!("{value:?} is already used by {earlier}"));
        }
    }

    /// Records an error for each address of the list `key` that another listener already has.
    pub(crate) fn unique_listeners(
        &self,
        protocol: TransportProtocol,
        key: &str,
        addresses: &[SocketAddr],
    ) {
        for address in addresses {
            let path = self.path_of(key);
            if let Some(conflict) = self.context().add_listener(protocol, *address, path) {
                self.error_at(key, format!("{address} is already in use: {conflict}"));
            }
        }
    }

    /// Reads the table with `read`, then records an error for each key that was not looked up.
    fn read_all<T>(&self, read: impl FnOnce(&TableReader<'_>) -> T) -> T {
        let value = read(self);
        let known = self.known.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if known.contains(name) {
                continue;
            }
            let path = self.path_of(name);
            let meant = new_name(&path).or_else(|| did_you_mean(name, known.iter().copied()));
            let message = match meant {
                Some(meant) => format!("is not a known key; did you mean `{meant}`?"),
                None => format!("is not a known key; the known keys are {}", list(&known)),
            };
            self.file.add_error(path, Some(key.span().start), message);
        }
        value
    }
}

fn list(keys: &BTreeSet<&'static str>) -> String {
    keys.iter().copied().collect::<Vec<_>>().join(", ")
}

/// The index in `[2]`.
fn index_of(text: &str) -> Option<usize> {
    text.strip_prefix('[')?.split(']').next()?.parse().ok()
}
