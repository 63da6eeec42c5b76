//! SamrLookupDomainInSamServer: the SID of a domain (MS-SAMR section 3.1.5.11.1).

use rollcall_identity::directory::Sid;

use super::NotTold;
use super::text;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, StubProblem, Writer};

/// Asks for the SID of one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupDomain<'a> {
    /// Of [`Connect5`](super::Connect5).
    pub handle: ContextHandle,
    /// Its name, as [`EnumerateDomains`](super::EnumerateDomains) gives it.
    pub name: &'a str,
}

/// No SID has more sub-authorities (MS-DTYP section 2.4.2.3).
const SUB_AUTHORITIES: usize = 15;

/// Revision, count and authority.
const HEAD: usize = 8;

impl LookupDomain<'_> {
    /// The number of the operation.
    pub const OPNUM: u16 = 5;

    /// The stub of the request.
    pub fn stub(self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.context_handle(&self.handle);
        text::write(&mut writer, self.name);
        writer.finish()
    }

    /// The SID in the answer.
    ///
    /// # Errors
    /// [`BadStub`] when it cannot be read; [`NotTold`] when the server does not want to.
    pub fn answer(stub: &[u8]) -> Result<Result<Sid, NotTold>, BadStub> {
        let mut reader = Reader::new(stub);
        let sid = reader.unique(sid)?;
        let status = reader.u32()?;
        let none = reader.bad(StubProblem::Value);
        reader.finish()?;
        match (NotTold::check(status), sid) {
            (Err(why), _) => Ok(Err(why)),
            (Ok(()), Some(sid)) => Ok(Ok(sid)),
            (Ok(()), None) => Err(none),
        }
    }
}

/// RPC_SID (MS-DTYP section 2.4.2.3): the count of sub-authorities, and the SID, which has it too.
fn sid(reader: &mut Reader<'_>) -> Result<Sid, BadStub> {
    let count = reader.conformance(4)?;
    let bad = reader.bad(StubProblem::Value);
    if count > SUB_AUTHORITIES {
        return Err(bad);
    }
    Sid::from_bytes(reader.bytes(HEAD + 4 * count)?).map_err(|_| bad)
}
