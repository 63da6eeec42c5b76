//! The paged searches of one read of a directory, and the limits of the read.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use rollcall_config as config;
use rollcall_identity::directory::{Guid, Member, Object, Update};
use rollcall_wire::active_directory::{self as wire, MemberRange, ObjectChange, ObjectProblem};
use rollcall_wire::ldap::{Control, SearchRequest, SearchResultEntry};

use super::super::DirectoryError;
use super::super::connection::LdapConnection;
use super::mail;
use rollcall_runtime::clock::Clock;

/// The maximum number of GUIDs in one search.
const GUIDS_PER_SEARCH: usize = 200;

/// One read of a directory.
pub(in super::super) struct PagedSearch<'a> {
    settings: &'a config::ActiveDirectory,
    /// The time at which the read began.
    pub(super) began: Instant,
    /// The number of objects that were read.
    pub(super) objects: usize,
    /// The problems of objects that could not be read completely, with their counts.
    pub(super) problems: BTreeMap<ObjectProblem, u64>,
    /// The number of entries and members, which counts against the limit.
    entries: usize,
    /// Objects that exist and could not be read.
    pub(super) unread: Vec<Guid>,
    /// Groups whose remaining members must be read with ranged searches.
    more: Vec<MemberRange>,
}

/// The objects that exist now.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) all: HashSet<Guid>,
    /// The objects below each base, in the order of the bases.
    pub(super) below: Vec<Below>,
    /// The objects found so far below the current base.
    current: Below,
}

/// The objects below one base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Below {
    count: usize,
    /// A sample of them. If the base appears empty later, the sample shows whether the objects are
    /// deleted or hidden.
    sample: Vec<Guid>,
}

/// A base that had at least this many objects and appears empty is verified: the account may have
/// lost its rights.
const MANY: usize = 10;

impl Present {
    /// Notes an object below the current base.
    pub(super) fn note(&mut self, guid: Guid) {
        self.all.insert(guid);
        self.current.count += 1;
        if self.current.sample.len() < GUIDS_PER_SEARCH {
            self.current.sample.push(guid);
        }
    }

    /// Notes that the current base is complete.
    pub(super) fn end_of_base(&mut self) {
        self.below.push(std::mem::take(&mut self.current));
    }

    /// The `bases` that appear empty although at least [`MANY`] objects were there `before`, with
    /// these objects.
    fn emptied<'b>(
        &self,
        bases: &'b [String],
        before: &'b [Below],
    ) -> impl Iterator<Item = (&'b String, &'b Below)> {
        let both = bases.iter().zip(before).zip(&self.below);
        let emptied = both.filter(|((_, before), now)| now.count == 0 && before.count >= MANY);
        emptied.map(|(base, _)| base)
    }
}

impl<'a> PagedSearch<'a> {
    pub(in super::super) fn new(settings: &'a config::ActiveDirectory) -> Self {
        let (problems, unread, more) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { settings, began: Clock::instant(), objects: 0, problems, unread, entries: 0, more }
    }

    /// Reads all results of `request`, page by page.
    pub(in super::super) async fn pages(
        &mut self,
        connection: &mut LdapConnection,
        request: &SearchRequest,
        controls: &[Control],
        mut each: impl FnMut(Update),
    ) -> Result<(), DirectoryError> {
        let mut cookie = Vec::new();
        loop {
            let paged = [
                wire::paged_results(self.settings.limits.page_size, &cookie),
                wire::extended_names(),
            ];
            let controls: Vec<Control> =
                paged.into_iter().chain(controls.iter().cloned()).collect();
            let page = connection.search(request, &controls, |entry| {
                if let Some(update) = self.decode(entry)? {
                    each(update);
                }
                Ok(())
            });
            let done = page.await?;
            cookie = wire::paged_results_cookie(done.control.as_deref())?;
            if cookie.is_empty() {
                return Ok(());
            }
            // Pages may be empty and may repeat without end: each counts against the limit.
            self.check_limits(1)?;
        }
    }

    /// The changes at the server after `usn`.
    pub(super) async fn changed_since(
        &mut self,
        connection: &mut LdapConnection,
        usn: u64,
    ) -> Result<Vec<Update>, DirectoryError> {
        let request = wire::changed_since(&connection.root.domain, usn, mail(self.settings));
        let mut updates = Vec::new();
        self.pages(connection, &request, &[wire::show_deleted()], |u| updates.push(u)).await?;
        self.complete(connection, updates).await
    }

