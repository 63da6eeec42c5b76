//! PTIM: events that SRX firewalls and scripts push, such as VPN tunnels and captive-portal logins.
//!
//! The push format of Junos is not documented. [`read`] accepts every candidate: the parameters of
//! the captive portal, JSON, and the XML of the SRX Web API. [`read_json_events`] accepts
//! Rollcall's documented JSON and is strict. A body is accepted or rejected as a whole, so that a
//! sender can retry it without duplicates.

mod bad_push;
mod draft;
mod json;
mod posted;
mod words;
mod xml;

use std::sync::Arc;

use rollcall_identity::{Event, Kind, Name, Origin, Timestamp};

use crate::http::{Body, Parameters, Request};

pub use bad_push::{BadPush, Field, Problem};

use draft::Draft;
use words::{Meaning, meaning};

/// The maximum number of events in one body.
pub const EVENTS: usize = 10_000;

/// The context of a push, apart from its content.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The time of arrival, also used for events without a time.
    pub seen: Timestamp,
    /// The sender.
    pub origin: &'a Arc<Origin>,
    /// The default domain of users.
    pub domain: Option<&'a Name>,
    /// What happens to events without a time.
    pub untimed: Untimed,
}

/// What happens to an event without a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Untimed {
    /// The time of arrival is used.
    #[default]
    Arrival,
    /// The event is rejected, because a replayed request would create a new event.
    Refused,
}

/// Whether a request below the query API's prefix is a push and not a query. It is a push when it
/// is a POST or PUT to a path that only pushes use, or has XML, a JSON list, or an address together
/// with a user or with the end or rekey of a tunnel. At `user`, the documented path of the captive
/// portal, any method counts.
pub fn recognises(request: &Request<'_>) -> bool {
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
            Ok(Body::Xml(_)) => true,
            Ok(Body::Json(text)) if text.starts_with('[') => true,
            _ => tells(request),
        },
        ("GET", ["user"]) => tells(request),
        _ => false,
    }
}

/// Whether the parameters have an address and a user, or an address and an event that needs no
/// user.
fn tells(request: &Request<'_>) -> bool {
    let Ok(parameters) = Parameters::read(request) else { return false };
    let names = |wanted| {
        parameters
            .iter()
            .any(|(name, value)| !value.is_empty() && meaning(name) == Some(Meaning::Field(wanted)))
    };
    let of_tunnel = || {
        let states = parameters
            .iter()
            .filter(|(name, _)| meaning(name) == Some(Meaning::Field(Field::State)));
        let mut kinds = states.filter_map(|(_, state)| words::kind(state));
        kinds.any(|kind| matches!(kind, Kind::VpnDown | Kind::Rekey))
    };
    names(Field::Address) && (names(Field::User) || of_tunnel())
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
pub fn read(request: &Request<'_>, received: Received<'_>) -> Result<Vec<Event>, BadPush> {
    let query = Request { body: &[], ..*request };
    let drafts = match request.body()? {
        Body::Xml(text) => xml::read(text, &parameters(&query)?)?,
        Body::Json(text) => json::read(text, parameters(&query)?)?,
        Body::Form(_) => vec![parameters(request)?],
        Body::Empty if request.query.is_empty() => return Err(Problem::Empty.into()),
        Body::Empty => vec![parameters(&query)?],
    };
    finish(drafts, received)
}

/// Reads the body of `POST /api/v1/events`: one object or a list of objects with the keys `kind`,
/// `address`, `user`, `domain`, `device`, `groups`, `posture` and `at` (RFC 3339). A `vpn_down` or
/// `rekey` needs no user: it applies to the current user of the address. Unknown and duplicate keys
/// are rejected; `null` counts as missing.
///
/// # Errors
/// [`PtimError`] has the index of the item, from 0, the key and the problem.
pub fn read_posted(request: &Request<'_>, received: Received<'_>) -> Result<Vec<Event>, BadPush> {
    let drafts = match request.body()? {
        Body::Json(text) => posted::read(text)?,
        Body::Empty => return Err(Problem::Empty.into()),
        Body::Xml(_) | Body::Form(_) => return Err(Problem::Shape.into()),
    };
    finish(drafts, received)
}

fn parameters(request: &Request<'_>) -> Result<Draft, BadPush> {
    let mut draft = Draft::default();
    for (name, value) in Parameters::read(request)?.iter() {
        match meaning(name) {
            Some(Meaning::Field(field @ (Field::Address | Field::Role))) => {
                value.split(',').try_for_each(|item| draft.put(field, item))?;
            }
            Some(Meaning::Field(field)) => draft.put(field, value)?,
            Some(Meaning::Entries) => {}
            None => draft.hint(value)?,
        }
    }
    Ok(draft)
}

fn finish(drafts: Vec<Draft>, received: Received<'_>) -> Result<Vec<Event>, BadPush> {
    let mut events = Vec::with_capacity(drafts.len());
    for (item, draft) in drafts.into_iter().enumerate() {
        draft.finish(received, &mut events).map_err(|bad| bad.at(item))?;
        if events.len() > EVENTS {
            return Err(BadPush::from(Problem::TooMany).at(item));
        }
    }
    if events.is_empty() { Err(Problem::Empty.into()) } else { Ok(events) }
}

#[cfg(test)]
mod tests;
