//! The searches that read a domain, one function each, with the reason.

use rollcall_identity::directory::Guid;

use crate::ldap::{Filter, SearchRequest, SearchScope};

/// Whether the `mail` attribute is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailAttribute {
    /// Not requested: only needed attributes are read.
    #[default]
    Skip,
    /// Requested.
    Read,
}

/// The requested attributes of users, computers and groups.
pub fn attributes(mail: MailAttribute) -> Vec<String> {
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
    let mail = (mail == MailAttribute::Read).then_some("mail");
    names.into_iter().chain(mail).map(str::to_owned).collect()
}

/// Users, computers, service accounts and groups; a computer has the class user. The filter uses
/// objectClass because a deleted object keeps it, unlike objectCategory.
fn object_filter() -> Filter {
    Filter::Or(vec![Filter::text("objectClass", "user"), Filter::text("objectClass", "group")])
}

fn search(base: &str, scope: SearchScope, filter: Filter, attributes: &[&str]) -> SearchRequest {
    let attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
    SearchRequest { base: base.to_owned(), scope, filter, attributes }
}

/// All users, computers and groups below `base`.
pub fn all_objects(base: &str, mail: MailAttribute) -> SearchRequest {
    let attributes = attributes(mail);
    SearchRequest {
        base: base.to_owned(),
        scope: SearchScope::Subtree,
        filter: object_filter(),
        attributes,
    }
}

/// The objects that the server changed after the update sequence number `usn`.
pub fn changed_since(domain: &str, usn: u64, mail: MailAttribute) -> SearchRequest {
    let changed = Filter::AtLeast("uSNChanged", usn.saturating_add(1));
    SearchRequest {
        filter: Filter::And(vec![changed, object_filter()]),
        ..all_objects(domain, mail)
    }
}

/// Only the GUIDs of all objects below `base`.
pub fn object_guids(base: &str) -> SearchRequest {
    search(base, SearchScope::Subtree, object_filter(), &["objectGUID"])
}

/// The container of the deleted objects of `domain`. An ordinary account sees only that it exists
/// (MS-ADTS 3.1.1.1.12): if the class is not readable, deletions are not visible either.
pub fn deleted_objects(domain: &str) -> SearchRequest {
    let base = format!("CN=Deleted Objects,{domain}");
    search(&base, SearchScope::Base, Filter::Present("objectClass"), &["objectClass"])
}

/// The rootDSE of the server.
pub fn root_dse() -> SearchRequest {
    let attributes = [
        "defaultNamingContext",
        "configurationNamingContext",
        "dsServiceName",
        "dnsHostName",
        "highestCommittedUSN",
        "currentTime",
        "supportedControl",
    ];
    search("", SearchScope::Base, Filter::Present("objectClass"), &attributes)
}

/// The invocationId of the server whose NTDS Settings object is at `service`.
pub fn invocation_of(service: &str) -> SearchRequest {
    search(service, SearchScope::Base, Filter::Present("objectClass"), &["invocationId"])
}

/// The SID of the domain at `domain`.
pub fn sid_of(domain: &str) -> SearchRequest {
    search(domain, SearchScope::Base, Filter::Present("objectClass"), &["objectSid"])
}

/// The domains of the forest: partitions with a NetBIOS name.
pub fn partitions(configuration: &str) -> SearchRequest {
    let filter =
        Filter::And(vec![Filter::text("objectClass", "crossRef"), Filter::Present("nETBIOSName")]);
    let base = format!("CN=Partitions,{configuration}");
    search(&base, SearchScope::Children, filter, &["nCName", "dnsRoot", "nETBIOSName"])
}

/// The object `guid`, regardless of its current name (MS-ADTS 3.1.1.3.1.2.4).
pub fn by_guid(guid: Guid, attributes: Vec<String>) -> SearchRequest {
    SearchRequest {
        base: format!("<GUID={guid}>"),
        scope: SearchScope::Base,
        filter: Filter::Present("objectClass"),
        attributes,
    }
}

/// The members of a group, starting at the index `from`.
pub fn members_from(group: Guid, from: u32) -> SearchRequest {
    let members = format!("member;range={from}-*");
    let attributes = ["objectClass", "objectGUID", "sAMAccountName"].map(str::to_owned);
    by_guid(group, attributes.into_iter().chain([members]).collect())
}

/// The objects `guids` of the domain at `domain`, with all attributes.
pub fn by_guids(domain: &str, guids: &[Guid], mail: MailAttribute) -> SearchRequest {
    SearchRequest { filter: one_of(guids), ..all_objects(domain, mail) }
}

/// Only the GUIDs of those objects in `guids` that exist in the domain at `domain`.
pub fn existing_guids(domain: &str, guids: &[Guid]) -> SearchRequest {
    SearchRequest { filter: one_of(guids), ..object_guids(domain) }
}

fn one_of(guids: &[Guid]) -> Filter {
    let each = guids.iter().map(|guid| Filter::Equal("objectGUID", guid.0.to_vec()));
    Filter::Or(each.collect())
}

/// Everything below `domain`, for change notification, which allows no other filter (MS-ADTS
/// 3.1.1.3.4.1.9).
pub fn change_notification(domain: &str) -> SearchRequest {
    search(domain, SearchScope::Subtree, Filter::Present("objectClass"), &["objectClass"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_search_starts_after_the_last_usn() {
        let search = changed_since("DC=x", 41, MailAttribute::Skip);
        let filter = "(&(uSNChanged>=42)(|(objectClass=user)(objectClass=group)))";
        assert_eq!(search.filter.to_string(), filter);
        assert!(!search.attributes.contains(&"mail".to_owned()));
        assert!(all_objects("DC=x", MailAttribute::Read).attributes.contains(&"mail".to_owned()));
    }

    #[test]
    fn object_is_searched_by_guid() {
        let guid = Guid([0x9a, 0x7e, 0x6a, 0x2b, 0x3c, 0x4d, 0x5e, 0x4f, 1, 2, 3, 4, 5, 6, 7, 8]);
        let search = members_from(guid, 1500);
        assert_eq!(search.base, "<GUID=2b6a7e9a-4d3c-4f5e-0102-030405060708>");
        assert!(search.attributes.contains(&"member;range=1500-*".to_owned()));
        let filter = by_guids("DC=x", &[guid], MailAttribute::Skip).filter.to_string();
        assert!(filter.starts_with("(|(objectGUID=\\9a~j+<M^O\\01"), "{filter}");
        let which = existing_guids("DC=x", &[guid]);
        assert_eq!(
            (which.filter.to_string(), &which.attributes[..]),
            (filter, &["objectGUID".to_owned()][..])
        );
    }
}
