//! Property tests: whatever two directories report in any order, the directory agrees with a naive
//! model that recomputes everything, and sessions follow.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::test_support::{address, event_at, name, origin, rules, seconds};
use crate::{Address, Event, Kind, Name, Principal, Producer, Revision, Table};

const DOMAINS: [&str; 2] = ["corp.example.com", "lab.example.com"];
const NETBIOS: [&str; 2] = ["corp", "lab"];
/// Objects 0 to 4 are accounts, 5 to 10 groups; the others are only listed as members.
pub(super) const ACCOUNTS: u8 = 5;
const OBJECTS: u8 = 11;

pub(super) fn guid(number: u8) -> Guid {
    Guid([number; 16])
}

fn domain_sid(domain: usize) -> Sid {
    format!("S-1-5-21-1-2-{domain}").parse().unwrap()
}

/// The SID of an object contains its number, in any domain.
fn sid(domain: usize, number: u8) -> Sid {
    domain_sid(domain).account(u32::from(number)).unwrap()
}

/// An object of the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelObject {
    domain: usize,
    dn: String,
    sid: Option<Sid>,
    object: Object,
}

pub(super) type Model = BTreeMap<u8, ModelObject>;

/// An operation on the directory of a domain.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Apply(usize, Vec<(u8, Report)>),
    Replace(usize, Vec<(u8, Report)>),
    Forget(usize),
}

#[derive(Debug, Clone)]
pub(super) enum Report {
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

fn report() -> impl Strategy<Value = (u8, Report)> {
    let members = || prop::collection::vec(member(), 0..4);
    let primary = prop::option::weighted(0.3, ACCOUNTS..OBJECTS);
    let state = prop_oneof![4 => Just(AccountState::Enabled), 1 => Just(AccountState::Disabled)];
    let seen = (0..4_u8, prop::bool::weighted(0.9), primary, members(), state);
    let seen = seen.prop_map(|(label, has_sid, primary, members, state)| Report::Seen {
        label,
        has_sid,
        primary,
        members,
        state,
    });
    let report = prop_oneof![
        6 => seen,
        2 => (members(), members()).prop_map(|(added, removed)| Report::Linked { added, removed }),
        1 => Just(Report::Gone),
    ];
    (0..OBJECTS, report)
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let many = |most| (0..2_usize, prop::collection::vec(report(), 0..most));
    prop_oneof![
        8 => many(5).prop_map(|(domain, report)| Step::Apply(domain, report)),
        2 => many(12).prop_map(|(domain, report)| Step::Replace(domain, report)),
        1 => (0..2_usize).prop_map(Step::Forget),
    ]
}

/// The object as reported. Accounts have few names, so that one takes over the name of another; the
/// last account is a computer.
fn object_of(domain: usize, number: u8, report: &Report) -> Option<ModelObject> {
    let Report::Seen { label, has_sid, primary, members, state } = report else { return None };
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
    Some(ModelObject { domain, dn, sid: has_sid.then(|| sid(domain, number)), object })
}

fn update(domain: usize, number: u8, report: &Report) -> Update {
    match report {
        Report::Gone => Update::Deleted(guid(number)),
        Report::Linked { added, removed } => {
            let (added, removed) = (added.clone(), removed.clone());
            Update::MembersChanged { group: guid(number), added, removed }
        }
        Report::Seen { .. } => {
            let ModelObject { dn, sid, object, .. } = object_of(domain, number, report).unwrap();
            Update::Upsert { guid: guid(number), dn: dn.into(), sid, object }
        }
    }
}

/// Updates the model by one report of `domain`.
fn update_model(model: &mut Model, domain: usize, number: u8, report: &Report) {
    match report {
        Report::Seen { .. } => {
            model.insert(number, object_of(domain, number, report).unwrap());
        }
        Report::Gone => {
            if model.get(&number).is_some_and(|object_of| object_of.domain == domain) {
                model.remove(&number);
            }
        }
        Report::Linked { added, removed } => {
            let object = model.get_mut(&number).map(|object_of| &mut object_of.object);
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
            all.iter()
                .for_each(|(number, report)| update_model(&mut next, *domain, *number, report));
        }
        Step::Replace(domain, all) => {
            // A full read is newer than the report of another domain about the same object.
            let mut snapshot = Model::new();
            all.iter()
                .for_each(|(number, report)| update_model(&mut snapshot, *domain, *number, report));
            next.retain(|_, object_of| object_of.domain != *domain);
            next.extend(snapshot);
        }
        Step::Forget(domain) => next.retain(|_, object_of| object_of.domain != *domain),
    }
    next
}

pub(super) fn account(object_of: &ModelObject) -> Option<&Account> {
    if let Object::Account(account) = &object_of.object { Some(account) } else { None }
}

/// All groups of an account, computed by adding groups until none is new.
pub(super) fn groups(model: &Model, number: u8) -> Vec<Group> {
    let mut inside = BTreeSet::from([number]);
    loop {
        let holds = |object_of: &ModelObject, number: u8| {
            let Object::Group { members, .. } = &object_of.object else { return false };
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
                || primary.is_some() && primary == object_of.sid
        };
        let more: BTreeSet<u8> = model
            .iter()
            .filter(|(_, object_of)| inside.iter().any(|number| holds(object_of, *number)))
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
            let ModelObject { domain, dn, sid, object } = &model[&number];
            let Object::Group { name: of, .. } = object else { return None };
            let dn = dn.as_str().into();
            Some(Group { name: of.clone(), domain: name(DOMAINS[*domain]), dn, sid: sid.clone() })
        })
        .collect();
    groups.sort();
    groups
}

