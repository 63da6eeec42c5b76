//! Responses that arrive before the library handles the connection: results, and the next step of a
//! bind.

use super::ber::{BadBer, Reader};

/// The message ID of an unsolicited notification (RFC 4511 section 4.4).
pub const NOTICE: u32 = 0;

/// The result codes in use (RFC 4511 appendix A).
pub mod code {
    /// success
    pub const SUCCESS: u32 = 0;
    /// timeLimitExceeded
    pub const TIME_LIMIT: u32 = 3;
    /// sizeLimitExceeded
    pub const SIZE_LIMIT: u32 = 4;
    /// strongerAuthRequired: the server requires TLS or signing.
    pub const STRONGER_AUTH: u32 = 8;
    /// referral
    pub const REFERRAL: u32 = 10;
    /// unavailableCriticalExtension: a critical control is not supported.
    pub const NO_SUCH_CONTROL: u32 = 12;
    /// saslBindInProgress
    pub const BIND_IN_PROGRESS: u32 = 14;
    /// noSuchObject: also when the account has no right to see it.
    pub const NO_SUCH_OBJECT: u32 = 32;
    /// invalidCredentials: also when the account may not log on.
    pub const INVALID_CREDENTIALS: u32 = 49;
    /// insufficientAccessRights
    pub const NO_RIGHT: u32 = 50;
    /// busy
    pub const BUSY: u32 = 51;
    /// unavailable: the server is shutting down.
    pub const UNAVAILABLE: u32 = 52;
    /// unwillingToPerform: Active Directory uses it for operations that it does not allow in clear
    /// text.
    pub const UNWILLING: u32 = 53;
}

/// LDAPMessage (RFC 4511 section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// The ID of the request; [`UNSOLICITED_NOTIFICATION`] for none.
    pub id: u32,
    /// The operation.
    pub body: Body<'a>,
}

/// The protocolOp of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// A bind response, with the credentials of the next step.
    Bound(Outcome, Option<&'a [u8]>),
    /// An extended response: to StartTLS, or a notice of disconnection.
    Extended(Outcome),
    /// Another operation, by its tag.
    Other(u8),
}

/// LDAPResult (RFC 4511 section 4.1.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The result code, see [`code`].
    pub code: u32,
    /// The diagnostic message, at most 512 characters, without control characters.
    pub diagnostic: String,
}

/// The maximum length of a diagnostic message, in characters.
const DIAGNOSTIC: usize = 512;

impl<'a> Message<'a> {
    /// Parses a complete message as delimited by [`super::frame_length`].
    ///
    /// # Errors
    /// The message violates RFC 4511. Elements after the operation are not checked: Active
    /// Directory writes the name of a notice where controls are expected.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadBer> {
        let mut message = Reader::new(bytes).within(0x30)?;
        let id = u32::try_from(message.number(2)?).map_err(|_| BadBer::Number)?;
        let (tag, body) = message.any()?;
        let mut body = Reader::new(body);
        let body = match tag {
            0x61 => {
                let outcome = Outcome::parse(&mut body)?;
                let mut token = None;
                while !body.is_empty() {
                    if let (0x87, found) = body.any()? {
                        token = Some(found);
                    }
                }
                Body::Bound(outcome, token)
            }
            0x78 => Body::Extended(Outcome::parse(&mut body)?),
            other => Body::Other(other),
        };
        Ok(Self { id, body })
    }
}

impl Outcome {
    /// A result with the code `code` and a sanitized diagnostic message.
    pub fn new(code: u32, diagnostic: &str) -> Self {
        let plain = diagnostic.chars().map(|c| if c.is_control() { ' ' } else { c });
        let diagnostic: String = plain.take(DIAGNOSTIC).collect();
        Self { code, diagnostic: diagnostic.trim().to_owned() }
    }

    fn parse(body: &mut Reader<'_>) -> Result<Self, BadBer> {
        let code = u32::try_from(body.number(10)?).map_err(|_| BadBer::Number)?;
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
    fn the_token_of_a_bind_is_found() {
        let bytes = message(&outcome(0x61, 14, &element(0x87, &[b"token"])), &[]);
        let Body::Bound(outcome, token) = Message::parse(&bytes).unwrap().body else {
            panic!("a bind");
        };
        assert_eq!((outcome.code, token), (14, Some(b"token".as_slice())));
        assert_eq!(outcome.diagnostic, "80090308: data 52e,  v1db1");
    }

    #[test]
    fn the_notice_of_active_directory_is_read_though_it_is_written_wrongly() {
        let name = element(0x8a, &[b"1.3.6.1.4.1.1466.20036"]);
        let bytes = message(&outcome(0x78, 52, &[]), &name);
        assert!(matches!(Message::parse(&bytes).unwrap().body, Body::Extended(_)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>, tag in prop::sample::select(vec![0x61u8, 0x64, 0x78])) {
            let _ = Message::parse(&bytes);
            let whole = message(&element(tag, &[&bytes]), &bytes);
            if let Ok(Message { body: Body::Bound(outcome, _) | Body::Extended(outcome), .. }) =
                Message::parse(&whole)
            {
                prop_assert!(outcome.diagnostic.chars().count() <= DIAGNOSTIC);
                prop_assert!(!outcome.diagnostic.contains(char::is_control));
            }
        }
    }
}
