//! End-to-end tests with external programs: `logger`, rsyslog and syslog-ng send, Prometheus
//! scrapes, and curl queries like an SRX.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Running, SECRET, Server, Setup, Vpn, peer, run, skip, until};

/// A sender with local times, and a TLS listener that requires a client certificate.
fn setup_for_relays() -> Setup {
    let setup = Setup::new().replacing("zone = \"UTC\"", "zone = \"local\"");
    setup.authority().client("relay.example.com");
    setup
        .replacing(
            "tcp = [\"127.0.0.1:0\"]\n",
            "tcp = [\"127.0.0.1:0\"]\n\n[syslog.tls]\nlisten = [\"127.0.0.1:0\"]\n\
         certificate = \"server.crt\"\nkey = \"server.key\"\nclient_ca = \"ca.crt\"\n",
        )
        .replacing(
            "name = \"gateway\"\naddresses = [\"127.0.0.1\"]\n",
            "name = \"gateway\"\naddresses = [\"127.0.0.1\"]\n\
         certificate_names = [\"relay.example.com\"]\n",
        )
}

/// A copy of the configuration of a peer with its placeholders replaced, in `folder`.
fn render_config(name: &str, server: &Server, folder: &TempDir) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name);
    let port = |address: SocketAddr| address.port().to_string();
    let of_setup = |file: &str| server.setup().folder().join(file).display().to_string();
    let mut text = fs::read_to_string(source).unwrap();
    for (placeholder, value) in [
        ("@FOLDER@", folder.path().display().to_string()),
        ("@UDP@", port(server.udp())),
        ("@TCP@", port(server.tcp())),
        ("@CA@", of_setup("ca.crt")),
        ("@CERTIFICATE@", of_setup("relay.example.com.crt")),
        ("@KEY@", of_setup("relay.example.com.key")),
    ] {
        text = text.replace(placeholder, &value);
    }
    if text.contains("@TLS@") {
        text = text.replace("@TLS@", &port(server.tls()));
    }
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Writes a line to the socket of a relay. The program name `tag` selects the transport.
fn log_to(socket: &Path, tag: &str, text: &str) {
    let logger = peer("logger").expect("logger belongs to every Debian (util-linux, bsdutils)");
    let socket = socket.display().to_string();
    let sent = run(&logger, &["-u", &socket, "-p", "daemon.info", "-t", tag, text]);
    assert!(sent.status.success(), "{sent:?}");
}

/// Sends a VPN connect over each of `transports`, and waits until each session is visible.
fn every_transport_arrives(
    server: &Server,
    relay: &mut Running,
    socket: &Path,
    transports: &[&str],
) {
    until("the relay listens on its socket", || {
        relay.assert_alive();
        socket.exists().then_some(())
    });
    for (n, transport) in transports.iter().enumerate() {
        let address = format!("10.50.0.{}", n + 1);
        log_to(socket, transport, &Vpn { user: transport, address: &address }.up());
    }
    for (n, transport) in transports.iter().enumerate() {
        server.wait_for_user(transport, &format!("10.50.0.{}", n + 1));
    }
    let account = server.account("syslog", transports.len() as u64);
    assert_eq!(account.applied, transports.len() as u64, "{account:?}");
}

#[test]
fn logger_messages_are_received_in_every_framing() {
    let server = Server::start(setup_for_relays());
    let logger = peer("logger").expect("logger belongs to every Debian (util-linux, bsdutils)");
    let (udp, tcp) = (server.udp().port().to_string(), server.tcp().port().to_string());
    let forms: &[&[&str]] = &[
        &["-d", "--rfc3164"],
        &["-d", "--rfc5424"],
        &["-d", "--rfc5424=notq,notime,nohost"],
        &["-d", "--rfc5424", "--msgid=IKE", "--sd-id=vpn@32473", "--sd-param=user=\"al\\\"ice\""],
        &["-T", "--rfc3164"],
        &["-T", "--rfc5424"],
        &["-T", "--octet-count", "--rfc5424"],
        &["-T", "--octet-count", "--rfc3164"],
    ];
    for (n, form) in forms.iter().enumerate() {
        let address = format!("10.51.0.{}", n + 1);
        let text = Vpn { user: "alice", address: &address }.up();
        let port = if form[0] == "-d" { &udp } else { &tcp };
        let mut arguments = vec!["-n", "127.0.0.1", "-P", port, "-t", "iked", "--id=17437"];
        arguments.extend_from_slice(form);
        arguments.push(&text);
        let sent = run(&logger, &arguments);
        assert!(sent.status.success(), "{form:?}: {sent:?}");
        server.wait_for_user("alice", &address);
    }
    assert_eq!(server.account("syslog", forms.len() as u64).applied, forms.len() as u64);
    server.stop();
}