/// The identity of an account: kind, names, SID and domain.
type Called = (AccountKind, Name, Option<Name>, Option<Box<Name>>, Option<Sid>, usize);

/// The relevant state of an account: identity, state, groups.
type Seen = (Called, AccountState, Vec<Group>);

fn all(model: &Model) -> BTreeMap<u8, Seen> {
    let seen = |(number, object_of): (&u8, &ModelObject)| {
        let Account { kind, name, upn, host, state, .. } = account(object_of)?.clone();
        let sid = object_of.sid.clone().filter(|_| kind != AccountKind::Device);
        let called = (kind, name, upn, host, sid, object_of.domain);
        Some((*number, (called, state, groups(model, *number))))
    };
    model.iter().filter_map(seen).collect()
}

/// The differences of each account, computed by comparing everything.
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

/// Begins an ingest, which the caller continues.
pub(super) fn begin(directory: &Directory, step: &Step) -> Ingest {
    match step {
        Step::Apply(domain, all) => {
            let updates = all.iter().map(|(number, report)| update(*domain, *number, report));
            directory.begin_apply(&name(DOMAINS[*domain]), updates.collect()).unwrap()
        }
        Step::Replace(domain, all) => {
            let mut snapshot = DirectorySnapshot::default();
            for (number, report) in all {
                let update = update(*domain, *number, report);
                match update {
                    Update::Upsert { guid, .. }
                        if directory.already_holds(&name(DOMAINS[*domain]), &update) =>
                    {
                        snapshot.keep(guid);
                    }
                    update => snapshot.add(update),
                }
            }
            directory.begin_replace(&name(DOMAINS[*domain]), snapshot).unwrap()
        }
        Step::Forget(domain) => directory.begin_forget(&name(DOMAINS[*domain])).unwrap(),
    }
}

fn apply_step(directory: &mut Directory, step: &Step) -> AffectedAccounts {
    let affected = begin(directory, step).finish(directory);
    if let Step::Forget(domain) = step {
        put(directory, *domain);
    }
    affected
}

