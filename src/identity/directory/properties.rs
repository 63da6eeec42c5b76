//! Whatever two directories tell in whatever order, groups, names and who is affected are what a
//! plain model says, which finds everything anew each time; and sessions follow.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::test_support::{address, event_at, name, origin, rules, seconds};
use crate::{Address, Event, Kind, Name, Principal, Producer, Revision, Table};

const DOMAINS: [&str; 2] = ["corp.example.com", "lab.example.com"];
const NETBIOS: [&str; 2] = ["corp", "lab"];
/// Objects 0 to 4 are accounts, 5 to 10 groups; the rest are only named as members.
pub(super) const ACCOUNTS: u8 = 5;
const OBJECTS: u8 = 11;

pub(super) fn guid(number: u8) -> Guid {
    Guid([number; 16])
}

fn domain_sid(domain: usize) -> Sid {
    format!("S-1-5-21-1-2-{domain}").parse().unwrap()
}

/// Objects have the SID of their number in whichever domain they are.
fn sid(domain: usize, number: u8) -> Sid {
    domain_sid(domain).account(u32::from(number)).unwrap()
}

/// What the model knows of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thing {
    domain: usize,
    dn: String,
    sid: Option<Sid>,
    object: Object,
}

pub(super) type Model = BTreeMap<u8, Thing>;

/// One thing that happens to the directory of a domain.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Apply(usize, Vec<(u8, Told)>),
    Replace(usize, Vec<(u8, Told)>),
    Forget(usize),
}

#[derive(Debug, Clone)]
pub(super) enum Told {
    Seen {
        label: u8,
        has_sid: bool,
        primary: Option<u8>,
        members: Vec<Member>,
        state: AccountState,
    },
    Linked {
        added: Vec<Member>,
        removed: Vec<Member>,
    },
    Gone,
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        5 => (0..OBJECTS + 2).prop_map(|number| Member::Object(guid(number))),
        1 => (0..2_usize, 0..OBJECTS).prop_map(|(domain, number)| Member::Foreign(sid(domain, number))),
    ]
}

fn told() -> impl Strategy<Value = (u8, Told)> {
    let members = || prop::collection::vec(member(), 0..4);
    let primary = prop::option::weighted(0.3, ACCOUNTS..OBJECTS);
    let state = prop_oneof![4 => Just(AccountState::Enabled), 1 => Just(AccountState::Disabled)];
    let seen = (0..4_u8, prop::bool::weighted(0.9), primary, members(), state);
    let seen = seen.prop_map(|(label, has_sid, primary, members, state)| Told::Seen {
        label,
        has_sid,
        primary,
        members,
        state,
    });
    let told = prop_oneof![
        6 => seen,
        2 => (members(), members()).prop_map(|(added, removed)| Told::Linked { added, removed }),
        1 => Just(Told::Gone),
    ];
    (0..OBJECTS, told)
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let many = |most| (0..2_usize, prop::collection::vec(told(), 0..most));
    prop_oneof![
        8 => many(5).prop_map(|(domain, told)| Step::Apply(domain, told)),
        2 => many(12).prop_map(|(domain, told)| Step::Replace(domain, told)),
        1 => (0..2_usize).prop_map(Step::Forget),
    ]
}

/// The object as its directory tells it. Accounts have few names, so that one takes over that of
/// another; the last account is a computer.
fn thing(domain: usize, number: u8, told: &Told) -> Option<Thing> {
    let Told::Seen { label, has_sid, primary, members, state } = told else { return None };
    let object = if number >= ACCOUNTS {
        Object::Group { name: name(&format!("Group{label}")), members: members.clone() }
    } else {
        let is_device = number == ACCOUNTS - 1;
        let sam = if is_device { format!("PC{label}$") } else { format!("User{label}") };
        Object::Account(Account {
            kind: if is_device { AccountKind::Device } else { AccountKind::User },
            name: name(&sam),
            upn: Some(name(&format!("{sam}.{number}@Example.com"))),
            display: None,
            mail: None,
            host: is_device.then(|| Box::new(name(&format!("pc{label}.example.com")))),
            system: None,
            state: *state,
            primary_group: primary.map(u32::from),
        })
    };
    let dn = format!("CN={number},DC={domain}");
    Some(Thing { domain, dn, sid: has_sid.then(|| sid(domain, number)), object })
}

fn update(domain: usize, number: u8, told: &Told) -> Update {
    match told {
        Told::Gone => Update::Deleted(guid(number)),
        Told::Linked { added, removed } => {
            let (added, removed) = (added.clone(), removed.clone());
            Update::MembersChanged { group: guid(number), added, removed }
        }
        Told::Seen { .. } => {
            let Thing { dn, sid, object, .. } = thing(domain, number, told).unwrap();
            Update::Upsert { guid: guid(number), dn: dn.into(), sid, object }
        }
    }
}

