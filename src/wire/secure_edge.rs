//! What a cloud firewall service is told of users, devices, groups and sessions: Juniper Secure Edge.
//!
//! Juniper does not publish the payload of its own collector. This is a dialect of Rollcall's,
//! described whole in docs/secure-edge.openapi.json: every report carries its place in the journal
//! (epoch and revision), so that whatever is told twice is known to be; every batch says which one
//! it follows, so that a receiver that lost its state is found out with the next batch.

mod answer;
mod digest;
mod openapi;
mod report;
#[cfg(test)]
mod tests;

pub use answer::{
    BadAnswer, Credentials, Digests, Ended, List, Place, Problem, Refusal, Refused, Taken, Token,
    read,
};
pub use digest::{DIGEST_PAGES, Digest};
pub use openapi::openapi;
pub use report::{Batch, Begin, End, Onboard, Position, Tally};

/// Where each question goes, below the base URL.
pub mod path {
    /// Exchanges an onboarding token for credentials, once.
    pub const ONBOARD: &str = "/v1/onboarding";
    /// Buys an access token (RFC 6749 section 4.4).
    pub const TOKEN: &str = "/v1/oauth/token";
    /// Up to where the receiver knows.
    pub const POSITION: &str = "/v1/position";
    /// A batch of reports.
    pub const REPORTS: &str = "/v1/reports";
    /// Begins a synchronisation.
    pub const SYNCHRONISE: &str = "/v1/synchronisations";
    /// Ends it: what it did not tell is void.
    pub const SYNCHRONISED: &str = "/v1/synchronisations/end";
    /// Digests of what the receiver holds.
    pub const DIGEST: &str = "/v1/digest";
}
