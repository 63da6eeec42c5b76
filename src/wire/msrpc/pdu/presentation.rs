//! Presentation contexts: the interface and transfer syntax of a bind, and the result from the
//! server.

use strum::{EnumIter, FromRepr, IntoStaticStr};

use crate::msrpc::Interface;
use crate::msrpc::ndr::{NdrError, NdrReader, NdrWriter};

/// The ID of the only presentation context of an association.
pub(super) const CONTEXT: u16 = 0;

/// `p_cont_list_t` with one element (C706 section 12.6.3): the interface, in NDR 2.0.
pub(super) fn write(interface: &Interface, writer: &mut NdrWriter) {
    writer.u32(1); // n_context_elem, and reserved bytes
    writer.u16(CONTEXT);
    writer.u16(1); // n_transfer_syn, and a reserved byte
    interface.write(writer);
    Interface::NDR.write(writer);
}

/// `p_provider_reason_t` (C706 section 12.6.3). The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, FromRepr)]
#[strum(serialize_all = "snake_case")]
#[repr(u16)]
pub enum ProviderReason {
    /// No reason given.
    ReasonNotSpecified = 0,
    /// The server does not have this interface at this endpoint.
    AbstractSyntaxNotSupported = 1,
    /// The server has the interface, but does not support NDR 2.0.
    ProposedTransferSyntaxesNotSupported = 2,
    /// The server is overloaded.
    LocalLimitExceeded = 3,
}

/// The server accepted the bind but rejected the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContextRejection {
    /// `provider_rejection`: the RPC runtime of the server rejects it.
    #[error("the server rejected the interface: {}", provider(*.0))]
    Provider(u16),
    /// `user_rejection`: the service rejects it.
    #[error("the service rejected the interface (reason {0})")]
    User(u16),
    /// An undefined result.
    #[error("the server returned the undefined result {0}")]
    Unknown(u16),
    /// The server chose a transfer syntax that was not offered.
    #[error("the server chose a transfer syntax that was not offered")]
    TransferSyntax,
    /// The number of results is not one.
    #[error("the server returned {0} results instead of one")]
    Results(u8),
}

impl ContextRejection {
    /// The reason, if C706 defines it.
    pub fn reason(&self) -> Option<ProviderReason> {
        match self {
            Self::Provider(reason) => ProviderReason::from_repr(*reason),
            _ => None,
        }
    }
}

fn provider(reason: u16) -> String {
    match ProviderReason::from_repr(reason) {
        Some(reason) => <&str>::from(reason).to_owned(),
        None => format!("reason {reason}"),
    }
}

/// Evaluates a `p_result_list_t` (C706 section 12.6.3).
pub(super) fn read(reader: &mut NdrReader<'_>) -> Result<Result<(), ContextRejection>, NdrError> {
    let count = reader.u8()?;
    reader.bytes(3)?;
    if count != 1 {
        return Ok(Err(ContextRejection::Results(count)));
    }
    let (result, reason) = (reader.u16()?, reader.u16()?);
    let syntax = Interface::read(reader)?;
    Ok(match result {
        0 if syntax == Interface::NDR => Ok(()),
        0 => Err(ContextRejection::TransferSyntax),
        1 => Err(ContextRejection::User(reason)),
        2 => Err(ContextRejection::Provider(reason)),
        other => Err(ContextRejection::Unknown(other)),
    })
}