/// The model after one thing told by `domain`.
fn follow(model: &mut Model, domain: usize, number: u8, told: &Told) {
    match told {
        Told::Seen { .. } => {
            model.insert(number, thing(domain, number, told).unwrap());
        }
        Told::Gone => {
            if model.get(&number).is_some_and(|thing| thing.domain == domain) {
                model.remove(&number);
            }
        }
        Told::Linked { added, removed } => {
            let object = model.get_mut(&number).map(|thing| &mut thing.object);
            if let Some(Object::Group { members, .. }) = object {
                members.retain(|member| !removed.contains(member));
                members.extend(added.iter().cloned());
            }
        }
    }
}

pub(super) fn stepped(model: &Model, step: &Step) -> Model {
    let mut next = model.clone();
    match step {
        Step::Apply(domain, all) => {
            all.iter().for_each(|(number, told)| follow(&mut next, *domain, *number, told));
        }
        Step::Replace(domain, all) => {
            // What a full read tells of an object that another domain told of is newer.
            let mut image = Model::new();
            all.iter().for_each(|(number, told)| follow(&mut image, *domain, *number, told));
            next.retain(|_, thing| thing.domain != *domain);
            next.extend(image);
        }
        Step::Forget(domain) => next.retain(|_, thing| thing.domain != *domain),
    }
    next
}

pub(super) fn account(thing: &Thing) -> Option<&Account> {
    if let Object::Account(account) = &thing.object { Some(account) } else { None }
}

/// All groups of an account, by adding those that hold it or one of those found, until none is new.
pub(super) fn groups(model: &Model, number: u8) -> Vec<Group> {
    let mut inside = BTreeSet::from([number]);
    loop {
        let holds = |thing: &Thing, number: u8| {
            let Object::Group { members, .. } = &thing.object else { return false };
            let inner = &model[&number];
            let primary = account(inner).and_then(|account| {
                let home = inner.sid.as_ref().and_then(Sid::domain);
                home.unwrap_or(domain_sid(inner.domain)).account(account.primary_group?)
            });
            members.contains(&Member::Object(guid(number)))
                || inner
                    .sid
                    .as_ref()
                    .is_some_and(|sid| members.contains(&Member::Foreign(sid.clone())))
                || primary.is_some() && primary == thing.sid
        };
        let more: BTreeSet<u8> = model
            .iter()
            .filter(|(_, thing)| inside.iter().any(|number| holds(thing, *number)))
            .map(|(number, _)| *number)
            .chain(inside.iter().copied())
            .collect();
        if more == inside {
            break;
        }
        inside = more;
    }
    let mut groups: Vec<_> = inside
        .into_iter()
        .filter_map(|number| {
            let Thing { domain, dn, sid, object } = &model[&number];
            let Object::Group { name: of, .. } = object else { return None };
            let dn = dn.as_str().into();
            Some(Group { name: of.clone(), domain: name(DOMAINS[*domain]), dn, sid: sid.clone() })
        })
        .collect();
    groups.sort();
    groups
}

/// By what an account is known: kind, names, SID and domain.
type Called = (AccountKind, Name, Option<Name>, Option<Box<Name>>, Option<Sid>, usize);

/// What matters of an account: by what it is known, state, groups.
type Seen = (Called, AccountState, Vec<Group>);

fn all(model: &Model) -> BTreeMap<u8, Seen> {
    let seen = |(number, thing): (&u8, &Thing)| {
        let Account { kind, name, upn, host, state, .. } = account(thing)?.clone();
        let sid = thing.sid.clone().filter(|_| kind != AccountKind::Device);
        let called = (kind, name, upn, host, sid, thing.domain);
        Some((*number, (called, state, groups(model, *number))))
    };
    model.iter().filter_map(seen).collect()
}

/// In what each account is different, by comparing everything.
pub(super) fn compared(before: &Model, after: &Model) -> BTreeMap<Guid, Differences> {
    let (before, after) = (all(before), all(after));
    let mut different = BTreeMap::new();
    for number in 0..ACCOUNTS {
        let mut all = Differences::default();
        match (before.get(&number), after.get(&number)) {
            (None, None) => {}
            (None, Some(_)) => all = all.with(Difference::New),
            (Some(_), None) => all = all.with(Difference::Deleted),
            (Some(was), Some(is)) => {
                if was.0 != is.0 {
                    all = all.with(Difference::Renamed);
                }
                if was.2 != is.2 {
                    all = all.with(Difference::Groups);
                }
                match (was.1, is.1) {
                    (AccountState::Enabled, AccountState::Disabled) => {
                        all = all.with(Difference::Disabled);
                    }
                    (AccountState::Disabled, AccountState::Enabled) => {
                        all = all.with(Difference::Enabled);
                    }
                    _ => {}
                }
            }
        }
        if !all.is_empty() {
            different.insert(guid(number), all);
        }
    }
    different
}

