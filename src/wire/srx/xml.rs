//! XML primitives for responses to an SRX: elements, lists of names and escaping.
//!
//! They are our own because the encoded list of a set of groups is cached as bytes and copied into
//! the output, which a generic serializer does not support.

use rollcall_identity::Name;

use super::report::GroupOwner;

/// A list of names, if there are any.
pub(super) fn write_names(whose: GroupOwner, names: &[&Name], out: &mut Vec<u8>) {
    if names.is_empty() {
        return;
    }
    let (begin, item, end) = match whose {
        GroupOwner::User(_) => (b"<role-list>".as_slice(), "role", b"</role-list>".as_slice()),
        GroupOwner::Device => (b"<groups>".as_slice(), "group", b"</groups>".as_slice()),
    };
    out.extend_from_slice(begin);
    names.iter().for_each(|name| element(out, item, [name.as_str()]));
    out.extend_from_slice(end);
}

pub(super) fn element<const N: usize>(out: &mut Vec<u8>, name: &str, pieces: [&str; N]) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    pieces.iter().for_each(|piece| escaped(out, piece.as_bytes()));
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// Escaped text of an element (XML 1.0 sections 2.2 and 2.4). Characters that XML does not allow,
/// controls and U+FFFE and U+FFFF, become U+FFFD: rejecting them would hide a session from the
/// firewall.
fn escaped(out: &mut Vec<u8>, mut rest: &[u8]) {
    // EF is the first byte of U+F000 to U+FFFF.
    let special = |byte: &u8| matches!(byte, ..0x20 | b'&' | b'<' | b'>' | b'"' | b'\'' | 0xef);
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (length, written) = match rest {
            [b'&', ..] => (1, b"&amp;".as_slice()),
            [b'<', ..] => (1, b"&lt;".as_slice()),
            [b'>', ..] => (1, b"&gt;".as_slice()),
            [b'"', ..] => (1, b"&quot;".as_slice()),
            [b'\'', ..] => (1, b"&apos;".as_slice()),
            [b'\r', ..] => (1, b"&#13;".as_slice()),
            [0xef, 0xbf, 0xbe | 0xbf, ..] => (3, "\u{fffd}".as_bytes()),
            [b'\t' | b'\n' | 0xef, ..] => (1, &rest[..1]),
            _ => (1, "\u{fffd}".as_bytes()),
        };
        out.extend_from_slice(written);
        rest = &rest[length..];
    }
    out.extend_from_slice(rest);
}
