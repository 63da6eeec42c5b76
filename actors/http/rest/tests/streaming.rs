//! The live stream: from now or from the start, resumed, filtered, and after a resync.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::{Event, Events};
use super::fixture::{TestServer, with_server};

/// The name, the address and the user of an event.
fn summary(event: &Event) -> (&str, &str, &str) {
    let user = event.data["session"]["user"].as_str().unwrap_or("nobody");
    (&event.name, event.data["address"].as_str().unwrap_or(""), user)
}

async fn next(events: &mut Events) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(10), events.next());
    event.await.expect("an event arrives").expect("the stream continues")
}

#[test]
fn changes_are_streamed_as_they_happen() {
    with_server(async |server| {
        server.login("10.0.0.9", "before@corp").await;
        let mut events = server.stream("", "").await;
        let greeting = events.greeting().await;
        assert!(greeting.contains(&format!("id: {}.1", TestServer::EPOCH)), "{greeting}");
        server.login("10.0.0.1", "alice@corp").await;
        assert_eq!(summary(&next(&mut events).await), ("began", "10.0.0.1", "alice"));
        server.logout("10.0.0.1", "alice@corp").await;
        let end = next(&mut events).await;
        assert_eq!(summary(&end), ("ended", "10.0.0.1", "alice"));
        assert_eq!(end.data["session"]["state"], "ended");
        assert_eq!(end.data["cause"]["kind"], "logout");
        assert_eq!(end.id, Some(format!("{}.3", TestServer::EPOCH)));
    });
}

#[test]
fn from_the_start_a_resync_precedes_all_current_sessions() {
    with_server(async |server| {
        for (address, user) in [("10.0.0.1", "alice@corp"), ("10.0.0.2", "bob@corp")] {
            server.login(address, user).await;
        }
        server.logout("10.0.0.1", "alice@corp").await;
        let mut events = server.stream("?from=start", "").await;
        let resync = next(&mut events).await;
        assert_eq!((resync.name.as_str(), resync.id), ("resync", None));
        assert_eq!(summary(&next(&mut events).await), ("began", "10.0.0.2", "bob"));
    });
}

#[test]
fn a_resumed_stream_misses_nothing() {
    with_server(async |server| {
        let mut first = server.stream("", "").await;
        server.login("10.0.0.1", "alice@corp").await;
        let id = next(&mut first).await.id.unwrap();
        drop(first);
        server.logout("10.0.0.1", "alice@corp").await;
        server.login("10.0.0.2", "bob@corp").await;
        let header = format!("Last-Event-ID: {id}\r\n");
        let ignored = format!("?cursor={}.0", TestServer::EPOCH);
        for (parameters, header) in
            [(format!("?cursor={id}"), ""), (String::new(), header.as_str()), (ignored, &header)]
        {
            let mut resumed = server.stream(&parameters, header).await;
            assert_eq!(summary(&next(&mut resumed).await), ("ended", "10.0.0.1", "alice"));
            assert_eq!(summary(&next(&mut resumed).await), ("began", "10.0.0.2", "bob"));
        }
    });
}

#[test]
fn a_stream_resumed_at_any_event_ends_with_the_same_table() {
    with_server(async |server| {
        let batch = (0..600).map(|n| {
            let address = format!("10.3.{}.{}", n / 200, n % 200 + 1);
            server.event(&address, &format!("user{n}@corp"), rollcall_identity::Kind::Login)
        });
        server.apply(batch.collect()).await;
        let mut table = BTreeMap::new();
        let mut events = server.stream("?from=start", "").await;
        assert_eq!(next(&mut events).await.name, "resync");
        for _ in 0..6 {
            // A hundred events, then the connection breaks during the first full read.
            let mut id = None;
            for _ in 0..100 {
                let event = next(&mut events).await;
                let (name, address, user) = summary(&event);
                assert_eq!(name, "began", "a first reading does not begin again");
                table.insert(address.to_owned(), user.to_owned());
                id = event.id.or(id);
            }
            let parameters = format!("?cursor={}", id.unwrap());
            events = server.stream(&parameters, "").await;
        }
        assert_eq!(table.len(), 600);
        assert_eq!(table["10.3.2.200"], "user599");
    });
}

#[test]
fn an_unknown_cursor_causes_a_resync() {
    with_server(async |server| {
        server.login("10.0.0.1", "alice@corp").await;
        let mut events = server.stream("?cursor=1.1", "").await;
        assert_eq!(next(&mut events).await.name, "resync");
        assert_eq!(summary(&next(&mut events).await), ("began", "10.0.0.1", "alice"));
    });
}

#[test]
fn a_filter_passes_only_matching_changes() {
    with_server(async |server| {
        let mut domain = server.stream("?domain=lab", "").await;
        let mut network = server.stream("?cidr=10.9.0.0/16", "").await;
        let mut single = server.stream("?ip=10.0.0.3", "").await;
        for (address, user) in [
            ("10.0.0.1", "alice@corp"),
            ("10.0.0.2", "bob@lab"),
            ("10.9.0.1", "eve@corp"),
            ("10.0.0.3", "dan@corp"),
        ] {
            server.login(address, user).await;
        }
        assert_eq!(summary(&next(&mut domain).await), ("began", "10.0.0.2", "bob"));
        assert_eq!(summary(&next(&mut network).await), ("began", "10.9.0.1", "eve"));
        assert_eq!(summary(&next(&mut single).await), ("began", "10.0.0.3", "dan"));
        // An address whose new user has another domain is reported as ended.
        server.login("10.0.0.2", "carol@corp").await;
        assert_eq!(summary(&next(&mut domain).await), ("ended", "10.0.0.2", "bob"));
    });
}

#[test]
fn a_stream_ends_when_the_server_drains() {
    with_server(async |server| {
        let mut events = server.stream("", "").await;
        events.greeting().await;
        server.draining.send_replace(true);
        assert_eq!(events.next().await, None);
    });
}
