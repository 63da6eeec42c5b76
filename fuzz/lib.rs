//! The fuzz targets and what they share: requests written as plain HTTP, the shipped templates, and
//! the invariants of every event, independent of the bytes that it was read from.

pub mod targets;

use std::sync::Arc;

use rollcall_config::SHIPPED_TEMPLATES;
use rollcall_identity::{Event, Kind, Name, Origin, Producer, Timestamp};
use rollcall_wire::http::RequestParts;
use rollcall_wire::syslog::Template;

/// When everything arrives: 2026-11-21T20:00:00Z.
pub fn seen() -> Timestamp {
    Timestamp::from_millis(1_795_291_200_000)
}

/// A name of our own.
pub fn name(text: &str) -> Name {
    Name::new(text).expect("a word of our own is a name")
}

/// Who sends everything.
pub fn origin(kind: Producer) -> Arc<Origin> {
    let [producer, client, form] = ["fuzz", "fuzz", "fuzz"].map(name);
    Arc::new(Origin { kind, producer, client, form })
}

/// The shipped templates, in the order in which a client without a list tries them.
pub fn shipped() -> Vec<Arc<Template>> {
    let template = |(name, text): &(&str, &str)| match Template::from_toml(text) {
        Ok(template) => Arc::new(template),
        Err(problems) => panic!("{name}: {problems:?}"),
    };
    SHIPPED_TEMPLATES.iter().map(template).collect()
}

/// What must be true of an event, whoever made it up.
///
/// # Panics
/// When it is not: that is the finding.
pub fn check(event: &Event) {
    assert!(event.kind.is_sent(), "no source proposes an expiry");
    let principal = event.principal.as_ref();
    // A tunnel that goes down or is rekeyed names its address; only people log out.
    assert!(principal.is_some() || event.kind != Kind::Logout, "a logout without a user");
    let names = principal
        .into_iter()
        .flat_map(|principal| std::iter::once(&principal.user).chain(&principal.domain))
        .chain(&event.device)
        .chain(event.roles.iter().flat_map(|roles| roles.iter()));
    for one in names {
        assert_eq!(Name::new(one.as_str()).as_ref(), Ok(one), "not a name");
    }
    if let Some(principal) = principal {
        let user = principal.user.as_str();
        assert_eq!(principal.user.clone().folded().as_str(), user, "not in lower case");
    }
    let address = event.address.to_string();
    assert_eq!(address.parse(), Ok(event.address), "not the address it prints");
}

/// The request that `data` is when it is read as plain HTTP: a request line, headers, an empty line
/// and the body. `None` when the head is not UTF-8 or too short.
pub fn request(data: &[u8]) -> Option<RequestParts<'_>> {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &data[data.len()..]),
    };
    let mut lines = std::str::from_utf8(head).ok()?.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = RequestParts { method, path, query, body, ..RequestParts::default() };
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name {
            "Content-Type" => request.content_type = Some(value),
            "Authorization" => request.authorization = Some(value),
            "Cookie" => request.cookie_header = Some(value),
            "X-Cookie" => request.x_cookie_header = Some(value),
            _ => {}
        }
    }
    Some(request)
}
