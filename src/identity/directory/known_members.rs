//! The accounts that a directory had, persisted so that after a restart deleted accounts can be
//! distinguished from renamed ones.

use std::collections::{BTreeMap, BTreeSet};

use super::nodes::{AccountNode, NodeKind};
use super::{
    Account, AccountChange, AccountKind, AccountNames, AccountState, Difference, Differences,
    Directory, Guid, UnknownDomain,
};
use crate::Name;

/// One of 256 parts of the known members, so that a rename rewrites only one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KnownMembersPart(u8);

impl KnownMembersPart {
    /// The part of an account, which never changes. All but six bits of a GUID are random (RFC 9562
    /// section 5.4), including the last byte.
    pub fn of(guid: Guid) -> Self {
        Self(guid.0[15])
    }

    /// All parts, in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// The name of the part in the journal, as a source that a producer reads.
    pub fn source(self) -> Name {
        Name::new(&format!("{SOURCE}{:02x}", self.0)).expect("a word of our own is a name")
    }

    /// Whether `name` is the journal name of a part.
    pub fn is_source(name: &Name) -> bool {
        name.as_str().starts_with(SOURCE)
    }
}

/// The prefix of the parts' names in the journal.
const SOURCE: &str = "roster ";

/// The version of the encoding; other versions are not read.
const FORM: u8 = 1;

/// The encoding of the kinds of account.
const KINDS: [AccountKind; 3] = [AccountKind::User, AccountKind::Device, AccountKind::Service];

/// The bytes are not a valid part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid part of the known members")]
pub struct BadKnownMembers;

/// The accounts that a directory had when it was last read. A recently renamed account may be
/// listed under both names, because it is not known which name the sessions had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownMembers(BTreeMap<Guid, BTreeSet<KnownMember>>);

/// The stored data of an account: the names by which sessions refer to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KnownMember {
    kind: AccountKind,
    /// The sAMAccountName, in lower case.
    name: Name,
    /// The dNSHostName of a computer, in lower case.
    host: Option<Name>,
}

impl KnownMembers {
    /// Adds the accounts of a stored part.
    ///
    /// # Errors
    /// If the part is damaged or of another version. Nothing is added.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), BadKnownMembers> {
        for (guid, members) in read(bytes)? {
            self.0.entry(guid).or_default().insert(members);
        }
        Ok(())
    }

    /// The part `now` plus the accounts of `before` that are missing or different in it, as far as
    /// they fit into `limit` bytes. It is stored until the sessions reflect `now`: if Rollcall is
    /// killed meanwhile, some sessions may still have the former names.
    ///
    /// # Errors
    /// If either part is invalid.
    pub fn merge(before: &[u8], now: &[u8], limit: usize) -> Result<Vec<u8>, BadKnownMembers> {
        let mut bytes = now.to_vec();
        let now: BTreeSet<(Guid, KnownMember)> = read(now)?.into_iter().collect();
        for (guid, members) in read(before)? {
            let one = members.write(guid);
            let known = (guid, members);
            if !now.contains(&known) && bytes.len() + one.len() <= limit {
                bytes.extend(one);
            }
        }
        Ok(bytes)
    }

    /// Whether the part has no accounts, as written by [`KnownMembersWriter::finish`].
    pub fn is_empty_part(part: &[u8]) -> bool {
        part == [FORM]
    }

    /// The number of accounts.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no accounts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The accounts that `directory`, which has read `domain` completely, no longer has or has
    /// under other names, with their former names.
    ///
    /// # Errors
    /// If the domain is not known.
    pub fn changes_since(
        &self,
        directory: &Directory,
        domain: &Name,
    ) -> Result<Vec<AccountChange>, UnknownDomain> {
        let slot = directory.domains.require(domain)?;
        let change = self.0.iter().filter_map(|(guid, members)| {
            let id = directory.nodes.object(*guid);
            let now = id.and_then(|id| directory.nodes.at(id).account());
            let current = now.filter(|now| now.domain == slot).map(KnownMember::from_account);
            let dropped: Vec<_> =
                members.iter().filter(|it| current.as_ref() != Some(it)).collect();
            let kind = now.map_or(dropped.first()?.kind, |now| now.attrs.kind);
            let mut former = AccountNames::default();
            for names in dropped.iter().map(|members| directory.names_of(&members.to_account(slot)))
            {
                former.principals.extend(names.principals);
                former.hosts.extend(names.hosts);
            }
            let difference = now.map_or(Difference::Deleted, |_| Difference::Renamed);
            let differences = Differences::default().with(difference);
            Some(AccountChange {
                guid: *guid,
                kind,
                differences,
                former_names: Some(Box::new(former)),
            })
        });
        Ok(change.collect())
    }
}

