//! The JSON types of the REST interface. They are a stable contract with clients and do not follow
//! changes of the internal types.

use std::sync::Arc;

use rollcall_identity::{
    Address, Cause, Change, Cursor, DecisionRecord, Effect, Explanation, GroupSet, Kind, Name,
    Origin, Posture, Principal, Revision, Roles, Session, Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Whether a session is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The session is active.
    Active,
    /// The session has ended.
    Ended,
}

/// A session at an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionDto {
    /// IPv4 or IPv6.
    #[schema(value_type = String, example = "10.0.0.7")]
    address: Address,
    /// The user in lower case, without the domain; null if only the device is known.
    #[schema(value_type = Option<String>, example = "alice")]
    user: Option<Name>,
    /// The domain of the user, if known.
    #[schema(value_type = Option<String>, example = "corp.example.com")]
    domain: Option<Name>,
    state: State,
    /// The start of the session, by the clock of the source.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The time of the last evidence of the user.
    #[schema(value_type = String, format = DateTime)]
    confirmed: Timestamp,
    /// The end of the session without further evidence of the user.
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// The end of the session; only for ended sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended: Option<Timestamp>,
    /// The producer of the event that started the session.
    #[schema(value_type = String, example = "syslog")]
    producer: Name,
    /// The client of the producer, for example the firewall that sent the line.
    #[schema(value_type = String, example = "branch-fw")]
    client: Name,
    /// The journal position of the last change of the session.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The host name of the device.
    #[schema(value_type = Option<String>)]
    device: Option<Name>,
    /// The groups of the user in the event; null if the event has none.
    #[schema(value_type = Option<Vec<String>>)]
    roles: Roles,
    /// The groups of the user in the directories, including nested ones; null if no directory has
    /// the user.
    #[schema(value_type = Option<Vec<String>>)]
    groups: Option<Vec<Name>>,
    /// The groups of the device in the directories.
    #[schema(value_type = Option<Vec<String>>)]
    device_groups: Option<Vec<Name>>,
    /// The posture of the device.
    #[schema(value_type = Option<String>)]
    posture: Option<Posture>,
    /// The producer and client that asserted the roles.
    #[schema(value_type = Option<String>, example = "ptim/branch-fw")]
    roles_source: Option<String>,
    /// The producer and client that asserted the device.
    #[schema(value_type = Option<String>, example = "syslog/dhcp")]
    device_source: Option<String>,
    /// The producer and client that asserted the posture.
    #[schema(value_type = Option<String>, example = "syslog/nac")]
    posture_source: Option<String>,
    /// The time of the last event from a source that may create sessions.
    #[schema(value_type = String, format = DateTime)]
    proved: Timestamp,
}

/// `syslog/branch-fw`.
fn source(origin: &Arc<Origin>) -> String {
    format!("{}/{}", origin.producer, origin.client)
}

impl SessionDto {
    /// An active session.
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
            roles_source: session.roles_source().map(source),
            device_source: session.device_source().map(source),
            posture_source: session.posture_source().map(source),
            proved: session.proved,
        }
    }

    /// An ended session, with its end time if it is known.
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

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionPage {
    /// Ordered by the start or the last change.
    pub(super) sessions: Vec<SessionDto>,
    /// The value of `after` for the next page; null at the end.
    pub(super) next: Option<String>,
}

/// The event that caused a change, and the rule that applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cause)]
pub(super) struct CauseDto {
    /// The kind of the event.
    #[schema(value_type = String, example = "vpn_up")]
    kind: Kind,
    /// The time of the event, by the clock of the source.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The time at which Rollcall received the event.
    #[schema(value_type = String, format = DateTime)]
    seen: Timestamp,
    /// The producer.
    #[schema(value_type = String)]
    producer: Name,
    /// The client of the producer.
    #[schema(value_type = String)]
    client: Name,
    /// The template or dialect that decoded the event.
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
    /// The journal position.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The address.
    #[schema(value_type = String)]
    address: Address,
    /// `began`, `altered`, `extended` or `ended`; this is also the name of the event.
    #[schema(value_type = String)]
    effect: Effect,
    /// The current session, or the ended one if `effect` is `ended`; null if an end is reported
    /// without a known session.
    session: Option<SessionDto>,
    /// The cause.
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

/// The data of a `resync` event: the client discards its state, and all current sessions follow.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resync {
    /// The cursor of the stream.
    #[schema(value_type = String)]
    pub(super) cursor: Cursor,
}

/// An event that competed for an address, and the decision about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Competitor)]
pub(super) struct RecordDto {
    /// The journal position.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The kind of the event.
    #[schema(value_type = String, example = "login")]
    kind: Kind,
    /// The user.
    #[schema(value_type = Option<String>)]
    user: Option<Name>,
    /// The domain of the user.
    #[schema(value_type = Option<String>)]
    domain: Option<Name>,
    /// The device.
    #[schema(value_type = Option<String>)]
    device: Option<Name>,
    /// The groups in the event; null if the event has none.
    #[schema(value_type = Option<Vec<String>>)]
    roles: Roles,
    /// The posture of the device.
    #[schema(value_type = Option<String>)]
    posture: Option<Posture>,
    /// The time of the event, by the clock of the source.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The time at which Rollcall received the event.
    #[schema(value_type = String, format = DateTime)]
    seen: Timestamp,
    /// The producer.
    #[schema(value_type = String)]
    producer: Name,
    /// The client of the producer.
    #[schema(value_type = String)]
    client: Name,
    /// The template or dialect that decoded the event.
    #[schema(value_type = String)]
    form: Name,
    /// `applied`, `deduplicated` or `refused`.
    outcome: &'static str,
    /// The rule or the reason for the outcome.
    #[schema(example = "too_old")]
    reason: &'static str,
    /// The number of identical events just before it.
    repeated: u32,
    /// The record as a sentence.
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
    /// The address.
    #[schema(value_type = String)]
    address: Address,
    /// The answer in one sentence.
    sentence: String,
    /// The current session.
    session: Option<SessionDto>,
    /// The previous session, as long as it is kept.
    previous: Option<SessionDto>,
    /// Until when the address is treated as shared by several users and has no user; further logins
    /// extend it.
    #[schema(value_type = Option<String>)]
    shared_until: Option<Timestamp>,
    /// Other events at the address and the decisions about them, newest first.
    competed: Vec<RecordDto>,
}

impl From<&Explanation> for ExplanationDto {
    fn from(explanation: &Explanation) -> Self {
        let Explanation { address, ref session, ref previous, shared, ref competed } = *explanation;
        // The first line is the answer; the lines after it are the sentences of the competing
        // events.
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
