//! The searches that read a domain, one function each, with the reason.

use rollcall_identity::directory::Guid;

use crate::ldap::{Filter, Scope, Search};

/// Whether the `mail` attribute is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mail {
    /// Not requested: only needed attributes are read.
    #[default]
    Left,
    /// Requested.
    Read,
}

/// The requested attributes of users, computers and groups.
pub fn attributes(mail: Mail) -> Vec<String> {
    let names = [
        "objectClass",
        "objectGUID",
        "objectSid",
        "sAMAccountName",
        "userPrincipalName",
        "primaryGroupID",
        "userAccountControl",
        "displayName",
        "dNSHostName",
        "operatingSystem",
        "member",
        "isDeleted",
        "uSNChanged",
    ];
    let mail = (mail == Mail::Read).then_some("mail");
    names.into_iter().chain(mail).map(str::to_owned).collect()
}

/// Users, computers, service accounts and groups; a computer has the class user. The filter uses
/// objectClass because a deleted object keeps it, unlike objectCategory.
fn wanted() -> Filter {
    Filter::Or(vec![Filter::text("objectClass", "user"), Filter::text("objectClass", "group")])
}

fn search(base: &str, scope: Scope, filter: Filter, attributes: &[&str]) -> Search {
    let attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
    Search { base: base.to_owned(), scope, filter, attributes }
}

/// All users, computers and groups below `base`.
pub fn everything(base: &str, mail: Mail) -> Search {
    let attributes = attributes(mail);
    Search { base: base.to_owned(), scope: Scope::Subtree, filter: wanted(), attributes }
}

/// The objects that the server changed after the update sequence number `usn`.
pub fn changed_since(domain: &str, usn: u64, mail: Mail) -> Search {
    let changed = Filter::AtLeast("uSNChanged", usn.saturating_add(1));
    Search { filter: Filter::And(vec![changed, wanted()]), ..everything(domain, mail) }
}

/// Only the GUIDs of all objects below `base`.
pub fn census(base: &str) -> Search {
    search(base, Scope::Subtree, wanted(), &["objectGUID"])
}

/// The container of the deleted objects of `domain`. An ordinary account sees only that it exists
/// (MS-ADTS 3.1.1.1.12): if the class is not readable, deletions are not visible either.
pub fn deleted_objects(domain: &str) -> Search {
    let base = format!("CN=Deleted Objects,{domain}");
    search(&base, Scope::Base, Filter::Present("objectClass"), &["objectClass"])
}

/// The rootDSE of the server.
pub fn root() -> Search {
    let attributes = [
        "defaultNamingContext",
        "configurationNamingContext",
        "dsServiceName",
        "dnsHostName",
        "highestCommittedUSN",
        "currentTime",
        "supportedControl",
    ];
    search("", Scope::Base, Filter::Present("objectClass"), &attributes)
}

/// The invocationId of the server whose NTDS Settings object is at `service`.
pub fn invocation_of(service: &str) -> Search {
    search(service, Scope::Base, Filter::Present("objectClass"), &["invocationId"])
}

/// The SID of the domain at `domain`.
pub fn sid_of(domain: &str) -> Search {
    search(domain, Scope::Base, Filter::Present("objectClass"), &["objectSid"])
}

/// The domains of the forest: partitions with a NetBIOS name.
pub fn partitions(configuration: &str) -> Search {
    let filter =
        Filter::And(vec![Filter::text("objectClass", "crossRef"), Filter::Present("nETBIOSName")]);
    let base = format!("CN=Partitions,{configuration}");
    search(&base, Scope::Children, filter, &["nCName", "dnsRoot", "nETBIOSName"])
}

/// The object `guid`, regardless of its current name (MS-ADTS 3.1.1.3.1.2.4).
pub fn one(guid: Guid, attributes: Vec<String>) -> Search {
    Search {
        base: format!("<GUID={guid}>"),
        scope: Scope::Base,
        filter: Filter::Present("objectClass"),
        attributes,
    }
}

/// The members of a group, starting at the index `from`.
pub fn members_from(group: Guid, from: u32) -> Search {
    let members = format!("member;range={from}-*");
    let attributes = ["objectClass", "objectGUID", "sAMAccountName"].map(str::to_owned);
    one(group, attributes.into_iter().chain([members]).collect())
}

/// The objects `guids` of the domain at `domain`, with all attributes.
pub fn these(domain: &str, guids: &[Guid], mail: Mail) -> Search {
    Search { filter: one_of(guids), ..everything(domain, mail) }
}

/// Only the GUIDs of those objects in `guids` that exist in the domain at `domain`.
pub fn which(domain: &str, guids: &[Guid]) -> Search {
    Search { filter: one_of(guids), ..census(domain) }
}

fn one_of(guids: &[Guid]) -> Filter {
    let each = guids.iter().map(|guid| Filter::Equal("objectGUID", guid.0.to_vec()));
    Filter::Or(each.collect())
}

/// Everything below `domain`, for change notification, which allows no other filter (MS-ADTS
/// 3.1.1.3.4.1.9).
pub fn watched(domain: &str) -> Search {
    search(domain, Scope::Subtree, Filter::Present("objectClass"), &["objectClass"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_begin_after_what_was_read() {
        let search = changed_since("DC=x", 41, Mail::Left);
        let filter = "(&(uSNChanged>=42)(|(objectClass=user)(objectClass=group)))";
        assert_eq!(search.filter.to_string(), filter);
        assert!(!search.attributes.contains(&"mail".to_owned()));
        assert!(everything("DC=x", Mail::Read).attributes.contains(&"mail".to_owned()));
    }

    #[test]
    fn an_object_is_asked_for_by_what_stays() {
        let guid = Guid([0x9a, 0x7e, 0x6a, 0x2b, 0x3c, 0x4d, 0x5e, 0x4f, 1, 2, 3, 4, 5, 6, 7, 8]);
        let search = members_from(guid, 1500);
        assert_eq!(search.base, "<GUID=2b6a7e9a-4d3c-4f5e-0102-030405060708>");
        assert!(search.attributes.contains(&"member;range=1500-*".to_owned()));
        let filter = these("DC=x", &[guid], Mail::Left).filter.to_string();
        assert!(filter.starts_with("(|(objectGUID=\\9a~j+<M^O\\01"), "{filter}");
        let which = which("DC=x", &[guid]);
        assert_eq!(
            (which.filter.to_string(), &which.attributes[..]),
            (filter, &["objectGUID".to_owned()][..])
        );
    }
}
