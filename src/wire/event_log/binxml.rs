//! Binary XML, in which MS-EVEN6 sends events: a template that nearly all events of a kind share,
//! and the values of this one (section 2.2.12).
//!
//! A [`Decoder`] reads the template of a kind once, with the plan by which its values become fields,
//! and afterwards only compares it. No XML text is made; [`Decoder::xml`] does so for people to look
//! at.

mod array;
mod file_time;
pub(super) mod node;
mod parsed;
mod plain;
pub(super) mod plan;
mod problem;
pub(super) mod raw;
mod sid;
mod templates;
#[cfg(test)]
mod tests;
mod text;
mod token;
pub(super) mod tree;
mod value;
#[cfg(test)]
pub(super) mod writing;
mod xml;

pub use array::Array;
pub use file_time::{CalendarTime, FileTime};
pub use problem::Problem;
pub use sid::Sid;
pub use text::{Ansi, Utf16};
pub use value::Value;

use std::cell::Cell;

use node::{Node, Whole};
use parsed::{Parsed, Purpose};
use templates::Templates;

use super::record::Record;

/// How much of a server's events is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Elements within one another, and fragments within one another.
    pub depth: usize,
    /// Values of one event, all fragments together.
    pub values: usize,
    /// What one event may become, in bytes: its XML, or its fields in memory. Values can be used
    /// many times over, and fragments are values.
    pub output: usize,
    /// What the templates that are held may take, in bytes as received; in memory they take some
    /// times as much.
    pub templates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            values: 65_536,
            // An event of Windows is at most 64 KiB.
            output: 1 << 20,
            // The 400 kinds of events of the security log have about 2 KiB each.
            templates: 1 << 20,
        }
    }
}

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

    fn root<'r>(&'r mut self, bytes: &'r [u8], purpose: Purpose) -> Result<Node<'r>, Problem> {
        self.parsed.replace(bytes, &mut self.templates, (&self.limits, purpose))?;
        self.left.set(self.limits.output);
        let Self { parsed, templates, left, .. } = self;
        let whole = Whole { bytes, parsed, templates, left };
        whole.root().ok_or(Problem::NotAnEvent)
    }
}
