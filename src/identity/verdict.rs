//! What was decided about an event, and by which rule: closed sets, so that they can be counted.

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

/// The end of every event: exactly one of three. `received = applied + deduplicated + refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The table changed, by this rule.
    Applied(Rule),
    /// The table holds this already, from the same event or from a newer one about the same user.
    Deduplicated,
    /// The event may not, or need not, change the table.
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
    /// Nobody was there: the session began.
    FirstUser,
    /// A later login of another user took the address over.
    LaterUser,
    /// The same user was seen again: the session was extended.
    SameUser,
    /// The tunnel was rekeyed: the session was extended.
    Rekeyed,
    /// The user was confirmed: the session was extended.
    Refreshed,
    /// The device, its state or the user's groups became known or changed.
    Detail,
    /// A directory knows the user or the device by another name, or in other groups.
    Directory,
    /// A device was seen at an address without a user.
    DeviceOnly,
    /// A null user replaced a valid one (only where `preserve_valid_user` is off).
    NullUser,
    /// The user logged out, or the tunnel went down.
    LoggedOut,
    /// The logoff time passed.
    LogoffTime,
    /// More users came within a minute than one address can have: it serves none until it is quiet.
    AddressShared,
}

/// Why an event was not allowed to change the table. Written so that an administrator who reads it
/// in `explain` knows where to look.
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
    /// The source is not in the configuration (any more).
    #[error("the source is not configured")]
    SourceUnknown,
    /// The source is not granted this kind of event.
    #[error("the source may not speak of this kind of event")]
    KindNotGranted,
    /// The address is outside the networks the source may speak for.
    #[error("the source may not speak for this address")]
    NetworkNotGranted,
    /// The domain is not among those the source may speak for.
    #[error("the source may not speak for this domain")]
    DomainNotGranted,
    /// Loopback, link-local, multicast, unspecified, or of the machine that Rollcall runs on.
    #[error("nobody can be behind this address")]
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
    /// The event is older than its source's limit: history, not news.
    #[error("the event is older than the configured limit")]
    TooOld,
    /// The event is from the future beyond the allowed clock skew.
    #[error("the event is from the future: the source's clock or time zone is wrong")]
    FromFuture,
    /// A newer event decided already.
    #[error("a newer event has decided already")]
    Late,
    /// A stronger proof than this put somebody there who is still seen, or said that they are.
    #[error("a stronger proof than this holds the address")]
    Weaker,
    /// So many users came to the address that it is taken to be shared.
    #[error("so many users came to the address that it is taken to be shared")]
    AddressShared,
    /// A logout, rekey or refresh of somebody who is not the one there.
    #[error("another user has the address")]
    OtherUser,
    /// A logout, rekey or refresh where nobody is.
    #[error("nobody has the address")]
    NoSession,
    /// A null user does not overwrite a valid one.
    #[error("a null user does not overwrite a valid one")]
    NullUser,
    /// The event says neither a user nor a device.
    #[error("the event names neither a user nor a device")]
    Nobody,
    /// An expiry that came too early: the session was extended meanwhile.
    #[error("the session was extended meanwhile")]
    NotDue,
}

impl Rule {
    /// The name used in metrics and JSON, for instance `later_user`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Refusal {
    /// The name used in metrics and JSON, for instance `too_old`.
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

    /// Whether it says that the address is shared.
    pub(crate) const fn is_shared(self) -> bool {
        matches!(self, Self::Applied(Rule::AddressShared) | Self::Refused(Refusal::AddressShared))
    }

    /// The rule or the refusal, for instance `later_user` or `too_old`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Applied(rule) => rule.as_str(),
            Self::Deduplicated => "known_already",
            Self::Refused(refusal) => refusal.as_str(),
        }
    }
}
