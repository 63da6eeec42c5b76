//! Tests of the command line with a real server.

mod client;
mod test_syslog;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use actix::System;
use rollcall_config::HttpLimits;
use rollcall_engine::Engine;
use rollcall_http::listener::{BoundSockets, Listener, ListenerSpec};
use rollcall_http::rest::{AllowedHosts, ReloadReport, Rest, Token};
use rollcall_identity::{
    Authority, ChangeLogLimits, Event, Kind, MemoryJournal, Name, Origin, Principal, Producer,
    Rules,
};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::prometheus;
use rollcall_runtime::supervisor::Spawn;
use rollcall_runtime::tls::SelfSigned;
use serde_json::{Value, json};
use tempfile::TempDir;
use {rollcall_engine::cache::Cache, rollcall_engine::messages::Apply};

use super::*;

/// A server with a data folder.
struct TestServer {
    folder: TempDir,
    address: SocketAddr,
    /// The same routes over TLS, with a certificate of the built-in CA.
    secured: SocketAddr,
    cache: Mailbox<Cache>,
}

const TOKEN: &str = "a-token-of-the-tests-0123456789";

/// The server of all tests in this process. There is only one, because a process has one metrics
/// recorder.
fn server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let system = System::new();
            sender.send(system.block_on(serve(&data))).unwrap();
            system.run().unwrap();
        });
        let (address, secured, cache) = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        let token = folder.path().join("admin.token");
        fs::write(&token, TOKEN).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let server = TestServer { folder, address, secured, cache };
        server.fill();
        server
    })
}

async fn serve(data: &std::path::Path) -> (SocketAddr, SocketAddr, Mailbox<Cache>) {
    let prometheus = prometheus::install(&rollcall_server::metrics::registry()).unwrap();
    let clock = Clock::system();
    let mut rules = Rules::default();
    let authority = Authority::unrestricted([Kind::Login, Kind::Logout]);
    rules.authorities.insert((name("syslog"), name("fw1")), authority);
    let engine = Engine::start(MemoryJournal::new(7), rules, ChangeLogLimits::default(), &clock);
    let Engine { supervisor, cache, query, newest, journal_error, .. } = engine.await.unwrap();
    let draining = tokio::sync::watch::Sender::new(false);
    let rest = Rest {
        query,
        cache: cache.clone(),
        history: None,
        supervisor: supervisor.clone(),
        newest,
        journal_error,
        draining: draining.subscribe(),
        targets: rollcall_push::PushTargets::default(),
        directory: rollcall_engine::directory::SharedDirectory::default(),
        producers: rollcall_producers::registration::ProducerContext::new(
            rollcall_runtime::clock::Clock::system(),
            rollcall_engine::directory::SharedDirectory::default(),
        ),
        points: Arc::new(|| {
            let fw1 = json!({"name": "fw1", "role": "enforcement_point", "queries": 7});
            json!([fw1, {"name": "portal", "role": "pusher", "queries": 0}])
        }),
        reload: Arc::new(|| Box::pin(async { Ok(changed()) })),
        prometheus,
        token: Token::new(TOKEN),
        hosts: AllowedHosts::default(),
        is_evaluation: false,
    };
    // The server does not drain before the process ends.
    std::mem::forget(draining);
    let timeout = Duration::from_secs(5);
    let limits = HttpLimits {
        body_size: 4096,
        header_size: 16384,
        header_timeout: timeout,
        body_timeout: timeout,
        connections: 64,
        connections_per_address: 64,
    };
    let local = || BoundSockets::bind(&["127.0.0.1:0".parse().unwrap()], None).unwrap();
    let (plain, secured) = (local(), local());
    let at = |bound: &BoundSockets| bound.addresses().unwrap()[0];
    let addresses = (at(&plain), at(&secured));
    let certificate = SelfSigned::new(data, "rest", &[addresses.1], &[]);
    let tls = certificate.serve(clock.now()).unwrap();
    for (bound, name, tls) in [(plain, "rest", None), (secured, "rest-tls", Some(tls))] {
        let (limits, routes) = (limits.clone(), rest.clone().routes());
        let spec = ListenerSpec { name, limits, drain: timeout, tls, routes };
        let listener = Mailbox::<Listener>::new(name, clock.clone());
        let spawn = Spawn::new(listener, move || Listener::new(bound.clone(), spec.clone()));
        supervisor.send(spawn).await.unwrap();
    }
    (addresses.0, addresses.1, cache)
}

