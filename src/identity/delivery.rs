//! How a consumer that does not ask is told everything: where it stands, what it is told next, and what
//! follows when it does not take that. Whoever carries it only reads, speaks and waits.
//!
//! ```text
//!            nothing held, other scope, or too long away
//! Unsure ───────────────────────────────────────────────► Anew ──► Synchronising
//!   ▲  └── the target says where it is ──► Following ◄── Ending ◄─────┘ all is told
//!   └───────── anything went wrong ────────────┘
//! ```
//!
//! A report that is refused alone is given up only after the target took something else in its
//! place; while it does not, the target is ill, and nothing is.

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

/// How many reports in a row may be refused as bad ones. When more are, it is not the reports: a
/// changed interface refuses everything but what is sent in their place, and one more is given up
/// only with each attempt, in case they are bad after all.
const MAX_REJECTIONS: u32 = 8;

/// The way of one target.
#[derive(Debug)]
pub struct Delivery {
    mode: DeliveryMode,
    state: DeliveryState,
    scope: DeliveryScope,
    /// Up to where the target knows everything.
    cursor: Option<Cursor>,
    /// From where to read on.
    read_cursor: Option<Cursor>,
    /// Whether there was more behind what was read last.
    more: bool,
    /// What is read and not yet known to have arrived.
    window: SendWindow,
    /// Whether the target has said where it is, and has not been told anything since.
    position_confirmed: bool,
    /// How many reports were refused one after the other, and none taken between them.
    rejections: u32,
    /// How often something went wrong, and nothing was taken between them.
    failures: u32,
    /// What the target took last, as long as nothing later may have arrived.
    last_accepted: Option<Change>,
    /// From where everything is told again, because a batch that was lost may arrive after what was
    /// told since. A target that has a place takes no such batch.
    replay_from: Option<Cursor>,
}

impl Delivery {
    /// One of whom nothing is known yet.
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

    /// How it begins.
    pub fn mode(&self) -> DeliveryMode {
        self.mode
    }

    /// How it stands.
    pub fn state(&self) -> DeliveryState {
        self.state
    }

    /// What it is being told.
    pub fn scope(&self) -> DeliveryScope {
        self.scope
    }

    /// Up to where it knows everything, as far as that is known.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The same over an unbroken row of batches of this turn alone.
    pub fn acked(&self) -> Option<Cursor> {
        self.window.acked()
    }

    /// The place up to which nothing that it was told can be undone any more, for after a restart.
    pub fn restart_cursor(&self) -> Option<Cursor> {
        self.replay_from.or(self.cursor)
    }

