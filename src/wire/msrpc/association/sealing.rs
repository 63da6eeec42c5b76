//! Fragments of calls, plain or sealed, and the decryption of responses. MS-RPCE section 3.3.1.5.2.

use crate::msrpc::pdu::{
    AuthType, BadPdu, Draft, Header, PROTECTED, PduProblem, Received, Request, TooLong, Verifier,
};
use crate::msrpc::{Failure, Security, SecurityError};

/// The negotiated auth_type and the security context.
pub(super) type Sealer<'a> = (AuthType, &'a mut (dyn Security + Send));

/// Encodes all fragments of a call, each of at most `max_transmit` bytes.
pub(super) fn plain(
    request: Request,
    stub: &[u8],
    max_transmit: usize,
) -> Result<Vec<u8>, TooLong> {
    let room = room(max_transmit, 0)?;
    let mut bytes = Vec::new();
    for draft in request.fragments(stub, room) {
        bytes.extend(draft.plain()?);
    }
    Ok(bytes)
}

/// The same, sealed.
pub(super) fn seal(
    request: Request,
    stub: &[u8],
    max_transmit: usize,
    (kind, security): Sealer<'_>,
) -> Result<Vec<u8>, Failure> {
    let room = room(max_transmit, Verifier::SIZE + security.token_size())?;
    let mut bytes = Vec::new();
    for draft in request.fragments(stub, room) {
        bytes.extend(seal_fragment(draft, (kind, &mut *security))?);
    }
    Ok(bytes)
}

/// The stub size per fragment, with `overhead` bytes after it: a multiple of the protected block
/// size, so that only the last fragment is padded (C706 requires multiples of 8).
fn room(max_transmit: usize, overhead: usize) -> Result<usize, TooLong> {
    let room = max_transmit.checked_sub(Request::CLEAR + overhead).ok_or(TooLong)?;
    match room - room % PROTECTED {
        0 => Err(TooLong),
        room => Ok(room),
    }
}

fn seal_fragment(mut draft: Draft, (kind, security): Sealer<'_>) -> Result<Vec<u8>, Failure> {
    // The body begins 8 bytes before the stub.
    let stub = draft.body.len() + Header::SIZE - Request::CLEAR;
    let padding = stub.next_multiple_of(PROTECTED) - stub;
    draft.body.resize(draft.body.len() + padding, 0);
    let pad_length = u8::try_from(padding).map_err(|_| TooLong)?;
    draft.body.extend(Verifier::ours(kind, pad_length).write());
    let size = security.token_size();
    let mut pdu = draft.with_room(size, size)?;
    let trailer_at = pdu.len() - Verifier::SIZE;
    let (message, trailer) = pdu.split_at_mut(trailer_at);
    let (header, body) = message.split_at_mut(Request::CLEAR);
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
    pdu: &mut Received,
    clear: usize,
    (kind, security): Sealer<'_>,
) -> Result<(), Failure> {
    let bad = |pdu: &Received, problem| BadPdu::of(pdu.header().kind, problem);
    match pdu.verifier() {
        None => return Err(bad(pdu, PduProblem::Unsealed).into()),
        Some(verifier) if !verifier.belongs_to(kind) => {
            return Err(bad(pdu, PduProblem::Verifier).into());
        }
        Some(_) => {}
    }
    let parts = pdu.parts(clear)?;
    Ok(security.open(parts.clear, parts.sealed, parts.trailer, parts.token)?)
}
