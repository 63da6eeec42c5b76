//! Everything that runs. The order of an event's way is the order of these modules.
//!
//! ```text
//! producers ──► cache ──► journal's thread ──► cache ──► query ──► enforcement, rest, push
//!                         (append, commit)     (fold)    (answers)
//! ```

pub mod account;
pub mod admission;
mod board;
pub mod cache;
pub mod clock;
pub mod directory;
pub mod enforcement;
pub mod happenings;
pub mod heart;
pub mod history;
pub mod house;
pub mod journal;
#[cfg(test)]
mod lent;
pub mod listener;
pub mod mailbox;
pub mod meter;
pub mod metrics;
mod msrpc;
mod names;
mod priority;
mod problem;
pub mod producers;
mod proof;
pub mod push;
pub mod query;
pub mod rest;
mod sampling;
pub mod supervisor;
pub mod tls;
pub mod validator;
