//! The common header of all PDUs, 16 bytes.

use super::{AuthType, BadPdu, Kind, PduProblem, Verifier};

/// Little-endian integers, ASCII characters, IEEE floating point; two bytes are reserved (C706
/// section 14.1).
const REPRESENTATION: [u8; 4] = [0x10, 0, 0, 0];

/// `pfc_flags` (C706 section 12.6.3, MS-RPCE section 2.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::msrpc) struct Flags(u8);

impl Flags {
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
pub(in crate::msrpc) struct Header {
    pub(in crate::msrpc) kind: Kind,
    pub(in crate::msrpc) flags: Flags,
    /// `frag_length`: the size of the PDU including this header.
    pub(in crate::msrpc) length: usize,
    /// `auth_length`: the size of the token at the end.
    pub(in crate::msrpc) auth_length: usize,
    pub(in crate::msrpc) call_id: u32,
}

impl Header {
    pub(in crate::msrpc) const SIZE: usize = 16;

    pub(in crate::msrpc) fn read(bytes: &[u8; Self::SIZE]) -> Result<Self, BadPdu> {
        let [version, minor, kind, flags, drep @ .., f0, f1, a0, a1, c0, c1, c2, c3] = *bytes;
        let kind = Kind::from_repr(kind);
        let bad = |problem| BadPdu { kind, problem };
        if version != 5 || minor > 1 {
            // The bytes are another protocol, so that the third byte is not a PTYPE.
            return Err(BadPdu { kind: None, problem: PduProblem::Version });
        }
        let known = kind.ok_or(bad(PduProblem::Kind))?;
        if drep[..2] != REPRESENTATION[..2] {
            return Err(bad(PduProblem::Representation));
        }
        Ok(Self {
            kind: known,
            flags: Flags(flags),
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
pub struct TooLong;

/// The content of a PDU without its length fields.
#[derive(Debug)]
pub(in crate::msrpc) struct Draft {
    pub(in crate::msrpc) kind: Kind,
    pub(in crate::msrpc) flags: Flags,
    pub(in crate::msrpc) call_id: u32,
    /// The bytes after the common header.
    pub(in crate::msrpc) body: Vec<u8>,
}

impl Draft {
    /// Encodes the PDU without authentication.
    pub(in crate::msrpc) fn plain(self) -> Result<Vec<u8>, TooLong> {
        self.with_room(0, 0)
    }

    /// Encodes the PDU with an authentication token after a verifier.
    pub(in crate::msrpc) fn proving(
        mut self,
        kind: AuthType,
        token: &[u8],
    ) -> Result<Vec<u8>, TooLong> {
        let length = self.body.len();
        self.body.resize(length.next_multiple_of(4), 0);
        let pad_length = u8::try_from(self.body.len() - length).map_err(|_| TooLong)?;
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
    ) -> Result<Vec<u8>, TooLong> {
        let written = Header::SIZE + self.body.len();
        let length = u16::try_from(written + room).map_err(|_| TooLong)?;
        let auth_length = u16::try_from(auth_length).map_err(|_| TooLong)?;
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
    fn a_header_of_samba_is_read() {
        let header = Header::read(&BIND_ACK).unwrap();
        let wanted = Header {
            kind: Kind::BindAck,
            flags: Flags::WHOLE,
            length: 60,
            auth_length: 0,
            call_id: 1,
        };
        assert_eq!(header, wanted);
        let draft =
            Draft { kind: Kind::BindAck, flags: Flags::WHOLE, call_id: 1, body: vec![0; 44] };
        assert_eq!(draft.plain().unwrap()[..16], BIND_ACK);
    }

    #[test]
    fn what_is_not_spoken_here_is_named() {
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
            assert_eq!(Header::read(&bytes).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn no_length_is_cut_to_16_bits() {
        let draft = |length| Draft {
            kind: Kind::Bind,
            flags: Flags::WHOLE,
            call_id: 1,
            body: vec![0; length],
        };
        assert_eq!(draft(65_519).plain().map(|pdu| pdu.len()), Ok(65_535));
        assert_eq!(draft(65_520).plain(), Err(TooLong));
        assert_eq!(draft(72).proving(AuthType::Kerberos, &[0; 65_535]), Err(TooLong));
    }
}
