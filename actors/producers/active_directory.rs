//! Reads the users, computers and groups of a domain over LDAP, and follows their changes.
//!
//! The updates go to a [`DirectorySink`]. If a domain controller fails, the next one is used. The data
//! that was read before stays in use.

mod change_notification;
mod connection;
mod directory_writer;
mod entry;
mod error;
pub(crate) mod factory;
mod handshake;
mod position;
mod position_store;
pub mod registry;
mod relay;
mod seal;
mod server;
mod servers;
mod status;
mod sync;
pub mod telemetry;
mod test_run;
mod tls;
mod transport;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rollcall_config as config;
use rollcall_identity::Producer as ProducerKind;
use rollcall_identity::directory::{DirectorySnapshot, DomainNames, Update};

pub use self::directory_writer::DirectoryWriter;
pub use self::error::DirectoryError;
pub(crate) use self::position::FullResyncReason;
use self::servers::DomainControllers;
pub use self::status::{DirectoryState, DirectoryStatus, LastSync};
use self::sync::DirectoryReader;
pub use self::test_run::test;
use super::{EventSink, Producer, ProducerFuture, StopSignal};
use crate::remote::{AccountGuard, follow};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::status_cell::StatusCell;
use rollcall_runtime::tls::TlsError;

/// The result of a synchronization.
#[derive(Debug)]
pub enum DirectoryUpdate {
    /// The complete domain, which replaces everything known of it.
    Full(Box<DirectorySnapshot>),
    /// The changes since the last update.
    Changes(Vec<Update>),
}

impl DirectoryUpdate {
    /// Whether it contains no change.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Changes(updates) if updates.is_empty())
    }
}

/// The receiver of directory updates.
pub trait DirectorySink: Send + Sync + 'static {
    /// Applies an update of the domain `names`. It is called after every synchronization, even without
    /// a change. An update that fails is sent again.
    fn apply_update<'a>(
        &'a self,
        names: &'a DomainNames,
        update: DirectoryUpdate,
    ) -> UpdateFuture<'a>;

    /// Whether the receiver already knows this version of an object of the domain `names`, so that a
    /// complete snapshot does not need to contain it.
    fn is_current(&self, _names: &DomainNames, _update: &Update) -> bool {
        false
    }

    /// The stored read position; `None` if there is none. It is loaded before the first update.
    fn load_position<'a>(&'a self) -> PositionFuture<'a> {
        Box::pin(async { Ok(None) })
    }

    /// Stores the read position of the domain `names`, and the accounts that the next start compares
    /// with.
    fn store_position<'a>(
        &'a self,
        _names: &'a DomainNames,
        _position: Arc<[u8]>,
    ) -> UpdateFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    /// Sets the sink for events about sessions, before the first update.
    fn set_event_sink(&self, _sink: EventSink) {}
}

/// An update that is being applied.
pub type UpdateFuture<'a> = Pin<Box<dyn Future<Output = Result<(), UpdateFailed>> + 'a>>;

/// A read position that is being loaded.
pub type PositionFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Arc<[u8]>>, UpdateFailed>> + 'a>>;

/// An update that was not applied. It is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the directory writer is restarting")]
pub struct UpdateFailed;

/// The producer of one domain.
pub struct ActiveDirectory {
    controllers: DomainControllers,
    sink: Arc<dyn DirectorySink>,
    status: StatusCell<DirectoryStatus>,
    clock: Clock,
}

impl ActiveDirectory {
    /// The producer for `settings`. It does not connect yet.
    ///
    /// # Errors
    /// The CA file that cannot be used.
    pub fn new(
        settings: &config::ActiveDirectory,
        sink: Arc<dyn DirectorySink>,
        clock: Clock,
        accounts: &AccountGuard,
    ) -> Result<Self, TlsError> {
        let controllers = DomainControllers::new(settings, accounts)?;
        Ok(Self { controllers, sink, status: StatusCell::default(), clock })
    }

    /// Reads the directory and follows its changes as the producer `producer`, until the future is
    /// dropped.
    pub async fn follow(self: Arc<Self>, producer: String) -> Infallible {
        let mut reader = DirectoryReader::new(Arc::clone(&self), producer.clone());
        follow(&mut reader, &self.controllers.account, &producer).await
    }

    /// The current status.
    pub fn status(&self) -> DirectoryStatus {
        self.status.status()
    }
}

impl Producer for ActiveDirectory {
    fn kind(&self) -> ProducerKind {
        ProducerKind::ActiveDirectory
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            let producer = sink.producer().to_owned();
            self.sink.set_event_sink(sink);
            tokio::select! {
                biased;
                () = stop.requested() => Ok(()),
                never = self.follow(producer) => match never {},
            }
        })
    }
}

#[cfg(test)]
mod tests;
