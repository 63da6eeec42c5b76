//! Why an association ended.

use strum::IntoStaticStr;

use super::{BadPdu, FaultStatus, NakReason, Rejection, SecurityError, TooLong};

/// An error that ends the association: its connection must be closed. The variant names are labels
/// of metrics.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Failure {
    /// The server sent an invalid or unauthenticated PDU.
    #[error("the server breaks the protocol: {0}")]
    Pdu(#[from] BadPdu),
    /// The server rejected the interface.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The server rejected the bind.
    #[error("the server refuses the bind: {0}")]
    Refused(NakReason),
    /// The server responded to the bind with a fault. Samba 4.17 responds to a wrong password in
    /// SPNEGO with `rpc_s_sec_pkg_error`, and in NTLM with `nca_s_proto_error` to the first call.
    #[error("the server fails at the bind: {0}")]
    BindFault(FaultStatus),
    /// The server accepts only PDUs smaller than the mandatory minimum.
    #[error("the server takes PDUs of at most {0} bytes, fewer than 1432")]
    MaxReceive(u16),
    /// The server does not protect PDU headers.
    #[error("the server does not support header signing")]
    HeaderSigning,
    /// The server ended the authentication early.
    #[error("the server sent no token, although the authentication is not complete")]
    NoToken,
    /// The provider has no token and is not complete.
    #[error("the security provider has no token for the server, and is not done")]
    Stuck,
    /// A token that does not fit into a PDU.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The provider failed, or detected a modification.
    #[error("security: {0}")]
    Security(#[from] SecurityError),
    /// The response is longer than the limit.
    #[error("the answer is longer than {0} bytes")]
    ReplyTooLong(usize),
    /// The server asks to close the connection.
    #[error("the server closes the association")]
    Shutdown,
}

impl Failure {
    /// Whether the server rejected the account or its password, which is not a transient failure.
    pub fn denies_the_account(&self) -> bool {
        match self {
            Self::BindFault(status) => {
                status.is_access_denied() || *status == FaultStatus::SECURITY_PACKAGE
            }
            _ => false,
        }
    }
}
