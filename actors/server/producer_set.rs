//! The producers of the server: drawn from the settings with everything bound that they need, and
//! compared with those at work when a reload asks for others.

use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall_config::{self as config, Settings};
use rollcall_identity::Name;

use super::bind::{self, BindError, Certificate, ListenAddress};
use rollcall_engine::directory::SharedDirectory;
use rollcall_producers::active_directory::{ActiveDirectory, DirectoryWriter};
use rollcall_producers::event_log::{EventLog, EventLogs, Source};
use rollcall_producers::syslog::Syslog;
use rollcall_producers::{Producer, Producing};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;

/// A producer that can begin: everything it needs is bound and read.
#[derive(Clone)]
pub(super) struct PreparedProducer {
    parts: ProducerParts,
    fingerprint: ConfigFingerprint,
}

/// A producer of each kind that the server hires by name.
#[derive(Clone)]
enum ProducerParts {
    Syslog(Arc<Syslog>),
    ActiveDirectory(Arc<ActiveDirectory>),
    EventLog(Arc<EventLog>),
}

/// What a producer was made from; from anything else another one is made.
#[derive(Clone, PartialEq)]
enum ConfigFingerprint {
    Syslog(Box<config::Syslog>, Certificate),
    ActiveDirectory(Box<config::ActiveDirectory>, Certificate),
    EventLog(Box<Source>),
}

/// A producer at work.
pub(super) struct RunningProducer {
    prepared: PreparedProducer,
    /// Its mailbox.
    pub(super) mailbox: Mailbox<Producing>,
}

/// The producers at work, by name.
pub(super) type RunningProducers = BTreeMap<Name, RunningProducer>;

/// The producers that the settings want and that are not at work yet, by name.
pub(super) type PreparedProducers = BTreeMap<Name, PreparedProducer>;

impl PreparedProducer {
    /// What runs.
    pub(super) fn producer(&self) -> Arc<dyn Producer> {
        match &self.parts {
            ProducerParts::Syslog(syslog) => Arc::clone(syslog) as _,
            ProducerParts::ActiveDirectory(directory) => Arc::clone(directory) as _,
            ProducerParts::EventLog(log) => Arc::clone(log) as _,
        }
    }

    /// The directory that it reads, when it reads one.
    pub(super) fn directory(&self) -> Option<&Arc<ActiveDirectory>> {
        match &self.parts {
            ProducerParts::ActiveDirectory(directory) => Some(directory),
            ProducerParts::Syslog(_) | ProducerParts::EventLog(_) => None,
        }
    }

    /// The event log that it reads, when it reads one.
    pub(super) fn event_log(&self) -> Option<&EventLog> {
        match &self.parts {
            ProducerParts::EventLog(log) => Some(log),
            ProducerParts::Syslog(_) | ProducerParts::ActiveDirectory(_) => None,
        }
    }

    /// Where it listens.
    pub(super) fn listening(&self, name: &Name) -> Vec<ListenAddress> {
        let named = |(scheme, address)| ListenAddress { name: name.to_string(), scheme, address };
        match &self.parts {
            ProducerParts::Syslog(syslog) => syslog.listening().into_iter().map(named).collect(),
            ProducerParts::ActiveDirectory(_) | ProducerParts::EventLog(_) => Vec::new(),
        }
    }

    /// The domain of the directory that it reads.
    fn domain(&self) -> Option<&Name> {
        match &self.fingerprint {
            ConfigFingerprint::ActiveDirectory(section, _) => Some(&section.domain),
            ConfigFingerprint::Syslog(..) | ConfigFingerprint::EventLog(_) => None,
        }
    }

    /// At work behind `mailbox`.
    pub(super) fn at(self, mailbox: Mailbox<Producing>) -> RunningProducer {
        RunningProducer { prepared: self, mailbox }
    }
}

