//! What a server answers, read where it was received: entries, outcomes, the next step of a bind.

use super::ber::{BadBer, Reader};

/// The message number of what a server says unasked (RFC 4511 section 4.4).
pub const NOTICE: u32 = 0;

/// Result codes that are told apart (RFC 4511 appendix A).
pub mod code {
    /// It was done.
    pub const SUCCESS: u32 = 0;
    /// The server's time limit ended it.
    pub const TIME_LIMIT: u32 = 3;
    /// The server's size limit ended it.
    pub const SIZE_LIMIT: u32 = 4;
    /// Stronger authentication is required: the server wants TLS, or signing.
    pub const STRONGER_AUTH: u32 = 8;
    /// Another server has it.
    pub const REFERRAL: u32 = 10;
    /// A critical control is not known.
    pub const NO_SUCH_CONTROL: u32 = 12;
    /// The next step of a SASL bind.
    pub const BIND_IN_PROGRESS: u32 = 14;
    /// There is no such object, or the account may not see it.
    pub const NO_SUCH_OBJECT: u32 = 32;
    /// The name or the password is wrong, or the account may not log on.
    pub const INVALID_CREDENTIALS: u32 = 49;
    /// The account has no right to it.
    pub const NO_RIGHT: u32 = 50;
    /// The server has too much to do.
    pub const BUSY: u32 = 51;
    /// The server is shutting down.
    pub const UNAVAILABLE: u32 = 52;
    /// The server is unwilling: Active Directory says so of what it does not do in clear text.
    pub const UNWILLING: u32 = 53;
}

/// One message of a server.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Which request it answers; [`NOTICE`] for none.
    pub id: u32,
    /// What it says.
    pub body: Body<'a>,
    controls: Reader<'a>,
}

/// What a message says.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// An entry that a search found.
    Entry(Entry<'a>),
    /// Where else the search could go on. Rollcall does not follow it.
    Reference,
    /// The search is over.
    Done(Outcome),
    /// The answer to a bind, with the token of its next step.
    Bound(Outcome, Option<&'a [u8]>),
    /// The answer to StartTLS, or a notice of disconnection.
    Extended(Outcome),
    /// Something that Rollcall never asked for, by its tag.
    Other(u8),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The result code, see [`code`].
    pub code: u32,
    /// What the server adds for a person, at most 512 characters without controls.
    pub diagnostic: String,
}

/// A control of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered<'a> {
    /// Its object identifier.
    pub oid: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// An entry: a name and attributes. Its whole structure has been walked through once.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its distinguished name, UTF-8 if the server keeps to the RFC.
    pub dn: &'a [u8],
    attributes: Reader<'a>,
}

/// An attribute of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// Its name with its options, such as `member;range=0-1499`.
    pub name: &'a str,
    /// Its values.
    pub values: Values<'a>,
}

/// The values of an attribute, in the order of the server.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a>(Reader<'a>);

/// The longest diagnostic that is kept, in characters.
const DIAGNOSTIC: usize = 512;

impl<'a> Message<'a> {
    /// Reads one whole message, of the length that [`super::frame_length`] told.
    ///
    /// # Errors
    /// What RFC 4511 does not allow in it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadBer> {
        let mut message = Reader::new(bytes).within(0x30)?;
        let id = u32::try_from(message.number(2)?).map_err(|_| BadBer::Number)?;
        let (tag, body) = message.any()?;
        let body = match tag {
            0x64 => Body::Entry(Entry::parse(Reader::new(body))?),
            0x73 => Body::Reference,
            0x65 => Body::Done(Outcome::parse(&mut Reader::new(body))?),
            0x61 => {
                let mut body = Reader::new(body);
                let outcome = Outcome::parse(&mut body)?;
                let mut token = None;
                while !body.is_empty() {
                    match body.any()? {
                        (0x87, found) => token = Some(found),
                        _ => continue,
                    }
                }
                Body::Bound(outcome, token)
            }
            0x78 => Body::Extended(Outcome::parse(&mut Reader::new(body))?),
            other => Body::Other(other),
        };
        // Active Directory writes the name of a notice where controls have their place.
        let controls = match message.peek() {
            Some(0xa0) => message.within(0xa0)?,
            _ => Reader::new(&[]),
        };
        Ok(Self { id, body, controls })
    }

    /// The value of the control `oid`, if the answer has it.
    pub fn control(&self, oid: &str) -> Option<&'a [u8]> {
        let mut rest = self.controls;
        while let Ok(mut control) = rest.within(0x30) {
            let name = control.tagged(4).ok()?;
            if control.peek() == Some(1) {
                control.any().ok()?;
            }
            if name == oid.as_bytes() {
                return control.tagged(4).ok();
            }
        }
        None
    }
}

