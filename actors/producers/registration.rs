//! How a kind of producers is registered: a factory for each configured producer, and what the
//! server needs of a bound one besides running it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use rollcall_config::Settings;
use rollcall_engine::directory::SharedDirectory;
use rollcall_identity::Name;
use rollcall_runtime::clock::Clock;

use crate::Producer;
pub use crate::bind_error::BindError;
pub use crate::config_fingerprint::{ConfigFingerprint, FileDigest, digest_files};

/// One kind of producers.
pub struct Registration {
    /// The name of its section in the configuration file.
    pub section: &'static str,
    /// Whether its section differs between two configurations.
    pub differs: fn(&Settings, &Settings) -> bool,
    /// One factory for each configured producer.
    pub factories: fn(&Settings) -> Vec<Box<dyn ProducerFactory>>,
    /// Applies what is configured for all producers of the kind together. It is called after
    /// producers are stopped and before new ones start.
    pub apply: fn(&Settings, &ProducerContext),
}

/// Binds one configured producer.
pub trait ProducerFactory {
    /// The configured name.
    fn name(&self) -> Name;

    /// The configuration that the producer depends on. A reload replaces the producer if, and only
    /// if, its fingerprint differs.
    fn fingerprint(&self) -> ConfigFingerprint;

    /// Reads all files and binds all sockets of the producer. A socket whose address stays is taken
    /// over from one of the `running` producers.
    ///
    /// # Errors
    /// The file or the socket that is unavailable.
    fn bind(
        &self,
        context: &ProducerContext,
        running: &[&dyn BoundProducer],
    ) -> Result<Arc<dyn BoundProducer>, BindError>;
}

/// A producer that is bound: it can start, and start again after a failure.
pub trait BoundProducer: Any + Send + Sync {
    /// The producer.
    fn producer(&self) -> Arc<dyn Producer>;

    /// Its listeners: scheme and address, with the port that the system assigned if port 0 is
    /// configured.
    fn listening(&self) -> Vec<(&'static str, SocketAddr)> {
        Vec::new()
    }

    /// Whether its input arrives through an HTTP listener. Such a producer starts before the
    /// listeners and stops after them.
    fn uses_http_listener(&self) -> bool {
        false
    }

    /// Publishes its status under `name`. All producers are registered before the first starts.
    fn register(&self, _name: &Name) {}

    /// Removes its status.
    fn unregister(&self, _name: &Name) {}

    /// Removes the shared data that only this producer maintains, unless `successor` maintains the
    /// same data. It is called when the producer is stopped. Sessions stay.
    fn remove_data(&self, _successor: Option<&dyn BoundProducer>) -> RemoveData {
        Box::pin(std::future::ready(()))
    }
}

/// A pending removal of shared data.
pub type RemoveData = Pin<Box<dyn Future<Output = ()>>>;

/// What producers share with each other and with the server.
#[derive(Clone)]
pub struct ProducerContext {
    /// The clock.
    pub clock: Clock,
    /// The shared directory.
    pub directory: SharedDirectory,
    shared: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
}

impl ProducerContext {
    /// A context without producers.
    pub fn new(clock: Clock, directory: SharedDirectory) -> Self {
        Self { clock, directory, shared: Arc::default() }
    }

    /// The value of type `T` that all producers of a kind share, for example their status. It is
    /// created at the first call; clones of the value refer to the same state.
    pub fn shared<T: Clone + Default + Send + 'static>(&self) -> T {
        let mut shared = self.shared.lock();
        let value = shared.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        value.downcast_ref::<T>().cloned().unwrap_or_default()
    }
}
