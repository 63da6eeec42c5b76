//! All event logs that are read: their status, and the addresses of the servers, from which users do
//! not log on.

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

/// The event logs that are read.
#[derive(Debug, Clone, Default)]
pub struct EventLogs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    statuses: RwLock<BTreeMap<Name, Arc<StatusCell<EventLogStatus>>>>,
    /// The number of changes of the servers or their addresses.
    changes: watch::Sender<u64>,
    hosts: SharedHosts,
}

/// The addresses of computers, from the events of all servers: one server may report the address of a
/// computer that the events of another server name.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedHosts(Arc<Mutex<HostAddresses>>);

impl SharedHosts {
    /// Records the address in an event of a computer account.
    pub(super) fn record(&self, event: &Event) {
        if event.kind == Kind::DeviceSeen {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).record(event);
        }
    }

    /// The address of the computer that `logon` names, if it is known from around that time.
    pub(super) fn find(&self, logon: &UnresolvedLogon) -> Option<Address> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).find(logon)
    }
}

/// How long a log waits until the names of all servers are resolved. Names that do not exist have
/// failed by then.
const RESOLVE_WAIT: Duration = Duration::from_secs(5);

impl EventLogs {
    /// Adds `log`, or replaces the log of the same name.
    pub fn put(&self, log: &EventLog) {
        let (name, status) = (log.source.name().clone(), Arc::clone(&log.status));
        self.0.statuses.write().unwrap_or_else(PoisonError::into_inner).insert(name, status);
        self.changed();
    }

    /// Removes a log.
    pub fn remove(&self, name: &Name) {
        self.0.statuses.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.changed();
    }

    /// The status of each log by name.
    pub fn status(&self) -> BTreeMap<Name, EventLogStatus> {
        let statuses = self.0.statuses.read().unwrap_or_else(PoisonError::into_inner);
        statuses.iter().map(|(name, cell)| (name.clone(), cell.status())).collect()
    }

    /// The addresses of computers.
    pub(super) fn hosts(&self) -> SharedHosts {
        self.0.hosts.clone()
    }

    pub(super) fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// The number of changes of the servers or their addresses.
    pub(super) fn changes(&self) -> u64 {
        *self.0.changes.borrow()
    }

    /// The known addresses of all servers.
    pub(super) fn addresses(&self) -> BTreeSet<IpAddr> {
        let statuses = self.0.statuses.read().unwrap_or_else(PoisonError::into_inner);
        let each = statuses.values();
        each.flat_map(|cell| cell.look(|status| status.addresses.clone()).unwrap_or_default())
            .collect()
    }

    /// Waits until the names of all servers have been resolved once, for at most
    /// [`RESOLVE_WAIT`].
    pub(super) async fn resolved(&self) {
        let mut changes = self.0.changes.subscribe();
        let all = changes.wait_for(|_| {
            let statuses = self.0.statuses.read().unwrap_or_else(PoisonError::into_inner);
            statuses.values().all(|cell| cell.look(|status| status.addresses.is_some()))
        });
        // Addresses that are resolved later apply from then on.
        let _ = timeout(RESOLVE_WAIT, all).await;
    }
}
