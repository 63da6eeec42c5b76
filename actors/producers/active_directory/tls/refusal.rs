//! Why there is no TLS with a domain controller, in the words of whoever has to mend it.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// What ended a handshake.
pub(in super::super) fn handshake(why: &io::Error) -> String {
    let inner = why.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(why) => refusal(why),
        None if why.kind() == io::ErrorKind::UnexpectedEof => {
            "the server ended the connection in the middle of the handshake: has it a certificate?"
                .to_owned()
        }
        None => why.to_string(),
    }
}

fn refusal(why: &Error) -> String {
    match why {
        // Our own words about a certificate.
        Error::General(words) => words.clone(),
        Error::InvalidCertificate(why) => format!("the certificate {}", certificate(why)),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            "what answers speaks no TLS: is this the port of LDAPS?".to_owned()
        }
        Error::PeerIncompatible(_) => {
            "the server offers nothing that Rollcall accepts: TLS 1.2 or 1.3 with ECDHE and AES-GCM \
             or ChaCha20"
                .to_owned()
        }
        Error::AlertReceived(alert) => format!("the server refuses: {}", spoken(*alert)),
        Error::NoCertificatesPresented => "the server shows no certificate".to_owned(),
        Error::DecryptError => "what the server sent was altered on its way".to_owned(),
        other => other.to_string(),
    }
}

/// The name of an alert (RFC 8446 section 6) as words: `HandshakeFailure` is "handshake failure".
fn spoken(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion => {
            "it has no version or cipher in common with Rollcall".to_owned()
        }
        AlertDescription::CertificateRequired => "it wants a certificate of Rollcall".to_owned(),
        other => {
            let mut words = String::new();
            for letter in format!("{other:?}").chars() {
                if letter.is_uppercase() && !words.is_empty() {
                    words.push(' ');
                }
                words.extend(letter.to_lowercase());
            }
            words
        }
    }
}

/// What is wrong with a certificate, as the end of a sentence that names it.
pub(super) fn certificate(why: &CertificateError) -> String {
    use CertificateError as E;
    let words = match why {
        E::UnknownIssuer => "is not signed by the authority in ca",
        E::BadSignature => "has a signature that is not of its issuer",
        E::BadEncoding => "cannot be read",
        E::Expired => "has expired",
        E::NotValidYet => "is not valid yet",
        E::Revoked => "is revoked",
        E::NotValidForName => "is for another name",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "is none of a server",
        E::UnhandledCriticalExtension => "demands what Rollcall does not know",
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that is not accepted, such as SHA-1"
        }
        E::ExpiredContext { not_after, .. } => {
            return format!("has expired on {}", day(*not_after));
        }
        E::NotValidYetContext { not_before, .. } => {
            return format!("is not valid before {}: are both clocks right?", day(*not_before));
        }
        E::NotValidForNameContext { expected, presented } => {
            let presented: Vec<String> = presented.iter().map(|name| shown(name)).collect();
            let presented = match presented.join(", ") {
                none if none.is_empty() => "no name".to_owned(),
                names => names,
            };
            return format!("is for {presented}, and not for {}", expected.to_str());
        }
        _ => return format!("is refused: {why}"),
    };
    words.to_owned()
}

/// A name as rustls writes it, `DnsName("dc1.example.com")`, without the wrapping.
fn shown(name: &str) -> String {
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

    fn told(why: Error) -> String {
        handshake(&io::Error::new(io::ErrorKind::InvalidData, why))
    }

    #[test]
    fn whoever_mends_it_reads_words() {
        let time = |day: u64| UnixTime::since_unix_epoch(Duration::from_secs(day * 86_400));
        let expired =
            CertificateError::ExpiredContext { time: time(20_000), not_after: time(19_000) };
        assert_eq!(certificate(&expired), "has expired on 2022-01-08");
        let expected = ServerName::try_from("dc1.example.com").unwrap().to_owned();
        let presented = vec!["DnsName(\"dc2.example.com\")".to_owned()];
        let other = CertificateError::NotValidForNameContext { expected, presented };
        assert_eq!(certificate(&other), "is for dc2.example.com, and not for dc1.example.com");
        assert!(
            told(Error::AlertReceived(AlertDescription::ProtocolVersion)).contains("in common")
        );
        let strange = told(Error::AlertReceived(AlertDescription::InternalError));
        assert_eq!(strange, "the server refuses: internal error");
        let plain = told(Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
        assert!(plain.contains("speaks no TLS"), "{plain}");
        assert_eq!(told(Error::General("our words".to_owned())), "our words");
        let ended = handshake(&io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
        assert!(ended.contains("in the middle of the handshake"), "{ended}");
    }
}
