//! SamrEnumerateDomainsInSamServer: the domains of a server, which are its own and `Builtin` (MS-SAMR
//! section 3.1.5.2.1).

use super::NotTold;
use super::text::Counted;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, Writer};

/// Asks for their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnumerateDomains {
    /// Of [`Connect5`](super::Connect5).
    pub handle: ContextHandle,
}

/// How long the answer shall be at most, in bytes, as the server reckons: two names are far less.
const LENGTH: u32 = 0xffff;

impl EnumerateDomains {
    /// The number of the operation.
    pub const OPNUM: u16 = 6;

    /// The stub of the request.
    pub fn stub(self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.context_handle(&self.handle);
        // From the first one on.
        writer.u32(0);
        writer.u32(LENGTH);
        writer.finish()
    }

    /// The names in the answer, those of NetBIOS.
    ///
    /// # Errors
    /// [`BadStub`] when it cannot be read; [`NotTold`] when the server does not want to.
    pub fn answer(stub: &[u8]) -> Result<Result<Vec<String>, NotTold>, BadStub> {
        let mut reader = Reader::new(stub);
        // Where to go on, which is never needed.
        reader.u32()?;
        let names = reader.unique(|reader| {
            reader.u32()?;
            reader.unique(names)
        })?;
        // How many there are, as the array said.
        reader.u32()?;
        let status = reader.u32()?;
        reader.finish()?;
        Ok(NotTold::check(status).map(|()| names.flatten().unwrap_or_default()))
    }
}

/// SAMPR_RID_ENUMERATION (section 2.2.7.9), each with its name behind all of them.
fn names(reader: &mut Reader<'_>) -> Result<Vec<String>, BadStub> {
    let heads = reader.elements(12, |reader| {
        reader.u32()?;
        Counted::read(reader)
    })?;
    heads.into_iter().map(|head| head.text(reader)).collect()
}
