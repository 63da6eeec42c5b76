//! All errors are reported at once, with file, line and key.

use super::*;

#[test]
fn all_errors_are_reported_at_once() {
    let text = r#"data = 7
[rules]
max_age = "2 weeks"
logofftime = "24h"
[[syslog]]
name = "syslog"
udp = ["127.0.0.1:5514", "5514"]
tcp = ["127.0.0.1:5514"]
[[syslog.clients]]
name = "a"
addresses = ["10.0.0.0/33", "10.0.0.1"]
allow = ["login", "expiry"]
[[syslog.clients]]
name = "A"
addresses = ["10.0.0.1"]
zone = "Europe/Atlantis"
templates = ["no-such"]
[enforcement]
listen = ["[::]:5514"]
token_lifetime = "48h"
[[enforcement.points]]
name = "fw"
[rest]
listen = "10.0.0.1:8514"
[log]
level = "inof"
"#;
    let found = wrong(text);
    let expected = [
        "1: data is an integer, must be a path in quotes",
        "3: rules.max_age \"2 weeks\" must be a duration with units",
        "4: rules.logofftime is not a known key; did you mean `logoff_time`?",
        "7: syslog[0].udp[1] \"5514\" must be an address and a port",
        "11: syslog[0].clients[0].addresses[0] \"10.0.0.0/33\" must be an address or a network",
        "12: syslog[0].clients[0].allow[1] \"expiry\" cannot be sent",
        "14: syslog[0].clients[1].name \"A\" is already used by syslog[0].clients[0].name in rollcall.toml",
        "15: syslog[0].clients[1].addresses[0] \"10.0.0.1/32\" is already used by syslog[0].clients[0]",
        "16: syslog[0].clients[1].zone \"Europe/Atlantis\" must be",
        "17: syslog[0].clients[1].templates[0] \"no-such\" is not a shipped template",
        "19: enforcement.listen [::]:5514 is already in use: syslog[0].tcp listens on 127.0.0.1:5514",
        "20: enforcement.token_lifetime is 48h, must be 1m to 24h",
        "21: enforcement.points[0].client_id is missing, must be 1 to 64",
        "21: enforcement.points[0].addresses must contain at least one",
        "21: enforcement.points[0] has no secret: set one of secret_hash",
        "24: rest.listen is 10.0.0.1:8514, which is reachable from the network",
        "26: log.level \"inof\" is not a known value; did you mean \"info\"?",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    }
}

#[test]
fn a_syntax_error_has_a_line_and_a_column() {
    assert_eq!(wrong("data = \"d\"\n[rest\nlisten = 1\n").len(), 1);
    let found = wrong("data = \"d\"\nx = = 1\n");
    assert!(found[0].starts_with("2: column 5: "), "{found:?}");
}

#[test]
fn a_missing_file_is_reported() {
    let environment = Environment::new(|_| None, TimeZone::UTC);
    let problems = load(Some(Path::new("/no/such.toml")), &environment).unwrap_err();
    assert!(problems.to_string().starts_with("/no/such.toml: cannot read /no/such.toml: "));
}

/// An enforcement point with the keys `secret`.
fn point(secret: &str) -> String {
    format!(
        "[[enforcement.points]]\nname = 'fw'\nclient_id = 'fw'\naddresses = ['10.0.0.1']\n{secret}\n"
    )
}

#[test]
fn a_secret_is_read_from_each_of_the_four_keys() {
    let scratch = Scratch::new();
    scratch.file("fw.secret", &format!("{HASH}\n"), 0o640);
    for place in [
        &format!("secret_hash = '{HASH}'"),
        "secret_file = 'fw.secret'",
        "secret_credential = 'fw.secret'",
        "secret_env = 'ROLLCALL_FW'",
    ] {
        let settings = scratch.read(&point(place)).unwrap();
        assert_eq!(settings.enforcement.points[0].secret.expose(), HASH, "{place}");
    }
}

