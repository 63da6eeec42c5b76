//! The vocabulary of pushes: names of fields, and words for states.

use rollcall_identity::{Kind, Posture};

use super::error::PtimField;
use crate::http::canonical;

/// The meaning of a name in JSON, XML or a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameMeaning {
    /// A field of an event.
    Field(PtimField),
    /// A list of entries.
    Entries,
}

/// The meaning of `name`, independent of case and separators.
pub(super) fn meaning_of(name: &str) -> Option<NameMeaning> {
    Some(NameMeaning::Field(match canonical(name).as_str() {
        "ip" | "ip-address" | "address" | "tunnel-ip" | "inner-ip" | "assigned-ip" | "ipv4"
        | "ipv6" | "ipv4-address" | "ipv6-address" => PtimField::Address,
        "user" | "user-name" | "username" | "id" => PtimField::User,
        "domain" | "domain-name" => PtimField::Domain,
        "event" | "event-type" | "event-name" | "state" | "operation" | "activity" | "action"
        | "type" => PtimField::State,
        "status" | "result" | "success" => PtimField::Status,
        "device" | "device-name" | "host-name" | "hostname" | "device-identity" => {
            PtimField::Device
        }
        "role" | "roles" | "role-list" | "group" | "groups" => PtimField::Role,
        "posture"
        | "device-state"
        | "compliance"
        | "pre-logon-compliance"
        | "prelogon-compliance" => PtimField::Posture,
        "timestamp" | "time" | "at" | "event-time" => PtimField::Time,
        "entries" | "events" | "userfw-entries" | "report-entries" => {
            return Some(NameMeaning::Entries);
        }
        _ => return None,
    }))
}

/// The kind of event for a state; `None` for an unknown word.
pub(super) fn kind(state: &str) -> Option<Kind> {
    Some(match canonical(state).as_str() {
        "ike-vpn-up-alarm-user"
        | "kmd-vpn-up-alarm-user"
        | "connect"
        | "connected"
        | "up"
        | "vpn-up" => Kind::VpnUp,
        "ike-vpn-down-alarm-user"
        | "kmd-vpn-down-alarm-user"
        | "disconnect"
        | "disconnected"
        | "down"
        | "vpn-down" => Kind::VpnDown,
        "rekey" | "rekeyed" | "vpn-rekey" => Kind::Rekey,
        "logon" | "login" | "log-on" | "log-in" => Kind::Login,
        "logoff" | "logout" | "log-off" | "log-out" => Kind::Logout,
        _ => return None,
    })
}

/// Whether a status or result means success. Unknown words do not: a failed logon must never create
/// a session (CVE-2019-0042).
pub(super) fn succeeded(status: &str) -> bool {
    matches!(
        canonical(status).as_str(),
        "success" | "successful" | "succeeded" | "ok" | "true" | "yes" | "passed" | "accepted"
    )
}

/// A device state, the role `posture-healthy` and the like, or pre-logon compliance. An
/// undocumented state is unknown, never healthy.
pub(super) fn posture(text: &str) -> Posture {
    let word = canonical(text);
    let word = word.strip_prefix("posture-").unwrap_or(&word);
    match word {
        "compliant" | "true" | "pass" | "passed" => Posture::Healthy,
        // The device was checked and does not meet the policy.
        "non-compliant" | "noncompliant" | "not-compliant" | "false" | "fail" | "failed" => {
            Posture::Quarantine
        }
        _ => word.parse().unwrap_or(Posture::Unknown),
    }
}
