//! State that is shared by all files of one load: errors, unique values, listeners, known keys.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::ConfigError;
use crate::environment::Environment;
use crate::socket::{TransportProtocol, overlap};

/// Names that producers cannot have: the actors with these names always exist, and a producer's
/// actor has the name of the producer.
const RESERVED_NAMES: [&str; 6] =
    ["supervisor", "cache", "query", "enforcement", "validator", "rest"];

/// Collects what the files of one load have in common.
pub(crate) struct LoadContext<'e> {
    pub(crate) environment: &'e Environment,
    errors: RefCell<Vec<ConfigError>>,
    /// The key that holds a value, by scope and lower-case value.
    unique_values: RefCell<BTreeMap<(String, String), String>>,
    /// Protocol, address and key of each listener.
    listeners: RefCell<Vec<(TransportProtocol, SocketAddr, String)>>,
    /// Every key that the code looked up, without indices.
    known_keys: RefCell<BTreeSet<String>>,
}

impl<'e> LoadContext<'e> {
    pub(crate) fn new(environment: &'e Environment) -> Self {
        let reserved = RESERVED_NAMES
            .map(|name| (("producer".to_owned(), name.to_owned()), "Rollcall itself".to_owned()));
        Self {
            environment,
            errors: RefCell::default(),
            unique_values: RefCell::new(BTreeMap::from(reserved)),
            listeners: RefCell::default(),
            known_keys: RefCell::default(),
        }
    }

    pub(crate) fn add_error(&self, error: ConfigError) {
        self.errors.borrow_mut().push(error);
    }

    /// Records that the code knows the key with this dotted path.
    pub(crate) fn add_known_key(&self, path: &str) {
        self.known_keys.borrow_mut().insert(without_indices(path));
    }

    /// Records that the key at `path` has `value`. Returns the key of the same scope that already
    /// has it. Values compare in lower case.
    pub(crate) fn add_unique(&self, scope: String, value: &str, path: String) -> Option<String> {
        self.unique_values.borrow_mut().insert((scope, value.to_lowercase()), path)
    }

    /// Records that the key at `path` listens on `address`. Returns a description of the listener
    /// that it conflicts with.
    pub(crate) fn add_listener(
        &self,
        protocol: TransportProtocol,
        address: SocketAddr,
        path: String,
    ) -> Option<String> {
        let mut listeners = self.listeners.borrow_mut();
        let conflict = listeners
            .iter()
            .find(|(other, theirs, _)| *other == protocol && overlap(*theirs, address))
            .map(|(_, theirs, path)| format!("{path} listens on {theirs}"));
        listeners.push((protocol, address, path));
        conflict
    }

    pub(crate) fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }

    #[cfg(test)]
    pub(crate) fn known_keys(&self) -> BTreeSet<String> {
        self.known_keys.borrow().clone()
    }
}

/// Converts `syslog[0].clients[2].name` to `syslog.clients.name`.
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
    fn indices_are_removed_from_a_path() {
        assert_eq!(without_indices("syslog[0].clients[12].name"), "syslog.clients.name");
    }
}
