//! Identity producers: one module per kind, and the actor that runs each of them.

pub mod active_directory;
mod bind_error;
mod config_fingerprint;
pub mod event_log;
mod event_sink;
mod input_batch;
pub mod metrics;
mod producer;
mod producer_actor;
pub mod ptim;
pub mod registration;
pub mod remote;
pub mod syslog;
mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod test_producer;
#[cfg(test)]
mod tests;
mod windows;

pub use self::event_sink::{EventSink, PendingAck};
pub use self::input_batch::InputBatch;
pub use self::producer::{Producer, ProducerError, ProducerFuture, StopSignal};
pub use self::producer_actor::{Close, ProducerActor};

use self::registration::Registration;

/// All kinds of producers. A new kind adds its own files and one line here.
pub const REGISTRATIONS: &[Registration] = &[
    syslog::factory::REGISTRATION,
    active_directory::factory::REGISTRATION,
    event_log::factory::REGISTRATION,
    ptim::factory::REGISTRATION,
];