impl Outcome {
    fn parse(body: &mut Reader<'_>) -> Result<Self, BadBer> {
        let code = u32::try_from(body.number(10)?).map_err(|_| BadBer::Number)?;
        body.tagged(4)?;
        let diagnostic = String::from_utf8_lossy(body.tagged(4)?);
        let plain = diagnostic.chars().map(|c| if c.is_control() { ' ' } else { c });
        let diagnostic: String = plain.take(DIAGNOSTIC).collect();
        Ok(Self { code, diagnostic: diagnostic.trim().to_owned() })
    }
}

impl<'a> Entry<'a> {
    fn parse(mut body: Reader<'a>) -> Result<Self, BadBer> {
        let dn = body.tagged(4)?;
        let attributes = body.within(0x30)?;
        let mut rest = attributes;
        while !rest.is_empty() {
            let mut values = Attribute::parse(&mut rest)?.values.0;
            while !values.is_empty() {
                values.tagged(4)?;
            }
        }
        Ok(Self { dn, attributes })
    }

    /// Its attributes, in the order of the server.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || Attribute::parse(&mut rest).ok())
    }

    /// The values of the attribute `name`; none when it is not there.
    pub fn values(&self, name: &str) -> Values<'a> {
        let mut named = self.attributes().filter(|found| found.name.eq_ignore_ascii_case(name));
        named.next().map_or(Values(Reader::new(&[])), |attribute| attribute.values)
    }
}

impl<'a> Attribute<'a> {
    fn parse(attributes: &mut Reader<'a>) -> Result<Self, BadBer> {
        let mut attribute = attributes.within(0x30)?;
        let name = std::str::from_utf8(attribute.tagged(4)?).map_err(|_| BadBer::Text)?;
        Ok(Self { name, values: Values(attribute.within(0x31)?) })
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.tagged(4).ok()
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

    fn message(body: &[u8], controls: &[u8]) -> Vec<u8> {
        element(0x30, &[&integer(2, 7), body, controls])
    }

    #[test]
    fn an_entry_is_read_where_it_lies() {
        let values = element(0x31, &[&octets(b"user"), &octets(&[0xff])]);
        let attribute = element(0x30, &[&octets(b"objectClass"), &values]);
        let entry = element(0x64, &[&octets(b"CN=a"), &element(0x30, &[&attribute])]);
        let bytes = message(&entry, &[]);
        let Message { id, body: Body::Entry(entry), .. } = Message::parse(&bytes).unwrap() else {
            panic!("an entry");
        };
        assert_eq!((id, entry.dn), (7, b"CN=a".as_slice()));
        let values: Vec<_> = entry.values("OBJECTCLASS").collect();
        assert_eq!(values, [b"user".as_slice(), &[0xff]]);
        assert_eq!(entry.values("member").count(), 0);
    }

    #[test]
    fn the_token_of_a_bind_and_the_cookie_of_a_page_are_found() {
        let bytes = message(&outcome(0x61, 14, &element(0x87, &[b"token"])), &[]);
        let Body::Bound(outcome_read, token) = Message::parse(&bytes).unwrap().body else {
            panic!("a bind");
        };
        assert_eq!((outcome_read.code, token), (14, Some(b"token".as_slice())));
        assert_eq!(outcome_read.diagnostic, "80090308: data 52e,  v1db1");
        let control = element(0x30, &[&octets(b"1.2.3"), &element(1, &[&[0]]), &octets(b"cookie")]);
        let bytes = message(&outcome(0x65, 0, &[]), &element(0xa0, &[&control]));
        let done = Message::parse(&bytes).unwrap();
        assert_eq!(done.control("1.2.3"), Some(b"cookie".as_slice()));
        assert_eq!(done.control("1.2.4"), None);
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
        fn no_bytes_do_harm(bytes: Vec<u8>, tag in prop::sample::select(vec![0x61u8, 0x64, 0x65, 0x78])) {
            let _ = Message::parse(&bytes);
            let whole = message(&element(tag, &[&bytes]), &element(0xa0, &[&bytes]));
            if let Ok(message) = Message::parse(&whole) {
                let _ = message.control("1");
                if let Body::Entry(entry) = message.body {
                    entry.attributes().for_each(|attribute| assert!(attribute.values.count() <= whole.len()));
                }
            }
        }
    }
}
