//! What SRX firewalls and scripts push: VPN tunnels that come and go, captive-portal logins.
//!
//! How Junos spells a push is not public. [`read`] takes every candidate: the parameters of the
//! captive portal, JSON, and the XML of the SRX's Web API. [`read_posted`] takes Rollcall's own
//! documented JSON and is strict. Either every event of a body is good or the body is refused as a
//! whole, so that a sender may send it again without doubling anything.

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

/// The most events of one body.
pub const EVENTS: usize = 10_000;

/// What is known about a push besides its text.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// When it arrived; also the time of events that do not say theirs.
    pub seen: Timestamp,
    /// Who sent it.
    pub origin: &'a Arc<Origin>,
    /// The domain of users that are pushed without one.
    pub domain: Option<&'a Name>,
    /// What becomes of events that do not say their time.
    pub untimed: Untimed,
}

/// What becomes of an event that does not say when it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Untimed {
    /// It happened when it arrived.
    #[default]
    Arrival,
    /// It is refused: whoever sends the same bytes again would make it happen again.
    Refused,
}

/// Whether a firewall's request below the query API's prefix is a push, and not a question. It is
/// one when it is a POST or PUT to a path that only pushes have, or has XML, a JSON list, or an
/// address and with it a user or the end or rekey of a tunnel to tell; with any method when it does so at `user`, the documented path of the
/// captive portal.
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

/// Whether the parameters name both an address and a user, or say what no user is needed for.
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

/// Reads what a firewall pushed, in any candidate form. An entry with two addresses (a VPN client
/// with IPv4 and IPv6) is two events. What the query or an envelope tells is true of each entry.
///
/// An entry without a state is a login, except in XML, whose model demands one: the captive portal
/// pushes nothing else, and only successful ones. A tunnel's end or rekey without a user is told of
/// whoever has the address. Members with other names are ignored, unless they
/// tell the only state there is.
///
/// # Errors
/// [`BadPush`] names the entry, the field and the problem; no event of the body may be used.
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
/// `rekey` needs no user: it means whoever has the address. Unknown and repeated keys are refused; `null` is as if the key were not there.
///
/// # Errors
/// [`BadPush`] names the index of the item, from 0, the key and the problem.
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
