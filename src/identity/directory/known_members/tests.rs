//! Tests that the stored members identify deleted and renamed accounts, and no others.

use proptest::prelude::*;

use super::super::tests::{account, guid, names, seen};
use super::super::{
    AffectedAccounts, DeferredDeletions, DirectorySnapshot, UnqualifiedNames, Update,
};
use super::*;
use crate::test_support::name;

const CORP: &str = "corp.example.com";

/// Accounts by number and name.
fn accounts(accounts: &[(u8, &str)]) -> impl Iterator<Item = Update> {
    accounts.iter().map(|(number, sam)| {
        let is_device = sam.ends_with('$');
        let kind = if is_device { AccountKind::Device } else { AccountKind::User };
        let host = is_device.then(|| Box::new(name(&sam.replace('$', ".Example.com"))));
        seen(*number, Account { host, ..account(kind, sam) })
    })
}

/// A directory with the accounts of `all`, by number and name.
fn read(all: &[(u8, &str)]) -> Directory {
    let mut directory = Directory::default();
    directory.put_domain(names(CORP, "corp", 1), UnqualifiedNames::ThisDomain);
    let mut snapshot = DirectorySnapshot::default();
    accounts(all).for_each(|update| snapshot.add(update));
    directory.replace(&name(CORP), snapshot).unwrap();
    directory
}

fn written(directory: &Directory, limit: usize) -> Vec<(KnownMembersPart, Vec<u8>)> {
    let mut draft = KnownMembersWriter::new(KnownMembersPart::all());
    while draft.step(directory, &name(CORP), 2).unwrap() {}
    draft.finish(limit).collect()
}

fn kept(directory: &Directory) -> KnownMembers {
    let mut roster = KnownMembers::default();
    written(directory, usize::MAX).iter().for_each(|(_, bytes)| roster.add(bytes).unwrap());
    roster
}

/// The accounts of `before` that are missing in `after`: deleted or renamed, and their first former
/// name.
fn changed(before: &[(u8, &str)], after: &[(u8, &str)]) -> Vec<(Guid, bool, String)> {
    let changed = kept(&read(before)).changes_since(&read(after), &name(CORP)).unwrap();
    let reported = changed.into_iter().map(|altered| {
        let former = altered.former_names.unwrap();
        let accounts = former.principals.iter().map(ToString::to_string);
        let first = accounts.chain(former.hosts.iter().map(ToString::to_string)).next().unwrap();
        (altered.guid, altered.differences.has(Difference::Deleted), first)
    });
    reported.collect()
}

#[test]
fn deleted_and_renamed_accounts_are_distinguished() {
    let before = [(1, "Alice"), (2, "Bob"), (3, "Carol"), (4, "PC1$"), (5, "PC2$")];
    let after = [(2, "Robert"), (3, "CAROL"), (4, "PC9$"), (7, "Alice")];
    let reported = |number, deleted, name: &str| (guid(number), deleted, name.to_owned());
    assert_eq!(
        changed(&before, &after),
        [
            reported(1, true, "alice@corp.example.com"),
            reported(2, false, "bob@corp.example.com"),
            reported(4, false, "pc1.example.com"),
            reported(5, true, "pc2.example.com"),
        ]
    );
    assert_eq!(changed(&before, &before), []);
    assert_eq!(changed(&[], &after), []);
}

#[test]
fn the_encoding_is_deterministic_and_bounded() {
    let accounts = [(1, "alice"), (2, "bob"), (3, "carol")];
    let turned = [(3, "carol"), (2, "bob"), (1, "alice")];
    assert_eq!(written(&read(&accounts), 1000), written(&read(&turned), 1000));
    let short = written(&read(&accounts), 20);
    assert!(short.iter().all(|(_, bytes)| bytes.len() <= 20), "{short:?}");
    let source = KnownMembersPart::of(guid(7)).source();
    assert!(source.as_str() == "roster 07" && KnownMembersPart::is_source(&source));
    assert!(!KnownMembersPart::is_source(&name("position")));
    assert_eq!(KnownMembersPart::all().count(), 256);
}

#[test]
fn truncated_or_unknown_parts_are_rejected_as_a_whole() {
    let whole = written(&read(&[(1, "alice")]), 1000).remove(1).1;
    let mut roster = KnownMembers::default();
    for length in (0..whole.len()).filter(|length| *length != 1) {
        assert_eq!(roster.add(&whole[..length]), Err(BadKnownMembers), "{length}");
    }
    let mut other = whole.clone();
    other[0] = 9;
    assert_eq!(roster.add(&other), Err(BadKnownMembers));
    assert!(roster.is_empty());
    roster.add(&whole).unwrap();
    assert_eq!(roster.len(), 1);
}

