//! Objects as domain controllers send them, and malformed ones.

use proptest::prelude::*;
use rollcall_identity::directory::{AccountKind, AccountState, Object};

use super::*;
use crate::active_directory::{DirSyncEntry, ObjectChange, read_dirsync_entry};
use crate::ldap::PartialAttribute;

/// The attributes of an entry, each with its values.
type Attributes = [(&'static str, Vec<Vec<u8>>)];

fn with_entry<T>(
    dn: &[u8],
    attributes: &Attributes,
    use_it: impl FnOnce(&SearchResultEntry<'_>) -> T,
) -> T {
    let attributes = attributes.iter().map(|(name, values)| PartialAttribute {
        name,
        values: values.iter().map(Vec::as_slice).collect(),
    });
    use_it(&SearchResultEntry { dn, attributes: attributes.collect() })
}

fn read_one(dn: &[u8], attributes: &Attributes) -> ParsedObject {
    with_entry(dn, attributes, read)
}

fn values(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn guid() -> Vec<Vec<u8>> {
    vec![(1..=16).collect()]
}

/// A user as Samba 4.17 returns it.
fn user() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("objectClass", values(&["top", "person", "organizationalPerson", "user"])),
        ("objectGUID", guid()),
        ("objectSid", vec![vec![1, 1, 0, 0, 0, 0, 0, 5, 0x50, 4, 0, 0]]),
        ("sAMAccountName", values(&["alice"])),
        ("userPrincipalName", values(&["Alice@corp.example.com"])),
        ("userAccountControl", values(&["512"])),
        ("primaryGroupID", values(&["513"])),
    ]
}

fn account(reading: &ParsedObject) -> &Account {
    match &reading.update {
        Some(Update::Upsert { object: Object::Account(account), .. }) => account,
        other => panic!("an account: {other:?}"),
    }
}

#[test]
fn user_is_decoded() {
    let reading = read_one(b"<GUID=0102030405060708090a0b0c0d0e0f10>;CN=Alice,DC=x", &user());
    assert_eq!(reading.problems, []);
    let alice = account(&reading);
    assert_eq!((alice.kind, alice.name.as_str()), (AccountKind::User, "alice"));
    assert_eq!(alice.upn.as_ref().unwrap().as_str(), "Alice@corp.example.com");
    assert_eq!((alice.state, alice.primary_group), (AccountState::Enabled, Some(513)));
    let Some(Update::Upsert { dn, sid, guid, .. }) = reading.update else { panic!("seen") };
    assert_eq!((&*dn, guid.0[0]), ("CN=Alice,DC=x", 1));
    assert_eq!(sid.unwrap().to_string(), "S-1-5-1104");
}

#[test]
fn classes_determine_the_kind_and_a_dollar_does_not() {
    let kind_of = |classes: &[&str]| {
        let mut attributes = user();
        attributes[0].1 = values(classes);
        attributes[3].1 = values(&["name$"]);
        read_one(b"CN=a,DC=x", &attributes).update.map(|update| match update {
            Update::Upsert { object: Object::Account(account), .. } => Some(account.kind),
            _ => None,
        })
    };
    assert_eq!(kind_of(&["top", "person", "user"]), Some(Some(AccountKind::User)));
    assert_eq!(kind_of(&["top", "user", "computer"]), Some(Some(AccountKind::Device)));
    assert_eq!(kind_of(&["computer", "user"]), Some(Some(AccountKind::Device)));
    let managed = ["top", "user", "computer", "msDS-GroupManagedServiceAccount"];
    assert_eq!(kind_of(&managed), Some(Some(AccountKind::Service)));
    assert_eq!(kind_of(&["top", "group"]), Some(None));
    assert_eq!(kind_of(&["top", "contact"]), None);
}

#[test]
fn states_are_decoded_and_trusts_are_skipped() {
    let state_of = |control: &str| {
        let mut attributes = user();
        attributes[5].1 = values(&[control]);
        let reading = read_one(b"CN=a,DC=x", &attributes);
        reading.update.is_some().then(|| account(&reading).state)
    };
    assert_eq!(state_of("512"), Some(AccountState::Enabled));
    assert_eq!(state_of("514"), Some(AccountState::Disabled));
    assert_eq!(state_of("-2147483134"), Some(AccountState::Disabled));
    assert_eq!(state_of("2080"), None);
    let mut attributes = user();
    attributes.remove(5);
    let reading = read_one(b"CN=a,DC=x", &attributes);
    assert_eq!(account(&reading).state, AccountState::Enabled);
    assert_eq!(reading.problems, [ObjectProblem::NoState]);
}

#[test]
fn large_group_returns_the_next_range() {
    let member = |n: u8| {
        let text = format!("<GUID={}{n:02x}>;CN=u{n},DC=x", "00".repeat(15));
        text.into_bytes()
    };
    let group = |attribute: &'static str| {
        read_one(
            b"CN=g,DC=x",
            &[
                ("objectClass", values(&["top", "group"])),
                ("objectGUID", guid()),
                ("sAMAccountName", values(&["g"])),
                ("member", vec![]),
                (attribute, vec![member(1), member(2), b"CN=somebody".to_vec()]),
            ],
        )
    };
    let reading = group("member;range=0-1499");
    let more =
        MemberRange { group: Guid((1..=16).collect::<Vec<_>>().try_into().unwrap()), from: 1500 };
    assert_eq!(reading.more, Some(more));
    assert_eq!(reading.problems, [ObjectProblem::BadMember]);
    let Some(Update::Upsert { object: Object::Group { members, .. }, .. }) = reading.update else {
        panic!("a group");
    };
    assert_eq!(members.len(), 2);
    assert_eq!(group("member;range=1500-*").more, None);
    assert_eq!(group("memberOf").problems, []);
}

#[test]
fn deleted_object_needs_only_its_guid() {
    let attributes = [("objectGUID", guid()), ("isDeleted", values(&["TRUE"]))];
    let reading = read_one(b"CN=a\\0ADEL:x,DC=x", &attributes);
    assert!(matches!(reading.update, Some(Update::Deleted(_))));
}

#[test]
fn invalid_value_affects_only_itself() {
    let long = [b"CN=".to_vec(), vec![b'a'; 4096]].concat();
    assert_eq!(read_one(&long, &user()).problems, [ObjectProblem::LongDn]);
    assert_eq!(read_one(b"CN=\xff", &user()).problems, [ObjectProblem::BadDn]);
    assert_eq!(read_one(b"CN=a", &user()[..1]).problems, [ObjectProblem::NoGuid]);
    let with = |index: usize, value: &[u8]| {
        let mut attributes = user();
        attributes[index].1 = vec![value.to_vec()];
        read_one(b"CN=a", &attributes)
    };
    assert_eq!(with(1, b"short").problems, [ObjectProblem::NoGuid]);
    assert_eq!(with(3, b"\xff").problems, [ObjectProblem::NotUtf8, ObjectProblem::NoName]);
    // An invalid optional attribute does not discard the account.
    for (index, value, problem) in [
        (2, b"cut".as_slice(), ObjectProblem::BadSid),
        (4, b"\xff", ObjectProblem::NotUtf8),
        (4, &[b'a'; 300], ObjectProblem::BadText),
        (4, "a\u{202e}b".as_bytes(), ObjectProblem::BadText),
        (6, b"many", ObjectProblem::BadNumber),
    ] {
        let reading = with(index, value);
        assert!(reading.update.is_some());
        assert_eq!(reading.problems, [problem], "{value:?}");
    }
}

#[test]
fn dirsync_separates_member_changes() {
    let delta_of =
        |attributes: &Attributes| with_entry(b"CN=g,DC=x", attributes, read_dirsync_entry);
    let member = format!("<GUID={}>;CN=u,DC=x", "ab".repeat(16)).into_bytes();
    let linked = delta_of(&[
        ("objectGUID", guid()),
        ("instanceType", values(&["4"])),
        ("member;range=1-1", vec![member.clone(), b"CN=x".to_vec()]),
        ("member;range=0-0", vec![member]),
    ]);
    let ab = vec![Member::Object(Guid([0xab; 16]))];
    let Ok(DirSyncEntry { change, problems, .. }) = linked else { panic!("{linked:?}") };
    assert_eq!(change, ObjectChange::MembersChanged { added: ab.clone(), removed: ab });
    assert_eq!(problems, [ObjectProblem::BadMember]);
    let renamed = delta_of(&[("objectGUID", guid()), ("displayName", values(&["A"]))]);
    assert_eq!(renamed.unwrap().change, ObjectChange::Modified);
    let moved = [("objectGUID", guid()), ("instanceType", values(&["4"])), ("parentGUID", guid())];
    assert_eq!(delta_of(&moved).unwrap().change, ObjectChange::Modified);
    let deleted = [("objectGUID", guid()), ("isDeleted", values(&["TRUE"])), ("cn", vec![])];
    assert_eq!(delta_of(&deleted).unwrap().change, ObjectChange::Deleted);
    assert_eq!(delta_of(&[]), Err(ObjectProblem::NoGuid));
}

/// Values that servers send, and malformed ones.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        prop::collection::vec(any::<u8>(), 16..=16),
        "(user|group|computer|TRUE|512|-1|[0-9]{1,11})".prop_map(String::into_bytes),
        "<GUID=[0-9a-f]{32}>;CN=.{0,9},DC=x".prop_map(String::into_bytes),
    ]
}

fn any_attributes() -> impl Strategy<Value = Vec<(&'static str, Vec<Vec<u8>>)>> {
    let names = [
        "objectClass",
        "objectGUID",
        "objectSid",
        "sAMAccountName",
        "userPrincipalName",
        "userAccountControl",
        "isDeleted",
        "member",
        "member;range=0-9",
        "member;range=9-*",
        "member;range=1-1",
        "member;range=4294967295-4294967295",
        "memb\u{e9}r",
    ];
    let attribute =
        (prop::sample::select(names.to_vec()), prop::collection::vec(any_value(), 0..3));
    prop::collection::vec(attribute, 0..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_entry_is_decoded_or_has_problems(dn: Vec<u8>, attributes in any_attributes()) {
        with_entry(&dn, &attributes, |entry| {
            let reading = read(entry);
            let values: usize = attributes.iter().map(|(_, values)| values.len()).sum();
            prop_assert!(reading.problems.len() <= values + 2);
            let _ = read_dirsync_entry(entry);
            Ok(())
        })?;
    }
}
