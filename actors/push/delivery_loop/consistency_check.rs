//! Whether a target holds what it should: digests over pages of sessions, compared at one position.

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall_wire::secure_edge::{DigestPages, SessionDigest};

use super::{DeliveryLoop, PushError};
use crate::status::{Drift, Outcome};
use crate::telemetry::{ConsistencyCheckFailed, ConsistencyChecked};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// After how long pages that differed are compared once more. A session whose logoff time has just
/// passed is shown to nobody any more, and told as ended a moment later.
const ONCE_MORE: Duration = Duration::from_secs(3);

/// How many sessions are read at once.
const PAGE: usize = 10_000;

/// Pages that differed once.
pub(super) type PageSuspects = BTreeSet<usize>;

impl DeliveryLoop {
    /// Compares what the target holds with what it should hold; twice, where something differs.
    pub(super) async fn check(&mut self) -> Result<(), PushError> {
        let theirs = match self.workers.ask(|dialect| dialect.digests()).await? {
            Ok(Some(theirs)) => theirs,
            Ok(None) => {
                self.checked(Drift { outcome: Outcome::Unsupported, differing: 0, unsettled: 0 });
                return Ok(());
            }
            Err(error) => {
                self.unchecked(&error);
                return Ok(());
            }
        };
        let (differing, unsettled) = self.compare(&theirs).await?;
        let suspects = match self.suspects.take() {
            None => differing,
            Some(before) => {
                let both: PageSuspects = before.intersection(&differing).copied().collect();
                let outcome = if both.is_empty() { Outcome::Same } else { Outcome::Differs };
                self.checked(Drift { outcome, differing: both.len(), unsettled });
                if outcome == Outcome::Differs {
                    self.anew("drift").await?;
                }
                return Ok(());
            }
        };
        if suspects.is_empty() {
            self.checked(Drift { outcome: Outcome::Same, differing: 0, unsettled });
        } else {
            self.suspects = Some(suspects);
            self.next_check = Clock::instant() + ONCE_MORE;
        }
        Ok(())
    }

    /// The pages that differ, and how many changed since the target was told.
    async fn compare(&self, theirs: &DigestPages) -> Result<(PageSuspects, usize), PushError> {
        let Some(at) = self.delivery.acked() else { return Ok((PageSuspects::new(), 0)) };
        if theirs.position.as_deref() != Some(at.to_string().as_str()) {
            return Err(PushError::PositionMismatch(None));
        }
        let (mut ours, mut unsettled) = (SessionDigest::default(), BTreeSet::new());
        let mut cursor = None;
        loop {
            let page = self.read(cursor, PAGE).await?;
            for session in page.changes.iter().filter_map(|change| change.after.as_ref()) {
                ours.toggle(session);
            }
            cursor = Some(page.next);
            if !page.more {
                break;
            }
        }
        unsettled.extend(&self.unheld);
        // What changed since, an address that was read twice included, is on pages left out.
        let mut cursor = at;
        loop {
            let page = self.read(Some(cursor), PAGE).await?;
            if page.resync {
                return Err(PushError::PositionMismatch(None));
            }
            unsettled.extend(page.changes.iter().map(|change| SessionDigest::page(change.address)));
            cursor = page.next;
            if !page.more {
                break;
            }
        }
        let differing = ours.differing(&theirs.pages).filter(|page| !unsettled.contains(page));
        Ok((differing.collect(), unsettled.len()))
    }

    /// It holds what it holds: telling goes on, whatever is wrong with its digests.
    fn unchecked(&mut self, error: &PushError) {
        self.suspects = None;
        for asking in self.asking.drain(..) {
            // Whoever asked may have gone.
            let _ = asking.send(Err(error.to_string()));
        }
        ConsistencyCheckFailed { target: self.target.name(), error }.emit();
        self.checked(Drift { outcome: Outcome::Error, differing: 0, unsettled: 0 });
    }

    fn checked(&mut self, drift: Drift) {
        self.next_check = Clock::instant() + self.target.check_every();
        self.target.checked(drift);
        ConsistencyChecked { target: self.target.name(), drift }.emit();
        for asking in self.asking.drain(..) {
            // Whoever asked may have gone.
            let _ = asking.send(Ok(drift));
        }
    }
}
