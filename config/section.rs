//! The configuration as it is written: tables whose keys are asked for one by one, where a bad
//! value is remembered and reading goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::leaf::{Bytes, Leaf, Ranged, kind_of};
use crate::listener::Transport;
use crate::nearest::nearest;
use crate::reading::{Document, Environment, Reading};

/// One table of a file; without one, all its keys are missing.
pub(crate) struct Section<'a> {
    document: &'a Document<'a>,
    table: Option<&'a DeTable<'a>>,
    key: String,
    span: Range<usize>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(
        document: &'a Document<'a>,
        table: Option<&'a DeTable<'a>>,
        key: String,
        span: Range<usize>,
    ) -> Self {
        Self { document, table, key, span, asked: RefCell::default() }
    }

    pub(crate) fn reading(&self) -> &'a Reading<'a> {
        self.document.reading
    }

    /// Its dotted path.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn environment(&self) -> &'a Environment {
        self.document.reading.environment
    }

    /// `path` as the file means it.
    pub(crate) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.document.base.join(path)
    }

    /// The dotted path of `key`, or of the section itself when it is empty.
    fn path(&self, key: &str) -> String {
        match (self.key.as_str(), key) {
            (own, "") => own.to_owned(),
            ("", key) => key.to_owned(),
            (own, key) => format!("{own}.{key}"),
        }
    }

    fn find(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        self.reading().ask(&self.path(key));
        self.table?.get(key)
    }

    /// Whether `key` is written.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// Remembers that `key` (or, when empty, the section) is wrong.
    pub(crate) fn complain(&self, key: &str, message: impl Into<String>) {
        let (name, rest) = key.split_at(key.find('[').unwrap_or(key.len()));
        let written = self.table.and_then(|table| table.get(name));
        let at = match (written, index_of(rest)) {
            (Some(value), Some(index)) => value.get_ref().get(index).unwrap_or(value).span().start,
            (Some(value), None) => value.span().start,
            (None, _) => self.span.start,
        };
        let at = (written.is_some() || self.table.is_some()).then_some(at);
        self.document.complain(self.path(key), at, message.into());
    }

    /// The value of `key`; `None` when it is missing, and when it is wrong.
    pub(crate) fn get<T: Leaf>(&self, key: &'static str) -> Option<T> {
        let value = self.find(key)?;
        T::read(value.get_ref()).map_err(|message| self.complain(key, message)).ok()
    }

    /// The value of `key`, or `default` when it is missing.
    pub(crate) fn or<T: Leaf>(&self, key: &'static str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// The value of `key`, which must be there.
    pub(crate) fn required<T: Leaf>(&self, key: &'static str) -> Option<T> {
        if !self.has(key) {
            self.complain(key, format!("is missing, must be {}", T::EXPECTED));
        }
        self.get(key)
    }

    /// The value of `key`, which must lie in `range`.
    pub(crate) fn within<T: Ranged>(
        &self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let value = self.or(key, default);
        if !range.contains(&value) {
            let (least, most) = (range.start().written(), range.end().written());
            self.complain(key, format!("is {}, must be {least} to {most}", value.written()));
        }
        value
    }

    /// A size in bytes, which must lie in `range`.
    pub(crate) fn bytes(
        &self,
        key: &'static str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> usize {
        self.within(key, Bytes(default), Bytes(*range.start())..=Bytes(*range.end())).0
    }

    /// The good values of the list `key`; `None` when it is missing.
    pub(crate) fn list<T: Leaf>(&self, key: &'static str) -> Option<Vec<T>> {
        let value = self.find(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let message = format!("is {}, must be a list: [ … ]", kind_of(value.get_ref()));
            self.complain(key, message);
            return Some(Vec::new());
        };
        let read = |(index, item): (usize, &Spanned<DeValue<'a>>)| {
            let wrong = |message| self.complain(&format!("{key}[{index}]"), message);
            T::read(item.get_ref()).map_err(wrong).ok()
        };
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    /// The good entries of the table `key`, whose keys are free.
    pub(crate) fn entries<T: Leaf>(&self, key: &'static str) -> Vec<(String, T)> {
        let Some(table) = self.subtable(key) else { return Vec::new() };
        let read = |(name, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            let wrong = |message| {
                let path = self.path(&format!("{key}.{name}"));
                self.document.complain(path, Some(value.span().start), message);
            };
            Some((name.to_string(), T::read(value.get_ref()).map_err(wrong).ok()?))
        };
        table.iter().filter_map(read).collect()
    }

    /// Reads the table `key`, as an empty one when it is missing.
    pub(crate) fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'_>) -> T) -> T {
        let span = self.find(key).map_or(self.span.clone(), Spanned::span);
        Section::new(self.document, self.subtable(key), self.path(key), span).all(read)
    }

    /// Reads every table within the table `key`, whose keys are free.
    pub(crate) fn named_sections<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&str, &Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(table) = self.subtable(key) else { return Vec::new() };
        let mut found = Vec::new();
        for (name, value) in table {
            let path = self.path(&format!("{key}.{}", name.get_ref()));
            match value.get_ref().as_table() {
                Some(inner) => {
                    let section = Section::new(self.document, Some(inner), path, value.span());
                    found.extend(section.all(|section| read(name.get_ref(), section)));
                }
                None => {
                    let message = format!("is {}, must be a table", kind_of(value.get_ref()));
                    self.document.complain(path, Some(value.span().start), message);
                }
            }
        }
        found
    }

    /// Reads each table of the list `key`: `[[key]]`.
    pub(crate) fn sections<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            let message = format!("is {}, must be [[{key}]] tables", kind_of(value.get_ref()));
            self.complain(key, message);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = format!("{key}[{index}]");
            match item.get_ref().as_table() {
                Some(table) => {
                    let path = self.path(&place);
                    let section = Section::new(self.document, Some(table), path, item.span());
                    found.extend(section.all(&mut read));
                }
                None => {
                    let message = format!("is {}, must be a table", kind_of(item.get_ref()));
                    self.complain(&place, message);
                }
            }
        }
        found
    }

    fn subtable(&self, key: &'static str) -> Option<&'a DeTable<'a>> {
        let value = self.find(key)?.get_ref();
        let table = value.as_table();
        if table.is_none() {
            self.complain(key, format!("is {}, must be a table: [{key}]", kind_of(value)));
        }
        table
    }

    /// Remembers that `key` has `value`, and complains when another key of the same scope has it.
    pub(crate) fn claim(&self, scope: impl Into<String>, key: &str, value: &str) {
        let path = format!("{} in {}", self.path(key), self.document.file.display());
        if let Some(earlier) = self.reading().claim(scope.into(), value, path) {
            self.complain(key, format!("{value:?} is taken: {earlier} has it"));
        }
    }

    /// Remembers that the addresses of the list `key` are listened on, and complains of those that
    /// another listener already has.
    pub(crate) fn listens(&self, transport: Transport, key: &str, addresses: &[SocketAddr]) {
        for address in addresses {
            if let Some(taken) = self.reading().listen(transport, *address, self.path(key)) {
                self.complain(key, format!("{address} is taken: {taken}"));
            }
        }
    }

    /// Reads everything with `read`, then complains of the keys that were not asked for.
    pub(crate) fn all<T>(&self, read: impl FnOnce(&Section<'_>) -> T) -> T {
        let value = read(self);
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if asked.contains(name) {
                continue;
            }
            let message = match nearest(name, asked.iter().copied()) {
                Some(known) => format!("is not a known key; did you mean `{known}`?"),
                None => "is not a known key".to_owned(),
            };
            self.document.complain(self.path(name), Some(key.span().start), message);
        }
        value
    }
}

fn index_of(text: &str) -> Option<usize> {
    text.strip_prefix('[')?.split(']').next()?.parse().ok()
}
