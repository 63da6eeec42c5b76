//! The templates of a subscription: every event brings its own along, and nearly always one that
//! was read before.

use hashbrown::HashMap;

use super::plan::Data;
use super::plan_builder;
use super::problem::Problem;
use super::token;
use super::tree::{Element, Elements, Place};
use crate::event_log::bytes::Bytes;

/// Templates with one identifier that are held beside one another. There should be one; a provider
/// that was updated makes it two.
const VARIANTS: usize = 4;

/// What holding one takes beside its bytes, so that very small ones cannot be held without end.
const OVERHEAD: usize = 256;

/// A template that was read, and the bytes that it was read from.
#[derive(Debug)]
struct Template {
    body: Box<[u8]>,
    root: Element,
    data: Option<Data>,
}

/// Templates by their identifier (MS-EVEN6 section 2.2.12, `TemplateId`). An identifier alone is
/// only what the server claims, so the bytes are compared too.
#[derive(Debug, Default)]
pub(in crate::event_log) struct Templates {
    known: Vec<Template>,
    by_identifier: HashMap<[u8; 16], Vec<usize>>,
    size: usize,
}

/// Where a template is held.
pub(super) enum Held {
    /// By this number, until [`Templates::trim`].
    At(usize),
    /// Nowhere: it was read for this event only.
    Not(Element),
}

impl Templates {
    /// The template whose bytes `body` is, read from them if it is not known.
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

    /// Forgets all when they take more than `limit` bytes: those in use come back with the next
    /// events.
    pub(super) fn trim(&mut self, limit: usize) {
        if self.size > limit {
            *self = Self::default();
        }
    }

    /// The root element of the template held as `at`.
    pub(super) fn root(&self, at: usize) -> &Element {
        &self.known[at].root
    }

    /// Which value of the template held as `at` is the data of the event.
    pub(super) fn data(&self, at: usize) -> Option<Data> {
        self.known[at].data
    }

    /// How many there are.
    pub(in crate::event_log) fn len(&self) -> usize {
        self.known.len()
    }
}

/// The element of a template definition. What follows it is not looked at: the length of the
/// template decides where its values begin, and servers leave waste behind the end token
/// (MS-EVEN6 section 4.8). There is nothing that the outermost element could be left out of, so
/// what it depends on is of no account: it is the data of the event, and an event without any is
/// an event.
fn read(mut body: Bytes<'_>, depth: usize) -> Result<Element, Problem> {
    skip_headers(&mut body)?;
    let root = Elements { bytes: &mut body, place: Place::Template }.element(depth)?;
    Ok(Element { dependency: None, ..root })
}

/// Skips fragment headers; all of them must be of version 1.
pub(super) fn skip_headers(bytes: &mut Bytes<'_>) -> Result<(), Problem> {
    while bytes.peek()? == token::FRAGMENT_HEADER {
        match bytes.array()? {
            [_, 1, _, _] => {}
            [_, version, _, _] => return Err(Problem::Version { version }),
        }
    }
    Ok(())
}
