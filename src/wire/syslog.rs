//! Syslog: framing of streams, message parsing, and the templates that extract identity events.

mod defaults;
mod framing;
mod message;
mod moment;
mod pattern;
mod problem;
mod program;
mod reader;
mod reading;
mod rule;
mod sample;
mod shared;
mod structured;
mod template;
mod template_file;
mod trial;
mod values;
mod verify;

pub use defaults::{Defaults, TimeSource};
pub use framing::{DEFAULT_LIMIT, FrameProblem, Framer};
pub use message::{Message, Priority};
pub use moment::{Moment, SenderClock};
pub use problem::Problem;
pub use reader::{Outcome, Reader};
pub use sample::SampleFailure;
pub use structured::{Param, Params, StructuredData};
pub use template::Template;
pub use template_file::TemplateProblem;
pub use trial::{Summary, Trial, Tried};
pub use values::{Field, Maps};

#[cfg(test)]
mod shipped;
