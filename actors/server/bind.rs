//! Binding: the sockets and certificates of the HTTP listeners, the data folder, the journal and the
//! REST token.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{self as config, HttpLimits, JournalStorage, Settings, Tls};
use rollcall_http::listener::{BoundSockets, ListenerSpec, Routes};
use rollcall_http::rest::Token;
use rollcall_journal::{DurableJournal, JournalOptions};
use rollcall_producers::registration::{BindError, FileDigest, digest_files};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;
use rollcall_runtime::tls::telemetry::CertificateLoaded;
use rollcall_runtime::tls::{CertificateInfo, ClientAuth, SelfSigned, from_files};
use rustls::ServerConfig;

/// An HTTP listener that is bound.
#[derive(Clone)]
pub(super) struct BoundListener {
    pub(super) name: &'static str,
    bound: BoundSockets,
    limits: HttpLimits,
    tls: Option<Arc<ServerConfig>>,
    /// The built-in certificate. It is created or read when nothing else prevents the start.
    self_signed: Option<SelfSigned>,
    /// The file of the certificate.
    certificate: Option<PathBuf>,
    /// What the listener was bound from. A reload replaces the listener if it differs.
    fingerprint: ListenerFingerprint,
}

#[derive(Clone, PartialEq)]
struct ListenerFingerprint {
    listen: Vec<SocketAddr>,
    tls: Tls,
    limits: HttpLimits,
    certificate: FileDigest,
}

/// An address that the server listens on.
#[derive(Debug, Clone)]
pub struct ListenAddress {
    /// The name of the actor that listens.
    pub name: String,
    /// `udp`, `tcp`, `tls`, `http` or `https`.
    pub scheme: &'static str,
    /// The address, with the port that the system assigned if port 0 is configured.
    pub address: SocketAddr,
}

/// The HTTP listeners: enforcement points, validator and REST.
pub(super) struct BoundListeners {
    pub(super) enforcement: Option<BoundListener>,
    pub(super) validator: Option<BoundListener>,
    pub(super) rest: BoundListener,
}

impl BoundListeners {
    /// Binds the configured listeners. A socket whose address stays is taken over from `before`.
    /// `None` if a resource is unavailable; all errors are passed to `error`. Nothing on the disk
    /// changes.
    pub(super) fn bind(
        settings: &Settings,
        before: InheritedSockets<'_>,
        error: &mut impl FnMut(BindError),
    ) -> Option<Self> {
        let enforcement =
            BoundListener::enforcement(settings, before.enforcement).map_err(&mut *error);
        let validator = BoundListener::validator(settings, before.validator).map_err(&mut *error);
        let rest = BoundListener::rest(settings, before.rest).map_err(&mut *error);
        Some(Self { enforcement: enforcement.ok()?, validator: validator.ok()?, rest: rest.ok()? })
    }

    /// Creates or reads the built-in certificates, when nothing else prevents the start.
    ///
    /// # Errors
    /// When a certificate cannot be created or read.
    pub(super) fn load_certificates(self, clock: &Clock) -> Result<Self, BindError> {
        let Self { enforcement, validator, rest } = self;
        Ok(Self {
            enforcement: enforcement
                .map(|listener| listener.load_certificates(clock))
                .transpose()?,
            validator: validator.map(|listener| listener.load_certificates(clock)).transpose()?,
            rest: rest.load_certificates(clock)?,
        })
    }
}

/// The open listeners, whose sockets are taken over.
#[derive(Clone, Copy, Default)]
pub(super) struct InheritedSockets<'a> {
    pub(super) enforcement: Option<&'a BoundListener>,
    pub(super) validator: Option<&'a BoundListener>,
    pub(super) rest: Option<&'a BoundListener>,
}

impl BoundListener {
    /// The listener of the enforcement points; `None` if it is not configured.
    fn enforcement(settings: &Settings, before: Option<&Self>) -> Result<Option<Self>, BindError> {
        let section = &settings.enforcement;
        if section.listen.is_empty() {
            return Ok(None);
        }
        let (listen, limits) = (section.listen.clone(), section.limits.clone());
        Self::bind("enforcement", (listen, &section.tls, limits), &settings.data, before).map(Some)
    }

    /// The validator listener; `None` if it is not configured.
    fn validator(settings: &Settings, before: Option<&Self>) -> Result<Option<Self>, BindError> {
        let section = &settings.validator;
        if section.listen.is_empty() {
            return Ok(None);
        }
        let (listen, limits) = (section.listen.clone(), section.limits.clone());
        Self::bind("validator", (listen, &section.tls, limits), &settings.data, before).map(Some)
    }

