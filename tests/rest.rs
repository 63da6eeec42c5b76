//! End-to-end tests of the REST interface and the command line: sessions, explanations, the live
//! stream and the status.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{Answer, SECRET, Server, Stream, Vpn, frame_3164, now, rollcall, until};

fn login(address: &str, user: &str) -> Value {
    json!({"kind": "login", "address": address, "user": user})
}

#[test]
fn explain_gives_the_reason_for_the_user_and_against_competitors() {
    let server = Server::new();
    let mut script = server.client("script");
    let ago = |seconds| (now() - SignedDuration::from_secs(seconds)).to_string();
    let events = json!([
        {"kind": "login", "address": "10.1.20.1", "user": "alice", "at": ago(60)},
        {"kind": "login", "address": "10.1.20.1", "user": "HealthMailbox77", "at": ago(30)},
        {"kind": "login", "address": "10.1.20.1", "user": "bob", "at": ago(90)},
        {"kind": "logout", "address": "10.1.20.1", "user": "carol", "at": ago(20)},
    ]);
    assert_eq!(script.post_events(&events).status, 200);
    let explained = server.get("/api/v1/sessions/10.1.20.1/explain").json();
    assert_eq!(explained["session"]["user"], "alice");
    assert!(explained["sentence"].as_str().unwrap().contains("alice"), "{explained}");
    let competed = explained["competed"].as_array().unwrap();
    for (user, reason) in
        [("healthmailbox77", "user_ignored"), ("bob", "late"), ("carol", "other_user")]
    {
        let record = competed.iter().find(|record| {
            record["user"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(user))
        });
        let record = record.unwrap_or_else(|| panic!("{user} competed: {explained}"));
        assert_eq!(record["reason"], reason, "{record}");
        assert!(!record["sentence"].as_str().unwrap().is_empty());
    }
    // An address without a session has an explanation, too.
    let none = server.get("/api/v1/sessions/10.1.20.2/explain");
    assert_eq!(none.status, 200);
    assert_eq!(none.json()["session"], json!(null));
    server.stop();
}

#[test]
fn the_live_stream_resumes_at_the_last_event_id() {
    let server = Server::new();
    let mut script = server.client("script");
    let stream = Stream::open(&server, "", None);
    assert_eq!(script.post_events(&login("10.1.21.1", "alice")).status, 200);
    let first = stream.next();
    assert_eq!((first.name.as_str(), &first.data["address"]), ("began", &json!("10.1.21.1")));
    assert_eq!(first.data["session"]["user"], "alice");
    drop(stream);

    assert_eq!(script.post_events(&login("10.1.21.2", "bob")).status, 200);
    let logout = json!({"kind": "logout", "address": "10.1.21.1", "user": "alice"});
    assert_eq!(script.post_events(&logout).status, 200);
    let stream = Stream::open(&server, "", Some(&first.id));
    let (second, third) = (stream.next(), stream.next());
    assert_eq!((second.name.as_str(), &second.data["address"]), ("began", &json!("10.1.21.2")));
    assert_eq!((third.name.as_str(), &third.data["address"]), ("ended", &json!("10.1.21.1")));

    // A stream from the start has all active sessions and no ended ones.
    let stream = Stream::open(&server, "?from=start&cidr=10.1.21.0/24", None);
    loop {
        let event = stream.next();
        if event.name == "resync" {
            continue;
        }
        assert_eq!(event.data["address"], "10.1.21.2", "{event:?}");
        break;
    }
    server.stop();
}

#[test]
fn a_stream_cursor_of_another_epoch_causes_a_resync() {
    let server = Server::new();
    assert_eq!(server.client("script").post_events(&login("10.1.21.1", "alice")).status, 200);
    let stream = Stream::open(&server, "", Some("1.7"));
    let first = stream.next();
    assert_eq!(first.name, "resync", "{first:?}");
    let second = stream.next();
    assert_eq!(second.data["address"], "10.1.21.1");
    server.stop();
}

