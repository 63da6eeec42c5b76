//! The consistency check: compares the content of a target with the expected sessions, page by page,
//! at one position.

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall_identity::Cursor;
use rollcall_identity::delivery::TargetPosition;

use super::{DeliveryLoop, missing};
use crate::dialect::{Dialect, TargetContent};
use crate::error::{ErrorResponse, PushError};
use crate::status::{ComparisonStatus, Drift, Outcome};
use crate::telemetry::{ConsistencyCheckFailed, ConsistencyChecked};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The delay before differing pages are compared again. A session whose logoff time has just passed
/// is not among the expected sessions any more, and its end is sent a moment later.
const RECHECK_DELAY: Duration = Duration::from_secs(3);

/// The number of sessions that are read at once.
const PAGE: usize = 10_000;

/// Pages that differed in one comparison.
pub(super) type PageSuspects = BTreeSet<usize>;

impl DeliveryLoop {
    /// Compares the content of the target; twice if a page differs.
    pub(super) async fn check(&mut self) -> Result<(), PushError> {
        let content = match self.read_content().await? {
            Ok(Some(content)) => content,
            Ok(None) => {
                self.checked(Drift {
                    outcome: Outcome::Unsupported,
                    differing: 0,
                    not_compared: 0,
                });
                return Ok(());
            }
            Err(error) => {
                self.check_failed(&error);
                return Ok(());
            }
        };
        let (differing, not_compared) = self.compare(content).await?;
        let Some(before) = self.suspects.take() else {
            if differing.is_empty() {
                self.checked(Drift { outcome: Outcome::Same, differing: 0, not_compared });
            } else {
                self.suspects = Some(differing);
                self.next_check = Some(Clock::instant() + RECHECK_DELAY);
            }
            return Ok(());
        };
        let both = before.intersection(&differing).count();
        let outcome = if both == 0 { Outcome::Same } else { Outcome::Differs };
        self.checked(Drift { outcome, differing: both, not_compared });
        if outcome == Outcome::Differs {
            self.request_resync("drift").await?;
        }
        Ok(())
    }

    /// The content of the target; `None` if it does not report it.
    async fn read_content(
        &mut self,
    ) -> Result<Result<Option<TargetContent>, PushError>, PushError> {
        if self.target.capabilities().check_interval().is_none() {
            return Ok(Ok(None));
        }
        let read = |dialect: &mut dyn Dialect| match dialect.content() {
            Some(target) => target.read_content(),
            None => Err(missing("reading the content")),
        };
        self.workers.run(read).await
    }

    /// The pages that differ, and the number of pages that cannot be compared.
    async fn compare(&self, content: TargetContent) -> Result<(PageSuspects, usize), PushError> {
        let Some(at) = self.delivery.acked() else { return Ok((PageSuspects::new(), 0)) };
        let TargetContent { position, mut comparison } = content;
        if position != TargetPosition::Unsupported && position != TargetPosition::At(at) {
            return Err(PushError::PositionMismatch(ErrorResponse::default()));
        }
        let mut cursor = None;
        loop {
            let page = self.read(cursor, PAGE).await?;
            for session in page.changes.iter().filter_map(|change| change.after.as_ref()) {
                comparison.add(session);
            }
            cursor = Some(page.next);
            if !page.more {
                break;
            }
        }
        let mut not_compared: PageSuspects =
            self.refused.iter().map(|address| comparison.page(*address)).collect();
        // Pages with a later change are left out; they include every address that was read twice.
        let mut cursor: Cursor = at;
        loop {
            let page = self.read(Some(cursor), PAGE).await?;
            if page.resync {
                return Err(PushError::PositionMismatch(ErrorResponse::default()));
            }
            not_compared.extend(page.changes.iter().map(|change| comparison.page(change.address)));
            cursor = page.next;
            if !page.more {
                break;
            }
        }
        let differing = &comparison.differing() - &not_compared;
        Ok((differing, not_compared.len()))
    }

    /// The content could not be read. Delivery continues.
    fn check_failed(&mut self, error: &PushError) {
        self.suspects = None;
        self.reply_to_checks(&Err(error.to_string()));
        ConsistencyCheckFailed { target: self.target.name(), error }.emit();
        self.checked(Drift { outcome: Outcome::Error, differing: 0, not_compared: 0 });
    }

    fn checked(&mut self, drift: Drift) {
        let interval = self.target.capabilities().check_interval();
        self.next_check = interval.map(|interval| Clock::instant() + interval);
        self.target.checked(drift);
        ConsistencyChecked { target: self.target.name(), drift }.emit();
        self.reply_to_checks(&Ok(drift));
    }

    /// Replies to all administrators who wait for a check.
    pub(super) fn reply_to_checks(&mut self, status: &ComparisonStatus) {
        for reply in self.check_replies.drain(..) {
            // The administrator may have disconnected.
            let _ = reply.send(status.clone());
        }
    }
}
