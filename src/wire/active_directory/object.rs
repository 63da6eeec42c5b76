//! Converts the attributes of one LDAP entry to a directory update.

use rollcall_identity::Name;
use rollcall_identity::directory::{
    Account, AccountKind, AccountState, Guid, Member, Object, Sid, Update,
};

use super::{DistinguishedName, DnError, ObjectProblem};
use crate::ldap::{AttributeValues, SearchResultEntry};

/// The result of decoding one object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParsedObject {
    /// The update; `None` when the object is not a user, computer or group, or is not usable.
    pub update: Option<Update>,
    /// Members that must be fetched with a ranged search.
    pub more: Option<MemberRange>,
    /// Every part of the object that could not be read.
    pub problems: Vec<ObjectProblem>,
}

/// The remaining members of a large group (range retrieval, MS-ADTS 3.1.1.3.1.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRange {
    /// The group.
    pub group: Guid,
    /// The index of the first missing member.
    pub from: u32,
}

/// ADS_UF_ACCOUNTDISABLE (MS-ADTS 2.2.16).
const DISABLED: u32 = 0x2;
/// ADS_UF_INTERDOMAIN_TRUST_ACCOUNT: the account of a trusted domain, which is not a user.
const TRUST: u32 = 0x800;

/// Decodes an object from an entry that was requested with extended names.
pub fn read(entry: &SearchResultEntry<'_>) -> ParsedObject {
    let mut reading = ParsedObject::default();
    match reading.object(entry) {
        Ok(update) => reading.update = update,
        Err(problem) => reading.problems.push(problem),
    }
    reading
}

impl ParsedObject {
    fn object(&mut self, entry: &SearchResultEntry<'_>) -> Result<Option<Update>, ObjectProblem> {
        let guid = guid(entry)?;
        if is_true(entry.values("isDeleted")) {
            return Ok(Some(Update::Deleted(guid)));
        }
        let Some(kind) = ObjectClass::of(entry) else { return Ok(None) };
        let control = self.number(entry, "userAccountControl");
        if control.is_some_and(|control| control & TRUST != 0) {
            return Ok(None);
        }
        let dn = DistinguishedName::parse(entry.dn).map_err(|why| match why {
            DnError::TooLong => ObjectProblem::LongDn,
            DnError::NotUtf8 | DnError::Malformed => ObjectProblem::BadDn,
        })?;
        let name = self.name(entry, "sAMAccountName").ok_or(ObjectProblem::NoName)?;
        let sid = entry.values("objectSid").next().and_then(|bytes| {
            Sid::from_bytes(bytes).map_err(|_| self.problems.push(ObjectProblem::BadSid)).ok()
        });
        let object = match kind {
            ObjectClass::Group => {
                let members = self.members(entry, guid);
                Object::Group { name, members }
            }
            ObjectClass::Account(kind) => Object::Account(self.account(entry, kind, name, control)),
        };
        Ok(Some(Update::Upsert { guid, dn: dn.name.into(), sid, object }))
    }

    fn account(
        &mut self,
        entry: &SearchResultEntry<'_>,
        kind: AccountKind,
        name: Name,
        control: Option<u32>,
    ) -> Account {
        let state = match control {
            Some(control) if control & DISABLED != 0 => AccountState::Disabled,
            Some(_) => AccountState::Enabled,
            // Fail static: an unreadable state must not disable the account.
            None => {
                self.problems.push(ObjectProblem::NoState);
                AccountState::Enabled
            }
        };
        Account {
            kind,
            name,
            upn: self.name(entry, "userPrincipalName"),
            display: self.name(entry, "displayName"),
            mail: self.name(entry, "mail").map(Box::new),
            host: self.name(entry, "dNSHostName").map(Box::new),
            system: self.name(entry, "operatingSystem").map(Box::new),
            state,
            primary_group: self.number(entry, "primaryGroupID"),
        }
    }