pub(super) fn put(directory: &mut Directory, domain: usize) {
    let names = DomainNames {
        dns: name(DOMAINS[domain]),
        netbios: name(NETBIOS[domain]),
        sid: domain_sid(domain),
    };
    directory.put_domain(names, UnqualifiedNames::OtherDomain);
}

pub(super) fn both_domains() -> Directory {
    let mut directory = Directory::default();
    (0..2).for_each(|domain| put(&mut directory, domain));
    directory
}

/// Begins to tell the directory, which is still to be gone on with.
pub(super) fn begin(directory: &Directory, step: &Step) -> Ingest {
    match step {
        Step::Apply(domain, all) => {
            let updates = all.iter().map(|(number, told)| update(*domain, *number, told));
            directory.begin_apply(&name(DOMAINS[*domain]), updates.collect()).unwrap()
        }
        Step::Replace(domain, all) => {
            let mut image = DirectorySnapshot::default();
            for (number, told) in all {
                let update = update(*domain, *number, told);
                match update {
                    Update::Upsert { guid, .. }
                        if directory.already_holds(&name(DOMAINS[*domain]), &update) =>
                    {
                        image.keep(guid);
                    }
                    update => image.add(update),
                }
            }
            directory.begin_replace(&name(DOMAINS[*domain]), image).unwrap()
        }
        Step::Forget(domain) => directory.begin_forget(&name(DOMAINS[*domain])).unwrap(),
    }
}

fn tell(directory: &mut Directory, step: &Step) -> AffectedAccounts {
    let affected = begin(directory, step).finish(directory);
    if let Step::Forget(domain) = step {
        put(directory, *domain);
    }
    affected
}

/// What the directory says of everything is what the model says.
pub(super) fn agrees(directory: &Directory, model: &Model) -> Result<(), TestCaseError> {
    let mut sets = BTreeMap::new();
    for number in 0..OBJECTS {
        let expected = model.get(&number).and_then(account);
        let profile = directory.profile(guid(number));
        prop_assert_eq!(profile.map(|profile| profile.account), expected);
        let Some(profile) = profile else { continue };
        let found: Vec<Group> =
            profile.groups.as_slice().iter().map(|group| Group::clone(group)).collect();
        prop_assert_eq!(&found, &groups(model, number), "groups of {}", number);
        let known = sets.entry(found.clone()).or_insert_with(|| profile.groups.clone());
        prop_assert!(known.is_same(profile.groups), "equal sets are one allocation");
        for group in profile.groups.as_slice() {
            let path = directory.path(guid(number), group).unwrap();
            prop_assert_eq!(path.last(), Some(group));
            prop_assert!(path.iter().all(|step| found.contains(step)));
        }
        // A name means this account unless another of its domain has the same.
        let names = directory.names(guid(number)).unwrap();
        for principal in &names.principals {
            let resolved = directory.resolve(principal);
            let same = |other: &&Thing| {
                let mine = &model[&number];
                account(other).is_some_and(|a| a.name == profile.account.name)
                    && other.domain == mine.domain
            };
            let is_alone = model.values().filter(same).count() == 1;
            let is_upn = principal.domain.as_ref().is_some_and(|d| d.as_str() == "example.com");
            let is_sid = principal.user.as_str().starts_with("s-1-");
            let expected = (is_alone || is_upn || is_sid).then(|| guid(number));
            prop_assert_eq!(resolved.map(|resolved| resolved.guid), expected, "{}", principal);
        }
    }
    prop_assert_eq!(directory.group_sets(), sets.len(), "sets that nobody uses are dropped");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_directory_says_what_a_naive_closure_says_and_who_is_affected(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let (mut directory, mut model) = (both_domains(), Model::new());
        for step in &steps {
            let next = stepped(&model, step);
            let affected = tell(&mut directory, step);
            let told: BTreeMap<_, _> =
                affected.accounts.iter().map(|altered| (altered.guid, altered.differences)).collect();
            prop_assert_eq!(told.len(), affected.accounts.len(), "each once");
            prop_assert_eq!(told, compared(&model, &next), "{:?}", step);
            model = next;
            agrees(&directory, &model)?;
        }
        for domain in DOMAINS {
            directory.forget(&name(domain)).unwrap();
        }
        prop_assert_eq!(directory.nodes.iter().count(), 0, "nothing is kept for ever");
        prop_assert_eq!(directory.group_sets(), 0);
    }

    #[test]
    fn sessions_follow_the_accounts_that_began_them(
        steps in prop::collection::vec((step(), 0..ACCOUNTS, 0..6_u8, 1..40_usize), 1..20),
    ) {
        let mut world = World::new();
        for (step, who, place, limit) in &steps {
            world.log_in(*who, *place);
            world.learn(step, *limit)?;
        }
    }
}

