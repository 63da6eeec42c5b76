//! The decision about an event and the rule that made it: closed sets, so that they can be counted.

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

/// The decision about an event. `received = applied + deduplicated + refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The table changed, by this rule.
    Applied(Rule),
    /// The table holds this already, from the same event or a newer one about the same user.
    Deduplicated,
    /// The event is not allowed to change the table, or has no effect.
    Refused(Refusal),
}

/// Why the table changed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumIter,
    EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Rule {
    /// The address had no user: a session began.
    FirstUser,
    /// A later login of another user took the address over.
    LaterUser,
    /// The same user was seen again: the session was extended.
    SameUser,
    /// The tunnel was rekeyed: the session was extended.
    Rekeyed,
    /// The user was confirmed: the session was extended.
    Refreshed,
    /// The device, its posture or the user's groups became known or changed.
    Detail,
    /// A directory reported a new name or new groups of the user or the device.
    Directory,
    /// A device was seen at an address without a user.
    DeviceOnly,
    /// A null user replaced a valid one (only if `preserve_valid_user` is off).
    NullUser,
    /// The user logged out, or the tunnel went down.
    LoggedOut,
    /// The session expired.
    LogoffTime,
    /// Too many users logged in within a minute: the address gets no session until logins pause.
    AddressShared,
}

/// Why an event was refused. The texts are written for administrators who read them in `explain`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumIter,
    EnumString,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The source is not, or no longer, configured.
    #[error("the source is not configured")]
    SourceUnknown,
    /// The source is not granted this kind of event.
    #[error("the source is not granted this kind of event")]
    KindNotGranted,
    /// The address is outside the networks granted to the source.
    #[error("the source is not granted this network")]
    NetworkNotGranted,
    /// The domain is not granted to the source.
    #[error("the source is not granted this domain")]
    DomainNotGranted,
    /// A device was reported by a source that is not granted devices.
    #[error("the source is not granted devices")]
    DeviceNotGranted,
    /// The source began as many sessions as its quota allows.
    #[error("the source has as many sessions as its quota allows")]
    SourceQuota,
    /// The server has as many sessions as it may hold.
    #[error("the server has as many sessions as it may hold")]
    SessionLimit,
    /// A loopback, link-local, multicast or unspecified address, or one of this machine.
    #[error("this address cannot have a session")]
    AddressUnusable,
    /// A rule ignores the user.
    #[error("a rule ignores this user")]
    UserIgnored,
    /// A rule ignores the domain.
    #[error("a rule ignores this domain")]
    DomainIgnored,
    /// A rule ignores the network.
    #[error("a rule ignores this network")]
    NetworkIgnored,
    /// The event is older than the limit of its source.
    #[error("the event is older than the configured limit")]
    TooOld,
    /// The event is further in the future than the allowed clock skew.
    #[error("the event is in the future: check the clock and time zone of the source")]
    FromFuture,
    /// A newer event was decided already.
    #[error("a newer event was decided already")]
    Late,
    /// A user with a stronger proof is active, or has logged out.
    #[error("a user with stronger evidence has the address")]
    Weaker,
    /// Too many users logged in, so the address is treated as shared.
    #[error("too many users logged in, so the address is treated as shared")]
    AddressShared,
    /// A logout, rekey or refresh of a user who does not have the address.
    #[error("another user has the address")]
    OtherUser,
    /// A logout, rekey or refresh for an address without a session.
    #[error("the address has no session")]
    NoSession,
    /// A null user does not replace a valid one.
    #[error("a null user does not replace a valid one")]
    NullUser,
    /// The event names neither a user nor a device.
    #[error("the event names neither a user nor a device")]
    #[strum(to_string = "no_subject", serialize = "nobody")] // journals contain both
    NoSubject,
    /// An expiry that came too early: the session was extended meanwhile.
    #[error("the session was extended meanwhile")]
    NotDue,
}

impl Rule {
    /// The name used in metrics and JSON, for example `later_user`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Refusal {
    /// The name used in metrics and JSON, for example `too_old`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Verdict {
    /// `applied`, `deduplicated` or `refused`: the label of the accounting counter.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Applied(_) => "applied",
            Self::Deduplicated => "deduplicated",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether the decision treats the address as shared.
    pub(crate) const fn is_shared(self) -> bool {
        matches!(self, Self::Applied(Rule::AddressShared) | Self::Refused(Refusal::AddressShared))
    }

    /// The rule or the refusal, for example `later_user` or `too_old`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Applied(rule) => rule.as_str(),
            Self::Deduplicated => "known_already",
            Self::Refused(refusal) => refusal.as_str(),
        }
    }
}
