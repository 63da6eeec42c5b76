//! The server certificate that Rollcall creates at its first start, and the built-in CA that signs it.
//!
//! An SRX verifies its server by a `ca-profile`. The administrator loads the CA certificate there once;
//! the server certificate can then be replaced without a change on the firewall. All keys are ECDSA P-256:
//! rustls with *ring* cannot create RSA keys, and every Junos with `identity-management` verifies ECDSA.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, date_time_ymd,
};
use rollcall_identity::Timestamp;
use rustls::ServerConfig;
use sha2::{Digest, Sha256};

use super::{ClientAuth, TlsError, from_files};
use crate::telemetry::TelemetryEvent;
use crate::tls::telemetry::OwnAddressesUnknown;

/// The location of the certificate, and the names that it must contain.
#[derive(Debug, Clone)]
pub struct SelfSigned {
    folder: PathBuf,
    listener: &'static str,
    names: BTreeSet<String>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The validity of a server certificate.
const LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);

/// A start within the last year of the validity creates a new one, so that it does not expire while the
/// server runs.
const RENEWAL: Duration = Duration::from_secs(365 * 24 * 3600);

/// The validity of the CA: longer than that of every certificate signed in the next ten years.
const LIFE_OF_AUTHORITY: Duration = Duration::from_secs(2 * 3650 * 24 * 3600);

/// The CA certificate in PEM, for the `ca-profile` of the firewalls.
pub fn authority_file(data: &Path) -> PathBuf {
    data.join("tls/authority.pem")
}

impl SelfSigned {
    /// A certificate for `listener` in the data folder, with the host name, `localhost`, the listen
    /// addresses (for a wildcard, all addresses of the host) and `names`.
    pub fn new(
        data: &Path,
        listener: &'static str,
        listen: &[SocketAddr],
        names: &[String],
    ) -> Self {
        let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let mut all: BTreeSet<String> = own.into_iter().chain(host_name()).collect();
        for ip in listen.iter().map(|socket| socket.ip().to_canonical()) {
            if ip.is_unspecified() {
                all.extend(addresses_of_host().iter().map(IpAddr::to_string));
            } else {
                all.insert(ip.to_string());
            }
        }
        all.extend(names.iter().cloned());
        Self { folder: data.join("tls"), listener, names: all }
    }

    /// Whether the certificate contains `server`, a host name or an address as configured on a firewall.
    /// Before the first start: whether the certificate would contain it.
    pub fn covers(&self, server: &str) -> bool {
        let same = |name: &str| match (name.parse::<IpAddr>(), server.parse::<IpAddr>()) {
            (Ok(one), Ok(other)) => one == other.to_canonical(),
            _ => name.eq_ignore_ascii_case(server),
        };
        match fs::read_to_string(self.file("pem")) {
            Ok(kept) => names_in(&kept).any(same),
            Err(_) => self.names.iter().map(String::as_str).any(same),
        }
    }

    /// The TLS configuration with the stored certificate. A new certificate is created if there is none,
    /// if it lacks a name, or if it expires within a year of `now`.
    ///
    /// # Errors
    /// When the folder cannot be written, or has other content.
    pub fn serve(&self, now: Timestamp) -> Result<Arc<ServerConfig>, TlsError> {
        if !self.is_good(now) {
            self.make(now)?;
        }
        from_files(&self.file("pem"), &self.file("key"), ClientAuth::Anonymous)
    }

    /// The files of the certificate with its chain, and of the key.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.file("pem"), self.file("key")]
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.listener))
    }

    /// Whether the lines before the certificate (allowed by RFC 7468 section 2) contain all names and an
    /// expiry that is far enough away.
    fn is_good(&self, now: Timestamp) -> bool {
        let Ok(text) = fs::read_to_string(self.file("pem")) else { return false };
        let line = |key| text.lines().find_map(|line: &str| line.strip_prefix(key));
        let expires = line("expires: ").and_then(|text| text.parse::<Timestamp>().ok());
        let named: BTreeSet<&str> = names_in(&text).collect();
        expires.is_some_and(|expires| expires > now + RENEWAL)
            && self.names.iter().all(|name| named.contains(name.as_str()))
            && self.file("key").exists()
    }

    fn make(&self, now: Timestamp) -> Result<(), TlsError> {
        let failed = |error: rcgen::Error| TlsError::new(&self.file("pem"), error);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| TlsError::new(&self.folder, error))?;
        let (authority, issuer) = self.authority(now)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let names: Vec<String> = self.names.iter().cloned().collect();
        let listed = names.join(" ");
        let mut params = CertificateParams::new(names).map_err(failed)?;
        valid(&mut params, now, LIFE);
        let common = self.names.iter().find(|name| name.parse::<IpAddr>().is_err());
        params.distinguished_name.push(DnType::CommonName, common.map_or("rollcall", |name| name));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?.pem();
        write(&self.file("key"), 0o600, &key.serialize_pem())?;
        let expires = now + LIFE;
        let chain = format!("names: {listed}\nexpires: {expires}\n{certificate}{authority}");
        write(&self.file("pem"), 0o644, &chain)
    }

    /// The CA certificate and its issuer; created if absent.
    fn authority(&self, now: Timestamp) -> Result<(String, Issuer<'static, KeyPair>), TlsError> {
        let (file, key_file) =
            (self.folder.join("authority.pem"), self.folder.join("authority.key"));
        let failed = |error: rcgen::Error| TlsError::new(&key_file, error);
        let kept = (fs::read_to_string(&file), fs::read_to_string(&key_file));
        if let (Ok(certificate), Ok(key)) = kept {
            let key = KeyPair::from_pem(&key).map_err(failed)?;
            return Ok((certificate, Issuer::new(params_of_authority(&key), key)));
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = params_of_authority(&key);
        valid(&mut params, now, LIFE_OF_AUTHORITY);
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        write(&key_file, 0o600, &key.serialize_pem())?;
        write(&file, 0o644, &certificate)?;
        Ok((certificate, Issuer::new(params, key)))
    }
}

/// The names that the lines before a certificate list.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().find_map(|line| line.strip_prefix("names: "));
    names.unwrap_or_default().split(' ')
}

/// The parameters of the CA. Its name contains the first bytes of the key hash, so that a firewall can
/// distinguish several CAs.
fn params_of_authority(key: &KeyPair) -> CertificateParams {
    let hash = Sha256::digest(key.subject_public_key_info());
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("Rollcall authority {hash}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Replaces a file atomically. The mode is set before the first byte is written.
fn write(file: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    let fresh = file.with_extension("new");
    let written = || {
        let _ = fs::remove_file(&fresh);
        let mut new =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&fresh, file)
    };
    written().map_err(|error: std::io::Error| TlsError::new(file, error))
}

/// Sets the validity: from one day ago, because clocks differ, for `life`.
fn valid(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let moment = |at: Timestamp| date_time_ymd(1970, 1, 1) + at.since(Timestamp::EPOCH);
    params.not_before = moment(now - DAY);
    params.not_after = moment(now + life);
}

fn host_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!name.is_empty() && name.chars().all(is_plain)).then(|| name.to_ascii_lowercase())
}

/// The addresses of all interfaces without link-local ones. Empty, with a log line, if the system does
/// not report them.
pub fn addresses_of_host() -> Vec<IpAddr> {
    let found = nix::ifaddrs::getifaddrs();
    let interfaces = found.inspect_err(|error| OwnAddressesUnknown { error: *error }.emit());
    let addresses = interfaces.into_iter().flatten().filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    let on_link = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    addresses.filter(|ip| !on_link(ip)).collect()
}
