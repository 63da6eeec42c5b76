//! Elements that came without a template: every event brings its names and texts along, and its names
//! are nearly always ones that were read before.
//!
//! Only fragments of elements with at most one text each are read so, which is what providers write
//! that have no manifest. All others are read into a tree and walked over, with the same result.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::raw::Raw;
use super::text::Utf16;
use super::token;
use crate::event_log::bytes::Bytes;
use crate::event_log::field_path::{Place, Section};

/// What holding a place takes beside its names, so that very small ones cannot be held without end.
const OVERHEAD: usize = 256;

/// The places of fields that were read, by their names as received.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: Vec<Place<'static>>,
    by_names: HashMap<Box<[u8]>, usize>,
    /// The names that are looked for, one after the other.
    names: Vec<u8>,
    size: usize,
}

/// One field of a fragment: the number of its place, and where its text is, if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    place: usize,
    text: Option<(usize, usize)>,
}

impl Places {
    /// Forgets all when they take more than `limit` bytes: those in use come back with the next
    /// events.
    pub(super) fn trim(&mut self, limit: usize) {
        if self.size > limit {
            *self = Self::default();
        }
    }

    /// Where `field` stands, and what it says, of the event that is `bytes`.
    pub(super) fn field<'r>(&'r self, field: &Plain, bytes: &'r [u8]) -> (&'r Place<'r>, Raw<'r>) {
        let text = field.text.map(|(at, length)| bytes.get(at..at + length).unwrap_or_default());
        (&self.known[field.place], text.map_or(Raw::NULL, Raw::string))
    }

    /// The number of the place in `element`: its attribute, or its text, which has a name or none.
    fn find(&mut self, section: Section, element: Wide<'_>, part: Part<'_>) -> usize {
        let (mark, more) = match part {
            Part::Text(None) => (0, Wide(&[])),
            Part::Text(Some(name)) => (1, name),
            Part::Attribute(name) => (2, name),
        };
        // The length tells where the one name ends, and the other begins.
        self.names.clear();
        self.names.extend([section as u8, mark]);
        self.names.extend(element.0.len().to_le_bytes());
        self.names.extend(element.0);
        self.names.extend(more.0);
        if let Some(known) = self.by_names.get(&*self.names) {
            return *known;
        }
        let place = Place { section, element: element.text(), attribute: None, name: None };
        self.known.push(match part {
            Part::Text(name) => Place { name: name.map(Wide::text), ..place },
            Part::Attribute(name) => Place { attribute: Some(name.text()), ..place },
        });
        self.size += self.names.len() + OVERHEAD;
        self.by_names.insert(self.names.as_slice().into(), self.known.len() - 1);
        self.known.len() - 1
    }
}

/// What a field is of its element.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Text(Option<Wide<'a>>),
    Attribute(Wide<'a>),
}

/// A name as received, without the NUL characters at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wide<'a>(&'a [u8]);

impl<'a> Wide<'a> {
    const NAME: Wide<'static> = Wide(b"N\0a\0m\0e\0");
    const DATA: Wide<'static> = Wide(b"D\0a\0t\0a\0");
    const COMPLEX_DATA: Wide<'static> = Wide(b"C\0o\0m\0p\0l\0e\0x\0D\0a\0t\0a\0");
    const SYSTEM: Wide<'static> = Wide(b"S\0y\0s\0t\0e\0m\0");
    const XMLNS: &'static [u8] = b"x\0m\0l\0n\0s\0";

    fn text(self) -> Cow<'static, str> {
        Utf16::new(self.0).to_text().into()
    }

    /// Behind its hash and before its NUL.
    fn name(bytes: &mut Bytes<'a>) -> Option<Self> {
        bytes.u16().ok()?;
        let units = usize::from(bytes.u16().ok()?);
        let name = Utf16::new(bytes.take(2 * units).ok()?);
        bytes.u16().ok()?;
        Some(Self(name.bytes()))
    }

    fn is_of_xml(self) -> bool {
        let rest = self.0.strip_prefix(Self::XMLNS);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b":\0"))
    }
}

/// Reads one fragment into fields.
pub(super) struct Reading<'a> {
    pub(super) places: &'a mut Places,
    /// Where the fields go.
    pub(super) fields: &'a mut Vec<Plain>,
    /// How many elements may be within one another.
    pub(super) depth: usize,
    /// What looking at all of it costs.
    pub(super) cost: usize,
}

