//! What an association asks of NTLM, Kerberos or SPNEGO, once they know who is who.

/// A security context that both sides have agreed upon. An implementation wraps a provider; it is
/// called in the order in which PDUs are sent and received, because providers number them.
///
/// Header signing (MS-RPCE section 3.3.1.5.2) is always on: `header` and `trailer` are protected
/// against change, and not encrypted; `body` is both. For SSPI these are four buffers: `header`
/// (data, `SECBUFFER_READONLY_WITH_CHECKSUM`), `body` (data), `trailer` (data,
/// `SECBUFFER_READONLY_WITH_CHECKSUM`), and the token.
pub trait Security {
    /// Bytes of each token that [`Security::seal`] will make: it is part of what is signed, and so
    /// must be known before.
    fn token_size(&self) -> usize;

    /// Encrypts `body` in place and signs everything; returns the token, of exactly
    /// [`Security::token_size`] bytes.
    ///
    /// # Errors
    /// What the provider says.
    fn seal(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
    ) -> Result<Vec<u8>, SecurityError>;

    /// Decrypts `body` in place, and checks everything against `token`.
    ///
    /// # Errors
    /// What the provider says, for example that something was changed, or repeated.
    fn open(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
        token: &[u8],
    ) -> Result<(), SecurityError>;
}

/// What a provider says when it fails: a sentence without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecurityError(pub String);
