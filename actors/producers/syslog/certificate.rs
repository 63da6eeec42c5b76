//! The names in the client certificate of a syslog sender.

use rustls::ServerConnection;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The DNS names of the subject's alternative names. The common name counts only if the certificate
/// has no alternative names at all (RFC 5425 section 5.2). The handshake has verified its chain.
/// Empty without a certificate.
pub(super) fn peer_names(connection: &ServerConnection) -> Vec<String> {
    let Some([certificate, ..]) = connection.peer_certificates() else { return Vec::new() };
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let dns: Vec<String> = alternative
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    if alternative.is_some() {
        return dns;
    }
    let common = certificate.subject().iter_common_name();
    common.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect()
}
