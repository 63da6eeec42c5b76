//! A received PDU: its header, body and verifier, with validated lengths.

use super::{PduError, PduErrorKind, PduHeader, Verifier};

/// One PDU. The layout of the body depends on the type.
#[derive(Debug)]
pub(in crate::msrpc) struct ReceivedPdu {
    bytes: Vec<u8>,
    header: PduHeader,
    verifier: Option<Verifier>,
    /// The end of the body and start of the padding.
    body_end: usize,
    /// The start of the verifier, or the end of the PDU.
    protected_end: usize,
}

/// The parts of a sealed PDU, for decryption in place.
#[derive(Debug)]
pub(in crate::msrpc) struct SealedParts<'a> {
    pub(in crate::msrpc) clear: &'a [u8],
    pub(in crate::msrpc) sealed: &'a mut [u8],
    pub(in crate::msrpc) trailer: &'a [u8],
    pub(in crate::msrpc) token: &'a [u8],
}

impl ReceivedPdu {
    /// Parses a PDU; `bytes` must have exactly the length in its header.
    pub(in crate::msrpc) fn read(bytes: Vec<u8>) -> Result<Self, PduError> {
        let length = PduError { kind: None, problem: PduErrorKind::Length };
        let header = PduHeader::read(bytes.first_chunk().ok_or(length)?)?;
        let bad = |problem| PduError::of(header.kind, problem);
        if header.length != bytes.len() {
            return Err(bad(PduErrorKind::Length));
        }
        let end = bytes.len();
        if header.auth_length == 0 {
            return Ok(Self { bytes, header, verifier: None, body_end: end, protected_end: end });
        }
        let verifier_at = end.checked_sub(header.auth_length + Verifier::SIZE);
        let verifier_at = verifier_at.filter(|at| *at >= PduHeader::SIZE);
        let at = verifier_at.ok_or(bad(PduErrorKind::AuthLength))?;
        let verifier = bytes[at..].first_chunk().ok_or(bad(PduErrorKind::AuthLength))?;
        let verifier = Verifier::read(verifier);
        let body_end = at.checked_sub(verifier.pad_length.into());
        let body_end = body_end.filter(|body_end| *body_end >= PduHeader::SIZE);
        let body_end = body_end.ok_or(bad(PduErrorKind::Padding))?;
        Ok(Self { bytes, header, verifier: Some(verifier), body_end, protected_end: at })
    }

    pub(in crate::msrpc) const fn header(&self) -> &PduHeader {
        &self.header
    }

    pub(in crate::msrpc) const fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_ref()
    }

    /// The bytes after the common header, without padding and verifier.
    pub(in crate::msrpc) fn body(&self) -> &[u8] {
        &self.bytes[PduHeader::SIZE..self.body_end]
    }

    /// The authentication token; empty without a verifier.
    pub(in crate::msrpc) fn token(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.header.auth_length..]
    }

    /// The parts of a sealed PDU whose first `clear` bytes are not encrypted.
    pub(in crate::msrpc) fn parts(&mut self, clear: usize) -> Result<SealedParts<'_>, PduError> {
        let kind = self.header.kind;
        if clear > self.protected_end {
            return Err(PduError::of(kind, PduErrorKind::Truncated));
        }
        if clear > self.body_end {
            return Err(PduError::of(kind, PduErrorKind::Padding));
        }
        let (message, token) =
            self.bytes.split_at_mut(self.header.length - self.header.auth_length);
        let (message, trailer) = message.split_at_mut(self.protected_end);
        let (clear, sealed) = message.split_at_mut(clear);
        Ok(SealedParts { clear, sealed, trailer, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A response with an 8-byte header, a body, padding and a token.
    fn response(body: &[u8], pad_length: u8, token: &[u8]) -> Vec<u8> {
        let length = 24 + body.len() + 8 + token.len();
        let mut pdu = b"\x05\0\x02\x03\x10\0\0\0".to_vec();
        pdu.extend(u16::try_from(length).unwrap().to_le_bytes());
        pdu.extend(u16::try_from(token.len()).unwrap().to_le_bytes());
        pdu.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        pdu.extend_from_slice(body);
        pdu.extend([10, 6, pad_length, 0, 0, 0, 0, 0]);
        pdu.extend_from_slice(token);
        pdu
    }

    #[test]
    fn body_padding_verifier_and_token_are_separated() {
        let mut pdu = ReceivedPdu::read(response(b"stub----", 4, b"token")).unwrap();
        assert_eq!(&pdu.body()[8..], b"stub");
        assert_eq!(pdu.token(), b"token");
        let parts = pdu.parts(24).unwrap();
        assert_eq!(parts.clear.len(), 24);
        assert_eq!(parts.sealed, b"stub----");
        assert_eq!(parts.trailer, [10, 6, 4, 0, 0, 0, 0, 0]);
        assert_eq!(parts.token, b"token");
    }

    #[test]
    fn wrong_lengths_are_detected() {
        let problem = |bytes: Vec<u8>| ReceivedPdu::read(bytes).unwrap_err().problem;
        let good = response(b"stub----", 4, b"token");
        assert_eq!(problem(good[..good.len() - 1].to_vec()), PduErrorKind::Length);
        assert_eq!(problem(good[..15].to_vec()), PduErrorKind::Length);
        for (auth_length, wanted) in [
            (21, None),
            (22, Some(PduErrorKind::AuthLength)),
            (0xffff, Some(PduErrorKind::AuthLength)),
        ] {
            let mut pdu = good.clone();
            pdu[10..12].copy_from_slice(&u16::try_from(auth_length).unwrap().to_le_bytes());
            assert_eq!(
                ReceivedPdu::read(pdu).err().map(|bad| bad.problem),
                wanted,
                "{auth_length}"
            );
        }
        assert_eq!(problem(response(b"stub", 255, b"token")), PduErrorKind::Padding);
        let mut reaching_into_the_header =
            ReceivedPdu::read(response(b"stub", 5, b"token")).unwrap();
        assert_eq!(reaching_into_the_header.parts(24).unwrap_err().problem, PduErrorKind::Padding);
        let mut short = ReceivedPdu::read(response(b"", 0, b"token")).unwrap();
        assert_eq!(short.parts(32).unwrap_err().problem, PduErrorKind::Truncated);
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted_or_rejected(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..100),
            kind in 0_u8..20,
            auth_length in 0_u8..100,
            clear in 16_usize..40,
        ) {
            if bytes.len() >= 16 {
                let length = u8::try_from(bytes.len()).unwrap();
                bytes[..12].copy_from_slice(&[5, 0, kind, 3, 16, 0, 0, 0, length, 0, auth_length, 0]);
            }
            let length = bytes.len();
            if let Ok(mut pdu) = ReceivedPdu::read(bytes) {
                prop_assert!(pdu.body().len() + pdu.token().len() + 16 <= length);
                let whole = pdu.parts(clear).map(|parts| {
                    parts.clear.len() + parts.sealed.len() + parts.trailer.len() + parts.token.len()
                });
                prop_assert!(whole.is_err() || whole == Ok(length));
            }
        }
    }
}
