//! Context handles: references to objects that the server keeps open.

use std::fmt;

use crate::msrpc::Uuid;

/// A context handle: attributes and a UUID, 20 bytes (`ndr_context_handle` in C706). Opaque to the
/// client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ContextHandle {
    attributes: u32,
    uuid: Uuid,
}

impl ContextHandle {
    /// The null handle, returned for a closed or failed handle.
    pub const NULL: Self = Self { attributes: 0, uuid: Uuid::NIL };

    /// From its decoded parts.
    pub const fn new(attributes: u32, uuid: Uuid) -> Self {
        Self { attributes, uuid }
    }

    /// 0 in all observed servers.
    pub const fn attributes(&self) -> u32 {
        self.attributes
    }

    /// The UUID of the handle.
    pub const fn uuid(&self) -> &Uuid {
        &self.uuid
    }

    /// Whether the handle is null, which the UUID determines.
    pub fn is_null(&self) -> bool {
        self.uuid == Uuid::NIL
    }
}

impl fmt::Debug for ContextHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextHandle({})", self.uuid)
    }
}
