//! The cache of templates. Every event includes its template, which is nearly always a known one.

use hashbrown::HashMap;

use super::plan::Data;
use super::plan_builder;
use super::problem::Problem;
use super::token;
use super::tree::{Element, Elements, Place};
use crate::event_log::bytes::Bytes;

/// The maximum number of cached templates with one identifier. Usually there is one; an updated
/// provider makes it two.
const VARIANTS: usize = 4;

/// The accounting overhead per template, so that many small templates cannot exhaust memory.
const OVERHEAD: usize = 256;

/// A parsed template, and the bytes it was parsed from.
#[derive(Debug)]
struct Template {
    body: Box<[u8]>,
    root: Element,
    data: Option<Data>,
}

/// Templates by identifier (MS-EVEN6 section 2.2.12, `TemplateId`). The identifier is not trusted,
/// so the bytes are compared too.
#[derive(Debug, Default)]
pub(in crate::event_log) struct Templates {
    known: Vec<Template>,
    by_identifier: HashMap<[u8; 16], Vec<usize>>,
    size: usize,
}

/// Where a template is stored.
pub(super) enum Held {
    /// In the cache under this number, until [`TemplateCache::trim`].
    At(usize),
    /// Not cached: parsed for this event only.
    Not(Element),
}

impl Templates {
    /// The template with the bytes `body`, parsed if it is not cached.
    pub(super) fn learn(
        &mut self,
        identifier: [u8; 16],
        body: Bytes<'_>,
        depth: usize,
    ) -> Result<Held, Problem> {
        let bytes = body.rest();
        let variants = self.by_identifier.get(&identifier);
        let known = variants.into_iter().flatten().find(|at| *self.known[**at].body == *bytes);
        if let Some(at) = known {
            return Ok(Held::At(*at));
        }
        let mut root = read(body, depth)?;
        let variants = self.by_identifier.entry(identifier).or_default();
        if variants.len() >= VARIANTS {
            return Ok(Held::Not(root));
        }
        plan_builder::draw(&mut root);
        variants.push(self.known.len());
        self.size += bytes.len() + OVERHEAD;
        let data = plan_builder::data(&root);
        self.known.push(Template { body: bytes.into(), root, data });
        Ok(Held::At(self.known.len() - 1))
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
    pub(super) fn data(&self, at: usize) -> Option<Data> {
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
fn read(mut body: Bytes<'_>, depth: usize) -> Result<Element, Problem> {
    skip_headers(&mut body)?;
    let root = Elements { bytes: &mut body, place: Place::Template }.element(depth)?;
    Ok(Element { dependency: None, ..root })
}

/// Skips fragment headers, all of which must have version 1.
pub(super) fn skip_headers(bytes: &mut Bytes<'_>) -> Result<(), Problem> {
    while bytes.peek()? == token::FRAGMENT_HEADER {
        match bytes.array()? {
            [_, 1, _, _] => {}
            [_, version, _, _] => return Err(Problem::Version { version }),
        }
    }
    Ok(())
}