#[test]
fn an_exposed_or_invalid_secret_is_refused_and_not_printed() {
    let scratch = Scratch::new();
    scratch.file("open.secret", HASH, 0o644);
    scratch.file("plain.secret", "canary", 0o600);
    scratch.file("group.secret", HASH, 0o660);
    for (place, why) in [
        ("secret_file = 'open.secret'", "is accessible to every user (mode 644)"),
        ("secret_credential = 'open.secret'", "is accessible to every user (mode 644)"),
        ("secret_file = 'group.secret'", "can be changed by its group (mode 660)"),
        ("secret_credential = '../open.secret'", "must be the name of a credential"),
        ("secret_file = 'plain.secret'", "is not a hash that begins with $argon2id$ or $sha256$"),
        ("secret_hash = 'canary'", "is not a hash that begins with $argon2id$ or $sha256$"),
        ("secret_file = 'none.secret'", "cannot read"),
        ("secret_env = 'FW'", "which is not set"),
        ("secret_env = 'ROLLCALL_A'\nsecret_hash = 'canary'", "has 2 secrets"),
        ("", "has no secret"),
    ] {
        let problems = scratch.read(&point(place)).unwrap_err().to_string();
        assert!(problems.contains(why), "{place}: {problems}");
        assert!(!problems.contains("canary") && !problems.contains("$argon2id$v="), "{problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
}

#[test]
fn key_files_that_other_users_can_access_are_refused() {
    let scratch = Scratch::new();
    scratch.file("a.crt", "PEM", 0o644);
    scratch.file("a.key", "PEM", 0o604);
    let text = "[rest.tls]\ncertificate = 'a.crt'\nkey = 'a.key'\n";
    let problems = scratch.read(text).unwrap_err().to_string();
    assert!(problems.starts_with("rollcall.toml:3: rest.tls.key "), "{problems}");
    scratch.file("a.key", "PEM", 0o600);
    assert!(scratch.read(text).is_ok());
    scratch.file("token", "t", 0o644);
    let problems = scratch.read("[rest]\ntoken_file = 'token'\n").unwrap_err().to_string();
    assert!(problems.contains("rest.token_file"), "{problems}");
}

#[test]
fn missing_references_and_conflicts_are_refused() {
    for (text, why) in [
        ("[rest.tls]\nkey = 'no'\n", "rest.tls.certificate is missing"),
        ("[enforcement]\ninsecure = true\n[enforcement.tls]\n", "insecure disables TLS"),
        ("[rest]\ninsecure = true\n[rest.tls]\n", "insecure disables TLS"),
        ("[enforcement]\ntoken_path = '/user_query/v2'\n", "is the same as query_path"),
        (
            "[enforcement.lockout]\ninitial_delay = '2m'\n",
            "max_delay is shorter than initial_delay",
        ),
        ("[ptim]\nname = 'cache'\n", "ptim.name \"cache\" is already used by Rollcall itself"),
        (
            "[[syslog]]\nname = 'ptim'\nudp = ['127.0.0.1:1']\nclients = []\n",
            "\"ptim\" is already used",
        ),
        ("[[syslog]]\nname = 's'\nclients = []\n", "syslog[0] has no listener"),
        ("[[syslog]]\nname = 's'\nudp = ['127.0.0.1:1']\n", "clients is missing"),
        ("[[syslog]]\nname = 's'\n[syslog.tls]\nclients = []\n", "tls.listen is missing"),
        ("[rules.domain_aliases]\na = 'b'\nb = 'c'\n", "aliases are not resolved recursively"),
        (
            "[[syslog]]\nname = 's'\nudp = ['127.0.0.1:1']\n[[syslog.clients]]\nname = 'c'\n\
             certificate_names = ['c']\n",
            "certificate_names requires tls.client_ca",
        ),
        (
            "[[syslog]]\nname = 's'\nudp = ['127.0.0.1:1']\n[[syslog.clients]]\nname = 'c'\n\
             addresses = ['10.0.0.1']\nmaps.user = { from = 'vpn', values = {} }\n",
            "maps.user is not a field that can be mapped",
        ),
    ] {
        let found = wrong(text).join("\n");
        assert!(found.contains(why), "{why:?} is not in: {found}");
    }
}

/// A valid directory with the additional keys `more`.
fn directory(more: &str) -> String {
    format!(
        "[[active_directory]]\nname = 'corp'\ndomain = 'Corp.Example.com'\naccount = 'rollcall'\n\
         secret_file = 'corp.password'\n{more}\n"
    )
}

#[test]
fn a_directory_with_an_exposed_password_or_without_a_ca_is_refused() {
    let scratch = Scratch::new();
    scratch.file("corp.password", "hunter2\n", 0o600);
    scratch.file("empty", "\n", 0o600);
    let sealed = "transport = 'ldap'\nbind = 'spnego'";
    let right = scratch.read(&directory(sealed)).unwrap();
    assert_eq!(right.active_directory[0].root(), "DC=corp,DC=example,DC=com");
    assert_eq!(right.active_directory[0].account.secret.expose(), "hunter2");
    assert!(!format!("{right:?}{right}").contains("hunter2"));
    let clear = "transport = 'ldap'\nallow_clear_text = true";
    assert!(scratch.read(&directory(clear)).is_ok());
    for (more, why) in [
        ("", "ca is missing"),
        ("transport = 'ldap'", "a simple bind would send the password in clear text"),
        ("ca = 'no.crt'", "cannot read"),
        (&format!("{sealed}\nallow_clear_text = true"), "allow_clear_text has no effect"),
        (
            &format!("{sealed}\nsearch_bases = ['OU=a,DC=corp']"),
            "search_bases[0] must be below DC=corp,DC=",
        ),
        (&format!("{sealed}\npoll_interval = '10ms'"), "must be 1s to 1h"),
        (&format!("{sealed}\nservers = ['dc1:389']"), "without a port"),
        (&format!("{sealed}\nsecret_env = 'A'"), "has 2 secrets"),
        (
            "transport = 'ldap'\nbind = 'kerberos'\nservers = ['10.0.0.1']",
            "Kerberos requires the full DNS name",
        ),
        (&format!("{sealed}\n[[active_directory]]\n"), "active_directory[1] has no secret"),
    ] {
        let problems = scratch.read(&directory(more)).unwrap_err().to_string();
        assert!(problems.contains(why), "{more}: {problems}");
    }
    let text = directory(sealed).replace("'corp.password'", "'empty'");
    let problems = scratch.read(&text).unwrap_err().to_string();
    assert!(problems.contains("an empty password as an anonymous bind"), "{problems}");
    let text = directory(sealed).replace("'rollcall'", "'CN=rollcall,DC=corp'");
    let problems = scratch.read(&text).unwrap_err().to_string();
    assert!(problems.contains("is a distinguished name"), "{problems}");
    let both = format!("{0}\ndefault_domain = true\n{0}", directory(sealed).trim_end());
    let problems = scratch.read(&both).unwrap_err().to_string();
    assert!(problems.contains("is already used"), "{problems}");
}

#[test]
fn errors_of_a_template_file_are_reported_once() {
    let scratch = Scratch::new();
    scratch.file("bad.toml", "description = 'no name'\n", 0o644);
    let client = |name: &str, address: &str, template: &str| {
        format!(
            "[[syslog.clients]]\nname = '{name}'\naddresses = ['{address}']\ntemplates = ['{template}']\n"
        )
    };
    let producer = "[[syslog]]\nname = 's'\nudp = ['127.0.0.1:1']\n".to_owned();
    let two = producer.clone()
        + &client("a", "10.0.0.1", "bad.toml")
        + &client("b", "10.0.0.2", "./bad.toml");
    let problems = scratch.read(&two).unwrap_err();
    assert!(problems.iter().all(|p| p.file == scratch.path().join("bad.toml")), "{problems}");
    let gone = producer + &client("a", "10.0.0.1", "gone.toml");
    let problems = scratch.read(&gone).unwrap_err().to_string();
    assert!(problems.contains("syslog[0].clients[0].templates[0] cannot read "), "{problems}");
}

#[test]
fn all_errors_of_a_push_target_are_reported() {
    let text = r#"
[[push.secure_edge]]
name = "../edge"
url = "https://edge.example.net/path"
batch_size = 0
[[push.secure_edge]]
name = "edge"
url = "http://edge.example.net"
initial_backoff = "10m"
certificate = "rollcall.toml"
[[push.srx_web_api]]
name = "edge"
url = "https://10.1.0.1:8443"
user = "a:b"
password_file = "missing"
entries_per_second = 0
"#;
    let found = wrong(text);
    let expected = [
        "name \"../edge\" must be 1 to 64 letters",
        "url \"https://edge.example.net/path\" must be a URL without a path",
        "batch_size is 0, must be 1 to 10000",
        "has no credentials: set onboarding_token_file",
        "url is plain HTTP",
        "max_backoff is shorter than initial_backoff",
        "certificate and key must be set together",
        "srx_web_api[0].name \"edge\" is already used by push.secure_edge[1].name",
        "user contains a colon",
        "password_file cannot read",
        "entries_per_second is 0, must be 1 to 100000",
    ];
    for expected in expected {
        assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:#?}");
    }
}

#[test]
fn invalid_groups_and_dialects_are_refused() {
    let scratch = Scratch::new();
    let point = |more: &str| {
        format!(
            "[[enforcement.points]]\nname = 'fw'\naddresses = ['10.0.0.1']\nclient_id = 'fw'\n\
             secret_hash = '{HASH}'\n{more}"
        )
    };
    let right =
        "[enforcement.points.groups]\nnames = ['vpn-*']\nbases = ['OU=a, DC=b']\nmax_groups = 5";
    let read = scratch.read(&point(right)).unwrap();
    let groups = &read.enforcement.points[0].groups;
    assert_eq!(
        (groups.names.len(), groups.bases[0].to_string(), groups.limit),
        (1, "ou=a,dc=b".to_owned(), 5)
    );
    for (more, why) in [
        ("[enforcement.points.groups]\nbases = ['VPN']", "must be a distinguished name"),
        ("[enforcement.points.groups]\nnames = ['[']", "groups.names[0]"),
        ("[enforcement.points.groups]\nmax_groups = 1001", "must be 0 to 1000"),
        ("[enforcement.points.dialect]\ndomain = 'fqdn'", "dialect.domain"),
    ] {
        let problems = scratch.read(&point(more)).unwrap_err().to_string();
        assert!(problems.contains(why), "{more}: {problems}");
    }
}

#[test]
fn a_validator_without_clients_or_with_a_duplicate_client_is_refused() {
    let scratch = Scratch::new();
    let client = format!(
        "[[validator.clients]]\nname = 'fw'\naddresses = ['10.0.0.1']\nclient_id = 'fw'\n\
         secret_hash = '{HASH}'\n"
    );
    let listen = "[validator]\nlisten = ['127.0.0.1:8591']\n";
    let point = client.replace("validator.clients", "enforcement.points");
    let both = scratch.read(&format!("{listen}{client}{point}"));
    assert_eq!(
        both.unwrap().validator.clients[0].client_id,
        "fw",
        "a firewall's own id may be its"
    );
    for (text, why) in [
        (listen.to_owned(), "validator.listen is not empty, but there are no clients"),
        (format!("{listen}{client}{client}"), "is already used"),
        (format!("[validator]\nlisten = ['0.0.0.0:8443']\n{client}"), "8443 is already in use"),
    ] {
        let problems = scratch.read(&text).unwrap_err().to_string();
        assert!(problems.contains(why), "{text}: {problems}");
    }
    let wrong = format!("{listen}{}", client.replace(HASH, "plain"));
    let problems = scratch.read(&wrong).unwrap_err().to_string();
    assert!(problems.contains("secret_hash is not a hash that begins with"), "{problems}");
    assert!(!problems.contains("there are no clients"), "one error is reported once: {problems}");
}

#[test]
fn an_exchange_server_without_a_kdc_needs_a_dns_domain() {
    let section = |account: &str, host: &str, more: &str| {
        let text = format!(
            "[[event_log]]\naccount = '{account}'\nsecret_env = 'ROLLCALL_READER'\n{more}\n\
             [[event_log.sources]]\nname = 'mail'\nhost = '{host}'\nrole = 'exchange'\n"
        );
        Scratch::new().read(&text)
    };
    let realm = |account, host| {
        let log = section(account, host, "").unwrap().event_log.remove(0);
        log.realm(&log.sources[0]).map(str::to_owned)
    };
    let mail = "mail.corp.example.com";
    assert_eq!(realm("reader@lab.example.com", mail).as_deref(), Some("lab.example.com"));
    assert_eq!(realm("reader@CORP", mail).as_deref(), Some("corp.example.com"));
    assert_eq!(realm("CORP\\reader", mail).as_deref(), Some("corp.example.com"));
    for more in ["kdc = '10.0.0.10:88'", "auth = 'ntlm'", "auth = 'spnego'"] {
        assert!(section("CORP\\reader", "mail", more).is_ok(), "{more}");
    }
    let problems = section("CORP\\reader", "mail", "").unwrap_err().to_string();
    assert!(problems.contains("kdc is missing, and there is no DNS domain"), "{problems}");
}
