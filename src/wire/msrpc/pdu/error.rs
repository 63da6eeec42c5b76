//! Errors in received PDUs, as a closed set for counters.

use std::fmt;

use strum::{EnumIter, IntoStaticStr};

use super::PduType;
use crate::msrpc::ndr::NdrError;

/// The kind of a PDU error, with the names of the fields. The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum PduErrorKind {
    /// Another protocol, or another version.
    #[error("rpc_vers is not 5.0 or 5.1")]
    Version,
    /// The server is not little-endian; Windows always is.
    #[error("packed_drep is not little-endian, ASCII and IEEE")]
    Representation,
    /// An undefined PTYPE.
    #[error("PTYPE is not known")]
    Kind,
    /// A PTYPE that a server does not send, or not in this state.
    #[error("is not expected here")]
    Unexpected,
    /// Shorter than its header, or longer than the negotiated maximum.
    #[error("frag_length is shorter than the header or longer than max_recv_frag")]
    Length,
    /// The PDU ends within a field.
    #[error("ends within a field")]
    Truncated,
    /// The token is longer than the PDU.
    #[error("auth_length does not fit into the PDU")]
    AuthLength,
    /// The padding is longer than the body.
    #[error("auth_pad_length is larger than the body")]
    Padding,
    /// The authentication verifier does not match the bind.
    #[error("auth_type, auth_level or auth_context_id is not that of the bind")]
    Verifier,
    /// The response does not belong to the call.
    #[error("call_id is not that of the call")]
    CallId,
    /// The response is for another presentation context.
    #[error("p_cont_id is not that of the call")]
    Context,
    /// A fragment is missing or duplicated.
    #[error("PFC_FIRST_FRAG and PFC_LAST_FRAG are out of order")]
    Order,
    /// An unauthenticated response.
    #[error("is not sealed, but the association requires it")]
    Unsealed,
}

/// An invalid PDU. The association must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduError {
    /// The PDU type, if known.
    pub kind: Option<PduType>,
    /// The kind of the error.
    pub problem: PduErrorKind,
}

impl PduError {
    pub(in crate::msrpc) const fn of(kind: PduType, problem: PduErrorKind) -> Self {
        Self { kind: Some(kind), problem }
    }

    /// PDU fields are decoded like NDR, where the only possible error is a truncated field.
    pub(super) const fn cut(kind: PduType) -> impl Fn(NdrError) -> Self {
        move |_| Self::of(kind, PduErrorKind::Truncated)
    }
}

impl fmt::Display for PduError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &str = self.kind.map_or("PDU", Into::into);
        write!(f, "{kind}: {}", self.problem)
    }
}

impl std::error::Error for PduError {}
