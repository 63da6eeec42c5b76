//! Fragments of calls, plain or sealed, and the decryption of responses. MS-RPCE section 3.3.1.5.2.

use crate::msrpc::pdu::{
    AuthType, PROTECTED, PduBuilder, PduError, PduErrorKind, PduHeader, PduTooLong, ReceivedPdu,
    RequestPdu, Verifier,
};
use crate::msrpc::{AssociationError, SecurityContext, SecurityError};

/// The negotiated auth_type and the security context.
pub(super) type Sealer<'a> = (AuthType, &'a mut (dyn SecurityContext + Send));

/// Encodes all fragments of a call, each of at most `max_transmit` bytes.
pub(super) fn plain(
    request: RequestPdu,
    stub: &[u8],
    max_transmit: usize,
) -> Result<Vec<u8>, PduTooLong> {
    let room = room(max_transmit, 0)?;
    let mut bytes = Vec::new();
    for builder in request.fragments(stub, room) {
        bytes.extend(builder.plain()?);
    }
    Ok(bytes)
}

/// The same, sealed.
pub(super) fn seal(
    request: RequestPdu,
    stub: &[u8],
    max_transmit: usize,
    (kind, security): Sealer<'_>,
) -> Result<Vec<u8>, AssociationError> {
    let room = room(max_transmit, Verifier::SIZE + security.token_size())?;
    let mut bytes = Vec::new();
    for builder in request.fragments(stub, room) {
        bytes.extend(seal_fragment(builder, (kind, &mut *security))?);
    }
    Ok(bytes)
}

/// The stub size per fragment, with `overhead` bytes after it: a multiple of the protected block
/// size, so that only the last fragment is padded (C706 requires multiples of 8).
fn room(max_transmit: usize, overhead: usize) -> Result<usize, PduTooLong> {
    let room = max_transmit.checked_sub(RequestPdu::CLEAR + overhead).ok_or(PduTooLong)?;
    match room - room % PROTECTED {
        0 => Err(PduTooLong),
        room => Ok(room),
    }
}

fn seal_fragment(
    mut builder: PduBuilder,
    (kind, security): Sealer<'_>,
) -> Result<Vec<u8>, AssociationError> {
    // The body begins 8 bytes before the stub.
    let stub = builder.body.len() + PduHeader::SIZE - RequestPdu::CLEAR;
    let padding = stub.next_multiple_of(PROTECTED) - stub;
    builder.body.resize(builder.body.len() + padding, 0);
    let pad_length = u8::try_from(padding).map_err(|_| PduTooLong)?;
    builder.body.extend(Verifier::ours(kind, pad_length).write());
    let size = security.token_size();
    let mut pdu = builder.with_room(size, size)?;
    let trailer_at = pdu.len() - Verifier::SIZE;
    let (message, trailer) = pdu.split_at_mut(trailer_at);
    let (header, body) = message.split_at_mut(RequestPdu::CLEAR);
    let token = security.seal(header, body, trailer)?;
    if token.len() != size {
        let sentence = format!("a token has {} bytes, not the {size} announced", token.len());
        return Err(SecurityError(sentence).into());
    }
    pdu.extend(token);
    Ok(pdu)
}

/// Decrypts a PDU in place; its first `clear` bytes are not encrypted.
pub(super) fn open(
    pdu: &mut ReceivedPdu,
    clear: usize,
    (kind, security): Sealer<'_>,
) -> Result<(), AssociationError> {
    let bad = |pdu: &ReceivedPdu, problem| PduError::of(pdu.header().kind, problem);
    match pdu.verifier() {
        None => return Err(bad(pdu, PduErrorKind::Unsealed).into()),
        Some(verifier) if !verifier.belongs_to(kind) => {
            return Err(bad(pdu, PduErrorKind::Verifier).into());
        }
        Some(_) => {}
    }
    let parts = pdu.parts(clear)?;
    Ok(security.open(parts.clear, parts.sealed, parts.trailer, parts.token)?)
}
