//! Why a line that matches a template gives no event: a closed set, so that it can be counted.

use strum::{EnumIter, EnumString, IntoStaticStr};

/// The label of the counter of parse errors, and the value of `none` in a sample.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumString, EnumIter, thiserror::Error,
)]
#[strum(serialize_all = "snake_case")]
pub enum SyslogParseError {
    /// The client has no templates.
    #[error("the client has no templates")]
    NoTemplate,
    /// No group has an address, or only placeholder values.
    #[error("the line has no address")]
    NoAddress,
    /// No group has a user, or only placeholder values.
    #[error("the line has no user")]
    NoUser,
    /// A device event without a device.
    #[error("the line has no device")]
    NoDevice,
    /// The address is invalid.
    #[error("the address is invalid")]
    BadAddress,
    /// A name is not UTF-8, too long, or holds control characters.
    #[error("a name is not UTF-8, too long, or has control characters")]
    BadName,
    /// The time is invalid.
    #[error("the time is invalid")]
    BadTime,
    /// The JSON is invalid.
    #[error("the JSON is invalid")]
    BadJson,
    /// The tunnel leads to a network and not to a single host.
    #[error("a site-to-site tunnel: the traffic selector is not a single address")]
    SiteToSite,
    /// A label occurs twice, as in a forged name: the correct value is unknown.
    #[error("a label occurs twice in the line: a name in it may be forged")]
    Ambiguous,
    /// The line reports a failure or another event that must never create a session.
    #[error("the line does not report a success")]
    NotSuccess,
}

impl SyslogParseError {
    /// The label, for instance `no_address`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
