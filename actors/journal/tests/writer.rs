//! The queue of the journal's thread: a reload waits its turn behind what was handed over before.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use actix::System;
use crossbeam_channel::bounded;
use rollcall_identity::{JournalBatch, JournalError};
use tokio::sync::watch;

use super::*;
use crate::{JournalWriter, Order, Question};

/// Events alone, without a receipt.
struct Events(Vec<Event>);

impl JournalBatch for Events {
    fn events(&self) -> &[Event] {
        &self.0
    }

    fn read_position(&self) -> Option<&ReadPosition> {
        None
    }
}

fn writer(orders: crossbeam_channel::Sender<Order<Events>>) -> JournalWriter<Events> {
    let (_, illness) = watch::channel(None);
    JournalWriter { epoch: 7, orders, illness }
}

/// Whether a future has something to say when it is asked once.
async fn is_ready(future: &mut (impl Future + Unpin)) -> bool {
    poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready())).await
}

#[test]
fn whoever_recalls_waits_for_a_place_behind_everything_that_was_handed_over_before() {
    System::new().block_on(async {
        let (orders, inbox) = bounded(1);
        let journal = writer(orders);
        // What stands before it in the queue would not be in the answer of one that did not wait.
        journal.unsettle();
        let mut recalled = pin!(journal.recall());
        for _ in 0..3 {
            assert!(!is_ready(&mut recalled).await, "there is no place");
        }
        assert!(matches!(inbox.try_recv(), Ok(Order::Query(Question::Unsettle))));
        let tell = loop {
            assert!(!is_ready(&mut recalled).await, "nobody has answered");
            match inbox.try_recv() {
                Ok(Order::Query(Question::Recall(tell))) => break tell,
                Ok(_) => panic!("nothing else was asked"),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let mut table = Table::default();
        table.apply(Revision(1), &login("alice", 1, 0), &rules());
        assert!(tell.send(Ok(Some((table, Revision(1))))).is_ok());
        let (table, newest) = recalled.await.unwrap().unwrap();
        assert_eq!((table.len(), newest), (1, Revision(1)));
    });
}

#[test]
fn whoever_waits_for_a_place_learns_that_the_journal_has_ended() {
    System::new().block_on(async {
        let (orders, inbox) = bounded(1);
        let journal = writer(orders);
        journal.unsettle();
        let mut recalled = pin!(journal.recall());
        assert!(!is_ready(&mut recalled).await);
        drop(inbox);
        let JournalError(why) = recalled.await.unwrap_err();
        assert_eq!(why, "its thread has ended");
    });
}
