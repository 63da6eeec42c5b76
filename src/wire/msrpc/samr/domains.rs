//! SamrEnumerateDomainsInSamServer: the domains of a server, its own and `Builtin` (MS-SAMR section
//! 3.1.5.2.1).

use super::SamrError;
use super::text::UnicodeString;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrReader, NdrWriter};

/// Requests the names of the domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnumerateDomains {
    /// The handle from [`Connect5`](super::Connect5).
    pub handle: ContextHandle,
}

/// The preferred maximum length of the response in bytes; two names are far shorter.
const LENGTH: u32 = 0xffff;

impl EnumerateDomains {
    /// The operation number.
    pub const OPNUM: u16 = 6;

    /// The stub of the request.
    pub fn stub(self) -> Vec<u8> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        // EnumerationContext: from the first domain.
        writer.u32(0);
        writer.u32(LENGTH);
        writer.finish()
    }

    /// Decodes the NetBIOS names from the response.
    ///
    /// # Errors
    /// [`NdrError`] when the stub is invalid; [`SamrError`] when the server returns an error.
    pub fn decode(stub: &[u8]) -> Result<Result<Vec<String>, SamrError>, NdrError> {
        let mut reader = NdrReader::new(stub);
        // EnumerationContext, not used.
        reader.u32()?;
        let names = reader.unique(|reader| {
            reader.u32()?;
            reader.unique(names)
        })?;
        // CountReturned, which repeats the count of the array.
        reader.u32()?;
        let status = reader.u32()?;
        reader.finish()?;
        Ok(SamrError::check(status).map(|()| names.flatten().unwrap_or_default()))
    }
}

/// SAMPR_RID_ENUMERATION (section 2.2.7.9); the names follow the array.
fn names(reader: &mut NdrReader<'_>) -> Result<Vec<String>, NdrError> {
    let heads = reader.elements(12, |reader| {
        reader.u32()?;
        UnicodeString::read(reader)
    })?;
    heads.into_iter().map(|head| head.text(reader)).collect()
}
