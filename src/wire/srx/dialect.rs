//! The format of responses to a firewall. Juniper does not document it, so that the administrator
//! can configure it.

use rollcall_identity::{Name, Posture, Timestamp};
use serde::{Deserialize, Serialize};

/// The format of responses. The default is the most likely one for an SRX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    /// The encoding of the body.
    pub format: Format,
    /// The format of a user.
    pub user: UserForm,
    /// The name used for the domain of a user.
    pub domain: DomainForm,
    /// The format of times.
    pub time: TimeForm,
    /// The response for an address without a session.
    pub miss: NoSessionResponse,
    /// Where the state of a device is written.
    pub posture: PostureForm,
    /// The maximum number of roles in a report. The SRX accepts 200 per user.
    pub roles: usize,
    /// Whether the access token may be in the query.
    pub query_token: QueryToken,
}

/// Whether an access token may be in the query, where proxies may log it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryToken {
    /// The token must be in the header or the body.
    #[default]
    Refused,
    /// For a firewall that supports nothing else.
    Accepted,
}

/// The encoding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `{"report_entries":[...],"cookie":"..."}`
    #[default]
    Json,
    /// `<userfw-entries>`, the model of the SRX Web API.
    Xml,
}

/// The format of a user. Always in lower case; the domain also has its own field.
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

/// The name used for the domain of a user. A domain that no directory knows keeps the name from its
/// source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainForm {
    /// `corp.example.com`
    #[default]
    Dns,
    /// `corp`
    Netbios,
}

/// The format of a time.
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

/// Where a report has the state of the device. Policies of the SRX match only roles, so that the
/// state is also written as a role: `posture-healthy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostureForm {
    /// As the first role, and in a field of its own.
    #[default]
    Both,
    /// As a role.
    Role,
    /// In a field of its own: `Healthy`. An SRX derives the role from what is posted to its Web
    /// API.
    Field,
}

/// The response for an address without a session. For the SRX all of them mean: unknown user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoSessionResponse {
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
            miss: NoSessionResponse::default(),
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

    /// Three pieces that form the user name.
    pub(super) fn user<'a>(&self, user: &'a Name, domain: Option<&'a Name>) -> [&'a str; 3] {
        let user = user.as_str();
        match (self.user, domain.map(Name::as_str)) {
            (UserForm::Bare, _) | (_, None) => ["", "", user],
            (UserForm::DownLevel, Some(domain)) => [domain, "\\", user],
            (UserForm::UserAtDomain, Some(domain)) => [user, "@", domain],
        }
    }

    /// The device state for its own field.
    pub(super) fn field(&self, posture: Option<Posture>) -> Option<Posture> {
        posture.filter(|_| self.posture != PostureForm::Role)
    }

    /// The device state for the role.
    pub(super) fn role(&self, posture: Option<Posture>) -> Option<Posture> {
        posture.filter(|_| self.posture != PostureForm::Field)
    }

    /// Appends the time, without quotes.
    pub(super) fn time(&self, at: Timestamp, out: &mut Vec<u8>) {
        match self.time {
            TimeForm::Rfc3339 => {
                let printer = jiff::fmt::temporal::DateTimePrinter::new();
                printer.print_timestamp(&at.into(), out).expect("writing to a Vec does not fail");
            }
            TimeForm::UnixSeconds => text(out, at.millis().div_euclid(1000)),
            TimeForm::UnixMilliseconds => text(out, at.millis()),
        }
    }
}

/// Appends the address. `Display` for IPv4 took an eighth of the time of a page.
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
    write!(out, "{value}").expect("writing to a Vec does not fail");
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
        fn times_round_trip(millis in -62_135_596_800_000..253_402_300_799_000_i64) {
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
