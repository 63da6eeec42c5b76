//! Why an association came to its end.

use strum::IntoStaticStr;

use super::{BadPdu, FaultStatus, NakReason, Rejection, SecurityError, TooLong};

/// Why an association is of no more use: its connection must be closed. The names are labels of
/// metrics.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Failure {
    /// The server sent something that cannot be understood or trusted.
    #[error("the server breaks the protocol: {0}")]
    Pdu(#[from] BadPdu),
    /// The server does not give out the interface.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The server does not want to talk.
    #[error("the server refuses the bind: {0}")]
    Refused(NakReason),
    /// The server failed at the bind. Samba 4.17 answers a wrong password in SPNEGO with
    /// `rpc_s_sec_pkg_error`, and in raw NTLM with `nca_s_proto_error` to the first call.
    #[error("the server fails at the bind: {0}")]
    BindFault(FaultStatus),
    /// The server takes smaller PDUs than everybody must.
    #[error("the server takes PDUs of at most {0} bytes, fewer than 1432")]
    MaxReceive(u16),
    /// The server would not protect the headers of PDUs.
    #[error("the server does not support header signing")]
    HeaderSigning,
    /// The server stopped in the middle of an authentication.
    #[error("the server sent no token, although the authentication is not complete")]
    NoToken,
    /// The provider has nothing to send, and is not done either.
    #[error("the security provider has no token for the server, and is not done")]
    Stuck,
    /// A token that fits into no PDU.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The provider failed, or found that something was changed on its way.
    #[error("security: {0}")]
    Security(#[from] SecurityError),
    /// A longer answer than is taken.
    #[error("the answer is longer than {0} bytes")]
    ReplyTooLong(usize),
    /// The server asks to close the connection.
    #[error("the server closes the association")]
    Shutdown,
}

impl Failure {
    /// Whether the server refuses the account, or its password: nothing that goes away by itself.
    pub fn denies_the_account(&self) -> bool {
        match self {
            Self::BindFault(status) => {
                status.is_access_denied() || *status == FaultStatus::SECURITY_PACKAGE
            }
            _ => false,
        }
    }
}
