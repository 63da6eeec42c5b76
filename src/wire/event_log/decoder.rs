//! Decodes the events of a subscription.

use std::cell::Cell;

use super::binxml::node::{Node, Whole};
use super::binxml::parsed::{Parsed, Purpose};
use super::binxml::templates::Templates;
use super::binxml::{Limits, Problem, xml};
use super::record::Record;

/// Decodes the events of one subscription.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    templates: Templates,
    parsed: Parsed,
    /// The remaining output budget of the current event.
    left: Cell<usize>,
}

impl Decoder {
    /// A decoder without cached templates.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Decodes `fragment` into the fields of an event.
    ///
    /// # Errors
    /// [`BinXmlError`]; the decoder can be used for the next event.
    pub fn record<'r>(&'r mut self, fragment: &'r [u8]) -> Result<Record<'r>, Problem> {
        let depth = self.limits.depth;
        Record::read(self.root(fragment, Purpose::Fields)?, depth)
    }

    /// The XML in `fragment` as text on one line.
    ///
    /// # Errors
    /// [`BinXmlError`]; the decoder can be used for the next event.
    pub fn xml(&mut self, fragment: &[u8]) -> Result<String, Problem> {
        let limits = self.limits;
        xml::write(self.root(fragment, Purpose::Xml)?, limits.output, limits.depth)
    }

    /// The number of cached templates.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    pub(super) fn root<'r>(
        &'r mut self,
        bytes: &'r [u8],
        purpose: Purpose,
    ) -> Result<Node<'r>, Problem> {
        self.parsed.replace(bytes, &mut self.templates, (&self.limits, purpose))?;
        self.left.set(self.limits.output);
        let Self { parsed, templates, left, .. } = self;
        let whole = Whole { bytes, parsed, templates, left };
        whole.root().ok_or(Problem::NotAnEvent)
    }
}
