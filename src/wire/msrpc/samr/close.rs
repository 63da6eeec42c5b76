//! SamrCloseHandle: closes a handle (MS-SAMR section 3.1.5.13.1).

use crate::msrpc::ndr::{ContextHandle, NdrWriter};

/// Closes a handle. The response is ignored, because the connection ends too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseHandle {
    /// The handle from [`Connect5`](super::Connect5).
    pub handle: ContextHandle,
}

impl CloseHandle {
    /// The operation number.
    pub const OPNUM: u16 = 1;

    /// The stub of the request.
    pub fn stub(self) -> Vec<u8> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        writer.finish()
    }
}
