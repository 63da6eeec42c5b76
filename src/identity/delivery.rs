//! The delivery state machine of a push target: which batches to send, how to resume, and what
//! follows a failure. The caller only reads pages, sends batches and waits.
//!
//! ```text
//!              target empty, filter changed, or cursor expired
//! Probing ───────────────────────────────────────────────► StartResync ──► Resyncing
//!   ▲  └── the target reports its position ──► Following ◄── FinishResync ◄───┘ all sent
//!   └────────────── any failure ──────────────────┘
//! ```
//!
//! A change that the target rejects is skipped only after the target accepted another batch in its
//! place. Otherwise the target is considered faulty, and no change is skipped.

mod states;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

pub use self::states::{
    DeliveryFailure, DeliveryMode, DeliveryScope, DeliveryState, FilterChange, MustResend,
    PageOutcome, ResumeOutcome, SendOutcome, StoredPosition, TargetPosition,
};
pub use self::window::{BatchId, OutgoingBatch, SendWindow, SkippedChange};
use crate::{Change, Cursor, Effect, Page};

/// How many changes in a row may be rejected. Beyond that the target is at fault, not the changes:
/// an interface that changed may reject everything but the probes. Then only one more change is
/// skipped per attempt, in case the changes are invalid after all.
const MAX_REJECTIONS: u32 = 8;

/// The delivery state of one push target.
#[derive(Debug)]
pub struct Delivery {
    mode: DeliveryMode,
    state: DeliveryState,
    scope: DeliveryScope,
    /// The target has everything up to here.
    cursor: Option<Cursor>,
    /// Where the next page starts.
    read_cursor: Option<Cursor>,
    /// Whether more changes may follow the last page.
    more: bool,
    /// The batches that are read but not acknowledged.
    window: SendWindow,
    /// Whether the target has just reported its position and no batch was sent since.
    position_confirmed: bool,
    /// Consecutive rejections without an accepted batch.
    rejections: u32,
    /// Consecutive failures without an accepted batch.
    failures: u32,
    /// The last accepted change, as long as no later one may have been applied.
    last_accepted: Option<Change>,
    /// Everything after this cursor is sent again, because a batch with unknown outcome may be
    /// applied late and overwrite newer changes. A target that reports its position rejects such a
    /// batch.
    replay_from: Option<Cursor>,
}

impl Delivery {
    /// The state of a target of which nothing is known.
    pub fn new(mode: DeliveryMode) -> Self {
        Self {
            mode,
            state: DeliveryState::Probing,
            scope: DeliveryScope::Filtered,
            cursor: None,
            read_cursor: None,
            more: false,
            window: SendWindow::new(1, None),
            position_confirmed: false,
            rejections: 0,
            failures: 0,
            last_accepted: None,
            replay_from: None,
        }
    }

    /// Whether the target replaces its content or applies changes to it.
    pub fn mode(&self) -> DeliveryMode {
        self.mode
    }

    /// The state.
    pub fn state(&self) -> DeliveryState {
        self.state
    }

    /// Which changes the target receives.
    pub fn scope(&self) -> DeliveryScope {
        self.scope
    }

    /// The target has everything up to here, as far as is known.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The same, but only from contiguous batches acknowledged in the current send window.
    pub fn acked(&self) -> Option<Cursor> {
        self.window.acked()
    }

    /// The cursor to store for a restart: nothing before it can be undone any more.
    pub fn restart_cursor(&self) -> Option<Cursor> {
        self.replay_from.or(self.cursor)
    }

    /// Consecutive failures without an accepted batch.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The target is at `position` and accepts `width` batches in parallel. The target's position
    /// takes precedence over `stored`: the target may have been restored from a backup, or may have
    /// applied a batch without acknowledging it. What it received before this process started is
    /// known only from `stored`.
    pub fn on_position(
        &mut self,
        position: TargetPosition,
        stored: Option<StoredPosition>,
        width: usize,
    ) -> ResumeOutcome {
        let is_unchanged = || stored.is_some_and(|stored| stored.filter == FilterChange::Unchanged);
        match position {
            TargetPosition::At(cursor) if self.cursor.is_some() || is_unchanged() => {
                self.follow(cursor, width);
                self.position_confirmed = true;
                ResumeOutcome::FromTarget
            }
            TargetPosition::At(_) => self.require_resync("scope"),
            TargetPosition::Empty => self.require_resync("empty"),
            TargetPosition::Unsupported => self.resume(stored, width),
        }
    }

