//! The registration of syslog producers.

use std::any::Any;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rollcall_config::{self as config, Settings};
use rollcall_identity::Name;
use rollcall_runtime::telemetry::TelemetryEvent;
use rollcall_runtime::tls::telemetry::CertificateLoaded;
use rollcall_runtime::tls::{CertificateInfo, ClientAuth, from_files};

use super::Syslog;
use crate::Producer;
use crate::registration::{
    BindError, BoundProducer, ConfigFingerprint, ProducerContext, ProducerFactory, Registration,
};

/// One producer for each `[[syslog]]`.
pub(crate) const REGISTRATION: Registration = Registration {
    section: "syslog",
    differs: |old, new| old.syslog != new.syslog,
    factories,
    apply: |_, _| {},
};

fn factories(settings: &Settings) -> Vec<Box<dyn ProducerFactory>> {
    settings.syslog.iter().map(|section| Box::new(SyslogFactory(section.clone())) as _).collect()
}

struct SyslogFactory(config::Syslog);

impl ProducerFactory for SyslogFactory {
    fn name(&self) -> Name {
        self.0.name.clone()
    }

    fn fingerprint(&self) -> ConfigFingerprint {
        let tls = self.0.tls.iter();
        let files: Vec<&Path> = tls
            .flat_map(|tls| [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()])
            .flatten()
            .map(|path| path.as_path())
            .collect();
        ConfigFingerprint::new(self.0.clone(), files)
    }

    fn bind(
        &self,
        context: &ProducerContext,
        running: &[&dyn BoundProducer],
    ) -> Result<Arc<dyn BoundProducer>, BindError> {
        let section = &self.0;
        let tls = section.tls.as_ref().map(|tls| {
            let clients =
                tls.client_ca.as_deref().map_or(ClientAuth::Anonymous, ClientAuth::Certified);
            from_files(&tls.certificate, &tls.key, clients)
        });
        let tls = tls.transpose().map_err(|error| BindError::tls(&section.name, &error))?;
        if let Some(files) = &section.tls {
            let certificate = CertificateInfo::read(&files.certificate)
                .map_err(|error| BindError::tls(&section.name, &error))?;
            let (listener, now) = (section.name.as_str(), context.clock.now());
            CertificateLoaded { listener, not_after: certificate.not_after, now }.emit();
        }
        let running = running.iter().filter_map(|bound| {
            let bound: &dyn Any = *bound;
            bound.downcast_ref::<BoundSyslog>().map(|bound| &*bound.0)
        });
        let running: Vec<&Syslog> = running.collect();
        let bound = Syslog::bind(section, tls, context.clock.clone(), &running);
        let bound = bound.map_err(|error| BindError::io(&section.name, &error))?;
        Ok(Arc::new(BoundSyslog(Arc::new(bound))))
    }
}

struct BoundSyslog(Arc<Syslog>);

impl BoundProducer for BoundSyslog {
    fn producer(&self) -> Arc<dyn Producer> {
        Arc::clone(&self.0) as _
    }

    fn listening(&self) -> Vec<(&'static str, SocketAddr)> {
        self.0.listening()
    }
}
