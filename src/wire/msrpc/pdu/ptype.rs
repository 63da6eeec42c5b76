//! PTYPE, the type of a PDU in its header.

use strum::{EnumIter, FromRepr, IntoStaticStr};

/// PTYPE (C706 section 12.6.3, MS-RPCE section 2.2.2.1). The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, FromRepr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum PduType {
    /// A call, or a fragment of one.
    Request = 0,
    /// A response, or a fragment of one.
    Response = 2,
    /// The call failed.
    Fault = 3,
    /// The client requests an interface.
    Bind = 11,
    /// The server accepts the bind, or rejects the interface.
    BindAck = 12,
    /// The server rejects the bind.
    BindNak = 13,
    /// The client continues an authentication.
    AlterContext = 14,
    /// The response to alter_context.
    AlterContextResp = 15,
    /// The last token of an authentication, without a response.
    #[strum(serialize = "rpc_auth_3")]
    Auth3 = 16,
    /// The server asks the client to close the connection.
    Shutdown = 17,
    /// The client cancels a call.
    CoCancel = 18,
    /// The client abandons a call.
    Orphaned = 19,
}
