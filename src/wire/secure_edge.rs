//! The push dialect of Juniper Secure Edge: users, devices, groups and sessions.
//!
//! Juniper does not document the payload of its own collector. This dialect is Rollcall's own,
//! specified in docs/secure-edge.openapi.json. Every report has its position in the journal (epoch
//! and revision), so that duplicates are detected. Every batch has the position it follows, so that
//! a receiver that lost its state is detected with the next batch.

mod digest;
mod openapi;
mod report;
mod response;
#[cfg(test)]
mod tests;

pub use digest::{DIGEST_PAGES, SessionDigest};
pub use openapi::openapi;
pub use report::{OnboardingRequest, PositionToken, ReportBatch, ReportCounts, SyncBegin, SyncEnd};
pub use response::{
    AccessToken, BatchAck, DigestPages, OnboardedCredentials, ReceiverPosition, RejectedReport,
    ReportList, SecureEdgeError, SyncEnded, read,
};

/// The paths below the base URL.
pub mod path {
    /// Exchanges a one-time onboarding token for credentials.
    pub const ONBOARD: &str = "/v1/onboarding";
    /// Obtains an access token (RFC 6749 section 4.4).
    pub const TOKEN: &str = "/v1/oauth/token";
    /// Returns the position of the receiver.
    pub const POSITION: &str = "/v1/position";
    /// Accepts a batch of reports.
    pub const REPORTS: &str = "/v1/reports";
    /// Begins a full synchronization.
    pub const SYNC_BEGIN: &str = "/v1/synchronisations";
    /// Ends a full synchronization: sessions that were not reported are deleted.
    pub const SYNC_END: &str = "/v1/synchronisations/end";
    /// Returns digests of the sessions of the receiver.
    pub const DIGEST: &str = "/v1/digest";
}
