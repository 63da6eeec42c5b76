//! Selects which groups an enforcement point receives, in which order, and how many.

use std::fmt;

use hashbrown::HashSet;

use super::{Group, GroupSet};
use crate::{Glob, Name};

/// The base DN below which groups are selected, such as `OU=VPN,DC=example,DC=com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseDn(String);

/// The text is not a base DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name: each part between commas must be of the form OU=name")]
pub struct BadBaseDn;

impl BaseDn {
    /// Parses a distinguished name (RFC 4514), ignoring white space around its parts.
    ///
    /// # Errors
    /// If a part has no attribute or no value.
    pub fn new(text: &str) -> Result<Self, BadBaseDn> {
        let mut parts = Vec::new();
        for part in split_unescaped(text) {
            let (kind, value) = part.split_once('=').ok_or(BadBaseDn)?;
            let (kind, value) = (kind.trim(), value.trim());
            if kind.is_empty() || value.is_empty() {
                return Err(BadBaseDn);
            }
            parts.push(format!("{kind}={value}").to_lowercase());
        }
        Ok(Self(parts.join(",")))
    }

    /// Whether an object with this DN is below the base. Directories write DNs without white space
    /// between parts.
    pub fn contains(&self, dn: &str) -> bool {
        let Some(at) = dn.len().checked_sub(self.0.len()).filter(|at| dn.is_char_boundary(*at))
        else {
            return self.contains_folded(dn);
        };
        let (front, end) = dn.split_at(at);
        is_cut(front) && end.eq_ignore_ascii_case(&self.0) || self.contains_folded(dn)
    }

    /// The same for characters whose lower case has another length.
    fn contains_folded(&self, dn: &str) -> bool {
        !dn.is_ascii() && dn.to_lowercase().strip_suffix(&self.0).is_some_and(is_cut)
    }
}

impl fmt::Display for BaseDn {
    /// The distinguished name, in lower case and without white space between parts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a part may end after `front`: at the start, or at an unescaped comma.
fn is_cut(front: &str) -> bool {
    let Some(front) = front.strip_suffix(',') else { return front.is_empty() };
    let escapes = front.len() - front.trim_end_matches('\\').len();
    escapes.is_multiple_of(2)
}

/// The parts of `text` between unescaped commas.
fn split_unescaped(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        if letter == ',' && !escaped {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(&text[start..]);
    parts
}

/// Selects groups whose name matches one of `names` or whose DN is below one of `bases`. If both
/// are empty, all groups are selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFilter {
    /// Globs over names. Matching groups come first, in the order of the globs.
    pub names: Vec<Glob>,
    /// Base DNs.
    pub bases: Vec<BaseDn>,
    /// The maximum number of names.
    pub limit: usize,
}

/// The groups selected for one account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectedGroups {
    /// The names, without duplicates: those that match a glob in the order of the globs, then the
    /// others, each sorted by name.
    pub names: Vec<Name>,
    /// The number of groups beyond the limit.
    pub omitted: usize,
}

impl Default for GroupFilter {
    /// All groups, at most 200: the maximum that an SRX accepts per user.
    fn default() -> Self {
        Self { names: Vec::new(), bases: Vec::new(), limit: 200 }
    }
}

impl GroupFilter {
    /// Selects from `groups`. Groups of the same name in two domains are one role to a firewall,
    /// and are listed once.
    pub fn select(&self, groups: &GroupSet) -> SelectedGroups {
        let ranked = groups.as_slice().iter().filter_map(|group| Some((self.rank(group)?, group)));
        let mut ranked: Vec<_> = ranked.collect();
        // The sort is stable, and the set is sorted by name.
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut seen = HashSet::new();
        let mut names: Vec<_> = ranked
            .into_iter()
            .filter(|(_, group)| seen.insert(group.name.clone().folded()))
            .map(|(_, group)| group.name.clone())
            .collect();
        let omitted = names.len().saturating_sub(self.limit);
        names.truncate(self.limit);
        SelectedGroups { names, omitted }
    }

    /// The rank of a selected group; `None` if the group is not selected.
    fn rank(&self, group: &Group) -> Option<usize> {
        let named = self.names.iter().position(|glob| glob.matches(group.name.as_str()));
        let all = self.names.is_empty() && self.bases.is_empty();
        let below = || all || self.bases.iter().any(|base| base.contains(&group.dn));
        named.or_else(|| below().then_some(self.names.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{groups, name};

    fn filter(names: &[&str], bases: &[&str], limit: usize) -> GroupFilter {
        let names = names.iter().map(|glob| Glob::new(glob).unwrap()).collect();
        let bases = bases.iter().map(|base| BaseDn::new(base).unwrap()).collect();
        GroupFilter { names, bases, limit }
    }

    fn selected(filter: &GroupFilter, set: &GroupSet) -> (String, usize) {
        let SelectedGroups { names, omitted } = filter.select(set);
        let names: Vec<_> = names.iter().map(Name::as_str).collect();
        (names.join(" "), omitted)
    }

    #[test]
    fn named_groups_come_first_in_configured_order() {
        let set = groups("admins sales staff vpn-a vpn-b");
        let everything = GroupFilter::default();
        assert_eq!(selected(&everything, &set), ("admins sales staff vpn-a vpn-b".to_owned(), 0));
        let named = filter(&["VPN-*", "staff"], &[], 200);
        assert_eq!(selected(&named, &set), ("vpn-a vpn-b staff".to_owned(), 0));
        let also = filter(&["staff", "vpn-*"], &["dc=example, dc=com"], 4);
        assert_eq!(selected(&also, &set), ("staff vpn-a vpn-b admins".to_owned(), 1));
        let none = filter(&["nothing"], &["DC=other"], 200);
        assert_eq!(selected(&none, &set), (String::new(), 0));
    }

    #[test]
    fn one_name_in_two_domains_is_one_role() {
        let group = |text, domain| {
            Arc::new(Group { name: name(text), domain: name(domain), dn: "DC=x".into(), sid: None })
        };
        let set = GroupSet::new(vec![group("Sales", "corp"), group("sales", "lab")]);
        assert_eq!(selected(&GroupFilter { limit: 1, ..GroupFilter::default() }, &set).1, 0);
    }

    #[test]
    fn a_base_contains_dns_with_its_suffix() {
        let base = BaseDn::new(" OU = VPN , DC=Example, DC=com ").unwrap();
        assert!(
            base.contains("CN=a,OU=vpn,DC=example,DC=com")
                && base.contains("ou=vpn,dc=example,dc=com")
        );
        for outside in
            ["CN=a\\,OU=vpn,DC=example,DC=com", "CN=aOU=vpn,DC=example,DC=com", "DC=com", ""]
        {
            assert!(!base.contains(outside), "{outside}");
        }
        assert!(BaseDn::new("OU=Überall,DC=x").unwrap().contains("CN=é,OU=überALL,DC=x"));
        assert!(BaseDn::new("OU=a\\,b,DC=x").unwrap().contains("CN=c,OU=a\\,b,DC=x"));
        for bad in ["", "VPN", "OU=", "=x", "OU=a,,DC=x"] {
            assert_eq!(BaseDn::new(bad), Err(BadBaseDn), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(base: String, dn: String) {
            if let Ok(base) = BaseDn::new(&base) {
                let _ = base.contains(&dn);
            }
            let _ = BaseDn::new(&format!("OU={dn},DC=x")).map(|base| base.contains(&dn));
        }
    }
}
