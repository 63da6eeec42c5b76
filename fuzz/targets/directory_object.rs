//! What a domain controller answers: objects, changes, names of domains, cookies; or a problem of
//! the one object, never the end of the reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollcall_identity::directory::{Object, Update};
use rollcall_wire::active_directory::{self as wire, Distinguished};
use rollcall_wire::dns;
use rollcall_wire::ldap::{Body, Message, frame_length, octets};

fuzz_target!(|data: &[u8]| {
    let whole = frame_length(data).ok().flatten().is_some_and(|length| length <= data.len());
    if let Ok(message) = Message::parse(data) {
        assert!(whole, "a message was read beyond its end");
        let control = message.control(wire::PAGED);
        let _ = (wire::page_answer(control), wire::dirsync_answer(message.control(wire::DIRSYNC)));
        match &message.body {
            Body::Entry(entry) => objects(entry),
            Body::Done(outcome) | Body::Bound(outcome, _) | Body::Extended(outcome) => {
                assert!(outcome.diagnostic.chars().count() <= 512);
                assert!(!outcome.diagnostic.contains(char::is_control));
                let _ = wire::refusal(outcome);
            }
            Body::Reference | Body::Other(_) => {}
        }
    }
    let _ = wire::page_answer(Some(data));
    let _ = wire::dirsync_answer(Some(&octets(data)));
    if let Some(asked) = dns::question(7, "corp.example.com", dns::Kind::Srv) {
        let _ = dns::answer(&asked, data);
        let _ = dns::answer(&asked, &[asked.as_slice(), data].concat());
    }
});

/// What must be true of an entry, whatever it holds.
fn objects(entry: &rollcall_wire::ldap::Entry<'_>) {
    let reading = wire::read(entry);
    if let Some(Update::Seen { dn, object, .. }) = &reading.update {
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
