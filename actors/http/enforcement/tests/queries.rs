//! Batch queries by cookie, address queries, user queries, filters, and rejected queries.

use std::collections::BTreeMap;

use rollcall_identity::Glob;
use rollcall_wire::srx::Format;
use serde_json::Value;

use super::super::Role;
use super::fixture::{TestServer, bearer, point, pushers, settings, with_server};

/// Pushes `count` logins, `u<n>` at `10.0.<n / 256>.<n % 256>`, half of them in each domain.
async fn fill(server: &TestServer, token: &str, count: usize) {
    let events: Vec<_> = (0..count)
        .map(|n| {
            let (high, low, domain) = (n / 256, n % 256, ["corp.example", "lab.example"][n % 2]);
            format!(
                r#"{{"kind":"login","address":"10.0.{high}.{low}","user":"u{n}","domain":"{domain}"}}"#
            )
        })
        .collect();
    let answer = server.post(token, &format!("[{}]", events.join(","))).await;
    assert_eq!(answer.json()["applied"].as_u64(), Some(count as u64), "{answer:?}");
}

/// Polls until a response is empty, and returns the users by address.
async fn poll(
    server: &TestServer,
    token: &str,
    first: &str,
    more: &str,
) -> BTreeMap<String, String> {
    let mut held = BTreeMap::new();
    let mut path = format!("?{first}{more}");
    for _ in 0..1000 {
        let answer = server.get(token, &path).await.json();
        let reports = answer["report_entries"].as_array().unwrap();
        for report in reports {
            let text = |key: &str| report[key].as_str().unwrap().to_owned();
            match report["activity"].as_str() {
                Some("login") => held.insert(text("ip-address"), text("user-name")),
                _ => held.remove(&text("ip-address")),
            };
        }
        if reports.is_empty() {
            return held;
        }
        path = format!("?cookie={}{more}", answer["cookie"].as_str().unwrap());
    }
    panic!("the cookies never end");
}

#[test]
fn a_firewall_that_follows_the_cookies_receives_all_sessions() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        fill(&server, &token, 300).await;
        for count in [1000, 100, 7] {
            let more = format!("&entry_count={count}");
            let held = poll(&server, &token, "begintime=0", &more).await;
            assert_eq!(held.len(), 300, "{count} at once");
            assert_eq!(held["10.0.1.43"], "u299");
        }
    });
}

#[test]
fn a_cookie_continues_after_the_last_response_and_an_unknown_one_starts_a_full_resync() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        fill(&server, &token, 3).await;
        let cookie = server.get(&token, "").await.json()["cookie"].as_str().unwrap().to_owned();
        let out = r#"{"kind":"logout","address":"10.0.0.1","user":"u1","domain":"lab.example"}"#;
        assert_eq!(server.post(&token, out).await.json()["applied"], 1);
        let cookie = format!("Cookie: cookie={cookie}");
        let news =
            server.request("GET /user_query/v2", &[&bearer(&token), &cookie], "").await.json();
        let news = news["report_entries"].as_array().unwrap();
        assert_eq!(news.len(), 1);
        assert_eq!(
            (&news[0]["ip-address"], &news[0]["activity"]),
            (&"10.0.0.1".into(), &"logout".into())
        );
        for unknown in ["jims-4711", "6.1", "7.99999"] {
            let answer = server.get(&token, &format!("?cookie={unknown}")).await.json();
            let reports = answer["report_entries"].as_array().unwrap();
            let logouts = reports.iter().filter(|report| report["activity"] == "logout").count();
            // The firewall may still have ended sessions: it receives their logouts.
            assert_eq!((reports.len(), logouts), (3, 1), "{unknown}");
        }
    });
}

#[test]
fn an_address_query_returns_the_user_or_no_report() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        fill(&server, &token, 2).await;
        for path in ["/ip/10.0.0.1", "/10.0.0.1", "?ip=10.0.0.1", "/ip?ip=::ffff:10.0.0.1"] {
            let answer = server.get(&token, path).await.json();
            assert_eq!(answer["report_entries"][0]["user-name"], "u1", "{path}");
        }
        let old = server.request("GET /user_query/v1/ip/10.0.0.1", &[&bearer(&token)], "").await;
        assert_eq!(old.json()["report_entries"][0]["user-name"], "u1");
        let miss = server.get(&token, "/ip/10.9.9.9").await;
        assert_eq!(
            (miss.status, miss.json()["report_entries"].clone()),
            (200, Value::Array(vec![]))
        );
    });
}

