//! The server side of an association, for tests.

use crate::msrpc::framing::PduFramer;
use crate::msrpc::ndr::NdrWriter;
use crate::msrpc::pdu::{
    AuthType, PduBuilder, PduFlags, PduType, ReceivedPdu, RequestPdu, Verifier,
};
use crate::msrpc::{Interface, SecurityContext, SecurityError};

/// A provider with a trivial cipher. Like a real one, it numbers its messages and detects every
/// change in header, body and trailer.
#[derive(Debug, Clone)]
pub(super) struct TestSecurity {
    token_size: usize,
    sent: u64,
    received: u64,
}

impl TestSecurity {
    pub(super) const fn new(token_size: usize) -> Self {
        Self { token_size, sent: 0, received: 0 }
    }

    fn token(&self, number: u64, parts: [&[u8]; 3]) -> Vec<u8> {
        let mut hash = 0xcbf2_9ce4_8422_2325 ^ number;
        for byte in parts.into_iter().flat_map(|part| part.iter().chain(&[0xff])) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash.to_le_bytes().into_iter().cycle().take(self.token_size).collect()
    }
}

fn encrypt(number: u64, body: &mut [u8]) {
    for (at, byte) in body.iter_mut().enumerate() {
        *byte ^= (number.wrapping_mul(31) as u8).wrapping_add(at as u8) | 0x80;
    }
}

impl SecurityContext for TestSecurity {
    fn token_size(&self) -> usize {
        self.token_size
    }

    fn seal(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
    ) -> Result<Vec<u8>, SecurityError> {
        self.sent += 1;
        let token = self.token(self.sent, [header, body, trailer]);
        encrypt(self.sent, body);
        Ok(token)
    }

    fn open(
        &mut self,
        header: &[u8],
        body: &mut [u8],
        trailer: &[u8],
        token: &[u8],
    ) -> Result<(), SecurityError> {
        self.received += 1;
        encrypt(self.received, body);
        match self.token(self.received, [header, body, trailer]) == token {
            true => Ok(()),
            false => Err(SecurityError("changed on its way".to_owned())),
        }
    }
}

/// The body of a bind_ack or alter_context_resp that accepts.
pub(super) fn ack_body(max_receive: u16) -> Vec<u8> {
    let mut body = NdrWriter::new();
    body.u16(5840);
    body.u16(max_receive);
    body.u32(0xa99); // the group
    body.u16(6);
    body.bytes(b"49153\0");
    body.align(4);
    body.u32(1); // one result
    body.u32(0); // acceptance
    Interface::NDR.write(&mut body);
    body.finish()
}

pub(super) fn pdu(kind: PduType, flags: PduFlags, call_id: u32, body: Vec<u8>) -> PduBuilder {
    PduBuilder { kind, flags, call_id, body }
}

/// An accepting response, with a token if there is an authentication.
pub(super) fn accepting(kind: PduType, call_id: u32, token: Option<(AuthType, &[u8])>) -> Vec<u8> {
    let flags = PduFlags::WHOLE.and(PduFlags::HEADER_SIGN);
    let builder = pdu(kind, flags, call_id, ack_body(5840));
    match token {
        None => builder.plain(),
        Some((kind, token)) => builder.with_token(kind, token),
    }
    .unwrap()
}

/// A fault with this status.
pub(super) fn fault(call_id: u32, status: u32) -> Vec<u8> {
    let mut body = vec![0; 8];
    body.extend(status.to_le_bytes());
    body.extend([0; 4]);
    pdu(PduType::Fault, PduFlags::WHOLE.and(PduFlags::DID_NOT_EXECUTE), call_id, body)
        .plain()
        .unwrap()
}

/// A response in fragments with at most `size` bytes of the stub each, optionally sealed.
pub(super) fn answer(
    call_id: u32,
    stub: &[u8],
    size: usize,
    mut seal: Option<(AuthType, &mut TestSecurity)>,
) -> Vec<Vec<u8>> {
    let count = stub.len().div_ceil(size).max(1);
    let fragment = |number: usize| {
        let part = stub.chunks(size).nth(number).unwrap_or_default();
        let first = if number == 0 { PduFlags::FIRST } else { PduFlags::NONE };
        let last = if number + 1 == count { PduFlags::LAST } else { PduFlags::NONE };
        let body = [&[0; 8], part].concat();
        let builder = pdu(PduType::Response, first.and(last), call_id, body);
        match &mut seal {
            None => builder.plain().unwrap(),
            Some((kind, chain)) => sealed(builder, *kind, chain),
        }
    };
    (0..count).map(fragment).collect()
}

/// Seals a response with padding to 4 bytes, as Samba does.
pub(super) fn sealed(mut builder: PduBuilder, kind: AuthType, chain: &mut TestSecurity) -> Vec<u8> {
    let length = builder.body.len();
    builder.body.resize(length.next_multiple_of(4), 0);
    let pad_length = u8::try_from(builder.body.len() - length).unwrap();
    builder.body.extend(Verifier::ours(kind, pad_length).write());
    let mut pdu = builder.with_room(chain.token_size, chain.token_size).unwrap();
    let trailer_at = pdu.len() - Verifier::SIZE;
    let (message, trailer) = pdu.split_at_mut(trailer_at);
    let (header, body) = message.split_at_mut(24);
    let token = chain.seal(header, body, trailer).unwrap();
    pdu.extend(token);
    pdu
}

/// The operation and stub of a call, decoded by the server from PDUs of at most `limit` bytes.
pub(super) fn read_call(
    bytes: &[u8],
    limit: usize,
    mut open: Option<&mut TestSecurity>,
) -> (u16, Vec<u8>) {
    let mut framer = PduFramer::new(limit);
    framer.feed(bytes);
    let (mut opnum, mut stub, mut hints) = (None, Vec::new(), Vec::new());
    let mut over = false;
    while let Some(bytes) = framer.next_pdu().unwrap() {
        let mut pdu = ReceivedPdu::read(bytes).unwrap();
        if let Some(chain) = &mut open {
            let parts = pdu.parts(RequestPdu::CLEAR).unwrap();
            assert_eq!(parts.sealed.len() % 16, 0);
            chain.open(parts.clear, parts.sealed, parts.trailer, parts.token).unwrap();
        }
        assert_eq!(pdu.header().kind, PduType::Request);
        assert_eq!(pdu.header().flags.has(PduFlags::FIRST), opnum.is_none());
        assert!(!over, "a fragment after the last one");
        over = pdu.header().flags.has(PduFlags::LAST);
        let (head, part) = pdu.body().split_at(8);
        hints.push(usize::try_from(u32::from_le_bytes(head[..4].try_into().unwrap())).unwrap());
        opnum = Some(u16::from_le_bytes([head[6], head[7]]));
        stub.extend_from_slice(part);
    }
    assert!(over, "there is no last fragment");
    assert_eq!(hints[0], stub.len());
    (opnum.unwrap(), stub)
}
