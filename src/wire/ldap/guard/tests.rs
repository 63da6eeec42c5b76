//! Valid and invalid responses.

use proptest::prelude::*;

use super::super::ber::{element, frame_length, integer, octets};
use super::super::request::sasl_bind;
use super::*;

/// A guard with the pending search number 7.
fn searching() -> ResponseGuard {
    let mut guard = ResponseGuard::default();
    guard.request(&element(0x30, &[&integer(2, 7), &element(0x63, &[])])).unwrap();
    guard
}

fn message(id: u64, parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &[&[integer(2, id).as_slice()], parts].concat())
}

fn outcome(tag: u8, more: &[u8]) -> Vec<u8> {
    element(tag, &[&integer(10, 0), &octets(b""), &octets(b"fine"), more])
}

fn entry_of(attributes: &[u8]) -> Vec<u8> {
    message(7, &[&element(0x64, &[&octets(b"CN=\xff"), &element(0x30, &[attributes])])])
}

fn attribute(name: &[u8], values: &[u8]) -> Vec<u8> {
    element(0x30, &[&octets(name), &element(0x31, &[values])])
}

fn controls(control: &[&[u8]]) -> Vec<u8> {
    element(0xa0, &[&element(0x30, control)])
}

#[test]
fn search_responses_are_accepted_until_done() {
    let mut guard = searching();
    let member = attribute(b"member", &[octets(b"CN=a"), octets(&[0xff])].concat());
    let reference = message(7, &[&element(0x73, &[&octets(b"ldap://elsewhere/")])]);
    let referral = element(0xa3, &[&octets(b"ldap://elsewhere/")]);
    let cookie = controls(&[&octets(b"1.2.3"), &element(1, &[&[0]]), &octets(b"cookie")]);
    let done = message(7, &[&outcome(0x65, &referral), &cookie]);
    for answer in [entry_of(&member), entry_of(&[]), reference, done.clone()] {
        assert_eq!(guard.check(&answer), Ok(GuardVerdict::Forward));
    }
    assert_eq!(guard.check(&done), Err(BerError::Unsolicited));
}

#[test]
fn unrelated_response_is_rejected() {
    assert_eq!(ResponseGuard::default().check(&entry_of(&[])), Err(BerError::Unsolicited));
    let bound = message(7, &[&outcome(0x61, &element(0x87, &[b"token"]))]);
    let done = message(7, &[&outcome(0x65, &[])]);
    let earlier = message(6, &[&outcome(0x65, &[])]);
    let intermediate = message(7, &[&element(0x79, &[])]);
    for answer in [&bound, &earlier, &intermediate] {
        assert_eq!(searching().check(answer), Err(BerError::Unsolicited));
    }
    let mut guard = ResponseGuard::default();
    guard.request(&sasl_bind(7, "GSS-SPNEGO", b"")).unwrap();
    assert_eq!(guard.check(&done), Err(BerError::Unsolicited));
    assert_eq!(guard.check(&bound), Ok(GuardVerdict::Forward));
}

#[test]
fn disconnection_notice_is_accepted_at_any_time() {
    // Active Directory writes the responseName where controls are expected.
    let name = element(0x8a, &[b"1.3.6.1.4.1.1466.20036"]);
    let notice = message(0, &[&outcome(0x78, &[]), &name]);
    let said = GuardVerdict::Disconnection(LdapResult::new(0, "fine"));
    assert_eq!(searching().check(&notice), Ok(said.clone()));
    assert_eq!(ResponseGuard::default().check(&notice), Ok(said));
    assert_eq!(searching().check(&message(0, &[&outcome(0x65, &[])])), Err(BerError::Unsolicited));
}