    /// The changes that DirSync reports since `cookie`, and the next cookie.
    pub(super) async fn dirsync_changes(
        &mut self,
        connection: &mut LdapConnection,
        mut cookie: Vec<u8>,
    ) -> Result<(Vec<Update>, Vec<u8>), DirectoryError> {
        let mut request = wire::all_objects(&connection.root.domain, mail(self.settings));
        // A moved or renamed object changes in no other requested attribute.
        request.attributes.push("name".to_owned());
        let (mut updates, mut changed) = (Vec::new(), BTreeSet::new());
        loop {
            let controls = [wire::dirsync(&cookie), wire::extended_names()];
            let found = connection.search(&request, &controls, |entry| {
                self.check_limits(1)?;
                self.objects += 1;
                match wire::read_dirsync_entry(entry) {
                    Ok(delta) => {
                        self.note(&delta.problems);
                        let guid = delta.guid;
                        match delta.change {
                            ObjectChange::Deleted => updates.push(Update::Deleted(guid)),
                            ObjectChange::Modified => drop(changed.insert(guid)),
                            ObjectChange::MembersChanged { added, removed } => {
                                self.check_limits(added.len() + removed.len())?;
                                updates.push(Update::MembersChanged {
                                    group: guid,
                                    added,
                                    removed,
                                });
                            }
                        }
                    }
                    Err(problem) => self.note(&[problem]),
                }
                Ok(())
            });
            let done = found.await?;
            let (more, next) = wire::dirsync_response(done.control.as_deref())?;
            cookie = next;
            if !more {
                break;
            }
            self.check_limits(1)?;
        }
        let reread = self.read_objects(connection, changed).await?;
        Ok((reread.into_iter().chain(updates).collect(), cookie))
    }

    /// The DirSync cookie for all changes from now on. The reported objects are discarded, because
    /// the full read covers them.
    pub(super) async fn initial_dirsync_cookie(
        &mut self,
        connection: &mut LdapConnection,
    ) -> Result<Vec<u8>, DirectoryError> {
        let mut request = wire::all_objects(&connection.root.domain, mail(self.settings));
        request.attributes = vec!["objectGUID".to_owned()];
        let mut cookie = Vec::new();
        loop {
            let controls = [wire::dirsync(&cookie)];
            let done = connection.search(&request, &controls, |_| self.check_limits(1)).await?;
            let (more, next) = wire::dirsync_response(done.control.as_deref())?;
            cookie = next;
            if !more {
                return Ok(cookie);
            }
            self.check_limits(1)?;
        }
    }

    /// Lists the objects that exist now.
    pub(super) async fn list_objects(
        &mut self,
        connection: &mut LdapConnection,
    ) -> Result<Present, DirectoryError> {
        let mut present = Present::default();
        for base in self.settings.effective_search_bases() {
            let (request, mut cookie) = (wire::object_guids(&base), Vec::new());
            loop {
                let controls = [wire::paged_results(self.settings.limits.page_size, &cookie)];
                let page = connection.search(&request, &controls, |entry| {
                    wire::guid(entry).into_iter().for_each(|guid| present.note(guid));
                    self.check_limits(1)
                });
                cookie = wire::paged_results_cookie(page.await?.control.as_deref())?;
                if cookie.is_empty() {
                    break;
                }
                self.check_limits(1)?;
            }
            present.end_of_base();
        }
        Ok(present)
    }

