//! How a consumer that does not ask is told everything: where it stands, what it is told next, and what
//! follows when it does not take that. Whoever carries it only reads, speaks and waits.
//!
//! ```text
//!            nothing held, other scope, or too long away
//! Unsure ───────────────────────────────────────────────► Anew ──► Synchronising
//!   ▲  └── the target says where it is ──► Following ◄──────────────────┘ all is told
//!   └───────── anything went wrong ────────────┘
//! ```

#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::window::{Launch, LeftOut, Number, Window};
use crate::{Cursor, Page};

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It must be asked where it is.
    Unsure,
    /// It must be told everything.
    Anew,
    /// It is being told everything.
    Synchronising,
    /// It is told what is new.
    Following,
}

/// How a target begins that may hold something already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It throws away what a synchronisation did not tell.
    Replaces,
    /// It cannot throw anything away, and hears of ends too.
    Overwrites,
}

/// Where a target says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It cannot be asked.
    Untold,
    /// It holds nothing, or nothing that is understood here.
    Nowhere,
    /// It knows everything up to there.
    At(Cursor),
}

/// What a target that cannot throw anything away is told under its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hears {
    /// What the filter admits.
    #[default]
    Admitted,
    /// That, and of everybody else that nobody is there, until everything was told: it may have
    /// been told of them under another filter.
    OthersGone,
}

/// What was kept of a target over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Up to where it knew everything.
    pub cursor: Cursor,
    /// What it was being told.
    pub hears: Hears,
    /// Of what it was told.
    pub scope: Scope,
}

/// Whether a target was told of those of whom it is to be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It was.
    Same,
    /// It holds too much or too little.
    Other,
}

/// What follows from where a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It goes on from its own place.
    GoesOn,
    /// It goes on from what was kept; it was not spoken to.
    Resumes,
    /// The same, and everything is told once more, because it is to hear of others than before.
    Corrects,
    /// It is told everything anew, for this reason.
    Anew(&'static str),
}

/// What became of a batch on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// The target has said that it took all of it.
    Taken,
    /// It cannot take the batch as it is, and says this.
    Indigestible(String),
    /// It is not known to have arrived.
    Unknown,
}

/// A batch that landed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landed {
    /// How many reports are told with it.
    pub reports: usize,
    /// A report that the target went without.
    pub left_out: Option<LeftOut>,
}

/// A batch has to be told again: the target is in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The target is at another place than was thought.
    Elsewhere,
    /// Anything else.
    Other,
}

/// How many reports in a row may be refused as bad ones. When more are, it is not the reports: a
/// proxy or a changed interface refuses everything, and what is not told is not given up.
const REFUSALS: u32 = 8;

/// The way of one target.
#[derive(Debug)]
pub struct Delivery {
    opening: Opening,
    standing: Standing,
    hears: Hears,
    /// Up to where the target knows everything.
    cursor: Option<Cursor>,
    /// From where to read on.
    read: Option<Cursor>,
    /// Whether there was more behind what was read last.
    more: bool,
    /// What is read and not yet known to have arrived.
    window: Window,
    /// Whether the target has said where it is, and has not been told anything since.
    confirmed: bool,
    /// How many reports were refused one after the other, and none taken between them.
    refusals: u32,
}

impl Delivery {
    /// One of whom nothing is known yet.
    pub fn new(opening: Opening) -> Self {
        Self {
            opening,
            standing: Standing::Unsure,
            hears: Hears::Admitted,
            cursor: None,
            read: None,
            more: false,
            window: Window::new(1, None),
            confirmed: false,
            refusals: 0,
        }
    }

