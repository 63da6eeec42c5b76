//! One reading: its searches, page by page, and the bounds within which it must end.

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

/// How many objects are asked for by their identifiers in one search.
const TOGETHER: usize = 200;

/// One reading.
pub(in super::super) struct PagedSearch<'a> {
    settings: &'a config::ActiveDirectory,
    /// When it began.
    pub(super) began: Instant,
    /// How many objects it brought.
    pub(super) objects: usize,
    /// What could not be read of them.
    pub(super) problems: BTreeMap<ObjectProblem, u64>,
    /// Entries and members, against the limit.
    weight: usize,
    /// Objects that are there and could not be read.
    pub(super) unread: Vec<Guid>,
    /// Groups of which the server keeps members for another question.
    more: Vec<MemberRange>,
}

/// Which objects there are now.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) all: HashSet<Guid>,
    /// What is below each of the bases, in their order.
    pub(super) below: Vec<Below>,
    /// What was found below the next one so far.
    here: Below,
}

/// What is below a base.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Below {
    count: usize,
    /// Some of them, by whom the others are judged when nobody is seen there any more.
    some: Vec<Guid>,
}

/// Below a base where there were so many, something is there: who sees nothing may not look.
const MANY: usize = 10;

impl Present {
    /// Notes an object below the base that is read.
    pub(super) fn note(&mut self, guid: Guid) {
        self.all.insert(guid);
        self.here.count += 1;
        if self.here.some.len() < TOGETHER {
            self.here.some.push(guid);
        }
    }

    /// Notes that everything below a base was found.
    pub(super) fn end_of_base(&mut self) {
        self.below.push(std::mem::take(&mut self.here));
    }

