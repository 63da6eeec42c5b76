//! The listener for administrators: REST, the live stream, the metrics.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::{HttpLimits, Tls};

/// The REST listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How its connections are protected; [`Tls::Plain`] on loopback unless files are given.
    pub tls: Tls,
    /// The file with the bearer token, made with mode 0600 when it is missing.
    pub token_file: PathBuf,
    /// Its limits.
    pub limits: HttpLimits,
}
