//! Reports to Secure Edge: batches that can be understood alone, written from changes.

use std::collections::HashMap;

use rollcall_identity::directory::Group;
use rollcall_identity::{
    Address, Change, Cursor, GroupSet, Kind, Name, Posture, Principal, Revision, Session, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A place in the order of all changes, as the receiver keeps it: opaque to it but for equality.
pub type Position = String;

/// Asks for credentials.
#[derive(Debug, Serialize, ToSchema)]
pub struct Onboard<'a> {
    /// The token that the administrator of the service was shown; good once.
    pub token: &'a str,
    /// How this collector is called in the service's console.
    pub collector: &'a str,
    /// The collector's kind and version.
    pub product: &'a str,
}

/// Begins a synchronisation: all that stands will be told anew.
#[derive(Debug, Serialize, ToSchema)]
pub struct Begin<'a> {
    /// Its name, a UUID. One that is begun while another is under way replaces it.
    pub synchronisation: &'a str,
}

/// Ends a synchronisation: sessions that it did not tell are void.
#[derive(Debug, Serialize, ToSchema)]
pub struct End<'a> {
    /// Its name.
    pub synchronisation: &'a str,
    /// The place up to which everything is told now.
    pub position: Position,
}

/// Reports, in the order in which they became true.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch<'a> {
    /// The synchronisation that it belongs to; none for news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronisation: Option<&'a str>,
    /// The place that the receiver is left at by the batch before. One that is at another place,
    /// and not at `next`, must answer 409, unless it has a window.
    pub after: Option<Position>,
    /// The place after this batch.
    pub next: Position,
    /// The turn: one name for all batches that were sent since the place was last asked for, and for
    /// all of one synchronisation. For receivers with a window.
    pub turn: &'a str,
    /// The batch tells what became true after this revision. For receivers with a window.
    #[schema(value_type = u64)]
    pub from: Revision,
    /// Up to this one. For receivers with a window.
    #[schema(value_type = u64)]
    pub to: Revision,
    /// The life of the journal that all revisions here belong to.
    pub epoch: u64,
    /// Groups that users and devices below are in, each once.
    groups: Vec<GroupReport<'a>>,
    /// Users that sessions below name, each once, with all their groups.
    users: Vec<UserReport<'a>>,
    /// Devices that sessions below name, each once, with all their groups.
    devices: Vec<DeviceReport<'a>>,
    /// Who came to an address or left it, each address once.
    sessions: Vec<SessionReport<'a>>,
    /// States of devices.
    states: Vec<StateReport>,
}

/// A group of a directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupReport<'a> {
    /// The revision with which it was told.
    #[schema(value_type = u64)]
    revision: Revision,
    /// Its sAMAccountName.
    #[schema(value_type = String)]
    name: &'a Name,
    /// The DNS name of its domain.
    #[schema(value_type = String)]
    domain: &'a Name,
    /// Its security identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
struct UserReport<'a> {
    /// The revision with which it was told.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The name without its domain, in lower case.
    #[schema(value_type = String)]
    name: &'a Name,
    /// The domain, in lower case, when it is known.
    #[schema(value_type = Option<String>)]
    domain: Option<&'a Name>,
    /// Places in this batch's `groups`; none when no directory knows the user.
    groups: Option<Vec<usize>>,
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
struct DeviceReport<'a> {
    /// The revision with which it was told.
    #[schema(value_type = u64)]
    revision: Revision,
    /// Its host name.
    #[schema(value_type = String)]
    name: &'a Name,
    /// Places in this batch's `groups`; none when no directory knows the device.
    groups: Option<Vec<usize>>,
}

/// Whether somebody is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Presence {
    /// The user, or the device alone, is there.
    Present,
    /// Whoever was there is there no more. The fields say who it was, when that is known.
    Gone,
}

/// Who is at an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionReport<'a> {
    /// The place of its change in the journal. A receiver that holds a newer one of the same epoch
    /// for the address leaves this out and counts it as a duplicate.
    #[schema(value_type = u64)]
    revision: Revision,
    /// Where: IPv4 or IPv6.
    #[schema(value_type = String)]
    address: Address,
    /// Whether somebody is there.
    presence: Presence,
    /// What made it true, for instance `vpn_up` or `expiry`.
    #[schema(value_type = String)]
    event: Kind,
    /// When, by the source's clock.
    #[schema(value_type = String)]
    at: Timestamp,
    /// Since when the user is there.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The user; none for a device alone.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a Name>,
    /// The user's domain.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a Name>,
    /// The device's host name.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a Name>,
    /// Groups that the source itself listed, when it listed any.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a [Name]>,
}

/// The state of the device at an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = State)]
struct StateReport {
    /// The place of its change in the journal.
    #[schema(value_type = u64)]
    revision: Revision,
    /// Where.
    #[schema(value_type = String)]
    address: Address,
    /// `healthy`, `checkup`, `transition`, `quarantine`, `infected` or `unknown`.
    #[schema(value_type = String)]
    posture: Posture,
    /// Since when, by the source's clock.
    #[schema(value_type = String)]
    at: Timestamp,
}

