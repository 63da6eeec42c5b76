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
const REFUSALS: u32 = 8;

/// The way of one target.
#[derive(Debug)]
pub struct Delivery {
    opening: DeliveryMode,
    standing: DeliveryState,
    hears: DeliveryScope,
    /// Up to where the target knows everything.
    cursor: Option<Cursor>,
    /// From where to read on.
    read: Option<Cursor>,
    /// Whether there was more behind what was read last.
    more: bool,
    /// What is read and not yet known to have arrived.
    window: SendWindow,
    /// Whether the target has said where it is, and has not been told anything since.
    confirmed: bool,
    /// How many reports were refused one after the other, and none taken between them.
    refusals: u32,
    /// How often something went wrong, and nothing was taken between them.
    failures: u32,
    /// What the target took last, as long as nothing later may have arrived.
    taken: Option<Change>,
    /// From where everything is told again, because a batch that was lost may arrive after what was
    /// told since. A target that has a place takes no such batch.
    doubted: Option<Cursor>,
}

impl Delivery {
    /// One of whom nothing is known yet.
    pub fn new(opening: DeliveryMode) -> Self {
        Self {
            opening,
            standing: DeliveryState::Unsure,
            hears: DeliveryScope::Admitted,
            cursor: None,
            read: None,
            more: false,
            window: SendWindow::new(1, None),
            confirmed: false,
            refusals: 0,
            failures: 0,
            taken: None,
            doubted: None,
        }
    }

    /// How it begins.
    pub fn opening(&self) -> DeliveryMode {
        self.opening
    }

    /// How it stands.
    pub fn standing(&self) -> DeliveryState {
        self.standing
    }

    /// What it is being told.
    pub fn hears(&self) -> DeliveryScope {
        self.hears
    }

    /// Up to where it knows everything, as far as that is known.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The same over an unbroken row of batches of this turn alone.
    pub fn at(&self) -> Option<Cursor> {
        self.window.at()
    }

    /// The place up to which nothing that it was told can be undone any more, for after a restart.
    pub fn safe(&self) -> Option<Cursor> {
        self.doubted.or(self.cursor)
    }

    /// How often something went wrong, and nothing was taken between them.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The target is at `place`, and takes `width` batches at once. Its word counts, not what was
    /// `kept`: it may have been set back to an older state, or have taken what it could not
    /// acknowledge. Of what it was told before this life only what was kept tells.
    pub fn found(
        &mut self,
        place: TargetPosition,
        kept: Option<StoredPosition>,
        width: usize,
    ) -> ResumeOutcome {
        let is_same = || kept.is_some_and(|kept| kept.scope == FilterChange::Same);
        match place {
            TargetPosition::At(cursor) if self.cursor.is_some() || is_same() => {
                self.follow(cursor, width);
                self.confirmed = true;
                ResumeOutcome::GoesOn
            }
            TargetPosition::At(_) => self.told_anew("scope"),
            TargetPosition::Nowhere => self.told_anew("empty"),
            TargetPosition::Untold => self.resume(kept, width),
        }
    }

    /// Goes on where a target was left that cannot say where it is. It cannot throw anything away
    /// either: it is told of ends, and under another filter of those whom that does not admit.
    fn resume(&mut self, kept: Option<StoredPosition>, width: usize) -> ResumeOutcome {
        let Some(StoredPosition { cursor, hears, scope }) = kept.filter(|_| self.cursor.is_none())
        else {
            self.follow(self.cursor.unwrap_or(Cursor::FOREIGN), width);
            return ResumeOutcome::Resumes;
        };
        // What was on its way when the life before this one ended may arrive yet.
        self.doubted = Some(cursor);
        match scope {
            FilterChange::Same => {
                self.hears = hears;
                self.follow(cursor, width);
                ResumeOutcome::Resumes
            }
            FilterChange::Other => {
                self.hears = DeliveryScope::OthersGone;
                self.follow(cursor.again(), width);
                ResumeOutcome::Corrects
            }
        }
    }

    fn told_anew(&mut self, reason: &'static str) -> ResumeOutcome {
        self.anew();
        ResumeOutcome::Anew(reason)
    }

