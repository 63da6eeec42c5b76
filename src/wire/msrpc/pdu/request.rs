//! request: a call in one or more fragments. C706 section 12.6.4.9.

use super::PduType;
use super::header::{PduBuilder, PduFlags};
use super::presentation;

/// The fields that all fragments of a call share.
#[derive(Debug, Clone, Copy)]
pub(in crate::msrpc) struct RequestPdu {
    pub(in crate::msrpc) call_id: u32,
    /// The operation number.
    pub(in crate::msrpc) opnum: u16,
}

impl RequestPdu {
    /// The number of bytes before the stub, including the common header: never encrypted.
    pub(in crate::msrpc) const CLEAR: usize = 24;

    /// The fragments of a call with this stub, each with at most `room` bytes of it. An empty stub
    /// gives one fragment.
    pub(in crate::msrpc) fn fragments(
        self,
        stub: &[u8],
        room: usize,
    ) -> impl Iterator<Item = PduBuilder> {
        let count = stub.len().div_ceil(room).max(1);
        (0..count).map(move |number| {
            let rest = &stub[number * room..];
            let part = &rest[..room.min(rest.len())];
            let first = if number == 0 { PduFlags::FIRST } else { PduFlags::NONE };
            let last = if number + 1 == count { PduFlags::LAST } else { PduFlags::NONE };
            let flags = first.and(last);
            PduBuilder {
                kind: PduType::Request,
                flags,
                call_id: self.call_id,
                body: self.body(rest.len(), part),
            }
        })
    }

    /// `alloc_hint` is the remaining length. It is only a hint and may be truncated.
    fn body(self, alloc_hint: usize, part: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(8 + part.len());
        body.extend(u32::try_from(alloc_hint).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(presentation::CONTEXT.to_le_bytes());
        body.extend(self.opnum.to_le_bytes());
        body.extend_from_slice(part);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(stub: &[u8], room: usize) -> Vec<Vec<u8>> {
        let fragments = RequestPdu { call_id: 2, opnum: 3 }.fragments(stub, room);
        fragments.map(|builder| builder.plain().unwrap()).collect()
    }

    #[test]
    fn short_call_is_one_fragment() {
        let wanted = b"\x05\0\0\x03\x10\0\0\0\x1b\0\0\0\x02\0\0\0\x03\0\0\0\0\0\x03\0abc";
        assert_eq!(written(b"abc", 8), [wanted]);
        let wanted = b"\x05\0\0\x03\x10\0\0\0\x18\0\0\0\x02\0\0\0\0\0\0\0\0\0\x03\0";
        assert_eq!(written(b"", 8), [wanted]);
    }

    #[test]
    fn long_call_has_first_and_last_fragment() {
        let wanted = [
            &b"\x05\0\0\x01\x10\0\0\0\x1a\0\0\0\x02\0\0\0\x05\0\0\0\0\0\x03\0ab"[..],
            b"\x05\0\0\x00\x10\0\0\0\x1a\0\0\0\x02\0\0\0\x03\0\0\0\0\0\x03\0cd",
            b"\x05\0\0\x02\x10\0\0\0\x19\0\0\0\x02\0\0\0\x01\0\0\0\0\0\x03\0e",
        ];
        assert_eq!(written(b"abcde", 2), wanted);
        assert_eq!(written(b"abcd", 2).len(), 2);
    }
}
