//! Tests of the directory: name resolution, queries and effects on sessions.

use std::sync::Arc;

use super::*;
use crate::test_support::{address, event_at, name, origin, principal, rules, seconds};
use crate::{Event, Kind, Name, Principal, Producer, Revision, Rule, Rules, Table, Verdict};

const CORP: &str = "corp.example.com";
const LAB: &str = "lab.example.com";

pub(super) fn guid(number: u8) -> Guid {
    Guid([number; 16])
}

pub(super) fn names(dns: &str, netbios: &str, number: u32) -> DomainNames {
    let sid = format!("S-1-5-21-7-7-{number}").parse().unwrap();
    DomainNames { dns: name(dns), netbios: name(netbios), sid }
}

pub(super) fn account(kind: AccountKind, sam: &str) -> Account {
    Account {
        kind,
        name: name(sam),
        upn: None,
        display: None,
        mail: None,
        host: None,
        system: None,
        state: AccountState::Enabled,
        primary_group: None,
    }
}

pub(super) fn seen(number: u8, account: Account) -> Update {
    let sid = Some(format!("S-1-5-21-7-7-1-{number}").parse().unwrap());
    let dn = format!("CN={},OU=People,DC=corp", account.name).into();
    Update::Upsert { guid: guid(number), dn, sid, object: Object::Account(account) }
}

fn group(number: u8, text: &str, members: &[u8]) -> Update {
    let members = members.iter().map(|number| Member::Object(guid(*number))).collect();
    let dn = format!("CN={text},OU=Groups,DC=corp").into();
    let object = Object::Group { name: name(text), members };
    Update::Upsert { guid: guid(number), dn, sid: None, object }
}

/// Alice and Bob with their computers in one domain, another Alice in the other.
fn two_domains() -> Directory {
    let mut directory = Directory::default();
    directory.put_domain(names("Corp.Example.com", "CORP", 1), UnqualifiedNames::ThisDomain);
    directory.put_domain(names(LAB, "lab", 2), UnqualifiedNames::OtherDomain);
    let upn = Some(name("Alice.Smith@Example.com"));
    let host = Some(Box::new(name("PC1.branch.example.com")));
    let corp = vec![
        seen(1, Account { upn, ..account(AccountKind::User, "Alice") }),
        seen(2, account(AccountKind::User, "Bob")),
        seen(3, Account { host, ..account(AccountKind::Device, "PC1$") }),
        seen(4, account(AccountKind::Service, "gMSA1$")),
        group(10, "Sales", &[1, 11]),
        group(11, "Inner", &[1, 2, 12]),
        group(12, "Cycle", &[10, 4]),
        group(13, "Laptops", &[3]),
    ];
    directory.apply(&name(CORP), corp).unwrap();
    let lab = vec![
        seen(5, account(AccountKind::User, "alice")),
        seen(6, account(AccountKind::Device, "SRV9$")),
    ];
    directory.apply(&name(LAB), lab).unwrap();
    directory
}

fn meant(directory: &Directory, text: &str) -> Option<String> {
    directory.resolve(&principal(text)).map(|resolved| resolved.principal.to_string())
}

#[test]
fn every_spelling_resolves_to_one_account() {
    let directory = two_domains();
    let spellings = ["CORP\\alice", "ALICE@corp.example.com", "alice", "alice.smith@EXAMPLE.com"];
    for text in spellings {
        assert_eq!(meant(&directory, text).as_deref(), Some("alice@corp.example.com"), "{text}");
    }
    assert_eq!(meant(&directory, "LAB\\Alice").as_deref(), Some("alice@lab.example.com"));
    for text in ["carol", "home\\alice", "alice@example.com", "Sales", "CORP\\sales"] {
        assert_eq!(meant(&directory, text), None, "{text}");
    }
    let sid = "S-1-5-21-7-7-1-2".parse().unwrap();
    let bob = directory.resolve_sid(&sid).unwrap();
    assert_eq!((bob.guid, bob.principal.to_string()), (guid(2), "bob@corp.example.com".to_owned()));
    for text in ["S-1-5-21-7-7-1-2", "s-1-5-21-7-7-1-2", "LAB\\S-1-5-21-7-7-1-2"] {
        assert_eq!(meant(&directory, text).as_deref(), Some("bob@corp.example.com"), "{text}");
    }
    assert_eq!(meant(&directory, "S-1-5-21-7-7-1-99"), None);
    let spelt = directory.resolve(&principal("CORP\\alice")).unwrap().principal.spellings;
    assert_eq!(spelt, principal("CORP\\alice").spellings, "how it was written is kept");
}