    /// Resumes a target that cannot report its position. Such a target cannot replace its content,
    /// so it receives ends, and after a filter change also the ends of sessions that the filter
    /// excludes.
    fn resume(&mut self, stored: Option<StoredPosition>, width: usize) -> ResumeOutcome {
        let Some(StoredPosition { cursor, scope, filter }) =
            stored.filter(|_| self.cursor.is_none())
        else {
            self.follow(self.cursor.unwrap_or(Cursor::UNKNOWN), width);
            return ResumeOutcome::FromStored;
        };
        // Batches in flight when the previous process ended may still be applied.
        self.replay_from = Some(cursor);
        match filter {
            FilterChange::Unchanged => {
                self.scope = scope;
                self.follow(cursor, width);
                ResumeOutcome::FromStored
            }
            FilterChange::Changed => {
                self.scope = DeliveryScope::FilteredWithRemovals;
                self.follow(cursor.replay(), width);
                ResumeOutcome::Reconcile
            }
        }
    }

    fn require_resync(&mut self, reason: &'static str) -> ResumeOutcome {
        self.request_resync();
        ResumeOutcome::FullResync(reason)
    }

    /// Starts a full resync. No batch may be in flight.
    pub fn request_resync(&mut self) {
        match self.mode {
            DeliveryMode::Replace => self.state = DeliveryState::StartResync,
            DeliveryMode::Upsert => {
                let replayed = self.cursor.map_or(Cursor::UNKNOWN, Cursor::replay);
                self.follow(replayed, self.window.width());
            }
        }
    }

    /// The target has started a resync and accepts `width` batches in parallel.
    pub fn resync_started(&mut self, width: usize) {
        self.read_from(None, width);
        self.state = DeliveryState::Resyncing;
    }

    /// Continues with the changes after `cursor`.
    fn follow(&mut self, cursor: Cursor, width: usize) {
        self.state = DeliveryState::Following;
        self.read_from(Some(cursor), width);
    }

    /// Clears the window; the next batch follows `cursor`.
    fn read_from(&mut self, cursor: Option<Cursor>, width: usize) {
        self.window.restart(width, cursor);
        (self.cursor, self.read_cursor) = (cursor, cursor);
    }

    /// Checks for new changes if no batch is outstanding. Returns whether it did; then the caller
    /// must be woken by any change that is published from now on, also while it reads and sends.
    pub fn poll(&mut self) -> bool {
        let is_idle = self.window.is_empty();
        self.more |= is_idle;
        is_idle
    }

    /// Whether to read a page, starting at [`Delivery::read_after`].
    pub fn wants_page(&self) -> bool {
        self.more && self.window.has_room()
    }

    /// Where the next page starts.
    pub fn read_after(&self) -> Option<Cursor> {
        self.read_cursor
    }

    /// Queues the next page.
    #[must_use]
    pub fn push_page(&mut self, page: Page) -> PageOutcome {
        // A target of which nothing was known has missed no ends.
        let is_known = |read: Cursor| read.epoch != Cursor::UNKNOWN.epoch;
        let is_expired = page.resync && self.read_cursor.is_some_and(is_known);
        if is_expired && self.mode == DeliveryMode::Replace {
            return PageOutcome::CursorExpired;
        }
        (self.more, self.read_cursor) = (page.more, Some(page.next));
        if !page.changes.is_empty() {
            self.window.push(Arc::from(page.changes), page.next);
        }
        if !is_expired {
            return PageOutcome::Queued;
        }
        // Nothing can be replayed from its position, only from the beginning.
        self.replay_from = self.replay_from.map(|_| Cursor::UNKNOWN);
        PageOutcome::TombstonesExpired
    }

    /// The next batch to send, if one may be sent now.
    pub fn next_batch(&mut self) -> Option<OutgoingBatch> {
        self.window.next_batch()
    }

    /// Handles the outcome of a batch. Returns a change that the target skipped.
    ///
    /// # Errors
    /// [`MustResend`] if the batch must be sent again; the caller then calls
    /// [`Delivery::on_failure`] once no batch is in flight.
    pub fn on_outcome(
        &mut self,
        batch: &OutgoingBatch,
        outcome: SendOutcome,
    ) -> Result<Option<SkippedChange>, MustResend> {
        match outcome {
            SendOutcome::Accepted => return Ok(self.on_accepted(batch)),
            SendOutcome::Rejected(reason) if !self.window.has_probe(batch.id) => {
                match &*batch.changes {
                    [] => {}
                    [change] => return self.on_rejected(batch.id, change, reason),
                    [_, _, ..] => {
                        self.window.split(batch.id);
                        return Ok(None);
                    }
                }
            }
            SendOutcome::Unknown => {
                self.replay_from = match self.mode {
                    DeliveryMode::Replace => None,
                    DeliveryMode::Upsert => self.replay_from.or(self.window.acked()),
                };
                self.window.mark_unknown(batch.id);
                return Err(MustResend);
            }
            SendOutcome::Rejected(_) | SendOutcome::NotApplied => {}
        }
        self.window.requeue(batch.id);
        Err(MustResend)
    }

    /// A batch of one change was rejected: the change is invalid, or the target is faulty.
    fn on_rejected(
        &mut self,
        id: BatchId,
        change: &Change,
        reason: String,
    ) -> Result<Option<SkippedChange>, MustResend> {
        self.rejections += 1;
        if self.rejections > MAX_REJECTIONS {
            self.rejections = MAX_REJECTIONS - 1;
            self.window.requeue(id);
            return Err(MustResend);
        }
        self.window.set_probe(id, reason, self.probe(change));
        Ok(None)
    }

