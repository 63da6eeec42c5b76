//! Who, besides the enforcement points, may push events over HTTP.

use ipnet::IpNet;
use rollcall_identity::{Authority, Name};

use crate::SecretHash;

/// The pushing producer. Its requests arrive on the enforcement listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ptim {
    /// Its name as a producer.
    pub name: Name,
    /// Whether pushes are taken at all.
    pub enabled: bool,
    /// Who may push without being an enforcement point.
    pub clients: Vec<Pusher>,
}

/// A program that posts events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pusher {
    /// Its name in the log, the metrics and explanations.
    pub name: Name,
    /// From where it may connect.
    pub addresses: Vec<IpNet>,
    /// With which client id it asks for a token, 1 to 64 characters.
    pub client_id: String,
    /// What its secret must hash to.
    pub secret: SecretHash,
    /// What it may speak for.
    pub authority: Authority,
    /// The domain of users that are written without one.
    pub domain: Option<Name>,
}