    /// It is to be told everything anew. Nothing may be on its way.
    pub fn anew(&mut self) {
        match self.opening {
            DeliveryMode::Replaces => self.standing = DeliveryState::Anew,
            DeliveryMode::Overwrites => {
                let again = self.cursor.map_or(Cursor::FOREIGN, Cursor::again);
                self.follow(again, self.window.width());
            }
        }
    }

    /// The target waits for everything; it takes `width` batches at once.
    pub fn begun(&mut self, width: usize) {
        self.read_from(None, width);
        self.standing = DeliveryState::Synchronising;
    }

    /// Goes on with what is new from `cursor`.
    fn follow(&mut self, cursor: Cursor, width: usize) {
        self.standing = DeliveryState::Following;
        self.read_from(Some(cursor), width);
    }

    /// Nothing is on its way, and what is told next follows `cursor`.
    fn read_from(&mut self, cursor: Option<Cursor>, width: usize) {
        self.window.restart(width, cursor);
        (self.cursor, self.read) = (cursor, cursor);
    }

    /// Looks again for what is new, when nothing waits. What becomes visible after this, and while it
    /// is read and told, must wake whoever carries it once more: returns whether that is so.
    pub fn look(&mut self) -> bool {
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
        self.read
    }

    /// Takes the next page.
    #[must_use]
    pub fn take(&mut self, page: Page) -> PageOutcome {
        // Of one of whom nothing was known nothing is forgotten since it began.
        let is_known = |read: Cursor| read.epoch != Cursor::FOREIGN.epoch;
        let is_late = page.resync && self.read.is_some_and(is_known);
        if is_late && self.opening == DeliveryMode::Replaces {
            return PageOutcome::TooLate;
        }
        (self.more, self.read) = (page.more, Some(page.next));
        if !page.changes.is_empty() {
            self.window.push(Arc::from(page.changes), page.next);
        }
        if !is_late {
            return PageOutcome::On;
        }
        // From where it was nothing can be told again; from nothing it can.
        self.doubted = self.doubted.map(|_| Cursor::FOREIGN);
        PageOutcome::EndsForgotten
    }

    /// The next batch that may go on its way.
    pub fn launch(&mut self) -> Option<OutgoingBatch> {
        self.window.launch()
    }

    /// A batch that was on its way landed so. Returns a report that the target went without.
    ///
    /// # Errors
    /// [`MustResend`] when it has to be told again; [`Delivery::failed`] is to follow, when nothing is on
    /// its way any more.
    pub fn landed(
        &mut self,
        launch: &OutgoingBatch,
        landing: SendOutcome,
    ) -> Result<Option<SkippedChange>, MustResend> {
        match landing {
            SendOutcome::Taken => return Ok(self.taken(launch)),
            SendOutcome::Indigestible(reason) if !self.window.is_probed(launch.number) => {
                match &*launch.changes {
                    [] => {}
                    [change] => return self.refused(launch.number, change, reason),
                    [_, _, ..] => {
                        self.window.halve(launch.number);
                        return Ok(None);
                    }
                }
            }
            SendOutcome::Lost => {
                self.doubted = match self.opening {
                    DeliveryMode::Replaces => None,
                    DeliveryMode::Overwrites => self.doubted.or(self.window.at()),
                };
                self.window.lost(launch.number);
                return Err(MustResend);
            }
            SendOutcome::Indigestible(_) | SendOutcome::Untaken => {}
        }
        self.window.failed(launch.number);
        Err(MustResend)
    }

    /// A report is refused that was alone: as a bad one, or for what is wrong with the target.
    fn refused(
        &mut self,
        number: BatchId,
        change: &Change,
        reason: String,
    ) -> Result<Option<SkippedChange>, MustResend> {
        self.refusals += 1;
        if self.refusals > REFUSALS {
            self.refusals = REFUSALS - 1;
            self.window.failed(number);
            return Err(MustResend);
        }
        self.window.probe(number, reason, self.probe(change));
        Ok(None)
    }

