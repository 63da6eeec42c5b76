//! End-to-end tests of secrets that an attacker guesses from the address of a firewall.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{SECRET, Server, Setup, Srx, now, rollcall};

/// The limit for a correct secret, whatever an attacker does.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Adds a firewall with a generated secret. Returns the secret.
fn add_firewall(server: &Server, name: &str) -> String {
    let folder = server.setup().folder();
    let config = folder.join("rollcall.toml").display().to_string();
    let token = server.data().join("admin.token").display().to_string();
    let arguments = [
        "client",
        "add",
        name,
        "--address",
        "127.0.0.0/8",
        "--json",
        "--config",
        &config,
        "--url",
        server.rest(),
        "--token-file",
        &token,
    ];
    let added = rollcall(folder, &arguments);
    let added: Value =
        serde_json::from_slice(&added.stdout).unwrap_or_else(|_| panic!("{added:?}"));
    assert_eq!(added["effective"], true, "{added}");
    added["client_secret"].as_str().unwrap().to_owned()
}

#[test]
fn guesses_from_the_address_of_a_firewall_do_not_delay_its_logins() {
    let server = Server::start(Setup::new());
    let authority = server.setup().authority().certificate();
    let client =
        |id: &str, secret: &str| Srx::new(id, secret, &authority, &[&server.enforcement()]);
    let generated = add_firewall(&server, "new-fw");
    // A chosen secret is recognized after its first login.
    let firewalls = [client("new-fw", &generated), client("campus-fw", SECRET)];
    assert_eq!(firewalls[1].request_token(0).unwrap().status, 200);

    let (is_over, throttled) = (AtomicBool::new(false), AtomicUsize::new(0));
    let guess = |id: &str| {
        let attacker = client(id, "a wrong guess");
        while !is_over.load(Ordering::Relaxed) {
            let answer = attacker.request_token(0).unwrap();
            assert!(matches!(answer.status, 401 | 429), "{answer:?}");
            throttled.fetch_add(usize::from(answer.status == 429), Ordering::Relaxed);
        }
    };
    let (guess, is_over) = (&guess, &is_over);
    let slowest = thread::scope(|scope| {
        for id in ["new-fw", "campus-fw", "new-fw", "campus-fw"] {
            scope.spawn(move || guess(id));
        }
        while throttled.load(Ordering::Relaxed) < 20 {
            thread::sleep(Duration::from_millis(20));
        }
        let login = |firewall: &Srx| {
            let begin = now();
            let answer = firewall.request_token(0);
            (answer, now().duration_since(begin).unsigned_abs())
        };
        let logins: Vec<_> = (0..20).flat_map(|_| firewalls.each_ref().map(login)).collect();
        is_over.store(true, Ordering::Relaxed);
        for (answer, _) in &logins {
            let answer = answer.as_ref().unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        logins.iter().map(|(_, delay)| *delay).max().unwrap()
    });
    assert!(slowest < MAX_DELAY, "{slowest:?}");
    server.stop();
}

#[test]
fn refused_requests_do_not_fill_the_log() {
    let server = Server::start(Setup::new().replacing("level = \"debug\"", "level = \"info\""));
    let authority = server.setup().authority().certificate();
    let attacker = Srx::new("campus-fw", "a wrong guess", &authority, &[&server.enforcement()]);
    let before = server.log().len();
    let socket = std::net::UdpSocket::bind("127.0.0.99:0").unwrap();
    for number in 0..500 {
        assert_ne!(attacker.request_token(0).unwrap().status, 200);
        assert_eq!(server.get(&format!("/unknown/{number}")).status, 404);
        socket.send_to(b"<30>from an unknown sender", server.udp()).unwrap();
    }
    let written = server.log().len() - before;
    assert!(written < 16 * 1024, "1,500 refused requests wrote {written} bytes");
    server.stop();
}
