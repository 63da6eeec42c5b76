//! End-to-end test of the validator, which the web interface of a firewall queries.

use serde_json::json;

use crate::harness::{Answer, RequestError, SECRET, Server, Setup, Srx, hash};

const LISTEN: &str = "listen = [\"127.0.0.1:0\"] # of J-Web";

fn setup() -> Setup {
    let hash = hash(SECRET);
    Setup::new().with(&format!(
        "[validator]\n{LISTEN}\nquery_path = \"/user_query/v2\"\n\
         [validator.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n\
         [[validator.clients]]\nname = \"campus-fw\"\naddresses = [\"127.0.0.0/8\"]\n\
         client_id = \"jweb\"\nsecret_hash = \"{hash}\"\n"
    ))
}

fn refused(answer: Result<Answer, RequestError>) -> u16 {
    match answer {
        Err(RequestError::Refused(answer)) => answer.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_validator_has_its_own_listener_clients_and_tokens() {
    let server = Server::start(setup());
    let authority = server.setup().authority().certificate();
    let client = |id: &str, url: String| Srx::new(id, SECRET, &authority, &[&url]);
    let mut web = client("jweb", server.validator());
    let answer = web.ask(0, "/validate/user?name=alice&domain=corp").unwrap().json();
    assert_eq!(answer, json!({"valid": false}), "no directory is configured");
    assert_eq!(refused(web.ask(0, "/groups?domain=corp")), 404);
    assert_eq!(client("campus-fw", server.validator()).request_token(0).unwrap().status, 401);
    assert_eq!(client("jweb", server.enforcement()).request_token(0).unwrap().status, 401);

    assert_eq!(refused(web.ask(0, &format!("/printers?client_secret={SECRET}"))), 404);
    server.wait_for_log("/printers");
    let labels = [("client", "campus-fw"), ("kind", "user"), ("outcome", "unknown")];
    assert_eq!(server.metrics().sum("rollcall_validator_requests_total", &labels), 1);

    server.rewrite(|text| text.replace(LISTEN, "listen = []"));
    let report = server.post("/api/v1/reload").json();
    assert_eq!(report["restarted"], json!(["validator"]), "{report}");
    assert!(matches!(web.ask(0, "/user/alice"), Err(RequestError::Unreachable(_))));
    server.stop();
}