#[test]
fn rsyslog_messages_are_received_over_udp_tcp_and_both_tls_libraries() {
    let story = "rsyslog_messages_are_received_over_udp_tcp_and_both_tls_libraries";
    let Some(rsyslogd) = peer("rsyslogd") else { return skip(story, "rsyslog is not installed") };
    let modules = [
        "/usr/lib/x86_64-linux-gnu/rsyslog",
        "/usr/lib/aarch64-linux-gnu/rsyslog",
        "/usr/lib/rsyslog",
        "/usr/lib64/rsyslog",
    ];
    let has = |module: &str| modules.iter().any(|folder| Path::new(folder).join(module).exists());
    if !has("lmnsd_gtls.so") || !has("lmnsd_ossl.so") {
        return skip(story, "rsyslog-gnutls or rsyslog-openssl is not installed");
    }
    let server = Server::start(setup_for_relays());
    let folder = tempfile::tempdir().unwrap();
    let config = render_config("rsyslog.conf", &server, &folder);
    let mut relay = Running::start(
        Command::new(rsyslogd)
            .arg("-n")
            .arg("-f")
            .arg(config)
            .arg("-i")
            .arg(folder.path().join("rsyslog.pid")),
    );
    let transports = ["udp3164", "udp5424", "tcplines", "tcpcounted", "tlsgnutls", "tlsopenssl"];
    every_transport_arrives(&server, &mut relay, &folder.path().join("log.sock"), &transports);
    relay.assert_alive();
    server.stop();
}

#[test]
fn syslog_ng_messages_are_received_over_udp_tcp_and_tls() {
    let story = "syslog_ng_messages_are_received_over_udp_tcp_and_tls";
    // The package conflicts with rsyslog in Debian, so tests/run only unpacks it.
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/syslog-ng");
    let program = unpacked.join("usr/sbin/syslog-ng");
    let libraries = unpacked.join("usr/lib/syslog-ng");
    // The modules are in a folder that is named after the version.
    let versions = fs::read_dir(&libraries).into_iter().flatten().flatten();
    let mut modules = versions.map(|entry| entry.path().join("libafsocket.so"));
    let Some(module) = modules.find(|module| module.exists()).filter(|_| program.exists()) else {
        return skip(story, "syslog-ng is not unpacked in target/peers/syslog-ng");
    };
    let server = Server::start(setup_for_relays());
    let folder = tempfile::tempdir().unwrap();
    let config = render_config("syslog-ng.conf", &server, &folder);
    let in_folder = |name: &str| folder.path().join(name);
    let mut relay = Running::start(
        Command::new(program)
            .env("LD_LIBRARY_PATH", &libraries)
            .arg("--foreground")
            .arg("--no-caps")
            .arg("--module-path")
            .arg(module.parent().expect("a file lies in a folder"))
            .arg("--cfgfile")
            .arg(config)
            .arg("--persist-file")
            .arg(in_folder("persist"))
            .arg("--pidfile")
            .arg(in_folder("pid"))
            .arg("--control")
            .arg(in_folder("control")),
    );
    let transports = ["udp3164", "udp5424", "tcp3164", "tcp5424", "tls5424"];
    every_transport_arrives(&server, &mut relay, &in_folder("log.sock"), &transports);
    relay.assert_alive();
    server.stop();
}

