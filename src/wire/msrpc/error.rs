//! Why an association ended.

use strum::IntoStaticStr;

use super::{BindNakReason, ContextRejection, FaultStatus, PduError, PduTooLong, SecurityError};

/// An error that ends the association: its connection must be closed. The variant names are labels
/// of metrics.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum AssociationError {
    /// The server sent an invalid or unauthenticated PDU.
    #[error("protocol error: {0}")]
    Pdu(#[from] PduError),
    /// The server rejected the interface.
    #[error(transparent)]
    Rejected(#[from] ContextRejection),
    /// The server rejected the bind.
    #[error("the server rejected the bind: {0}")]
    BindNak(BindNakReason),
    /// The server responded to the bind with a fault. Samba 4.17 responds to a wrong password in
    /// SPNEGO with `rpc_s_sec_pkg_error`, and in NTLM with `nca_s_proto_error` to the first call.
    #[error("the server failed at the bind: {0}")]
    BindFault(FaultStatus),
    /// The server accepts only PDUs smaller than the mandatory minimum.
    #[error("the server accepts only PDUs of {0} bytes, less than the minimum of 1432")]
    MaxReceive(u16),
    /// The server does not protect PDU headers.
    #[error("the server does not support header signing")]
    HeaderSigning,
    /// The server ended the authentication early.
    #[error("the server sent no token before the authentication was complete")]
    NoToken,
    /// The provider has no token and is not complete.
    #[error("the security provider returned no token before the authentication was complete")]
    NoProviderToken,
    /// A token that does not fit into a PDU.
    #[error(transparent)]
    TooLong(#[from] PduTooLong),
    /// The provider failed, or detected a modification.
    #[error("security: {0}")]
    Security(#[from] SecurityError),
    /// The response is longer than the limit.
    #[error("the response is longer than {0} bytes")]
    ReplyTooLong(usize),
    /// The server asks to close the connection.
    #[error("the server closed the association")]
    Shutdown,
}

impl AssociationError {
    /// Whether the server rejected the account or its password, which is not a transient failure.
    pub fn is_account_denied(&self) -> bool {
        match self {
            Self::BindFault(status) => {
                status.is_access_denied() || *status == FaultStatus::SECURITY_PACKAGE
            }
            _ => false,
        }
    }
}
