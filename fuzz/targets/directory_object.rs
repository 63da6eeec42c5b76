//! Responses of a domain controller: objects, changes, names of domains, cookies. A problem of one
//! object never ends the synchronization.

use rollcall_identity::directory::{Object, Update};
use rollcall_wire::active_directory::{self as wire, DistinguishedName};
use rollcall_wire::ldap::{
    BerError, BerReader, GuardVerdict, LdapMessage, LdapResult, PartialAttribute, ProtocolOp,
    ResponseGuard, SearchResultEntry, element, frame_length, integer, octets,
};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let whole = frame_length(data).ok().flatten();
    let mut guard = ResponseGuard::default();
    let search = element(0x30, &[&integer(2, 1), &element(0x63, &[])]);
    guard.request(&search).expect("it is a message");
    match guard.check(data) {
        Ok(GuardVerdict::Forward) => {
            assert_eq!(whole, Some(data.len()), "a part of a message was let through");
            let mut message = BerReader::new(data).within(0x30).expect("it was let through");
            message.number(2).expect("it has a number");
            if let Ok((0x64, body)) = message.any() {
                check_objects(&entry(BerReader::new(body)).expect("the guard knows its shape"));
            }
        }
        Ok(GuardVerdict::Disconnection(outcome)) => check_outcome(&outcome),
        Err(_) => {}
    }
    if let Ok(message) = LdapMessage::parse(data) {
        assert!(whole.is_some_and(|length| length <= data.len()), "it was read beyond its end");
        if let ProtocolOp::BindResponse(outcome, _) | ProtocolOp::ExtendedResponse(outcome) =
            &message.body
        {
            check_outcome(outcome);
        }
    }
    // All input as an entry, even if the guard rejects it.
    if let Ok(entry) = entry(BerReader::new(data)) {
        check_objects(&entry);
    }
    let _ = wire::paged_results_cookie(Some(data));
    let _ = wire::dirsync_response(Some(&octets(data)));
}

/// The entry in `body`.
fn entry<'a>(mut body: BerReader<'a>) -> Result<SearchResultEntry<'a>, BerError> {
    let (dn, mut list) = (body.tagged(4)?, body.within(0x30)?);
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = list.within(0x30)?;
        let name = std::str::from_utf8(attribute.tagged(4)?).map_err(|_| BerError::Text)?;
        let (mut set, mut values) = (attribute.within(0x31)?, Vec::new());
        while !set.is_empty() {
            values.push(set.tagged(4)?);
        }
        attributes.push(PartialAttribute { name, values });
    }
    Ok(SearchResultEntry { dn, attributes })
}

/// The properties of every outcome.
fn check_outcome(outcome: &LdapResult) {
    assert!(outcome.diagnostic.chars().count() <= 512);
    assert!(!outcome.diagnostic.contains(char::is_control));
    let _ = wire::classify_failure(outcome);
}

/// The properties of every entry.
fn check_objects(entry: &SearchResultEntry<'_>) {
    let reading = wire::read(entry);
    if let Some(Update::Upsert { dn, object, .. }) = &reading.update {
        assert!(dn.len() <= DistinguishedName::LIMIT);
        match object {
            Object::Account(account) => assert!(!account.name.as_str().is_empty()),
            Object::Group { name, .. } => assert!(!name.as_str().is_empty()),
        }
    }
    assert!(reading.update.is_some() || reading.more.is_none());
    let _ = (wire::read_dirsync_entry(entry), wire::cross_ref(entry), wire::invocation(entry));
    let _ = (wire::domain_sid(entry), wire::RootDse::read(entry));
}
