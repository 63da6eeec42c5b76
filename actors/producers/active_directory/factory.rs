//! The registration of Active Directory producers.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use rollcall_config::{self as config, Settings};
use rollcall_engine::directory::SharedDirectory;
use rollcall_identity::Name;

use super::registry::Directories;
use super::{ActiveDirectory, DirectoryWriter};
use crate::Producer;
use crate::registration::{
    BindError, BoundProducer, ConfigFingerprint, ProducerContext, ProducerFactory, Registration,
    RemoveData,
};

/// One producer for each `[[active_directory]]`.
pub(crate) const REGISTRATION: Registration = Registration {
    section: "active_directory",
    differs: |old, new| old.active_directory != new.active_directory,
    factories,
    apply: |settings, context| {
        context.directory.write().expect_domains(settings.active_directory.len());
    },
};

fn factories(settings: &Settings) -> Vec<Box<dyn ProducerFactory>> {
    let sections = settings.active_directory.iter();
    sections.map(|section| Box::new(DirectoryFactory(section.clone())) as _).collect()
}

struct DirectoryFactory(config::ActiveDirectory);

impl ProducerFactory for DirectoryFactory {
    fn name(&self) -> Name {
        self.0.name.clone()
    }

    fn fingerprint(&self) -> ConfigFingerprint {
        let authority = self.0.ca.iter().map(PathBuf::as_path);
        ConfigFingerprint::new(self.0.clone(), authority)
    }

    fn bind(
        &self,
        context: &ProducerContext,
        _: &[&dyn BoundProducer],
    ) -> Result<Arc<dyn BoundProducer>, BindError> {
        let section = &self.0;
        let sink = Arc::new(DirectoryWriter::new(section, context.directory.clone()));
        let (clock, accounts) = (context.clock.clone(), context.shared());
        let producer = ActiveDirectory::new(section, sink, clock, &accounts);
        let producer = producer.map_err(|error| BindError::tls(&section.name, &error))?;
        Ok(Arc::new(BoundDirectory {
            producer: Arc::new(producer),
            domain: section.domain.clone(),
            directory: context.directory.clone(),
            directories: context.shared(),
        }))
    }
}

struct BoundDirectory {
    producer: Arc<ActiveDirectory>,
    domain: Name,
    directory: SharedDirectory,
    directories: Directories,
}

impl BoundProducer for BoundDirectory {
    fn producer(&self) -> Arc<dyn Producer> {
        Arc::clone(&self.producer) as _
    }

    fn register(&self, name: &Name) {
        self.directories.put(name.clone(), Arc::clone(&self.producer));
    }

    fn unregister(&self, name: &Name) {
        self.directories.remove(name);
    }

    /// Removes the domain, unless the successor reads the same domain: then the known objects stay
    /// until it has read them again.
    fn remove_data(&self, successor: Option<&dyn BoundProducer>) -> RemoveData {
        let successor = successor.and_then(|bound| (bound as &dyn Any).downcast_ref::<Self>());
        let is_continued = successor.is_some_and(|other| other.domain == self.domain);
        let (directory, domain) = (self.directory.clone(), self.domain.clone());
        Box::pin(async move {
            if !is_continued {
                // It fails only by a panic: then the domain stays, and no producer updates it.
                let remove = tokio::task::spawn_blocking(move || directory.remove(&domain));
                let _ = remove.await;
            }
        })
    }
}
