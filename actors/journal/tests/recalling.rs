//! The cache and the query actor are lost at once: the journal knows everybody.

use actix::System;
use rollcall_identity::{Cursor, Limits};

use super::*;
use crate::account::Account;
use crate::cache::{Apply, Explain};
use crate::heart::Heart;
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
