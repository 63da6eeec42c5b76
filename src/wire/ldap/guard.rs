//! The guard before the library that speaks LDAP: what a server answers is let through only when it
//! is an answer to what was asked, and has the shape that RFC 4511 gives it.
//!
//! The library takes every message apart by recursion, keeps each element of it in an allocation of
//! its own, and panics where an element is not the one that it expects. None of this may be in the
//! hand of a peer, least of all of one that has not yet proven itself.

use super::ber::{BadBer, Reader};
use super::response::{Body, Message, NOTICE, Outcome};

/// How deep elements may lie within each other. The deepest of the RFC are the values of an
/// attribute: message, entry, list of attributes, attribute, set of values.
const DEPTH: usize = 5;

/// The most elements of one message. The library takes about 150 bytes for each, so that this is
/// 40 MiB; it is a group with 250,000 members at once, where Windows tells 5,000 and then the rest.
const ELEMENTS: usize = 1 << 18;

/// What was asked last, on a connection where one question is asked after another.
#[derive(Debug, Default)]
pub struct Guard {
    open: Option<Asked>,
}

/// A question to which answers may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    id: u32,
    question: Question,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Bind,
    Search,
}

/// What becomes of a message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It may be given to the library.
    Through,
    /// It is no answer: the server says why it ends the connection.
    Notice(Outcome),
}

impl Guard {
    /// Notes the question `request`, one whole message.
    ///
    /// # Errors
    /// When it is no message.
    pub fn request(&mut self, request: &[u8]) -> Result<(), BadBer> {
        let mut request = Reader::new(request).within(0x30)?;
        let id = number(&mut request)?;
        let question = match request.any()?.0 {
            0x60 => Some(Question::Bind),
            0x63 => Some(Question::Search),
            // Unbinding is not answered.
            _ => None,
        };
        self.open = question.map(|question| Asked { id, question });
        Ok(())
    }

    /// Looks at `answer`, one whole message of the length that [`super::frame_length`] told.
    ///
    /// # Errors
    /// What the RFC does not allow in it, or in this place.
    pub fn answer(&mut self, answer: &[u8]) -> Result<Passage, BadBer> {
        bounded(answer)?;
        let mut whole = Reader::new(answer);
        let mut message = whole.within(0x30)?;
        ended(whole)?;
        let id = number(&mut message)?;
        if id == NOTICE {
            return match Message::parse(answer)?.body {
                Body::Extended(outcome) => Ok(Passage::Notice(outcome)),
                _ => Err(BadBer::Unasked),
            };
        }
        let (tag, body) = message.any()?;
        let body = Reader::new(body);
        let asked = self.open.filter(|asked| asked.id == id).ok_or(BadBer::Unasked)?;
        match (asked.question, tag) {
            (Question::Search, 0x64) => entry(body)?,
            (Question::Search, 0x73) => all(body, text)?,
            (Question::Search, 0x65) | (Question::Bind, 0x61) => {
                result(body)?;
                self.open = None;
            }
            _ => return Err(BadBer::Unasked),
        }
        if !message.is_empty() {
            all(message.within(0xa0)?, control)?;
        }
        ended(message)?;
        Ok(Passage::Through)
    }
}

/// The number of a message (RFC 4511 section 4.1.1.1).
fn number(message: &mut Reader<'_>) -> Result<u32, BadBer> {
    u32::try_from(message.number(2)?).map_err(|_| BadBer::Number)
}

/// Checks that every element of `message` ends within the one that holds it, that none lies deeper
/// than [`DEPTH`], and that there are at most [`ELEMENTS`].
fn bounded(message: &[u8]) -> Result<(), BadBer> {
    let mut levels = [Reader::new(&[]); DEPTH];
    let (mut depth, mut count) = (0, 0);
    let mut here = Reader::new(message);
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
            return Err(BadBer::Many);
        }
        let (tag, body) = here.any()?;
        // X.690 section 8.1.2.5: this bit says that it is made of elements.
        if tag & 0x20 != 0 {
            *levels.get_mut(depth).ok_or(BadBer::Deep)? = here;
            depth += 1;
            here = Reader::new(body);
        }
    }
}

/// LDAPResult (RFC 4511 section 4.1.9), with the token of a bind.
fn result(mut result: Reader<'_>) -> Result<(), BadBer> {
    u32::try_from(result.number(10)?).map_err(|_| BadBer::Number)?;
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

/// SearchResultEntry (RFC 4511 section 4.5.2). Its name need not be UTF-8: that is a problem of the
/// one entry.
fn entry(mut entry: Reader<'_>) -> Result<(), BadBer> {
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
fn control(controls: &mut Reader<'_>) -> Result<(), BadBer> {
    let mut control = controls.within(0x30)?;
    text(&mut control)?;
    if control.peek() == Some(1) && control.tagged(1)?.len() != 1 {
        return Err(BadBer::Length);
    }
    if !control.is_empty() {
        control.tagged(4)?;
    }
    ended(control)
}

/// LDAPString (RFC 4511 section 4.1.2).
fn text(reader: &mut Reader<'_>) -> Result<(), BadBer> {
    std::str::from_utf8(reader.tagged(4)?).map(drop).map_err(|_| BadBer::Text)
}

fn all<'a>(
    mut reader: Reader<'a>,
    one: impl Fn(&mut Reader<'a>) -> Result<(), BadBer>,
) -> Result<(), BadBer> {
    while !reader.is_empty() {
        one(&mut reader)?;
    }
    Ok(())
}

fn ended(reader: Reader<'_>) -> Result<(), BadBer> {
    if reader.is_empty() { Ok(()) } else { Err(BadBer::Tag) }
}

#[cfg(test)]
mod tests;
