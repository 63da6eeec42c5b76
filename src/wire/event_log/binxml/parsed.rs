//! A parsed fragment: templates and the positions of their values. The values themselves are not
//! decoded here.

use super::Limits;
use super::error::BinXmlError;
use super::inline::{FieldPaths, FragmentReader, InlineField};
use super::plan::DataValue;
use super::raw::RawValue;
use super::templates::{TemplateCache, TemplateSlot, skip_headers};
use super::token;
use super::tree::{self, Element, ElementParser};
use crate::event_log::bytes::ByteReader;
use crate::event_log::field_path::FieldPath;

/// The parts of one event, by number. Reused from event to event to avoid allocations.
#[derive(Debug, Default)]
pub(in crate::event_log) struct ParsedEvent {
    fragments: Vec<Fragment>,
    slots: Vec<Slot>,
    /// Roots that are not templates, or whose templates are not cached.
    roots: Vec<Element>,
    /// The paths of fields in fragments without a template.
    places: FieldPaths,
    /// The fields of those fragments.
    plain: Vec<InlineField>,
}

/// The purpose of parsing an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::event_log) enum ParseMode {
    /// Only its fields; some fragments then need no tree.
    Fields,
    /// The complete XML.
    Xml,
}

/// A template and its values, or an inline element without values.
#[derive(Debug, Clone, Copy)]
struct Fragment {
    root: FragmentRoot,
    first: usize,
    count: usize,
}

#[derive(Debug, Clone, Copy)]
enum FragmentRoot {
    Template(usize),
    Inline(usize),
    /// No tree: the fragment was read into `count` fields from `first` on.
    Fields {
        cost: usize,
    },
}

/// A value of a template instance, at its position in the received bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) kind: u8,
    length: u16,
    at: usize,
    /// The number of the fragment in the value, when it is a fragment.
    pub(super) fragment: Option<usize>,
}

impl Slot {
    /// The bytes of the value, out of those of the fragment.
    pub(super) fn bytes<'r>(&self, all: &'r [u8]) -> &'r [u8] {
        all.get(self.at..self.at + usize::from(self.length)).unwrap_or_default()
    }
}

impl ParsedEvent {
    /// The root element and the values of a fragment; the outermost is number 0.
    pub(super) fn fragment<'r>(
        &'r self,
        number: usize,
        templates: &'r TemplateCache,
    ) -> Option<(&'r Element, &'r [Slot])> {
        let fragment = self.fragments.get(number)?;
        let root = match fragment.root {
            FragmentRoot::Template(at) => templates.root(at),
            FragmentRoot::Inline(at) => self.roots.get(at)?,
            FragmentRoot::Fields { .. } => return None,
        };
        Some((root, self.slots.get(fragment.first..)?.get(..fragment.count)?))
    }

    /// The fields of a fragment that was read into fields, and the cost of reading them.
    pub(super) fn fields<'r>(
        &'r self,
        number: usize,
        bytes: &'r [u8],
    ) -> Option<(usize, impl Iterator<Item = (&'r FieldPath<'r>, RawValue<'r>)>)> {
        let Fragment { root: FragmentRoot::Fields { cost }, first, count } =
            *self.fragments.get(number)?
        else {
            return None;
        };
        let fields = self.plain.get(first..)?.get(..count)?;
        Some((cost, fields.iter().map(move |field| self.places.field(field, bytes))))
    }

    /// Parses `bytes` and replaces the previous event.
    pub(in crate::event_log) fn replace(
        &mut self,
        bytes: &[u8],
        templates: &mut TemplateCache,
        (limits, purpose): (&Limits, ParseMode),
    ) -> Result<(), BinXmlError> {
        self.fragments.clear();
        self.slots.clear();
        self.roots.clear();
        self.plain.clear();
        self.places.trim(limits.templates);
        templates.trim(limits.templates);
        let mut bytes = ByteReader::new(bytes);
        while bytes.peek()? == token::INSTRUCTION_TARGET {
            ElementParser { bytes: &mut bytes, place: tree::ElementContext::Inline }
                .instruction()?;
        }
        let mut parser = FragmentParser { parsed: self, templates, limits, purpose };
        parser.fragment(bytes, limits.depth).map(drop)
    }
}

