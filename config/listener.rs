//! What every HTTP listener has: encryption, limits, and an address that nobody else has.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::section::Section;

/// How the connections of an HTTP listener are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// A certificate made at the first start and kept in the data folder, for the host's own name,
    /// `localhost` and the addresses that are listened on.
    SelfMade {
        /// More names and addresses for the certificate's SAN.
        names: Vec<String>,
    },
    /// A certificate from files, both PEM.
    Files {
        /// The certificate and its chain.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Plain HTTP: on loopback, or because `insecure = true` was written.
    Plain,
}

/// What one HTTP listener grants its clients, so that no client costs another its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// The longest request body, in bytes.
    pub body: usize,
    /// The longest request line and headers together, in bytes.
    pub head: usize,
    /// How long a client may take to send the head.
    pub head_timeout: Duration,
    /// How long it may take to send the body after it.
    pub body_timeout: Duration,
    /// Connections of all clients at once.
    pub connections: usize,
    /// Connections of one source address at once.
    pub connections_per_address: usize,
}
