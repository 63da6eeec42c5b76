//! The directory in responses: sessions with their groups, lists by prefix, and membership paths.

use rollcall_identity::Kind;
use serde_json::{Value, json};

use super::assert_problem;
use super::fixture::{TestServer, with_server};
use rollcall_engine::directory::sample::corp;

async fn get_json(server: &TestServer, path: &str) -> Value {
    let answer = server.get(&format!("/api/v1{path}")).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn a_session_shows_the_groups_that_directories_know() {
    with_server(async |server| {
        server.apply(vec![server.event("10.0.0.6", "CORP\\alice", Kind::Login)]).await;
        corp(&mut server.directory.write());
        let mut login = server.event("10.0.0.7", "CORP\\alice", Kind::Login);
        login.device = Some("pc1".parse().unwrap());
        server.apply(vec![login]).await;
        let before = get_json(&server, "/sessions/10.0.0.6").await;
        assert_eq!((&before["groups"], &before["device_groups"]), (&Value::Null, &Value::Null));
        let session = get_json(&server, "/sessions/10.0.0.7").await;
        assert_eq!(session["groups"], json!(["Everybody", "Staff", "VPN-Users"]));
        assert_eq!(session["device_groups"], json!(["Laptops"]));
        assert_eq!(session["roles"], Value::Null);
    });
}

#[test]
fn lists_are_filtered_by_prefix_and_paged() {
    with_server(async |server| {
        assert_problem(&server.get("/api/v1/users").await, 404);
        assert_eq!(get_json(&server, "/domains").await, json!([]));
        corp(&mut server.directory.write());
        let domains = get_json(&server, "/domains").await;
        assert_eq!(
            domains,
            json!([{"name": "corp.example.com", "netbios": "corp", "sid": "S-1-5-21-1-2-3",
                    "users": 1, "devices": 1, "groups": 4}])
        );
        let users = get_json(&server, "/users?domain=CORP&prefix=aL").await;
        assert_eq!((names(&users["accounts"]), &users["total"]), (vec!["Alice"], &json!(1)));
        assert_eq!(users["accounts"][0]["upn"], "a.smith@example.org");
        assert_eq!(names(&get_json(&server, "/devices").await["accounts"]), ["PC1$"]);
        let mut listed = Vec::new();
        let mut start = Some(0);
        while let Some(from) = start {
            let page = get_json(&server, &format!("/groups?start={from}&limit=3")).await;
            assert_eq!(page["total"], 4);
            listed.extend(names(&page["groups"]).into_iter().map(str::to_owned));
            start = page["next"].as_u64();
        }
        assert_eq!(listed, ["Everybody", "Laptops", "Staff", "VPN-Users"]);
        assert_problem(&server.get("/api/v1/users?domain=lab").await, 404);
        assert_problem(&server.get("/api/v1/groups?limit=0").await, 400);
        assert_problem(&server.get("/api/v1/groups?prefx=a").await, 400);
    });
}

#[test]
fn explain_shows_the_membership_path_of_a_group() {
    with_server(async |server| {
        corp(&mut server.directory.write());
        for name in ["alice", "CORP%5Calice", "alice@corp.example.com", "a.smith@example.org"] {
            let found = get_json(&server, &format!("/users/{name}/groups")).await;
            assert_eq!(found["user"]["name"], "Alice", "{name}");
            assert_eq!(names(&found["groups"]), ["Everybody", "Staff", "VPN-Users"]);
            assert_eq!(found["groups"][0].get("path"), None);
        }
        let paths = get_json(&server, "/users/alice/groups?explain").await;
        assert_eq!(paths["groups"][0]["path"], json!(["Staff", "Everybody"]));
        assert_eq!(paths["groups"][1]["path"], json!(["Staff"]));
        let one = get_json(&server, "/users/alice/groups?explain=EVERYBODY").await;
        assert_eq!(names(&one["groups"]), ["Everybody"]);
        assert_problem(&server.get("/api/v1/users/alice/groups?explain=Laptops").await, 404);
        assert_problem(&server.get("/api/v1/users/bob/groups").await, 404);
        assert_problem(&server.get("/api/v1/users/%01/groups").await, 400);
    });
}

#[test]
fn directories_that_are_not_configured_are_not_listed() {
    with_server(async |server| assert_eq!(get_json(&server, "/directories").await, json!([])));
}