#[test]
fn a_user_is_found_at_every_address() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        fill(&server, &token, 300).await;
        let more =
            r#"[{"kind":"login","address":"2001:db8::7","user":"u7","domain":"lab.example"}]"#;
        server.post(&token, more).await;
        let found = async |path: &str| {
            let answer = server.get(&token, path).await.json();
            let reports = answer["report_entries"].as_array().unwrap().clone();
            reports.iter().map(|r| r["ip-address"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found("/user/u7").await, ["10.0.0.7", "2001:db8::7"]);
        assert_eq!(found("/user/U7@LAB.example").await.len(), 2);
        assert!(found("/user/u7@corp.example").await.is_empty());
    });
}

#[test]
fn filters_of_the_point_and_of_the_request_apply_to_every_query() {
    let mut narrow = point("srx2");
    narrow.domains = vec![Glob::new("corp.*").unwrap()];
    narrow.exclude = vec!["10.0.0.0/28".parse().unwrap()];
    with_server(vec![point("srx1"), narrow], async |server| {
        let (all, narrow) = (server.token("srx1").await, server.token("srx2").await);
        fill(&server, &all, 64).await;
        let held =
            poll(&server, &all, "", "&domain=lab.example&include-ip=10.0.0.0-10.0.0.9").await;
        assert_eq!(held.keys().collect::<Vec<_>>().len(), 5);
        let held = poll(&server, &narrow, "", "").await;
        assert_eq!(held.len(), 24, "{held:?}");
        let held = poll(&server, &narrow, "", "&include-ip=10.0.0.16/30").await;
        assert_eq!(held.into_keys().collect::<Vec<_>>(), ["10.0.0.16", "10.0.0.18"]);
        assert!(poll(&server, &narrow, "", "&domain=lab.example").await.is_empty());
        let no_reports = Value::Array(vec![]);
        for path in ["/ip/10.0.0.2", "/ip/10.0.0.17", "/user/u2", "/user/u17"] {
            assert_eq!(
                server.get(&narrow, path).await.json()["report_entries"],
                no_reports,
                "{path}"
            );
        }
        assert_eq!(
            server.get(&narrow, "/ip/10.0.0.16").await.json()["report_entries"][0]["user-name"],
            "u16"
        );
    });
}

/// The activities and users of the next response, by address, and its cookie.
async fn next(
    server: &TestServer,
    token: &str,
    cookie: &str,
) -> (BTreeMap<String, String>, String) {
    let answer = server.get(token, &format!("?cookie={cookie}")).await.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let reports = answer["report_entries"].as_array().unwrap().iter();
    let reports = reports.map(|report| {
        let (activity, user) = (text(&report["activity"]), text(&report["user-name"]));
        (text(&report["ip-address"]), format!("{activity} {user}"))
    });
    (reports.collect(), text(&answer["cookie"]))
}

#[test]
fn a_changed_filter_applies_to_sessions_that_the_firewall_has() {
    with_server(vec![point("srx1"), point("srx2")], async |server| {
        let (token, pushing) = (server.token("srx1").await, server.token("srx2").await);
        let apply_settings = |change: &dyn Fn(&mut rollcall_config::EnforcementPoint)| {
            let mut changed = point("srx1");
            change(&mut changed);
            server.points.apply_settings(&settings(vec![changed, point("srx2")]), &pushers());
        };
        fill(&server, &pushing, 4).await;
        let (reports, cookie) = next(&server, &token, "").await;
        assert_eq!(reports.len(), 4);
        let (reports, cookie) = next(&server, &token, &cookie).await;
        assert_eq!(reports.len(), 0, "with the same filter nothing is reported twice");

        // Fewer networks: an address outside them is reported as a logout, even if its session
        // ended meanwhile.
        apply_settings(&|point| point.include = vec!["10.0.0.0/31".parse().unwrap()]);
        let logouts =
            r#"{"kind":"logout","address":"10.0.0.3","user":"u3","domain":"lab.example"}"#;
        assert_eq!(server.post(&pushing, logouts).await.json()["applied"], 1);
        let (reports, cookie) = next(&server, &token, &cookie).await;
        let expected = ["login u0", "login u1", "logout ", "logout "];
        assert_eq!(reports.into_values().collect::<Vec<_>>(), expected, "and without their names");

        // Another domain, while another user logs in at an address that the filter does not admit.
        apply_settings(&|point| point.domains = vec![Glob::new("lab.*").unwrap()]);
        let over = r#"{"kind":"login","address":"10.0.0.1","user":"bob","domain":"corp.example"}"#;
        server.advance(std::time::Duration::from_secs(1));
        assert_eq!(server.post(&pushing, over).await.json()["applied"], 1);
        let (reports, cookie) = next(&server, &token, &cookie).await;
        let expected = ["logout ", "logout ", "logout "];
        assert_eq!(reports.into_values().collect::<Vec<_>>(), expected);

        // No filter: sessions that existed all the time are reported too.
        apply_settings(&|_| {});
        let (reports, cookie) = next(&server, &token, &cookie).await;
        assert_eq!(reports["10.0.0.0"], "login u0");
        assert_eq!((reports["10.0.0.1"].as_str(), reports.len()), ("login bob", 3));
        // The filter of the request has the same effect.
        let (reports, cookie) =
            next(&server, &token, &format!("{cookie}&domain=lab.example")).await;
        assert_eq!(reports["10.0.0.0"], "logout ");
        let (reports, _) = next(&server, &token, &format!("{cookie}&domain=lab.example")).await;
        assert_eq!(reports.len(), 0);
    });
}

