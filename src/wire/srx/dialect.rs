//! How answers are spelt for a firewall: what Juniper does not publish, an administrator can set.

use rollcall_identity::{Name, Posture, Timestamp};
use serde::{Deserialize, Serialize};

/// The spelling of answers. The default is what is likeliest for an SRX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    /// The encoding of the body.
    pub format: Format,
    /// How a user is written.
    pub user: UserForm,
    /// What the domain of a user is called.
    pub domain: DomainForm,
    /// How times are written.
    pub time: TimeForm,
    /// How it is said that nobody is at an address.
    pub miss: Miss,
    /// Where the state of a device is said.
    pub posture: PostureForm,
    /// The most roles in one report. The SRX takes 200 of a user.
    pub roles: usize,
    /// Whether the access token may stand in the query.
    pub query_token: QueryToken,
}

/// Whether an access token may stand in the query, where whatever is on the way may log it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryToken {
    /// It must stand in the header or the body.
    #[default]
    Refused,
    /// For a firewall that can do nothing else.
    Accepted,
}

/// The encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `{"report_entries":[...],"cookie":"..."}`
    #[default]
    Json,
    /// `<userfw-entries>`, the model of the SRX's Web API.
    Xml,
}

/// How a user is written. All of it is in lower case, and the domain always has its own field too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserForm {
    /// `alice`
    #[default]
    Bare,
    /// `corp.example.com\alice`
    DownLevel,
    /// `alice@corp.example.com`
    UserAtDomain,
}

/// What the domain of a user is called. One that no directory knows is called what its source calls
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainForm {
    /// `corp.example.com`
    #[default]
    Dns,
    /// `corp`
    Netbios,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    /// `2026-11-21T19:50:32.353Z` (RFC 3339)
    #[default]
    Rfc3339,
    /// Whole seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
}

/// Where a report says in what state the device is. A policy of the SRX matches roles and nothing else,
/// so that the state reaches it as a role: `posture-healthy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostureForm {
    /// As a role, before all others, and in a field of its own.
    #[default]
    Both,
    /// As a role.
    Role,
    /// In a field of its own: `Healthy`. An SRX makes the role itself of what its Web API is posted.
    Field,
}

/// The answer about an address where nobody is. For the SRX all of them mean: unknown user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// 200 without a report.
    #[default]
    Empty,
    /// 200 with one report of the null user: the address, and an empty user.
    NullUser,
    /// 404 without a report.
    NotFound,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: Format::default(),
            user: UserForm::default(),
            domain: DomainForm::default(),
            time: TimeForm::default(),
            miss: Miss::default(),
            posture: PostureForm::default(),
            roles: 200,
            query_token: QueryToken::default(),
        }
    }
}

impl Dialect {
    /// The value of `Content-Type`.
    pub const fn content_type(&self) -> &'static str {
        match self.format {
            Format::Json => "application/json",
            Format::Xml => "application/xml; charset=utf-8",
        }
    }

    /// Three pieces that together write the user.
    pub(super) fn user<'a>(&self, user: &'a Name, domain: Option<&'a Name>) -> [&'a str; 3] {
        let user = user.as_str();
        match (self.user, domain.map(Name::as_str)) {
            (UserForm::Bare, _) | (_, None) => ["", "", user],
            (UserForm::DownLevel, Some(domain)) => [domain, "\\", user],
            (UserForm::UserAtDomain, Some(domain)) => [user, "@", domain],
        }
    }

    /// The state that is said in a field of its own.
    pub(super) fn field(&self, posture: Option<Posture>) -> Option<Posture> {
        posture.filter(|_| self.posture != PostureForm::Role)
    }

    /// The state that is said as a role.
    pub(super) fn role(&self, posture: Option<Posture>) -> Option<Posture> {
        posture.filter(|_| self.posture != PostureForm::Field)
    }

    /// Appends the time, without quotes.
    pub(super) fn time(&self, at: Timestamp, out: &mut Vec<u8>) {
        match self.time {
            TimeForm::Rfc3339 => {
                let printer = jiff::fmt::temporal::DateTimePrinter::new();
                printer.print_timestamp(&at.into(), out).expect("a Vec takes all bytes");
            }
            TimeForm::UnixSeconds => text(out, at.millis().div_euclid(1000)),
            TimeForm::UnixMilliseconds => text(out, at.millis()),
        }
    }
}

/// Appends the address. Printing IPv4 by `Display` took an eighth of the time of a
/// page.
pub(super) fn address(out: &mut Vec<u8>, address: rollcall_identity::Address) {
    let std::net::IpAddr::V4(v4) = address.ip() else { return text(out, address) };
    for (at, octet) in v4.octets().into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        if octet >= 100 {
            out.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            out.push(b'0' + octet / 10 % 10);
        }
        out.push(b'0' + octet % 10);
    }
}

/// Appends what `value` displays as.
pub(super) fn text(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    use std::io::Write;
    write!(out, "{value}").expect("a Vec takes all bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rollcall_identity::Address;
    use std::net::{Ipv4Addr, Ipv6Addr};

    proptest! {
        #[test]
        fn addresses_are_written_as_they_display(v4: [u8; 4], v6: [u16; 8]) {
            for at in [Address::from(Ipv4Addr::from(v4)), Address::from(Ipv6Addr::from(v6))] {
                let mut out = Vec::new();
                address(&mut out, at);
                prop_assert_eq!(String::from_utf8(out).unwrap(), at.to_string());
            }
        }

        #[test]
        fn times_read_back(millis in -62_135_596_800_000..253_402_300_799_000_i64) {
            let at = Timestamp::from_millis(millis);
            for (time, wanted) in [
                (TimeForm::Rfc3339, at.to_string()),
                (TimeForm::UnixSeconds, millis.div_euclid(1000).to_string()),
                (TimeForm::UnixMilliseconds, millis.to_string()),
            ] {
                let mut out = Vec::new();
                Dialect { time, ..Dialect::default() }.time(at, &mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), wanted);
            }
        }
    }
}
