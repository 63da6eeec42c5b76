//! What opens to the outside: sockets that are bound before anything runs and kept over a reload,
//! and the certificates that they show.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{self as config, HttpLimits, JournalStorage, Settings, Tls};
use rustls::ServerConfig;
use sha2::{Digest, Sha256};

use rollcall_http::listener::{Bound, Plan, Routes};
use rollcall_http::rest::Token;
use rollcall_journal::{DurableJournal, JournalOptions};
use rollcall_producers::syslog::Syslog;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::tls::{ClientAuth, SelfSigned, TlsError, from_files};

/// Something that the server needs and cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The configuration names what is not good: the same start would fail again.
    #[error("{0}")]
    Config(String),
    /// The system does not give it now, such as an address that another process has.
    #[error("{0}")]
    Unavailable(String),
}

impl BindError {
    fn of(who: &dyn std::fmt::Display, error: &io::Error) -> Self {
        let text = format!("{who}: {error}");
        match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Self::Config(text),
            _ => Self::Unavailable(text),
        }
    }

    pub(super) fn wrong(who: &dyn std::fmt::Display, error: &TlsError) -> Self {
        Self::Config(format!("{who}: {error}"))
    }
}

/// An HTTP listener that is bound.
#[derive(Clone)]
pub(super) struct BoundListener {
    pub(super) name: &'static str,
    bound: Bound,
    limits: HttpLimits,
    tls: Option<Arc<ServerConfig>>,
    /// The certificate that is made or read once it is sure that the listener will open.
    self_made: Option<SelfSigned>,
    /// What the listener was made from; another stamp needs another listener.
    stamp: ListenerFingerprint,
}

#[derive(Clone, PartialEq)]
struct ListenerFingerprint {
    listen: Vec<SocketAddr>,
    tls: Tls,
    limits: HttpLimits,
    certificate: Certificate,
}

/// A digest of the files that a certificate and its key were read from: a reload notices that they
/// were exchanged.
pub(super) type Certificate = [u8; 32];

/// One address that is listened on.
#[derive(Debug, Clone)]
pub struct ListenAddress {
    /// The name of the actor that listens.
    pub name: String,
    /// `udp`, `tcp`, `tls`, `http` or `https`.
    pub scheme: &'static str,
    /// Where, with the port that the system gave when 0 was asked for.
    pub address: SocketAddr,
}

/// The listeners of a server: of the firewalls, of those who validate, and of the administrators.
pub(super) struct BoundListeners {
    pub(super) enforcement: Option<BoundListener>,
    pub(super) validator: Option<BoundListener>,
    pub(super) rest: BoundListener,
}

impl BoundListeners {
    /// Binds what the settings want, on the sockets of `before` where the addresses stay; `None`
    /// when anything cannot be had, which is told to `error`. Nothing on the disk is changed.
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

    /// Makes or reads the certificates that Rollcall makes for itself, once nothing else is in the
    /// way.
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

/// The listeners that are open.
#[derive(Clone, Copy, Default)]
pub(super) struct InheritedSockets<'a> {
    pub(super) enforcement: Option<&'a BoundListener>,
    pub(super) validator: Option<&'a BoundListener>,
    pub(super) rest: Option<&'a BoundListener>,
}

impl BoundListener {
    /// The listener of the firewalls; `None` when none is configured.
    fn enforcement(settings: &Settings, before: Option<&Self>) -> Result<Option<Self>, BindError> {
        let section = &settings.enforcement;
        if section.listen.is_empty() {
            return Ok(None);
        }
        let (listen, limits) = (section.listen.clone(), section.limits.clone());
        Self::bind("enforcement", (listen, &section.tls, limits), &settings.data, before).map(Some)
    }

    /// The listener of those who validate; `None` when none is configured.
    fn validator(settings: &Settings, before: Option<&Self>) -> Result<Option<Self>, BindError> {
        let section = &settings.validator;
        if section.listen.is_empty() {
            return Ok(None);
        }
        let (listen, limits) = (section.listen.clone(), section.limits.clone());
        Self::bind("validator", (listen, &section.tls, limits), &settings.data, before).map(Some)
    }

