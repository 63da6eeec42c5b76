//! Syslog: framing of streams, message parsing, and the templates that extract identity events.

mod client_defaults;
mod error;
mod field_mapping;
mod framing;
mod line_reader;
mod literal_matcher;
mod message;
mod pattern;
mod rule;
mod sample;
mod structured;
mod template;
mod template_file;
mod template_settings;
mod template_test;
mod timestamp;
mod values;
mod verify;

pub use client_defaults::{ClientDefaults, TimeSource};
pub use error::SyslogParseError;
pub use framing::{DEFAULT_LIMIT, FrameError, SyslogFramer};
pub use line_reader::{LineOutcome, LineReader};
pub use message::{Priority, SyslogMessage};
pub use sample::SampleFailure;
pub use structured::{Param, Params, StructuredData};
pub use template::Template;
pub use template_file::TemplateFileError;
pub use template_test::{LineReport, TemplateTest, TestSummary};
pub use timestamp::{SenderClock, TimeWithPrecision};
pub use values::{LookupTables, TemplateField};

#[cfg(test)]
mod shipped_templates;
