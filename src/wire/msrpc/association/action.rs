//! What goes into an association and what comes out of it.

use std::fmt;

use crate::msrpc::{Failure, FaultStatus, Security};

/// What both sides may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The longest PDU that is offered, in bytes; at least 1432, and the server may lower it.
    pub max_fragment: u16,
    /// The longest answer that is taken, in bytes.
    pub max_reply: usize,
    /// The association group whose context handles are to be used; 0 for a new one.
    pub group: u32,
}

impl Default for Terms {
    /// 5840 bytes is what Windows' own clients offer: four segments of a TCP connection over
    /// Ethernet. An answer of MS-EVEN6 has at most 2 MiB of events, and what belongs to them.
    fn default() -> Self {
        Self { max_fragment: 5840, max_reply: 8 * 1024 * 1024, group: 0 }
    }
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Give the server's token to the security provider, and its answer to
    /// [`Association::prove`](super::Association::prove).
    Prove(Vec<u8>),
    /// Calls can be made. With NTLM the server has not yet said that it knows the account: if it
    /// does not, the first call fails.
    Ready,
    /// The call succeeded, as far as RPC is concerned.
    Reply {
        /// Of which call.
        call_id: u32,
        /// The parameters that came back, in NDR.
        stub: Vec<u8>,
    },
    /// The call failed. Other calls can be made.
    Fault {
        /// Of which call.
        call_id: u32,
        /// Why.
        fault: Fault,
    },
    /// The association is over; close the connection.
    Failed(Failure),
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{status}")]
pub struct Fault {
    /// The server's reason.
    pub status: FaultStatus,
    /// The server promises that the call was not begun (`PFC_DID_NOT_EXECUTE`).
    pub did_not_execute: bool,
}

/// What a security provider answers to a token of the server.
pub enum Leg {
    /// This is the next token; the server has to answer.
    Continue(Vec<u8>),
    /// The provider is content.
    Done {
        /// A last token for the server; empty when there is none.
        token: Vec<u8>,
        /// Protects the calls from now on.
        security: Box<dyn Security + Send>,
    },
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens are worth nothing to others, but no log needs them.
        let (name, token) = match self {
            Self::Continue(token) => ("Continue", token),
            Self::Done { token, .. } => ("Done", token),
        };
        write!(f, "{name}({} bytes)", token.len())
    }
}

/// A call that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What its answer will carry.
    pub id: u32,
    /// All of its fragments.
    pub bytes: Vec<u8>,
}

/// Why there is no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotCall {
    /// The server has not yet agreed, or the association is over.
    #[error("the association is not ready")]
    NotReady,
    /// One call at a time: concurrent ones would need `PFC_CONC_MPX`.
    #[error("another call is not answered yet")]
    Busy,
    /// The call could not be sealed. The association is over.
    #[error(transparent)]
    Failed(#[from] Failure),
}
