//! The registration of the PTIM producer.

use std::sync::Arc;

use rollcall_config::Settings;
use rollcall_identity::Name;

use super::{Ptim, PushSink};
use crate::Producer;
use crate::registration::{
    BindError, BoundProducer, ConfigFingerprint, ProducerContext, ProducerFactory, Registration,
};

/// There is one PTIM producer, enabled or not.
pub(crate) const REGISTRATION: Registration = Registration {
    section: "ptim",
    differs: |old, new| old.ptim != new.ptim,
    factories,
    apply: |_, _| {},
};

fn factories(settings: &Settings) -> Vec<Box<dyn ProducerFactory>> {
    vec![Box::new(PtimFactory(settings.ptim.name.clone()))]
}

struct PtimFactory(Name);

impl ProducerFactory for PtimFactory {
    fn name(&self) -> Name {
        self.0.clone()
    }

    /// Only the name: the enforcement listener applies the other keys without a restart.
    fn fingerprint(&self) -> ConfigFingerprint {
        ConfigFingerprint::new(self.0.clone(), [])
    }

    fn bind(
        &self,
        context: &ProducerContext,
        _: &[&dyn BoundProducer],
    ) -> Result<Arc<dyn BoundProducer>, BindError> {
        Ok(Arc::new(BoundPtim(Arc::new(Ptim::new(context.shared::<PushSink>())))))
    }
}

struct BoundPtim(Arc<Ptim>);

impl BoundProducer for BoundPtim {
    fn producer(&self) -> Arc<dyn Producer> {
        Arc::clone(&self.0) as _
    }

    fn uses_http_listener(&self) -> bool {
        true
    }
}
