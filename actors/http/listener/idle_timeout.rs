//! Closes idle connections.
//!
//! actix-http has a deadline for the first head of a connection and none for later heads (3.20.0:
//! the timer of an idle connection ends with the first byte of the next head). Each connection
//! therefore records whether a response is in progress, and is closed when there is none for
//! [`IDLE`] and [`GRACE`]. This also ends connections whose peer sends a head slowly or does not
//! read the response. The record is a task-local value of the connection, because its requests are
//! handled in the same task.

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
/// poll needs no new handshake.
pub(super) const IDLE: Duration = Duration::from_secs(75);

/// The time that actix-http gets to end an idle connection before this module does: a TLS
/// `shutdown`.
pub(super) const GRACE: Duration = Duration::from_secs(5);

tokio::task_local! {
    static CONNECTION: Rc<ConnectionActivity>;
}

/// The activity of one connection.
struct ConnectionActivity {
    in_progress: Cell<usize>,
    idle_since: Cell<Instant>,
}

/// Runs a connection until it ends. Returns `None` when the connection is idle for `limit`.
pub(super) async fn close_when_idle<T>(
    limit: Duration,
    connection: impl Future<Output = T>,
) -> Option<T> {
    let activity = Rc::new(ConnectionActivity {
        in_progress: Cell::new(0),
        idle_since: Cell::new(Clock::instant()),
    });
    let observed = Rc::clone(&activity);
    let idle = async move {
        loop {
            let left = limit.saturating_sub(observed.idle_since.get().elapsed());
            match (left.is_zero(), observed.in_progress.get()) {
                (true, 0) => return,
                (true, _) => tokio::time::sleep(limit).await,
                (false, _) => tokio::time::sleep(left).await,
            }
        }
    };
    let (connection, idle) = (CONNECTION.scope(activity, connection), idle);
    match select(std::pin::pin!(connection), std::pin::pin!(idle)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

/// A response is in progress while this value exists.
pub(super) struct ResponseInProgress(Option<Rc<ConnectionActivity>>);

impl ResponseInProgress {
    /// Must be called in the task of the connection.
    pub(super) fn start() -> Self {
        let activity = CONNECTION.try_with(Rc::clone).ok();
        if let Some(activity) = &activity {
            activity.in_progress.set(activity.in_progress.get() + 1);
        }
        Self(activity)
    }

    /// Wraps the body of the response: the response is in progress until the whole body is in the
    /// buffers of the connection. An event stream can last for days.
    pub(super) fn track_body(self, body: BoxBody) -> BoxBody {
        BoxBody::new(Body { body, _in_progress: self })
    }
}

impl Drop for ResponseInProgress {
    fn drop(&mut self) {
        if let Some(activity) = &self.0 {
            activity.in_progress.set(activity.in_progress.get() - 1);
            activity.idle_since.set(Clock::instant());
        }
    }
}

struct Body {
    body: BoxBody,
    _in_progress: ResponseInProgress,
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
    async fn a_connection_without_a_request_is_closed() {
        assert_eq!(close_when_idle(LIMIT, pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_connection_with_a_response_in_progress_is_kept() {
        let started = Clock::instant();
        let connection = async {
            let body = ResponseInProgress::start().track_body(BoxBody::new(()));
            tokio::time::sleep(LIMIT * 4).await;
            drop(body);
            pending::<()>().await;
        };
        assert_eq!(close_when_idle(LIMIT, connection).await, None);
        assert!(started.elapsed() >= LIMIT * 5);
    }

    #[tokio::test]
    async fn a_connection_that_ends_before_the_limit_has_a_result() {
        assert_eq!(close_when_idle(LIMIT, async { 7 }).await, Some(7));
    }
}