#[test]
fn sessions_are_filtered_and_paged() {
    let server = Server::new();
    let events: Vec<Value> = (0..250)
        .map(|n| {
            let domain = if n % 2 == 0 { "even.example" } else { "odd.example" };
            login(&format!("10.22.{}.{}", n / 100, n % 100 + 1), &format!("user{n}@{domain}"))
        })
        .collect();
    assert_eq!(server.client("script").post_events(&events.into()).status, 200);
    let count = |query: &str| {
        let (mut count, mut after) = (0, String::new());
        loop {
            let page = server.get(&format!("/api/v1/sessions?limit=60{query}{after}"));
            assert_eq!(page.status, 200, "{page:?}");
            let page = page.json();
            let sessions = page["sessions"].as_array().unwrap();
            assert!(sessions.len() <= 60);
            count += sessions.len();
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return count,
            }
        }
    };
    assert_eq!(count(""), 250);
    assert_eq!(count("&domain=even.example"), 125);
    assert_eq!(count("&cidr=10.22.1.0/24"), 100);
    assert_eq!(count("&ip=10.22.1.7"), 1);
    assert_eq!(count("&user=user17"), 1);
    assert_eq!(count("&producer=ptim"), 250);
    assert_eq!(count("&producer=syslog"), 0);
    assert_eq!(count("&state=ended"), 0);
    let session = server.get("/api/v1/sessions?user=user17").json()["sessions"][0].clone();
    for key in ["address", "user", "domain", "state", "since", "expires", "producer", "revision"] {
        assert!(!session[key].is_null(), "{key}: {session}");
    }
    server.stop();
}

#[test]
fn errors_are_reported_as_problem_details() {
    let server = Server::new();
    for (path, status) in [
        ("/api/v1/sessions/10.0.0", 400),
        ("/api/v1/sessions/10.0.0.1", 404),
        ("/api/v1/sessions?limit=0", 400),
        ("/api/v1/sessions?cidr=10.0.0.0/99", 400),
        ("/api/v1/sessions?nonsense=1", 400),
        ("/api/v1/sessions?after=x", 400),
        ("/api/v1/nothing", 404),
        ("/api/v1/reload", 405),
        ("/nothing", 404),
    ] {
        let answer: Answer = server.get(path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{path}: {problem}");
    }
    server.stop();
}

#[test]
fn requests_without_the_token_are_rejected() {
    let server = Server::new();
    assert_eq!(server.client("script").post_events(&login("10.1.23.1", "alice")).status, 200);
    let paths = [
        "/api/v1/sessions",
        "/api/v1/sessions/10.1.23.1",
        "/api/v1/sessions/10.1.23.1/explain",
        "/api/v1/stream",
        "/api/v1/enforcement-points",
        "/api/v1/producers",
        "/api/v1/actors",
    ];
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let almost = format!("Bearer {}x", &server.token()[1..]);
    for path in paths {
        for header in ["", "Bearer", "Basic YTpi", &almost] {
            let request = agent.get(format!("{}{path}", server.rest()));
            let answer = Answer::read(request.header("Authorization", header).call().unwrap());
            assert_eq!(answer.status, 401, "{path} {header:?}");
            assert!(!answer.text.contains("alice"));
        }
    }
    for path in ["/healthz", "/readyz"] {
        let answer = agent.get(format!("{}{path}", server.rest())).call().unwrap();
        assert_eq!(answer.status(), 200, "{path} needs no token: load balancers use it");
    }
    server.stop();
}

#[test]
fn the_status_resources_list_every_producer_point_and_actor() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    let producers = server.get("/api/v1/producers");
    assert_eq!(producers.status, 200);
    for name in ["syslog", "ptim"] {
        assert!(producers.text.contains(&format!("\"{name}\"")), "{producers:?}");
    }
    let points = server.get("/api/v1/enforcement-points");
    for name in ["campus-fw", "branch-fw"] {
        assert!(points.text.contains(&format!("\"{name}\"")), "{points:?}");
    }
    let actors = server.get("/api/v1/actors");
    for kind in ["cache", "query", "producer", "listener"] {
        assert!(actors.text.contains(&format!("\"{kind}\"")), "{kind}: {actors:?}");
    }
    let openapi = server.get("/api/v1/openapi.json").json();
    assert!(openapi["paths"]["/api/v1/sessions/{ip}/explain"].is_object(), "{openapi}");
    server.stop();
}

