//! Binary XML, in which MS-EVEN6 sends events: a template that nearly all events of a kind share,
//! and the values of this one (section 2.2.12).
//!
//! A [`Decoder`] reads the template of a kind once, with the plan by which its values become fields,
//! and afterwards only compares it. No XML text is made; [`Decoder::xml`] does so for people to look
//! at.

mod file_time;
pub(super) mod node;
pub(super) mod parsed;
mod plain;
pub(super) mod plan;
mod plan_builder;
mod problem;
pub(super) mod raw;
mod sid;
pub(super) mod templates;
#[cfg(test)]
mod tests;
mod text;
mod token;
pub(super) mod tree;
mod value;
#[cfg(test)]
pub(super) mod writing;
pub(super) mod xml;

pub use file_time::{CalendarTime, FileTime};
pub use problem::Problem;
pub use sid::Sid;
pub use text::{Ansi, Utf16};
pub use value::{Array, Value};

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
