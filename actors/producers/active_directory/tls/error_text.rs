//! Error texts for failed TLS handshakes with domain controllers, written for administrators.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// The error text for a failed handshake.
pub(in super::super) fn handshake(why: &io::Error) -> String {
    let inner = why.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(why) => refusal(why),
        None if why.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the handshake: does it have a certificate?"
                .to_owned()
        }
        None => why.to_string(),
    }
}

fn refusal(why: &Error) -> String {
    match why {
        // The texts of the certificate verifier.
        Error::General(text) => text.clone(),
        Error::InvalidCertificate(why) => format!("the certificate {}", certificate(why)),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            "the server does not use TLS on this port: is it the LDAPS port?".to_owned()
        }
        Error::PeerIncompatible(_) => {
            "the server supports none of the parameters that Rollcall accepts: TLS 1.2 or 1.3 with \
             ECDHE and AES-GCM or ChaCha20"
                .to_owned()
        }
        Error::AlertReceived(alert) => {
            format!("the server rejected the handshake: {}", alert_text(*alert))
        }
        Error::NoCertificatesPresented => "the server sent no certificate".to_owned(),
        Error::DecryptError => "the data from the server was modified in transit".to_owned(),
        other => other.to_string(),
    }
}

/// The name of an alert (RFC 8446 section 6) in lower case: `HandshakeFailure` is "handshake
/// failure".
fn alert_text(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            "no TLS version or cipher suite in common with Rollcall".to_owned()
        }
        AlertDescription::CertificateRequired => {
            "it requires a client certificate, which Rollcall does not send".to_owned()
        }
        other => {
            let mut text = String::new();
            for letter in format!("{other:?}").chars() {
                if letter.is_uppercase() && !text.is_empty() {
                    text.push(' ');
                }
                text.extend(letter.to_lowercase());
            }
            text
        }
    }
}

/// The reason why a certificate is rejected, as a clause that follows its subject.
pub(super) fn certificate(why: &CertificateError) -> String {
    use CertificateError as E;
    let text = match why {
        E::UnknownIssuer => "is not signed by the authority in ca",
        E::BadSignature => "is not signed by its issuer",
        E::BadEncoding => "cannot be decoded",
        E::Expired => "has expired",
        E::NotValidYet => "is not valid yet",
        E::Revoked => "is revoked",
        E::NotValidForName => "is for another name",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "is not a server certificate",
        E::UnhandledCriticalExtension => "has a critical extension that Rollcall does not support",
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed with an algorithm that is not accepted, for example SHA-1"
        }
        E::ExpiredContext { not_after, .. } => {
            return format!("expired on {}", day(*not_after));
        }
        E::NotValidYetContext { not_before, .. } => {
            return format!("is not valid before {}: check both clocks", day(*not_before));
        }
        E::NotValidForNameContext { expected, presented } => {
            let presented: Vec<String> = presented.iter().map(|name| unwrapped(name)).collect();
            let presented = match presented.join(", ") {
                none if none.is_empty() => "no name".to_owned(),
                names => names,
            };
            return format!("is for {presented}, not for {}", expected.to_str());
        }
        _ => return format!("is rejected: {why}"),
    };
    text.to_owned()
}

/// The inner name of the rustls form `DnsName("dc1.example.com")`.
fn unwrapped(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}

/// The day of a time, in UTC.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let day =
        jiff::Timestamp::from_second(seconds).map(|time| time.strftime("%Y-%m-%d").to_string());
    day.unwrap_or_else(|_| format!("second {seconds} of the Unix time"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    fn text_of(why: Error) -> String {
        handshake(&io::Error::new(io::ErrorKind::InvalidData, why))
    }

    #[test]
    fn handshake_errors_name_the_cause_in_plain_text() {
        let time = |day: u64| UnixTime::since_unix_epoch(Duration::from_secs(day * 86_400));
        let expired =
            CertificateError::ExpiredContext { time: time(20_000), not_after: time(19_000) };
        assert_eq!(certificate(&expired), "expired on 2022-01-08");
        let expected = ServerName::try_from("dc1.example.com").unwrap().to_owned();
        let presented = vec!["DnsName(\"dc2.example.com\")".to_owned()];
        let other = CertificateError::NotValidForNameContext { expected, presented };
        assert_eq!(certificate(&other), "is for dc2.example.com, not for dc1.example.com");
        assert!(
            text_of(Error::AlertReceived(AlertDescription::ProtocolVersion)).contains("in common")
        );
        let alert = text_of(Error::AlertReceived(AlertDescription::InternalError));
        assert_eq!(alert, "the server rejected the handshake: internal error");
        let plain = text_of(Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
        assert!(plain.contains("does not use TLS"), "{plain}");
        assert_eq!(text_of(Error::General("our words".to_owned())), "our words");
        let closed = handshake(&io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
        assert!(closed.contains("during the handshake"), "{closed}");
    }
}
