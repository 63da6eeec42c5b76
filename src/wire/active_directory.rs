//! Active Directory over LDAP: the searches that read a domain, and how their results are decoded.
//!
//! An object that cannot be decoded is reported as an [`ObjectProblem`]; decoding of the others
//! continues.

mod control;
mod dirsync;
mod distinguished_name;
mod domain;
mod failure;
mod object;
mod searches;

pub use control::{
    CookieError, DIRSYNC, PAGED, SHOW_DELETED, dirsync, dirsync_response, extended_names,
    notification, paged_results, paged_results_cookie, show_deleted,
};
pub use dirsync::{DirSyncEntry, ObjectChange, read_dirsync_entry};
pub use distinguished_name::{DistinguishedName, DnError, is_within};
pub use domain::{
    DomainNaming, RootDse, RootDseError, cross_ref, domain_sid, generalized_time, invocation,
};
pub use failure::{LdapFailure, classify_failure};
pub use object::{MemberRange, ParsedObject, guid, read};
pub use searches::{
    MailAttribute, all_objects, attributes, by_guid, by_guids, change_notification, changed_since,
    deleted_objects, existing_guids, invocation_of, members_from, object_guids, partitions,
    root_dse, sid_of,
};

/// Why an object, or a part of it, is not usable: the label of a counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum ObjectProblem {
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
