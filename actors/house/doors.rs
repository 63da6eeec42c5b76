//! What opens to the outside: sockets that are bound before anything runs and kept over a reload,
//! and the certificates that they show.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{self as config, HttpLimits, Settings, Tls};
use rustls::ServerConfig;
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::listener::{Bound, Plan, Routes};
use crate::producers::syslog::Syslog;
use crate::tls::{Clients, SelfMade, from_files};

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
    ) -> Result<Option<Self>, String> {
        let section = &settings.enforcement;
        if section.listen.is_empty() {
            return Ok(None);
        }
        let (listen, limits) = (section.listen.clone(), section.limits.clone());
        Self::bind("enforcement", (listen, &section.tls, limits), (&settings.data, clock), before)
            .map(Some)
    }

    /// The door of the administrators.
    pub(super) fn rest(
        settings: &Settings,
        clock: &Clock,
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let section = &settings.rest;
        let (listen, limits) = (vec![section.listen], section.limits.clone());
        Self::bind("rest", (listen, &section.tls, limits), (&settings.data, clock), before)
    }

    fn bind(
        name: &'static str,
        (listen, tls, limits): (Vec<SocketAddr>, &Tls, HttpLimits),
        (data, clock): (&Path, &Clock),
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let bound = match before {
            Some(door) if door.stamp.listen == listen => door.bound.clone(),
            _ => Bound::bind(&listen).map_err(|error| format!("{name}: {error}"))?,
        };
        let bad = |error| format!("{name}: {error}");
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

/// A syslog producer, on the sockets of the one before where the addresses stay.
pub(super) fn syslog(
    section: &config::Syslog,
    clock: &Clock,
    before: Option<&Syslog>,
) -> Result<Syslog, String> {
    let tls = section.tls.as_ref().map(|tls| {
        let clients = tls.client_ca.as_deref().map_or(Clients::Anonymous, Clients::Certified);
        from_files(&tls.certificate, &tls.key, clients)
    });
    let tls = tls.transpose().map_err(|error| format!("{}: {error}", section.name))?;
    let bound = Syslog::bind(section, tls, clock.clone(), before);
    bound.map_err(|error| format!("{}: {error}", section.name))
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
fn digest(files: &[&PathBuf]) -> Certificate {
    let mut digest = Sha256::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap_or_default();
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    }
    digest.finalize().into()
}

/// Makes the data folder, closed to others.
pub(super) fn make_folder(data: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| format!("the data folder {}: {error}", data.display()))
}
