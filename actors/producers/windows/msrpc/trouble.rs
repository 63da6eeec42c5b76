//! Errors of remote procedure calls.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rollcall_wire::msrpc::endpoint_mapper::EndpointError;
use rollcall_wire::msrpc::{AssociationError, Fault};

/// Why a call has no response.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server does not accept the connection.
    #[error("cannot connect to {at}: {why}")]
    Connect {
        /// The address of the server.
        at: SocketAddr,
        /// The error of the system.
        why: io::Error,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Broken(io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server did not respond in time.
    #[error("the server did not respond for {0:?}")]
    Silent(Duration),
    /// The authentication with Kerberos or NTLM failed.
    #[error("{0}")]
    Proof(String),
    /// No Kerberos KDC is available.
    #[error("{0}")]
    NoKdc(String),
    /// The association failed.
    #[error("{0}")]
    Association(AssociationError),
    /// The server returned a fault.
    #[error("{0}")]
    Fault(Fault),
    /// The endpoint mapper returned no port.
    #[error("{0}")]
    NoEndpoint(EndpointError),
    /// A call was made while another one was pending. This is a programming error.
    #[error("the association is not ready for a call")]
    OutOfTurn,
}