    /// How often something went wrong, and nothing was taken between them.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The target is at `place`, and takes `width` batches at once. Its word counts, not what was
    /// `kept`: it may have been set back to an older state, or have taken what it could not
    /// acknowledge. Of what it was told before this life only what was kept tells.
    pub fn on_position(
        &mut self,
        place: TargetPosition,
        stored: Option<StoredPosition>,
        width: usize,
    ) -> ResumeOutcome {
        let is_unchanged = || stored.is_some_and(|stored| stored.filter == FilterChange::Unchanged);
        match place {
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

    /// Goes on where a target was left that cannot say where it is. It cannot throw anything away
    /// either: it is told of ends, and under another filter of those whom that does not admit.
    fn resume(&mut self, stored: Option<StoredPosition>, width: usize) -> ResumeOutcome {
        let Some(StoredPosition { cursor, scope, filter }) =
            stored.filter(|_| self.cursor.is_none())
        else {
            self.follow(self.cursor.unwrap_or(Cursor::UNKNOWN), width);
            return ResumeOutcome::FromStored;
        };
        // What was on its way when the life before this one ended may arrive yet.
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

    /// It is to be told everything anew. Nothing may be on its way.
    pub fn request_resync(&mut self) {
        match self.mode {
            DeliveryMode::Replace => self.state = DeliveryState::StartResync,
            DeliveryMode::Upsert => {
                let again = self.cursor.map_or(Cursor::UNKNOWN, Cursor::replay);
                self.follow(again, self.window.width());
            }
        }
    }

    /// The target waits for everything; it takes `width` batches at once.
    pub fn resync_started(&mut self, width: usize) {
        self.read_from(None, width);
        self.state = DeliveryState::Resyncing;
    }

    /// Goes on with what is new from `cursor`.
    fn follow(&mut self, cursor: Cursor, width: usize) {
        self.state = DeliveryState::Following;
        self.read_from(Some(cursor), width);
    }

    /// Nothing is on its way, and what is told next follows `cursor`.
    fn read_from(&mut self, cursor: Option<Cursor>, width: usize) {
        self.window.restart(width, cursor);
        (self.cursor, self.read_cursor) = (cursor, cursor);
    }

    /// Looks again for what is new, when nothing waits. What becomes visible after this, and while it
    /// is read and told, must wake whoever carries it once more: returns whether that is so.
    pub fn poll(&mut self) -> bool {
        let is_over = self.window.is_empty();
        self.more |= is_over;
        is_over
    }

    /// Whether a page is to be read: after [`Delivery::read_after`].
    pub fn wants_page(&self) -> bool {
        self.more && self.window.has_room()
    }

    /// Where the next page begins.
    pub fn read_after(&self) -> Option<Cursor> {
        self.read_cursor
    }

    /// Takes the next page.
    #[must_use]
    pub fn push_page(&mut self, page: Page) -> PageOutcome {
        // Of one of whom nothing was known nothing is forgotten since it began.
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
        // From where it was nothing can be told again; from nothing it can.
        self.replay_from = self.replay_from.map(|_| Cursor::UNKNOWN);
        PageOutcome::TombstonesExpired
    }

    /// The next batch that may go on its way.
    pub fn next_batch(&mut self) -> Option<OutgoingBatch> {
        self.window.next_batch()
    }

    /// A batch that was on its way landed so. Returns a report that the target went without.
    ///
    /// # Errors
    /// [`MustResend`] when it has to be told again; [`Delivery::on_failure`] is to follow, when nothing is on
    /// its way any more.
    pub fn on_outcome(
        &mut self,
        batch: &OutgoingBatch,
        outcome: SendOutcome,
    ) -> Result<Option<SkippedChange>, MustResend> {
        match outcome {
            SendOutcome::Accepted => return Ok(self.last_accepted(batch)),
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

    /// A report is refused that was alone: as a bad one, or for what is wrong with the target.
    fn on_rejected(
        &mut self,
        number: BatchId,
        change: &Change,
        reason: String,
    ) -> Result<Option<SkippedChange>, MustResend> {
        self.rejections += 1;
        if self.rejections > MAX_REJECTIONS {
            self.rejections = MAX_REJECTIONS - 1;
            self.window.requeue(number);
            return Err(MustResend);
        }
        self.window.set_probe(number, reason, self.probe(change));
        Ok(None)
    }

    /// What the target takes in the place of a report, unless it is ill: a batch of nothing, which
    /// moves its place, or where it has none what it took last. Of an address that may have news
    /// since, and when nothing was taken, it is told that nobody is there: true or not, that gives
    /// nobody the rights of another.
    fn probe(&self, refused: &Change) -> Arc<[Change]> {
        let known = self.last_accepted.as_ref().filter(|taken| taken.address != refused.address);
        match (self.mode, known) {
            (DeliveryMode::Replace, _) => Arc::from([]),
            (DeliveryMode::Upsert, Some(taken)) => Arc::from([taken.clone()]),
            (DeliveryMode::Upsert, None) => {
                let gone = (Effect::Ended, refused.cause.clone());
                let (revision, address, (effect, cause)) =
                    (refused.revision, refused.address, gone);
                Arc::from([Change { revision, address, effect, before: None, after: None, cause }])
            }
        }
    }

    /// The target has said yes to a batch: it knows more, if it knew everything before.
    fn last_accepted(&mut self, batch: &OutgoingBatch) -> Option<SkippedChange> {
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

    /// Whether everything that was there is told. Then it knows everything up to where was read, also
    /// where none of that was for it; after a synchronisation that has to be ended.
    pub fn finish_reading(&mut self) -> bool {
        if self.window.is_empty() {
            self.cursor = self.read_cursor;
        }
        let is_told = !self.more && self.window.is_empty();
        if is_told && self.state == DeliveryState::Resyncing {
            self.state = DeliveryState::FinishResync;
        }
        is_told
    }

    /// The place at which a synchronisation that has told everything ends.
    pub fn resync_end(&self) -> Option<Cursor> {
        self.cursor.filter(|_| self.state == DeliveryState::FinishResync)
    }

    /// The target has taken the end of a synchronisation.
    pub fn resync_finished(&mut self) {
        if let Some(cursor) = self.resync_end() {
            self.failures = 0;
            self.follow(cursor, self.window.width());
        }
    }

    /// Everything was told, to the last. Returns whether it was told of others, too, that are gone:
    /// from now on it hears only of those whom the filter admits.
    pub fn on_idle(&mut self) -> bool {
        if self.rejections == 0 {
            self.failures = 0;
        }
        self.replay_from.is_none()
            && std::mem::take(&mut self.scope) == DeliveryScope::FilteredWithRemovals
    }

    /// Whether a batch that was lost may yet undo what was told since.
    pub fn needs_replay(&self) -> bool {
        self.replay_from.is_some()
    }

    /// Nothing that was lost can arrive any more: everything is told again that was told since.
    pub fn replay(&mut self) {
        if let Some(cursor) = self.replay_from.take() {
            self.follow(cursor, self.window.width());
        }
    }

    /// Where the target's own place is behind what it knows, because nothing since was for it, a
    /// batch of nothing moves it. Returns whether it was.
    pub fn advance_position(&mut self) -> bool {
        let place = self.cursor.filter(|cursor| {
            self.mode == DeliveryMode::Replace
                && self.state == DeliveryState::Following
                && self.window.is_empty()
                && self.window.acked() != Some(*cursor)
        });
        if let Some(place) = place {
            self.window.push(Arc::from([]), place);
        }
        place.is_some()
    }

    /// Something went wrong, and nothing is on its way.
    pub fn on_failure(&mut self, failure: DeliveryFailure) {
        self.state = match (failure, self.state) {
            // It has just said where it is, and does not go on from there.
            (DeliveryFailure::PositionMismatch, _) if self.position_confirmed => {
                DeliveryState::StartResync
            }
            (
                DeliveryFailure::PositionMismatch,
                DeliveryState::Resyncing | DeliveryState::FinishResync,
            ) => DeliveryState::StartResync,
            // What it was told last may have arrived; it is told the very same again.
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