    /// Of `bases`, those below which nothing is seen, and what was seen there `before`, when that was
    /// much.
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
        Self { settings, began: Clock::instant(), objects: 0, problems, unread, weight: 0, more }
    }

    /// Everything that `asked` finds, page by page.
    pub(in super::super) async fn pages(
        &mut self,
        connection: &mut LdapConnection,
        asked: &SearchRequest,
        controls: &[Control],
        mut each: impl FnMut(Update),
    ) -> Result<(), DirectoryError> {
        let mut cookie = Vec::new();
        loop {
            let paged =
                [wire::paged_results(self.settings.limits.page, &cookie), wire::extended_names()];
            let controls: Vec<Control> =
                paged.into_iter().chain(controls.iter().cloned()).collect();
            let page = connection.search(asked, &controls, |entry| {
                if let Some(update) = self.take(entry)? {
                    each(update);
                }
                Ok(())
            });
            let done = page.await?;
            cookie = wire::paged_results_cookie(done.control.as_deref())?;
            if cookie.is_empty() {
                return Ok(());
            }
            // A page may be empty, and pages may go round: each weighs something.
            self.weigh(1)?;
        }
    }

    /// What changed at the server after `usn`.
    pub(super) async fn changed_since(
        &mut self,
        connection: &mut LdapConnection,
        usn: u64,
    ) -> Result<Vec<Update>, DirectoryError> {
        let asked = wire::changed_since(&connection.root.domain, usn, mail(self.settings));
        let mut updates = Vec::new();
        self.pages(connection, &asked, &[wire::show_deleted()], |u| updates.push(u)).await?;
        self.complete(connection, updates).await
    }

    /// What DirSync tells since `cookie`, and the cookie to go on with.
    pub(super) async fn synchronized(
        &mut self,
        connection: &mut LdapConnection,
        mut cookie: Vec<u8>,
    ) -> Result<(Vec<Update>, Vec<u8>), DirectoryError> {
        let mut asked = wire::all_objects(&connection.root.domain, mail(self.settings));
        // An object that is moved or renamed changes in nothing else that is asked for.
        asked.attributes.push("name".to_owned());
        let (mut updates, mut changed) = (Vec::new(), BTreeSet::new());
        loop {
            let controls = [wire::dirsync(&cookie), wire::extended_names()];
            let found = connection.search(&asked, &controls, |entry| {
                self.weigh(1)?;
                self.objects += 1;
                match wire::read_dirsync_entry(entry) {
                    Ok(delta) => {
                        self.note(&delta.problems);
                        let guid = delta.guid;
                        match delta.change {
                            ObjectChange::Deleted => updates.push(Update::Deleted(guid)),
                            ObjectChange::Modified => drop(changed.insert(guid)),
                            ObjectChange::MembersChanged { added, removed } => {
                                self.weigh(added.len() + removed.len())?;
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
            self.weigh(1)?;
        }
        let again = self.again(connection, changed).await?;
        Ok((again.into_iter().chain(updates).collect(), cookie))
    }

    /// The cookie of DirSync for everything from now on. What it tells on the way is read anyway.
    pub(super) async fn skip(
        &mut self,
        connection: &mut LdapConnection,
    ) -> Result<Vec<u8>, DirectoryError> {
        let mut asked = wire::all_objects(&connection.root.domain, mail(self.settings));
        asked.attributes = vec!["objectGUID".to_owned()];
        let mut cookie = Vec::new();
        loop {
            let controls = [wire::dirsync(&cookie)];
            let done = connection.search(&asked, &controls, |_| self.weigh(1)).await?;
            let (more, next) = wire::dirsync_response(done.control.as_deref())?;
            cookie = next;
            if !more {
                return Ok(cookie);
            }
            self.weigh(1)?;
        }
    }

    /// Which objects there are now.
    pub(super) async fn census(
        &mut self,
        connection: &mut LdapConnection,
    ) -> Result<Present, DirectoryError> {
        let mut present = Present::default();
        for base in self.settings.places() {
            let (asked, mut cookie) = (wire::object_guids(&base), Vec::new());
            loop {
                let controls = [wire::paged_results(self.settings.limits.page, &cookie)];
                let page = connection.search(&asked, &controls, |entry| {
                    wire::guid(entry).into_iter().for_each(|guid| present.note(guid));
                    self.weigh(1)
                });
                cookie = wire::paged_results_cookie(page.await?.control.as_deref())?;
                if cookie.is_empty() {
                    break;
                }
                self.weigh(1)?;
            }
            present.end_of_base();
        }
        Ok(present)
    }

    /// Looks whether those are gone who are not `present`, and not merely hidden from an account that
    /// has lost its rights: whoever was below a base `before` and is nowhere is taken for hidden,
    /// unless most of them are elsewhere, or are told to be deleted.
    ///
    /// # Errors
    /// When there is nothing at all, or nothing below a base where there was much.
    pub(super) async fn believe(
        &mut self,
        connection: &mut LdapConnection,
        present: &Present,
        (bases, before): (&[String], &[Below]),
    ) -> Result<(), DirectoryError> {
        if present.all.is_empty() {
            return Err(DirectoryError::Nothing(bases.join("; ")));
        }
        for (base, before) in present.emptied(bases, before) {
            let asked = wire::existing_guids(&connection.root.domain, &before.some);
            let mut found = 0;
            let count = |_: &SearchResultEntry<'_>| {
                found += 1;
                self.weigh(1)
            };
            connection.search(&asked, &[wire::show_deleted()], count).await?;
            if found * 2 <= before.some.len() {
                return Err(DirectoryError::Nothing(base.clone()));
            }
        }
        Ok(())
    }

    /// Reads the objects `guids`, whole.
    pub(super) async fn again(
        &mut self,
        connection: &mut LdapConnection,
        guids: BTreeSet<Guid>,
    ) -> Result<Vec<Update>, DirectoryError> {
        let guids: Vec<Guid> = guids.into_iter().collect();
        let mut updates = Vec::new();
        for guids in guids.chunks(TOGETHER) {
            let asked = wire::by_guids(&connection.root.domain, guids, mail(self.settings));
            self.pages(connection, &asked, &[], |update| updates.push(update)).await?;
        }
        self.complete(connection, updates).await
    }

    /// The updates with the members that were kept back, so that nobody sees a group without them;
    /// those that are not below the configured bases are gone.
    async fn complete(
        &mut self,
        connection: &mut LdapConnection,
        mut updates: Vec<Update>,
    ) -> Result<Vec<Update>, DirectoryError> {
        let rest: BTreeMap<Guid, Vec<Member>> =
            self.rest_of_groups(connection).await?.into_iter().collect();
        let bases = &self.settings.bases;
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

    /// The members that the server kept back, group by group.
    pub(in super::super) async fn rest_of_groups(
        &mut self,
        connection: &mut LdapConnection,
    ) -> Result<Vec<(Guid, Vec<Member>)>, DirectoryError> {
        let mut groups = Vec::new();
        for first in std::mem::take(&mut self.more) {
            let mut members = Vec::new();
            let mut next = Some(first);
            while let Some(MemberRange { group, from }) = next {
                let asked = wire::members_from(group, from);
                let mut found = wire::ParsedObject::default();
                let control = [wire::extended_names()];
                connection
                    .search(&asked, &control, |entry| {
                        found = wire::read(entry);
                        Ok(())
                    })
                    .await?;
                self.note(&found.problems);
                if let Some(Update::Upsert {
                    object: Object::Group { members: some, .. }, ..
                }) = found.update
                {
                    self.weigh(some.len() + 1)?;
                    members.extend(some);
                }
                // A server that begins again at the same place would never end.
                next = found.more.filter(|more| more.from > from);
            }
            groups.push((first.group, members));
        }
        Ok(groups)
    }

    /// Reads one entry.
    fn take(&mut self, entry: &SearchResultEntry<'_>) -> Result<Option<Update>, DirectoryError> {
        let reading = wire::read(entry);
        self.note(&reading.problems);
        if reading.update.is_none() && !reading.problems.is_empty() {
            self.unread.extend(wire::guid(entry).ok());
        }
        self.more.extend(reading.more);
        let members = match &reading.update {
            Some(Update::Upsert { object: Object::Group { members, .. }, .. }) => members.len(),
            _ => 0,
        };
        self.weigh(1 + members)?;
        self.objects += 1;
        Ok(reading.update)
    }

    fn note(&mut self, problems: &[ObjectProblem]) {
        for problem in problems {
            *self.problems.entry(*problem).or_default() += 1;
        }
    }

    /// Counts what was read, and ends a reading that would not end.
    fn weigh(&mut self, count: usize) -> Result<(), DirectoryError> {
        let config::DirectoryLimits { objects, read, .. } = self.settings.limits;
        self.weight = self.weight.saturating_add(count);
        if self.weight > objects {
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
    fn a_base_where_nobody_is_any_more_is_looked_at_when_many_were_there() {
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
            emptied.map(|(base, before)| (base.clone(), before.some.len())).collect()
        };
        assert_eq!(emptied([0, 1], &[]), [], "nobody knows better at first");
        assert_eq!(emptied([0, 5], &found([9, 5]).below), [], "a few may have gone");
        assert_eq!(emptied([1, 5], &found([250, 5]).below), []);
        let lost = [("OU=Staff".to_owned(), TOGETHER)];
        assert_eq!(emptied([0, 5], &found([250, 5]).below), lost);
    }
}