/// If Rollcall is killed during a rename, both names are stored: sessions may have either.
#[test]
fn a_recently_renamed_account_is_found_by_both_names() {
    let part = |accounts| written(&read(accounts), usize::MAX).remove(1).1;
    let (before, after) = (part(&[(1, "alice")]), part(&[(1, "alice.b")]));
    let joined = KnownMembers::merge(&before, &after, 1000).unwrap();
    assert_eq!(
        KnownMembers::merge(&before, &joined, 1000).unwrap(),
        joined,
        "no account is listed three times"
    );
    assert_eq!(KnownMembers::merge(&after, &joined, 1000).unwrap(), joined);
    assert_eq!(
        KnownMembers::merge(&before, &after, after.len()).unwrap(),
        after,
        "there is no room"
    );
    assert_eq!(KnownMembers::merge(b"?", &after, 1000), Err(BadKnownMembers));
    let mut roster = KnownMembers::default();
    roster.add(&joined).unwrap();
    assert_eq!(roster.len(), 1);
    let former = |accounts: &[(u8, &str)]| -> Vec<String> {
        let changed = roster.changes_since(&read(accounts), &name(CORP)).unwrap();
        let names =
            changed.into_iter().flat_map(|altered| altered.former_names.unwrap().principals);
        names.map(|name| name.to_string()).filter(|name| name.ends_with(CORP)).collect()
    };
    let [old, new] = ["alice@corp.example.com", "alice.b@corp.example.com"];
    // A third name, or a restored backup with the first name, makes no difference.
    assert_eq!(former(&[(1, "alice.b")]), [old]);
    assert_eq!(former(&[(1, "alice")]), [new]);
    for mut either in [former(&[(1, "alice.c")]), former(&[])] {
        either.sort();
        assert_eq!(either, [new, old]);
    }
}

/// One domain is read, and another is not yet: the accounts reported at once, and those reported
/// after `later` is read.
fn reported_at_once_and_later(
    before: &[(u8, &str)],
    after: &[(u8, &str)],
    later: &[(u8, &str)],
) -> [Vec<(u8, Difference)>; 2] {
    let reported = |affected: AffectedAccounts| {
        let both = [Difference::Deleted, Difference::Renamed];
        let accounts = affected.accounts.into_iter();
        let one = |altered: AccountChange| {
            let what = both.into_iter().find(|it| altered.differences.has(*it))?;
            Some((altered.guid.0[0], what))
        };
        accounts.filter_map(one).collect::<Vec<_>>()
    };
    let roster = kept(&read(before));
    let mut directory = Directory::default();
    directory.expect_domains(2);
    directory.put_domain(names(CORP, "corp", 1), UnqualifiedNames::ThisDomain);
    let mut snapshot = DirectorySnapshot::default();
    accounts(after).for_each(|update| snapshot.add(update));
    let mut affected = directory.replace(&name(CORP), snapshot).unwrap();
    affected.prepend_missed(roster.changes_since(&directory, &name(CORP)).unwrap());
    let postponed =
        DeferredDeletions::defer(&mut affected, &directory).expect("another domain is to come");
    assert_eq!(affected.first_read, None);
    let mut snapshot = DirectorySnapshot::default();
    accounts(later).for_each(|update| snapshot.add(update));
    directory.put_domain(names("lab.example.com", "lab", 2), UnqualifiedNames::OtherDomain);
    let mut other = directory.replace(&name("lab.example.com"), snapshot).unwrap();
    assert_eq!(DeferredDeletions::defer(&mut other, &directory), None, "all domains are read");
    let late = postponed.into_affected(&directory);
    assert_eq!(late.first_read, Some(name(CORP)));
    [reported(affected), reported(late)]
}

#[test]
fn an_account_that_moved_to_an_unread_domain_is_not_deleted() {
    use Difference::{Deleted, Renamed};
    let before = [(1, "alice"), (2, "bob"), (3, "carol"), (4, "dave"), (5, "PC1$"), (6, "PC2$")];
    // Bob is renamed; another account has Dave's name.
    let after = [(2, "robert"), (9, "dave")];
    let later = [(1, "alice"), (4, "dave"), (5, "PC1$")];
    let [at_once, late] = reported_at_once_and_later(&before, &after, &later);
    assert_eq!(at_once, [(2, Renamed), (4, Deleted)]);
    assert_eq!(late, [(1, Renamed), (3, Deleted), (5, Renamed), (6, Deleted)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn arbitrary_bytes_do_not_panic(mut bytes: Vec<u8>, other: Vec<u8>) {
        let _ = KnownMembers::default().add(&bytes);
        bytes.insert(0, FORM);
        let _ = KnownMembers::default().add(&bytes);
        let _ = KnownMembers::merge(&bytes, &[FORM], 100);
        let _ = KnownMembers::merge(&other, &bytes, 100);
    }

    #[test]
    fn only_deleted_or_renamed_accounts_are_reported(
        before in prop::collection::btree_map(0..9_u8, 0..4_usize, 0..9),
        after in prop::collection::btree_map(0..9_u8, 0..4_usize, 0..9),
    ) {
        const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
        let all = |map: &BTreeMap<u8, usize>| -> Vec<(u8, &str)> {
            map.iter().map(|(number, name)| (*number, NAMES[*name])).collect()
        };
        let expected: Vec<_> = before
            .iter()
            .filter(|(number, name)| after.get(number) != Some(name))
            .map(|(number, name)| {
                let had = format!("{}@{CORP}", NAMES[*name]);
                (guid(*number), !after.contains_key(number), had)
            })
            .collect();
        prop_assert_eq!(changed(&all(&before), &all(&after)), expected);
    }
}
