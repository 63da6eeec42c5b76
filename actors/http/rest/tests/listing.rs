//! The list of sessions: filters, pages, and changes during paging.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_identity::Kind;
use serde_json::Value;

use super::assert_problem;
use super::fixture::{TestServer, with_server};

/// The sessions of all pages of a list, with a call of `between` between two pages.
async fn addresses(
    server: &TestServer,
    parameters: &str,
    mut between: impl AsyncFnMut(usize),
) -> Vec<(String, Value)> {
    let mut listed = Vec::new();
    let mut after = String::new();
    for page in 0.. {
        let answer = server.get(&format!("/api/v1/sessions?{parameters}{after}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        for session in body["sessions"].as_array().unwrap() {
            listed.push((session["address"].as_str().unwrap().to_owned(), session.clone()));
        }
        match body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
        between(page).await;
    }
    listed
}

async fn listed(server: &TestServer, parameters: &str) -> Vec<String> {
    let found = addresses(server, parameters, async |_| {}).await;
    found.into_iter().map(|(address, _)| address).collect()
}

fn address(number: usize) -> String {
    format!("10.1.{}.{}", number / 250, number % 250 + 1)
}

async fn fill(server: &TestServer, count: usize) {
    let login = |n| server.event(&address(n), &format!("user{n}@corp"), Kind::Login);
    for start in (0..count).step_by(500) {
        let batch: Vec<_> = (start..count.min(start + 500)).map(login).collect();
        server.apply(batch).await;
    }
}

#[test]
fn all_filters_must_match() {
    with_server(async |server| {
        server.login("10.0.0.1", "alice@corp").await;
        server.login("10.0.0.2", "bob@corp").await;
        server.login("10.0.1.1", "alice@lab").await;
        server.login("2001:db8::1", "alice").await;
        for (parameters, expected) in [
            ("user=alice", vec!["10.0.0.1", "10.0.1.1", "2001:db8::1"]),
            ("user=alice@corp", vec!["10.0.0.1"]),
            ("user=CORP%5CAlice", vec!["10.0.0.1"]),
            ("user=al*@*", vec!["10.0.0.1", "10.0.1.1"]),
            ("domain=corp", vec!["10.0.0.1", "10.0.0.2"]),
            ("cidr=10.0.0.0/24", vec!["10.0.0.1", "10.0.0.2"]),
            ("cidr=10.0.1.0/24,2001:db8::/32", vec!["10.0.1.1", "2001:db8::1"]),
            ("ip=10.0.0.2", vec!["10.0.0.2"]),
            ("ip=10.0.0.2&user=alice", vec![]),
            ("ip=10.0.0.2&cidr=10.0.1.0/24", vec![]),
            ("producer=syslog", vec!["10.0.0.1", "10.0.0.2", "10.0.1.1", "2001:db8::1"]),
            ("producer=ptim", vec![]),
            ("state=ended", vec![]),
        ] {
            assert_eq!(listed(&server, parameters).await, expected, "{parameters}");
        }
    });
}

#[test]
fn ended_sessions_are_listed_with_their_end_time() {
    with_server(async |server| {
        for (address, user) in
            [("10.0.0.1", "alice@corp"), ("10.0.0.2", "bob@lab"), ("10.0.0.3", "eve@lab")]
        {
            server.login(address, user).await;
        }
        server.logout("10.0.0.1", "alice@corp").await;
        server.logout("10.0.0.2", "bob@lab").await;
        assert_eq!(listed(&server, "state=active").await, ["10.0.0.3"]);
        assert_eq!(listed(&server, "state=ended").await, ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(listed(&server, "state=ended&limit=1").await, ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(listed(&server, "state=ended&user=bob").await, ["10.0.0.2"]);
        assert_eq!(listed(&server, "state=ended&ip=10.0.0.1").await, ["10.0.0.1"]);
        assert_eq!(
            listed(&server, "state=all&limit=1").await,
            ["10.0.0.3", "10.0.0.1", "10.0.0.2"]
        );
        for (_, session) in addresses(&server, "state=ended", async |_| {}).await {
            assert_eq!(session["state"], "ended");
            assert!(session["ended"].is_string() && session["user"].is_string());
        }
    });
}

#[test]
fn paging_misses_no_active_session_during_concurrent_changes() {
    with_server(async |server| {
        fill(&server, 2500).await;
        let server = &server;
        let pages = addresses(server, "limit=200", async |page| {
            // Concurrent changes: ended sessions, new users at existing addresses, new addresses.
            let ends = (page * 10..page * 10 + 5)
                .map(|n| server.event(&address(n), &format!("user{n}@corp"), Kind::Logout));
            let takes = (page * 10 + 5..page * 10 + 10)
                .map(|n| server.event(&address(n), &format!("later{n}@corp"), Kind::Login));
            server.apply(ends.chain(takes).collect()).await;
            server.login(&format!("10.2.0.{}", page + 1), "new@corp").await;
        })
        .await;
        let last: BTreeMap<_, _> = pages.iter().cloned().collect();
        let truth: BTreeSet<_> = listed(server, "limit=1000").await.into_iter().collect();
        assert!(truth.len() > 2400, "{}", truth.len());
        for address in truth {
            let now = server.get(&format!("/api/v1/sessions/{address}")).await.json();
            let listed = last.get(&address).unwrap_or_else(|| panic!("{address} was missed"));
            assert_eq!(listed["user"], now["user"], "{address}");
        }
    });
}

#[test]
fn a_page_token_of_an_earlier_epoch_is_410() {
    with_server(async |server| {
        server.login("10.0.0.1", "alice@corp").await;
        for after in ["a1.1", "e1.1"] {
            assert_problem(&server.get(&format!("/api/v1/sessions?after={after}")).await, 410);
        }
        let known = format!("/api/v1/sessions?after=a{}.0", TestServer::EPOCH);
        assert_eq!(server.get(&known).await.json()["sessions"][0]["user"], "alice");
    });
}
