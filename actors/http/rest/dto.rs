//! The JSON shapes of the REST interface. They are a promise to scripts: they stay as they are when
//! the crates inside change their own types.

use std::sync::Arc;

use rollcall_identity::{
    Address, Cause, Change, Cursor, DecisionRecord, Effect, Explanation, GroupSet, Kind, Name,
    Posture, Principal, Revision, Roles, Session, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Somebody is there now.
    Active,
    /// Somebody was there.
    Ended,
}

/// Who is, or was, behind an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionDto {
    /// IPv4 or IPv6.
    #[schema(value_type = String, example = "10.0.0.7")]
    address: Address,
    /// In lower case, without the domain; null where only the device is known.
    #[schema(value_type = Option<String>, example = "alice")]
    user: Option<Name>,
    /// The user's domain, where it is known.
    #[schema(value_type = Option<String>, example = "corp.example.com")]
    domain: Option<Name>,
    state: State,
    /// When the user came, by the clock of the source.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When the user was last proved present.
    #[schema(value_type = String, format = DateTime)]
    confirmed: Timestamp,
    /// When the session ends unless the user is seen again.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// When it ended; only in ended ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended: Option<Timestamp>,
    /// The producer that saw it begin.
    #[schema(value_type = String, example = "syslog")]
    producer: Name,
    /// The producer's client, such as the firewall that sent the line.
    #[schema(value_type = String, example = "branch-fw")]
    client: Name,
    /// The position in the journal of what made it so.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The host name of the device.
    #[schema(value_type = Option<String>)]
    device: Option<Name>,
    /// The groups of the user that a source listed; null where none did.
    #[schema(value_type = Option<Vec<String>>)]
    roles: Roles,
    /// The groups that directories put the user in, nested ones included; null where none knows the
    /// user.
    #[schema(value_type = Option<Vec<String>>)]
    groups: Option<Vec<Name>>,
    /// The same of the device.
    #[schema(value_type = Option<Vec<String>>)]
    device_groups: Option<Vec<Name>>,
    /// The state of the device.
    #[schema(value_type = Option<String>)]
    posture: Option<Posture>,
}

impl SessionDto {
    /// A session that is there now.
    pub(super) fn active(session: &Session) -> Self {
        let Session { address, since, confirmed, expires, revision, posture, .. } = *session;
        let (user, domain) = split(session.principal.as_ref());
        let origin = &session.cause.origin;
        Self {
            address,
            user,
            domain,
            state: State::Active,
            since,
            confirmed,
            expires,
            ended: None,
            producer: origin.producer.clone(),
            client: origin.client.clone(),
            revision,
            device: session.device.clone(),
            roles: session.roles.clone(),
            groups: session.membership.user.as_ref().map(names),
            device_groups: session.membership.device.as_ref().map(names),
            posture,
        }
    }

    /// A session that is no more; when it ended, where that is known.
    pub(super) fn ended(session: &Session, ended: Option<Timestamp>) -> Self {
        Self { state: State::Ended, ended, ..Self::active(session) }
    }
}

fn names(groups: &GroupSet) -> Vec<Name> {
    groups.as_slice().iter().map(|group| group.name.clone()).collect()
}

fn split(principal: Option<&Principal>) -> (Option<Name>, Option<Name>) {
    principal.map_or((None, None), |p| (Some(p.user.clone()), p.domain.clone()))
}

/// Some of the sessions that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionPage {
    /// In the order in which they began or last changed.
    pub(super) sessions: Vec<SessionDto>,
    /// What to ask with as `after` to go on; null at the end.
    pub(super) next: Option<String>,
}

/// Who said so, and what was made of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cause)]
pub(super) struct CauseDto {
    /// What happened.
    #[schema(value_type = String, example = "vpn_up")]
    kind: Kind,
    /// When, by the clock of the source.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When Rollcall received it.
    #[schema(value_type = String, format = DateTime)]
    seen: Timestamp,
    /// The producer.
    #[schema(value_type = String)]
    producer: Name,
    /// Its client.
    #[schema(value_type = String)]
    client: Name,
    /// The template or dialect that read it.
    #[schema(value_type = String)]
    form: Name,
    /// The rule that decided.
    #[schema(example = "first_user")]
    rule: &'static str,
}

impl From<&Cause> for CauseDto {
    fn from(cause: &Cause) -> Self {
        let Cause { kind, at, seen, ref origin, rule } = *cause;
        Self {
            kind,
            at,
            seen,
            producer: origin.producer.clone(),
            client: origin.client.clone(),
            form: origin.form.clone(),
            rule: rule.as_str(),
        }
    }
}

