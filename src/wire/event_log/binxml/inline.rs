//! Elements without a template: each event includes its names and texts. The names are nearly
//! always known from earlier events.
//!
//! Only fragments whose elements have at most one text each are read this way; providers without a
//! manifest write these. Other fragments are parsed into a tree and walked, with the same result.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::raw::RawValue;
use super::text::Utf16;
use super::token;
use crate::event_log::bytes::ByteReader;
use crate::event_log::field_path::{EventSection, FieldPath};

/// The accounting overhead per cached path, so that many short names cannot exhaust memory.
const OVERHEAD: usize = 256;

/// The paths of fields, by their names as received.
#[derive(Debug, Default)]
pub(super) struct FieldPaths {
    known: Vec<FieldPath<'static>>,
    by_names: HashMap<Box<[u8]>, usize>,
    /// The lookup key, reused.
    names: Vec<u8>,
    size: usize,
}

/// One field of a fragment: the number of its path, and the position of its text, if any.
#[derive(Debug, Clone, Copy)]
pub(super) struct InlineField {
    place: usize,
    text: Option<(usize, usize)>,
}

impl FieldPaths {
    /// Drops all paths when they take more than `limit` bytes. Paths in use are added again by the
    /// next events.
    pub(super) fn trim(&mut self, limit: usize) {
        if self.size > limit {
            *self = Self::default();
        }
    }

    /// The path and value of `field` in the event `bytes`.
    pub(super) fn field<'r>(
        &'r self,
        field: &InlineField,
        bytes: &'r [u8],
    ) -> (&'r FieldPath<'r>, RawValue<'r>) {
        let text = field.text.map(|(at, length)| bytes.get(at..at + length).unwrap_or_default());
        (&self.known[field.place], text.map_or(RawValue::NULL, RawValue::string))
    }

    /// The number of the path in `element` for an attribute, or for a text with an optional name.
    fn find(&mut self, section: EventSection, element: WideName<'_>, part: FieldPart<'_>) -> usize {
        let (mark, more) = match part {
            FieldPart::Text(None) => (0, WideName(&[])),
            FieldPart::Text(Some(name)) => (1, name),
            FieldPart::Attribute(name) => (2, name),
        };
        // The length separates the two names.
        self.names.clear();
        self.names.extend([section as u8, mark]);
        self.names.extend(element.0.len().to_le_bytes());
        self.names.extend(element.0);
        self.names.extend(more.0);
        if let Some(known) = self.by_names.get(&*self.names) {
            return *known;
        }
        let place = FieldPath { section, element: element.text(), attribute: None, name: None };
        self.known.push(match part {
            FieldPart::Text(name) => FieldPath { name: name.map(WideName::text), ..place },
            FieldPart::Attribute(name) => FieldPath { attribute: Some(name.text()), ..place },
        });
        self.size += self.names.len() + OVERHEAD;
        self.by_names.insert(self.names.as_slice().into(), self.known.len() - 1);
        self.known.len() - 1
    }
}