/// The report of each reload.
fn changed() -> ReloadReport {
    let changed = ["rules", "log"].map(str::to_owned).to_vec();
    ReloadReport { changed, after_restart: vec!["log".to_owned()], ..ReloadReport::default() }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn event(address: &str, user: &str, kind: Kind) -> Event {
    let now = Clock::system().now();
    let origin = Origin {
        kind: Producer::Syslog,
        producer: name("syslog"),
        client: name("fw1"),
        form: name("junos-vpn"),
    };
    Event {
        principal: Some(Principal::parse(user, None).unwrap()),
        ..Event::bare(kind, address.parse().unwrap(), now, Arc::new(origin))
    }
}

impl TestServer {
    /// 2,200 users in 10.1.0.0/16, alice at 10.0.0.1, heidi at 10.0.0.4, and an ended session of
    /// carol at 10.0.0.3.
    fn fill(&self) {
        let user = |n: usize| {
            event(
                &format!("10.1.{}.{}", n / 250, n % 250 + 1),
                &format!("user{n}@lab"),
                Kind::Login,
            )
        };
        self.apply(&[
            event("10.0.0.1", "alice@corp", Kind::Login),
            event("10.0.0.1", "bob@corp", Kind::Logout),
            event("10.0.0.3", "carol@corp", Kind::Login),
            event("10.0.0.4", "heidi@office", Kind::Login),
            event("10.0.0.3", "carol@corp", Kind::Logout),
        ]);
        self.apply(&(0..2200).map(user).collect::<Vec<_>>());
    }

    /// Submits events. Retries while the cache is starting.
    fn apply(&self, events: &[Event]) {
        for _ in 0..500 {
            let account = EventAccount::open("tests", 0);
            let batch = Apply { events: events.to_vec(), read: None, account };
            if let Ok(Ok(_)) = self.cache.send_blocking(batch) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the cache did not accept the events");
    }

    /// Runs a command against this server, and returns its output.
    fn run(&self, arguments: &[&str]) -> (Result<(), CommandError>, String) {
        let token = self.folder.path().join("admin.token");
        self.run_with_token(&token, arguments)
    }

    fn run_with_token(
        &self,
        token: &std::path::Path,
        given: &[&str],
    ) -> (Result<(), CommandError>, String) {
        let url = format!("http://{}", self.address);
        let mut arguments = vec!["rollcall", "--token-file", token.to_str().unwrap()];
        if !given.contains(&"--url") {
            arguments.extend(["--url", &url]);
        }
        arguments.extend(given);
        run_line(&arguments)
    }
}

/// Runs a command line.
fn run_line(arguments: &[&str]) -> (Result<(), CommandError>, String) {
    let line = CommandLine::try_parse_from(arguments).unwrap();
    let form = if line.json { OutputFormat::Json } else { OutputFormat::Text };
    let mut printed = Vec::new();
    let mut output = Output::new(Box::new(&mut printed), form);
    let done = dispatch(line, &mut output);
    drop(output);
    (done, String::from_utf8(printed).unwrap())
}

#[test]
fn lookup_and_explain_print_the_session_and_its_reason() {
    let server = server();
    let (done, printed) = server.run(&["lookup", "10.0.0.1"]);
    assert_eq!(done, Ok(()));
    assert!(printed.starts_with("10.0.0.1         alice@corp"), "{printed}");
    let (done, printed) = server.run(&["--json", "lookup", "10.0.0.1"]);
    assert_eq!(done, Ok(()));
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["user"], "alice");

    let (done, printed) = server.run(&["explain", "10.0.0.1"]);
    assert_eq!(done, Ok(()));
    assert!(printed.starts_with("alice@corp has 10.0.0.1 since"), "{printed}");
    assert!(printed.contains("refused: other_user"), "{printed}");
}

#[test]
fn the_built_in_ca_is_trusted_only_with_ca_file() {
    let server = server();
    let url = format!("https://{}", server.secured);
    let authority = server.folder.path().join("tls/authority.pem");
    let trusted = ["--url", &url, "--ca-file", authority.to_str().unwrap(), "lookup", "10.0.0.1"];
    let (done, printed) = server.run(&trusted);
    assert_eq!(done, Ok(()));
    assert!(printed.contains("alice@corp"), "{printed}");
    let (Err(CommandError::Request(why)), _) = server.run(&["--url", &url, "lookup", "10.0.0.1"])
    else {
        panic!("the certificate was trusted")
    };
    assert!(why.contains("certificate"), "{why}");
}

#[test]
fn an_address_without_a_session_has_exit_code_one() {
    let (done, printed) = server().run(&["lookup", "10.0.0.9"]);
    assert_eq!(done, Err(CommandError::NotFound));
    assert_eq!(
        printed,
        "10.0.0.9 has no session, and there are no events for it; run `rollcall status producers` to \
         see which events arrive and which are refused\n"
    );
    let (_, printed) = server().run(&["--config", "/etc/r.toml", "lookup", "10.0.0.3"]);
    assert_eq!(
        printed,
        "10.0.0.3 has no session; run `rollcall --config /etc/r.toml explain 10.0.0.3` for the reason\n"
    );
    assert_eq!(CommandError::NotFound.exit(), ExitCode::from(1));
    let (done, printed) = server().run(&["--json", "lookup", "10.0.0.9"]);
    assert_eq!((done, printed.as_str()), (Err(CommandError::NotFound), "null\n"));
}

#[test]
fn status_lists_the_parts_and_reload_prints_changes() {
    let server = server();
    let lines = |arguments: &[&str]| {
        let (done, printed) = server.run(arguments);
        assert_eq!(done, Ok(()), "{arguments:?}: {printed}");
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let actors = lines(&["status", "actors"]);
    let is_cache = |line: &String| line.starts_with("cache ") && line.contains(" running ");
    assert!(actors[0].starts_with("actor ") && actors.iter().any(is_cache), "{actors:?}");
    let json = lines(&["--json", "status", "actors"]);
    assert_eq!(json.len(), actors.len() - 1);
    assert!(serde_json::from_str::<Value>(&json[0]).unwrap()["mailbox_capacity"].is_u64());
    assert!(lines(&["status", "producers"])[0].starts_with("producer "), "there are no producers");
    let points = lines(&["status", "enforcement-points"]);
    assert!(
        points.len() == 3 && points[1].starts_with("fw1     enforcement_point  7 "),
        "{points:?}"
    );
    let reloaded = lines(&["reload"]);
    let restart = "effective only after a restart of the server: log";
    assert_eq!(reloaded, ["changed: rules, log", restart]);
}

#[test]
fn sessions_are_listed_over_all_pages_or_up_to_a_limit() {
    let server = server();
    let lines = |arguments: &[&str]| {
        let (done, printed) = server.run(arguments);
        assert_eq!(done, Ok(()), "{arguments:?}");
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = lines(&["sessions", "--domain", "lab"]);
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (2200, 2200));
    assert_eq!(lines(&["sessions", "--domain", "lab", "--limit", "1500"]).len(), 1500);
    assert_eq!(lines(&["sessions", "--user", "alice@corp", "--limit", "5"]).len(), 1);
    let ended = lines(&["sessions", "--state", "ended", "--domain", "corp"]);
    assert!(ended.len() == 1 && ended[0].contains("carol@corp"), "{ended:?}");
    let json = lines(&["--json", "sessions", "--cidr", "10.1.0.0/30"]);
    for line in &json {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["domain"], "lab");
    }
    assert_eq!(json.len(), 3);
}

#[test]
fn a_parameter_that_the_server_rejects_is_a_usage_error() {
    let (done, printed) = server().run(&["sessions", "--cidr", "10.0.0.0/99"]);
    let Err(CommandError::Usage(why)) = done else { panic!("{done:?}") };
    assert!(why.contains("10.0.0.0/99") && printed.is_empty(), "{why}");
}

#[test]
fn watch_prints_changes_until_its_output_is_closed() {
    /// A writer that fails with a closed pipe after some lines.
    struct Lines(mpsc::Sender<String>, usize);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1 == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.1 -= 1;
            self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let server = server();
    let token = server.folder.path().join("admin.token");
    let url = format!("http://{}", server.address);
    let arguments = [
        "rollcall",
        "--url",
        &url,
        "--token-file",
        token.to_str().unwrap(),
        "watch",
        "--domain",
        "office",
        "--from-start",
    ];
    let line = CommandLine::try_parse_from(arguments).unwrap();
    let (sender, lines) = mpsc::channel();
    let tailing = std::thread::spawn(move || {
        dispatch(line, &mut Output::new(Box::new(Lines(sender, 2)), OutputFormat::Text))
    });
    let next = || lines.recv_timeout(Duration::from_secs(20)).unwrap();
    let first = next();
    assert!(first.contains("began") && first.contains("heidi@office"), "{first}");
    server.apply(&[event("10.0.7.7", "grace@office", Kind::Login)]);
    assert!(next().contains("grace@office"));
    server.apply(&[event("10.0.7.7", "grace@office", Kind::Logout)]);
    assert_eq!(tailing.join().unwrap(), Err(CommandError::OutputClosed));
}

#[test]
fn connection_errors_are_reported() {
    let server = server();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let token = server.folder.path().join("admin.token");
    let url = format!("http://{free}");
    let arguments =
        ["rollcall", "--url", &url, "--token-file", token.to_str().unwrap(), "lookup", "10.0.0.1"];
    let (Err(CommandError::Request(why)), _) = run_line(&arguments) else {
        panic!("the command succeeded")
    };
    assert!(why.starts_with(&format!("no server responds at {url}")), "{why}");

    let missing = server.folder.path().join("missing");
    let (Err(CommandError::Request(why)), _) =
        server.run_with_token(&missing, &["lookup", "10.0.0.1"])
    else {
        panic!("the command succeeded")
    };
    assert!(why.contains("missing") && why.contains("the server creates it"), "{why}");

    let wrong = server.folder.path().join("wrong.token");
    fs::write(&wrong, "another-token-0123456789abcdef").unwrap();
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).unwrap();
    let (Err(CommandError::Request(why)), _) =
        server.run_with_token(&wrong, &["lookup", "10.0.0.1"])
    else {
        panic!("the command succeeded")
    };
    assert!(why.contains("refuses the token") && !why.contains("another-token"), "{why}");
}

