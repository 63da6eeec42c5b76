//! What DirSync tells of an object: only what changed of it (MS-ADTS 3.1.1.3.4.1.3).

use rollcall_identity::directory::{Guid, Member};

use super::{Distinguished, Problem};
use crate::ldap::Entry;

/// How an object changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Which object.
    pub guid: Guid,
    /// What became of it.
    pub change: Change,
    /// Everything that could not be read of it.
    pub problems: Vec<Problem>,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was deleted.
    Gone,
    /// Something other than its members: it must be read again.
    Otherwise,
    /// Only its members.
    Linked {
        /// Who came.
        added: Vec<Member>,
        /// Who went.
        removed: Vec<Member>,
    },
}

/// Reads one entry of an answer to a search with DirSync and extended names.
///
/// # Errors
/// When the entry does not say which object it is.
pub fn delta(entry: &Entry<'_>) -> Result<Delta, Problem> {
    let guid = super::guid(entry)?;
    let (mut added, mut removed, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gone, mut otherwise) = (false, false);
    for attribute in entry.attributes() {
        let list = match attribute.name.to_ascii_lowercase().as_str() {
            // Added and removed links have these two ranges, whatever their number is.
            "member;range=1-1" => &mut added,
            "member;range=0-0" => &mut removed,
            "isdeleted" => {
                gone |= attribute.values.into_iter().any(|v| v.eq_ignore_ascii_case(b"TRUE"));
                continue;
            }
            // Comes with every entry.
            "objectguid" | "instancetype" | "parentguid" => continue,
            _ => {
                otherwise = true;
                continue;
            }
        };
        for value in attribute.values {
            match Distinguished::parse(value).ok().and_then(|dn| dn.member()) {
                Some(member) => list.push(member),
                None => problems.push(Problem::BadMember),
            }
        }
    }
    let change = match (gone, otherwise) {
        (true, _) => Change::Gone,
        (false, true) => Change::Otherwise,
        // Of what was moved or renamed comes only the object itself, under its new name.
        (false, false) if added.is_empty() && removed.is_empty() => Change::Otherwise,
        (false, false) => Change::Linked { added, removed },
    };
    Ok(Delta { guid, change, problems })
}
