//! What a domain controller answers: objects, changes, names of domains, cookies; or a problem of
//! the one object, never the end of the reading.

use rollcall_identity::directory::{Object, Update};
use rollcall_wire::active_directory::{self as wire, Distinguished};
use rollcall_wire::dns;
use rollcall_wire::ldap::{
    Attribute, BadBer, Body, Entry, Guard, Message, Outcome, Passage, Reader, element,
    frame_length, integer, octets,
};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let whole = frame_length(data).ok().flatten();
    let mut guard = Guard::default();
    let search = element(0x30, &[&integer(2, 1), &element(0x63, &[])]);
    guard.request(&search).expect("it is a message");
    match guard.answer(data) {
        Ok(Passage::Through) => {
            assert_eq!(whole, Some(data.len()), "a part of a message was let through");
            let mut message = Reader::new(data).within(0x30).expect("it was let through");
            message.number(2).expect("it has a number");
            if let Ok((0x64, body)) = message.any() {
                objects(&entry(Reader::new(body)).expect("the guard knows its shape"));
            }
        }
        Ok(Passage::Notice(outcome)) => told(&outcome),
        Err(_) => {}
    }
    if let Ok(message) = Message::parse(data) {
        assert!(whole.is_some_and(|length| length <= data.len()), "it was read beyond its end");
        if let Body::Bound(outcome, _) | Body::Extended(outcome) = &message.body {
            told(outcome);
        }
    }
    // Any bytes as an entry, whatever the guard says of them.
    if let Ok(entry) = entry(Reader::new(data)) {
        objects(&entry);
    }
    let _ = wire::page_answer(Some(data));
    let _ = wire::dirsync_answer(Some(&octets(data)));
    if let Some(asked) = dns::question(7, "corp.example.com", dns::Kind::Srv) {
        let _ = dns::answer(&asked, data);
        let _ = dns::answer(&asked, &[asked.as_slice(), data].concat());
    }
}

/// The entry that is written in `body`.
fn entry<'a>(mut body: Reader<'a>) -> Result<Entry<'a>, BadBer> {
    let (dn, mut list) = (body.tagged(4)?, body.within(0x30)?);
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = list.within(0x30)?;
        let name = std::str::from_utf8(attribute.tagged(4)?).map_err(|_| BadBer::Text)?;
        let (mut set, mut values) = (attribute.within(0x31)?, Vec::new());
        while !set.is_empty() {
            values.push(set.tagged(4)?);
        }
        attributes.push(Attribute { name, values });
    }
    Ok(Entry { dn, attributes })
}

/// What must be true of an outcome, whatever the server wrote.
fn told(outcome: &Outcome) {
    assert!(outcome.diagnostic.chars().count() <= 512);
    assert!(!outcome.diagnostic.contains(char::is_control));
    let _ = wire::refusal(outcome);
}

/// What must be true of an entry, whatever it holds.
fn objects(entry: &Entry<'_>) {
    let reading = wire::read(entry);
    if let Some(Update::Upsert { dn, object, .. }) = &reading.update {
        assert!(dn.len() <= Distinguished::LIMIT);
        match object {
            Object::Account(account) => assert!(!account.name.as_str().is_empty()),
            Object::Group { name, .. } => assert!(!name.as_str().is_empty()),
        }
    }
    assert!(reading.update.is_some() || reading.more.is_none());
    let _ = (wire::delta(entry), wire::domain_names(entry), wire::invocation(entry));
    let _ = (wire::domain_sid(entry), wire::Root::read(entry));
}
