//! Reads the events of a subscription from binary XML.

use std::cell::Cell;

use super::binxml::node::{Node, Whole};
use super::binxml::parsed::{Parsed, Purpose};
use super::binxml::templates::Templates;
use super::binxml::{Limits, Problem, xml};
use super::record::Record;

/// Reads the events of one subscription.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    templates: Templates,
    parsed: Parsed,
    /// How much more may come out of the present event.
    left: Cell<usize>,
}

impl Decoder {
    /// One that knows no template yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The event that `fragment` is, by its fields.
    ///
    /// # Errors
    /// [`Problem`]; the decoder can go on with the next event.
    pub fn record<'r>(&'r mut self, fragment: &'r [u8]) -> Result<Record<'r>, Problem> {
        let depth = self.limits.depth;
        Record::read(self.root(fragment, Purpose::Fields)?, depth)
    }

    /// The event, or any other XML that `fragment` is, as text on one line.
    ///
    /// # Errors
    /// [`Problem`]; the decoder can go on with the next event.
    pub fn xml(&mut self, fragment: &[u8]) -> Result<String, Problem> {
        let limits = self.limits;
        xml::write(self.root(fragment, Purpose::Xml)?, limits.output, limits.depth)
    }

    /// How many templates are held.
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
