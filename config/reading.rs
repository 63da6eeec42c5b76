//! Files of configuration while they are read: what surrounds them, and what is found in them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use jiff::tz::TimeZone;
use toml::de::DeTable;

use crate::Problem;
use crate::listener::{Transport, overlap};
use crate::section::Section;

/// How a variable is found.
type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the meaning of a configuration depends on besides its files.
pub struct Environment {
    variable: Variables,
    /// The zone that `local` stands for.
    pub(crate) local: TimeZone,
}

impl Environment {
    /// The variables of this process and the zone of this machine.
    pub fn process() -> Self {
        Self::new(|name| std::env::var(name).ok(), TimeZone::system())
    }

    /// An environment of one's own: how a variable is found, and which zone is local.
    pub fn new(
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        local: TimeZone,
    ) -> Self {
        Self { variable: Box::new(variable), local }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }
}

impl std::fmt::Debug for Environment {
    /// The zone only: variables hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("local", &self.local).finish_non_exhaustive()
    }
}

/// What is known of all files together while they are read.
pub(crate) struct Reading<'e> {
    pub(crate) environment: &'e Environment,
    problems: RefCell<Vec<Problem>>,
    /// By scope and value, the key that has it.
    claims: RefCell<BTreeMap<(String, String), String>>,
    listeners: RefCell<Vec<(Transport, SocketAddr, String)>>,
    /// Every key that was asked for, without indices.
    asked: RefCell<BTreeSet<String>>,
}

impl<'e> Reading<'e> {
    pub(crate) fn new(environment: &'e Environment) -> Self {
        // A producer's actor has the producer's name, and these are there already.
        let own = ["supervisor", "cache", "query", "enforcement", "validator", "rest"];
        let reserved = own
            .map(|name| (("producer".to_owned(), name.to_owned()), "Rollcall itself".to_owned()));
        Self {
            environment,
            problems: RefCell::default(),
            claims: RefCell::new(BTreeMap::from(reserved)),
            listeners: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    pub(crate) fn complain(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Remembers that a key is known, by its dotted path.
    pub(crate) fn ask(&self, path: &str) {
        self.asked.borrow_mut().insert(without_indices(path));
    }

    /// Gives `value` to the key at `path`; returns the key that had it before.
    pub(crate) fn claim(&self, scope: String, value: &str, path: String) -> Option<String> {
        self.claims.borrow_mut().insert((scope, value.to_lowercase()), path)
    }

    /// Gives `address` to the key at `path`; returns which key listens there already, and on what.
    pub(crate) fn listen(
        &self,
        transport: Transport,
        address: SocketAddr,
        path: String,
    ) -> Option<String> {
        let mut listeners = self.listeners.borrow_mut();
        let meets = |(other, theirs, _): &&(Transport, SocketAddr, String)| {
            *other == transport && overlap(*theirs, address)
        };
        let taken = listeners.iter().find(meets);
        let taken = taken.map(|(_, theirs, path)| format!("{path} listens on {theirs}"));
        listeners.push((transport, address, path));
        taken
    }

    /// Everything that was found wrong.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    #[cfg(test)]
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }
}

/// One file.
pub(crate) struct Document<'a> {
    pub(crate) reading: &'a Reading<'a>,
    /// Its name in problems.
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
    /// What relative paths in it are relative to.
    pub(crate) base: &'a Path,
}

impl Document<'_> {
    /// Parses the file and has `read` ask for everything in it. With a syntax error nothing is
    /// read: what the rest says would be guessed.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Section<'_>) -> T) -> Option<T> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start).min(self.text.len());
            let column = self.text[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
            let message = error.message().replace('\n', ", ");
            self.complain(String::new(), Some(at), format!("column {column}: {message}"));
        }
        if !errors.is_empty() {
            return None;
        }
        let root = Section::new(self, Some(table.get_ref()), String::new(), 0..0);
        Some(root.all(read))
    }

    pub(crate) fn complain(&self, key: String, at: Option<usize>, message: String) {
        let line = at.map(|at| self.text[..at].matches('\n').count() + 1);
        self.reading.complain(Problem { file: self.file.to_owned(), key, line, message });
    }
}

/// `syslog[0].clients[2].name` as `syslog.clients.name`.
pub(crate) fn without_indices(path: &str) -> String {
    let mut depth = 0;
    path.chars()
        .filter(|c| {
            depth += i32::from(*c == '[');
            let outside = depth == 0;
            depth -= i32::from(*c == ']');
            outside
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_leave_a_path() {
        assert_eq!(without_indices("syslog[0].clients[12].name"), "syslog.clients.name");
    }
}
