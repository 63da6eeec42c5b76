//! The REST interface on a real listener, over a real cache, journal and query actor.

mod client;
mod directory;
mod fixture;
mod listing;
mod streaming;

use serde_json::{Value, json};

use self::client::Answer;
use self::fixture::{TestServer, with_server};
use super::*;

const PROBLEM: &str = "application/problem+json";

/// Checks all members of a problem.
fn assert_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(PROBLEM));
    let problem = answer.json();
    assert_eq!(problem["status"], json!(status));
    assert_eq!(problem["type"], "about:blank", "{problem}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem
}

#[test]
fn the_token_is_required_under_api_and_nowhere_else() {
    with_server(async |server| {
        for path in [
            "/api/v1/sessions",
            "/api/v1/sessions/10.0.0.1",
            "/api/v1/sessions/10.0.0.1/explain",
            "/api/v1/stream",
            "/api/v1/producers",
            "/api/v1/producers/syslog",
            "/api/v1/enforcement-points",
            "/api/v1/domains",
            "/api/v1/users",
            "/api/v1/users/alice/groups",
            "/api/v1/devices",
            "/api/v1/groups",
            "/api/v1/directories",
            "/api/v1/actors",
            "/api/v1/openapi.json",
            "/api/v1/nothing",
        ] {
            for header in
                ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic dG9rZW4=\r\n"]
            {
                let answer = server.raw("GET", path, header).await;
                assert_problem(&answer, 401);
                assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"rollcall\""));
                assert!(!answer.body.contains(TestServer::TOKEN), "{path}");
            }
        }
        assert_problem(&server.raw("POST", "/api/v1/reload", "").await, 401);
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(server.raw("GET", path, "").await.status, 200, "{path}");
        }
        let spelt = format!("authorization: bearer {}\r\n", TestServer::TOKEN);
        assert_eq!(server.raw("GET", "/api/v1/actors", &spelt).await.status, 200);
    });
}

