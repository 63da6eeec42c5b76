//! The exchange with a Kerberos KDC over TCP (RFC 4120 section 7.2.2), and its verdict on an account.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use picky_krb::constants::error_codes as code;
use picky_krb::messages::KrbError;
use sspi::generator::NetworkRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::remote::connect;

/// The maximum length of a response in bytes. A ticket with the groups of an account has less than
/// 64 KiB.
const MAX_RESPONSE: usize = 1 << 20;

/// The port of Kerberos on a domain controller.
pub(crate) const KERBEROS_PORT: u16 = 88;

/// The first byte of an AS-REP: application tag 11 (RFC 4120 section 5.4.2).
const AS_REP_TAG: u8 = 0x6b;

/// A KDC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kdc {
    /// Its address and port.
    pub(crate) address: SocketAddr,
    /// The timeout for connecting and for each response.
    pub(crate) timeout: Duration,
}

/// What a KDC said about the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KdcVerdict {
    /// Nothing yet.
    #[default]
    None,
    /// The password is correct: it issued a ticket.
    Accepted,
    /// The account cannot log on.
    Refused(&'static str),
}

impl Kdc {
    /// Sends `request` and returns the response, both with their length before them.
    ///
    /// # Errors
    /// The error of the connection, with the address of the KDC.
    pub(crate) async fn exchange(self, request: &NetworkRequest) -> Result<Vec<u8>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("KDC {}: {error}", self.address);
        let exchange = async {
            let mut stream = connect(self.address, self.timeout).await?;
            stream.write_all(&request.data).await?;
            let mut response = vec![0; 4];
            stream.read_exact(&mut response).await?;
            let length = [response[0], response[1], response[2], response[3]];
            let length = u32::from_be_bytes(length) as usize;
            if length > MAX_RESPONSE {
                return Err(io::Error::other("the response is longer than 1 MiB"));
            }
            response.resize(4 + length, 0);
            stream.read_exact(&mut response[4..]).await?;
            Ok(response)
        };
        match timeout(self.timeout, exchange).await {
            Ok(response) => response.map_err(|error| failed(&error)),
            Err(_) => Err(failed(&"no response in time")),
        }
    }
}

impl KdcVerdict {
    /// The verdict after `response`, which has its length before it.
    pub(crate) fn after(self, response: &[u8]) -> Self {
        let Some(message) = response.get(4..) else { return self };
        if message.first() == Some(&AS_REP_TAG) {
            return Self::Accepted;
        }
        let Ok(error) = picky_asn1_der::from_bytes::<KrbError>(message) else { return self };
        refusal(error.0.error_code.0).map_or(self, Self::Refused)
    }
}

/// Why an account cannot log on, by the error code of a KDC (RFC 4120 section 7.5.9). `None` for an
/// error that says nothing about the account.
const fn refusal(error: u32) -> Option<&'static str> {
    Some(match error {
        code::KDC_ERR_PREAUTH_FAILED => "the password is wrong",
        code::KDC_ERR_C_PRINCIPAL_UNKNOWN => "the account does not exist",
        code::KDC_ERR_CLIENT_REVOKED => "the account is disabled, locked out or expired",
        code::KDC_ERR_KEY_EXPIRED => "the password has expired or must be changed",
        code::KDC_ERR_NAME_EXP => "the account has expired",
        code::KDC_ERR_POLICY => {
            "the account may not log on now or from here (logon hours, workstations)"
        }
        code::KDC_ERR_CLIENT_NOTYET => "the account is not valid yet",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A KRB-ERROR with the error code `code`, as Samba 4.17 sends it, with its length.
    fn krb_error(code: u8) -> Vec<u8> {
        let field = |tag: u8, value: &[u8]| [&[tag, value.len() as u8], value].concat();
        let integer = |value: u8| [2, 1, value];
        let realm = field(0x1b, b"CORP");
        let names = field(0x30, &field(0x1b, b"krbtgt"));
        let service = field(0x30, &[field(0xa0, &integer(2)), field(0xa1, &names)].concat());
        let fields = [
            field(0xa0, &integer(5)),
            field(0xa1, &integer(30)),
            field(0xa4, &field(0x18, b"20261201050000Z")),
            field(0xa5, &integer(1)),
            field(0xa6, &integer(code)),
            field(0xa9, &realm),
            field(0xaa, &service),
        ];
        let message = field(0x7e, &field(0x30, &fields.concat()));
        [&(message.len() as u32).to_be_bytes()[..], &message].concat()
    }

    #[test]
    fn errors_about_the_account_are_refusals_and_others_are_not() {
        for error in [1, 6, 12, 18, 21, 23, 24] {
            let verdict = KdcVerdict::None.after(&krb_error(error));
            assert!(matches!(verdict, KdcVerdict::Refused(_)), "{error}: {verdict:?}");
        }
        // Pre-authentication required, unknown service, clock skew, response too big.
        for error in [25, 7, 37, 52] {
            assert_eq!(KdcVerdict::None.after(&krb_error(error)), KdcVerdict::None, "{error}");
        }
        assert_eq!(KdcVerdict::None.after(&[0, 0, 0, 1, AS_REP_TAG]), KdcVerdict::Accepted);
        for garbage in [&b""[..], b"\0\0\0\0", b"\0\0\0\x02\x7e\xff"] {
            assert_eq!(KdcVerdict::Accepted.after(garbage), KdcVerdict::Accepted);
        }
    }
}
