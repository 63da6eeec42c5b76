//! Responses that arrive before the library handles the connection: results, and the next step of a
//! bind.

use super::ber::{BerError, BerReader};

/// The message ID of an unsolicited notification (RFC 4511 section 4.4).
pub const UNSOLICITED_NOTIFICATION: u32 = 0;

/// The result codes in use (RFC 4511 appendix A).
pub mod code {
    /// success
    pub const SUCCESS: u32 = 0;
    /// timeLimitExceeded
    pub const TIME_LIMIT_EXCEEDED: u32 = 3;
    /// sizeLimitExceeded
    pub const SIZE_LIMIT_EXCEEDED: u32 = 4;
    /// strongerAuthRequired: the server requires TLS or signing.
    pub const STRONGER_AUTH_REQUIRED: u32 = 8;
    /// referral
    pub const REFERRAL: u32 = 10;
    /// unavailableCriticalExtension: a critical control is not supported.
    pub const UNAVAILABLE_CRITICAL_EXTENSION: u32 = 12;
    /// saslBindInProgress
    pub const SASL_BIND_IN_PROGRESS: u32 = 14;
    /// noSuchObject: also when the account has no right to see it.
    pub const NO_SUCH_OBJECT: u32 = 32;
    /// invalidCredentials: also when the account may not log on.
    pub const INVALID_CREDENTIALS: u32 = 49;
    /// insufficientAccessRights
    pub const INSUFFICIENT_ACCESS_RIGHTS: u32 = 50;
    /// busy
    pub const BUSY: u32 = 51;
    /// unavailable: the server is shutting down.
    pub const UNAVAILABLE: u32 = 52;
    /// unwillingToPerform: Active Directory uses it for operations that it does not allow in clear
    /// text.
    pub const UNWILLING_TO_PERFORM: u32 = 53;
}

/// LDAPMessage (RFC 4511 section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapMessage<'a> {
    /// The ID of the request; [`UNSOLICITED_NOTIFICATION`] for none.
    pub id: u32,
    /// The operation.
    pub body: ProtocolOp<'a>,
}

/// The protocolOp of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProtocolOp<'a> {
    /// A bind response, with the credentials of the next step.
    BindResponse(LdapResult, Option<&'a [u8]>),
    /// An extended response: to StartTLS, or a notice of disconnection.
    ExtendedResponse(LdapResult),
    /// Another operation, by its tag.
    Other(u8),
}

/// LDAPResult (RFC 4511 section 4.1.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapResult {
    /// The result code, see [`code`].
    pub code: u32,
    /// The diagnostic message, at most 512 characters, without control characters.
    pub diagnostic: String,
}

/// The maximum length of a diagnostic message, in characters.
const DIAGNOSTIC: usize = 512;

impl<'a> LdapMessage<'a> {
    /// Parses a complete message as delimited by [`super::frame_length`].
    ///
    /// # Errors
    /// The message violates RFC 4511. Elements after the operation are not checked: Active
    /// Directory writes the name of a notice where controls are expected.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BerError> {
        let mut message = BerReader::new(bytes).within(0x30)?;
        let id = u32::try_from(message.number(2)?).map_err(|_| BerError::Number)?;
        let (tag, body) = message.any()?;
        let mut body = BerReader::new(body);
        let body = match tag {
            0x61 => {
                let outcome = LdapResult::parse(&mut body)?;
                let mut token = None;
                while !body.is_empty() {
                    if let (0x87, found) = body.any()? {
                        token = Some(found);
                    }
                }
                ProtocolOp::BindResponse(outcome, token)
            }
            0x78 => ProtocolOp::ExtendedResponse(LdapResult::parse(&mut body)?),
            other => ProtocolOp::Other(other),
        };
        Ok(Self { id, body })
    }
}

impl LdapResult {
    /// A result with the code `code` and a sanitized diagnostic message.
    pub fn new(code: u32, diagnostic: &str) -> Self {
        let plain = diagnostic.chars().map(|c| if c.is_control() { ' ' } else { c });
        let diagnostic: String = plain.take(DIAGNOSTIC).collect();
        Self { code, diagnostic: diagnostic.trim().to_owned() }
    }

    fn parse(body: &mut BerReader<'_>) -> Result<Self, BerError> {
        let code = u32::try_from(body.number(10)?).map_err(|_| BerError::Number)?;
        body.tagged(4)?;
        Ok(Self::new(code, &String::from_utf8_lossy(body.tagged(4)?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ber::{element, integer, octets};
    use super::*;

    fn outcome(tag: u8, code: u64, more: &[u8]) -> Vec<u8> {
        let text = octets("80090308: data 52e,\0 v1db1".as_bytes());
        element(tag, &[&integer(10, code), &octets(b""), &text, more])
    }

    fn message(body: &[u8], more: &[u8]) -> Vec<u8> {
        element(0x30, &[&integer(2, 7), body, more])
    }

    #[test]
    fn bind_token_is_decoded() {
        let bytes = message(&outcome(0x61, 14, &element(0x87, &[b"token"])), &[]);
        let ProtocolOp::BindResponse(outcome, token) = LdapMessage::parse(&bytes).unwrap().body
        else {
            panic!("a bind");
        };
        assert_eq!((outcome.code, token), (14, Some(b"token".as_slice())));
        assert_eq!(outcome.diagnostic, "80090308: data 52e,  v1db1");
    }

    #[test]
    fn malformed_notice_of_active_directory_is_accepted() {
        let name = element(0x8a, &[b"1.3.6.1.4.1.1466.20036"]);
        let bytes = message(&outcome(0x78, 52, &[]), &name);
        assert!(matches!(
            LdapMessage::parse(&bytes).unwrap().body,
            ProtocolOp::ExtendedResponse(_)
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_are_handled(bytes: Vec<u8>, tag in prop::sample::select(vec![0x61u8, 0x64, 0x78])) {
            let _ = LdapMessage::parse(&bytes);
            let whole = message(&element(tag, &[&bytes]), &bytes);
            if let Ok(LdapMessage { body: ProtocolOp::BindResponse(outcome, _) | ProtocolOp::ExtendedResponse(outcome), .. }) =
                LdapMessage::parse(&whole)
            {
                prop_assert!(outcome.diagnostic.chars().count() <= DIAGNOSTIC);
                prop_assert!(!outcome.diagnostic.contains(char::is_control));
            }
        }
    }
}
