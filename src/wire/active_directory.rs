//! Active Directory over LDAP: which searches tell who is who, and what their answers mean.
//!
//! An object that cannot be read is a [`Problem`] of that object; the reading of the others goes on.

mod control;
mod delta;
mod distinguished;
mod domain;
mod object;
mod question;
mod refusal;

pub use control::{
    BadCookie, DIRSYNC, PAGED, SHOW_DELETED, dirsync, dirsync_answer, extended_names, notification,
    page, page_answer, show_deleted,
};
pub use delta::{Change, Delta, delta};
pub use distinguished::{BadDn, Distinguished, is_within};
pub use domain::{BadRoot, Naming, Root, domain_names, domain_sid, generalized_time, invocation};
pub use object::{Range, Reading, guid, read};
pub use question::{
    Mail, attributes, census, changed_since, deleted_objects, everything, invocation_of,
    members_from, one, partitions, root, sid_of, these, watched, which,
};
pub use refusal::{Refusal, refusal};

/// Why an object, or a part of it, could not be used: the label of a counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum Problem {
    /// The object has no objectGUID, or one that is not 16 bytes.
    NoGuid,
    /// The account or group has no sAMAccountName that can be used.
    NoName,
    /// The distinguished name is longer than [`Distinguished::LIMIT`].
    LongDn,
    /// A distinguished name is not UTF-8, or not what the extended form allows.
    BadDn,
    /// objectSid is not a security identifier.
    BadSid,
    /// A value is not UTF-8.
    NotUtf8,
    /// A name is too long, or holds control characters.
    BadText,
    /// A number is not one.
    BadNumber,
    /// userAccountControl is missing: the account has no right to read it.
    NoState,
    /// A member of a group cannot be told.
    BadMember,
}
