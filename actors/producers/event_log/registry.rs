//! All event logs that are read: how each is, and where the servers are, at whose addresses nobody
//! works.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rollcall_identity::logon::{HostAddresses, UnresolvedLogon};
use rollcall_identity::{Address, Event, Kind, Name};
use tokio::sync::watch;
use tokio::time::timeout;

use super::EventLog;
use super::status::EventLogStatus;
use rollcall_runtime::status_cell::StatusCell;

/// The event logs that are read, for those who ask how they are, and for one another.
#[derive(Debug, Clone, Default)]
pub struct EventLogs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    boards: RwLock<BTreeMap<Name, Arc<StatusCell<EventLogStatus>>>>,
    /// Counts how often the servers or their addresses changed.
    changes: watch::Sender<u64>,
    hosts: SharedHosts,
}

/// Where computers were seen: what one server tells of, another may name.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedHosts(Arc<Mutex<HostAddresses>>);

impl SharedHosts {
    /// Heeds an event in which a computer itself was seen.
    pub(super) fn heed(&self, event: &Event) {
        if event.kind == Kind::DeviceSeen {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).record(event);
        }
    }

    /// The address of the host that somebody named, if it was seen of late.
    pub(super) fn find(&self, unplaced: &UnresolvedLogon) -> Option<Address> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).find(unplaced)
    }
}

/// How long a log waits until the servers beside it are found: names that cannot be found are known
/// to be none by then.
const OTHERS: Duration = Duration::from_secs(5);

impl EventLogs {
    /// Enters one that is read from now on, in the place of another of the name.
    pub fn put(&self, log: &EventLog) {
        let (name, board) = (log.source.name().clone(), Arc::clone(&log.board));
        self.0.boards.write().unwrap_or_else(PoisonError::into_inner).insert(name, board);
        self.changed();
    }

    /// Forgets one that is no longer read.
    pub fn remove(&self, name: &Name) {
        self.0.boards.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.changed();
    }

    /// How each of them is, by name.
    pub fn status(&self) -> BTreeMap<Name, EventLogStatus> {
        let boards = self.0.boards.read().unwrap_or_else(PoisonError::into_inner);
        boards.iter().map(|(name, board)| (name.clone(), board.status())).collect()
    }

    /// Where computers were seen.
    pub(super) fn hosts(&self) -> SharedHosts {
        self.0.hosts.clone()
    }

    pub(super) fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// How often the servers or their addresses changed.
    pub(super) fn changes(&self) -> u64 {
        *self.0.changes.borrow()
    }

    /// The addresses of all servers, as far as they are known.
    pub(super) fn addresses(&self) -> BTreeSet<IpAddr> {
        let boards = self.0.boards.read().unwrap_or_else(PoisonError::into_inner);
        let each = boards.values();
        each.flat_map(|board| board.look(|status| status.addresses.clone()).unwrap_or_default())
            .collect()
    }

    /// Waits until the addresses of all servers were looked up once, for a while at most.
    pub(super) async fn found(&self) {
        let mut changes = self.0.changes.subscribe();
        let all = changes.wait_for(|_| {
            let boards = self.0.boards.read().unwrap_or_else(PoisonError::into_inner);
            boards.values().all(|board| board.look(|status| status.addresses.is_some()))
        });
        // Those that are found later are heeded from then on.
        let _ = timeout(OTHERS, all).await;
    }
}
