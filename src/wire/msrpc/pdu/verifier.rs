//! The authentication verifier before a token: provider, level and padding.

use strum::{EnumIter, FromRepr, IntoStaticStr};

/// `auth_type`: the security provider (MS-RPCE section 2.2.1.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, FromRepr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum AuthType {
    /// `RPC_C_AUTHN_GSS_NEGOTIATE`: Kerberos, or NTLM where allowed.
    Spnego = 9,
    /// `RPC_C_AUTHN_WINNT`.
    Ntlm = 10,
    /// `RPC_C_AUTHN_GSS_KERBEROS`.
    Kerberos = 16,
}

/// `RPC_C_AUTHN_LEVEL_PKT_PRIVACY` (MS-RPCE section 2.2.1.1.8), the only level in use: every server
/// allows it, and lower levels are rejected since CVE-2021-26414.
const PKT_PRIVACY: u8 = 6;

/// An association has one security context, so that any number is valid.
const CONTEXT: u32 = 0;

/// Encrypted data is padded to a multiple of this, as in Windows. MS-RPCE section 2.2.2.11 requires
/// 4, and cipher blocks have at most 16.
pub(in crate::msrpc) const PROTECTED: usize = 16;

/// The `sec_trailer` (MS-RPCE section 2.2.2.11; C706 section 13.2.6.1), without its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::msrpc) struct Verifier {
    auth_type: u8,
    auth_level: u8,
    /// The number of padding bytes before the verifier.
    pub(super) pad_length: u8,
    context_id: u32,
}

impl Verifier {
    pub(in crate::msrpc) const SIZE: usize = 8;

    pub(in crate::msrpc) const fn ours(kind: AuthType, pad_length: u8) -> Self {
        Self { auth_type: kind as u8, auth_level: PKT_PRIVACY, pad_length, context_id: CONTEXT }
    }

    /// Whether the verifier matches an association that was bound with `kind`.
    pub(in crate::msrpc) fn belongs_to(&self, kind: AuthType) -> bool {
        *self == Self::ours(kind, self.pad_length)
    }

    pub(super) const fn read(bytes: &[u8; Self::SIZE]) -> Self {
        let [auth_type, auth_level, pad_length, _, context @ ..] = *bytes;
        Self { auth_type, auth_level, pad_length, context_id: u32::from_le_bytes(context) }
    }

    pub(in crate::msrpc) const fn write(&self) -> [u8; Self::SIZE] {
        let [a, b, c, d] = self.context_id.to_le_bytes();
        [self.auth_type, self.auth_level, self.pad_length, 0, a, b, c, d]
    }
}