    /// The batch that a healthy target accepts in place of a rejected change. For a target with a
    /// position, an empty batch that advances it; otherwise the last accepted change. If there is
    /// none, or its address may have changed since, an end for the rejected address: true or not,
    /// an end grants no user the rights of another.
    fn probe(&self, rejected: &Change) -> Arc<[Change]> {
        let known =
            self.last_accepted.as_ref().filter(|accepted| accepted.address != rejected.address);
        match (self.mode, known) {
            (DeliveryMode::Replace, _) => Arc::from([]),
            (DeliveryMode::Upsert, Some(accepted)) => Arc::from([accepted.clone()]),
            (DeliveryMode::Upsert, None) => {
                let ended = (Effect::Ended, rejected.cause.clone());
                let (revision, address, (effect, cause)) =
                    (rejected.revision, rejected.address, ended);
                Arc::from([Change { revision, address, effect, before: None, after: None, cause }])
            }
        }
    }

    /// The target accepted a batch. The cursor advances if all earlier batches are acknowledged.
    fn on_accepted(&mut self, batch: &OutgoingBatch) -> Option<SkippedChange> {
        self.position_confirmed = false;
        let before = self.window.acked();
        let skipped = self.window.accept(batch.id);
        if self.window.acked() != before {
            self.cursor = self.window.acked();
        }
        if skipped.is_none()
            && let Some(last) = batch.changes.last()
        {
            (self.rejections, self.failures) = (0, 0);
            self.last_accepted = Some(last.clone());
        }
        skipped
    }

    /// Returns whether all available changes are sent. Then the cursor advances to the end of the
    /// last page, even if the page had no change for this target. After a resync, the state becomes
    /// [`DeliveryState::FinishResync`].
    pub fn finish_reading(&mut self) -> bool {
        if self.window.is_empty() {
            self.cursor = self.read_cursor;
        }
        let is_complete = !self.more && self.window.is_empty();
        if is_complete && self.state == DeliveryState::Resyncing {
            self.state = DeliveryState::FinishResync;
        }
        is_complete
    }

    /// The position at which a complete resync ends.
    pub fn resync_end(&self) -> Option<Cursor> {
        self.cursor.filter(|_| self.state == DeliveryState::FinishResync)
    }

    /// The target has confirmed the end of the resync.
    pub fn resync_finished(&mut self) {
        if let Some(cursor) = self.resync_end() {
            self.failures = 0;
            self.follow(cursor, self.window.width());
        }
    }

    /// All changes are sent and accepted. Returns whether removals for excluded sessions were sent
    /// too; from now on only sessions that the filter admits are sent.
    pub fn on_idle(&mut self) -> bool {
        if self.rejections == 0 {
            self.failures = 0;
        }
        self.replay_from.is_none()
            && std::mem::take(&mut self.scope) == DeliveryScope::FilteredWithRemovals
    }

    /// Whether a batch with unknown outcome may still overwrite newer changes.
    pub fn needs_replay(&self) -> bool {
        self.replay_from.is_some()
    }

    /// No batch with unknown outcome can be applied any more: sends everything after it again.
    pub fn replay(&mut self) {
        if let Some(cursor) = self.replay_from.take() {
            self.follow(cursor, self.window.width());
        }
    }

    /// If the target's own position is behind the cursor, because no later change was for it,
    /// queues an empty batch that advances it. Returns whether it did.
    pub fn advance_position(&mut self) -> bool {
        let position = self.cursor.filter(|cursor| {
            self.mode == DeliveryMode::Replace
                && self.state == DeliveryState::Following
                && self.window.is_empty()
                && self.window.acked() != Some(*cursor)
        });
        if let Some(position) = position {
            self.window.push(Arc::from([]), position);
        }
        position.is_some()
    }

    /// A failure occurred, and no batch is in flight.
    pub fn on_failure(&mut self, failure: DeliveryFailure) {
        self.state = match (failure, self.state) {
            // The target has just reported its position and does not continue from it.
            (DeliveryFailure::PositionMismatch, _) if self.position_confirmed => {
                DeliveryState::StartResync
            }
            (
                DeliveryFailure::PositionMismatch,
                DeliveryState::Resyncing | DeliveryState::FinishResync,
            ) => DeliveryState::StartResync,
            // The last batch may have been applied; the identical batch is sent again.
            (
                _,
                DeliveryState::Resyncing | DeliveryState::FinishResync | DeliveryState::StartResync,
            ) => self.state,
            _ => DeliveryState::Probing,
        };
        self.window.clear_rejections();
        (self.position_confirmed, self.last_accepted) = (false, None);
        self.failures = self.failures.saturating_add(1);
    }
}
