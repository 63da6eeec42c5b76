//! Decodes the events of a subscription.

use std::cell::Cell;

use super::binxml::node::{EventBuffer, Node};
use super::binxml::parsed::{ParseMode, ParsedEvent};
use super::binxml::templates::TemplateCache;
use super::binxml::{BinXmlError, Limits, xml};
use super::record::EventRecord;

/// Decodes the events of one subscription.
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    templates: TemplateCache,
    parsed: ParsedEvent,
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
    pub fn record<'r>(&'r mut self, fragment: &'r [u8]) -> Result<EventRecord<'r>, BinXmlError> {
        let depth = self.limits.depth;
        EventRecord::read(self.root(fragment, ParseMode::Fields)?, depth)
    }

    /// The XML in `fragment` as text on one line.
    ///
    /// # Errors
    /// [`BinXmlError`]; the decoder can be used for the next event.
    pub fn xml(&mut self, fragment: &[u8]) -> Result<String, BinXmlError> {
        let limits = self.limits;
        xml::write(self.root(fragment, ParseMode::Xml)?, limits.output, limits.depth)
    }

    /// The number of cached templates.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    pub(super) fn root<'r>(
        &'r mut self,
        bytes: &'r [u8],
        purpose: ParseMode,
    ) -> Result<Node<'r>, BinXmlError> {
        self.parsed.replace(bytes, &mut self.templates, (&self.limits, purpose))?;
        self.left.set(self.limits.output);
        let Self { parsed, templates, left, .. } = self;
        let whole = EventBuffer { bytes, parsed, templates, left };
        whole.root().ok_or(BinXmlError::NotAnEvent)
    }
}
