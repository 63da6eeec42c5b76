//! The cache and the query actor are lost at once: the journal knows everybody. Whoever asks it waits
//! for a place among those who write.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use actix::System;
use crossbeam_channel::bounded;
use rollcall_identity::{Cursor, JournalError, Limits, Order};
use tokio::sync::watch;

use super::*;
use crate::account::Account;
use crate::cache::{Apply, Explain};
use crate::heart::Heart;
use crate::journal::{JournalWriter, Question};
use crate::query::{Look, Newest};
use crate::supervisor::{Fault, RollCall};

async fn restarted(heart: &Heart) {
    for _ in 0..2000 {
        let all = heart.supervisor.send(RollCall).await.unwrap();
        let panicked = all.iter().filter(|one| one.restarts.get("panic").is_some_and(|n| *n > 0));
        let address = Address::from(std::net::Ipv4Addr::LOCALHOST);
        if panicked.count() == 2
            && heart.query.send(Newest).await.is_ok()
            && heart.cache.send(Explain(address)).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("they never came back");
}

#[test]
fn when_both_are_lost_the_journal_gives_the_sessions_back() {
    System::new().block_on(async {
        let shelf = Shelf::new(Terms::default());
        let time = Arc::clone(&shelf.time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(SeqCst)));
        let heart = Heart::start(shelf.open(), rules(), Limits::default(), &clock).await.unwrap();
        let events = vec![login("alice", 1, 0), login("bob", 2, 0)];
        let apply = Apply { events, read: None, account: Account::open("test", 2) };
        heart.cache.send(apply).await.unwrap().unwrap();
        let before: Cursor = heart.query.send(Newest).await.unwrap();
        shelf.pass(Duration::from_secs(1));
        let (cache, query) = (heart.cache.post(Fault), heart.query.post(Fault));
        assert!(cache.unwrap().await.is_err() && query.unwrap().await.is_err());
        restarted(&heart).await;
        for host in [1, 2] {
            let address = Address::from(std::net::Ipv4Addr::new(10, 7, 0, host));
            assert!(heart.query.send(Look(address)).await.unwrap().is_some(), "{address}");
        }
        let after = heart.query.send(Newest).await.unwrap();
        assert!(after.epoch > before.epoch, "what was not shown to the end is told again");
        let leaves = vec![event(Kind::Logout, "alice", 1, 900)];
        let apply = Apply { events: leaves, read: None, account: Account::open("test", 1) };
        assert_eq!(heart.cache.send(apply).await.unwrap().unwrap().applied, 1);
        heart.stop().await;
        let life = shelf.begin();
        assert_eq!(life.table.len(), 1, "and the next start knows the same");
    });
}

/// Whether a future has something to say when it is asked once.
async fn is_ready(future: &mut (impl Future + Unpin)) -> bool {
    poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready())).await
}

#[test]
fn whoever_recalls_waits_for_a_place_behind_everything_that_was_handed_over_before() {
    System::new().block_on(async {
        let (orders, inbox) = bounded(1);
        let (_tell, illness) = watch::channel(None);
        let journal = JournalWriter { epoch: 7, orders, illness };
        // What stands before it in the queue would not be in the answer of one that did not wait.
        journal.unsettle();
        let mut recalled = pin!(journal.recall());
        for _ in 0..3 {
            assert!(!is_ready(&mut recalled).await, "there is no place");
        }
        assert!(matches!(inbox.try_recv(), Ok(Order::Ask(Question::Unsettle))));
        let tell = loop {
            assert!(!is_ready(&mut recalled).await, "nobody has answered");
            match inbox.try_recv() {
                Ok(Order::Ask(Question::Recall(tell))) => break tell,
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
        let (_tell, illness) = watch::channel(None);
        let journal = JournalWriter { epoch: 7, orders, illness };
        journal.unsettle();
        let mut recalled = pin!(journal.recall());
        assert!(!is_ready(&mut recalled).await);
        drop(inbox);
        let JournalError(why) = recalled.await.unwrap_err();
        assert_eq!(why, "its thread has ended");
    });
}