#[test]
fn messages_that_violate_the_rfc_are_rejected() {
    let control = |parts: &[&[u8]]| message(7, &[&outcome(0x65, &[]), &controls(parts)]);
    let (oid, text) = (octets(b"1.2"), octets(b""));
    let nested = element(0x64, &[&octets(b"CN=a"), &element(0x30, &[]), &octets(b"more")]);
    for (answer, why) in [
        (message(7, &[]), BerError::Truncated),
        (message(7, &[&element(0x64, &[])]), BerError::Truncated),
        (message(7, &[&element(0x65, &[&integer(10, 0)])]), BerError::Truncated),
        (message(7, &[&element(0x65, &[&integer(2, 0), &text, &text])]), BerError::Tag),
        (message(7, &[&element(0x65, &[&integer(10, 1 << 32), &text, &text])]), BerError::Number),
        (
            message(7, &[&element(0x65, &[&integer(10, 0), &octets(&[0xff]), &text])]),
            BerError::Text,
        ),
        (
            message(7, &[&element(0x65, &[&integer(10, 0), &text, &octets(&[0xff])])]),
            BerError::Text,
        ),
        (message(7, &[&outcome(0x65, &octets(b"more"))]), BerError::Tag),
        (message(7, &[&nested]), BerError::Tag),
        (message(7, &[&element(0x73, &[&integer(2, 1)])]), BerError::Tag),
        (message(7, &[&outcome(0x65, &[]), &octets(b"more")]), BerError::Tag),
        (entry_of(&octets(b"cn")), BerError::Tag),
        (entry_of(&attribute(&[0xff], &[])), BerError::Text),
        (entry_of(&attribute(b"cn", &integer(2, 1))), BerError::Tag),
        (entry_of(&element(0x30, &[&octets(b"cn")])), BerError::Truncated),
        (control(&[]), BerError::Truncated),
        (control(&[&oid, &element(1, &[])]), BerError::Length),
        (control(&[&oid, &oid, &oid]), BerError::Tag),
        (control(&[&oid, &integer(2, 1)]), BerError::Tag),
        (control(&[&octets(&[0xff])]), BerError::Text),
    ] {
        assert_eq!(searching().check(&answer), Err(why), "{answer:02x?}");
    }
}

#[test]
fn depth_and_element_count_are_limited() {
    let deep = (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| element(0x30, &[&inner]));
    assert_eq!(searching().check(&message(7, &[&deep])), Err(BerError::TooDeep));
    // In a part whose structure is not validated.
    let notice = message(0, &[&outcome(0x78, &deep)]);
    assert_eq!(searching().check(&notice), Err(BerError::TooDeep));
    let values = |count: usize| entry_of(&attribute(b"member", &octets(b"").repeat(count)));
    // The other elements are the message, its ID, the entry, its name, the list, the attribute, its
    // name and the set.
    assert_eq!(searching().check(&values(ELEMENTS - 8)), Ok(GuardVerdict::Forward));
    assert_eq!(searching().check(&values(ELEMENTS - 7)), Err(BerError::TooManyElements));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_bytes_are_handled(bytes: Vec<u8>, tag in prop::sample::select(vec![0x61u8, 0x64, 0x65, 0x73, 0x78])) {
        for id in [0, 7] {
            let _ = searching().request(&bytes);
            let _ = searching().check(&bytes);
            let _ = searching().check(&message(id, &[&element(tag, &[&bytes])]));
            let _ = searching().check(&message(id, &[&outcome(tag, &[]), &element(0xa0, &[&bytes])]));
        }
    }

    #[test]
    fn accepted_messages_are_complete(cut in 0usize..60, place in 0usize..60, byte: u8) {
        let cookie = controls(&[&octets(b"1.2.3"), &element(1, &[&[0]]), &octets(b"cookie")]);
        let mut answer = message(7, &[&outcome(0x65, &[]), &cookie]);
        let place = place % answer.len();
        answer[place] = byte;
        let cut = cut % answer.len();
        prop_assert!(searching().check(&answer[..cut]).is_err());
        // With any changed byte, an accepted message is one complete message.
        if searching().check(&answer).is_ok() {
            prop_assert_eq!(frame_length(&answer), Ok(Some(answer.len())));
        }
    }
}
