//! Seals calls with the security provider: of its four buffers, the first and the third are only
//! signed (MS-RPCE section 3.3.1.5.2).

use std::fmt;

use rollcall_wire::msrpc::{SecurityContext, SecurityError};
use sspi::credssp::SspiContext;
use sspi::{EncryptionFlags, SecurityBufferFlags, SecurityBufferRef, Sspi};

/// Seals and opens buffers with the negotiated security context.
pub(super) struct Sealing {
    context: SspiContext,
    token_size: usize,
}

impl Sealing {
    pub(super) fn new(mut context: SspiContext) -> Result<Self, sspi::Error> {
        let token_size = context.query_context_sizes()?.security_trailer as usize;
        Ok(Self { context, token_size })
    }
}

/// A buffer that is signed but not encrypted.
fn signed(bytes: &mut [u8]) -> SecurityBufferRef<'_> {
    let only = SecurityBufferFlags::SECBUFFER_READONLY_WITH_CHECKSUM;
    SecurityBufferRef::data_buf(bytes).with_flags(only)
}

fn failed(why: &sspi::Error) -> SecurityError {
    SecurityError(why.description.clone())
}

impl SecurityContext for Sealing {
    fn token_size(&self) -> usize {
        self.token_size
    }

    fn seal(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
    ) -> Result<Vec<u8>, SecurityError> {
        let (mut header, mut trailer) = (header.to_vec(), trailer.to_vec());
        let mut token = vec![0; self.token_size];
        let mut buffers = [
            signed(&mut header),
            SecurityBufferRef::data_buf(body),
            signed(&mut trailer),
            SecurityBufferRef::token_buf(&mut token),
        ];
        let sealed = self.context.encrypt_message(EncryptionFlags::empty(), &mut buffers);
        sealed.map_err(|why| failed(&why))?;
        Ok(token)
    }

    fn open(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
        token: &[u8],
    ) -> Result<(), SecurityError> {
        let (mut header, mut trailer) = (header.to_vec(), trailer.to_vec());
        let mut token = token.to_vec();
        let mut buffers = [
            signed(&mut header),
            SecurityBufferRef::data_buf(body),
            signed(&mut trailer),
            SecurityBufferRef::token_buf(&mut token),
        ];
        self.context.decrypt_message(&mut buffers).map_err(|why| failed(&why))?;
        Ok(())
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The context holds the keys and is not shown.
        f.debug_struct("Sealing").field("token_size", &self.token_size).finish_non_exhaustive()
    }
}
