//! SamrConnect5: a handle to the account manager (MS-SAMR section 3.1.5.1.1).

use super::SamrError;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrErrorKind, NdrReader, NdrWriter};

/// Connects with the rights to enumerate and look up domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect5;

/// SAM_SERVER_CONNECT, SAM_SERVER_ENUMERATE_DOMAINS and SAM_SERVER_LOOKUP_DOMAIN (section 2.2.1.3).
const ACCESS: u32 = 0x0000_0001 | 0x0000_0010 | 0x0000_0020;

/// The only version of the revision information (section 2.2.7.15), and the revision of all clients
/// since Windows XP.
const VERSION: u32 = 1;
/// See [`VERSION`].
const REVISION: u32 = 3;

impl Connect5 {
    /// The operation number.
    pub const OPNUM: u16 = 64;

    /// The stub of the request.
    pub fn stub(self) -> Vec<u8> {
        let mut writer = NdrWriter::new();
        // ServerName, which servers ignore.
        writer.unique(None::<&str>, NdrWriter::wide_string);
        writer.u32(ACCESS);
        writer.u32(VERSION);
        // The union after its tag, without optional features.
        writer.u32(VERSION);
        writer.u32(REVISION);
        writer.u32(0);
        writer.finish()
    }

    /// Decodes the handle from the response.
    ///
    /// # Errors
    /// [`NdrError`] when the stub is invalid; [`SamrError`] when the server returns an error.
    pub fn decode(stub: &[u8]) -> Result<Result<ContextHandle, SamrError>, NdrError> {
        let mut reader = NdrReader::new(stub);
        let (version, tag) = (reader.u32()?, reader.u32()?);
        if version != VERSION || tag != VERSION {
            return Err(reader.bad(NdrErrorKind::Value));
        }
        for _ in 0..2 {
            reader.u32()?;
        }
        let handle = reader.context_handle()?;
        let status = reader.u32()?;
        reader.finish()?;
        Ok(SamrError::check(status).map(|()| handle))
    }
}
