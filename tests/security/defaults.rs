//! End-to-end tests of the defaults: web pages that attack local ports, the evaluation mode, and a data
//! folder that another user prepared.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::SignedDuration;

use crate::harness::{Server, Setup, Vpn, frame_3164, rollcall, skip};

/// Sends `head` to the REST listener and returns the status line of the response.
fn status_of(server: &Server, head: &str) -> String {
    let address = server.rest().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_web_page_cannot_send_a_vpn_line_to_the_syslog_port() {
    let server = Server::new();
    let tunnel = Vpn { user: "administrator", address: "10.9.2.1" };
    let line = frame_3164(&tunnel.up(), SignedDuration::ZERO);
    let post = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{line}\n",
        server.tcp(),
        line.len() + 1
    );
    let hello = "\u{16}\u{3}\u{1}\u{2}\n".to_owned() + &line + "\n";
    for bytes in [post, hello] {
        let mut stream = TcpStream::connect(server.tcp()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        // The server closes the connection; it may reset it, because it did not read everything.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let account = server.account("syslog", 2);
    assert_eq!(account.applied, 0);
    assert_eq!(server.metrics().dropped("syslog", "other_protocol"), 2);
    assert_eq!(server.user_at("10.9.2.1"), None);
    server.stop();
}

#[test]
fn requests_for_another_host_and_posts_of_other_sites_are_rejected() {
    let server = Server::start(
        Setup::new().replacing("[rest]\n", "[rest]\nnames = [\"rollcall.example.com\"]\n"),
    );
    let authorization = format!("Authorization: Bearer {}", server.token());
    let get = |path: &str, host: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
        status_of(&server, &format!("{head}Connection: close\r\n\r\n"))
    };
    for host in ["127.0.0.1:8514", "localhost", "[::1]:1", "rollcall.example.com"] {
        assert_eq!(get("/api/v1/sessions", host), "HTTP/1.1 200 OK", "{host}");
    }
    let rebound = get("/api/v1/sessions", "attacker.example:8514");
    assert!(rebound.contains("421"), "{rebound}");
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(path, "attacker.example"), "HTTP/1.1 200 OK", "{path}");
    }
    let post = |more: &str| {
        let head = "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0";
        status_of(&server, &format!("{head}\r\n{authorization}\r\n{more}Connection: close\r\n\r\n"))
    };
    assert_eq!(post(""), "HTTP/1.1 200 OK");
    assert_eq!(
        post("Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n"),
        "HTTP/1.1 200 OK"
    );
    for other in [
        "Origin: https://attacker.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Origin: null\r\n",
    ] {
        let answer = post(other);
        assert!(answer.contains("403"), "{other} {answer}");
    }
    server.stop();
}

#[test]
fn a_data_folder_that_another_user_controls_is_refused_with_the_remedy() {
    let setup = Setup::new();
    let data = setup.folder().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let config = setup.write().display().to_string();
    let token = data.join("admin.token");
    fs::write(&token, "a token that the other user knows").unwrap();
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    // Only root can give a file to another user. Otherwise others may write it.
    let remedy = match chown(&token, Some(65_534), Some(65_534)) {
        Ok(()) => format!("chown -R 0 {}", token.display()),
        Err(_) => {
            fs::set_permissions(&token, Permissions::from_mode(0o602)).unwrap();
            format!("chmod go-w {}", token.display())
        }
    };
    for arguments in [vec!["--config", &config], vec!["check", "--config", &config]] {
        let refused = rollcall(setup.folder(), &arguments);
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(&remedy), "{arguments:?}: {errors}");
    }
    fs::remove_file(&token).unwrap();
    let server = Server::start(setup);
    let mode = fs::metadata(server.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "the folder is made private");
    assert!(!server.get("/readyz").text.contains("evaluation"), "it has a configuration file");
    server.stop();
}

#[test]
fn a_server_without_a_configuration_file_says_that_it_is_for_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (printed, ready) = (BufReader::new(server.stdout.take().unwrap()), "/readyz");
    let mut text = String::new();
    for line in printed.lines().map_while(Result::ok) {
        text += &format!("{line}\n");
        if line.contains(" lookup ") {
            break;
        }
    }
    let listening = text.lines().find(|line| line.contains("rest ")).map(str::to_owned);
    let answer = listening.and_then(|line| {
        let url = line.split_whitespace().last()?.to_owned();
        let mut response = ureq::get(format!("{url}{ready}")).call().ok()?;
        response.body_mut().read_to_string().ok()
    });
    server.kill().unwrap();
    let errors = std::io::read_to_string(server.stderr.take().unwrap()).unwrap();
    server.wait().unwrap();
    if errors.contains("Address already in use") {
        return skip("evaluation mode", "a server already uses the default ports");
    }
    assert!(text.contains("Evaluation mode"), "{text}{errors}");
    assert!(errors.contains("evaluation mode"), "{errors}");
    assert_eq!(answer.as_deref(), Some("ready\nevaluation: true\n"));
}