/// Draws the producers of the settings that are not at work as they are wanted: on the sockets of
/// those at work, where the addresses stay. Directories enter what they say into `directory`, and event logs
/// know of one another by `logs`. Everything that cannot be had is told to `error`.
pub(super) fn prepare(
    settings: &Settings,
    (clock, directory, logs): (&Clock, &SharedDirectory, &EventLogs),
    running: &RunningProducers,
    mut error: impl FnMut(BindError),
) -> PreparedProducers {
    let mut prepared = PreparedProducers::new();
    let before: Vec<&Syslog> = running.values().filter_map(RunningProducer::syslog).collect();
    for section in &settings.syslog {
        let fingerprint =
            ConfigFingerprint::Syslog(Box::new(section.clone()), bind::certificate(section));
        if running.get(&section.name).is_some_and(|e| e.prepared.fingerprint == fingerprint) {
            continue;
        }
        match bind::syslog(section, clock, &before) {
            Ok(syslog) => {
                let parts = ProducerParts::Syslog(Arc::new(syslog));
                prepared.insert(section.name.clone(), PreparedProducer { parts, fingerprint });
            }
            Err(why) => error(why),
        }
    }
    for section in &settings.active_directory {
        let authority: Vec<_> = section.ca.iter().collect();
        let digest = bind::digest(&authority);
        let fingerprint = ConfigFingerprint::ActiveDirectory(Box::new(section.clone()), digest);
        if running.get(&section.name).is_some_and(|e| e.prepared.fingerprint == fingerprint) {
            continue;
        }
        let learner = Arc::new(DirectoryWriter::new(section, directory.clone()));
        match ActiveDirectory::new(section, learner, clock.clone()) {
            Ok(directory) => {
                let parts = ProducerParts::ActiveDirectory(Arc::new(directory));
                prepared.insert(section.name.clone(), PreparedProducer { parts, fingerprint });
            }
            Err(why) => error(BindError::wrong(&section.name, &why)),
        }
    }
    for source in settings.event_log.iter().flat_map(Source::all) {
        let (name, fingerprint) =
            (source.name().clone(), ConfigFingerprint::EventLog(Box::new(source.clone())));
        if running.get(&name).is_none_or(|e| e.prepared.fingerprint != fingerprint) {
            let log = EventLog::new(source, clock.clone(), logs.clone());
            let parts = ProducerParts::EventLog(Arc::new(log));
            prepared.insert(name, PreparedProducer { parts, fingerprint });
        }
    }
    prepared
}

/// The names of those at work whom the settings do not know any more.
pub(super) fn gone(settings: &Settings, running: &RunningProducers) -> Vec<Name> {
    let syslog = settings.syslog.iter().map(|section| &section.name);
    let directories = settings.active_directory.iter().map(|section| &section.name);
    let logs = settings.event_log.iter().flat_map(|section| &section.sources);
    let logs = logs.map(|source| &source.name);
    let wanted: Vec<&Name> = syslog.chain(directories).chain(logs).collect();
    running.keys().filter(|name| !wanted.contains(name)).cloned().collect()
}

impl RunningProducer {
    /// Takes out of `directory` what only this one knows. What sessions say stays as it is.
    pub(super) async fn forget(&self, directory: &SharedDirectory) {
        if let Some(domain) = self.prepared.domain().cloned() {
            let directory = directory.clone();
            // It fails only when it panics: then the domain stays known, and nobody asks for it.
            let _ = tokio::task::spawn_blocking(move || directory.remove(&domain)).await;
        }
    }

    /// Whether `successor` reads the same directory: then what is known stays in force until it has
    /// read it.
    pub(super) fn reads_same_directory_as(&self, successor: &PreparedProducer) -> bool {
        self.prepared.domain() == successor.domain()
    }

    fn syslog(&self) -> Option<&Syslog> {
        match &self.prepared.parts {
            ProducerParts::Syslog(syslog) => Some(syslog),
            ProducerParts::ActiveDirectory(_) | ProducerParts::EventLog(_) => None,
        }
    }
}
