//! Entries of a DirSync response: only the changed attributes of each object (MS-ADTS
//! 3.1.1.3.4.1.3).

use rollcall_identity::directory::{Guid, Member};

use super::{DistinguishedName, ObjectProblem};
use crate::ldap::SearchResultEntry;

/// The change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirSyncEntry {
    /// The object.
    pub guid: Guid,
    /// What changed.
    pub change: ObjectChange,
    /// Every part of the entry that could not be read.
    pub problems: Vec<ObjectProblem>,
}

/// The kind of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectChange {
    /// The object was deleted.
    Deleted,
    /// An attribute other than the members changed: the object must be read again.
    Modified,
    /// Only the members changed.
    MembersChanged {
        /// Added members.
        added: Vec<Member>,
        /// Removed members.
        removed: Vec<Member>,
    },
}

/// Reads one entry of a response to a search with DirSync and extended names.
///
/// # Errors
/// The entry has no usable objectGUID.
pub fn read_dirsync_entry(entry: &SearchResultEntry<'_>) -> Result<DirSyncEntry, ObjectProblem> {
    let guid = super::guid(entry)?;
    let (mut added, mut removed, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gone, mut otherwise) = (false, false);
    for attribute in &entry.attributes {
        let list = match attribute.name.to_ascii_lowercase().as_str() {
            // Added and removed links use these two ranges, regardless of their count.
            "member;range=1-1" => &mut added,
            "member;range=0-0" => &mut removed,
            "isdeleted" => {
                gone |= attribute.values.iter().any(|v| v.eq_ignore_ascii_case(b"TRUE"));
                continue;
            }
            // Present in every entry.
            "objectguid" | "instancetype" | "parentguid" => continue,
            _ => {
                otherwise = true;
                continue;
            }
        };
        for value in &attribute.values {
            match DistinguishedName::parse(value).ok().and_then(|dn| dn.member()) {
                Some(member) => list.push(member),
                None => problems.push(ObjectProblem::BadMember),
            }
        }
    }
    let change = match (gone, otherwise) {
        (true, _) => ObjectChange::Deleted,
        (false, true) => ObjectChange::Modified,
        // For a moved or renamed object, the server returns only the object with its new name.
        (false, false) if added.is_empty() && removed.is_empty() => ObjectChange::Modified,
        (false, false) => ObjectChange::MembersChanged { added, removed },
    };
    Ok(DirSyncEntry { guid, change, problems })
}
