//! The history actor: it is restarted when its reader ends, answers only audited queries, and
//! limits the cost of a query.

mod backup;
mod name_erasure;
mod queries;

use std::fs;
use std::path::Path;
use std::time::Duration;

use actix::System;
use serde_json::json;

use super::*;
use proptest::prelude::*;
use rollcall_identity::{
    Address, Event, Journal, Kind, ReadPosition, Revision, Rules, Session, Table, TableSnapshot,
    Timestamp,
};
use rollcall_journal::JournalOptions;
use rollcall_journal::test_support::*;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::{RestartPolicy, Spawn, Supervisor};

/// A query with a constant answer.
struct Plain;

/// A query that makes the reader panic.
struct Fatal;

impl HistoryQuery for Plain {
    type Answer = u32;

    fn audit_record(&self) -> Value {
        json!("plain")
    }

    fn answer(&self, _: &mut Reader<'_>) -> Result<u32, HistoryError> {
        Ok(7)
    }
}

impl HistoryQuery for Fatal {
    type Answer = u32;

    fn audit_record(&self) -> Value {
        json!("fatal")
    }

    fn answer(&self, _: &mut Reader<'_>) -> Result<u32, HistoryError> {
        panic!("a bug that this question finds")
    }
}

fn request<Q>(query: Q) -> RunQuery<Q> {
    RunQuery { query, requester: Requester::new(None, Some("maria")) }
}

async fn start_history(folder: &Path) -> (Mailbox<Supervisor>, Mailbox<History>) {
    let clock = Clock::system();
    let policy = RestartPolicy { first: Duration::from_millis(1), ..RestartPolicy::default() };
    let supervisor = Supervisor::start(&clock, policy);
    let mailbox = Mailbox::<History>::new("history", clock.clone());
    let rules = Arc::new(ArcSwap::from_pointee(Rules::default()));
    let retention = Duration::from_secs(3600);
    let archive = HistorySettings { folder: folder.to_owned(), rules, retention, clock };
    let spawn = Spawn::new(mailbox.clone(), move || History::new(archive.clone()));
    supervisor.send(spawn).await.unwrap();
    (supervisor, mailbox)
}

#[test]
fn a_panicking_reader_is_restarted_and_the_next_query_is_answered() {
    System::new().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (supervisor, mailbox) = start_history(folder.path()).await;
        assert_eq!(mailbox.send(request(Plain)).await, Ok(Ok(7)));
        let lost = mailbox.send(request(Fatal)).await;
        assert!(matches!(lost, Ok(Err(HistoryError::Unavailable(_))) | Err(_)), "{lost:?}");
        let again = async {
            // The actor may not be restarted yet.
            while mailbox.send(request(Plain)).await != Ok(Ok(7)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
        let all = supervisor.send(rollcall_runtime::supervisor::ListActors).await.unwrap();
        assert_eq!(all[0].restarts.get("error"), Some(&1), "{all:?}");
    });
}

#[test]
fn a_query_that_cannot_be_audited_is_not_answered() {
    System::new().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (_supervisor, mailbox) = start_history(folder.path()).await;
        let today = Clock::system().now().to_string();
        let audit_log = folder.path().join(format!("history-access-{}.jsonl", &today[..10]));
        std::fs::create_dir(&audit_log).unwrap();
        let refused = mailbox.send(request(Plain)).await.unwrap();
        assert!(matches!(refused, Err(HistoryError::NotAudited(_))), "{refused:?}");
        std::fs::remove_dir(&audit_log).unwrap();
        assert_eq!(
            mailbox.send(request(Plain)).await,
            Ok(Ok(7)),
            "after the audit log is writable"
        );
        let text = std::fs::read_to_string(&audit_log).unwrap();
        assert!(
            text.contains(r#""said_to_be":"maria","question":"plain","outcome":"answered""#),
            "{text}"
        );
    });
}

#[test]
fn a_query_above_the_budget_gets_a_hint() {
    let mut budget = QueryBudget::until(QueryBudget::deadline());
    assert!(budget.segments(1).is_ok() && budget.check_time().is_ok());
    let broad = budget.segments(5000).unwrap_err().to_string();
    assert!(broad.contains("5000 segments") && broad.contains("narrow from and to"), "{broad}");
    let rows = std::iter::repeat_with(|| budget.row()).take(2_000_000);
    let refused = rows.into_iter().find_map(Result::err).unwrap();
    assert!(refused.to_string().contains("more than 1000000 events"), "{refused}");
}
