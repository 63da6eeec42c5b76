//! What a server gives out for something that it keeps open, and wants back to use or close it.

use std::fmt;

use crate::msrpc::Uuid;

/// A context handle: a number of attributes and a UUID, 20 bytes (`ndr_context_handle` in
/// C706). Opaque to everybody but the server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ContextHandle {
    attributes: u32,
    uuid: Uuid,
}

impl ContextHandle {
    /// What a server answers in the place of a handle that it has closed, or never opened.
    pub const NULL: Self = Self { attributes: 0, uuid: Uuid::NIL };

    /// From the wire.
    pub const fn new(attributes: u32, uuid: Uuid) -> Self {
        Self { attributes, uuid }
    }

    /// 0 in all servers that were seen.
    pub const fn attributes(&self) -> u32 {
        self.attributes
    }

    /// The handle proper.
    pub const fn uuid(&self) -> &Uuid {
        &self.uuid
    }

    /// Whether it stands for nothing: the UUID decides.
    pub fn is_null(&self) -> bool {
        self.uuid == Uuid::NIL
    }
}

impl fmt::Debug for ContextHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextHandle({})", self.uuid)
    }
}
