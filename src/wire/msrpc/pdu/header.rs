//! The common header of all PDUs, 16 bytes.

use super::{AuthType, PduError, PduErrorKind, PduType, Verifier};

/// Little-endian integers, ASCII characters, IEEE floating point; two bytes are reserved (C706
/// section 14.1).
const REPRESENTATION: [u8; 4] = [0x10, 0, 0, 0];

/// `pfc_flags` (C706 section 12.6.3, MS-RPCE section 2.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::msrpc) struct PduFlags(u8);

impl PduFlags {
    pub(in crate::msrpc) const FIRST: Self = Self(0x01);
    pub(in crate::msrpc) const LAST: Self = Self(0x02);
    pub(in crate::msrpc) const WHOLE: Self = Self(0x03);
    pub(in crate::msrpc) const NONE: Self = Self(0);
    /// `PFC_SUPPORT_HEADER_SIGN`, in a bind and its response.
    pub(in crate::msrpc) const HEADER_SIGN: Self = Self(0x04);
    /// `PFC_DID_NOT_EXECUTE`, in a fault.
    pub(in crate::msrpc) const DID_NOT_EXECUTE: Self = Self(0x20);

    pub(in crate::msrpc) const fn has(self, all: Self) -> bool {
        self.0 & all.0 == all.0
    }

    pub(in crate::msrpc) const fn and(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }
}

/// The common header of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::msrpc) struct PduHeader {
    pub(in crate::msrpc) kind: PduType,
    pub(in crate::msrpc) flags: PduFlags,
    /// `frag_length`: the size of the PDU including this header.
    pub(in crate::msrpc) length: usize,
    /// `auth_length`: the size of the token at the end.
    pub(in crate::msrpc) auth_length: usize,
    pub(in crate::msrpc) call_id: u32,
}

impl PduHeader {
    pub(in crate::msrpc) const SIZE: usize = 16;

    pub(in crate::msrpc) fn read(bytes: &[u8; Self::SIZE]) -> Result<Self, PduError> {
        let [version, minor, kind, flags, drep @ .., f0, f1, a0, a1, c0, c1, c2, c3] = *bytes;
        let kind = PduType::from_repr(kind);
        let bad = |problem| PduError { kind, problem };
        if version != 5 || minor > 1 {
            // The bytes are another protocol, so that the third byte is not a PTYPE.
            return Err(PduError { kind: None, problem: PduErrorKind::Version });
        }
        let known = kind.ok_or(bad(PduErrorKind::Kind))?;
        if drep[..2] != REPRESENTATION[..2] {
            return Err(bad(PduErrorKind::Representation));
        }
        Ok(Self {
            kind: known,
            flags: PduFlags(flags),
            length: u16::from_le_bytes([f0, f1]).into(),
            auth_length: u16::from_le_bytes([a0, a1]).into(),
            call_id: u32::from_le_bytes([c0, c1, c2, c3]),
        })
    }
}

/// A PDU would be longer than 65,535 bytes. The only possible cause is the first token of a
/// Kerberos ticket with very many groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is too long for a PDU")]
pub struct PduTooLong;

/// The content of a PDU without its length fields.
#[derive(Debug)]
pub(in crate::msrpc) struct PduBuilder {
    pub(in crate::msrpc) kind: PduType,
    pub(in crate::msrpc) flags: PduFlags,
    pub(in crate::msrpc) call_id: u32,
    /// The bytes after the common header.
    pub(in crate::msrpc) body: Vec<u8>,
}

impl PduBuilder {
    /// Encodes the PDU without authentication.
    pub(in crate::msrpc) fn plain(self) -> Result<Vec<u8>, PduTooLong> {
        self.with_room(0, 0)
    }

    /// Encodes the PDU with an authentication token after a verifier.
    pub(in crate::msrpc) fn with_token(
        mut self,
        kind: AuthType,
        token: &[u8],
    ) -> Result<Vec<u8>, PduTooLong> {
        let length = self.body.len();
        self.body.resize(length.next_multiple_of(4), 0);
        let pad_length = u8::try_from(self.body.len() - length).map_err(|_| PduTooLong)?;
        self.body.extend(Verifier::ours(kind, pad_length).write());
        let mut pdu = self.with_room(token.len(), token.len())?;
        pdu.extend_from_slice(token);
        Ok(pdu)
    }

    /// Encodes the PDU except for its last `room` bytes, which are included in the length. The
    /// token has `auth_length` of them.
    pub(in crate::msrpc) fn with_room(
        self,
        room: usize,
        auth_length: usize,
    ) -> Result<Vec<u8>, PduTooLong> {
        let written = PduHeader::SIZE + self.body.len();
        let length = u16::try_from(written + room).map_err(|_| PduTooLong)?;
        let auth_length = u16::try_from(auth_length).map_err(|_| PduTooLong)?;
        let mut pdu = Vec::with_capacity(usize::from(length));
        pdu.extend([5, 0, self.kind as u8, self.flags.0]);
        pdu.extend(REPRESENTATION);
        pdu.extend(length.to_le_bytes());
        pdu.extend(auth_length.to_le_bytes());
        pdu.extend(self.call_id.to_le_bytes());
        pdu.extend(self.body);
        Ok(pdu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND_ACK: [u8; 16] = *b"\x05\x00\x0c\x03\x10\x00\x00\x00\x3c\x00\x00\x00\x01\x00\x00\x00";

    #[test]
    fn samba_header_is_decoded() {
        let header = PduHeader::read(&BIND_ACK).unwrap();
        let wanted = PduHeader {
            kind: PduType::BindAck,
            flags: PduFlags::WHOLE,
            length: 60,
            auth_length: 0,
            call_id: 1,
        };
        assert_eq!(header, wanted);
        let builder = PduBuilder {
            kind: PduType::BindAck,
            flags: PduFlags::WHOLE,
            call_id: 1,
            body: vec![0; 44],
        };
        assert_eq!(builder.plain().unwrap()[..16], BIND_ACK);
    }

    #[test]
    fn unsupported_headers_are_named() {
        for (at, value, wanted) in [
            (0, 4, "PDU: rpc_vers is not 5.0 or 5.1"),
            (1, 2, "PDU: rpc_vers is not 5.0 or 5.1"),
            (2, 1, "PDU: PTYPE is not known"),
            (4, 0, "bind_ack: packed_drep is not little-endian, ASCII and IEEE"),
            (4, 0x11, "bind_ack: packed_drep is not little-endian, ASCII and IEEE"),
            (5, 1, "bind_ack: packed_drep is not little-endian, ASCII and IEEE"),
        ] {
            let mut bytes = BIND_ACK;
            bytes[at] = value;
            assert_eq!(PduHeader::read(&bytes).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn lengths_are_not_truncated_to_16_bits() {
        let builder = |length| PduBuilder {
            kind: PduType::Bind,
            flags: PduFlags::WHOLE,
            call_id: 1,
            body: vec![0; length],
        };
        assert_eq!(builder(65_519).plain().map(|pdu| pdu.len()), Ok(65_535));
        assert_eq!(builder(65_520).plain(), Err(PduTooLong));
        assert_eq!(builder(72).with_token(AuthType::Kerberos, &[0; 65_535]), Err(PduTooLong));
    }
}
