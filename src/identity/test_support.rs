//! Test fixtures: a branch firewall that sends syslog and pushes events, and its users.

use std::sync::Arc;

use crate::directory::Group;
use crate::{
    Address, Authority, Event, GroupSet, Kind, Membership, Name, Origin, Principal, Producer,
    Rules, Timestamp,
};

/// All test times are milliseconds after this, 2026-11-21T19:50:00Z.
const START: i64 = 1_795_290_600_000;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn principal(text: &str) -> Principal {
    Principal::parse(text, None).unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn millis(after: i64) -> Timestamp {
    Timestamp::from_millis(START + after)
}

pub(crate) fn seconds(after: i64) -> Timestamp {
    millis(after * 1000)
}

pub(crate) fn origin(kind: Producer) -> Arc<Origin> {
    let (producer, client) = (name(kind.as_str()), name("branch-fw"));
    Arc::new(Origin { kind, producer, client, form: name("junos-vpn") })
}

/// The branch firewall is granted all kinds of event, through both of its producers.
pub(crate) fn rules() -> Rules {
    let kinds = [
        Kind::Login,
        Kind::Logout,
        Kind::VpnUp,
        Kind::VpnDown,
        Kind::Rekey,
        Kind::Refresh,
        Kind::DeviceSeen,
    ];
    let mut rules = Rules::default();
    for kind in [Producer::Syslog, Producer::Ptim] {
        let key = (name(kind.as_str()), name("branch-fw"));
        rules.authorities.insert(key, Authority::unrestricted(kinds));
    }
    rules
}

/// An event at 10.0.0.7, `after` seconds after the start, received at once. `text` is the user, a
/// device in angle brackets, both, or empty: `alice@corp<pc1>`.
pub(crate) fn event_at(kind: Kind, text: &str, after: i64) -> Event {
    let (user, device) = text.split_once('<').unwrap_or((text, ""));
    Event {
        principal: (!user.is_empty()).then(|| principal(user)),
        device: (!device.is_empty()).then(|| name(device.trim_end_matches('>'))),
        ..Event::bare(kind, address("10.0.0.7"), seconds(after), origin(Producer::Syslog))
    }
}

/// The event, but received `after` seconds after the start.
pub(crate) fn received(event: Event, after: i64) -> Event {
    Event { seen: seconds(after), ..event }
}

/// The expiry of the session.
pub(crate) fn expiry_event(after: i64) -> Event {
    Event { origin: origin(Producer::Cache), ..event_at(Kind::Expiry, "", after) }
}

/// Groups of one domain by name, such as `sales staff`.
pub(crate) fn groups(names: &str) -> GroupSet {
    let group = |text| Group {
        name: name(text),
        domain: name("corp.example.com"),
        dn: format!("CN={text},OU=Groups,DC=corp,DC=example,DC=com").into(),
        sid: None,
    };
    GroupSet::new(names.split_whitespace().map(|text| Arc::new(group(text))).collect())
}

/// A directory reports the groups of the named user, or of the device alone.
pub(crate) fn membership_event(text: &str, names: &str, after: i64) -> Event {
    let event = event_at(Kind::Membership, text, after);
    let groups = Some(groups(names));
    let membership = match event.principal {
        Some(_) => Membership { user: groups, device: None },
        None => Membership { user: None, device: groups },
    };
    Event { membership, origin: origin(Producer::ActiveDirectory), ..event }
}