/// Sessions beside a directory, and which account began each.
struct World {
    directory: Directory,
    model: Model,
    table: Table,
    whereabouts: AddressIndex,
    owners: BTreeMap<Address, u8>,
    revision: u64,
}

impl World {
    fn new() -> Self {
        Self {
            directory: both_domains(),
            model: Model::new(),
            table: Table::default(),
            whereabouts: AddressIndex::default(),
            owners: BTreeMap::new(),
            revision: 0,
        }
    }

    fn now(&self) -> i64 {
        10 + i64::try_from(self.revision).unwrap()
    }

    fn fold(&mut self, event: &Event) {
        self.revision += 1;
        let decision = self.table.apply(Revision(self.revision), event, &rules());
        decision.change.iter().for_each(|change| self.whereabouts.apply(change));
    }

    /// A user or computer logs in by one of its names.
    fn log_in(&mut self, number: u8, place: u8) {
        let Some(names) = self.directory.names(guid(number)) else { return };
        let nth = |many: usize| usize::from(place) % many.max(1);
        let device = names.hosts.get(nth(names.hosts.len())).cloned();
        let principal = names.principals.get(nth(names.principals.len())).cloned();
        let kind = if device.is_some() { Kind::DeviceSeen } else { Kind::Login };
        let place = address(&format!("10.0.0.{place}"));
        let mut event =
            Event { address: place, principal, device, ..event_at(kind, "", self.now()) };
        self.directory.enrich(&mut event);
        let is_known = event.membership != Membership::default();
        let is_alone = self.table.get(place).is_none();
        // Whose computer it is under a user's session is another test's matter.
        if is_known && (kind == Kind::Login || is_alone) {
            self.fold(&event);
            self.owners.insert(place, number);
        }
    }

    /// The directory learns something, unless two accounts would have one name.
    fn learn(&mut self, step: &Step, limit: usize) -> Result<(), TestCaseError> {
        let next = stepped(&self.model, step);
        let called = |thing: &Thing| Some((thing.domain, account(thing)?.name.clone()));
        let names: Vec<_> = next.values().filter_map(called).collect();
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Ok(());
        }
        self.owners.retain(|_, owner| next.contains_key(owner));
        self.model = next;
        let mut consequences = SessionEffects::default();
        let affected = tell(&mut self.directory, step);
        consequences.add(affected, &self.directory);
        let by = origin(Producer::ActiveDirectory);
        while !consequences.is_empty() {
            let known = EffectInputs {
                directory: &self.directory,
                table: &self.table,
                addresses: &self.whereabouts,
            };
            let now = seconds(self.now());
            let proposal = ProposalContext { removal: RemovalPolicy::default(), now, origin: &by };
            let events = consequences.next(known, proposal, limit);
            prop_assert!(events.len() <= limit);
            for event in events {
                self.fold(&event);
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (place, owner) in &self.owners {
            let session = self.table.get(*place).unwrap();
            let profile = self.directory.profile(guid(*owner)).unwrap();
            let groups = Some(profile.groups.clone());
            if profile.account.kind == AccountKind::Device {
                let means = self.directory.resolve_device(session.device.as_ref().unwrap());
                // A computer that is renamed is not followed: its addresses go by host name.
                if means.is_some_and(|means| means.guid == guid(*owner)) {
                    prop_assert_eq!(&session.membership.device, &groups);
                }
                continue;
            }
            let canonical =
                Principal::parse(&format!("{}@{}", profile.account.name, profile.domain.dns), None);
            let there = session.principal.as_ref().unwrap();
            prop_assert!(there.has_same_name(&canonical.unwrap()), "{} {:?}", there, profile);
            prop_assert_eq!(&session.membership.user, &groups);
        }
        let anew = AddressIndex::from_sessions(self.table.sessions());
        prop_assert_eq!(anew.len(), self.whereabouts.len());
        for session in self.table.sessions() {
            let user = session.principal.as_ref().map(|principal| &principal.user);
            let user = user.map(|user| self.whereabouts.user_addresses(user).collect::<Vec<_>>());
            prop_assert!(user.is_none_or(|places| places.contains(&session.address)));
        }
        Ok(())
    }
}
