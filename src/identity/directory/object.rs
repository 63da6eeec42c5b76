//! Objects read from a directory: accounts, groups, and their updates.

use std::fmt;

use super::Sid;
use crate::Name;

/// The object GUID, which survives renames and moves (objectGUID).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    /// In the format of Windows: the first three parts are little-endian (MS-DTYP 2.3.4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, rest @ ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        let (second, third) = (u16::from_le_bytes([e, g]), u16::from_le_bytes([h, i]));
        write!(f, "{first:08x}-{second:04x}-{third:04x}-{:02x}{:02x}-", rest[0], rest[1])?;
        rest[2..].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The names of a domain, read from the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainNames {
    /// `corp.example.com`, in lower case.
    pub dns: Name,
    /// `CORP`, in lower case.
    pub netbios: Name,
    /// The prefix of the SIDs of its accounts.
    pub sid: Sid,
}

/// The kind of account, derived from objectClass, not from a trailing `$`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// A user, or a program that logs on as one.
    User,
    /// A computer.
    Device,
    /// A group managed service account, whose name ends in `$` like a computer's.
    Service,
}

/// Whether an account may be used (userAccountControl).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// The account is enabled.
    Enabled,
    /// The account was disabled by an administrator.
    Disabled,
}

/// A user, computer or service account. Rare attributes are boxed, so that a missing one takes one
/// word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The kind of account.
    pub kind: AccountKind,
    /// sAMAccountName; a computer's ends in `$`.
    pub name: Name,
    /// userPrincipalName, whose suffix may differ from the domain's name.
    pub upn: Option<Name>,
    /// displayName.
    pub display: Option<Name>,
    /// mail, if configured to be read.
    pub mail: Option<Box<Name>>,
    /// dNSHostName of a computer.
    pub host: Option<Box<Name>>,
    /// operatingSystem of a computer.
    pub system: Option<Box<Name>>,
    /// Whether the account may be used.
    pub state: AccountState,
    /// The RID of the primary group, which `member` never lists.
    pub primary_group: Option<u32>,
}

/// A member of a group. Directories list members by DN; the stable identifier is read with it
/// (LDAP_SERVER_EXTENDED_DN_OID), and only that is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// An object of a directory, which may not be known to Rollcall.
    Object(Guid),
    /// An account of another forest, or a well-known principal (a foreignSecurityPrincipal).
    Foreign(Sid),
}

/// The attributes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A user, computer or service account.
    Account(Account),
    /// A group, with all its direct members.
    Group {
        /// sAMAccountName.
        name: Name,
        /// The direct members.
        members: Vec<Member>,
    },
}

/// An update from a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A new object, or the new state of one.
    Upsert {
        /// The object.
        guid: Guid,
        /// The distinguished name (RFC 4514).
        dn: Box<str>,
        /// The security identifier.
        sid: Option<Sid>,
        /// The complete attributes.
        object: Object,
    },
    /// Only the members of a group changed (DirSync with incremental values).
    MembersChanged {
        /// The group.
        group: Guid,
        /// The members added.
        added: Vec<Member>,
        /// The members removed.
        removed: Vec<Member>,
    },
    /// The object was deleted.
    Deleted(Guid),
}