#[test]
fn unknown_paths_methods_and_parameters_are_problems() {
    with_server(async |server| {
        let parts = ["/api/v1/sessions/10.0.0.1/nothing", "/api/v1/producers/nobody"];
        for path in ["/", "/nothing", "/api", "/api/v1"].into_iter().chain(parts) {
            assert_problem(&server.get(path).await, 404);
        }
        for (method, path, allow) in [
            ("POST", "/healthz", "GET"),
            ("DELETE", "/metrics", "GET"),
            ("POST", "/api/v1/sessions", "GET"),
            ("PUT", "/api/v1/sessions/10.0.0.1", "GET"),
            ("GET", "/api/v1/reload", "POST"),
        ] {
            let answer = server.request(method, path).await;
            assert_problem(&answer, 405);
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
        for path in [
            "/api/v1/sessions/10.0.0",
            "/api/v1/sessions/nobody/explain",
            "/api/v1/sessions?ip=10.0.0",
            "/api/v1/sessions?cidr=10.0.0.0/33",
            "/api/v1/sessions?user=%5Bx",
            "/api/v1/sessions?usr=alice",
            "/api/v1/sessions?state=gone",
            "/api/v1/sessions?limit=0",
            "/api/v1/sessions?limit=1001",
            "/api/v1/sessions?after=7",
            "/api/v1/stream?cursor=x",
            "/api/v1/stream?from=yesterday",
            "/api/v1/stream?user=alice",
        ] {
            assert_problem(&server.get(path).await, 400);
        }
    });
}

#[test]
fn an_address_without_a_session_refers_to_explain() {
    with_server(async |server| {
        let event = server.event("2001:db8::7", "CORP\\alice", rollcall_identity::Kind::Login);
        let since = event.at.to_string();
        server.apply(vec![event]).await;
        let session = server.get("/api/v1/sessions/2001:db8::7").await;
        assert_eq!(session.status, 200, "{session:?}");
        let session = session.json();
        for (key, value) in [
            ("address", json!("2001:db8::7")),
            ("user", json!("alice")),
            ("domain", json!("corp")),
            ("state", json!("active")),
            ("producer", json!("syslog")),
            ("client", json!("branch-fw")),
            ("revision", json!(1)),
            ("device", json!(null)),
            ("since", json!(since)),
        ] {
            assert_eq!(session[key], value, "{key}");
        }
        let problem = assert_problem(&server.get("/api/v1/sessions/10.0.0.9").await, 404);
        assert!(problem["detail"].as_str().unwrap().contains("/api/v1/sessions/10.0.0.9/explain"));
    });
}

#[test]
fn explain_shows_the_cause_and_competing_events() {
    with_server(async |server| {
        server.login("10.0.0.1", "alice@corp").await;
        server.logout("10.0.0.1", "bob@corp").await;
        let explanation = server.get("/api/v1/sessions/10.0.0.1/explain").await.json();
        assert_eq!(explanation["session"]["user"], "alice");
        assert!(
            explanation["sentence"].as_str().unwrap().starts_with("alice@corp has 10.0.0.1 since")
        );
        let refused = &explanation["competed"][0];
        assert_eq!(
            (&refused["outcome"], &refused["reason"]),
            (&json!("refused"), &json!("other_user"))
        );
        assert!(refused["sentence"].as_str().unwrap().contains("another user has the address"));

        server.logout("10.0.0.1", "alice@corp").await;
        let explanation = server.get("/api/v1/sessions/10.0.0.1/explain").await.json();
        assert_eq!(
            (&explanation["session"], &explanation["previous"]["state"]),
            (&json!(null), &json!("ended"))
        );
        let explanation = server.get("/api/v1/sessions/10.0.0.2/explain").await.json();
        assert_eq!(explanation["sentence"], "no session at 10.0.0.2");
    });
}

#[test]
fn without_the_query_actor_the_server_is_not_ready_and_never_returns_an_empty_result() {
    with_server(async |server| {
        server.login("10.0.0.1", "alice@corp").await;
        assert_eq!(server.get("/readyz").await.body, "ready\n");
        server.stop_actor("query").await;
        let problem = assert_problem(&server.get("/readyz").await, 503);
        assert_eq!(problem["reasons"], json!(["actor query is not running"]));
        let answer = server.get("/api/v1/sessions/10.0.0.1").await;
        assert_problem(&answer, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_problem(&server.get("/api/v1/sessions").await, 503);
        assert_eq!(server.get("/healthz").await.body, "ok\n");
    });
}

#[test]
fn a_draining_server_is_not_ready() {
    with_server(async |server| {
        server.draining.send_replace(true);
        let problem = assert_problem(&server.get("/readyz").await, 503);
        assert_eq!(problem["reasons"], json!(["the server is stopping"]));
    });
}

#[test]
fn actors_points_and_a_reload_are_shown() {
    with_server(async |server| {
        let actors = server.get("/api/v1/actors").await.json();
        let cache = actors.as_array().unwrap().iter().find(|a| a["actor"] == "cache").unwrap();
        assert_eq!((&cache["state"], &cache["stage"]), (&json!("running"), &json!("deciding")));
        assert!(cache["mailbox_capacity"].as_u64().unwrap() > 0 && cache["restarts"].is_object());
        let points = server.get("/api/v1/enforcement-points").await.json();
        assert_eq!(points, json!([{"name": "srx1", "lag": 0}]));

        let good = server.request("POST", "/api/v1/reload").await;
        assert_eq!(good.json()["changed"], json!(["rules"]), "{good:?}");
        let problem = assert_problem(&server.request("POST", "/api/v1/reload").await, 422);
        assert_eq!(problem["reasons"], json!(["rollcall.toml:3: rest.listen is wrong"]));
    });
}

#[test]
fn a_producer_is_shown_with_its_event_account() {
    with_server(async |server| {
        let producer = server.start_producer("rest-test-syslog").await;
        let event = server.event("10.0.0.1", "alice@corp", rollcall_identity::Kind::Login);
        producer.submit(vec![event.clone(), event]).await;
        let producers = server.get("/api/v1/producers").await.json();
        let shown = &producers[0];
        assert_eq!(
            (&shown["actor"], &shown["state"]),
            (&json!("rest-test-syslog"), &json!("running"))
        );
        let account = &shown["account"];
        assert_eq!((&account["received"], &account["dropped"]), (&json!(3), &json!(1)));
        assert_eq!(account["dropped_by_reason"], json!({"no_user": 1}));
        assert_eq!(producers.as_array().unwrap().len(), 1, "the cache is no producer");
    });
}

#[test]
fn the_metrics_can_be_scraped_and_name_no_user() {
    with_server(async |server| {
        server.login("10.77.0.1", "canary-user@canary-domain").await;
        server.get("/api/v1/sessions/10.77.0.1").await;
        let answer = server.raw("GET", "/metrics", "").await;
        assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
        for part in [
            "# HELP rollcall_actor_messages_total Messages handled",
            "rollcall_http_requests_total{listener=\"rest\",code=\"200\"}",
            "rollcall_actor_handling_seconds_bucket{stage=\"deciding\"",
            "\nprocess_resident_memory_bytes ",
            "\nprocess_open_fds ",
        ] {
            assert!(answer.body.contains(part), "{part} is missing");
        }
        for canary in ["canary", "10.77.0.1"] {
            assert!(!answer.body.contains(canary), "{canary} is shown");
        }
    });
}

#[test]
fn the_openapi_description_is_current_and_lists_every_route() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    if written != openapi() && std::env::var_os("ROLLCALL_WRITE").is_some() {
        std::fs::write(path, openapi()).unwrap();
    }
    assert!(written == openapi(), "docs/openapi.json is old: rollcall openapi > docs/openapi.json");
    with_server(async |server| {
        let served = server.get("/api/v1/openapi.json").await;
        assert_eq!(served.body, written);
        let served = served.json();
        for (path, operations) in served["paths"].as_object().unwrap() {
            let path = path.replace("{ip}", "10.0.0.1");
            for method in operations.as_object().unwrap().keys() {
                if path.ends_with("/stream") {
                    continue;
                }
                let answer = server.request(&method.to_uppercase(), &path).await;
                assert!(answer.status != 405 && !answer.body.contains("no resource at"), "{path}");
            }
        }
    });
}
