//! co_cancel and orphaned: a client cancels or abandons a call. C706 sections 12.6.4.6 and
//! 12.6.4.8. They are never signed, because they have no body.

use super::PduType;
use super::header::{PduBuilder, PduFlags};

/// Asks the server to cancel a call. The call is still answered, usually with a fault.
pub(in crate::msrpc) const fn co_cancel(call_id: u32) -> PduBuilder {
    PduBuilder { kind: PduType::CoCancel, flags: PduFlags::WHOLE, call_id, body: Vec::new() }
}

/// Tells the server that the client abandoned a call.
pub(in crate::msrpc) const fn orphaned(call_id: u32) -> PduBuilder {
    PduBuilder { kind: PduType::Orphaned, flags: PduFlags::WHOLE, call_id, body: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_have_only_a_header() {
        let cancel = co_cancel(7).plain().unwrap();
        assert_eq!(cancel, b"\x05\0\x12\x03\x10\0\0\0\x10\0\0\0\x07\0\0\0");
        let orphaned = orphaned(0x0102_0304).plain().unwrap();
        assert_eq!(orphaned, b"\x05\0\x13\x03\x10\0\0\0\x10\0\0\0\x04\x03\x02\x01");
    }
}
