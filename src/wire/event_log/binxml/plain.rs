//! Elements that came without a template: every event brings its names and texts along, and its start
//! tags are nearly always ones that were read before.
//!
//! Only fragments of elements with at most one text each are read so, which is what providers write
//! that have no manifest. All others are read into a tree and walked over, with the same result.

use hashbrown::HashMap;

use super::text::Utf16;
use super::token;
use super::tree::{Elements, Piece, Place as Where};
use super::value::Value;
use crate::event_log::bytes::Bytes;
use crate::event_log::record::{Place, Section};

/// What holding a start tag takes beside its bytes, so that very small ones cannot be held without end.
const OVERHEAD: usize = 256;

/// A start tag, whose attributes have their values in it.
#[derive(Debug)]
struct Tag {
    /// Where the text of its element stands.
    text: Place<'static>,
    /// The attributes that are fields.
    attributes: Box<[(Place<'static>, Box<str>)]>,
    /// All of them, as they are accounted for.
    count: usize,
}

/// The start tags that were read, by their bytes, for each section.
#[derive(Debug, Default)]
pub(super) struct Tags {
    known: Vec<Tag>,
    by_bytes: [HashMap<Box<[u8]>, usize>; 3],
    size: usize,
}

/// One field of a fragment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain {
    /// The attribute with this number, of the tag with that number.
    Attribute { tag: usize, number: usize },
    /// The text of the element whose start tag has this number; without an end when there is none.
    Text { tag: usize, at: usize, length: Option<usize> },
}

impl Tags {
    /// Forgets all when they take more than `limit` bytes: those in use come back with the next
    /// events.
    pub(super) fn trim(&mut self, limit: usize) {
        if self.size > limit {
            *self = Self::default();
        }
    }

    /// Where `field` stands, and what it says, of the event that is `bytes`.
    pub(super) fn field<'r>(
        &'r self,
        field: &Plain,
        bytes: &'r [u8],
    ) -> (&'r Place<'r>, Value<'r>) {
        match *field {
            Plain::Attribute { tag, number } => {
                let (place, text) = &self.known[tag].attributes[number];
                (place, Value::Text(text.as_ref().into()))
            }
            Plain::Text { tag, length: None, .. } => (&self.known[tag].text, Value::Null),
            Plain::Text { tag, at, length: Some(length) } => {
                let text = bytes.get(at..at + length).unwrap_or_default();
                (&self.known[tag].text, Value::String(Utf16::new(text)))
            }
        }
    }

    /// The number of the start tag that `bytes` begin with and that is `length` long.
    fn find(&mut self, section: Section, bytes: &[u8], length: usize) -> Option<usize> {
        let key = bytes.get(..length)?;
        let by_bytes = &mut self.by_bytes[section as usize];
        if let Some(known) = by_bytes.get(key) {
            return Some(*known);
        }
        let tag = Tag::read(section, bytes, length)?;
        by_bytes.insert(key.into(), self.known.len());
        self.size += length + OVERHEAD;
        self.known.push(tag);
        Some(self.known.len() - 1)
    }
}

impl Tag {
    /// Reads the tag that is the first `length` of `bytes`, from its name on. One that is put together
    /// of several pieces is none.
    fn read(section: Section, bytes: &[u8], length: usize) -> Option<Self> {
        let mut bytes = Bytes::new(bytes);
        let mut elements = Elements { bytes: &mut bytes, place: Where::Plain };
        let element = elements.name().ok()?;
        let all = match elements.bytes.at() == length {
            true => Box::default(),
            false => elements.attributes().ok()?,
        };
        if bytes.at() != length {
            return None;
        }
        let place = |attribute, name| {
            let element = element.to_string().into();
            Place { section, element, attribute, name }
        };
        let (mut name, mut attributes) = (None, Vec::new());
        for attribute in &all {
            let text = match &*attribute.value {
                [] => "",
                [Piece::Text(text)] => text,
                _ => return None,
            };
            if Section::is_of_xml(&attribute.name) {
                continue;
            }
            if section.names(&element, &attribute.name) {
                name = Some(text.to_owned().into());
            } else if !text.is_empty() {
                let called = attribute.name.to_string().into();
                attributes.push((place(Some(called), None), text.into()));
            }
        }
        let text = place(None, name);
        Some(Self { text, attributes: attributes.into(), count: all.len() })
    }
}

