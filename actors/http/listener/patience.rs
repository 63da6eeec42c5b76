//! How long a connection is kept on which nothing is asked.
//!
//! actix-http gives the first head of a connection a deadline, and none to the later ones (3.20.0:
//! the timer of an idle connection ends with the first byte of the next head). So each connection
//! notes whether it is being answered, and ends when it was not for [`IDLE`] and [`GRACE`]: who dribbles a head
//! or does not read the answer is gone by then. The notes lie in the task of the connection, within
//! which its requests are answered too.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use futures_util::future::{Either, select};

use rollcall_runtime::clock::Clock;

/// Longer than the longest interval at which a firewall polls (`query-interval`, 60 s), so that a
/// poll costs no handshake.
pub(super) const IDLE: Duration = Duration::from_secs(75);

/// What actix-http's own end of an idle connection is given before this one: a `shutdown` of TLS.
pub(super) const GRACE: Duration = Duration::from_secs(5);

tokio::task_local! {
    static CONNECTION: Rc<Notes>;
}

/// What is known of one connection.
struct Notes {
    answering: Cell<usize>,
    idle_since: Cell<Instant>,
}

/// Runs a connection until it ends, or was idle for `limit`; then there is no outcome.
pub(super) async fn within<T>(limit: Duration, connection: impl Future<Output = T>) -> Option<T> {
    let notes = Rc::new(Notes { answering: Cell::new(0), idle_since: Cell::new(Clock::instant()) });
    let watched = Rc::clone(&notes);
    let idle = async move {
        loop {
            let left = limit.saturating_sub(watched.idle_since.get().elapsed());
            match (left.is_zero(), watched.answering.get()) {
                (true, 0) => return,
                (true, _) => tokio::time::sleep(limit).await,
                (false, _) => tokio::time::sleep(left).await,
            }
        }
    };
    let (connection, idle) = (CONNECTION.scope(notes, connection), idle);
    match select(std::pin::pin!(connection), std::pin::pin!(idle)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// While this is there, the connection is being answered.
pub(super) struct Answering(Option<Rc<Notes>>);

impl Answering {
    /// To be called in the task of the connection.
    pub(super) fn begin() -> Self {
        let notes = CONNECTION.try_with(Rc::clone).ok();
        if let Some(notes) = &notes {
            notes.answering.set(notes.answering.get() + 1);
        }
        Self(notes)
    }

    /// The body of the answer: the connection is being answered until all of it is written into
    /// the buffers of the connection. A stream of events may last for days.
    pub(super) fn until_written(self, body: BoxBody) -> BoxBody {
        BoxBody::new(Body { body, _answering: self })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(notes) = &self.0 {
            notes.answering.set(notes.answering.get() - 1);
            notes.idle_since.set(Clock::instant());
        }
    }
}

struct Body {
    body: BoxBody,
    _answering: Answering,
}

impl MessageBody for Body {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_connection_that_asks_nothing_ends() {
        assert_eq!(within(LIMIT, pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn one_that_is_answered_for_long_ends_only_after_its_body() {
        let began = Clock::instant();
        let connection = async {
            let body = Answering::begin().until_written(BoxBody::new(()));
            tokio::time::sleep(LIMIT * 4).await;
            drop(body);
            pending::<()>().await;
        };
        assert_eq!(within(LIMIT, connection).await, None);
        assert!(began.elapsed() >= LIMIT * 5);
    }

    #[tokio::test]
    async fn one_that_ends_of_itself_has_an_outcome() {
        assert_eq!(within(LIMIT, async { 7 }).await, Some(7));
    }
}
