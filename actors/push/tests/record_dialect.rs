//! A dialect for tests: a target that accepts one record per request, discards records after a time
//! and cannot be read. It needs only this file and one line in a list of registrations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_config::{DialectSettings, PushTarget};
use rollcall_identity::delivery::DeliveryMode;
use rollcall_identity::{Address, Change};
use rollcall_runtime::clock::Clock;

use crate::capabilities::{Capabilities, DeleteAbsent, GroupsModel, ReadBack};
use crate::dialect::{Acknowledgement, Dialect, DialectFactory, PushBatch, Registration};
use crate::error::{ErrorResponse, PushError};

/// The registration of the dialect.
pub(super) const REGISTRATION: Registration =
    Registration { section: RecordSettings::SECTION, factory };

/// The settings of the dialect.
#[derive(Debug, Clone)]
pub(super) struct RecordSettings {
    pub(super) time_to_live: Duration,
    pub(super) server: Arc<Mutex<RecordServer>>,
}

impl DialectSettings for RecordSettings {
    const SECTION: &'static str = "records";
}

impl PartialEq for RecordSettings {
    fn eq(&self, other: &Self) -> bool {
        self.time_to_live == other.time_to_live && Arc::ptr_eq(&self.server, &other.server)
    }
}

impl RecordSettings {
    pub(super) fn server(&self) -> MutexGuard<'_, RecordServer> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server of the target.
#[derive(Debug, Default)]
pub(super) struct RecordServer {
    pub(super) records: BTreeMap<Address, String>,
    /// The address of each request.
    pub(super) requests: Vec<Address>,
    /// A user whose records the server rejects.
    pub(super) rejected_user: Option<String>,
}

/// Why the server does not apply a request.
enum RecordError {
    NotFound,
    Invalid,
}

impl RecordServer {
    fn put(&mut self, address: Address, user: &str) -> Result<(), RecordError> {
        self.requests.push(address);
        if self.rejected_user.as_deref() == Some(user) {
            return Err(RecordError::Invalid);
        }
        self.records.insert(address, user.to_owned());
        Ok(())
    }

    fn delete(&mut self, address: Address) -> Result<(), RecordError> {
        self.requests.push(address);
        self.records.remove(&address).map(drop).ok_or(RecordError::NotFound)
    }
}

fn factory(target: &PushTarget) -> Option<Arc<dyn DialectFactory>> {
    Some(Arc::new(RecordFactory(target.dialect.settings::<RecordSettings>()?.clone())))
}

struct RecordFactory(RecordSettings);

impl DialectFactory for RecordFactory {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: 1,
            parallel: 1,
            rate: None,
            resync: DeliveryMode::Upsert,
            read_back: ReadBack::None,
            time_to_live: Some(self.0.time_to_live),
            groups: GroupsModel::Target,
            delete_absent: DeleteAbsent::Error,
        }
    }

    fn create(&self, _: &Clock) -> Box<dyn Dialect> {
        Box::new(RecordDialect { settings: self.0.clone(), bytes: 0 })
    }
}

struct RecordDialect {
    settings: RecordSettings,
    bytes: u64,
}

impl Dialect for RecordDialect {
    fn send(&mut self, batch: &PushBatch) -> Result<Acknowledgement, PushError> {
        let [change]: &[Change] = &batch.changes else {
            return Err(PushError::ProtocolError("expected one record".to_owned()));
        };
        let user = change.after.as_ref().and_then(|session| session.principal.as_ref());
        let sent = match user {
            Some(principal) => self.settings.server().put(change.address, principal.user.as_str()),
            None => self.settings.server().delete(change.address),
        };
        self.bytes += 1;
        match sent {
            Ok(()) => Ok(Acknowledgement { accepted: 1, ..Acknowledgement::default() }),
            // The record is gone already.
            Err(RecordError::NotFound) => {
                Ok(Acknowledgement { duplicates: 1, ..Acknowledgement::default() })
            }
            Err(RecordError::Invalid) => {
                let text = Some("invalid user".to_owned());
                Err(PushError::BatchRejected(ErrorResponse { status: None, text }))
            }
        }
    }

    fn take_bytes_sent(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }
}
