//! PTIM: events that SRX firewalls and scripts push, such as VPN tunnels and captive-portal logins.
//!
//! The push format of Junos is not documented. [`read`] accepts every candidate: the parameters of
//! the captive portal, JSON, and the XML of the SRX Web API. [`read_json_events`] accepts
//! Rollcall's documented JSON and is strict. A body is accepted or rejected as a whole, so that a
//! sender can retry it without duplicates.

mod error;
mod event_builder;
mod json;
mod json_events;
mod vocabulary;
mod xml;

use std::sync::Arc;

use rollcall_identity::{Event, Kind, Name, Origin, Timestamp};

use crate::http::{HttpBody, Parameters, RequestParts};

pub use error::{PtimError, PtimErrorKind, PtimField};

use event_builder::EventBuilder;
use vocabulary::{NameMeaning, meaning_of};

/// The maximum number of events in one body.
pub const EVENTS: usize = 10_000;

/// The context of a push, apart from its content.
#[derive(Debug, Clone, Copy)]
pub struct PtimContext<'a> {
    /// The time of arrival, also used for events without a time.
    pub seen: Timestamp,
    /// The sender.
    pub origin: &'a Arc<Origin>,
    /// The default domain of users.
    pub domain: Option<&'a Name>,
    /// What happens to events without a time.
    pub untimed: MissingTime,
}

/// What happens to an event without a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingTime {
    /// The time of arrival is used.
    #[default]
    UseArrival,
    /// The event is rejected, because a replayed request would create a new event.
    Reject,
}

/// Whether a request below the query API's prefix is a push and not a query. It is a push when it
/// is a POST or PUT to a path that only pushes use, or has XML, a JSON list, or an address together
/// with a user or with the end or rekey of a tunnel. At `user`, the documented path of the captive
/// portal, any method counts.
pub fn is_push(request: &RequestParts<'_>) -> bool {
    let Some(segments) = request.segments() else { return false };
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let path = match path.as_slice() {
        ["user_query", "v1" | "v2", rest @ ..] => rest,
        all => all,
    };
    match (request.method, path) {
        ("POST" | "PUT", ["user" | "users" | "vpn" | "ptim" | "event" | "events"]) => true,
        ("POST" | "PUT", [.., "post-entry"]) => true,
        ("POST" | "PUT", []) => match request.body() {
            Ok(HttpBody::Xml(_)) => true,
            Ok(HttpBody::Json(text)) if text.starts_with('[') => true,
            _ => names_event(request),
        },
        ("GET", ["user"]) => names_event(request),
        _ => false,
    }
}

/// Whether the parameters have an address and a user, or an address and an event that needs no
/// user.
fn names_event(request: &RequestParts<'_>) -> bool {
    let Ok(parameters) = Parameters::read(request) else { return false };
    let names = |wanted| {
        parameters.iter().any(|(name, value)| {
            !value.is_empty() && meaning_of(name) == Some(NameMeaning::Field(wanted))
        })
    };
    let of_tunnel = || {
        let states = parameters
            .iter()
            .filter(|(name, _)| meaning_of(name) == Some(NameMeaning::Field(PtimField::State)));
        let mut kinds = states.filter_map(|(_, state)| vocabulary::kind(state));
        kinds.any(|kind| matches!(kind, Kind::VpnDown | Kind::Rekey))
    };
    names(PtimField::Address) && (names(PtimField::User) || of_tunnel())
}

/// Reads a push of a firewall in any candidate form. An entry with two addresses (a VPN client with
/// IPv4 and IPv6) gives two events. Values in the query or an envelope apply to each entry.
///
/// An entry without a state is a login, except in XML, whose model requires a state: the captive
/// portal pushes only successful logins. The end or rekey of a tunnel without a user applies to the
/// current user of the address. Members with unknown names are ignored, unless they have the only
/// state of the entry.
///
/// # Errors
/// [`PtimError`] has the entry, the field and the problem; no event of the body may be used.
pub fn read(
    request: &RequestParts<'_>,
    received: PtimContext<'_>,
) -> Result<Vec<Event>, PtimError> {
    let query = RequestParts { body: &[], ..*request };
    let builders = match request.body()? {
        HttpBody::Xml(text) => xml::read(text, &parameters(&query)?)?,
        HttpBody::Json(text) => json::read(text, parameters(&query)?)?,
        HttpBody::Form(_) => vec![parameters(request)?],
        HttpBody::Empty if request.query.is_empty() => return Err(PtimErrorKind::Empty.into()),
        HttpBody::Empty => vec![parameters(&query)?],
    };
    finish(builders, received)
}

/// Reads the body of `POST /api/v1/events`: one object or a list of objects with the keys `kind`,
/// `address`, `user`, `domain`, `device`, `groups`, `posture` and `at` (RFC 3339). A `vpn_down` or
/// `rekey` needs no user: it applies to the current user of the address. Unknown and duplicate keys
/// are rejected; `null` counts as missing.
///
/// # Errors
/// [`PtimError`] has the index of the item, from 0, the key and the problem.
pub fn read_json_events(
    request: &RequestParts<'_>,
    received: PtimContext<'_>,
) -> Result<Vec<Event>, PtimError> {
    let builders = match request.body()? {
        HttpBody::Json(text) => json_events::read(text)?,
        HttpBody::Empty => return Err(PtimErrorKind::Empty.into()),
        HttpBody::Xml(_) | HttpBody::Form(_) => return Err(PtimErrorKind::Shape.into()),
    };
    finish(builders, received)
}

fn parameters(request: &RequestParts<'_>) -> Result<EventBuilder, PtimError> {
    let mut builder = EventBuilder::default();
    for (name, value) in Parameters::read(request)?.iter() {
        match meaning_of(name) {
            Some(NameMeaning::Field(field @ (PtimField::Address | PtimField::Role))) => {
                value.split(',').try_for_each(|item| builder.set(field, item))?;
            }
            Some(NameMeaning::Field(field)) => builder.set(field, value)?,
            Some(NameMeaning::Entries) => {}
            None => builder.hint(value)?,
        }
    }
    Ok(builder)
}

fn finish(builders: Vec<EventBuilder>, received: PtimContext<'_>) -> Result<Vec<Event>, PtimError> {
    let mut events = Vec::with_capacity(builders.len());
    for (item, builder) in builders.into_iter().enumerate() {
        builder.finish(received, &mut events).map_err(|bad| bad.at(item))?;
        if events.len() > EVENTS {
            return Err(PtimError::from(PtimErrorKind::TooMany).at(item));
        }
    }
    if events.is_empty() { Err(PtimErrorKind::Empty.into()) } else { Ok(events) }
}

#[cfg(test)]
mod tests;