#[test]
fn a_bare_name_resolves_in_the_default_or_only_domain() {
    let mut directory = two_domains();
    directory.put_domain(names(CORP, "CORP", 1), UnqualifiedNames::OtherDomain);
    assert_eq!(meant(&directory, "alice"), None);
    directory.forget(&name(LAB)).unwrap();
    assert_eq!(meant(&directory, "alice").as_deref(), Some("alice@corp.example.com"));
    directory.expect_domains(2);
    assert_eq!(meant(&directory, "alice"), None, "another domain is not read yet");
    directory.expect_domains(1);
    assert_eq!(meant(&directory, "alice").as_deref(), Some("alice@corp.example.com"));
    assert_eq!(directory.apply(&name(LAB), Vec::new()), Err(UnknownDomain(name(LAB))));
}

#[test]
fn a_domain_that_becomes_the_default_reports_all_accounts_once() {
    let mut directory = two_domains();
    let renamed = Differences::default().with(Difference::Renamed);
    let reported = |affected: AffectedAccounts| -> Vec<_> {
        affected.accounts.into_iter().map(|it| (it.guid, it.differences)).collect()
    };
    directory.put_domain(names(LAB, "lab", 2), UnqualifiedNames::ThisDomain);
    directory.put_domain(names(LAB, "lab", 2), UnqualifiedNames::ThisDomain);
    let new = seen(7, account(AccountKind::User, "zoe"));
    let affected = reported(directory.apply(&name(LAB), vec![new]).unwrap());
    let is_new = Differences::default().with(Difference::New);
    assert_eq!(affected, [(guid(5), renamed), (guid(6), renamed), (guid(7), is_new)]);
    assert_eq!(reported(directory.apply(&name(LAB), Vec::new()).unwrap()), []);
}

#[test]
fn accounts_deleted_while_disconnected_are_found_by_a_full_read() {
    let by = origin(Producer::ActiveDirectory);
    let (mut table, directory) = (Table::default(), two_domains());
    for (at, user) in
        [(1, "alice@corp.example.com"), (2, "bob@corp.example.com"), (3, "LAB\\alice")]
    {
        let mut event = event_at(Kind::Login, user, 0);
        event.address = address(&format!("10.0.0.{at}"));
        directory.enrich(&mut event);
        table.apply(Revision(at), &event, &rules());
    }
    // After a restart: the sessions exist, and bob is not in the snapshot.
    let mut directory = Directory::default();
    directory.put_domain(names(CORP, "CORP", 1), UnqualifiedNames::ThisDomain);
    let snapshot = || {
        let mut snapshot = DirectorySnapshot::default();
        snapshot.add(seen(1, account(AccountKind::User, "Alice")));
        snapshot
    };
    let missed = |directory: &Directory, affected: AffectedAccounts, deleted: SessionAction| {
        let mut consequences = SessionEffects::default();
        consequences.add(affected, directory);
        let whereabouts = AddressIndex::from_sessions(table.sessions());
        let known = EffectInputs { directory, table: &table, addresses: &whereabouts };
        let removal = RemovalPolicy { deleted, ..RemovalPolicy::default() };
        let proposal = ProposalContext { removal, now: seconds(9), origin: &by };
        let mut ended = Vec::new();
        while !consequences.is_empty() {
            let events = consequences.next(known, proposal, 1);
            ended.extend(
                events.into_iter().filter(|it| it.kind == Kind::Logout).map(|it| it.address),
            );
        }
        ended
    };
    let affected = directory.replace(&name(CORP), snapshot()).unwrap();
    assert_eq!(missed(&directory, affected.clone(), SessionAction::End), [address("10.0.0.2")]);
    assert_eq!(missed(&directory, affected, SessionAction::Keep), []);
    let again = directory.replace(&name(CORP), snapshot()).unwrap();
    assert_eq!(missed(&directory, again, SessionAction::End), [], "only the first time");
}

#[test]
fn an_ambiguous_netbios_name_does_not_resolve() {
    let mut directory = two_domains();
    directory.put_domain(names(LAB, "CORP", 2), UnqualifiedNames::OtherDomain);
    assert_eq!(meant(&directory, "CORP\\alice"), None);
    assert_eq!(
        meant(&directory, "alice@lab.example.com").as_deref(),
        Some("alice@lab.example.com")
    );
}

