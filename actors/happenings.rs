//! Everything noteworthy that happens, one struct each, whose `emit` writes the log line and the
//! counter together; and the catalogue of all metrics.
//!
//! Labels come from closed sets (actors, configured clients and templates, enums): never a user,
//! a host or an address that came from outside.

mod answering;
mod catalogue;
mod deciding;
mod directory;
mod event_log;
mod journal;
mod pushing;
mod receiving;
mod supervising;

pub(crate) use self::answering::*;
pub use self::catalogue::{Instrument, Metric, catalogue, describe, markdown};
pub(crate) use self::deciding::*;
pub(crate) use self::directory::*;
pub(crate) use self::event_log::*;
pub(crate) use self::journal::*;
pub(crate) use self::pushing::*;
pub use self::receiving::{Dropped, Received};
pub(crate) use self::receiving::{
    KernelDropped, OverShare, ProducerBegins, SenderUnknown, StreamClosed, StreamRefused,
};
pub(crate) use self::supervising::*;

/// Something noteworthy.
pub trait Happening {
    /// Logs and counts it.
    fn emit(self);
}
