//! Syslog: frames of a stream, messages in their wild forms, and the templates that read identity
//! events from them.

mod framing;
mod message;
mod moment;
mod rfc3164;
mod rfc5424;
mod structured;

pub use framing::{DEFAULT_LIMIT, FrameProblem, Framer};
pub use message::{Message, Priority};
pub use moment::{Moment, SenderClock};
pub use structured::{Param, Params, StructuredData};
