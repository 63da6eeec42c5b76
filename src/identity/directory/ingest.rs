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
    place: usize,
    round: IngestRound,
    stage: IngestStage,
}

/// What is to be done next.
#[derive(Debug)]
enum IngestStage {
    /// To take out what is no longer there, from this node on.
    Missing(usize, RemovalReason),
    /// To enter what an image holds.
    Image(RemainingObjects),
    /// To enter what changed, in its order.
    Updates(vec::IntoIter<Update>),
    /// To note that everybody of the domain goes by other names, from this node on.
    Naming(usize),
    /// To draw the consequences.
    Settling(DiffStage, DomainFate),
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
        image: DirectorySnapshot,
    ) -> Result<Ingest, UnknownDomain> {
        self.begin(domain, IngestStage::Missing(0, RemovalReason::Replace(Box::new(image))))
    }

    /// Begins to forget a domain with all its objects.
    ///
    /// # Errors
    /// When it is not known.
    pub fn begin_forget(&self, domain: &Name) -> Result<Ingest, UnknownDomain> {
        self.begin(domain, IngestStage::Missing(0, RemovalReason::Forget))
    }

    fn begin(&self, domain: &Name, stage: IngestStage) -> Result<Ingest, UnknownDomain> {
        let place = self.domains.known(domain)?;
        Ok(Ingest { place, round: IngestRound::default(), stage })
    }
}

/// What an object costs that is entered into all indexes, in looks at one that is there.
const OBJECT: usize = 16;

impl Ingest {
    /// Goes on in the `directory` with which it began, and looks at about `limit` objects, members
    /// and groups of accounts. In the end it tells who is affected, not arranged yet.
    pub fn go_on(
        mut self,
        directory: &mut Directory,
        limit: usize,
    ) -> ControlFlow<AffectedAccounts, Self> {
        let mut left = limit.max(1);
        while left > 0 {
            if self.round.relink(directory, &mut left) {
                continue;
            }
            let Self { place, round, stage } = &mut self;
            let next = match stage {
                IngestStage::Missing(from, goal) => {
                    let until = from.saturating_add(left);
                    left = 0;
                    take_out(directory, round, (*place, goal), *from..until);
                    *from = until;
                    (until >= directory.nodes.len()).then(|| match goal {
                        RemovalReason::Replace(image) => {
                            IngestStage::Image(std::mem::take(image).rest(directory, round))
                        }
                        RemovalReason::Forget => {
                            IngestStage::Settling(DiffStage::default(), DomainFate::Forget)
                        }
                    })
                }
                IngestStage::Image(rest) => {
                    let members = rest.enter_one(directory, round, *place);
                    left = left.saturating_sub(OBJECT + members.unwrap_or_default());
                    members.is_none().then(|| {
                        round.first = directory.domains.read_whole(*place);
                        entered(directory, *place)
                    })
                }
                IngestStage::Updates(updates) => {
                    left = left.saturating_sub(OBJECT);
                    let update = updates.next();
                    let more = update.map(|update| directory.enter_update(round, *place, update));
                    more.is_none().then(|| entered(directory, *place))
                }
                IngestStage::Naming(from) => {
                    let range = *from..from.saturating_add(left);
                    (*from, left) = (range.end, 0);
                    directory.rename_all(round, *place, range);
                    (*from >= directory.nodes.len()).then(settling)
                }
                IngestStage::Settling(consequences, afterwards) => {
                    if consequences.go_on(directory, round, &mut left) {
                        continue;
                    }
                    if let DomainFate::Forget = afterwards {
                        directory.domains.remove(*place);
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
            match self.go_on(directory, usize::MAX) {
                ControlFlow::Continue(rest) => self = rest,
                ControlFlow::Break(mut affected) => {
                    affected.arrange();
                    return affected;
                }
            }
        }
    }
}

/// The stage after everything is entered.
fn entered(directory: &mut Directory, place: usize) -> IngestStage {
    if directory.domains.take_renamed(place) { IngestStage::Naming(0) } else { settling() }
}

/// The last stage.
fn settling() -> IngestStage {
    IngestStage::Settling(DiffStage::default(), DomainFate::Keep)
}

/// Takes the objects of a domain out that are there no longer, of the nodes in `range`.
fn take_out(
    directory: &mut Directory,
    round: &mut IngestRound,
    (place, goal): (usize, &RemovalReason),
    range: Range<usize>,
) {
    let is_wanted = |guid| match goal {
        RemovalReason::Replace(image) => image.holds(guid),
        RemovalReason::Forget => false,
    };
    let theirs = directory.nodes.part(range).filter(|(_, node)| node.domain() == Some(place));
    let gone = theirs.filter(|(_, node)| node.guid().is_some_and(|guid| !is_wanted(guid)));
    for id in gone.map(|(id, _)| id).collect::<Vec<_>>() {
        directory.vanish(round, id);
    }
}
