//! Batches of reports to Secure Edge, created from changes. Each batch is self-contained.

use std::collections::HashMap;

use rollcall_identity::directory::Group;
use rollcall_identity::{
    Address, Change, Cursor, GroupSet, Kind, Name, Posture, Principal, Revision, Session, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A position in the order of all changes. The receiver stores it and compares it for equality
/// only.
pub type PositionToken = String;

/// Requests credentials.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnboardingRequest<'a> {
    /// The one-time token that the administrator of the service was shown.
    pub token: &'a str,
    /// The name of this collector in the console of the service.
    pub collector: &'a str,
    /// The product and version of the collector.
    pub product: &'a str,
}

/// Begins a full synchronization: all current sessions follow.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyncBegin<'a> {
    /// The ID of the synchronization, a UUID. A new one replaces a synchronization that is in
    /// progress.
    pub synchronisation: &'a str,
}

/// Ends a synchronization: sessions that were not reported are deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyncEnd<'a> {
    /// The ID of the synchronization.
    pub synchronisation: &'a str,
    /// The position up to which everything is reported.
    pub position: PositionToken,
}

/// Reports in the order of their changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportBatch<'a> {
    /// The synchronization that the batch belongs to; none for incremental reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronisation: Option<&'a str>,
    /// The position after the previous batch. A receiver that is at another position, and not at
    /// `next`, must respond 409, unless it has a window.
    pub after: Option<PositionToken>,
    /// The position after this batch.
    pub next: PositionToken,
    /// The turn: one ID for all batches since the position was last requested, and for all batches
    /// of one synchronization. For receivers with a window.
    pub turn: &'a str,
    /// The batch has the changes after this revision. For receivers with a window.
    #[schema(value_type = u64)]
    pub from: Revision,
    /// The batch has the changes up to this revision. For receivers with a window.
    #[schema(value_type = u64)]
    pub to: Revision,
    /// The epoch of the journal that all revisions belong to.
    pub epoch: u64,
    /// The groups of the users and devices below, each once.
    groups: Vec<GroupReport<'a>>,
    /// The users of the sessions below, each once, with all their groups.
    users: Vec<UserReport<'a>>,
    /// The devices of the sessions below, each once, with all their groups.
    devices: Vec<DeviceReport<'a>>,
    /// Sessions that began, changed or ended, each address once.
    sessions: Vec<SessionReport<'a>>,
    /// States of devices.
    states: Vec<StateReport>,
}

/// A group of a directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupReport<'a> {
    /// The revision of the report.
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
    /// The revision of the report.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The name without its domain, in lower case.
    #[schema(value_type = String)]
    name: &'a Name,
    /// The domain in lower case, when known.
    #[schema(value_type = Option<String>)]
    domain: Option<&'a Name>,
    /// Indexes into the `groups` of this batch; none when no directory knows the user.
    groups: Option<Vec<usize>>,
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
struct DeviceReport<'a> {
    /// The revision of the report.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The host name.
    #[schema(value_type = String)]
    name: &'a Name,
    /// Indexes into the `groups` of this batch; none when no directory knows the device.
    groups: Option<Vec<usize>>,
}

/// Whether an address has a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Presence {
    /// There is a user, or a device without a user.
    Present,
    /// The session ended. The fields describe the ended session, when known.
    Gone,
}

/// The session of an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionReport<'a> {
    /// The position of the change in the journal. A receiver that has a newer one of the same epoch
    /// for the address ignores this report and counts it as a duplicate.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The address: IPv4 or IPv6.
    #[schema(value_type = String)]
    address: Address,
    /// Whether there is a session.
    presence: Presence,
    /// The kind of event that caused the change, for instance `vpn_up` or `expiry`.
    #[schema(value_type = String)]
    event: Kind,
    /// The time of the event, by the clock of the source.
    #[schema(value_type = String)]
    at: Timestamp,
    /// The start of the session.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The user; none for a device without a user.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a Name>,
    /// The domain of the user.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a Name>,
    /// The host name of the device.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a Name>,
    /// The groups that the source itself listed, if any.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a [Name]>,
}

/// The state of the device at an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = State)]
struct StateReport {
    /// The position of the change in the journal.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The address.
    #[schema(value_type = String)]
    address: Address,
    /// `healthy`, `checkup`, `transition`, `quarantine`, `infected` or `unknown`.
    #[schema(value_type = String)]
    posture: Posture,
    /// Since when, by the clock of the source.
    #[schema(value_type = String)]
    at: Timestamp,
}

/// The number of reports of each kind in a batch, for checking the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportCounts {
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

impl ReportCounts {
    /// The total.
    pub fn all(self) -> usize {
        self.groups + self.users + self.devices + self.sessions + self.states
    }
}

impl<'a> ReportBatch<'a> {
    /// Creates the batch with `changes`, at most one per address, in the turn `turn`, for a
    /// receiver whose position is the first of the given pair before the batch and the second after
    /// it.
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
        let mut known = ListedEntries::default();
        for change in changes {
            batch.add_change(change, &mut known);
        }
        batch
    }

    /// The same batch as part of the synchronization of its turn.
    #[must_use]
    pub fn as_synchronization(self) -> Self {
        Self { synchronisation: Some(self.turn), ..self }
    }

    /// The number of reports.
    pub fn counts(&self) -> ReportCounts {
        ReportCounts {
            groups: self.groups.len(),
            users: self.users.len(),
            devices: self.devices.len(),
            sessions: self.sessions.len(),
            states: self.states.len(),
        }
    }

    /// The address of the session report at `index`.
    pub fn address(&self, index: usize) -> Option<Address> {
        self.sessions.get(index).map(|report| report.address)
    }

    fn add_change(&mut self, change: &'a Change, known: &mut ListedEntries<'a>) {
        let revision = change.revision;
        if let Some(session) = change.after.as_deref() {
            self.add_principal(session, revision, known);
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

    /// Adds the user and the device of a session. Changes are in order, so that the last known
    /// groups are kept.
    fn add_principal(
        &mut self,
        session: &'a Session,
        revision: Revision,
        known: &mut ListedEntries<'a>,
    ) {
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

    /// The indexes of these groups in the batch; adds missing ones.
    fn list(
        &mut self,
        groups: &'a GroupSet,
        revision: Revision,
        known: &mut ListedEntries<'a>,
    ) -> Vec<usize> {
        let groups = groups.as_slice();
        // Equal sets usually share one allocation: a thousand users of one department are listed
        // once.
        let set = (groups.as_ptr() as usize, groups.len());
        if let Some(indexes) = known.sets.get(&set) {
            return indexes.clone();
        }
        let mut index = |group: &'a Group| {
            let Group { name, domain, sid, .. } = group;
            *known.groups.entry((domain, name)).or_insert_with(|| {
                let sid = sid.as_ref().map(ToString::to_string);
                self.groups.push(GroupReport { revision, name, domain, sid });
                self.groups.len() - 1
            })
        };
        let indexes: Vec<usize> = groups.iter().map(|group| index(group)).collect();
        known.sets.insert(set, indexes.clone());
        indexes
    }
}

/// The entries that the batch already has, by key.
#[derive(Default)]
struct ListedEntries<'a> {
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
    let index = *known.entry(key).or_insert(list.len());
    match list.get_mut(index) {
        Some(earlier) => *earlier = report,
        None => list.push(report),
    }
}