    /// The members of a group, complete or as a range.
    fn members(&mut self, entry: &SearchResultEntry<'_>, group: Guid) -> Vec<Member> {
        let mut members = Vec::new();
        for attribute in &entry.attributes {
            let Some(rest) = attribute.name.get(..6).filter(|n| n.eq_ignore_ascii_case("member"))
            else {
                continue;
            };
            let Some(end) = range_end(&attribute.name[rest.len()..]) else { continue };
            members.extend(attribute.values.iter().filter_map(|value| {
                let member = DistinguishedName::parse(value).ok().and_then(|dn| dn.member());
                if member.is_none() {
                    self.problems.push(ObjectProblem::BadMember);
                }
                member
            }));
            if let RangeEnd::Index(last) = end {
                self.more = Some(MemberRange { group, from: last.saturating_add(1) });
            }
        }
        members
    }

    /// A name; `None` when the attribute is missing or not usable.
    fn name(&mut self, entry: &SearchResultEntry<'_>, attribute: &str) -> Option<Name> {
        let value = entry.values(attribute).next()?;
        let name = match std::str::from_utf8(value) {
            Ok(text) => Name::new(text).map_err(|_| ObjectProblem::BadText),
            Err(_) => Err(ObjectProblem::NotUtf8),
        };
        name.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn number(&mut self, entry: &SearchResultEntry<'_>, attribute: &str) -> Option<u32> {
        let value = std::str::from_utf8(entry.values(attribute).next()?).ok();
        // LDAP integers are signed: a flag in the high bit makes the value negative.
        let number = value.and_then(|text| text.parse::<i32>().ok()).map(i32::cast_unsigned);
        if number.is_none() {
            self.problems.push(ObjectProblem::BadNumber);
        }
        number
    }
}

/// The end of the returned values of `member`.
enum RangeEnd {
    /// The last member of the group.
    Last,
    /// This index; more members follow.
    Index(u32),
}

/// Parses the options after `member` in an attribute name: nothing, `;range=0-1499` or
/// `;range=1500-*`; `None` for another attribute.
fn range_end(options: &str) -> Option<RangeEnd> {
    if options.is_empty() {
        return Some(RangeEnd::Last);
    }
    let range = options.strip_prefix(";range=").or_else(|| options.strip_prefix(";Range="))?;
    match range.split_once('-')?.1 {
        "*" => Some(RangeEnd::Last),
        last => last.parse().ok().map(RangeEnd::Index),
    }
}

enum ObjectClass {
    Group,
    Account(AccountKind),
}

impl ObjectClass {
    /// Determines the kind of an object from its classes. A managed service account also has the
    /// class computer.
    fn of(entry: &SearchResultEntry<'_>) -> Option<Self> {
        let mut kind = None;
        for class in entry.values("objectClass") {
            let found = match class.to_ascii_lowercase().as_slice() {
                b"msds-groupmanagedserviceaccount" | b"msds-managedserviceaccount" => {
                    return Some(Self::Account(AccountKind::Service));
                }
                b"group" => return Some(Self::Group),
                b"computer" => AccountKind::Device,
                b"user" => AccountKind::User,
                _ => continue,
            };
            kind = match kind {
                Some(AccountKind::Device) => kind,
                _ => Some(found),
            };
        }
        kind.map(Self::Account)
    }
}

/// The objectGUID of an entry.
///
/// # Errors
/// The attribute is missing or is not 16 bytes.
pub fn guid(entry: &SearchResultEntry<'_>) -> Result<Guid, ObjectProblem> {
    let bytes = entry.values("objectGUID").next().ok_or(ObjectProblem::NoGuid)?;
    bytes.try_into().map(Guid).map_err(|_| ObjectProblem::NoGuid)
}

fn is_true(mut values: AttributeValues<'_, '_>) -> bool {
    values.next().is_some_and(|value| value.eq_ignore_ascii_case(b"TRUE"))
}

#[cfg(test)]
mod tests;
