//! The registration of event log producers.

use std::sync::Arc;

use rollcall_config::Settings;
use rollcall_identity::Name;

use super::{EventLog, EventLogs, Source};
use crate::Producer;
use crate::registration::{
    BindError, BoundProducer, ConfigFingerprint, ProducerContext, ProducerFactory, Registration,
};

/// One producer for each server of each `[[event_log]]`.
pub(crate) const REGISTRATION: Registration = Registration {
    section: "event_log",
    differs: |old, new| old.event_log != new.event_log,
    factories,
    apply: |_, _| {},
};

fn factories(settings: &Settings) -> Vec<Box<dyn ProducerFactory>> {
    let sources = settings.event_log.iter().flat_map(Source::all);
    sources.map(|source| Box::new(EventLogFactory(source)) as _).collect()
}

struct EventLogFactory(Source);

impl ProducerFactory for EventLogFactory {
    fn name(&self) -> Name {
        self.0.name().clone()
    }

    fn fingerprint(&self) -> ConfigFingerprint {
        ConfigFingerprint::new(self.0.clone(), [])
    }

    fn bind(
        &self,
        context: &ProducerContext,
        _: &[&dyn BoundProducer],
    ) -> Result<Arc<dyn BoundProducer>, BindError> {
        let (logs, accounts) = (context.shared::<EventLogs>(), context.shared());
        let log = EventLog::new(self.0.clone(), context.clock.clone(), logs.clone(), &accounts);
        Ok(Arc::new(BoundEventLog { log: Arc::new(log), logs }))
    }
}

struct BoundEventLog {
    log: Arc<EventLog>,
    logs: EventLogs,
}

impl BoundProducer for BoundEventLog {
    fn producer(&self) -> Arc<dyn Producer> {
        Arc::clone(&self.log) as _
    }

    fn register(&self, _: &Name) {
        self.logs.put(&self.log);
    }

    fn unregister(&self, name: &Name) {
        self.logs.remove(name);
    }
}
