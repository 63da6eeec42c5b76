//! TLS 1.2 and 1.3 for all listeners, with a certificate of the administrator or a self-signed one.
//!
//! HTTP/2 is not negotiated: the SRX uses HTTP/1.1, and an absent protocol cannot be flooded.

mod certificate;
mod self_signed;
pub mod telemetry;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

pub use certificate::CertificateInfo;
pub use self_signed::{SelfSigned, addresses_of_host, authority_file};

/// Why a listener cannot use TLS. It names the file and never shows its content.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", .file.display())]
pub struct TlsError {
    /// The file.
    pub file: PathBuf,
    /// The cause.
    pub why: String,
}

impl TlsError {
    /// An error of `file`.
    pub fn new(file: &Path, why: impl Display) -> Self {
        Self { file: file.to_owned(), why: why.to_string() }
    }
}

/// Which clients are accepted.
#[derive(Debug, Clone, Copy)]
pub enum ClientAuth<'a> {
    /// All clients. They authenticate by other means.
    Anonymous,
    /// Clients with a certificate of a CA in this PEM file.
    Certified(&'a Path),
}

/// Loads a certificate with its chain and key from PEM files.
///
/// # Errors
/// When a file cannot be read, or the key does not belong to the certificate.
pub fn from_files(
    certificate: &Path,
    key: &Path,
    clients: ClientAuth<'_>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::new(key, format!("holds no private key: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| TlsError::new(certificate, error))?;
    let builder = match clients {
        ClientAuth::Anonymous => builder.with_no_client_auth(),
        ClientAuth::Certified(authority) => {
            builder.with_client_cert_verifier(verifier(authority, provider)?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, private)
        .map_err(|error| TlsError::new(certificate, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if matches!(clients, ClientAuth::Certified(_)) {
        // Only syslog requires client certificates, and RFC 5425 does not use ALPN.
        config.alpn_protocols.clear();
    }
    Ok(Arc::new(config))
}

/// Reads the certificates of a PEM file.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error: rustls::pki_types::pem::Error| TlsError::new(file, error);
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect();
    let chain = chain.map_err(unreadable)?;
    if chain.is_empty() {
        return Err(TlsError::new(file, "holds no certificate"));
    }
    Ok(chain)
}

fn verifier(
    authority: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|error| TlsError::new(authority, error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| TlsError::new(authority, error))
}

#[cfg(test)]
mod tests;