/// The state for parsing a fragment.
struct FragmentParser<'a> {
    parsed: &'a mut ParsedEvent,
    templates: &'a mut TemplateCache,
    limits: &'a Limits,
    purpose: ParseMode,
}

impl FragmentParser<'_> {
    /// Parses a fragment, with at most `depth` nested fragments. The bytes after it are the end
    /// token or unused.
    fn fragment(&mut self, mut bytes: ByteReader<'_>, depth: usize) -> Result<usize, BinXmlError> {
        let depth = depth.checked_sub(1).ok_or(BinXmlError::Depth)?;
        skip_headers(&mut bytes)?;
        let number = self.parsed.fragments.len();
        if bytes.peek()? == token::TEMPLATE_INSTANCE {
            self.template_instance(bytes, depth)?;
            return Ok(number);
        }
        let mut elements = ElementParser { bytes: &mut bytes, place: tree::ElementContext::Inline };
        let root = elements.element(self.limits.depth)?;
        let root = self.own(root);
        self.parsed.fragments.push(Fragment { root, first: 0, count: 0 });
        Ok(number)
    }

    fn own(&mut self, root: Element) -> FragmentRoot {
        self.parsed.roots.push(root);
        FragmentRoot::Inline(self.parsed.roots.len() - 1)
    }

    fn template_instance(
        &mut self,
        mut bytes: ByteReader<'_>,
        depth: usize,
    ) -> Result<(), BinXmlError> {
        // The token, and a byte that is always 0.
        bytes.u16()?;
        let identifier = bytes.array()?;
        let length = bytes.size()?;
        let body = bytes.part(length)?;
        let root = match self.templates.get_or_parse(identifier, body, self.limits.depth)? {
            TemplateSlot::Cached(at) => FragmentRoot::Template(at),
            TemplateSlot::Uncached(root) => self.own(root),
        };
        let data = match (root, self.purpose) {
            // Only for the outermost template.
            (FragmentRoot::Template(at), ParseMode::Fields) if self.parsed.fragments.is_empty() => {
                self.templates.data(at)
            }
            _ => None,
        };
        let first = self.parsed.slots.len();
        let count = self.slots(&mut bytes)?;
        self.parsed.fragments.push(Fragment { root, first, count });
        for at in first..first + count {
            let slot = &mut self.parsed.slots[at];
            let value = bytes.part(slot.length.into())?;
            slot.at = value.at();
            if slot.kind == token::FRAGMENT && slot.length > 0 {
                let data = data.filter(|data| usize::from(data.number) == at - first);
                let plain = data.and_then(|data| self.plain(value.clone(), data));
                let number = match plain {
                    Some(number) => number,
                    None => self.fragment(value, depth)?,
                };
                self.parsed.slots[at].fragment = Some(number);
            }
        }
        Ok(())
    }

    /// Reads the data of an event directly into fields, when it has no template and allows it.
    fn plain(&mut self, mut bytes: ByteReader<'_>, data: DataValue) -> Option<usize> {
        skip_headers(&mut bytes).ok()?;
        let ParsedEvent { places, plain: fields, fragments, .. } = &mut *self.parsed;
        let first = fields.len();
        // The data is already one level down.
        let depth = self.limits.depth.saturating_sub(1);
        let (section, cost) = data.within.unzip();
        let mut reading = FragmentReader { places, fields, depth, cost: cost.unwrap_or_default() };
        let read = reading.fragment(bytes, section);
        let cost = reading.cost;
        if read.is_none() {
            fields.truncate(first);
            return None;
        }
        fragments.push(Fragment {
            root: FragmentRoot::Fields { cost },
            first,
            count: fields.len() - first,
        });
        Some(fragments.len() - 1)
    }

    /// The lengths and types of the values, which precede all values.
    fn slots(&mut self, bytes: &mut ByteReader<'_>) -> Result<usize, BinXmlError> {
        let count = bytes.size()?;
        let entries = bytes.take(count.saturating_mul(4))?;
        if self.parsed.slots.len() + count > self.limits.values {
            return Err(BinXmlError::Values);
        }
        let slot = |&[low, high, kind, _]: &[u8; 4]| {
            let length = u16::from_le_bytes([low, high]);
            Slot { kind, length, at: 0, fragment: None }
        };
        self.parsed.slots.extend(entries.as_chunks().0.iter().map(slot));
        Ok(count)
    }
}
