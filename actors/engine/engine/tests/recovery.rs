//! The cache and the query actor are lost at once: the journal returns all sessions.

use rollcall_runtime::clock::Clock;
use std::sync::Arc;
use std::time::Duration;

use actix::System;
use rollcall_identity::{Address, ChangeLogLimits, Cursor, Kind, Timestamp};
use rollcall_journal::JournalOptions;
use rollcall_journal::test_support::*;

use crate::engine::Engine;
use crate::messages::{Apply, Explain};
use crate::messages::{GetNewestCursor, LookupAddress};
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::supervisor::{Fault, ListActors};
use std::sync::atomic::Ordering::SeqCst;

async fn wait_until_restarted(engine: &Engine) {
    for _ in 0..2000 {
        let all = engine.supervisor.send(ListActors).await.unwrap();
        let panicked = all.iter().filter(|one| one.restarts.get("panic").is_some_and(|n| *n > 0));
        let address = Address::from(std::net::Ipv4Addr::LOCALHOST);
        if panicked.count() == 2
            && engine.query.send(GetNewestCursor).await.is_ok()
            && engine.cache.send(Explain(address)).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the actors are not replaced");
}

#[test]
fn when_both_are_lost_the_journal_returns_the_sessions() {
    System::new().block_on(async {
        let folder = TestFolder::new(JournalOptions::default());
        let time = Arc::clone(&folder.time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(SeqCst)));
        let engine = Engine::start(folder.open(), rules(), ChangeLogLimits::default(), &clock)
            .await
            .unwrap();
        let events = vec![login("alice", 1, 0), login("bob", 2, 0)];
        let apply = Apply { events, read: None, account: EventAccount::open("test", 2) };
        engine.cache.send(apply).await.unwrap().unwrap();
        let before: Cursor = engine.query.send(GetNewestCursor).await.unwrap();
        folder.advance(Duration::from_secs(1));
        let (cache, query) = (engine.cache.post(Fault), engine.query.post(Fault));
        assert!(cache.unwrap().await.is_err() && query.unwrap().await.is_err());
        wait_until_restarted(&engine).await;
        for host in [1, 2] {
            let address = Address::from(std::net::Ipv4Addr::new(10, 7, 0, host));
            assert!(
                engine.query.send(LookupAddress(address)).await.unwrap().is_some(),
                "{address}"
            );
        }
        let after = engine.query.send(GetNewestCursor).await.unwrap();
        assert!(after.epoch > before.epoch, "partly published changes require a full resync");
        let leaves = vec![event(Kind::Logout, "alice", 1, 900)];
        let apply = Apply { events: leaves, read: None, account: EventAccount::open("test", 1) };
        assert_eq!(engine.cache.send(apply).await.unwrap().unwrap().applied, 1);
        engine.stop().await;
        let life = folder.start();
        assert_eq!(life.table.len(), 1, "the next start has the same sessions");
    });
}
