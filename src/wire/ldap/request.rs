//! Requests of a client: search parameters for the library, and the encoded StartTLS and SASL bind
//! requests, which the library does not support.

use super::Filter;
use super::ber::{element, integer, octets};

/// The scope of a search (RFC 4511 section 4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchScope {
    /// The base object.
    Base,
    /// The direct children of the base.
    Children,
    /// The base and everything below it.
    Subtree,
}

/// The parameters of a search request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// The base: a distinguished name, or empty for the rootDSE.
    pub base: String,
    /// The scope.
    pub scope: SearchScope,
    /// The filter.
    pub filter: Filter,
    /// The requested attributes; `1.1` for none.
    pub attributes: Vec<String>,
}

/// A request control (RFC 4511 section 4.1.11). Always sent as critical: Rollcall requests only
/// controls it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The object identifier.
    pub oid: &'static str,
    /// The value, in the encoding of the control.
    pub value: Option<Vec<u8>>,
}

/// Encodes a message with the ID `id`.
fn message(id: u32, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&integer(2, id.into()), operation])
}

/// Encodes one step of a SASL bind (RFC 4513 section 5.2).
pub fn sasl_bind(id: u32, mechanism: &str, token: &[u8]) -> Vec<u8> {
    let sasl = element(0xa3, &[&octets(mechanism.as_bytes()), &octets(token)]);
    message(id, &element(0x60, &[&integer(2, 3), &octets(b""), &sasl]))
}

/// Encodes the StartTLS request (RFC 4511 section 4.14).
pub fn start_tls(id: u32) -> Vec<u8> {
    message(id, &element(0x77, &[&element(0x80, &[b"1.3.6.1.4.1.1466.20037"])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_match_other_clients() {
        // As sent by `ldapsearch -Y GSS-SPNEGO` and `-ZZ`.
        let bind = sasl_bind(1, "GSS-SPNEGO", b"token");
        let sasl = b"\xa3\x13\x04\x0aGSS-SPNEGO\x04\x05token";
        assert_eq!(bind, [&b"\x30\x1f\x02\x01\x01\x60\x1a\x02\x01\x03\x04\x00"[..], sasl].concat());
        let tls = start_tls(1);
        assert_eq!(tls, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
    }
}
