//! The LDAP controls used with Active Directory (MS-ADTS 3.1.1.3.4.1), and simple paged results
//! (RFC 2696).

use crate::ldap::{BerError, BerReader, Control, element, integer, octets};

/// Simple paged results (RFC 2696).
pub const PAGED: &str = "1.2.840.113556.1.4.319";
/// LDAP_SERVER_SHOW_DELETED_OID: the search includes deleted objects.
pub const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// LDAP_SERVER_NOTIFICATION_OID: the search stays open and reports changes.
const NOTIFICATION: &str = "1.2.840.113556.1.4.528";
/// LDAP_SERVER_EXTENDED_DN_OID: distinguished names include the GUID and SID, which do not change
/// on a rename.
const EXTENDED: &str = "1.2.840.113556.1.4.529";
/// LDAP_SERVER_DIRSYNC_OID: the changes since a cookie.
pub const DIRSYNC: &str = "1.2.840.113556.1.4.841";

/// LDAP_DIRSYNC_INCREMENTAL_VALUES, the sign bit of the protocol's 32-bit integer: for a group,
/// only added and removed members are returned.
const INCREMENTAL: u32 = 0x8000_0000;
/// LDAP_DIRSYNC_OBJECT_SECURITY: without the right "Replicating Directory Changes", the server
/// returns what the account may read.
const OBJECT_SECURITY: u32 = 1;

/// The maximum length of a cookie, in bytes. A Windows DC writes 40 bytes plus 24 for each other
/// DC.
const COOKIE: usize = 256 << 10;

/// Why a cookie cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// The response does not contain the control.
    #[error("the response does not have the requested control")]
    Missing,
    /// The value of the control has another structure.
    #[error("the value of the control is invalid: {0}")]
    Malformed(#[from] BerError),
    /// The cookie is longer than the limit.
    #[error("the cookie is longer than {} KiB", COOKIE >> 10)]
    TooLong,
}

/// Requests the page after `cookie`, with at most `size` entries.
pub fn paged_results(size: u32, cookie: &[u8]) -> Control {
    let value = element(0x30, &[&integer(2, size.into()), &octets(cookie)]);
    Control { oid: PAGED, value: Some(value) }
}

/// The cookie of the next page; empty after the last page.
///
/// # Errors
/// The response has no cookie: the server does not support paging.
pub fn paged_results_cookie(value: Option<&[u8]>) -> Result<Vec<u8>, CookieError> {
    let mut value = BerReader::new(value.ok_or(CookieError::Missing)?).within(0x30)?;
    value.number(2)?;
    kept(value.tagged(4)?)
}

fn kept(cookie: &[u8]) -> Result<Vec<u8>, CookieError> {
    if cookie.len() > COOKIE { Err(CookieError::TooLong) } else { Ok(cookie.to_vec()) }
}

/// Requests that deleted objects are included.
pub fn show_deleted() -> Control {
    Control { oid: SHOW_DELETED, value: None }
}

/// Requests that the search stays open and reports changes.
pub fn notification() -> Control {
    Control { oid: NOTIFICATION, value: None }
}

/// Requests distinguished names in the extended form, with hexadecimal GUID and SID.
pub fn extended_names() -> Control {
    Control { oid: EXTENDED, value: Some(element(0x30, &[&integer(2, 0)])) }
}

/// Requests the changes since `cookie`; an empty cookie starts from the beginning.
pub fn dirsync(cookie: &[u8]) -> Control {
    let flags = (INCREMENTAL | OBJECT_SECURITY).to_be_bytes();
    // The integer is signed: the high bit must be the first bit of four bytes.
    let value =
        element(0x30, &[&element(2, &[&flags]), &integer(2, i32::MAX as u64), &octets(cookie)]);
    Control { oid: DIRSYNC, value: Some(value) }
}

/// Whether more changes are available now, and the cookie for the next request.
///
/// # Errors
/// The response has no cookie.
pub fn dirsync_response(value: Option<&[u8]>) -> Result<(bool, Vec<u8>), CookieError> {
    let mut value = BerReader::new(value.ok_or(CookieError::Missing)?).within(0x30)?;
    let more = value.number(2)? != 0;
    value.any()?;
    Ok((more, kept(value.tagged(4)?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_are_encoded_as_documented() {
        assert_eq!(extended_names().value.unwrap(), [0x30, 3, 2, 1, 0]);
        assert_eq!(
            paged_results(1000, b"ab").value.unwrap(),
            *b"\x30\x08\x02\x02\x03\xe8\x04\x02ab"
        );
        let value = dirsync(b"c").value.unwrap();
        assert_eq!(value, *b"\x30\x0f\x02\x04\x80\x00\x00\x01\x02\x04\x7f\xff\xff\xff\x04\x01c");
    }

    #[test]
    fn cookies_round_trip() {
        assert_eq!(
            paged_results_cookie(paged_results(0, b"next").value.as_deref()),
            Ok(b"next".to_vec())
        );
        let answer = element(0x30, &[&integer(2, 1), &integer(2, 0), &octets(b"next")]);
        assert_eq!(dirsync_response(Some(&answer)), Ok((true, b"next".to_vec())));
        assert_eq!(paged_results_cookie(None), Err(CookieError::Missing));
        let long = paged_results(0, &vec![0; COOKIE + 1]);
        assert_eq!(paged_results_cookie(long.value.as_deref()), Err(CookieError::TooLong));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_are_handled(bytes: Vec<u8>) {
            let whole = element(0x30, &[&bytes]);
            for bytes in [&bytes, &whole] {
                let _ = (paged_results_cookie(Some(bytes)), dirsync_response(Some(bytes)));
            }
        }
    }
}
