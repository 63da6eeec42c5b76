//! Inputs and outputs of an association.

use std::fmt;

use crate::msrpc::{AssociationError, FaultStatus, SecurityContext};

/// The limits of an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssociationOptions {
    /// The maximum PDU size to offer, in bytes; at least 1432. The server may lower it.
    pub max_fragment: u16,
    /// The maximum size of a response, in bytes.
    pub max_reply: usize,
    /// The association group whose context handles are used; 0 for a new group.
    pub group: u32,
}

impl Default for AssociationOptions {
    /// Windows clients offer 5840 bytes: four TCP segments over Ethernet. A response of MS-EVEN6
    /// has at most 2 MiB of events plus metadata.
    fn default() -> Self {
        Self { max_fragment: 5840, max_reply: 8 * 1024 * 1024, group: 0 }
    }
}

/// An action for the caller. Actions must be executed in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Pass the server's token to the security provider, and its output to
    /// [`Association::authenticate`](super::Association::authenticate).
    Authenticate(Vec<u8>),
    /// Calls can be made. With NTLM the server has not confirmed the account yet: if it is
    /// rejected, the first call fails.
    Ready,
    /// The call succeeded at the RPC level.
    Reply {
        /// The ID of the call.
        call_id: u32,
        /// The output parameters in NDR.
        stub: Vec<u8>,
    },
    /// The call failed. Other calls are possible.
    Fault {
        /// The ID of the call.
        call_id: u32,
        /// The reason.
        fault: Fault,
    },
    /// The association has ended; close the connection.
    Failed(AssociationError),
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{status}")]
pub struct Fault {
    /// The status from the server.
    pub status: FaultStatus,
    /// The call was not executed (`PFC_DID_NOT_EXECUTE`).
    pub did_not_execute: bool,
}

/// The output of a security provider for a token of the server.
pub enum AuthStep {
    /// The next token; the server must respond.
    Continue(Vec<u8>),
    /// The authentication is complete.
    Done {
        /// A last token for the server; may be empty.
        token: Vec<u8>,
        /// The security context for all further calls.
        security: Box<dyn SecurityContext + Send>,
    },
}

impl fmt::Debug for AuthStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens are not reusable, but are not needed in logs.
        let (name, token) = match self {
            Self::Continue(token) => ("Continue", token),
            Self::Done { token, .. } => ("Done", token),
        };
        write!(f, "{name}({} bytes)", token.len())
    }
}

/// An encoded call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingCall {
    /// The ID of the call, which the response repeats.
    pub id: u32,
    /// All fragments.
    pub bytes: Vec<u8>,
}

/// Why a call cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcCallError {
    /// The association is not established yet, or has ended.
    #[error("the association is not ready")]
    NotReady,
    /// One call at a time: concurrent calls would require `PFC_CONC_MPX`.
    #[error("another call is pending")]
    Busy,
    /// The call could not be sealed. The association has ended.
    #[error(transparent)]
    Failed(#[from] AssociationError),
}
