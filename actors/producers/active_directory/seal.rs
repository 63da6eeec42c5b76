//! Encryption of a connection to a directory after an NTLM or Kerberos authentication (RFC 4422
//! section 3.7).

use sspi::credssp::SspiContext;
use sspi::{EncryptionFlags, SecurityBufferRef, Sspi};

use super::DirectoryError;

/// Seals and opens the buffers of a connection.
pub(super) struct Seal(pub(super) SspiContext);

impl Seal {
    /// Seals `message` and prepends the length.
    pub(super) fn close(&mut self, message: &[u8]) -> Result<Vec<u8>, DirectoryError> {
        let mut data = message.to_vec();
        let mut token = vec![0; self.trailer_size()?];
        let mut buffers =
            [SecurityBufferRef::token_buf(&mut token), SecurityBufferRef::data_buf(&mut data)];
        self.0
            .encrypt_message(EncryptionFlags::empty(), &mut buffers)
            .map_err(|why| broken(&why))?;
        // The token may be shorter than its buffer.
        let token = buffers[0].data();
        let length = u32::try_from(token.len() + message.len()).unwrap_or(u32::MAX);
        Ok([&length.to_be_bytes(), token, buffers[1].data()].concat())
    }

    /// Opens a buffer and verifies that it is the next one of the server.
    pub(super) fn open(&mut self, buffer: &[u8]) -> Result<Vec<u8>, DirectoryError> {
        let mut buffer = buffer.to_vec();
        let trailer = self.trailer_size()?;
        let Some((token, data)) = buffer.split_at_mut_checked(trailer) else {
            return Err(rollcall_wire::ldap::BerError::Truncated.into());
        };
        let mut buffers = [SecurityBufferRef::data_buf(data), SecurityBufferRef::token_buf(token)];
        self.0.decrypt_message(&mut buffers).map_err(|why| broken(&why))?;
        Ok(buffers[0].data().to_vec())
    }

    fn trailer_size(&mut self) -> Result<usize, DirectoryError> {
        let sizes = self.0.query_context_sizes().map_err(|why| broken(&why))?;
        Ok(sizes.security_trailer as usize)
    }
}

fn broken(why: &sspi::Error) -> DirectoryError {
    let text = format!("encryption or decryption failed: {}", why.description);
    DirectoryError::Broken(std::io::Error::other(text))
}
