//! Why a call to a server fails.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rollcall_wire::msrpc::endpoint_mapper::EndpointError;
use rollcall_wire::msrpc::{AssociationError, Fault};

use crate::remote::ResolveError;
use crate::windows::sspi::AuthError;

/// Why a call to a server fails.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The connection is not accepted.
    #[error("cannot connect to {server}: {error}")]
    Connect {
        /// The address and port.
        server: SocketAddr,
        /// The error of the system.
        error: io::Error,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Broken(io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server did not respond in time.
    #[error("the server did not respond for {0:?}")]
    Timeout(Duration),
    /// The authentication failed.
    #[error("{0}")]
    Auth(#[from] AuthError),
    /// No KDC is found.
    #[error("{0}")]
    NoKdc(#[from] ResolveError),
    /// The association failed.
    #[error("{0}")]
    Association(AssociationError),
    /// The server responded with a fault.
    #[error("{0}")]
    Fault(Fault),
    /// The endpoint mapper returned no port.
    #[error("{0}")]
    NoEndpoint(EndpointError),
    /// A call before the previous one is completed: an error of Rollcall.
    #[error("the association is not ready for a call")]
    OutOfTurn,
}
