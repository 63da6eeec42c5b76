//! TLS to domain controllers: their certificates are verified against the configured authority or
//! pins.

pub(super) mod error_text;

use std::sync::Arc;

use rollcall_config::{self as config, CertificatePin, DirectoryTransport};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::prelude::{FromDer, X509Certificate};

use rollcall_runtime::tls::{TlsError, certificates};

/// The TLS configuration of a directory; `None` without TLS.
pub(super) type Tls = Option<Arc<ClientConfig>>;

/// The TLS configuration for the servers of `settings`; `None` without TLS.
///
/// # Errors
/// When the `ca` file holds no valid certificate.
pub(super) fn client(settings: &config::ActiveDirectory) -> Result<Tls, TlsError> {
    if settings.transport == DirectoryTransport::Ldap {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authority = match &settings.ca {
        Some(file) => {
            let bad = |why: &dyn std::fmt::Display| TlsError::new(file, why);
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|why| bad(&why))?;
            }
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(builder.build().map_err(|why| bad(&why))?)
        }
        None => None,
    };
    let pins = settings.pins.clone();
    let verifier = Arc::new(Verifier { authority, pins, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("ring speaks both versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

/// Verifies the certificate of a server. Its errors name the subject and the issuer of a rejected
/// certificate.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<CertificatePin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest: [u8; 32] = Sha256::digest(leaf).into();
        if self.pins.contains(&CertificatePin(digest)) {
            return check_validity(leaf, now).map(|()| ServerCertVerified::assertion());
        }
        let Some(authority) = &self.authority else {
            return Err(rejected(leaf, "does not match any pin"));
        };
        let verified = authority.verify_server_cert(leaf, intermediates, name, ocsp, now);
        verified.map_err(|why| match why {
            Error::InvalidCertificate(why) => rejected(leaf, &error_text::certificate(&why)),
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies the validity period, which also applies to pinned certificates.
fn check_validity(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return Err(Error::General("the pinned certificate cannot be decoded".to_owned()));
    };
    let validity = certificate.validity();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now) {
        return Ok(());
    }
    let (from, to) = (validity.not_before, validity.not_after);
    Err(rejected(leaf, &format!("matches a pin but is valid only from {from} to {to}")))
}

fn rejected(leaf: &CertificateDer<'_>, why: &str) -> Error {
    let named = match X509Certificate::from_der(leaf) {
        Ok((_, found)) => {
            format!("the certificate of {}, issued by {},", found.subject(), found.issuer())
        }
        Err(_) => "a certificate that cannot be decoded".to_owned(),
    };
    Error::General(format!("{named} {why}"))
}

/// The channel bindings that bind an authentication to its TLS connection: tls-server-end-point
/// (RFC 5929 section 4.1), encoded as SEC_CHANNEL_BINDINGS for SSPI.
pub(super) fn channel_bindings(leaf: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    // The hash of the signature algorithm. SHA-256 replaces MD5 and SHA-1, and is used for
    // algorithms without a separate hash.
    let hash = match algorithm.as_str() {
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(leaf).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(leaf).to_vec(),
        _ => Sha256::digest(leaf).to_vec(),
    };
    let data = [b"tls-server-end-point:".as_slice(), &hash].concat();
    // Eight numbers of four bytes: no addresses, then the length and the offset of the data.
    let mut encoded = vec![0; 32];
    encoded[24..28].copy_from_slice(&u32::try_from(data.len()).ok()?.to_le_bytes());
    encoded[28..32].copy_from_slice(&32u32.to_le_bytes());
    encoded.extend(data);
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verifier(pins: Vec<CertificatePin>) -> Verifier {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Verifier { authority: None, pins, provider }
    }

    #[test]
    fn a_pinned_certificate_is_accepted_while_valid_and_another_is_rejected_by_name() {
        let mut params = rcgen::CertificateParams::new(vec!["dc1.example.com".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "dc1");
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pin = CertificatePin(Sha256::digest(certificate.der()).into());
        let name = ServerName::try_from("dc1.example.com").unwrap();
        let verify = |verifier: &Verifier, year: u64| {
            let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600));
            let verified = verifier.verify_server_cert(certificate.der(), &[], &name, &[], now);
            verified.map(drop).map_err(|why| why.to_string())
        };
        assert_eq!(verify(&verifier(vec![pin]), 2027), Ok(()));
        let expired = verify(&verifier(vec![pin]), 2031).unwrap_err();
        assert!(expired.contains("valid only from"), "{expired}");
        let unpinned = verify(&verifier(vec![CertificatePin([0; 32])]), 2027).unwrap_err();
        assert!(
            unpinned.contains("CN=dc1") && unpinned.contains("not match any pin"),
            "{unpinned}"
        );
    }

    #[test]
    fn channel_bindings_hold_the_hash_of_the_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["dc1".into()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let bindings = channel_bindings(certificate.der()).unwrap();
        assert_eq!(&bindings[32..53], b"tls-server-end-point:");
        // rcgen signs with ECDSA and SHA-256.
        assert_eq!(bindings[53..], Sha256::digest(certificate.der())[..]);
        assert_eq!(bindings[24..32], [53, 0, 0, 0, 32, 0, 0, 0]);
    }
}