#[test]
fn prometheus_scrapes_the_server_and_reports_it_as_up() {
    let story = "prometheus_scrapes_the_server_and_reports_it_as_up";
    let Some(prometheus) = peer("prometheus") else {
        return skip(story, "prometheus is not installed");
    };
    let server = Server::new();
    let login = json!({"kind": "login", "address": "10.52.0.1", "user": "alice"});
    assert_eq!(server.client("script").post_events(&login).status, 200);
    let folder = tempfile::tempdir().unwrap();
    let config = render_config("prometheus.yml", &server, &folder);
    let text = fs::read_to_string(&config).unwrap();
    let rest = server.rest().trim_start_matches("http://");
    let token = server.data().join("admin.token").display().to_string();
    fs::write(&config, text.replace("@REST@", rest).replace("@TOKEN@", &token)).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _prometheus = Running::start(
        Command::new(prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={port}")),
    );
    let ask = |query: &str| {
        let url = format!("http://{port}/api/v1/query");
        let answer = ureq::get(url).query("query", query).call().ok()?;
        let body: Value = serde_json::from_str(&Answer::read(answer).text).ok()?;
        let value = body["data"]["result"][0]["value"][1].as_str()?;
        value.parse::<f64>().ok()
    };
    until("Prometheus reports Rollcall as up", || {
        (ask("up{job=\"rollcall\"}")? == 1.0).then_some(())
    });
    let sessions = until("Prometheus has the sessions", || ask("rollcall_sessions"));
    assert!((sessions - 1.0).abs() < f64::EPSILON, "{sessions}");
    server.stop();
}

#[test]
fn promtool_accepts_the_metrics() {
    let story = "promtool_accepts_the_metrics";
    let Some(promtool) = peer("promtool") else { return skip(story, "promtool is not installed") };
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    server.datagram("nothing that anybody understands");
    server.account("syslog", 1);
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let scraped = server.get("/metrics").text;
    check.stdin.take().unwrap().write_all(scraped.as_bytes()).unwrap();
    let checked = check.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(checked.status.success() && said.is_empty(), "{said}");
    server.stop();
}

/// Sends one request with curl; `arguments` follow the common ones. Returns the status and the
/// body.
fn curl(program: &Path, server: &Server, arguments: &[&str]) -> (u16, String) {
    let authority = server.setup().authority().certificate().display().to_string();
    let common = ["-sS", "--max-time", "20", "--cacert", &authority, "-w", "\n%{http_code}"];
    let output = run(program, &[&common[..], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{output:?}"));
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn curl_queries_succeed_in_every_candidate_srx_form() {
    let story = "curl_queries_succeed_in_every_candidate_srx_form";
    let Some(program) = peer("curl") else { return skip(story, "curl is not installed") };
    let server = Server::new();
    let events: Vec<Value> = (1..=3)
        .map(|n| json!({"kind": "login", "address": format!("10.53.0.{n}"), "user": format!("user{n}")}))
        .collect();
    assert_eq!(server.client("script").post_events(&events.into()).status, 200);
    let base = server.enforcement();
    let token_api = format!("{base}/oauth_token/oauth");
    let form = format!("grant_type=client_credentials&client_id=campus-fw&client_secret={SECRET}");
    let body = json!({"grant_type": "client_credentials", "client_id": "campus-fw", "client_secret": SECRET});
    let basic = format!("campus-fw:{SECRET}");
    let mut token = String::new();
    let body = body.to_string();
    for arguments in [
        vec!["-d", form.as_str(), &token_api],
        vec!["-H", "Content-Type: application/json", "-d", &body, &token_api],
        vec!["-u", &basic, "-d", "grant_type=client_credentials", &token_api],
        vec!["-u", &basic, &token_api],
    ] {
        let (status, answer) = curl(&program, &server, &arguments);
        assert_eq!(status, 200, "{arguments:?}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["expires_in"].as_u64().is_some_and(|seconds| seconds >= 60));
        answer["access_token"].as_str().unwrap().clone_into(&mut token);
        assert!(is_uuid(&token), "{token}");
    }
    let (status, answer) = curl(&program, &server, &["-G", "-d", &form, &token_api]);
    assert_eq!(status, 400, "a secret in the URL: {answer}");
    let bearer = format!("Authorization: Bearer {token}");
    let ask = |path: &str, more: &[&str]| {
        let url = format!("{base}{path}");
        let arguments = [&["-H", bearer.as_str(), url.as_str()][..], more].concat();
        let (status, answer) = curl(&program, &server, &arguments);
        (status, serde_json::from_str::<Value>(&answer).unwrap_or_else(|_| panic!("{answer}")))
    };
    let reports = |answer: &Value| answer["report_entries"].as_array().unwrap().len();
    // The first batch of each form, then its cookie in every supported place.
    for first in [
        "/user_query/v2?begintime=0&entry_count=2",
        "/user_query/v2/users/endpoints?timestamp=0&count=2",
        "/user_query/v2?since=2020-01-01T00:00:00Z&max=2",
        "/user_query/v1?begintime=0&entry_count=2",
    ] {
        let (status, answer) = ask(first, &[]);
        assert_eq!((status, reports(&answer)), (200, 2), "{first}: {answer}");
        let cookie = answer["cookie"].as_str().unwrap();
        let header = format!("X-Cookie: {cookie}");
        let posted = json!({"cookie": cookie, "entry_count": 2}).to_string();
        let next = format!("/user_query/v2?entry_count=2&cookie={cookie}");
        let pair = format!("cookie={cookie}");
        for (path, more) in [
            (next.as_str(), vec![]),
            ("/user_query/v2?entry_count=2", vec!["-H", &header]),
            ("/user_query/v2?entry_count=2", vec!["-b", &pair]),
            (
                "/user_query/v2/users/endpoints",
                vec!["-H", "Content-Type: application/json", "-d", &posted],
            ),
        ] {
            let (status, answer) = ask(path, &more);
            assert_eq!((status, reports(&answer)), (200, 1), "{path} {more:?}: {answer}");
        }
    }
    for path in [
        "/user_query/v2/ip/10.53.0.2",
        "/user_query/v2/10.53.0.2",
        "/user_query/v2?ip=10.53.0.2",
        "/user_query/v1/ip/10.53.0.2",
    ] {
        let (status, answer) = ask(path, &[]);
        assert_eq!(status, 200, "{path}");
        assert_eq!(answer["report_entries"][0]["user-name"], "user2", "{path}: {answer}");
    }
    for path in
        ["/user_query/v2/user/user3", "/user_query/v2/users/user3", "/user_query/v2?user=user3"]
    {
        let (_, answer) = ask(path, &[]);
        assert_eq!(answer["report_entries"][0]["ip-address"], "10.53.0.3", "{path}: {answer}");
    }
    let (status, _) = curl(&program, &server, &[&format!("{base}/user_query/v2?begintime=0")]);
    assert_eq!(status, 401, "without a token");
    server.stop();
}

/// Whether a token has the form of tokens that a real SRX shows.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
