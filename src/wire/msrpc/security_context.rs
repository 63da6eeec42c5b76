//! The security context that an association uses after authentication with NTLM, Kerberos or
//! SPNEGO.

/// An established security context. An implementation wraps a provider. Calls must be in the order
/// in which PDUs are sent and received, because providers number them.
///
/// Header signing (MS-RPCE section 3.3.1.5.2) is always on: `header` and `trailer` are signed but
/// not encrypted; `body` is both. For SSPI these are four buffers: `header` (data,
/// `SECBUFFER_READONLY_WITH_CHECKSUM`), `body` (data), `trailer` (data,
/// `SECBUFFER_READONLY_WITH_CHECKSUM`), and the token.
pub trait SecurityContext {
    /// The size of each token from [`SecurityContext::seal`]. It is part of the signed header, so
    /// that it must be known in advance.
    fn token_size(&self) -> usize;

    /// Encrypts `body` in place and signs everything. Returns a token of exactly
    /// [`SecurityContext::token_size`] bytes.
    ///
    /// # Errors
    /// The error of the provider.
    fn seal(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
    ) -> Result<Vec<u8>, SecurityError>;

    /// Decrypts `body` in place and verifies everything against `token`.
    ///
    /// # Errors
    /// The error of the provider, for example for a modified or replayed message.
    fn open(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
        token: &[u8],
    ) -> Result<(), SecurityError>;
}

/// An error of the provider: a message without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecurityError(pub String);
