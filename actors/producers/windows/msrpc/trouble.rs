//! Why a server cannot be called.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rollcall_wire::msrpc::endpoint_mapper::EndpointError;
use rollcall_wire::msrpc::{AssociationError, Fault};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Nobody takes the connection.
    #[error("cannot connect to {at}: {why}")]
    Connect {
        /// Where.
        at: SocketAddr,
        /// What the system says.
        why: io::Error,
    },
    /// The connection ended.
    #[error("the connection broke off: {0}")]
    Broken(io::Error),
    /// The server ended it.
    #[error("the server closed the connection")]
    Closed,
    /// The server does not answer.
    #[error("the server was silent for {0:?}")]
    Silent(Duration),
    /// Kerberos or NTLM do not come to an end.
    #[error("{0}")]
    Proof(String),
    /// Nobody gives out tickets.
    #[error("{0}")]
    NoKdc(String),
    /// The association cannot go on.
    #[error("{0}")]
    Association(AssociationError),
    /// The call is refused.
    #[error("{0}")]
    Fault(Fault),
    /// The endpoint mapper names no port.
    #[error("{0}")]
    NoEndpoint(EndpointError),
    /// A call before another is answered: ours to mend.
    #[error("the association is not ready for a call")]
    OutOfTurn,
}
