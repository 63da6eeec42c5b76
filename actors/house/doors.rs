//! What opens to the outside: sockets that are bound before anything runs and kept over a reload,
//! and the certificates that they show.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{self as config, HttpLimits, JournalKind, Settings, Tls};
use rustls::ServerConfig;
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::journal::{DurableJournal, Terms};
use crate::listener::{Bound, Plan, Routes};
use crate::producers::syslog::Syslog;
use crate::rest::Token;
use crate::tls::{BadTls, Clients, SelfMade, from_files};

/// Something that the house needs and cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The configuration names what is not good: the same start would fail again.
    #[error("{0}")]
    Wrong(String),
    /// The system does not give it now, such as an address that another process has.
    #[error("{0}")]
    Withheld(String),
}

impl Obstacle {
    fn of(who: &dyn std::fmt::Display, error: &io::Error) -> Self {
        let text = format!("{who}: {error}");
        match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Self::Wrong(text),
            _ => Self::Withheld(text),
        }
    }

    pub(super) fn wrong(who: &dyn std::fmt::Display, error: &BadTls) -> Self {
        Self::Wrong(format!("{who}: {error}"))
    }
}

/// An HTTP listener that is bound.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) name: &'static str,
    bound: Bound,
    limits: HttpLimits,
    tls: Option<Arc<ServerConfig>>,
    /// What the listener was made from; another stamp needs another listener.
    stamp: Stamp,
}

#[derive(Clone, PartialEq)]
struct Stamp {
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
pub struct Listening {
    /// The name of the actor that listens.
    pub name: String,
    /// `udp`, `tcp`, `tls`, `http` or `https`.
    pub scheme: &'static str,
    /// Where, with the port that the system gave when 0 was asked for.
    pub address: SocketAddr,
}

impl Door {
    /// The door of the firewalls; `None` when none is configured.
    pub(super) fn enforcement(
        settings: &Settings,
        clock: &Clock,
        before: Option<&Self>,
    ) -> Result<Option<Self>, Obstacle> {
        let section = &settings.enforcement;
        if section.listen.is_empty() {
            return Ok(None);
        }
        let (listen, limits) = (section.listen.clone(), section.limits.clone());
        Self::bind("enforcement", (listen, &section.tls, limits), (&settings.data, clock), before)
            .map(Some)
    }

    /// The door of those who validate; `None` when none is configured.
    pub(super) fn validator(
        settings: &Settings,
        clock: &Clock,
        before: Option<&Self>,
    ) -> Result<Option<Self>, Obstacle> {
        let section = &settings.validator;
        if section.listen.is_empty() {
            return Ok(None);
        }
        let (listen, limits) = (section.listen.clone(), section.limits.clone());
        Self::bind("validator", (listen, &section.tls, limits), (&settings.data, clock), before)
            .map(Some)
    }

    /// The door of the administrators.
    pub(super) fn rest(
        settings: &Settings,
        clock: &Clock,
        before: Option<&Self>,
    ) -> Result<Self, Obstacle> {
        let section = &settings.rest;
        let (listen, limits) = (vec![section.listen], section.limits.clone());
        Self::bind("rest", (listen, &section.tls, limits), (&settings.data, clock), before)
    }

    fn bind(
        name: &'static str,
        (listen, tls, limits): (Vec<SocketAddr>, &Tls, HttpLimits),
        (data, clock): (&Path, &Clock),
        before: Option<&Self>,
    ) -> Result<Self, Obstacle> {
        let bound = Bound::bind(&listen, before.map(|door| &door.bound))
            .map_err(|error| Obstacle::of(&name, &error))?;
        let bad = |error| Obstacle::wrong(&name, &error);
        let config = match tls {
            Tls::Plain => None,
            Tls::Files { certificate, key } => {
                Some(from_files(certificate, key, Clients::Anonymous).map_err(bad)?)
            }
            Tls::SelfMade { names } => {
                Some(SelfMade::new(data, name, &listen, names).serve(clock.now()).map_err(bad)?)
            }
        };
        let certificate = match tls {
            Tls::Files { certificate, key } => digest(&[certificate, key]),
            Tls::SelfMade { .. } | Tls::Plain => Certificate::default(),
        };
        let stamp = Stamp { listen, tls: tls.clone(), limits: limits.clone(), certificate };
        Ok(Self { name, bound, limits, tls: config, stamp })
    }

    /// Whether a listener made from `other` would do the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.stamp == other.stamp
    }

    pub(super) fn listening(&self) -> Vec<Listening> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let named = |address| Listening { name: self.name.to_owned(), scheme, address };
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
) -> Result<Syslog, Obstacle> {
    let tls = section.tls.as_ref().map(|tls| {
        let clients = tls.client_ca.as_deref().map_or(Clients::Anonymous, Clients::Certified);
        from_files(&tls.certificate, &tls.key, clients)
    });
    let tls = tls.transpose().map_err(|error| Obstacle::wrong(&section.name, &error))?;
    let bound = Syslog::bind(section, tls, clock.clone(), before);
    bound.map_err(|error| Obstacle::of(&section.name, &error))
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
pub(super) fn make_folder(data: &Path) -> Result<(), Obstacle> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    let who = format!("the data folder {}", data.display());
    made.map_err(|error| Obstacle::of(&who, &error))
}

/// Takes the folder of a journal on disk; `None` for one in memory.
pub(super) fn journal(
    section: &config::Journal,
    clock: &Clock,
) -> Result<Option<DurableJournal>, Obstacle> {
    if section.kind == JournalKind::Memory {
        return Ok(None);
    }
    let terms = Terms {
        segment_events: section.segment_events as u64,
        segment_age: section.segment_age,
        retention: section.retention,
        retention_bytes: section.retention_bytes as u64,
        names_retention: section.names_retention,
        snapshot_interval: section.snapshot_interval,
    };
    let who = format!("the journal in {}", section.folder.display());
    let opened = DurableJournal::open(&section.folder, terms, clock.clone());
    opened.map(Some).map_err(|error| Obstacle::of(&who, &error))
}

/// Opens the administrators' token, and makes it at a first start.
pub(super) fn token(file: &Path) -> Result<Token, Obstacle> {
    Token::open(file).map_err(|error| Obstacle::of(&file.display(), &error))
}