impl KnownMember {
    fn from_account(account: &AccountNode) -> Self {
        let Account { kind, name, host, .. } = &account.attrs;
        let host = host.as_deref().filter(|_| *kind == AccountKind::Device);
        Self { kind: *kind, name: name.clone().folded(), host: host.cloned().map(Name::folded) }
    }

    /// An account of this name in the domain in `slot`, without other attributes.
    fn to_account(&self, slot: usize) -> AccountNode {
        let Self { kind, name, host } = self.clone();
        let host = host.map(Box::new);
        let (upn, display, mail, system, primary_group) = (None, None, None, None, None);
        let state = AccountState::Enabled;
        let account =
            Account { kind, name, upn, display, mail, host, system, state, primary_group };
        AccountNode { domain: slot, ..AccountNode::new("".into(), None, account) }
    }

    fn write(&self, Guid(guid): Guid) -> Vec<u8> {
        let mut bytes = guid.to_vec();
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or_default();
        bytes.push(kind as u8);
        write_name(Some(&self.name), &mut bytes);
        write_name(self.host.as_ref(), &mut bytes);
        bytes
    }
}

/// The accounts of a part, in stored order.
fn read(part: &[u8]) -> Result<Vec<(Guid, KnownMember)>, BadKnownMembers> {
    let (form, mut rest) = part.split_first().ok_or(BadKnownMembers)?;
    if *form != FORM {
        return Err(BadKnownMembers);
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (guid, after) = rest.split_first_chunk().ok_or(BadKnownMembers)?;
        let (kind, after) = after.split_first().ok_or(BadKnownMembers)?;
        let (name, after) = read_name(after)?;
        let (host, after) = read_name(after)?;
        let kind = *KINDS.get(usize::from(*kind)).ok_or(BadKnownMembers)?;
        found.push((Guid(*guid), KnownMember { kind, name: name.ok_or(BadKnownMembers)?, host }));
        rest = after;
    }
    Ok(found)
}

/// A name, preceded by its length in two bytes; a missing name has length 0.
fn write_name(name: Option<&Name>, bytes: &mut Vec<u8>) {
    let text = name.map_or("", Name::as_str);
    // [`Name::LIMIT`] fits; a few characters are longer in lower case.
    let length = u16::try_from(text.len()).unwrap_or_default();
    bytes.extend(length.to_be_bytes());
    bytes.extend(&text.as_bytes()[..usize::from(length)]);
}

fn read_name(bytes: &[u8]) -> Result<(Option<Name>, &[u8]), BadKnownMembers> {
    let (length, rest) = bytes.split_first_chunk().ok_or(BadKnownMembers)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (text, rest) = rest.split_at_checked(length).ok_or(BadKnownMembers)?;
    let text = std::str::from_utf8(text).map_err(|_| BadKnownMembers)?;
    let name = (length > 0).then(|| Name::new(text)).transpose().map_err(|_| BadKnownMembers)?;
    Ok((name, rest))
}

/// Writes some parts of the known members, in slices.
#[derive(Debug)]
pub struct KnownMembersWriter {
    parts: BTreeMap<KnownMembersPart, Vec<Vec<u8>>>,
    next: usize,
}

impl KnownMembersWriter {
    /// A writer of these parts, all empty.
    pub fn new(parts: impl IntoIterator<Item = KnownMembersPart>) -> Self {
        Self { parts: parts.into_iter().map(|part| (part, Vec::new())).collect(), next: 0 }
    }

    /// Visits `limit` more objects of `directory` and writes those of `domain`. Returns whether
    /// more remain.
    ///
    /// # Errors
    /// If the domain is not known.
    pub fn step(
        &mut self,
        directory: &Directory,
        domain: &Name,
        limit: usize,
    ) -> Result<bool, UnknownDomain> {
        let slot = directory.domains.require(domain)?;
        let end = self.next.saturating_add(limit);
        for (_, node) in directory.nodes.range(self.next..end) {
            if let (NodeKind::Account(account), Some(guid)) = (&node.kind, node.guid())
                && account.domain == slot
                && let Some(part) = self.parts.get_mut(&KnownMembersPart::of(guid))
            {
                part.push(KnownMember::from_account(account).write(guid));
            }
        }
        self.next = end;
        Ok(end < directory.nodes.len())
    }

    /// The encoded parts, each at most `limit` bytes; accounts that do not fit are left out. The
    /// same accounts give the same bytes.
    pub fn finish(self, limit: usize) -> impl Iterator<Item = (KnownMembersPart, Vec<u8>)> {
        self.parts.into_iter().map(move |(part, mut members)| {
            members.sort_unstable();
            let mut bytes = vec![FORM];
            for one in members {
                if bytes.len() + one.len() <= limit {
                    bytes.extend(one);
                }
            }
            (part, bytes)
        })
    }
}

#[cfg(test)]
mod tests;