    /// The listener of the administrators.
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
        let bound = Bound::bind(&listen, before.map(|listener| &listener.bound))
            .map_err(|error| BindError::of(&name, &error))?;
        let mut stamp = ListenerFingerprint {
            tls: tls.clone(),
            limits: limits.clone(),
            certificate: Certificate::default(),
            listen,
        };
        let (mut served, mut self_made) = (None, None);
        match tls {
            Tls::Disabled => {}
            Tls::Files { certificate, key } => {
                let config = from_files(certificate, key, ClientAuth::Anonymous);
                served = Some(config.map_err(|error| BindError::wrong(&name, &error))?);
                stamp.certificate = digest(&[certificate, key]);
            }
            Tls::BuiltInCa { names } => {
                self_made = Some(SelfSigned::new(data, name, &stamp.listen, names));
            }
        }
        Ok(Self { name, bound, limits, tls: served, self_made, stamp })
    }

    /// Makes the certificate that Rollcall makes for itself, or reads it where the one that is kept
    /// is good: the only thing about a listener that changes what is on the disk, and therefore done
    /// last.
    pub(super) fn load_certificates(mut self, clock: &Clock) -> Result<Self, BindError> {
        if let Some(made) = &self.self_made {
            let config = made.serve(clock.now());
            self.tls = Some(config.map_err(|error| BindError::wrong(&self.name, &error))?);
            let [certificate, key] = made.files();
            self.stamp.certificate = digest(&[&certificate, &key]);
        }
        Ok(self)
    }

    /// Whether a listener made from `other` would do the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.stamp == other.stamp
    }

    pub(super) fn listening(&self) -> Vec<ListenAddress> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let named = |address| ListenAddress { name: self.name.to_owned(), scheme, address };
        self.bound.addresses().unwrap_or_default().into_iter().map(named).collect()
    }

    /// What the listener is made of.
    pub(super) fn plan(&self, routes: &Routes, drain: Duration) -> (Bound, Plan) {
        let (name, limits) = (self.name, self.limits.clone());
        let (tls, routes) = (self.tls.clone(), Arc::clone(routes));
        (self.bound.clone(), Plan { name, limits, drain, tls, routes })
    }
}

/// A syslog producer, on the sockets of those before where the addresses stay.
pub(super) fn syslog(
    section: &config::Syslog,
    clock: &Clock,
    before: &[&Syslog],
) -> Result<Syslog, BindError> {
    let tls = section.tls.as_ref().map(|tls| {
        let clients = tls.client_ca.as_deref().map_or(ClientAuth::Anonymous, ClientAuth::Certified);
        from_files(&tls.certificate, &tls.key, clients)
    });
    let tls = tls.transpose().map_err(|error| BindError::wrong(&section.name, &error))?;
    let bound = Syslog::bind(section, tls, clock.clone(), before);
    bound.map_err(|error| BindError::of(&section.name, &error))
}

/// The digest of what a syslog producer's certificate is read from.
pub(super) fn certificate(section: &config::Syslog) -> Certificate {
    let Some(tls) = &section.tls else { return Certificate::default() };
    let authority = tls.client_ca.as_ref();
    let files: Vec<_> = [&tls.certificate, &tls.key].into_iter().chain(authority).collect();
    digest(&files)
}

/// The digest of some files; one that cannot be read counts as empty, and is complained of by
/// whoever needs it.
pub(super) fn digest(files: &[&PathBuf]) -> Certificate {
    let mut digest = Sha256::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap_or_default();
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    }
    digest.finalize().into()
}

/// Makes the data folder, closed to others.
pub(super) fn make_folder(data: &Path) -> Result<(), BindError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    let who = format!("the data folder {}", data.display());
    made.map_err(|error| BindError::of(&who, &error))
}

/// Takes the folder of a journal on disk; `None` for one in memory.
pub(super) fn journal(
    section: &config::Journal,
    clock: &Clock,
) -> Result<Option<DurableJournal>, BindError> {
    if section.kind == JournalStorage::Memory {
        return Ok(None);
    }
    let terms = JournalOptions {
        segment_events: section.segment_events as u64,
        segment_age: section.segment_age,
        retention: section.retention,
        retention_bytes: section.retention_bytes as u64,
        names_retention: section.names_retention,
        snapshot_interval: section.snapshot_interval,
    };
    let who = format!("the journal in {}", section.folder.display());
    let opened = DurableJournal::open(&section.folder, terms, clock.clone());
    opened.map(Some).map_err(|error| BindError::of(&who, &error))
}

/// Opens the administrators' token, and makes it at a first start.
pub(super) fn token(file: &Path) -> Result<Token, BindError> {
    Token::open(file).map_err(|error| BindError::of(&file.display(), &error))
}
