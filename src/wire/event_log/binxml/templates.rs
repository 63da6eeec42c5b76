//! The cache of templates. Every event includes its template, which is nearly always a known one.

use hashbrown::HashMap;

use super::error::BinXmlError;
use super::plan::DataValue;
use super::plan_builder;
use super::token;
use super::tree::{Element, ElementContext, ElementParser};
use crate::event_log::bytes::ByteReader;

/// The maximum number of cached templates with one identifier. Usually there is one; an updated
/// provider makes it two.
const VARIANTS: usize = 4;

/// The accounting overhead per template, so that many small templates cannot exhaust memory.
const OVERHEAD: usize = 256;

/// A parsed template, and the bytes it was parsed from.
#[derive(Debug)]
struct CachedTemplate {
    body: Box<[u8]>,
    root: Element,
    data: Option<DataValue>,
}

/// Templates by identifier (MS-EVEN6 section 2.2.12, `TemplateId`). The identifier is not trusted,
/// so the bytes are compared too.
#[derive(Debug, Default)]
pub(in crate::event_log) struct TemplateCache {
    known: Vec<CachedTemplate>,
    by_identifier: HashMap<[u8; 16], Vec<usize>>,
    size: usize,
}

/// Where a template is stored.
pub(super) enum TemplateSlot {
    /// In the cache under this number, until [`TemplateCache::trim`].
    Cached(usize),
    /// Not cached: parsed for this event only.
    Uncached(Element),
}

impl TemplateCache {
    /// The template with the bytes `body`, parsed if it is not cached.
    pub(super) fn get_or_parse(
        &mut self,
        identifier: [u8; 16],
        body: ByteReader<'_>,
        depth: usize,
    ) -> Result<TemplateSlot, BinXmlError> {
        let bytes = body.rest();
        let variants = self.by_identifier.get(&identifier);
        let known = variants.into_iter().flatten().find(|at| *self.known[**at].body == *bytes);
        if let Some(at) = known {
            return Ok(TemplateSlot::Cached(*at));
        }
        let mut root = read(body, depth)?;
        let variants = self.by_identifier.entry(identifier).or_default();
        if variants.len() >= VARIANTS {
            return Ok(TemplateSlot::Uncached(root));
        }
        plan_builder::attach_plans(&mut root);
        variants.push(self.known.len());
        self.size += bytes.len() + OVERHEAD;
        let data = plan_builder::find_data_value(&root);
        self.known.push(CachedTemplate { body: bytes.into(), root, data });
        Ok(TemplateSlot::Cached(self.known.len() - 1))
    }

    /// Drops all templates when they take more than `limit` bytes. Templates in use are added again
    /// by the next events.
    pub(super) fn trim(&mut self, limit: usize) {
        if self.size > limit {
            *self = Self::default();
        }
    }

    /// The root element of the template `at`.
    pub(super) fn root(&self, at: usize) -> &Element {
        &self.known[at].root
    }

    /// The data value of the template `at`.
    pub(super) fn data(&self, at: usize) -> Option<DataValue> {
        self.known[at].data
    }

    /// The number of templates.
    pub(in crate::event_log) fn len(&self) -> usize {
        self.known.len()
    }
}

/// Parses a template definition. The bytes after the element are ignored: the length of the
/// template determines where its values begin, and servers leave unused bytes after the end token
/// (MS-EVEN6 section 4.8). The dependency of the root element is ignored too, because an event
/// without data is still an event.
fn read(mut body: ByteReader<'_>, depth: usize) -> Result<Element, BinXmlError> {
    skip_headers(&mut body)?;
    let root =
        ElementParser { bytes: &mut body, place: ElementContext::Template }.element(depth)?;
    Ok(Element { dependency: None, ..root })
}

/// Skips fragment headers, all of which must have version 1.
pub(super) fn skip_headers(bytes: &mut ByteReader<'_>) -> Result<(), BinXmlError> {
    while bytes.peek()? == token::FRAGMENT_HEADER {
        match bytes.array()? {
            [_, 1, _, _] => {}
            [_, version, _, _] => return Err(BinXmlError::Version { version }),
        }
    }
    Ok(())
}
