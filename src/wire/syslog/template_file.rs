//! Reads the tables of a template file and collects all errors with their keys, so that the author
//! sees all of them at once.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// An error in a template file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TemplateFileError {
    /// The key, for instance `rule[2].regex`; rules and samples are counted from 1.
    pub key: String,
    /// The error.
    pub what: String,
}

impl fmt::Display for TemplateFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// The collected errors.
#[derive(Debug, Default)]
pub(super) struct TemplateErrors(pub(super) Vec<TemplateFileError>);

impl TemplateErrors {
    pub(super) fn add(&mut self, key: impl Into<String>, what: impl fmt::Display) {
        self.0.push(TemplateFileError { key: key.into(), what: what.to_string() });
    }

    /// The value, or `None` with the error added.
    pub(super) fn note<T, E: fmt::Display>(
        &mut self,
        key: impl Into<String>,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.add(key, error)).ok()
    }
}

/// One table of the file. Keys are removed as they are read; remaining keys are unknown.
#[derive(Debug)]
pub(super) struct TemplateSection {
    path: String,
    table: Table,
}

/// One value or a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Vec<String> {
    fn from(values: OneOrMore) -> Self {
        match values {
            OneOrMore::One(value) => vec![value],
            OneOrMore::More(values) => values,
        }
    }
}

impl TemplateSection {
    /// The whole file.
    pub(super) fn root(text: &str, problems: &mut TemplateErrors) -> Option<Self> {
        let table = text.parse::<Table>().map_err(|error| error.message().to_owned());
        problems.note("file", table).map(|table| Self { path: String::new(), table })
    }

    /// The full key for messages.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The value of an optional key.
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        name: &str,
        problems: &mut TemplateErrors,
    ) -> Option<T> {
        let value = self.table.remove(name)?;
        let value = value.try_into::<T>().map_err(|error| error.message().to_owned());
        problems.note(self.key(name), value)
    }

    /// The text of a required, non-empty key.
    pub(super) fn text(&mut self, name: &str, problems: &mut TemplateErrors) -> String {
        if !self.table.contains_key(name) {
            problems.add(self.key(name), "is missing");
            return String::new();
        }
        let text: String = self.take(name, problems).unwrap_or_default();
        if text.trim().is_empty() {
            problems.add(self.key(name), "is empty");
        }
        text
    }

    /// One value or a list; empty when the key is missing.
    pub(super) fn list(&mut self, name: &str, problems: &mut TemplateErrors) -> Vec<String> {
        self.take::<OneOrMore>(name, problems).map(Vec::from).unwrap_or_default()
    }

    /// A nested table.
    pub(super) fn section(&mut self, name: &str, problems: &mut TemplateErrors) -> Option<Self> {
        match self.table.remove(name)? {
            Value::Table(table) => Some(Self { path: self.key(name), table }),
            _ => {
                problems.add(self.key(name), "is not a table");
                None
            }
        }
    }

    /// The tables of an array of tables.
    pub(super) fn sections(&mut self, name: &str, problems: &mut TemplateErrors) -> Vec<Self> {
        let tables: Vec<Table> = self.take(name, problems).unwrap_or_default();
        let path = |at: usize| format!("{}[{}]", self.key(name), at + 1);
        tables.into_iter().enumerate().map(|(at, table)| Self { path: path(at), table }).collect()
    }

    /// The nested tables, by name.
    pub(super) fn named_sections(mut self, problems: &mut TemplateErrors) -> Vec<(String, Self)> {
        let names: Vec<String> = self.table.keys().cloned().collect();
        let section = |name: String| Some((name.clone(), self.section(&name, problems)?));
        names.into_iter().filter_map(section).collect()
    }

    /// Every key and its values, in a table with arbitrary keys.
    pub(super) fn entries(mut self, problems: &mut TemplateErrors) -> Vec<(String, Vec<String>)> {
        let names: Vec<String> = self.table.keys().cloned().collect();
        names.into_iter().map(|name| (name.clone(), self.list(&name, problems))).collect()
    }

    /// Reports every unknown key.
    pub(super) fn finish(self, problems: &mut TemplateErrors) {
        for name in self.table.keys() {
            problems.add(self.key(name), "is not a known key");
        }
    }
}
