//! What is read from a directory: accounts and groups as values, and how they change.

use std::fmt;

use super::Sid;
use crate::Name;

/// The identifier of an object that no renaming and no moving changes (objectGUID).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    /// As Windows writes it: the first three parts are little-endian (MS-DTYP 2.3.4).
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

/// The three names of a domain, read from the directory itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainNames {
    /// `corp.example.com`, in lower case.
    pub dns: Name,
    /// `CORP`, in lower case.
    pub netbios: Name,
    /// What the SIDs of its accounts begin with.
    pub sid: Sid,
}

/// What kind of account it is, told by its objectClass and not by a `$` at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// A person, or a program that logs on as one.
    User,
    /// A computer.
    Device,
    /// A group managed service account, whose name ends in `$` as that of a computer does.
    Service,
}

/// Whether an account may be used (userAccountControl).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// It may.
    Enabled,
    /// An administrator has switched it off.
    Disabled,
}

/// A user, computer or service account. What few have is boxed: where there is none, it takes a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What it is.
    pub kind: AccountKind,
    /// sAMAccountName; a computer's ends in `$`.
    pub name: Name,
    /// userPrincipalName, whose suffix need not be the domain's name.
    pub upn: Option<Name>,
    /// displayName.
    pub display: Option<Name>,
    /// mail, when configured to be read.
    pub mail: Option<Box<Name>>,
    /// dNSHostName of a computer.
    pub host: Option<Box<Name>>,
    /// operatingSystem of a computer.
    pub system: Option<Box<Name>>,
    /// Whether it may be used.
    pub state: AccountState,
    /// The RID of its primary group, which `member` never lists.
    pub primary_group: Option<u32>,
}

/// Whom a group holds. Directories name members by where they are; what stays when they move is
/// read with it (LDAP_SERVER_EXTENDED_DN_OID), and only that is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// An object of a directory that Rollcall may know.
    Object(Guid),
    /// Somebody of another forest, or a well-known principal (a foreignSecurityPrincipal).
    Foreign(Sid),
}

/// What one object of a directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A user, computer or service account.
    Account(Account),
    /// A group, with all its direct members.
    Group {
        /// sAMAccountName.
        name: Name,
        /// Its direct members.
        members: Vec<Member>,
    },
}

/// One thing learnt from a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// The object is so: new, or otherwise than before.
    Upsert {
        /// Which.
        guid: Guid,
        /// Its distinguished name (RFC 4514).
        dn: Box<str>,
        /// Its security identifier.
        sid: Option<Sid>,
        /// What it is now, whole.
        object: Object,
    },
    /// Only the members of a group changed (DirSync with incremental values).
    MembersChanged {
        /// Which group.
        group: Guid,
        /// Who came.
        added: Vec<Member>,
        /// Who went.
        removed: Vec<Member>,
    },
    /// The object was deleted.
    Deleted(Guid),
}
