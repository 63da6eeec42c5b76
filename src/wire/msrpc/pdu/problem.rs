//! What can be wrong with a PDU.

use std::fmt;

use strum::{EnumIter, IntoStaticStr};

use super::Kind;
use crate::msrpc::ndr::BadStub;

/// What is wrong with a PDU, in the words of its fields. The names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum PduProblem {
    /// Not the protocol at all, or another version of it.
    #[error("rpc_vers is not 5.0 or 5.1")]
    Version,
    /// Numbers of a server that is not little-endian. Windows has no other.
    #[error("packed_drep is not little-endian, ASCII and IEEE")]
    Representation,
    /// A PTYPE that no specification names.
    #[error("PTYPE is not known")]
    Kind,
    /// A PTYPE that a server does not send, or not now.
    #[error("is not expected here")]
    Unexpected,
    /// Shorter than its header, or longer than what was offered.
    #[error("frag_length is shorter than the header or longer than max_recv_frag")]
    Length,
    /// The PDU is over before its fields are.
    #[error("ends within a field")]
    Cut,
    /// More credentials than bytes.
    #[error("auth_length does not fit into the PDU")]
    AuthLength,
    /// More padding than bytes.
    #[error("auth_pad_length is larger than what is padded")]
    Padding,
    /// The authentication verifier is of another association.
    #[error("auth_type, auth_level or auth_context_id is not that of the bind")]
    Verifier,
    /// The answer to something that was not asked.
    #[error("call_id is not that of the call")]
    CallId,
    /// The answer on another presentation context.
    #[error("p_cont_id is not that of the call")]
    Context,
    /// A fragment is missing, or there is one too many.
    #[error("PFC_FIRST_FRAG and PFC_LAST_FRAG are out of order")]
    Order,
    /// An answer that anybody could have written.
    #[error("is not sealed, although the association is")]
    Unsealed,
}

/// Why a PDU cannot be taken. The association is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPdu {
    /// Which PDU, if that could be read.
    pub kind: Option<Kind>,
    /// What is wrong.
    pub problem: PduProblem,
}

impl BadPdu {
    pub(in crate::msrpc) const fn of(kind: Kind, problem: PduProblem) -> Self {
        Self { kind: Some(kind), problem }
    }

    /// The fields of a PDU are laid out like NDR, and there is only one thing to go wrong.
    pub(super) const fn cut(kind: Kind) -> impl Fn(BadStub) -> Self {
        move |_| Self::of(kind, PduProblem::Cut)
    }
}

impl fmt::Display for BadPdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &str = self.kind.map_or("PDU", Into::into);
        write!(f, "{kind}: {}", self.problem)
    }
}

impl std::error::Error for BadPdu {}
