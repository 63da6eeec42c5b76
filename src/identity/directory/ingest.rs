//! Ingests updates of a domain into the directory in slices, so that lookups do not wait for all of
//! it.

use std::ops::{ControlFlow, Range};
use std::vec;

use super::diff::{DiffStage, IngestRound};
use super::snapshot::RemainingObjects;
use super::{AffectedAccounts, Directory, DirectorySnapshot, UnknownDomain, Update};
use crate::Name;

/// An ingest of one domain in progress.
///
/// The directory can be queried between two slices: an account has either its old or its new
/// groups, and a new account is not visible before its groups are computed. Only one ingest may run
/// at a time.
#[derive(Debug)]
pub struct Ingest {
    domain: usize,
    round: IngestRound,
    stage: IngestStage,
}

/// The current stage.
#[derive(Debug)]
enum IngestStage {
    /// Removing objects that no longer exist, from this node on.
    RemoveMissing(usize, RemovalReason),
    /// Ingesting the objects of a snapshot.
    Snapshot(RemainingObjects),
    /// Ingesting updates in order.
    Updates(vec::IntoIter<Update>),
    /// Marking the accounts of a renamed domain, from this node on.
    MarkRenamed(usize),
    /// Computing the affected accounts.
    Diff(DiffStage, DomainFate),
}

/// Why objects are removed.
#[derive(Debug)]
enum RemovalReason {
    /// They are not in the snapshot.
    Replace(Box<DirectorySnapshot>),
    /// The domain is no longer configured.
    Forget,
}

/// What happens to the domain at the end.
#[derive(Debug, Clone, Copy)]
enum DomainFate {
    Keep,
    Forget,
}

impl Directory {
    /// Begins to ingest updates of the domain with this DNS name.
    ///
    /// An object that is reported by a domain belongs to it from then on, and its deletion from
    /// another domain is ignored. This handles moves between domains, whatever the order of the
    /// reports.
    ///
    /// # Errors
    /// If the domain was never added, or was forgotten. Nothing is ingested.
    pub fn begin_apply(
        &self,
        domain: &Name,
        updates: Vec<Update>,
    ) -> Result<Ingest, UnknownDomain> {
        self.begin(domain, IngestStage::Updates(updates.into_iter()))
    }

    /// Begins to replace the content of the domain with this DNS name by `image`. Only differences
    /// are ingested and reported; unchanged objects remain visible throughout.
    ///
    /// # Errors
    /// If the domain was never added, or was forgotten. Nothing is ingested.
    pub fn begin_replace(
        &self,
        domain: &Name,
        snapshot: DirectorySnapshot,
    ) -> Result<Ingest, UnknownDomain> {
        self.begin(
            domain,
            IngestStage::RemoveMissing(0, RemovalReason::Replace(Box::new(snapshot))),
        )
    }

    /// Begins to remove a domain with all its objects.
    ///
    /// # Errors
    /// If the domain is not known.
    pub fn begin_forget(&self, domain: &Name) -> Result<Ingest, UnknownDomain> {
        self.begin(domain, IngestStage::RemoveMissing(0, RemovalReason::Forget))
    }

    fn begin(&self, domain: &Name, stage: IngestStage) -> Result<Ingest, UnknownDomain> {
        let slot = self.domains.require(domain)?;
        Ok(Ingest { domain: slot, round: IngestRound::default(), stage })
    }
}

/// The cost of ingesting one object, in units of visiting an existing one.
const OBJECT: usize = 16;

impl Ingest {
    /// Continues on the same `directory`, with about `limit` units of work (objects, members and
    /// group memberships). At the end returns the affected accounts, not sorted.
    pub fn step(
        mut self,
        directory: &mut Directory,
        limit: usize,
    ) -> ControlFlow<AffectedAccounts, Self> {
        let mut budget = limit.max(1);
        while budget > 0 {
            if self.round.apply_links(directory, &mut budget) {
                continue;
            }
            let Self { domain: slot, round, stage } = &mut self;
            let next = match stage {
                IngestStage::RemoveMissing(from, goal) => {
                    let end = from.saturating_add(budget);
                    budget = 0;
                    remove_missing(directory, round, (*slot, goal), *from..end);
                    *from = end;
                    (end >= directory.nodes.len()).then(|| match goal {
                        RemovalReason::Replace(snapshot) => IngestStage::Snapshot(
                            std::mem::take(snapshot).into_remaining(directory, round),
                        ),
                        RemovalReason::Forget => {
                            IngestStage::Diff(DiffStage::default(), DomainFate::Forget)
                        }
                    })
                }
                IngestStage::Snapshot(remaining) => {
                    let members = remaining.ingest_next(directory, round, *slot);
                    budget = budget.saturating_sub(OBJECT + members.unwrap_or_default());
                    members.is_none().then(|| {
                        round.first_read = directory.domains.mark_read(*slot);
                        after_ingest(directory, *slot)
                    })
                }
                IngestStage::Updates(updates) => {
                    budget = budget.saturating_sub(OBJECT);
                    let update = updates.next();
                    let more = update.map(|update| directory.ingest_update(round, *slot, update));
                    more.is_none().then(|| after_ingest(directory, *slot))
                }
                IngestStage::MarkRenamed(from) => {
                    let range = *from..from.saturating_add(budget);
                    (*from, budget) = (range.end, 0);
                    directory.mark_renamed(round, *slot, range);
                    (*from >= directory.nodes.len()).then(diff_stage)
                }
                IngestStage::Diff(consequences, afterwards) => {
                    if consequences.step(directory, round, &mut budget) {
                        continue;
                    }
                    if let DomainFate::Forget = afterwards {
                        directory.domains.remove(*slot);
                    }
                    return ControlFlow::Break(self.round.into_affected());
                }
            };
            if let Some(next) = next {
                self.stage = next;
            }
        }
        ControlFlow::Continue(self)
    }

    /// Runs the ingest to completion.
    pub(super) fn finish(mut self, directory: &mut Directory) -> AffectedAccounts {
        loop {
            match self.step(directory, usize::MAX) {
                ControlFlow::Continue(remaining) => self = remaining,
                ControlFlow::Break(mut affected) => {
                    affected.sort();
                    return affected;
                }
            }
        }
    }
}

/// The stage after all objects are ingested.
fn after_ingest(directory: &mut Directory, slot: usize) -> IngestStage {
    if directory.domains.take_renamed(slot) { IngestStage::MarkRenamed(0) } else { diff_stage() }
}

/// The last stage.
fn diff_stage() -> IngestStage {
    IngestStage::Diff(DiffStage::default(), DomainFate::Keep)
}

/// Removes the objects of a domain that no longer exist, among the nodes in `range`.
fn remove_missing(
    directory: &mut Directory,
    round: &mut IngestRound,
    (slot, goal): (usize, &RemovalReason),
    range: Range<usize>,
) {
    let is_wanted = |guid| match goal {
        RemovalReason::Replace(snapshot) => snapshot.contains(guid),
        RemovalReason::Forget => false,
    };
    let in_domain = directory.nodes.range(range).filter(|(_, node)| node.domain() == Some(slot));
    let removed = in_domain.filter(|(_, node)| node.guid().is_some_and(|guid| !is_wanted(guid)));
    for id in removed.map(|(id, _)| id).collect::<Vec<_>>() {
        directory.remove_object(round, id);
    }
}
