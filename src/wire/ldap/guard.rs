//! Validates each message of a server before the LDAP library parses it: it must belong to the
//! pending request and have the structure of RFC 4511.
//!
//! The library parses messages recursively, allocates memory for each element, and panics on an
//! unexpected element. A peer, in particular one that is not authenticated yet, must not be able to
//! exploit this.

use super::ber::{BerError, BerReader};
use super::response::{LdapMessage, LdapResult, ProtocolOp, UNSOLICITED_NOTIFICATION};

/// The maximum nesting depth. The deepest elements of the RFC are attribute values: message, entry,
/// list of attributes, attribute, set of values.
const DEPTH: usize = 5;

/// The maximum number of elements of a message. The library takes about 150 bytes for each, 40 MiB
/// in total. This is a group with 250,000 members in one response; Windows returns 5,000 at a time.
const ELEMENTS: usize = 1 << 18;

/// Tracks the pending request of a connection that has one request at a time.
#[derive(Debug, Default)]
pub struct ResponseGuard {
    pending: Option<PendingRequest>,
}

/// A request with a pending response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PendingRequest {
    id: u32,
    question: RequestKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    Bind,
    Search,
}

/// What to do with a message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardVerdict {
    /// Forward it to the library.
    Forward,
    /// A notice of disconnection, with the reason.
    Disconnection(LdapResult),
}

impl ResponseGuard {
    /// Records the request `request`, a complete message.
    ///
    /// # Errors
    /// The bytes are not a valid message.
    pub fn request(&mut self, request: &[u8]) -> Result<(), BerError> {
        let mut request = BerReader::new(request).within(0x30)?;
        let id = number(&mut request)?;
        let question = match request.any()?.0 {
            0x60 => Some(RequestKind::Bind),
            0x63 => Some(RequestKind::Search),
            // An unbind has no response.
            _ => None,
        };
        self.pending = question.map(|question| PendingRequest { id, question });
        Ok(())
    }

    /// Validates `response`, a complete message as delimited by [`super::frame_length`].
    ///
    /// # Errors
    /// The message violates the RFC or does not belong to the pending request.
    pub fn check(&mut self, response: &[u8]) -> Result<GuardVerdict, BerError> {
        bounded(response)?;
        let mut whole = BerReader::new(response);
        let mut message = whole.within(0x30)?;
        ended(whole)?;
        let id = number(&mut message)?;
        if id == UNSOLICITED_NOTIFICATION {
            return match LdapMessage::parse(response)?.body {
                ProtocolOp::ExtendedResponse(outcome) => Ok(GuardVerdict::Disconnection(outcome)),
                _ => Err(BerError::Unsolicited),
            };
        }
        let (tag, body) = message.any()?;
        let body = BerReader::new(body);
        let asked = self.pending.filter(|asked| asked.id == id).ok_or(BerError::Unsolicited)?;
        match (asked.question, tag) {
            (RequestKind::Search, 0x64) => entry(body)?,
            (RequestKind::Search, 0x73) => all(body, text)?,
            (RequestKind::Search, 0x65) | (RequestKind::Bind, 0x61) => {
                result(body)?;
                self.pending = None;
            }
            _ => return Err(BerError::Unsolicited),
        }
        if !message.is_empty() {
            all(message.within(0xa0)?, control)?;
        }
        ended(message)?;
        Ok(GuardVerdict::Forward)
    }
}

/// The message ID (RFC 4511 section 4.1.1.1).
fn number(message: &mut BerReader<'_>) -> Result<u32, BerError> {
    u32::try_from(message.number(2)?).map_err(|_| BerError::Number)
}

/// Checks that every element ends within its parent, that the nesting is at most [`DEPTH`], and
/// that there are at most [`ELEMENTS`].
fn bounded(message: &[u8]) -> Result<(), BerError> {
    let mut levels = [BerReader::new(&[]); DEPTH];
    let (mut depth, mut count) = (0, 0);
    let mut here = BerReader::new(message);
    loop {
        if here.is_empty() {
            if depth == 0 {
                return Ok(());
            }
            depth -= 1;
            here = levels[depth];
            continue;
        }
        count += 1;
        if count > ELEMENTS {
            return Err(BerError::TooManyElements);
        }
        let (tag, body) = here.any()?;
        // X.690 section 8.1.2.5: the bit of a constructed element.
        if tag & 0x20 != 0 {
            *levels.get_mut(depth).ok_or(BerError::TooDeep)? = here;
            depth += 1;
            here = BerReader::new(body);
        }
    }
}

/// LDAPResult (RFC 4511 section 4.1.9), with the credentials of a bind response.
fn result(mut result: BerReader<'_>) -> Result<(), BerError> {
    u32::try_from(result.number(10)?).map_err(|_| BerError::Number)?;
    text(&mut result)?;
    text(&mut result)?;
    if result.peek() == Some(0xa3) {
        all(result.within(0xa3)?, text)?;
    }
    if result.peek() == Some(0x87) {
        result.any()?;
    }
    ended(result)
}

/// SearchResultEntry (RFC 4511 section 4.5.2). The name may be invalid UTF-8, which affects only
/// this entry.
fn entry(mut entry: BerReader<'_>) -> Result<(), BerError> {
    entry.tagged(4)?;
    all(entry.within(0x30)?, |attributes| {
        let mut attribute = attributes.within(0x30)?;
        text(&mut attribute)?;
        all(attribute.within(0x31)?, |values| values.tagged(4).map(drop))?;
        ended(attribute)
    })?;
    ended(entry)
}

/// Control (RFC 4511 section 4.1.11).
fn control(controls: &mut BerReader<'_>) -> Result<(), BerError> {
    let mut control = controls.within(0x30)?;
    text(&mut control)?;
    if control.peek() == Some(1) && control.tagged(1)?.len() != 1 {
        return Err(BerError::Length);
    }
    if !control.is_empty() {
        control.tagged(4)?;
    }
    ended(control)
}

/// LDAPString (RFC 4511 section 4.1.2).
fn text(reader: &mut BerReader<'_>) -> Result<(), BerError> {
    std::str::from_utf8(reader.tagged(4)?).map(drop).map_err(|_| BerError::Text)
}

fn all<'a>(
    mut reader: BerReader<'a>,
    one: impl Fn(&mut BerReader<'a>) -> Result<(), BerError>,
) -> Result<(), BerError> {
    while !reader.is_empty() {
        one(&mut reader)?;
    }
    Ok(())
}

fn ended(reader: BerReader<'_>) -> Result<(), BerError> {
    if reader.is_empty() { Ok(()) } else { Err(BerError::Tag) }
}

#[cfg(test)]
mod tests;