/// How many reports of each kind a batch holds: what the answer is checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Groups.
    pub groups: usize,
    /// Users.
    pub users: usize,
    /// Devices.
    pub devices: usize,
    /// Sessions that came or went.
    pub sessions: usize,
    /// States of devices.
    pub states: usize,
}

impl Tally {
    /// All together.
    pub fn all(self) -> usize {
        self.groups + self.users + self.devices + self.sessions + self.states
    }
}

impl<'a> Batch<'a> {
    /// The batch that tells `changes`, at most one for each address, in the `turn` of this name, to a
    /// receiver that is at the first of the two places before it and at the second one after it.
    pub fn new(
        changes: &'a [Change],
        turn: &'a str,
        (after, next): (Option<&Cursor>, &Cursor),
    ) -> Self {
        let mut batch = Self {
            synchronisation: None,
            after: after.map(Cursor::to_string),
            next: next.to_string(),
            turn,
            from: after.map_or(Revision(0), |after| after.revision),
            to: next.revision,
            epoch: next.epoch,
            groups: Vec::new(),
            users: Vec::new(),
            devices: Vec::new(),
            sessions: Vec::with_capacity(changes.len()),
            states: Vec::new(),
        };
        let mut known = Known::default();
        for change in changes {
            batch.tell(change, &mut known);
        }
        batch
    }

    /// The same, as a part of the synchronisation of its turn.
    #[must_use]
    pub fn synchronising(self) -> Self {
        Self { synchronisation: Some(self.turn), ..self }
    }

    /// How many reports it holds.
    pub fn tally(&self) -> Tally {
        Tally {
            groups: self.groups.len(),
            users: self.users.len(),
            devices: self.devices.len(),
            sessions: self.sessions.len(),
            states: self.states.len(),
        }
    }

    /// Which address the session report at `index` is about.
    pub fn address(&self, index: usize) -> Option<Address> {
        self.sessions.get(index).map(|report| report.address)
    }

    fn tell(&mut self, change: &'a Change, known: &mut Known<'a>) {
        let revision = change.revision;
        if let Some(session) = change.after.as_deref() {
            self.introduce(session, revision, known);
            self.states.extend(session.posture.map(|posture| {
                let at = session.confirmed;
                StateReport { revision, address: change.address, posture, at }
            }));
        }
        let session = change.session();
        let principal = session.and_then(|session| session.principal.as_ref());
        self.sessions.push(SessionReport {
            revision,
            address: change.address,
            presence: if change.after.is_some() { Presence::Present } else { Presence::Gone },
            event: change.cause.kind,
            at: change.cause.at,
            since: change.after.as_ref().map(|session| session.since),
            user: principal.map(|principal| &principal.user),
            domain: principal.and_then(|principal| principal.domain.as_ref()),
            device: session.and_then(|session| session.device.as_ref()),
            roles: change.after.as_ref().and_then(|session| session.roles.as_deref()),
        });
    }

    /// Lists the user and the device of a session. Changes come in order, so what is known of them
    /// last is what stays.
    fn introduce(&mut self, session: &'a Session, revision: Revision, known: &mut Known<'a>) {
        let membership = &session.membership;
        if let Some(Principal { user: name, domain, .. }) = &session.principal {
            let domain = domain.as_ref();
            let groups = membership.user.as_ref();
            let groups = groups.map(|groups| self.list(groups, revision, known));
            let report = UserReport { revision, name, domain, groups };
            put(&mut self.users, &mut known.users, (domain, name), report);
        }
        if let Some(name) = &session.device {
            let groups = membership.device.as_ref();
            let groups = groups.map(|groups| self.list(groups, revision, known));
            let report = DeviceReport { revision, name, groups };
            put(&mut self.devices, &mut known.devices, name, report);
        }
    }

    /// The places of these groups in the batch, each put there once.
    fn list(
        &mut self,
        groups: &'a GroupSet,
        revision: Revision,
        known: &mut Known<'a>,
    ) -> Vec<usize> {
        let groups = groups.as_slice();
        // Equal sets are mostly one allocation: a thousand users of one department are listed once.
        let set = (groups.as_ptr() as usize, groups.len());
        if let Some(places) = known.sets.get(&set) {
            return places.clone();
        }
        let mut place = |group: &'a Group| {
            let Group { name, domain, sid, .. } = group;
            *known.groups.entry((domain, name)).or_insert_with(|| {
                let sid = sid.as_ref().map(ToString::to_string);
                self.groups.push(GroupReport { revision, name, domain, sid });
                self.groups.len() - 1
            })
        };
        let places: Vec<usize> = groups.iter().map(|group| place(group)).collect();
        known.sets.insert(set, places.clone());
        places
    }
}

/// What a batch lists already, and where.
#[derive(Default)]
struct Known<'a> {
    users: HashMap<(Option<&'a Name>, &'a Name), usize>,
    devices: HashMap<&'a Name, usize>,
    groups: HashMap<(&'a Name, &'a Name), usize>,
    sets: HashMap<(usize, usize), Vec<usize>>,
}

fn put<K: std::hash::Hash + Eq, T>(
    list: &mut Vec<T>,
    known: &mut HashMap<K, usize>,
    key: K,
    report: T,
) {
    let place = *known.entry(key).or_insert(list.len());
    match list.get_mut(place) {
        Some(earlier) => *earlier = report,
        None => list.push(report),
    }
}
