//! Groups and domains in reports, according to the configuration of each point.

use std::time::Duration;

use rollcall_config as config;
use rollcall_identity::Glob;
use rollcall_identity::directory::BaseDn;
use rollcall_wire::srx::{DomainForm, PostureForm, UserForm};
use serde_json::Value;

use super::fixture::{TestServer, point, pushers, settings, with_server};
use rollcall_engine::directory::sample::corp;

/// A point that receives the groups below an organizational unit, and one group by its name.
fn point_with_group_filter(name: &str) -> config::EnforcementPoint {
    let mut point = point(name);
    point.groups.names = vec![Glob::new("staff").unwrap()];
    point.groups.bases = vec![BaseDn::new("OU=Firewall,DC=corp,DC=example,DC=com").unwrap()];
    point
}

async fn alice_logs_in(server: &TestServer, token: &str) {
    corp(&mut server.directory.write());
    let login = r#"{"kind":"login","address":"10.0.0.7","user":"CORP\\alice"}"#;
    assert_eq!(server.post(token, login).await.json()["applied"], 1);
}

fn roles(report: &Value) -> Vec<&str> {
    report["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap()).collect()
}

#[test]
fn each_point_receives_the_groups_of_its_group_filter() {
    let short = {
        let mut point = point_with_group_filter("srx2");
        point.dialect.domain = DomainForm::Netbios;
        point.dialect.user = UserForm::DownLevel;
        point
    };
    with_server(vec![point("srx1"), short], async |server| {
        let (first, second) = (server.token("srx1").await, server.token("srx2").await);
        alice_logs_in(&server, &first).await;
        let expected = ["Everybody", "Staff", "VPN-Users"];
        for path in ["", "/ip/10.0.0.7", "/user/alice", "/user/a.smith%40example.org"] {
            let answer = server.get(&first, path).await.json();
            let report = &answer["report_entries"][0];
            assert_eq!(roles(report), expected, "{path}");
            assert_eq!(report["domain-name"], "corp.example.com");
            let answer = server.get(&second, path).await.json();
            let report = &answer["report_entries"][0];
            assert_eq!(roles(report), ["Staff", "VPN-Users"], "{path}");
            assert_eq!(
                (&report["user-name"], &report["domain-name"]),
                (&"corp\\alice".into(), &"corp".into())
            );
        }
    });
}

#[test]
fn the_posture_of_a_device_is_reported_as_a_role() {
    let field = {
        let mut point = point("srx2");
        point.dialect.posture = PostureForm::Field;
        point
    };
    with_server(vec![point("srx1"), field], async |server| {
        let (first, second) = (server.token("srx1").await, server.token("srx2").await);
        let reports = async |state: &str| {
            let login =
                r#"{"kind":"login","address":"10.0.0.7","user":"alice","groups":["staff"],"#;
            let login = format!(r#"{login}"posture":"{state}"}}"#);
            assert_eq!(server.post(&first, &login).await.json()["applied"], 1);
            server.get(&first, "").await.json()["report_entries"][0].clone()
        };
        let report = reports("healthy").await;
        assert_eq!(roles(&report), ["posture-healthy", "staff"]);
        assert_eq!(report["posture"], "Healthy");
        server.advance(Duration::from_secs(60));
        let report = reports("quarantine").await;
        assert_eq!(roles(&report), ["posture-quarantine", "staff"], "it changed");
        let report = server.get(&second, "/ip/10.0.0.7").await.json()["report_entries"][0].clone();
        assert_eq!((roles(&report), &report["posture"]), (vec!["staff"], &"Quarantine".into()));
    });
}

#[test]
fn a_changed_group_filter_applies_to_sessions_that_the_firewall_has() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        alice_logs_in(&server, &token).await;
        let first = server.get(&token, "").await.json();
        let again = format!("?cookie={}", first["cookie"].as_str().unwrap());
        assert_eq!(server.get(&token, &again).await.json()["report_entries"], Value::Array(vec![]));
        server.points.apply_settings(&settings(vec![point_with_group_filter("srx1")]), &pushers());
        let reports = server.get(&token, &again).await.json();
        assert_eq!(roles(&reports["report_entries"][0]), ["Staff", "VPN-Users"]);
        let again = format!("?cookie={}", reports["cookie"].as_str().unwrap());
        assert_eq!(server.get(&token, &again).await.json()["report_entries"], Value::Array(vec![]));
    });
}

/// The reports for `cookie`. The cookie of this response must give an empty one.
async fn reports_once(server: &TestServer, token: &str, cookie: &str) -> Vec<Value> {
    let reports = server.get(token, &format!("?cookie={cookie}")).await.json();
    let again = format!("?cookie={}", reports["cookie"].as_str().unwrap());
    assert_eq!(server.get(token, &again).await.json()["report_entries"], Value::Array(vec![]));
    reports["report_entries"].as_array().unwrap().clone()
}

const HEALTHY: &str = r#"{"kind":"login","address":"10.0.0.7","user":"alice","groups":["staff"],
    "posture":"healthy"}"#;

#[test]
fn a_cookie_of_an_earlier_format_causes_one_full_read() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        assert_eq!(server.post(&token, HEALTHY).await.json()["applied"], 1);
        let first = server.get(&token, "").await.json();
        let cookie = first["cookie"].as_str().unwrap();
        assert_eq!(
            reports_once(&server, &token, cookie).await,
            [Value::Null; 0],
            "the firewall is up to date"
        );
        // The fingerprint of the default format without a filter, from before the format was part
        // of it.
        let (cursor, _) = cookie.split_once('~').unwrap();
        let reports = reports_once(&server, &token, &format!("{cursor}~e3b0c44298fc1c14")).await;
        assert_eq!(roles(&reports[0]), ["posture-healthy", "staff"]);
    });
}

#[test]
fn a_changed_posture_form_applies_to_sessions_that_the_firewall_has() {
    let with = |posture| {
        let mut point = point("srx1");
        point.dialect.posture = posture;
        vec![point]
    };
    with_server(with(PostureForm::Field), async |server| {
        let token = server.token("srx1").await;
        assert_eq!(server.post(&token, HEALTHY).await.json()["applied"], 1);
        let first = server.get(&token, "").await.json();
        assert_eq!(roles(&first["report_entries"][0]), ["staff"]);
        server.points.apply_settings(&settings(with(PostureForm::Both)), &pushers());
        let reports = reports_once(&server, &token, first["cookie"].as_str().unwrap()).await;
        assert_eq!(roles(&reports[0]), ["posture-healthy", "staff"]);
    });
}