    /// How it begins.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What it is being told.
    pub fn hears(&self) -> Hears {
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

    /// The target is at `place`, and takes `width` batches at once. Its word counts, not what was
    /// `kept`: it may have been set back to an older state, or have taken what it could not
    /// acknowledge.
    pub fn found(&mut self, place: Place, kept: Option<Kept>, width: usize) -> Found {
        let is_other = kept.is_some_and(|kept| kept.scope == Scope::Other);
        match place {
            Place::At(_) if is_other => self.told_anew("scope", width),
            Place::At(cursor) => {
                self.follow(cursor, width);
                self.confirmed = true;
                Found::GoesOn
            }
            Place::Nowhere => self.told_anew("empty", width),
            Place::Untold => self.resume(kept, width),
        }
    }

    /// Goes on where a target was left that cannot say where it is. It cannot throw anything away
    /// either: it is told of ends, and under another filter of those whom that does not admit.
    fn resume(&mut self, kept: Option<Kept>, width: usize) -> Found {
        match (self.cursor, kept) {
            (Some(cursor), _) => self.follow(cursor, width),
            (None, None) => self.follow(Cursor::FOREIGN, width),
            (None, Some(Kept { cursor, hears, scope: Scope::Same })) => {
                self.hears = hears;
                self.follow(cursor, width);
            }
            (None, Some(Kept { cursor, scope: Scope::Other, .. })) => {
                self.hears = Hears::OthersGone;
                self.follow(cursor.again(), width);
                return Found::Corrects;
            }
        }
        Found::Resumes
    }

    fn told_anew(&mut self, reason: &'static str, width: usize) -> Found {
        self.anew(width);
        Found::Anew(reason)
    }

    /// It is to be told everything anew. Nothing may be on its way.
    pub fn anew(&mut self, width: usize) {
        match self.opening {
            Opening::Replaces => self.standing = Standing::Anew,
            Opening::Overwrites => {
                self.follow(self.cursor.map_or(Cursor::FOREIGN, Cursor::again), width);
            }
        }
    }

    /// The target waits for everything; it takes `width` batches at once.
    pub fn begun(&mut self, width: usize) {
        self.read_from(None, width);
        self.standing = Standing::Synchronising;
    }

    /// Goes on with what is new from `cursor`.
    fn follow(&mut self, cursor: Cursor, width: usize) {
        self.standing = Standing::Following;
        self.read_from(Some(cursor), width);
    }

    /// Nothing is on its way, and what is told next follows `cursor`.
    fn read_from(&mut self, cursor: Option<Cursor>, width: usize) {
        self.window = Window::new(width, cursor);
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

    /// Takes the next page. Returns `false` when what it told of can no longer be told on from there:
    /// it is to be told everything anew.
    #[must_use]
    pub fn take(&mut self, page: Page) -> bool {
        if page.resync && self.opening == Opening::Replaces && self.read.is_some() {
            return false;
        }
        (self.more, self.read) = (page.more, Some(page.next));
        if !page.changes.is_empty() {
            self.window.push(Arc::from(page.changes), page.next);
        }
        true
    }

    /// The next batch that may go on its way.
    pub fn launch(&mut self) -> Option<Launch> {
        self.window.launch()
    }

    /// A batch that was on its way landed so.
    ///
    /// # Errors
    /// [`Undone`] when it has to be told again; [`Delivery::failed`] is to follow, when nothing is on
    /// its way any more.
    pub fn landed(&mut self, launch: &Launch, landing: Landing) -> Result<Landed, Undone> {
        let number = launch.number;
        match (landing, &*launch.changes) {
            (Landing::Taken, changes) => {
                self.confirmed = false;
                if !changes.is_empty() {
                    self.refusals = 0;
                }
                Ok(Landed { reports: changes.len(), left_out: self.arrived(number) })
            }
            (Landing::Indigestible(_), [_, _, ..]) => {
                self.window.halve(number);
                Ok(Landed::default())
            }
            (Landing::Indigestible(reason), [change]) => {
                self.refuse(number, LeftOut { address: change.address, reason })
            }
            (Landing::Indigestible(_), []) | (Landing::Unknown, _) => {
                self.window.failed(number);
                Err(Undone)
            }
        }
    }

    /// A report is refused that was alone: as a bad one, or for what is wrong with the target.
    fn refuse(&mut self, number: Number, report: LeftOut) -> Result<Landed, Undone> {
        self.refusals += 1;
        if self.refusals > REFUSALS {
            // One more is given up with each attempt, in case they are bad after all.
            self.refusals = REFUSALS - 1;
            self.window.failed(number);
            return Err(Undone);
        }
        self.window.leave_out(number, report);
        let left_out = match self.opening {
            Opening::Replaces => None,
            // It has no place that would have to go on.
            Opening::Overwrites => self.arrived(number),
        };
        Ok(Landed { reports: 1, left_out })
    }

    /// The target has said yes to a batch: it knows more, if it knew everything before.
    fn arrived(&mut self, number: Number) -> Option<LeftOut> {
        let left_out = self.window.arrived(number);
        self.cursor = self.window.at();
        left_out
    }

    /// Whether everything that was there is told. Then it knows everything up to where was read, also
    /// where none of that was for it.
    pub fn is_told(&mut self) -> bool {
        if self.window.is_empty() {
            self.cursor = self.read;
        }
        !self.more && self.window.is_empty()
    }

    /// The place at which a synchronisation that has told everything ends.
    pub fn end(&self) -> Option<Cursor> {
        self.cursor.filter(|_| self.standing == Standing::Synchronising)
    }

    /// The target has taken the end of a synchronisation, at `cursor`; it takes `width` batches at
    /// once.
    pub fn ended(&mut self, cursor: Cursor, width: usize) {
        self.follow(cursor, width);
    }

    /// Everything was told, to the last. Returns whether it was told of others, too, that are gone:
    /// from now on it hears only of those whom the filter admits.
    pub fn rests(&mut self) -> bool {
        std::mem::take(&mut self.hears) == Hears::OthersGone
    }

    /// Something went wrong, and nothing is on its way.
    pub fn failed(&mut self, failure: Failure) {
        self.standing = match (failure, self.standing) {
            // It has just said where it is, and does not go on from there.
            (Failure::Elsewhere, _) if self.confirmed => Standing::Anew,
            (Failure::Elsewhere, Standing::Synchronising) => Standing::Anew,
            // What it was told last may have arrived; it is told the very same again.
            (_, Standing::Synchronising | Standing::Anew) => self.standing,
            _ => Standing::Unsure,
        };
        self.confirmed = false;
    }
}
