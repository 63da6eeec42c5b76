//! The part of the server that is always there: the cache actor decides, the query actor answers, and
//! the journal's thread makes events durable between them.

pub mod cache;
pub mod directory;
mod engine;
pub mod failover;
pub mod messages;
pub mod metrics;
pub mod query;
pub mod telemetry;

pub use self::engine::{Engine, StartError};