    /// The REST listener.
    fn rest(settings: &Settings, before: Option<&Self>) -> Result<Self, BindError> {
        let section = &settings.rest;
        let (listen, limits) = (vec![section.listen], section.limits.clone());
        Self::bind("rest", (listen, &section.tls, limits), &settings.data, before)
    }

    fn bind(
        name: &'static str,
        (listen, tls, limits): (Vec<SocketAddr>, &Tls, HttpLimits),
        data: &Path,
        before: Option<&Self>,
    ) -> Result<Self, BindError> {
        let bound = BoundSockets::bind(&listen, before.map(|listener| &listener.bound))
            .map_err(|error| BindError::io(&name, &error))?;
        let mut fingerprint = ListenerFingerprint {
            tls: tls.clone(),
            limits: limits.clone(),
            certificate: FileDigest::default(),
            listen,
        };
        let (mut served, mut self_signed, mut file) = (None, None, None);
        match tls {
            Tls::Disabled => {}
            Tls::Files { certificate, key } => {
                let config = from_files(certificate, key, ClientAuth::Anonymous);
                served = Some(config.map_err(|error| BindError::tls(&name, &error))?);
                fingerprint.certificate = digest_files([certificate.as_path(), key.as_path()]);
                file = Some(certificate.clone());
            }
            Tls::BuiltInCa { names } => {
                self_signed = Some(SelfSigned::new(data, name, &fingerprint.listen, names));
            }
        }
        Ok(Self { name, bound, limits, tls: served, self_signed, certificate: file, fingerprint })
    }

    /// Creates the built-in certificate, or reads it if it is still valid. This changes files, and
    /// is therefore the last step of binding.
    pub(super) fn load_certificates(mut self, clock: &Clock) -> Result<Self, BindError> {
        if let Some(made) = &self.self_signed {
            let config = made.serve(clock.now());
            self.tls = Some(config.map_err(|error| BindError::tls(&self.name, &error))?);
            let [certificate, key] = made.files();
            self.fingerprint.certificate = digest_files([certificate.as_path(), key.as_path()]);
            self.certificate = Some(certificate);
        }
        if let Some(certificate) = &self.certificate {
            let read = CertificateInfo::read(certificate);
            let not_after = read.map_err(|error| BindError::tls(&self.name, &error))?.not_after;
            CertificateLoaded { listener: self.name, not_after, now: clock.now() }.emit();
        }
        Ok(self)
    }

    /// Whether both listeners were bound from the same settings and files.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    pub(super) fn listening(&self) -> Vec<ListenAddress> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let named = |address| ListenAddress { name: self.name.to_owned(), scheme, address };
        self.bound.addresses().unwrap_or_default().into_iter().map(named).collect()
    }

    /// The sockets and the specification of the listener actor.
    pub(super) fn spec(&self, routes: &Routes, drain: Duration) -> (BoundSockets, ListenerSpec) {
        let (name, limits) = (self.name, self.limits.clone());
        let (tls, routes) = (self.tls.clone(), Arc::clone(routes));
        (self.bound.clone(), ListenerSpec { name, limits, drain, tls, routes })
    }
}

/// The host names of the REST interface: those of the configuration and of its certificate.
pub(super) fn rest_hosts(settings: &Settings) -> Vec<String> {
    let mut names = settings.rest.host_names();
    if let Tls::Files { certificate, .. } = &settings.rest.tls
        && let Ok(certificate) = CertificateInfo::read(certificate)
    {
        names.extend(certificate.names);
    }
    names
}

/// Creates the data folder with mode 0700.
pub(super) fn make_folder(data: &Path) -> Result<(), BindError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    let what = format!("the data folder {}", data.display());
    made.map_err(|error| BindError::io(&what, &error))
}

/// Opens the journal; `None` if it is in memory.
pub(super) fn journal(
    section: &config::Journal,
    clock: &Clock,
) -> Result<Option<DurableJournal>, BindError> {
    if section.storage == JournalStorage::Memory {
        return Ok(None);
    }
    let terms = JournalOptions {
        segment_events: section.segment_events as u64,
        segment_age: section.segment_age,
        retention: section.retention,
        retention_bytes: section.retention_bytes as u64,
        names_retention: section.names_retention,
        snapshot_interval: section.checkpoint_interval,
    };
    let what = format!("the journal in {}", section.folder.display());
    let opened = DurableJournal::open(&section.folder, terms, clock.clone());
    opened.map(Some).map_err(|error| BindError::io(&what, &error))
}

/// Reads the REST token, and creates it at the first start.
pub(super) fn token(file: &Path) -> Result<Token, BindError> {
    Token::open(file).map_err(|error| BindError::io(&file.display(), &error))
}
