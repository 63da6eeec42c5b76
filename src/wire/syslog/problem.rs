//! Why a line that a template knows gives no event: a closed set, so that it can be counted.

use strum::{EnumIter, EnumString, IntoStaticStr};

/// The label of the counter of parse problems, and the `none` of a sample line.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumString, EnumIter, thiserror::Error,
)]
#[strum(serialize_all = "snake_case")]
pub enum Problem {
    /// The client that sent it has no templates.
    #[error("the client has no templates")]
    NoTemplate,
    /// No group holds an address, or only ones that mean none.
    #[error("the line names no address")]
    NoAddress,
    /// No group holds a user, or only values that mean none.
    #[error("the line names no user")]
    NoUser,
    /// A device was to be seen, and none is named.
    #[error("the line names no device")]
    NoDevice,
    /// What should be an address is none.
    #[error("the address cannot be read")]
    BadAddress,
    /// A name is not UTF-8, too long, or holds control characters.
    #[error("a name is not UTF-8, too long, or holds control characters")]
    BadName,
    /// The time group cannot be read.
    #[error("the time cannot be read")]
    BadTime,
    /// What should be JSON is none.
    #[error("the JSON cannot be read")]
    BadJson,
    /// The tunnel leads to a network, not to one host: nobody is behind it.
    #[error("a site-to-site tunnel: the traffic selector is not a single address")]
    SiteToSite,
    /// A label stands twice, which only a forged name does: nobody knows which value is true.
    #[error("a label stands twice in the line: a name in it may be forged")]
    Ambiguous,
    /// The line reports a failure or something else that must never begin a session.
    #[error("the line reports no success")]
    NotSuccess,
}

impl Problem {
    /// The label, for instance `no_address`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
