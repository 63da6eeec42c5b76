//! The types of PDUs.

use strum::{EnumIter, FromRepr, IntoStaticStr};

/// PTYPE (C706 section 12.6.3, MS-RPCE section 2.2.2.1). The names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, FromRepr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// A call, or a fragment of one.
    Request = 0,
    /// An answer, or a fragment of one.
    Response = 2,
    /// The call failed.
    Fault = 3,
    /// A client asks for an interface.
    Bind = 11,
    /// The server agrees, or says what of it it refuses.
    BindAck = 12,
    /// The server refuses to talk.
    BindNak = 13,
    /// A client goes on with a bind.
    AlterContext = 14,
    /// The server's answer to that.
    AlterContextResp = 15,
    /// The last word of an authentication, which has no answer.
    #[strum(serialize = "rpc_auth_3")]
    Auth3 = 16,
    /// The server asks to close the connection.
    Shutdown = 17,
    /// A client asks to end a call.
    CoCancel = 18,
    /// A client does not wait for an answer any more.
    Orphaned = 19,
}
