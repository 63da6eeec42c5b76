//! The producers of the server: bound from the settings, and compared with the running ones at a
//! reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall_config::Settings;
use rollcall_identity::Name;
use rollcall_producers::registration::{
    BindError, BoundProducer, ConfigFingerprint, ProducerContext, ProducerFactory,
};
use rollcall_producers::remote::AccountGuard;
use rollcall_producers::{ProducerActor, REGISTRATIONS};
use rollcall_runtime::mailbox::Mailbox;

use super::bind::ListenAddress;

/// A producer that can start: its files are read and its sockets are bound.
#[derive(Clone)]
pub(super) struct PreparedProducer {
    pub(super) bound: Arc<dyn BoundProducer>,
    fingerprint: ConfigFingerprint,
}

/// A producer that is started.
pub(super) struct RunningProducer {
    pub(super) bound: Arc<dyn BoundProducer>,
    fingerprint: ConfigFingerprint,
    pub(super) mailbox: Mailbox<ProducerActor>,
}

/// The running producers, by name.
pub(super) type RunningProducers = BTreeMap<Name, RunningProducer>;

/// The configured producers that do not run yet, by name.
pub(super) type PreparedProducers = BTreeMap<Name, PreparedProducer>;

impl PreparedProducer {
    /// Its listeners.
    pub(super) fn listening(&self, name: &Name) -> Vec<ListenAddress> {
        let named = |(scheme, address)| ListenAddress { name: name.to_string(), scheme, address };
        self.bound.listening().into_iter().map(named).collect()
    }

    /// The started producer with `mailbox`.
    pub(super) fn running(self, mailbox: Mailbox<ProducerActor>) -> RunningProducer {
        RunningProducer { bound: self.bound, fingerprint: self.fingerprint, mailbox }
    }
}

/// Binds the configured producers that do not run, or run with another configuration. A socket
/// whose address stays is taken over. All errors are passed to `error`.
pub(super) fn prepare(
    settings: &Settings,
    context: &ProducerContext,
    running: &RunningProducers,
    mut error: impl FnMut(BindError),
) -> PreparedProducers {
    let bound: Vec<&dyn BoundProducer> = running.values().map(|one| &*one.bound).collect();
    let mut prepared = PreparedProducers::new();
    for factory in factories(settings) {
        let (name, fingerprint) = (factory.name(), factory.fingerprint());
        if running.get(&name).is_some_and(|one| one.fingerprint == fingerprint) {
            continue;
        }
        match factory.bind(context, &bound) {
            Ok(bound) => drop(prepared.insert(name, PreparedProducer { bound, fingerprint })),
            Err(why) => error(why),
        }
    }
    prepared
}

/// The names of the running producers that are not configured any more.
pub(super) fn removed(settings: &Settings, running: &RunningProducers) -> Vec<Name> {
    let wanted: Vec<Name> = factories(settings).map(|factory| factory.name()).collect();
    running.keys().filter(|name| !wanted.contains(name)).cloned().collect()
}

/// Applies what is configured for all producers of a kind together. A reload ends the pauses of refused
/// accounts.
pub(super) fn apply(settings: &Settings, context: &ProducerContext) {
    context.shared::<AccountGuard>().release_all();
    REGISTRATIONS.iter().for_each(|kind| (kind.apply)(settings, context));
}

fn factories(settings: &Settings) -> impl Iterator<Item = Box<dyn ProducerFactory>> {
    REGISTRATIONS.iter().flat_map(|kind| (kind.factories)(settings))
}
