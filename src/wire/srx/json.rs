//! JSON primitives for responses to an SRX: strings and lists of names.
//!
//! They are our own because the encoded list of a set of groups is cached as bytes and copied into
//! the output, which a generic serializer does not support.

use rollcall_identity::Name;

use super::dialect;

/// A list of names.
pub(super) fn write_names(names: &[&Name], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(out, [name.as_str()]);
    }
    out.push(b']');
}

/// One JSON string made of `pieces` (RFC 8259 section 7).
pub(super) fn string<const N: usize>(out: &mut Vec<u8>, pieces: [&str; N]) {
    out.push(b'"');
    for piece in pieces {
        let mut rest = piece.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, ..0x20 | b'"' | b'\\')) {
            out.extend_from_slice(&rest[..at]);
            match rest[at] {
                plain @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', plain]),
                control => dialect::text(out, format_args!("\\u{control:04x}")),
            }
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
    }
    out.push(b'"');
}
