//! The engine as two state machines without I/O: [`CacheState`] decides, [`ReadModel`] answers.
//!
//! They hold the rules of order. An actor, or the simulation, translates messages to their inputs
//! and carries out their outputs. Time and the directory are parameters; there is no lock and no
//! channel.
//!
//! ```text
//! input                 CacheState                          output
//! submit ─────────────► enrich ───────────────────────────► Append      to the journal
//! rejected ───────────► the batch is not in the journal ──► Reply       with the reason
//! committed ──────────► fence, skip known, apply ─────────► Publish     to the read model
//! confirm ────────────► the changes are visible ──────────► Reply       with the receipt
//! tick ───────────────► expired sessions, retries ────────► Append
//! update_membership ──► affected sessions, in slices ─────► Append ... Updated
//! start ──────────────► recovered state, or else ─────────► RequestState, Reload
//! peer_state, reloaded ► take over ───────────────────────► PublishMissed, Recovered
//!
//! publish ────────────► ReadModel: fence, apply ──────────► Visibility
//! ```
//!
//! * An event is applied only after it is committed, once, and only by the latest generation.
//! * A sender gets its receipt only after the changes are visible: [`PendingReceipt`] has no other
//!   use than [`CacheState::confirm`].
//! * At most one batch of expiry events and one slice of a membership update are in flight.
//! * Nothing is applied before the state of the previous generation is taken over.

mod batch;
mod cache_state;
mod decider;
mod failover;
mod membership_updates;
mod outputs;
mod read_model;
#[cfg(test)]
mod tests;

pub use self::batch::{BatchOwner, EventBatch, Publication, Rejection, Visibility};
pub use self::cache_state::{CacheSettings, CacheState};
pub use self::decider::{Decider, Receipt, Takeover};
pub use self::failover::{
    EngineRole, Generations, Ownership, OwnershipLease, RecoveredState, StaleTakeover, StartMode,
    StateTransfer,
};
pub use self::outputs::{
    CacheOutput, DecidedBatch, PendingReceipt, Recovery, StartFailure, VerdictCount,
};
pub use self::read_model::{Fenced, ReadModel};