    /// What the target takes in the place of a report, unless it is ill: a batch of nothing, which
    /// moves its place, or where it has none what it took last. Of an address that may have news
    /// since, and when nothing was taken, it is told that nobody is there: true or not, that gives
    /// nobody the rights of another.
    fn probe(&self, refused: &Change) -> Arc<[Change]> {
        let known = self.taken.as_ref().filter(|taken| taken.address != refused.address);
        match (self.opening, known) {
            (DeliveryMode::Replaces, _) => Arc::from([]),
            (DeliveryMode::Overwrites, Some(taken)) => Arc::from([taken.clone()]),
            (DeliveryMode::Overwrites, None) => {
                let gone = (Effect::Ended, refused.cause.clone());
                let (revision, address, (effect, cause)) =
                    (refused.revision, refused.address, gone);
                Arc::from([Change { revision, address, effect, before: None, after: None, cause }])
            }
        }
    }

    /// The target has said yes to a batch: it knows more, if it knew everything before.
    fn taken(&mut self, launch: &OutgoingBatch) -> Option<SkippedChange> {
        self.confirmed = false;
        let before = self.window.at();
        let left_out = self.window.arrived(launch.number);
        if self.window.at() != before {
            self.cursor = self.window.at();
        }
        if left_out.is_none()
            && let Some(last) = launch.changes.last()
        {
            (self.refusals, self.failures) = (0, 0);
            self.taken = Some(last.clone());
        }
        left_out
    }

    /// Whether everything that was there is told. Then it knows everything up to where was read, also
    /// where none of that was for it; after a synchronisation that has to be ended.
    pub fn is_told(&mut self) -> bool {
        if self.window.is_empty() {
            self.cursor = self.read;
        }
        let is_told = !self.more && self.window.is_empty();
        if is_told && self.standing == DeliveryState::Synchronising {
            self.standing = DeliveryState::Ending;
        }
        is_told
    }

    /// The place at which a synchronisation that has told everything ends.
    pub fn end(&self) -> Option<Cursor> {
        self.cursor.filter(|_| self.standing == DeliveryState::Ending)
    }

    /// The target has taken the end of a synchronisation.
    pub fn ended(&mut self) {
        if let Some(cursor) = self.end() {
            self.failures = 0;
            self.follow(cursor, self.window.width());
        }
    }

    /// Everything was told, to the last. Returns whether it was told of others, too, that are gone:
    /// from now on it hears only of those whom the filter admits.
    pub fn rests(&mut self) -> bool {
        if self.refusals == 0 {
            self.failures = 0;
        }
        self.doubted.is_none() && std::mem::take(&mut self.hears) == DeliveryScope::OthersGone
    }

    /// Whether a batch that was lost may yet undo what was told since.
    pub fn is_doubted(&self) -> bool {
        self.doubted.is_some()
    }

    /// Nothing that was lost can arrive any more: everything is told again that was told since.
    pub fn repeat(&mut self) {
        if let Some(cursor) = self.doubted.take() {
            self.follow(cursor, self.window.width());
        }
    }

    /// Where the target's own place is behind what it knows, because nothing since was for it, a
    /// batch of nothing moves it. Returns whether it was.
    pub fn move_place(&mut self) -> bool {
        let place = self.cursor.filter(|cursor| {
            self.opening == DeliveryMode::Replaces
                && self.standing == DeliveryState::Following
                && self.window.is_empty()
                && self.window.at() != Some(*cursor)
        });
        if let Some(place) = place {
            self.window.push(Arc::from([]), place);
        }
        place.is_some()
    }

    /// Something went wrong, and nothing is on its way.
    pub fn failed(&mut self, failure: DeliveryFailure) {
        self.standing = match (failure, self.standing) {
            // It has just said where it is, and does not go on from there.
            (DeliveryFailure::Elsewhere, _) if self.confirmed => DeliveryState::Anew,
            (DeliveryFailure::Elsewhere, DeliveryState::Synchronising | DeliveryState::Ending) => {
                DeliveryState::Anew
            }
            // What it was told last may have arrived; it is told the very same again.
            (_, DeliveryState::Synchronising | DeliveryState::Ending | DeliveryState::Anew) => {
                self.standing
            }
            _ => DeliveryState::Unsure,
        };
        self.window.restore();
        (self.confirmed, self.taken) = (false, None);
        self.failures = self.failures.saturating_add(1);
    }
}
