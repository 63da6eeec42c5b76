//! How the cache and the query actor succeed themselves: whichever is replaced takes over what the
//! other holds, and neither begins empty beside one that does not.
//!
//! Only the cache ever begins anew, and only when it can be sure that the query actor holds nothing
//! either; the query actor always follows the cache. So the two never wait for each other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::Message;
use rollcall_identity::{Handover, Revision, Table, Timestamp};

use crate::mailbox::{Gone, Mailbox, Receive};

/// How long a new query actor or cache waits for what the other holds, before it fails and is
/// replaced after a pause. The other answers within milliseconds, unless it is frozen.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who holds what, shared by the factories of both.
#[derive(Debug, Clone)]
pub(crate) struct Succession(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    epoch: u64,
    /// What was restored at the start; gone when the first cache has it.
    legacy: Legacy,
    /// Whether a cache ever decided anything: before that, there is nothing to take over.
    begun: bool,
    cache: Office,
    query: Office,
}

/// One of the two, whoever it is at the moment. Terms begin at 1.
#[derive(Debug, Default)]
struct Office {
    /// The term of the latest.
    latest: u64,
    /// The term of the latest that knew all there was to know.
    established: u64,
    /// Whether that one is still there.
    held: bool,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Cache,
    Query,
}

/// The time in office of one cache or one query actor; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Term {
    half: Half,
    number: u64,
    succession: Succession,
}

/// What earlier lives of the process left: the same for both, to each in its own shape.
#[derive(Debug, Default)]
pub(crate) struct Legacy {
    /// For the cache.
    pub(crate) table: Table,
    /// For the query actor; of the cache's only the newest position is filled.
    pub(crate) handover: Handover,
}

impl Legacy {
    /// What `table`, in which everything up to `newest` is folded, leaves to both.
    pub(crate) fn of(table: Table, newest: Revision) -> Self {
        Self { handover: table.hand_over(newest), table }
    }
}

/// How a term begins.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// With what earlier lives of the process left.
    First(Box<Legacy>),
    /// What is known is to be taken over from the other.
    Successor,
    /// What was known is lost with the other. The epoch is a new one.
    Anew,
}

/// What the other holds, and in which of its terms it said so.
#[derive(Debug)]
pub(crate) struct Estate {
    pub term: u64,
    pub handover: Handover,
}

/// Why nothing could be taken over for now.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Vacant {
    /// The other is not there.
    #[error("nothing to take over yet: {0}")]
    Gone(#[from] Gone),
    /// The other did not answer.
    #[error("nothing to take over yet: no answer within {PATIENCE:?}")]
    Silent,
    /// The one that answered, or the one that asked, was replaced meanwhile.
    #[error("what was taken over is out of date")]
    Outdated,
}

impl Succession {
    /// Nobody is there yet.
    pub(crate) fn new(epoch: u64, legacy: Legacy) -> Self {
        let (cache, query) = (Office::default(), Office::default());
        Self(Arc::new(Mutex::new(Book { epoch, legacy, begun: false, cache, query })))
    }

    /// A new cache is made. Whatever its predecessor held can no longer be reached.
    pub(crate) fn cache(&self) -> Term {
        self.term(Half::Cache)
    }

    /// A new query actor is made. Whatever its predecessor held can no longer be reached.
    pub(crate) fn query(&self) -> Term {
        self.term(Half::Query)
    }

