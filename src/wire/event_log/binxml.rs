//! BinXML, the binary XML of MS-EVEN6 events: a template shared by events of one kind, and the
//! values of this event (section 2.2.12).
//!
//! A decoder parses each template once, with a plan that maps its values to fields. Later instances
//! are only compared with the known template. The XML text is only produced on request. The decoder
//! is our own because the `evtx` crate reads only the variant in files, with offsets into a chunk,
//! and not the self-contained fragments of MS-EVEN6.

mod error;
mod file_time;
mod inline;
pub(super) mod node;
pub(super) mod parsed;
pub(super) mod plan;
mod plan_builder;
pub(super) mod raw;
mod sid;
pub(super) mod templates;
#[cfg(test)]
pub(super) mod test_encoder;
#[cfg(test)]
mod tests;
mod text;
mod token;
pub(super) mod tree;
mod value;
pub(super) mod xml;

pub use error::BinXmlError;
pub use file_time::{CalendarTime, FileTime};
pub use sid::Sid;
pub use text::{Ansi, Utf16};
pub use value::{Array, Value};

/// Limits on the events of a server, which is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum nesting of elements, and of fragments.
    pub depth: usize,
    /// Maximum number of values of one event, over all fragments.
    pub values: usize,
    /// Maximum size of the output of one event in bytes: its XML, or its fields in memory. A
    /// template can use a value many times, and a value can be a fragment.
    pub output: usize,
    /// Maximum size of the cached templates, in bytes as received. In memory they take a multiple
    /// of that.
    pub templates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            values: 65_536,
            // A Windows event has at most 64 KiB.
            output: 1 << 20,
            // The 400 kinds of events of the security log have about 2 KiB each.
            templates: 1 << 20,
        }
    }
}