#[test]
fn check_prints_the_effective_configuration_or_all_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    let check = |text: &str, arguments: &[&str]| {
        fs::write(&file, text).unwrap();
        let mut line = vec!["rollcall", "--config", file.to_str().unwrap(), "check"];
        line.extend(arguments);
        run_line(&line)
    };
    let (done, printed) = check("[rest]\nlisten = \"127.0.0.1:9999\"\n", &[]);
    assert_eq!(done, Ok(()));
    assert!(printed.contains("127.0.0.1:9999"), "{printed}");
    let (_, as_json) = check("[rest]\nlisten = \"127.0.0.1:9999\"\n", &["--json"]);
    let as_json: Value = serde_json::from_str(&as_json).unwrap();
    assert_eq!(as_json["problems"], json!([]));
    let table: toml::Table = printed.parse().unwrap();
    assert_eq!(as_json["resolved"], serde_json::to_value(table).unwrap());

    let wrong = "shutdown_timeout = \"x\"\n[rest]\nlisten = 7\n";
    let (Err(CommandError::Usage(why)), printed) = check(wrong, &[]) else {
        panic!("the configuration was accepted")
    };
    assert!(
        printed.is_empty() && why.contains("shutdown_timeout") && why.contains("rest.listen"),
        "{why}"
    );
    assert_eq!(CommandError::Usage(why).exit(), ExitCode::from(2));
    let (_, printed) = check(wrong, &["--json"]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["problems"].as_array().unwrap().len(), 2);
    assert_eq!(printed["problems"][1]["key"], "rest.listen");
    assert_eq!(printed["resolved"], Value::Null);
}

#[test]
fn only_the_hash_of_a_secret_is_printed() {
    let hashed = |mut input: &[u8]| {
        let mut printed = Vec::new();
        let mut output = Output::new(Box::new(&mut printed), OutputFormat::Text);
        let done = secret::Secret::Hash.run(&mut input, &mut output);
        drop(output);
        (done, String::from_utf8(printed).unwrap())
    };
    let (done, printed) = hashed(b"hunter2-hunter2\nmore\n");
    assert_eq!(done, Ok(()));
    assert!(rollcall_config::SecretHash::new(&printed).is_ok() && !printed.contains("hunter2"));
    assert!(matches!(hashed(b"\n").0, Err(CommandError::Usage(_))));
}

#[test]
fn the_arguments_are_consistent() {
    use clap::CommandFactory;
    CommandLine::command().debug_assert();
}