/// The data of one event of the live stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(super) struct ChangeDto {
    /// The position in the journal.
    #[schema(value_type = u64)]
    revision: Revision,
    /// Where.
    #[schema(value_type = String)]
    address: Address,
    /// `began`, `altered`, `extended` or `ended`; the name of the event, too.
    #[schema(value_type = String)]
    effect: Effect,
    /// Who is there now or, of an end, who was; null where an end is told of whoever was there.
    session: Option<SessionDto>,
    /// Why.
    cause: CauseDto,
}

impl From<&Change> for ChangeDto {
    fn from(change: &Change) -> Self {
        let Change { revision, address, effect, ref before, ref after, ref cause } = *change;
        let ended_session = |before: &Arc<Session>| SessionDto::ended(before, Some(cause.at));
        let session = match after {
            Some(after) => Some(SessionDto::active(after)),
            None => before.as_ref().map(ended_session),
        };
        Self { revision, address, effect, session, cause: cause.into() }
    }
}

/// The data of a `resync` event: what the reader holds is void, what follows is everything.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resync {
    /// Where the reading stands.
    #[schema(value_type = String)]
    pub(super) cursor: Cursor,
}

/// An event that competed for an address, and what was decided about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Competitor)]
pub(super) struct RecordDto {
    /// The position in the journal.
    #[schema(value_type = u64)]
    revision: Revision,
    /// What happened.
    #[schema(value_type = String, example = "login")]
    kind: Kind,
    /// Who.
    #[schema(value_type = Option<String>)]
    user: Option<Name>,
    /// The user's domain.
    #[schema(value_type = Option<String>)]
    domain: Option<Name>,
    /// The device.
    #[schema(value_type = Option<String>)]
    device: Option<Name>,
    /// The groups that it listed; null where it said nothing of them.
    #[schema(value_type = Option<Vec<String>>)]
    roles: Roles,
    /// The state of the device.
    #[schema(value_type = Option<String>)]
    posture: Option<Posture>,
    /// When, by the clock of the source.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When Rollcall received it.
    #[schema(value_type = String, format = DateTime)]
    seen: Timestamp,
    /// The producer.
    #[schema(value_type = String)]
    producer: Name,
    /// Its client.
    #[schema(value_type = String)]
    client: Name,
    /// The template or dialect that read it.
    #[schema(value_type = String)]
    form: Name,
    /// `applied`, `deduplicated` or `refused`.
    outcome: &'static str,
    /// The rule or the reason.
    #[schema(example = "too_old")]
    reason: &'static str,
    /// How many more of the same came just before.
    repeated: u32,
    /// All of this as a sentence.
    sentence: String,
}

impl From<&DecisionRecord> for RecordDto {
    fn from(record: &DecisionRecord) -> Self {
        let (user, domain) = split(record.principal.as_ref());
        let DecisionRecord { revision, kind, at, seen, ref origin, verdict, repeated, .. } =
            *record;
        Self {
            revision,
            kind,
            user,
            domain,
            device: record.device.clone(),
            roles: record.roles.clone(),
            posture: record.posture,
            at,
            seen,
            producer: origin.producer.clone(),
            client: origin.client.clone(),
            form: origin.form.clone(),
            outcome: verdict.outcome(),
            reason: verdict.reason(),
            repeated,
            sentence: record.to_string(),
        }
    }
}

/// Why an address has this user, or has none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct ExplanationDto {
    /// Where.
    #[schema(value_type = String)]
    address: Address,
    /// The answer in one sentence.
    sentence: String,
    /// Who is there now.
    session: Option<SessionDto>,
    /// Who was there before, as long as it is remembered.
    previous: Option<SessionDto>,
    /// Until when the address is taken to be shared by many users and serves none of them, unless
    /// more come.
    #[schema(value_type = Option<String>)]
    shared_until: Option<Timestamp>,
    /// What else was seen there and what became of it, newest first.
    competed: Vec<RecordDto>,
}

impl From<&Explanation> for ExplanationDto {
    fn from(explanation: &Explanation) -> Self {
        let Explanation { address, ref session, ref previous, shared, ref competed } = *explanation;
        // The first line is the answer; the lines after it are the competitors' own sentences.
        let whole = explanation.to_string();
        Self {
            address,
            sentence: whole.lines().next().unwrap_or_default().to_owned(),
            session: session.as_deref().map(SessionDto::active),
            previous: previous.as_deref().map(|session| SessionDto::ended(session, None)),
            shared_until: shared,
            competed: competed.iter().map(RecordDto::from).collect(),
        }
    }
}