#[test]
fn computers_resolve_by_host_name_and_machine_account() {
    let directory = two_domains();
    let device = |text| directory.resolve_device(&name(text)).map(|device| device.guid);
    for text in ["pc1", "PC1.branch.example.com", "pc1.corp.example.com."] {
        assert_eq!(device(text), Some(guid(3)), "{text}");
    }
    assert_eq!(device("srv9"), Some(guid(6)), "the only one of that name");
    for text in ["pc1.lab.example.com", "pc2", "alice", "gmsa1", "pc1..x", "."] {
        assert_eq!(device(text), None, "{text}");
    }
}

#[test]
fn an_event_is_enriched_with_account_and_groups() {
    let directory = two_domains();
    let entered = |kind, text: &str| {
        let mut event = event_at(kind, text, 10);
        directory.enrich(&mut event);
        event
    };
    let listed = |groups: &Option<GroupSet>| {
        let groups = groups.as_ref()?.as_slice();
        Some(groups.iter().map(|group| group.name.to_string()).collect::<Vec<_>>().join(" "))
    };
    let resolved = |event: &Event| {
        let principal = event.principal.as_ref().map(ToString::to_string).unwrap_or_default();
        (principal, listed(&event.membership.user), listed(&event.membership.device))
    };
    let some = |text: &str| Some(text.to_owned());
    let alice = entered(Kind::Login, "CORP\\alice<pc1>");
    let expected =
        ("alice@corp.example.com".to_owned(), some("Cycle Inner Sales"), some("Laptops"));
    assert_eq!(resolved(&alice), expected);
    assert_eq!(alice.device, Some(name("pc1")));
    let machine = entered(Kind::Login, "CORP\\PC1$");
    assert_eq!(resolved(&machine), ("pc1$@corp.example.com".to_owned(), None, some("Laptops")));
    let service = entered(Kind::Login, "CORP\\gMSA1$");
    assert_eq!(resolved(&service).1, some("Cycle Inner Sales"), "it is no computer");
    let unknown = entered(Kind::Login, "CORP\\carol<pc7>");
    assert_eq!(resolved(&unknown), ("carol@corp".to_owned(), None, None));
}