#[test]
fn a_filter_change_during_paging_ends_with_the_admitted_sessions() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        fill(&server, &token, 60).await;
        let (mut held, mut path) = (BTreeMap::new(), "?entry_count=7".to_owned());
        for round in 0..40 {
            let mut changed = point("srx1");
            if round >= 2 {
                changed.domains = vec![Glob::new("corp.*").unwrap()];
            }
            if round >= 5 {
                changed.exclude = vec!["10.0.0.0/28".parse().unwrap()];
            }
            server.points.apply_settings(&settings(vec![changed]), &pushers());
            let answer = server.get(&token, &path).await.json();
            for report in answer["report_entries"].as_array().unwrap() {
                let address = report["ip-address"].as_str().unwrap().to_owned();
                match report["activity"].as_str() {
                    Some("login") => held.insert(address, report["user-name"].clone()),
                    _ => held.remove(&address),
                };
            }
            path = format!("?entry_count=7&cookie={}", answer["cookie"].as_str().unwrap());
        }
        assert!(!path.ends_with("~all"), "{path}");
        assert_eq!(held.len(), 22, "the even ones from 16 to 58: {held:?}");
        assert!(!held.contains_key("10.0.0.2") && held.contains_key("10.0.0.58"));
    });
}

#[test]
fn a_point_is_answered_in_its_dialect() {
    let mut xml = point("srx1");
    xml.dialect.format = Format::Xml;
    with_server(vec![xml], async |server| {
        let token = server.token("srx1").await;
        fill(&server, &token, 1).await;
        let answer = server.get(&token, "/ip/10.0.0.0").await;
        assert!(answer.head.contains("content-type: application/xml"), "{answer:?}");
        assert!(answer.body.contains("<userfw-entries>"), "{answer:?}");
    });
}

#[test]
fn errors_name_the_bad_parameter_or_the_unknown_route() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        for (path, status, detail) in [
            ("?entry_count=0", 400, "entry_count: less than 1"),
            ("?begintime=yesterday", 400, "begintime: neither a time"),
            ("/ip/nowhere", 400, "ip: not an IP address"),
            ("?include-ip=x", 400, "include-ip: not an address"),
            ("/groups/all", 404, "no query has this method and path"),
        ] {
            let answer = server.get(&token, path).await;
            let json = answer.json();
            assert_eq!((answer.status, json["status"].as_u64()), (status, Some(u64::from(status))));
            assert!(json["detail"].as_str().unwrap().starts_with(detail), "{answer:?}");
        }
        let lost = server.request("GET /favicon.ico", &[], "").await;
        assert_eq!(lost.status, 404);
        let status = server.points.status().remove(1);
        assert_eq!((status.name.as_str(), status.role), ("srx1", Role::EnforcementPoint));
        assert_eq!((status.queries, status.errors), (0, 5));
    });
}

#[test]
fn the_status_shows_the_lag_of_a_point() {
    with_server(vec![point("srx1"), point("srx2")], async |server| {
        let (querying, pushing) = (server.token("srx1").await, server.token("srx2").await);
        fill(&server, &pushing, 10).await;
        let path = "?entry_count=10";
        let reports = server.get(&querying, path).await.json();
        let status = |server: &TestServer| server.points.status().remove(1);
        let now = status(&server);
        assert_eq!((now.queries, now.reports, now.lag_changes), (1, 10, Some(0)));
        assert_eq!(now.cookie.as_deref(), reports["cookie"].as_str());
        assert_eq!((now.lag_seconds, now.last_address), (Some(0.0), Some([127, 0, 0, 1].into())));
        server.advance(std::time::Duration::from_secs(30));
        let event = r#"{"kind":"login","address":"10.1.0.1","user":"new"}"#;
        server.post(&pushing, event).await;
        let now = status(&server);
        assert_eq!((now.lag_changes, now.lag_seconds), (Some(1), Some(30.0)));
        assert_eq!(server.points.status()[2].lag_changes, None, "no batch query yet");
        assert_eq!(server.points.status()[2].pushed, 11);
    });
}

#[test]
fn without_the_query_actor_the_response_is_503_and_never_empty() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        server.stop_actor("query").await;
        for path in ["", "/ip/10.0.0.1", "/user/u1"] {
            let answer = server.get(&token, path).await;
            assert_eq!(answer.status, 503, "{path}");
            assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
        }
    });
}
