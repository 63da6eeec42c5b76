//! The LDAP controls used with Active Directory (MS-ADTS 3.1.1.3.4.1), and simple paged results
//! (RFC 2696).

use crate::ldap::{BadBer, Control, Reader, element, integer, octets};

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
pub enum BadCookie {
    /// The response does not contain the control.
    #[error("the server did not answer with the control that it was asked for")]
    Missing,
    /// The value of the control has another structure.
    #[error("the value of the control is wrong: {0}")]
    Form(#[from] BadBer),
    /// The cookie is longer than the limit.
    #[error("the cookie is longer than {} KiB", COOKIE >> 10)]
    Long,
}

/// Requests the page after `cookie`, with at most `size` entries.
pub fn page(size: u32, cookie: &[u8]) -> Control {
    let value = element(0x30, &[&integer(2, size.into()), &octets(cookie)]);
    Control { oid: PAGED, value: Some(value) }
}

/// The cookie of the next page; empty after the last page.
///
/// # Errors
/// The response has no cookie: the server does not support paging.
pub fn page_answer(value: Option<&[u8]>) -> Result<Vec<u8>, BadCookie> {
    let mut value = Reader::new(value.ok_or(BadCookie::Missing)?).within(0x30)?;
    value.number(2)?;
    kept(value.tagged(4)?)
}

fn kept(cookie: &[u8]) -> Result<Vec<u8>, BadCookie> {
    if cookie.len() > COOKIE { Err(BadCookie::Long) } else { Ok(cookie.to_vec()) }
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
pub fn dirsync_answer(value: Option<&[u8]>) -> Result<(bool, Vec<u8>), BadCookie> {
    let mut value = Reader::new(value.ok_or(BadCookie::Missing)?).within(0x30)?;
    let more = value.number(2)? != 0;
    value.any()?;
    Ok((more, kept(value.tagged(4)?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_are_written_as_microsoft_documents_them() {
        assert_eq!(extended_names().value.unwrap(), [0x30, 3, 2, 1, 0]);
        assert_eq!(page(1000, b"ab").value.unwrap(), *b"\x30\x08\x02\x02\x03\xe8\x04\x02ab");
        let value = dirsync(b"c").value.unwrap();
        assert_eq!(value, *b"\x30\x0f\x02\x04\x80\x00\x00\x01\x02\x04\x7f\xff\xff\xff\x04\x01c");
    }

    #[test]
    fn cookies_are_read_back() {
        assert_eq!(page_answer(page(0, b"next").value.as_deref()), Ok(b"next".to_vec()));
        let answer = element(0x30, &[&integer(2, 1), &integer(2, 0), &octets(b"next")]);
        assert_eq!(dirsync_answer(Some(&answer)), Ok((true, b"next".to_vec())));
        assert_eq!(page_answer(None), Err(BadCookie::Missing));
        let long = page(0, &vec![0; COOKIE + 1]);
        assert_eq!(page_answer(long.value.as_deref()), Err(BadCookie::Long));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            let whole = element(0x30, &[&bytes]);
            for bytes in [&bytes, &whole] {
                let _ = (page_answer(Some(bytes)), dirsync_answer(Some(bytes)));
            }
        }
    }
}