impl Reading<'_> {
    /// The fragment that `bytes` begin with: all of the `section`, or, without one, what stands below
    /// `Event`. `None` when it is none of this kind, or is not right; then some of its fields may have
    /// been noted.
    pub(super) fn fragment(
        &mut self,
        mut bytes: Bytes<'_>,
        section: Option<Section>,
    ) -> Option<()> {
        if let Some(section) = section {
            return self.element(&mut bytes, section, 2);
        }
        let mut name = bytes.clone();
        // The token and the length.
        name.take(5).ok()?;
        let name = Wide::name(&mut name).filter(|name| *name != Wide::SYSTEM)?;
        self.element(&mut bytes, Section::of(&name.text()), 1)
    }

    fn element(&mut self, bytes: &mut Bytes<'_>, section: Section, level: usize) -> Option<()> {
        if level > self.depth {
            return None;
        }
        let open = bytes.u8().ok()?;
        let size = bytes.size().ok()?;
        bytes.clone().part(size).ok()?;
        let element = Wide::name(bytes)?;
        self.cost += 1;
        let called = match open {
            token::OPEN_ELEMENT => None,
            token::OPEN_ELEMENT_WITH_ATTRIBUTES => self.attributes(element, bytes, section)?,
            _ => return None,
        };
        let text = match bytes.u8().ok()? {
            token::CLOSE_EMPTY_ELEMENT => None,
            token::CLOSE_START_TAG => {
                let text = match bytes.peek().ok()? & !token::MORE {
                    token::OPEN_ELEMENT if called.is_none() => {
                        return self.content(bytes, section, level);
                    }
                    token::TEXT => {
                        self.cost += 1;
                        Some(text(bytes)?)
                    }
                    _ => None,
                };
                (bytes.u8().ok()? == token::END_ELEMENT).then_some(text)?
            }
            _ => return None,
        };
        match (level, text) {
            // The outermost element is no field, but for text that stands in it.
            (1, None) if called.is_none() => Some(()),
            (1, _) => None,
            (_, text) => {
                let place = self.places.find(section, element, Part::Text(called));
                let text = text.map(|(at, text)| (at, text.len()));
                self.fields.push(Plain { place, text });
                Some(())
            }
        }
    }

    /// Elements within another, which have no text between them, and its end tag.
    fn content(&mut self, bytes: &mut Bytes<'_>, section: Section, level: usize) -> Option<()> {
        while bytes.peek().ok()? != token::END_ELEMENT {
            self.cost += 1;
            self.element(bytes, section, level + 1)?;
        }
        bytes.u8().ok().map(drop)
    }

    /// The attributes, and the one among them that says what the field is called.
    fn attributes<'b>(
        &mut self,
        element: Wide<'_>,
        bytes: &mut Bytes<'b>,
        section: Section,
    ) -> Option<Option<Wide<'b>>> {
        let is_data = section == Section::EventData
            && (element == Wide::DATA || element == Wide::COMPLEX_DATA);
        let mut called = None;
        bytes.size().ok()?;
        while bytes.peek().ok()? & !token::MORE == token::ATTRIBUTE {
            bytes.u8().ok()?;
            self.cost += 1;
            let name = Wide::name(bytes)?;
            let found = match bytes.peek().ok()? & !token::MORE {
                token::TEXT => Some(text(bytes)?),
                _ => None,
            };
            let next = bytes.peek().ok()? & !token::MORE;
            if matches!(next, token::TEXT | token::CHARACTER | token::ENTITY) {
                return None;
            }
            let said = Utf16::new(found.map_or(&[], |(_, text)| text));
            if name.is_of_xml() {
                continue;
            }
            if is_data && name == Wide::NAME {
                called = Some(Wide(said.bytes()));
            } else if !said.is_empty() {
                let place = self.places.find(section, element, Part::Attribute(name));
                let text = found.map(|(at, text)| (at, text.len()));
                self.fields.push(Plain { place, text });
            }
        }
        Some(called)
    }
}

/// A text behind its token, and where it is.
fn text<'b>(bytes: &mut Bytes<'b>) -> Option<(usize, &'b [u8])> {
    let [_, token::STRING] = bytes.array().ok()? else { return None };
    let length = 2 * usize::from(bytes.u16().ok()?);
    let at = bytes.at();
    Some((at, bytes.take(length).ok()?))
}
