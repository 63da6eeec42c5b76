//! Active Directory: reads the users, computers and groups of a domain, and hears what changes.
//!
//! What is learnt goes to a [`DirectorySink`]. When a domain controller fails, the next one is asked; what
//! was learnt stays in force until somebody knows better.

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
use std::time::Duration;

use rollcall_config as config;
use rollcall_identity::Producer as ProducerKind;
use rollcall_identity::directory::{DirectorySnapshot, DomainNames, Update};
use rustls::ClientConfig;

pub use self::directory_writer::DirectoryWriter;
pub use self::error::{DirectoryError, DirectoryStage};
pub(crate) use self::position::FullResyncReason;
pub use self::status::{DirectoryState, DirectoryStatus, LastSync};
use self::sync::Reader;
pub use self::test_run::{DirectoryTestReport, test};
use super::{EventSink, Producer, ProducerFuture, StopSignal};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::status_cell::StatusCell;
use rollcall_runtime::tls::TlsError;

/// What a directory told.
#[derive(Debug)]
pub enum DirectoryUpdate {
    /// The whole domain, in the place of all that was known of it.
    Whole(Box<DirectorySnapshot>),
    /// What changed since.
    Changes(Vec<Update>),
}

impl DirectoryUpdate {
    /// Whether nothing changed.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Changes(updates) if updates.is_empty())
    }
}

/// Who is told what directories say.
pub trait DirectorySink: Send + Sync + 'static {
    /// Takes in what the directory of the domain `names` told, after every reading: also when nothing
    /// changed. Only when the answer is `Ok` it is not told again.
    fn learn<'a>(&'a self, names: &'a DomainNames, learnt: DirectoryUpdate) -> PendingUpdates<'a>;

    /// Whether it says the same of an object of the domain `names` already, so that a whole image
    /// need not hold what it is.
    fn knows(&self, _names: &DomainNames, _update: &Update) -> bool {
        false
    }

    /// How far the directory had been read when that was kept last; `None` when it never was. To be
    /// asked before everything is learnt for the first time.
    fn recall<'a>(&'a self) -> Recalling<'a> {
        Box::pin(async { Ok(None) })
    }

    /// Keeps how far the directory of the domain `names` was read, and what it must be compared with
    /// at the next start.
    fn keep<'a>(&'a self, _names: &'a DomainNames, _place: Arc<[u8]>) -> PendingUpdates<'a> {
        Box::pin(async { Ok(()) })
    }

    /// Hears through whom those concerned can be reached, before anything is told.
    fn attend(&self, _outlet: EventSink) {}
}

/// Something being taken in.
pub type PendingUpdates<'a> = Pin<Box<dyn Future<Output = Result<(), UpdateFailed>> + 'a>>;

/// A place that was kept, being looked for.
pub type Recalling<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Arc<[u8]>>, UpdateFailed>> + 'a>>;

/// Why it was not taken in: it is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes in what the directory says; it is being replaced")]
pub struct UpdateFailed;

/// A directory that can be read: its files are.
pub struct ActiveDirectory {
    settings: config::ActiveDirectory,
    tls: Option<Arc<ClientConfig>>,
    learner: Arc<dyn DirectorySink>,
    board: StatusCell<DirectoryStatus>,
    clock: Clock,
}

impl ActiveDirectory {
    /// Reads what `settings` name. Nothing is connected yet.
    ///
    /// # Errors
    /// When the file of the authority holds none.
    pub fn new(
        settings: &config::ActiveDirectory,
        learner: Arc<dyn DirectorySink>,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let tls = tls::client(settings)?;
        Ok(Self { settings: settings.clone(), tls, learner, board: StatusCell::default(), clock })
    }

    /// Reads the directory and follows what changes, under the name `producer`, for ever.
    pub async fn follow(self: Arc<Self>, producer: String) -> Infallible {
        let mut reader = Reader::new(self, producer);
        let (first, longest) = PAUSES;
        let mut pause = first;
        loop {
            let (failure, lasted) = reader.follow().await;
            // Whoever had answered for a while is tried again soon.
            pause = if lasted { first } else { longest.min(pause * 2) };
            reader.failed(&failure);
            let chance = Duration::from_millis(fastrand::u64(0..250));
            tokio::time::sleep(pause + chance).await;
        }
    }

    /// How it is: who answers, what was read last, what is wrong.
    pub fn status(&self) -> DirectoryStatus {
        self.board.status()
    }
}

/// How long it waits before it tries again after a failure: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

impl Producer for ActiveDirectory {
    fn kind(&self) -> ProducerKind {
        ProducerKind::ActiveDirectory
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            let producer = sink.producer().to_owned();
            self.learner.attend(sink);
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
