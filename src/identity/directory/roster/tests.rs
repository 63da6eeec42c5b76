//! What is written down tells who is gone and who is called otherwise, and nothing else.

use proptest::prelude::*;

use super::super::tests::{account, guid, names, seen};
use super::super::{BareNames, Image};
use super::*;
use crate::stories::name;

const CORP: &str = "corp.example.com";

/// A directory that was read: the accounts of `people` by number and name.
fn read(people: &[(u8, &str)]) -> Directory {
    let mut directory = Directory::default();
    directory.put_domain(names(CORP, "corp", 1), BareNames::MeanThis);
    let mut image = Image::default();
    for (number, sam) in people {
        let is_device = sam.ends_with('$');
        let kind = if is_device { AccountKind::Device } else { AccountKind::User };
        let host = is_device.then(|| name(&sam.replace('$', ".Example.com")));
        image.note(seen(*number, Account { host, ..account(kind, sam) }));
    }
    directory.replace(&name(CORP), image).unwrap();
    directory
}

fn written(directory: &Directory, limit: usize) -> Vec<(RosterPart, Vec<u8>)> {
    let mut draft = RosterDraft::new(RosterPart::all());
    while draft.go_on(directory, &name(CORP), 2).unwrap() {}
    draft.finish(limit).collect()
}

fn kept(directory: &Directory) -> Roster {
    let mut roster = Roster::default();
    written(directory, usize::MAX).iter().for_each(|(_, bytes)| roster.add(bytes).unwrap());
    roster
}

/// Who of `before` is missed in `after`: deleted or renamed, and the first name that it had.
fn missed(before: &[(u8, &str)], after: &[(u8, &str)]) -> Vec<(Guid, bool, String)> {
    let missed = kept(&read(before)).missed(&read(after), &name(CORP)).unwrap();
    let told = missed.into_iter().map(|altered| {
        let former = altered.former.unwrap();
        let people = former.principals.iter().map(ToString::to_string);
        let first = people.chain(former.hosts.iter().map(ToString::to_string)).next().unwrap();
        (altered.guid, altered.differences.has(Difference::Deleted), first)
    });
    told.collect()
}

#[test]
fn who_was_deleted_is_told_from_who_was_renamed() {
    let before = [(1, "Alice"), (2, "Bob"), (3, "Carol"), (4, "PC1$"), (5, "PC2$")];
    let after = [(2, "Robert"), (3, "CAROL"), (4, "PC9$"), (7, "Alice")];
    let told = |number, deleted, name: &str| (guid(number), deleted, name.to_owned());
    assert_eq!(
        missed(&before, &after),
        [
            told(1, true, "alice@corp.example.com"),
            told(2, false, "bob@corp.example.com"),
            told(4, false, "pc1.example.com"),
            told(5, true, "pc2.example.com"),
        ]
    );
    assert_eq!(missed(&before, &before), []);
    assert_eq!(missed(&[], &after), []);
}

#[test]
fn the_same_accounts_are_the_same_bytes_and_a_part_is_no_longer_than_it_may_be() {
    let people = [(1, "alice"), (2, "bob"), (3, "carol")];
    let turned = [(3, "carol"), (2, "bob"), (1, "alice")];
    assert_eq!(written(&read(&people), 1000), written(&read(&turned), 1000));
    let short = written(&read(&people), 20);
    assert!(short.iter().all(|(_, bytes)| bytes.len() <= 20), "{short:?}");
    assert_eq!(RosterPart::of(guid(7)).number(), 7);
    assert_eq!(RosterPart::all().count(), 256);
}

#[test]
fn what_is_cut_or_of_another_form_is_refused_whole() {
    let whole = written(&read(&[(1, "alice")]), 1000).remove(1).1;
    let mut roster = Roster::default();
    for length in (0..whole.len()).filter(|length| *length != 1) {
        assert_eq!(roster.add(&whole[..length]), Err(BadRoster), "{length}");
    }
    let mut other = whole.clone();
    other[0] = 9;
    assert_eq!(roster.add(&other), Err(BadRoster));
    assert!(roster.is_empty());
    roster.add(&whole).unwrap();
    assert_eq!(roster.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_bytes_do_harm(mut bytes: Vec<u8>) {
        let _ = Roster::default().add(&bytes);
        bytes.insert(0, FORM);
        let _ = Roster::default().add(&bytes);
    }

    #[test]
    fn only_who_is_gone_or_called_otherwise_is_missed(
        before in prop::collection::btree_map(0..9_u8, 0..4_usize, 0..9),
        after in prop::collection::btree_map(0..9_u8, 0..4_usize, 0..9),
    ) {
        const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
        let people = |map: &BTreeMap<u8, usize>| -> Vec<(u8, &str)> {
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
        prop_assert_eq!(missed(&people(&before), &people(&after)), expected);
    }
}
