//! Active Directory over LDAP: the searches that read a domain, and how their results are decoded.
//!
//! An object that cannot be decoded is reported as an [`ObjectProblem`]; decoding of the others
//! continues.

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

/// Why an object, or a part of it, is not usable: the label of a counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum Problem {
    /// The object has no objectGUID, or one that is not 16 bytes.
    NoGuid,
    /// The account or group has no usable sAMAccountName.
    NoName,
    /// The distinguished name is longer than [`DistinguishedName::LIMIT`].
    LongDn,
    /// A distinguished name is not UTF-8, or is not valid in the extended form.
    BadDn,
    /// objectSid is not a valid security identifier.
    BadSid,
    /// A value is not UTF-8.
    NotUtf8,
    /// A name is too long, or holds control characters.
    BadText,
    /// A value is not a number.
    BadNumber,
    /// userAccountControl is missing: the account that reads has no right to read it.
    NoState,
    /// A member of a group cannot be identified.
    BadMember,
}
