//! What a certificate file says: the names of the server, and until when they are certified.

use std::path::Path;

use rollcall_identity::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{TlsError, certificates};

/// The first certificate of a PEM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The DNS names of the subject's alternative names.
    pub names: Vec<String>,
    /// The end of its validity.
    pub not_after: Timestamp,
}

impl CertificateInfo {
    /// Reads the first certificate of the PEM file `file`.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub fn read(file: &Path) -> Result<Self, TlsError> {
        let chain = certificates(file)?;
        let first = chain.first().ok_or_else(|| TlsError::new(file, "holds no certificate"))?;
        let (_, certificate) = X509Certificate::from_der(first)
            .map_err(|error| TlsError::new(file, format!("holds no X.509 certificate: {error}")))?;
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let seconds = certificate.validity().not_after.timestamp();
        let not_after = Timestamp::from_millis(seconds.saturating_mul(1000));
        Ok(Self { names: names.collect(), not_after })
    }
}