/// Checks that the directory agrees with the model.
pub(super) fn check_agreement(directory: &Directory, model: &Model) -> Result<(), TestCaseError> {
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
        // A name refers to this account unless another one of its domain has the same name.
        let names = directory.names(guid(number)).unwrap();
        for principal in &names.principals {
            let resolved = directory.resolve(principal);
            let same = |other: &&ModelObject| {
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
    prop_assert_eq!(directory.group_sets(), sets.len(), "unused sets are dropped");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_directory_agrees_with_a_naive_closure(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let (mut directory, mut model) = (both_domains(), Model::new());
        for step in &steps {
            let next = stepped(&model, step);
            let affected = apply_step(&mut directory, step);
            let report: BTreeMap<_, _> =
                affected.accounts.iter().map(|altered| (altered.guid, altered.differences)).collect();
            prop_assert_eq!(report.len(), affected.accounts.len(), "each once");
            prop_assert_eq!(report, compared(&model, &next), "{:?}", step);
            model = next;
            check_agreement(&directory, &model)?;
        }
        for domain in DOMAINS {
            directory.forget(&name(domain)).unwrap();
        }
        prop_assert_eq!(directory.nodes.iter().count(), 0, "nothing is kept for ever");
        prop_assert_eq!(directory.group_sets(), 0);
    }

    #[test]
    fn sessions_follow_their_accounts(
        steps in prop::collection::vec((step(), 0..ACCOUNTS, 0..6_u8, 1..40_usize), 1..20),
    ) {
        let mut world = World::new();
        for (step, user, address_index, limit) in &steps {
            world.log_in(*user, *address_index);
            world.learn(step, *limit)?;
        }
    }
}

/// Sessions in addition to a directory, and the account that began each.
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
    fn log_in(&mut self, number: u8, address_index: u8) {
        let Some(names) = self.directory.names(guid(number)) else { return };
        let nth = |many: usize| usize::from(address_index) % many.max(1);
        let device = names.hosts.get(nth(names.hosts.len())).cloned();
        let principal = names.principals.get(nth(names.principals.len())).cloned();
        let kind = if device.is_some() { Kind::DeviceSeen } else { Kind::Login };
        let address_index = address(&format!("10.0.0.{address_index}"));
        let mut event =
            Event { address: address_index, principal, device, ..event_at(kind, "", self.now()) };
        self.directory.enrich(&mut event);
        let is_known = event.membership != Membership::default();
        let is_alone = self.table.get(address_index).is_none();
        // The computer of a user's session is covered by another test.
        if is_known && (kind == Kind::Login || is_alone) {
            self.fold(&event);
            self.owners.insert(address_index, number);
        }
    }

    /// Ingests a step, unless two accounts would have the same name.
    fn learn(&mut self, step: &Step, limit: usize) -> Result<(), TestCaseError> {
        let next = stepped(&self.model, step);
        let called =
            |object_of: &ModelObject| Some((object_of.domain, account(object_of)?.name.clone()));
        let names: Vec<_> = next.values().filter_map(called).collect();
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            return Ok(());
        }
        self.owners.retain(|_, owner| next.contains_key(owner));
        self.model = next;
        let mut consequences = SessionEffects::default();
        let affected = apply_step(&mut self.directory, step);
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
        for (address_index, owner) in &self.owners {
            let session = self.table.get(*address_index).unwrap();
            let profile = self.directory.profile(guid(*owner)).unwrap();
            let groups = Some(profile.groups.clone());
            if profile.account.kind == AccountKind::Device {
                let means = self.directory.resolve_device(session.device.as_ref().unwrap());
                // A renamed computer is not followed: its addresses are indexed by host name.
                if means.is_some_and(|means| means.guid == guid(*owner)) {
                    prop_assert_eq!(&session.membership.device, &groups);
                }
                continue;
            }
            let canonical =
                Principal::parse(&format!("{}@{}", profile.account.name, profile.domain.dns), None);
            let current = session.principal.as_ref().unwrap();
            prop_assert!(current.has_same_name(&canonical.unwrap()), "{} {:?}", current, profile);
            prop_assert_eq!(&session.membership.user, &groups);
        }
        let fresh = AddressIndex::from_sessions(self.table.sessions());
        prop_assert_eq!(fresh.len(), self.whereabouts.len());
        for session in self.table.sessions() {
            let user = session.principal.as_ref().map(|principal| &principal.user);
            let user = user.map(|user| self.whereabouts.user_addresses(user).collect::<Vec<_>>());
            prop_assert!(user.is_none_or(|addresses| addresses.contains(&session.address)));
        }
        Ok(())
    }
}
