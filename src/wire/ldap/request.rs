//! What a client asks: to be bound, to speak TLS, to be given entries.

use zeroize::Zeroizing;

use super::Filter;
use super::ber::{element, integer, octets};

/// How far below its base a search looks (RFC 4511 section 4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only at the base itself.
    Base,
    /// At its children.
    Children,
    /// At it and everything below it.
    Subtree,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Where it begins: a distinguished name, or nothing for the server itself (rootDSE).
    pub base: String,
    /// How far it goes.
    pub scope: Scope,
    /// What it finds.
    pub filter: Filter,
    /// Which attributes it returns; `1.1` for none.
    pub attributes: Vec<String>,
}

/// A control: more about a request, or about an answer (RFC 4511 section 4.1.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Its object identifier.
    pub oid: &'static str,
    /// Its value, in an encoding of its own.
    pub value: Option<Vec<u8>>,
}

/// A message with the number `id`, and its controls. All are critical: Rollcall asks for none that
/// it could do without.
fn message(id: u32, operation: &[u8], controls: &[Control]) -> Vec<u8> {
    let mut written = Vec::new();
    for control in controls {
        let value = control.value.as_deref().map(octets).unwrap_or_default();
        let oid = octets(control.oid.as_bytes());
        written.extend(element(0x30, &[&oid, &element(1, &[&[0xff]]), &value]));
    }
    let controls = if written.is_empty() { written } else { element(0xa0, &[&written]) };
    element(0x30, &[&integer(2, id.into()), operation, &controls])
}

/// Asks to be known as `name` (a distinguished name, `CORP\alice` or `alice@corp.example.com`).
///
/// A password that is empty would be granted as "unauthenticated" (RFC 4513 section 5.1.2): the
/// caller refuses it before.
pub fn simple_bind(id: u32, name: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let password = Zeroizing::new(element(0x80, &[password.as_bytes()]));
    let bind =
        Zeroizing::new(element(0x60, &[&integer(2, 3), &octets(name.as_bytes()), &password]));
    Zeroizing::new(message(id, &bind, &[]))
}

/// One step of proving by a SASL mechanism who one is (RFC 4513 section 5.2).
pub fn sasl_bind(id: u32, mechanism: &str, token: &[u8]) -> Vec<u8> {
    let sasl = element(0xa3, &[&octets(mechanism.as_bytes()), &octets(token)]);
    message(id, &element(0x60, &[&integer(2, 3), &octets(b""), &sasl]), &[])
}

/// Asks to go on over TLS (RFC 4511 section 4.14).
pub fn start_tls(id: u32) -> Vec<u8> {
    message(id, &element(0x77, &[&element(0x80, &[b"1.3.6.1.4.1.1466.20037"])]), &[])
}

/// Asks for entries. Aliases are not followed, and there is no limit of the server's: what is read
/// is bounded where it is read.
pub fn search(id: u32, search: &Search, controls: &[Control]) -> Vec<u8> {
    let scope = match search.scope {
        Scope::Base => 0,
        Scope::Children => 1,
        Scope::Subtree => 2,
    };
    let attributes: Vec<u8> =
        search.attributes.iter().flat_map(|name| octets(name.as_bytes())).collect();
    let operation = element(
        0x63,
        &[
            &octets(search.base.as_bytes()),
            &integer(10, scope),
            &integer(10, 0),
            &integer(2, 0),
            &integer(2, 0),
            &element(1, &[&[0]]),
            &search.filter.encoded(),
            &element(0x30, &[&attributes]),
        ],
    );
    message(id, &operation, controls)
}

/// Gives up the request `of`; no answer comes.
pub fn abandon(id: u32, of: u32) -> Vec<u8> {
    message(id, &integer(0x50, of.into()), &[])
}

/// Says good-bye; no answer comes.
pub fn unbind(id: u32) -> Vec<u8> {
    message(id, &element(0x42, &[]), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_bytes_that_other_clients_send() {
        // As `ldapsearch -x -D a -w b` and `-ZZ` send them.
        let bind = simple_bind(1, "a", "b");
        assert_eq!(bind.as_slice(), b"\x30\x0e\x02\x01\x01\x60\x09\x02\x01\x03\x04\x01a\x80\x01b");
        let tls = start_tls(1);
        assert_eq!(tls, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
        assert_eq!(unbind(3), b"\x30\x05\x02\x01\x03\x42\x00");
        assert_eq!(abandon(4, 3), b"\x30\x06\x02\x01\x04\x50\x01\x03");
        let root = Search {
            base: String::new(),
            scope: Scope::Base,
            filter: Filter::Present("objectClass"),
            attributes: vec!["a".into()],
        };
        let control = Control { oid: "1.2", value: None };
        let sent = search(2, &root, &[control]);
        let expected = b"\x30\x34\x02\x01\x02\x63\x23\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\
            \x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x03\x04\x01a\xa0\x0a\x30\x08\x04\x031.2\
            \x01\x01\xff";
        assert_eq!(sent, expected);
    }
}
