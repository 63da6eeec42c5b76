//! SamrLookupDomainInSamServer: the SID of a domain (MS-SAMR section 3.1.5.11.1).

use rollcall_identity::directory::Sid;

use super::SamrError;
use super::text;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrErrorKind, NdrReader, NdrWriter};

/// Requests the SID of one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupDomain<'a> {
    /// The handle from [`Connect5`](super::Connect5).
    pub handle: ContextHandle,
    /// The name from [`EnumerateDomains`](super::EnumerateDomains).
    pub name: &'a str,
}

/// The maximum number of sub-authorities of a SID (MS-DTYP section 2.4.2.3).
const SUB_AUTHORITIES: usize = 15;

/// Revision, count and authority.
const HEAD: usize = 8;

impl LookupDomain<'_> {
    /// The operation number.
    pub const OPNUM: u16 = 5;

    /// The stub of the request.
    pub fn stub(self) -> Vec<u8> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        text::write(&mut writer, self.name);
        writer.finish()
    }

    /// Decodes the SID from the response.
    ///
    /// # Errors
    /// [`NdrError`] when the stub is invalid; [`SamrError`] when the server returns an error.
    pub fn decode(stub: &[u8]) -> Result<Result<Sid, SamrError>, NdrError> {
        let mut reader = NdrReader::new(stub);
        let sid = reader.unique(sid)?;
        let status = reader.u32()?;
        let none = reader.bad(NdrErrorKind::Value);
        reader.finish()?;
        match (SamrError::check(status), sid) {
            (Err(why), _) => Ok(Err(why)),
            (Ok(()), Some(sid)) => Ok(Ok(sid)),
            (Ok(()), None) => Err(none),
        }
    }
}

/// RPC_SID (MS-DTYP section 2.4.2.3): the count of sub-authorities, and the SID, which repeats it.
fn sid(reader: &mut NdrReader<'_>) -> Result<Sid, NdrError> {
    let count = reader.conformance(4)?;
    let bad = reader.bad(NdrErrorKind::Value);
    if count > SUB_AUTHORITIES {
        return Err(bad);
    }
    Sid::from_bytes(reader.bytes(HEAD + 4 * count)?).map_err(|_| bad)
}