#[test]
fn the_command_line_looks_up_and_explains_sessions() {
    let server = Server::new();
    let tunnel = Vpn { user: "alice", address: "10.1.24.1" };
    server.datagram(frame_3164(&tunnel.up(), SignedDuration::ZERO));
    server.wait_for_user("alice", "10.1.24.1");
    let token = server.data().join("admin.token").display().to_string();
    let ask = |arguments: &[&str]| {
        let connection = ["--url", server.rest(), "--token-file", &token];
        let output = rollcall(server.setup().folder(), &[arguments, &connection].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text, errors) = ask(&["lookup", "10.1.24.1"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains("alice"), "{text}");
    let (code, text, errors) = ask(&["lookup", "10.1.24.2"]);
    assert_eq!(code, Some(1), "the exit status shows that there is no session: {text}{errors}");
    let (code, text, _) = ask(&["explain", "10.1.24.1"]);
    assert!(code == Some(0) && text.contains("alice") && text.contains("junos-vpn"), "{text}");
    let (code, text, _) = ask(&["sessions"]);
    assert!(code == Some(0) && text.contains("10.1.24.1"), "{text}");
    server.datagram("nothing that any template knows");
    until("the dropped line is listed with its reason", || {
        let (code, text, errors) = ask(&["status", "producers"]);
        assert_eq!(code, Some(0), "{errors}");
        text.contains("\nsyslog: dropped 1 unmatched\n").then_some(())
    });
    let (code, text, errors) = ask(&["reload"]);
    assert_eq!((code, text.as_str()), (Some(0), "no changes\n"), "{errors}");
    server.rewrite(|text| {
        text.replace("shutdown_timeout = \"5s\"", "shutdown_timeout = \"5 parsecs\"")
    });
    let (code, _, errors) = ask(&["reload"]);
    assert!(
        code == Some(2) && errors.contains("shutdown_timeout"),
        "the error is reported: {errors}"
    );
    let (code, text, _) = ask(&["sessions", "--json"]);
    assert_eq!(code, Some(0));
    assert!(
        serde_json::from_str::<Value>(text.lines().next().unwrap_or("")).is_ok()
            || serde_json::from_str::<Value>(&text).is_ok(),
        "{text}"
    );
    server.stop();
    // An unreachable server gives an error text.
    let folder = tempfile::tempdir().unwrap();
    let output = rollcall(folder.path(), &["lookup", "10.0.0.1", "--url", "http://127.0.0.1:1"]);
    assert_ne!(output.status.code(), Some(0));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.is_empty() && !errors.contains("panicked"), "{errors}");
}

#[test]
fn client_add_creates_a_firewall_that_can_authenticate() {
    let server = Server::new();
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let token = server.data().join("admin.token").display().to_string();
    let arguments = ["client", "add", "new-fw", "--address", "127.0.0.1", "--config", &config];
    let connection = ["--url", server.rest(), "--token-file", &token];
    let added = rollcall(server.setup().folder(), &[&arguments[..], &connection[..]].concat());
    let text = String::from_utf8_lossy(&added.stdout).into_owned();
    assert!(added.status.success(), "{added:?}");
    let after = |mark: &str| {
        let rest = text.split(mark).nth(1).unwrap_or_else(|| panic!("{mark}: {text}"));
        rest.split_whitespace().next().unwrap().trim_matches('"').to_owned()
    };
    let (id, secret) = (after("primary client-id "), after("primary client-secret "));
    assert!(secret.len() >= 22, "128 bits at least");
    let clients = std::fs::read_to_string(server.data().join("clients.toml")).unwrap();
    assert!(clients.contains("$sha256$") && !clients.contains(&secret), "only its hash is stored");
    let authority = server.setup().authority().certificate();
    until("the new firewall obtains a token", || {
        let new = crate::harness::Srx::new(&id, &secret, &authority, &[&server.enforcement()]);
        (new.request_token(0).unwrap().status == 200).then_some(())
    });
    assert_ne!(secret, SECRET);
    server.stop();
}