    /// Verifies that objects that are not `present` are deleted, and not hidden from an account
    /// that has lost its rights. The objects of a base that appears empty count as hidden, unless
    /// more than half of a sample of them is found elsewhere or among the deleted objects.
    ///
    /// # Errors
    /// When there is no object at all, or none below a base that had many.
    pub(super) async fn verify_absences(
        &mut self,
        connection: &mut LdapConnection,
        present: &Present,
        (bases, before): (&[String], &[Below]),
    ) -> Result<(), DirectoryError> {
        if present.all.is_empty() {
            return Err(DirectoryError::Nothing(bases.join("; ")));
        }
        for (base, before) in present.emptied(bases, before) {
            let request = wire::existing_guids(&connection.root.domain, &before.sample);
            let mut found = 0;
            let count = |_: &SearchResultEntry<'_>| {
                found += 1;
                self.check_limits(1)
            };
            connection.search(&request, &[wire::show_deleted()], count).await?;
            if found * 2 <= before.sample.len() {
                return Err(DirectoryError::Nothing(base.clone()));
            }
        }
        Ok(())
    }

    /// Reads the objects `guids` completely.
    pub(super) async fn read_objects(
        &mut self,
        connection: &mut LdapConnection,
        guids: BTreeSet<Guid>,
    ) -> Result<Vec<Update>, DirectoryError> {
        let guids: Vec<Guid> = guids.into_iter().collect();
        let mut updates = Vec::new();
        for guids in guids.chunks(GUIDS_PER_SEARCH) {
            let request = wire::by_guids(&connection.root.domain, guids, mail(self.settings));
            self.pages(connection, &request, &[], |update| updates.push(update)).await?;
        }
        self.complete(connection, updates).await
    }

    /// Adds the remaining members to the groups in `updates`, so that no group is applied without
    /// them. An object outside the configured bases becomes a deletion.
    async fn complete(
        &mut self,
        connection: &mut LdapConnection,
        mut updates: Vec<Update>,
    ) -> Result<Vec<Update>, DirectoryError> {
        let rest: BTreeMap<Guid, Vec<Member>> =
            self.remaining_members(connection).await?.into_iter().collect();
        let bases = &self.settings.search_bases;
        for update in &mut updates {
            let Update::Upsert { guid, dn, object, .. } = update else { continue };
            let within = bases.iter().any(|base| wire::is_within(dn, base));
            if !bases.is_empty() && !within {
                *update = Update::Deleted(*guid);
                continue;
            }
            if let (Object::Group { members, .. }, Some(rest)) = (object, rest.get(guid)) {
                members.extend_from_slice(rest);
            }
        }
        Ok(updates)
    }

    /// The remaining members of large groups, group by group.
    pub(in super::super) async fn remaining_members(
        &mut self,
        connection: &mut LdapConnection,
    ) -> Result<Vec<(Guid, Vec<Member>)>, DirectoryError> {
        let mut groups = Vec::new();
        for first in std::mem::take(&mut self.more) {
            let mut members = Vec::new();
            let mut next = Some(first);
            while let Some(MemberRange { group, from }) = next {
                let request = wire::members_from(group, from);
                let mut found = wire::ParsedObject::default();
                let control = [wire::extended_names()];
                connection
                    .search(&request, &control, |entry| {
                        found = wire::read(entry);
                        Ok(())
                    })
                    .await?;
                self.note(&found.problems);
                if let Some(Update::Upsert {
                    object: Object::Group { members: page, .. }, ..
                }) = found.update
                {
                    self.check_limits(page.len() + 1)?;
                    members.extend(page);
                }
                // A server that repeats the same range would cause an endless loop.
                next = found.more.filter(|more| more.from > from);
            }
            groups.push((first.group, members));
        }
        Ok(groups)
    }

    /// Decodes one entry.
    fn decode(&mut self, entry: &SearchResultEntry<'_>) -> Result<Option<Update>, DirectoryError> {
        let parsed = wire::read(entry);
        self.note(&parsed.problems);
        if parsed.update.is_none() && !parsed.problems.is_empty() {
            self.unread.extend(wire::guid(entry).ok());
        }
        self.more.extend(parsed.more);
        let members = match &parsed.update {
            Some(Update::Upsert { object: Object::Group { members, .. }, .. }) => members.len(),
            _ => 0,
        };
        self.check_limits(1 + members)?;
        self.objects += 1;
        Ok(parsed.update)
    }

    fn note(&mut self, problems: &[ObjectProblem]) {
        for problem in problems {
            *self.problems.entry(*problem).or_default() += 1;
        }
    }

    /// Counts entries and members.
    ///
    /// # Errors
    /// When a limit of the read is reached.
    fn check_limits(&mut self, count: usize) -> Result<(), DirectoryError> {
        let config::DirectoryLimits { max_objects: objects, sync_timeout: read, .. } =
            self.settings.limits;
        self.entries = self.entries.saturating_add(count);
        if self.entries > objects {
            return Err(DirectoryError::Endless(format!("{objects} objects and members")));
        }
        if self.began.elapsed() > read {
            return Err(DirectoryError::Endless(format!("{read:?}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_that_appears_empty_is_verified_if_it_had_many_objects() {
        let bases = ["OU=Staff".to_owned(), "OU=Groups".to_owned()];
        let found = |counts: [u8; 2]| {
            let mut present = Present::default();
            for count in counts {
                (0..count).for_each(|number| present.note(Guid([number; 16])));
                present.end_of_base();
            }
            present
        };
        let emptied = |now: [u8; 2], before: &[Below]| -> Vec<(String, usize)> {
            let now = found(now);
            let emptied = now.emptied(&bases, before);
            emptied.map(|(base, before)| (base.clone(), before.sample.len())).collect()
        };
        assert_eq!(emptied([0, 1], &[]), [], "nothing is known at first");
        assert_eq!(emptied([0, 5], &found([9, 5]).below), [], "a few may be deleted");
        assert_eq!(emptied([1, 5], &found([250, 5]).below), []);
        let hidden = [("OU=Staff".to_owned(), GUIDS_PER_SEARCH)];
        assert_eq!(emptied([0, 5], &found([250, 5]).below), hidden);
    }
}
