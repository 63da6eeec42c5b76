//! Delivery over a real connection while the query actor is replaced.

use super::receiver::{Received, Receiver};
use super::*;
use rollcall_runtime::supervisor::Fault;

async fn start(url: &str, folder: &Path) -> Fixture {
    let target = target(url, secure_edge(folder));
    let dialect = crate::dialects::factory(&target);
    Fixture::start(target, dialect, folder).await
}

#[test]
fn no_request_is_sent_while_a_batch_is_in_flight_and_the_next_page_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start();
    System::new().block_on(async {
        let fixture = start(&url, folder.path()).await;
        fixture.logins(1..=6).await;
        // The second page is read while the first batch is in flight, and the third page while the
        // second batch is.
        until("a batch is in flight", || receiver.received().batches == 1).await;
        assert!(fixture.engine.query.send(Fault).await.is_err());
        receiver.allow(1);
        until("the next batch is in flight", || receiver.received().batches == 2).await;
        let own = Arc::clone(&receiver);
        let wait = move || {
            // An unexpected request would arrive soon: the first backoff is a millisecond.
            let none = |received: &mut Received| received.meanwhile.is_empty();
            let quiet = Duration::from_millis(300);
            drop(own.changed.wait_timeout_while(own.received(), quiet, none));
        };
        tokio::task::spawn_blocking(wait).await.unwrap();
        receiver.allow(usize::MAX);
        until("the page is read again", || fixture.target.status().retries >= 1).await;
        assert_eq!(receiver.received().meanwhile, [""; 0]);
        fixture.stop_at(6).await;
    });
}

#[test]
fn a_check_does_not_wait_for_the_end_of_a_stream_of_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start();
    System::new().block_on(async {
        let fixture = start(&url, folder.path()).await;
        fixture.logins(1..=1).await;
        until("a batch is in flight", || receiver.received().batches == 1).await;
        let (reply, mut result) = tokio::sync::oneshot::channel();
        let commands = fixture.push.commands.clone().unwrap();
        commands.send(Command::Check(reply)).await.unwrap();
        // Whenever a batch is acknowledged, the next change is there.
        let mut hosts = 1;
        while result.try_recv().is_err() {
            hosts += 1;
            assert!(hosts < 50, "the check never starts");
            fixture.logins(hosts..=hosts).await;
            receiver.allow(usize::from(hosts) - 1);
            let expected = usize::from(hosts);
            until("the next batch is in flight", || receiver.received().batches == expected).await;
        }
        receiver.allow(usize::MAX);
        fixture.stop_at(u64::from(hosts)).await;
    });
}
