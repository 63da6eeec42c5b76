//! What was learnt of a domain on its way into the directory, a slice at a time, so that whoever
//! looks something up meanwhile does not wait for the rest.

use std::ops::{ControlFlow, Range};
use std::vec;

use super::diff::{DiffStage, IngestRound};
use super::snapshot::RemainingObjects;
use super::{AffectedAccounts, Directory, DirectorySnapshot, UnknownDomain, Update};
use crate::Name;

/// What was learnt of one domain and is not wholly entered yet.
///
/// Between two slices the directory may be asked: an account has its former groups or those that it
/// has from now on, and one that is new is not known before its groups are. Until it tells who is
/// affected, nothing else may be entered.
#[derive(Debug)]
pub struct Ingest {
    domain: usize,
    round: IngestRound,
    stage: IngestStage,
}

/// What is to be done next.
#[derive(Debug)]
enum IngestStage {
    /// To take out what is no longer there, from this node on.
    RemoveMissing(usize, RemovalReason),
    /// To enter what an image holds.
    Image(RemainingObjects),
    /// To enter what changed, in its order.
    Updates(vec::IntoIter<Update>),
    /// To note that everybody of the domain goes by other names, from this node on.
    MarkRenamed(usize),
    /// To draw the consequences.
    Diff(DiffStage, DomainFate),
}

/// Why objects are taken out.
#[derive(Debug)]
enum RemovalReason {
    /// They are not in what was read.
    Replace(Box<DirectorySnapshot>),
    /// Nobody wants to know of the domain any more.
    Forget,
}

/// What becomes of the domain in the end.
#[derive(Debug, Clone, Copy)]
enum DomainFate {
    Keep,
    Forget,
}

impl Directory {
    /// Begins to enter what changed in the domain with this DNS name.
    ///
    /// An object that is seen in a domain is of that domain from then on, and its deletion from
    /// another says nothing: this is how it moves between domains, in whatever order they tell.
    ///
    /// # Errors
    /// When the domain was never put, or was forgotten: then nothing is entered.
    pub fn begin_apply(
        &self,
        domain: &Name,
        updates: Vec<Update>,
    ) -> Result<Ingest, UnknownDomain> {
        self.begin(domain, IngestStage::Updates(updates.into_iter()))
    }

    /// Begins to make `image` all that is known of the domain with this DNS name. Only what differs
    /// is entered and told; what is the same stays in force throughout.
    ///
    /// # Errors
    /// When the domain was never put, or was forgotten: then nothing is entered.
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

    /// Begins to forget a domain with all its objects.
    ///
    /// # Errors
    /// When it is not known.
    pub fn begin_forget(&self, domain: &Name) -> Result<Ingest, UnknownDomain> {
        self.begin(domain, IngestStage::RemoveMissing(0, RemovalReason::Forget))
    }

    fn begin(&self, domain: &Name, stage: IngestStage) -> Result<Ingest, UnknownDomain> {
        let slot = self.domains.require(domain)?;
        Ok(Ingest { domain: slot, round: IngestRound::default(), stage })
    }
}

/// What an object costs that is entered into all indexes, in looks at one that is there.
const OBJECT: usize = 16;

impl Ingest {
    /// Goes on in the `directory` with which it began, and looks at about `limit` objects, members
    /// and groups of accounts. In the end it tells who is affected, not arranged yet.
    pub fn step(
        mut self,
        directory: &mut Directory,
        limit: usize,
    ) -> ControlFlow<AffectedAccounts, Self> {
        let mut left = limit.max(1);
        while left > 0 {
            if self.round.apply_links(directory, &mut left) {
                continue;
            }
            let Self { domain: slot, round, stage } = &mut self;
            let next = match stage {
                IngestStage::RemoveMissing(from, goal) => {
                    let end = from.saturating_add(left);
                    left = 0;
                    remove_missing(directory, round, (*slot, goal), *from..end);
                    *from = end;
                    (end >= directory.nodes.len()).then(|| match goal {
                        RemovalReason::Replace(snapshot) => IngestStage::Image(
                            std::mem::take(snapshot).into_remaining(directory, round),
                        ),
                        RemovalReason::Forget => {
                            IngestStage::Diff(DiffStage::default(), DomainFate::Forget)
                        }
                    })
                }
                IngestStage::Image(remaining) => {
                    let members = remaining.ingest_next(directory, round, *slot);
                    left = left.saturating_sub(OBJECT + members.unwrap_or_default());
                    members.is_none().then(|| {
                        round.first_read = directory.domains.mark_read(*slot);
                        after_ingest(directory, *slot)
                    })
                }
                IngestStage::Updates(updates) => {
                    left = left.saturating_sub(OBJECT);
                    let update = updates.next();
                    let more = update.map(|update| directory.ingest_update(round, *slot, update));
                    more.is_none().then(|| after_ingest(directory, *slot))
                }
                IngestStage::MarkRenamed(from) => {
                    let range = *from..from.saturating_add(left);
                    (*from, left) = (range.end, 0);
                    directory.mark_renamed(round, *slot, range);
                    (*from >= directory.nodes.len()).then(diff_stage)
                }
                IngestStage::Diff(consequences, afterwards) => {
                    if consequences.step(directory, round, &mut left) {
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

    /// All of it at once.
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

/// The stage after everything is entered.
fn after_ingest(directory: &mut Directory, slot: usize) -> IngestStage {
    if directory.domains.take_renamed(slot) { IngestStage::MarkRenamed(0) } else { diff_stage() }
}

/// The last stage.
fn diff_stage() -> IngestStage {
    IngestStage::Diff(DiffStage::default(), DomainFate::Keep)
}

/// Takes the objects of a domain out that are there no longer, of the nodes in `range`.
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
