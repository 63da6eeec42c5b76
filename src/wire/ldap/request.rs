//! What a client asks: to be given entries, which the library writes; to speak TLS and to be bound
//! by a proof, which it cannot.

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

/// A control: more about a request (RFC 4511 section 4.1.11). It is always critical: Rollcall asks
/// for none that it could do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Its object identifier.
    pub oid: &'static str,
    /// Its value, in an encoding of its own.
    pub value: Option<Vec<u8>>,
}

/// A message with the number `id`.
fn message(id: u32, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&integer(2, id.into()), operation])
}

/// One step of proving by a SASL mechanism who one is (RFC 4513 section 5.2).
pub fn sasl_bind(id: u32, mechanism: &str, token: &[u8]) -> Vec<u8> {
    let sasl = element(0xa3, &[&octets(mechanism.as_bytes()), &octets(token)]);
    message(id, &element(0x60, &[&integer(2, 3), &octets(b""), &sasl]))
}

/// Asks to go on over TLS (RFC 4511 section 4.14).
pub fn start_tls(id: u32) -> Vec<u8> {
    message(id, &element(0x77, &[&element(0x80, &[b"1.3.6.1.4.1.1466.20037"])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_bytes_that_other_clients_send() {
        // As `ldapsearch -Y GSS-SPNEGO` and `-ZZ` send them.
        let bind = sasl_bind(1, "GSS-SPNEGO", b"token");
        let sasl = b"\xa3\x13\x04\x0aGSS-SPNEGO\x04\x05token";
        assert_eq!(bind, [&b"\x30\x1f\x02\x01\x01\x60\x1a\x02\x01\x03\x04\x00"[..], sasl].concat());
        let tls = start_tls(1);
        assert_eq!(tls, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
    }
}
