//! The queue of the journal's thread: a reload keeps its place behind earlier requests.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use actix::System;
use crossbeam_channel::bounded;
use rollcall_identity::{JournalBatch, JournalError};
use tokio::sync::watch;

use super::*;
use crate::{JournalWriter, Request, WriterQuery};

/// Events without a receipt.
struct Events(Vec<Event>);

impl JournalBatch for Events {
    fn events(&self) -> &[Event] {
        &self.0
    }

    fn read_position(&self) -> Option<&ReadPosition> {
        None
    }
}

fn writer(requests: crossbeam_channel::Sender<Request<Events>>) -> JournalWriter<Events> {
    let (_, write_error) = watch::channel(None);
    JournalWriter { epoch: 7, requests, write_error }
}

/// Polls a future once.
async fn is_ready(future: &mut (impl Future + Unpin)) -> bool {
    poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready())).await
}

#[test]
fn a_reload_waits_in_the_queue_behind_earlier_requests() {
    System::new().block_on(async {
        let (requests, inbox) = bounded(1);
        let journal = writer(requests);
        // A reload that did not wait would miss the requests before it.
        journal.invalidate_checkpoint();
        let mut reloaded = pin!(journal.reload());
        for _ in 0..3 {
            assert!(!is_ready(&mut reloaded).await, "the queue is full");
        }
        assert!(matches!(inbox.try_recv(), Ok(Request::Query(WriterQuery::InvalidateCheckpoint))));
        let reply = loop {
            assert!(!is_ready(&mut reloaded).await, "no answer was sent");
            match inbox.try_recv() {
                Ok(Request::Query(WriterQuery::Reload(reply))) => break reply,
                Ok(_) => panic!("nothing else was asked"),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let mut table = Table::default();
        table.apply(Revision(1), &login("alice", 1, 0), &rules());
        assert!(reply.send(Ok(Some((table, Revision(1))))).is_ok());
        let (table, newest) = reloaded.await.unwrap().unwrap();
        assert_eq!((table.len(), newest), (1, Revision(1)));
    });
}

#[test]
fn a_waiting_reload_fails_when_the_thread_ends() {
    System::new().block_on(async {
        let (requests, inbox) = bounded(1);
        let journal = writer(requests);
        journal.invalidate_checkpoint();
        let mut reloaded = pin!(journal.reload());
        assert!(!is_ready(&mut reloaded).await);
        drop(inbox);
        let JournalError(why) = reloaded.await.unwrap_err();
        assert_eq!(why, "its thread has ended");
    });
}