    fn term(&self, half: Half) -> Term {
        let number = self.with(|book| {
            let office = book.office(half);
            office.latest += 1;
            office.held = false;
            office.latest
        });
        Term { half, number, succession: self.clone() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        // Nothing under the lock can leave the book half written.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Book {
    fn office(&mut self, half: Half) -> &mut Office {
        match half {
            Half::Cache => &mut self.cache,
            Half::Query => &mut self.query,
        }
    }

    /// The query actor may fail and ask again before there is a cache; the first cache is the last
    /// that is left anything.
    fn leave_to(&mut self, half: Half) -> Legacy {
        match half {
            Half::Query => {
                Legacy { table: Table::default(), handover: self.legacy.handover.clone() }
            }
            Half::Cache => {
                let Legacy { table, handover } = std::mem::take(&mut self.legacy);
                let handover = Handover { newest: handover.newest, ..Handover::default() };
                Legacy { table, handover }
            }
        }
    }
}

impl Term {
    /// Its number. A later cache has a higher one.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The epoch of the cursors.
    pub(crate) fn epoch(&self) -> u64 {
        self.succession.with(|book| book.epoch)
    }

    /// Whether no successor was made yet.
    pub(crate) fn lasts(&self) -> bool {
        self.succession.with(|book| book.office(self.half).latest == self.number)
    }

    /// Begins at `now`. Except for a [`Beginning::Successor`], it is established then.
    pub(crate) fn begin(&self, now: Timestamp) -> Beginning {
        self.succession.with(|book| {
            let beginning = match self.half {
                _ if !book.begun => Beginning::First(Box::new(book.leave_to(self.half))),
                Half::Cache if !book.query.held => Beginning::Anew,
                Half::Cache | Half::Query => Beginning::Successor,
            };
            if matches!(beginning, Beginning::Anew) {
                // Later than every epoch before, also those of earlier lives of the process.
                let time = u64::try_from(now.millis()).unwrap_or_default();
                book.epoch = time.max(book.epoch + 1);
            }
            if !matches!(beginning, Beginning::Successor) {
                book.begun |= self.half == Half::Cache;
                self.establish(book);
            }
            beginning
        })
    }

    /// Establishes it on what the other held in its term `from`.
    ///
    /// # Errors
    /// When that is no longer all there is to know.
    pub(crate) fn succeed(&self, from: u64) -> Result<(), Vacant> {
        let other = match self.half {
            Half::Cache => Half::Query,
            Half::Query => Half::Cache,
        };
        self.succession.with(|book| {
            let lasts = book.office(self.half).latest == self.number;
            if !lasts || book.office(other).established != from {
                return Err(Vacant::Outdated);
            }
            self.establish(book);
            Ok(())
        })
    }

    fn establish(&self, book: &mut Book) {
        let office = book.office(self.half);
        if office.latest == self.number {
            office.established = self.number;
            office.held = true;
        }
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        self.succession.with(|book| {
            let office = book.office(self.half);
            // One that was abandoned long ago and leaves only now held nothing any more.
            office.held &= office.established != self.number;
        });
    }
}

/// Asks whoever is behind `other` for what it holds.
pub(crate) async fn estate<R, M>(other: &Mailbox<R>, question: M) -> Result<Estate, Vacant>
where
    R: Receive<M>,
    M: Message<Result = Estate> + Send + 'static,
{
    // Without waiting for a place: those who wait for one may be waiting for us.
    match tokio::time::timeout(PATIENCE, other.post(question)?).await {
        Ok(estate) => Ok(estate?),
        Err(_) => Err(Vacant::Silent),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static NOW: LazyLock<Timestamp> = LazyLock::new(|| Timestamp::from_millis(1_795_290_600_000));

    /// A query actor and a cache in their first terms.
    fn begun() -> (Succession, Term, Term) {
        let succession = Succession::new(7, Legacy::default());
        let (query, cache) = (succession.query(), succession.cache());
        assert!(matches!(query.begin(*NOW), Beginning::First(_)));
        assert!(matches!(cache.begin(*NOW), Beginning::First(_)));
        (succession, query, cache)
    }

    #[test]
    fn each_succeeds_on_what_the_other_holds() {
        let (succession, query, cache) = begun();
        drop(cache);
        let cache = succession.cache();
        assert!(matches!(cache.begin(*NOW), Beginning::Successor));
        assert_eq!(cache.succeed(query.number()), Ok(()));
        drop(query);
        let query = succession.query();
        assert!(matches!(query.begin(*NOW), Beginning::Successor));
        assert_eq!(query.succeed(cache.number()), Ok(()));
        assert_eq!((query.epoch(), cache.number(), query.number()), (7, 2, 2));
    }

    #[test]
    fn a_query_actor_that_ends_before_there_was_a_cache_begins_again() {
        let succession = Succession::new(7, Legacy::default());
        drop(succession.query());
        assert!(matches!(succession.query().begin(*NOW), Beginning::First(_)));
    }

    #[test]
    fn when_both_are_lost_the_cache_begins_anew_and_the_query_actor_follows() {
        let (succession, query, cache) = begun();
        drop((query, cache));
        let (query, cache) = (succession.query(), succession.cache());
        assert!(matches!(query.begin(*NOW), Beginning::Successor));
        assert!(matches!(cache.begin(*NOW), Beginning::Anew));
        assert_eq!(query.succeed(1), Err(Vacant::Outdated), "what the first cache said is void");
        assert_eq!(query.succeed(2), Ok(()));
        assert_eq!(query.epoch(), 1_795_290_600_000);
    }

    #[test]
    fn what_is_already_in_hand_is_not_lost_with_the_one_who_gave_it() {
        let (succession, query, cache) = begun();
        drop(query);
        let query = succession.query();
        // The cache answers, and ends before its answer arrives.
        let from = cache.number();
        drop(cache);
        let cache = succession.cache();
        assert_eq!(query.succeed(from), Ok(()));
        assert!(matches!(cache.begin(*NOW), Beginning::Successor));
        assert_eq!((cache.succeed(query.number()), query.epoch()), (Ok(()), 7));
    }

    #[test]
    fn one_that_was_abandoned_changes_nothing_when_it_wakes() {
        let (succession, query, frozen) = begun();
        let cache = succession.cache();
        assert!(cache.lasts() && !frozen.lasts());
        assert_eq!(frozen.succeed(query.number()), Err(Vacant::Outdated));
        assert_eq!(cache.succeed(query.number()), Ok(()));
        drop(frozen);
        drop(query);
        let query = succession.query();
        assert_eq!(query.succeed(cache.number()), Ok(()));
        drop(cache);
        let begun = succession.cache().begin(*NOW);
        assert!(matches!(begun, Beginning::Successor), "the query actor holds it");
    }
}