#[test]
fn the_shortest_path_to_a_group_is_found() {
    let directory = two_domains();
    let path = |account, to| {
        let group = directory.group(&name("CORP.example.com"), &name(to)).unwrap().unwrap();
        let path = directory.path(guid(account), group)?;
        Some(path.iter().map(|group| group.name.to_string()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(path(1, "sales").as_deref(), Some("Sales"));
    assert_eq!(path(2, "SALES").as_deref(), Some("Inner Sales"));
    assert_eq!(path(2, "Cycle").as_deref(), Some("Inner Sales Cycle"));
    assert_eq!(path(2, "Laptops"), None);
    assert_eq!(path(10, "Cycle"), None, "a group is no account");
}

#[test]
fn listings_are_sorted_and_paged() {
    let directory = two_domains();
    let corp = name(CORP);
    let users = directory.accounts(&corp, AccountClass::Users, "", 0..10).unwrap();
    let called = |profile: &Profile<'_>| profile.account.name.to_string();
    assert_eq!(users.items.iter().map(called).collect::<Vec<_>>(), ["Alice", "Bob", "gMSA1$"]);
    let second = directory.accounts(&corp, AccountClass::Users, "", 1..2).unwrap();
    assert_eq!((second.total, called(&second.items[0])), (3, "Bob".to_owned()));
    assert_eq!(directory.accounts(&corp, AccountClass::Devices, "p", 0..9).unwrap().total, 1);
    assert!(directory.accounts(&corp, AccountClass::Users, "", 5..9).unwrap().items.is_empty());
    let groups = directory.groups(&corp, "LA", 0..9).unwrap();
    assert_eq!(groups.items[0].name, name("Laptops"));
    assert!(directory.groups(&name("home"), "", 0..9).is_err());
    let counts = ObjectCounts { users: 3, devices: 1, groups: 4 };
    assert_eq!(directory.counts(&corp), Ok(counts));
    let domains: Vec<_> = directory.domains().iter().map(|domain| domain.dns.as_str()).collect();
    assert_eq!(domains, [CORP, LAB]);
}

#[test]
fn a_snapshot_is_built_in_parts_and_replaces_only_differences() {
    let mut directory = two_domains();
    let before = directory.profile(guid(1)).unwrap().groups.clone();
    let mut snapshot = DirectorySnapshot::default();
    snapshot.add(group(10, "Sales", &[2]));
    let (added, removed) = (vec![Member::Object(guid(1))], vec![Member::Object(guid(2))]);
    snapshot.add(Update::MembersChanged { group: guid(10), added, removed });
    snapshot.add(Update::MembersChanged {
        group: guid(99),
        added: Vec::new(),
        removed: Vec::new(),
    });
    snapshot.add(group(11, "Inner", &[1]));
    snapshot.add(group(12, "Cycle", &[10]));
    snapshot.add(seen(1, account(AccountKind::User, "Alice")));
    snapshot.add(seen(3, account(AccountKind::Device, "PC1$")));
    snapshot.add(seen(7, account(AccountKind::User, "Gone")));
    snapshot.add(Update::Deleted(guid(7)));
    assert_eq!(snapshot.len(), 5);
    let affected = directory.replace(&name(CORP), snapshot).unwrap();
    assert_eq!(affected.unknown_groups, 1);
    let reported: Vec<_> = affected.accounts.iter().map(|altered| altered.guid).collect();
    // Alice has lost her UPN, Bob and the service are deleted, the computer is in no group.
    assert_eq!(reported, [guid(1), guid(2), guid(3), guid(4)]);
    assert!(affected.accounts[0].differences.has(Difference::Renamed));
    assert!(!affected.accounts[0].differences.has(Difference::Groups));
    assert!(directory.profile(guid(1)).unwrap().groups.is_same(&before), "it stayed in force");
    assert!(directory.profile(guid(2)).is_none());
}

/// A table with the sessions of Alice and Bob, and of a computer without a user.
fn sessions(directory: &Directory) -> (Table, AddressIndex) {
    let (mut table, mut whereabouts) = (Table::default(), AddressIndex::default());
    let logins = [
        (Kind::Login, "CORP\\alice<pc1>", "10.0.0.1"),
        (Kind::Login, "alice.smith@example.com", "10.0.0.2"),
        (Kind::Login, "lab\\alice", "10.0.0.3"),
        (Kind::Login, "bob", "10.0.0.4"),
        (Kind::DeviceSeen, "<pc1.branch.example.com>", "10.0.0.5"),
        (Kind::Login, "alice@elsewhere", "10.0.0.6"),
    ];
    for (at, (kind, text, place)) in logins.into_iter().enumerate() {
        let mut event = Event { address: address(place), ..event_at(kind, text, 10) };
        directory.enrich(&mut event);
        let decision = table.apply(Revision(at as u64 + 1), &event, &rules());
        whereabouts.apply(&decision.change.unwrap());
    }
    (table, whereabouts)
}

/// The effects of `updates` on the sessions: one text per changed session.
fn outcome(updates: Vec<Update>, removal: RemovalPolicy) -> Vec<String> {
    let mut directory = two_domains();
    let (mut table, whereabouts) = sessions(&directory);
    let affected = directory.apply(&name(CORP), updates).unwrap();
    let (mut consequences, by) = (SessionEffects::default(), origin(Producer::ActiveDirectory));
    consequences.add(affected, &directory);
    let known = EffectInputs { directory: &directory, table: &table, addresses: &whereabouts };
    let proposal = ProposalContext { removal, now: seconds(20), origin: &by };
    let events = consequences.next(known, proposal, 1000);
    assert!(consequences.is_empty());
    let decided = events.iter().enumerate().map(|(at, event)| {
        let decision = table.apply(Revision(at as u64 + 50), event, &Rules::default());
        let place = event.address.to_string();
        let after = decision.change.and_then(|change| change.after);
        let groups = |groups: &Option<GroupSet>| {
            groups.as_ref().map_or("?".to_owned(), |groups| groups.as_slice().len().to_string())
        };
        match (decision.verdict, after) {
            (Verdict::Applied(Rule::LoggedOut), None) => format!("{place} ended"),
            (Verdict::Applied(Rule::Directory), Some(after)) => {
                let user = after.principal.as_ref().map(|user| user.user.to_string());
                let membership = &after.membership;
                let (user, of) = (user.unwrap_or_default(), groups(&membership.user));
                format!("{place} {user} {of} {}", groups(&membership.device))
            }
            (verdict, _) => format!("{place} {verdict:?}"),
        }
    });
    let mut decided: Vec<_> = decided.collect();
    decided.sort();
    decided
}

#[test]
fn only_sessions_of_affected_accounts_get_events() {
    let more = vec![group(14, "More", &[1])];
    assert_eq!(
        outcome(more, RemovalPolicy::default()),
        ["10.0.0.1 alice 4 1", "10.0.0.2 alice 4 ?"]
    );
    let devices = vec![group(14, "More", &[3])];
    assert_eq!(outcome(devices, RemovalPolicy::default()), ["10.0.0.1 alice 3 2", "10.0.0.5  ? 2"]);
    assert_eq!(
        outcome(vec![group(14, "More", &[4])], RemovalPolicy::default()),
        Vec::<String>::new()
    );
}

#[test]
fn a_reassigned_name_belongs_to_its_former_owner() {
    let swapped = vec![
        seen(1, account(AccountKind::User, "Bob")),
        seen(2, account(AccountKind::User, "Alice")),
    ];
    let reported = outcome(swapped, RemovalPolicy::default());
    assert_eq!(reported, ["10.0.0.1 bob 3 1", "10.0.0.2 bob 3 ?", "10.0.0.4 alice 3 ?"]);
    let reused = vec![
        seen(1, account(AccountKind::User, "alicia")),
        seen(20, account(AccountKind::User, "alice")),
    ];
    let reported = outcome(reused, RemovalPolicy::default());
    assert_eq!(reported, ["10.0.0.1 alicia 3 1", "10.0.0.2 alicia 3 ?"]);
}

#[test]
fn the_removal_policy_applies_to_sessions() {
    let disabled = || {
        vec![seen(
            2,
            Account { state: AccountState::Disabled, ..account(AccountKind::User, "Bob") },
        )]
    };
    let deleted = || vec![Update::Deleted(guid(2)), Update::Deleted(guid(3))];
    let end = RemovalPolicy { disabled: SessionAction::End, deleted: SessionAction::End };
    assert_eq!(outcome(disabled(), RemovalPolicy::default()), Vec::<String>::new());
    assert_eq!(outcome(disabled(), end), ["10.0.0.4 ended"]);
    assert_eq!(outcome(deleted(), RemovalPolicy::default()), Vec::<String>::new());
    // The user of the computer stays; the computer's groups do not.
    assert_eq!(outcome(deleted(), end), ["10.0.0.1 alice 3 ?", "10.0.0.4 ended", "10.0.0.5 ended"]);
}

#[test]
fn a_session_older_than_the_first_read_is_resolved_by_it() {
    let (mut table, mut whereabouts) = (Table::default(), AddressIndex::default());
    for (at, text) in ["CORP\\alice", "alice.smith@example.com", "alice"].into_iter().enumerate() {
        let place = address(&format!("10.0.0.{at}"));
        let event = Event { address: place, ..event_at(Kind::Login, text, 10) };
        let decision = table.apply(Revision(at as u64 + 1), &event, &rules());
        whereabouts.apply(&decision.change.unwrap());
    }
    let mut directory = two_domains();
    let mut snapshot = DirectorySnapshot::default();
    snapshot.add(seen(1, account(AccountKind::User, "nobody yet")));
    directory.replace(&name(CORP), snapshot).unwrap();
    let mut consequences = SessionEffects::default();
    let upn = Some(name("Alice.Smith@Example.com"));
    let read = vec![seen(1, Account { upn, ..account(AccountKind::User, "Alice") })];
    let affected = directory.apply(&name(CORP), read).unwrap();
    consequences.add(affected, &directory);
    let by: Arc<_> = origin(Producer::ActiveDirectory);
    let proposal =
        ProposalContext { removal: RemovalPolicy::default(), now: seconds(20), origin: &by };
    let mut revision = 50;
    while !consequences.is_empty() {
        let known = EffectInputs { directory: &directory, table: &table, addresses: &whereabouts };
        for event in consequences.next(known, proposal, 1) {
            revision += 1;
            let decision = table.apply(Revision(revision), &event, &Rules::default());
            whereabouts.apply(&decision.change.unwrap());
        }
    }
    let canonical =
        Principal { spellings: Default::default(), ..principal("alice@corp.example.com") };
    for session in table.sessions() {
        assert!(session.principal.as_ref().unwrap().has_same_name(&canonical), "{session:?}");
        assert!(session.membership.user.is_some());
    }
    let found: Vec<_> = whereabouts.user_addresses(&Name::new("ALICE").unwrap()).collect();
    assert_eq!(found.len(), 3);
}

#[test]
fn an_unreadable_account_keeps_its_state() {
    let mut directory = two_domains();
    let mut snapshot = DirectorySnapshot::default();
    snapshot.add(seen(2, account(AccountKind::User, "Bob")));
    snapshot.keep(guid(1));
    snapshot.keep(guid(9));
    let affected = directory.replace(&name(CORP), snapshot).unwrap();
    let removal = affected.accounts.iter().filter(|it| it.differences.has(Difference::Deleted));
    let removal: Vec<Guid> = removal.map(|altered| altered.guid).collect();
    assert_eq!(removal, [guid(3), guid(4)]);
    assert_eq!(meant(&directory, "alice").as_deref(), Some("alice@corp.example.com"));
}