/// The part of an element that a field is.
#[derive(Debug, Clone, Copy)]
enum FieldPart<'a> {
    Text(Option<WideName<'a>>),
    Attribute(WideName<'a>),
}

/// A UTF-16 name as received, without trailing NULs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WideName<'a>(&'a [u8]);

impl<'a> WideName<'a> {
    const NAME: WideName<'static> = WideName(b"N\0a\0m\0e\0");
    const DATA: WideName<'static> = WideName(b"D\0a\0t\0a\0");
    const COMPLEX_DATA: WideName<'static> = WideName(b"C\0o\0m\0p\0l\0e\0x\0D\0a\0t\0a\0");
    const SYSTEM: WideName<'static> = WideName(b"S\0y\0s\0t\0e\0m\0");
    const XMLNS: &'static [u8] = b"x\0m\0l\0n\0s\0";

    fn text(self) -> Cow<'static, str> {
        Utf16::new(self.0).to_text().into()
    }

    /// A name after its hash and before its NUL.
    fn name(bytes: &mut ByteReader<'a>) -> Option<Self> {
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
pub(super) struct FragmentReader<'a> {
    pub(super) places: &'a mut FieldPaths,
    /// The output.
    pub(super) fields: &'a mut Vec<InlineField>,
    /// The maximum nesting of elements.
    pub(super) depth: usize,
    /// The cost of visiting the fragment.
    pub(super) cost: usize,
}

impl FragmentReader<'_> {
    /// Reads the fragment at the beginning of `bytes`: the content of `section`, or without one a
    /// child of `Event`. Returns `None` when the fragment is not of this simple form or is invalid;
    /// some fields may have been added by then.
    pub(super) fn fragment(
        &mut self,
        mut bytes: ByteReader<'_>,
        section: Option<EventSection>,
    ) -> Option<()> {
        if let Some(section) = section {
            return self.element(&mut bytes, section, 2);
        }
        let mut name = bytes.clone();
        // The token and the length.
        name.take(5).ok()?;
        let name = WideName::name(&mut name).filter(|name| *name != WideName::SYSTEM)?;
        self.element(&mut bytes, EventSection::of(&name.text()), 1)
    }

    fn element(
        &mut self,
        bytes: &mut ByteReader<'_>,
        section: EventSection,
        level: usize,
    ) -> Option<()> {
        if level > self.depth {
            return None;
        }
        let open = bytes.u8().ok()?;
        let size = bytes.size().ok()?;
        bytes.clone().part(size).ok()?;
        let element = WideName::name(bytes)?;
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
            // The root element is not a field, unless it has text.
            (1, None) if called.is_none() => Some(()),
            (1, _) => None,
            (_, text) => {
                let place = self.places.find(section, element, FieldPart::Text(called));
                let text = text.map(|(at, text)| (at, text.len()));
                self.fields.push(InlineField { place, text });
                Some(())
            }
        }
    }

    /// Nested elements without text between them, and the end tag.
    fn content(
        &mut self,
        bytes: &mut ByteReader<'_>,
        section: EventSection,
        level: usize,
    ) -> Option<()> {
        while bytes.peek().ok()? != token::END_ELEMENT {
            self.cost += 1;
            self.element(bytes, section, level + 1)?;
        }
        bytes.u8().ok().map(drop)
    }

    /// The attributes, and the value of the one that names the field.
    fn attributes<'b>(
        &mut self,
        element: WideName<'_>,
        bytes: &mut ByteReader<'b>,
        section: EventSection,
    ) -> Option<Option<WideName<'b>>> {
        let is_data = section == EventSection::EventData
            && (element == WideName::DATA || element == WideName::COMPLEX_DATA);
        let mut called = None;
        bytes.size().ok()?;
        while bytes.peek().ok()? & !token::MORE == token::ATTRIBUTE {
            bytes.u8().ok()?;
            self.cost += 1;
            let name = WideName::name(bytes)?;
            let found = match bytes.peek().ok()? & !token::MORE {
                token::TEXT => Some(text(bytes)?),
                _ => None,
            };
            let next = bytes.peek().ok()? & !token::MORE;
            if matches!(next, token::TEXT | token::CHARACTER | token::ENTITY) {
                return None;
            }
            let value = Utf16::new(found.map_or(&[], |(_, text)| text));
            if name.is_of_xml() {
                continue;
            }
            if is_data && name == WideName::NAME {
                called = Some(WideName(value.bytes()));
            } else if !value.is_empty() {
                let place = self.places.find(section, element, FieldPart::Attribute(name));
                let text = found.map(|(at, text)| (at, text.len()));
                self.fields.push(InlineField { place, text });
            }
        }
        Some(called)
    }
}

/// A text after its token, and its position.
fn text<'b>(bytes: &mut ByteReader<'b>) -> Option<(usize, &'b [u8])> {
    let [_, token::STRING] = bytes.array().ok()? else { return None };
    let length = 2 * usize::from(bytes.u16().ok()?);
    let at = bytes.at();
    Some((at, bytes.take(length).ok()?))
}
