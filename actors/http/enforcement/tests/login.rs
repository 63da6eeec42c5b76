//! Tokens: every form of the request, wrong secrets, other addresses, expiry.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rollcall_wire::srx::QueryToken;

use super::fixture::{
    HOUR, TestServer, bearer, login, name, point, pushers, settings, with_server,
};

const HERE: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

async fn status_with(server: &TestServer, token: &str) -> u16 {
    server.get(token, "/ip/10.0.0.1").await.status
}

#[test]
fn a_token_is_issued_for_every_request_form_and_valid_for_a_query() {
    with_server(vec![point("srx1")], async |server| {
        let query = login("srx1", "s3cr-t_");
        let basic = format!("Authorization: Basic {}", STANDARD.encode("srx1:s3cr-t_"));
        let json = r#"{"client_id":"srx1","client_secret":"s3cr-t_"}"#;
        let path = "/oauth_token/oauth";
        for (head, headers, body) in [
            (format!("POST {path}"), vec![], query.as_str()),
            (format!("POST {path}/"), vec!["Content-Type: application/json"], json),
            (format!("POST {path}"), vec![&*basic], "grant_type=client_credentials"),
        ] {
            let answer = server.request(&head, &headers, body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.head.contains("cache-control: no-store"), "{answer:?}");
            let json = answer.json();
            assert_eq!(
                (&json["expires_in"], &json["token_type"]),
                (&3600.into(), &"Bearer".into())
            );
            let token = json["access_token"].as_str().unwrap();
            assert_eq!(status_with(&server, token).await, 200);
        }
    });
}

#[test]
fn a_wrong_secret_and_an_unknown_id_get_the_same_answer() {
    with_server(vec![point("srx1")], async |server| {
        let mut answers = Vec::new();
        for client in ["srx1", "nobody"] {
            let body = login(client, "wrong");
            let answer = server.request("POST /oauth_token/oauth", &[], &body).await;
            assert!(answer.head.contains("www-authenticate: basic"), "{answer:?}");
            answers.push((answer.status, answer.body));
        }
        assert_eq!(answers[0].0, 401);
        assert_eq!(answers[0], answers[1]);
        let bad = server.request("POST /oauth_token/oauth", &[], "grant_type=password").await;
        assert_eq!(
            (bad.status, bad.json()["error"].as_str()),
            (400, Some("unsupported_grant_type"))
        );
    });
}

#[test]
fn wrong_secrets_lock_out_one_client_at_one_address_for_a_while() {
    let mut wide = point("srx1");
    wide.addresses = vec!["127.0.0.0/8".parse().unwrap()];
    with_server(vec![wide, point("srx2")], async |server| {
        for _ in 0..3 {
            assert_eq!(server.try_login(HERE, "srx1", "wrong").await, 401);
        }
        let body = login("srx1", "s3cr-t_");
        let locked = server.request("POST /oauth_token/oauth", &[], &body).await;
        assert_eq!(locked.status, 429);
        assert!(locked.head.contains("retry-after: 10"), "{locked:?}");
        assert_eq!(server.try_login(ELSEWHERE, "srx1", "s3cr-t_").await, 200);
        assert_eq!(server.try_login(HERE, "srx1", "s3cr-t_").await, 200, "it is known to be right");
        assert_eq!(server.try_login(HERE, "srx2", "s3cr-t_").await, 200);
    });
}

#[test]
fn a_secret_in_the_url_is_rejected_unless_the_dialect_accepts_it() {
    let mut old = point("old");
    old.dialect.query_token = QueryToken::Accepted;
    with_server(vec![point("srx1"), old], async |server| {
        for (id, status) in [("srx1", 400), ("unknown", 400), ("old", 200)] {
            let query = login(id, "s3cr-t_");
            let request = format!("GET /oauth_token/oauth?{query}");
            let answer = server.request(&request, &[], "").await;
            assert_eq!(answer.status, status, "{id} {answer:?}");
        }
    });
}

#[test]
fn a_token_expires_and_is_good_only_from_the_addresses_of_its_client() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        let request = "GET /user_query/v2/ip/10.0.0.1";
        let moved = server.request_from(ELSEWHERE, request, &[&bearer(&token)], "").await;
        assert_eq!(moved.status, 401);
        assert_eq!(server.try_login(ELSEWHERE, "srx1", "s3cr-t_").await, 400);
        server.advance(HOUR - Duration::from_millis(1));
        assert_eq!(status_with(&server, &token).await, 200);
        server.advance(Duration::from_millis(1));
        let expired = server.get(&token, "").await;
        assert_eq!(expired.status, 401);
        assert!(expired.head.contains("error=\"invalid_token\""), "{expired:?}");
        let missing = server.request("GET /user_query/v2", &[], "").await;
        assert!(missing.status == 401 && missing.head.contains("www-authenticate: bearer"));
    });
}

#[test]
fn an_unconfigured_source_address_is_403() {
    with_server(vec![point("srx1")], async |server| {
        let stranger = [127, 0, 0, 3];
        let body = login("srx1", "s3cr-t_");
        let answer = server.request_from(stranger, "POST /oauth_token/oauth", &[], &body).await;
        assert_eq!(answer.status, 403);
        assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    });
}

#[test]
fn a_reload_revokes_only_tokens_of_changed_secrets_and_removed_points() {
    with_server(vec![point("srx1"), point("srx2"), point("srx3")], async |server| {
        let mut tokens = Vec::new();
        for client in ["srx1", "srx2", "srx3"] {
            tokens.push(server.token(client).await);
        }
        let mut changed = point("srx2");
        changed.secret = crate::admission::secret::hash("another");
        let mut renamed = point("srx1");
        renamed.name = name("branch");
        server.points.apply_settings(&settings(vec![renamed, changed]), &pushers());
        let mut statuses = Vec::new();
        for token in &tokens {
            statuses.push(status_with(&server, token).await);
        }
        assert_eq!(statuses, [200, 401, 401]);
        assert_eq!(server.try_login(HERE, "srx2", "s3cr-t_").await, 401);
        assert_eq!(server.try_login(HERE, "srx2", "another").await, 200);
        let names: Vec<_> = server.points.status().into_iter().map(|point| point.name).collect();
        assert_eq!(names, ["branch", "portal", "srx2"]);
    });
}

#[test]
fn an_oversized_token_request_is_rejected() {
    with_server(vec![point("srx1")], async |server| {
        let body = login("srx1", &"x".repeat(5000));
        let answer = server.request("POST /oauth_token/oauth", &[], &body).await;
        assert_eq!((answer.status, answer.json()["status"].as_u64()), (413, Some(413)));
    });
}

#[test]
fn a_token_in_the_query_is_rejected_unless_the_dialect_accepts_it() {
    let mut old = point("old");
    old.dialect.query_token = QueryToken::Accepted;
    with_server(vec![point("srx1"), old], async |server| {
        for (client, status) in [("srx1", 401), ("old", 200)] {
            let token = server.token(client).await;
            let request = format!("GET /user_query/v2/ip/10.0.0.1?access_token={token}");
            let push = format!("POST /user_query/v2/user?token={token}&ip=10.0.0.1&id=alice");
            for head in [&request, &push] {
                let answer = server.request(head, &[], "").await;
                assert_eq!(answer.status, status, "{client}: {answer:?}");
                assert!(!answer.body.contains(&token), "the answer does not repeat it");
            }
            // With the token in the header too: it is still in the query.
            assert_eq!(server.request(&request, &[&bearer(&token)], "").await.status, status);
            assert_eq!(status_with(&server, &token).await, 200, "{client} by the header");
        }
    });
}