/// Reads one fragment into fields.
pub(super) struct Reading<'a> {
    pub(super) tags: &'a mut Tags,
    /// Where the fields go.
    pub(super) fields: &'a mut Vec<Plain>,
    /// How many elements may be within one another.
    pub(super) depth: usize,
    /// What looking at all of it costs.
    pub(super) cost: usize,
}

impl Reading<'_> {
    /// The fragment that `bytes` begin with, which stands below `Event`. `None` when it is none of this
    /// kind, or is not right; then some of its fields may have been noted.
    pub(super) fn fragment(&mut self, mut bytes: Bytes<'_>) -> Option<()> {
        let mut name = bytes.clone();
        // The token and the length.
        name.take(5).ok()?;
        let name = Elements { bytes: &mut name, place: Where::Plain }.name().ok()?;
        if &*name == "System" {
            return None;
        }
        self.element(&mut bytes, Section::of(&name), 1)
    }

    fn element(&mut self, bytes: &mut Bytes<'_>, section: Section, level: usize) -> Option<()> {
        if level > self.depth {
            return None;
        }
        let open = bytes.u8().ok()?;
        let size = bytes.size().ok()?;
        bytes.clone().part(size).ok()?;
        let tag = self.start_tag(open, bytes, section)?;
        self.cost += 1 + self.tags.known[tag].count;
        for number in 0..self.tags.known[tag].attributes.len() {
            self.fields.push(Plain::Attribute { tag, number });
        }
        let close = bytes.u8().ok()?;
        let next = if close == token::CLOSE_START_TAG { bytes.peek().ok()? } else { close };
        let text = match next & !token::MORE {
            token::OPEN_ELEMENT => return self.content(tag, bytes, section, level),
            token::TEXT => {
                let [_, token::STRING] = bytes.array().ok()? else { return None };
                let length = 2 * usize::from(bytes.u16().ok()?);
                let at = bytes.at();
                bytes.take(length).ok()?;
                self.cost += 1;
                Some((at, length))
            }
            token::END_ELEMENT | token::CLOSE_EMPTY_ELEMENT => None,
            _ => return None,
        };
        if close == token::CLOSE_START_TAG && bytes.u8().ok()? != token::END_ELEMENT {
            return None;
        }
        match (level, text) {
            // The outermost element is no field, but for text that stands in it.
            (1, None) if self.tags.known[tag].text.name.is_none() => {}
            (1, _) => return None,
            (_, None) => self.fields.push(Plain::Text { tag, at: 0, length: None }),
            (_, Some((at, length))) => {
                self.fields.push(Plain::Text { tag, at, length: Some(length) });
            }
        }
        Some(())
    }

    /// Elements within another, which have no text between them, and its end tag.
    fn content(
        &mut self,
        tag: usize,
        bytes: &mut Bytes<'_>,
        section: Section,
        level: usize,
    ) -> Option<()> {
        if self.tags.known[tag].text.name.is_some() {
            return None;
        }
        while bytes.peek().ok()? != token::END_ELEMENT {
            self.cost += 1;
            self.element(bytes, section, level + 1)?;
        }
        bytes.u8().ok().map(drop)
    }

    /// The number of the start tag that is next, but for its token and its length.
    fn start_tag(&mut self, open: u8, bytes: &mut Bytes<'_>, section: Section) -> Option<usize> {
        let (rest, begin) = (bytes.rest(), bytes.at());
        bytes.u16().ok()?;
        let units = usize::from(bytes.u16().ok()?);
        bytes.take(2 * units + 2).ok()?;
        match open {
            token::OPEN_ELEMENT => {}
            token::OPEN_ELEMENT_WITH_ATTRIBUTES => {
                let size = bytes.size().ok()?;
                bytes.take(size).ok()?;
            }
            _ => return None,
        }
        self.tags.find(section, rest, bytes.at() - begin)
    }
}
