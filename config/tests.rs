//! Tests of whole configurations: the default, the reference, the examples and all kinds of error.

mod clients;
mod examples;
mod mistakes;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use rollcall_identity::{Glob, Grant, Kind, Name, RoleGrant, Rules};

use crate::load::read;
use crate::load_context::{LoadContext, without_indices};
use crate::secret::tests::HASH;
use crate::source_file::SourceFile;
use crate::table_reader::{TableReader, read_file};
use crate::*;

/// A temporary folder as the folder of the configuration.
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Creates a file with the given mode.
    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Loads `text` as a file in this folder. Every `ROLLCALL_` variable is set to a hash.
    fn read(&self, text: &str) -> Result<Settings, ConfigErrors> {
        read(Path::new("rollcall.toml"), text, self.path(), &self.environment())
    }

    fn environment(&self) -> Environment {
        let folder = self.path().to_str().unwrap().to_owned();
        let variable = move |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(folder.clone()),
            name => name.starts_with("ROLLCALL_").then(|| HASH.to_owned()),
        };
        Environment::new(variable, TimeZone::UTC)
    }
}

/// The errors of `text`, as `line: key message`.
fn wrong(text: &str) -> Vec<String> {
    let problems = Scratch::new().read(text).expect_err("it has mistakes");
    problems.iter().map(|p| p.to_string().replacen("rollcall.toml:", "", 1)).collect()
}

#[test]
fn listeners_without_tls_are_listed() {
    let listed = |text: &str| Scratch::new().read(text).unwrap().insecure_listeners();
    assert_eq!(listed(""), Vec::<&str>::new());
    assert_eq!(listed("[enforcement]\ninsecure = true\n"), ["enforcement"]);
    assert_eq!(listed("[enforcement]\nlisten = []\ninsecure = true\n"), Vec::<&str>::new());
    let rest = |listen: &str| format!("[rest]\nlisten = '{listen}:8514'\ninsecure = true\n");
    assert_eq!(listed(&rest("0.0.0.0")), ["rest"]);
    assert_eq!(listed(&rest("127.0.0.1")), Vec::<&str>::new());
}

#[test]
fn the_embedded_default_is_as_in_the_readme() {
    let environment = Environment::new(|_| None, TimeZone::UTC);
    let settings = load(None, &environment).unwrap();
    assert_eq!(settings.data, Path::new("rollcall-data"));
    let [syslog] = settings.syslog.as_slice() else { panic!("one syslog producer") };
    let loopback: Vec<std::net::SocketAddr> = vec!["127.0.0.1:5514".parse().unwrap()];
    assert_eq!((&syslog.udp, &syslog.tcp), (&loopback, &loopback));
    let [client] = syslog.clients.as_slice() else { panic!("one client") };
    assert_eq!(client.templates.len(), SHIPPED_TEMPLATES.len());
    assert_eq!(client.authority.grants[0].kinds, authority::all_kinds().collect::<Vec<_>>());
    let key = (syslog.name.clone(), client.name.clone());
    assert_eq!(settings.rules.authorities.get(&key), Some(&client.authority));
    assert_eq!(settings.enforcement.tls, Tls::BuiltInCa { names: Vec::new() });
    assert_eq!(settings.enforcement.listen[0].port(), 8443);
    assert_eq!(settings.rest.listen, "127.0.0.1:8514".parse().unwrap());
    assert_eq!(settings.rest.token_file, Path::new("rollcall-data/admin.token"));
}

#[test]
fn an_empty_file_is_the_default_without_syslog() {
    let scratch = Scratch::new();
    let mut reference = scratch.read(REFERENCE).unwrap();
    reference.syslog.clear();
    reference.effective.remove("syslog");
    reference.rules.authorities.clear();
    assert_eq!(scratch.read("").unwrap().to_string(), reference.to_string());
    assert_eq!(scratch.read("").unwrap(), reference);
}

#[test]
fn the_defaults_in_the_reference_are_those_of_the_code() {
    /// The producer of the embedded default, which does not exist without its keys.
    const DEFAULT_PRODUCER: [&str; 6] = [
        "syslog[0].name",
        "syslog[0].udp",
        "syslog[0].tcp",
        "syslog[0].clients[0].name",
        "syslog[0].clients[0].addresses",
        "syslog[0].clients[0].allow",
    ];
    let scratch = Scratch::new();
    let whole = scratch.read(REFERENCE).unwrap();
    let table: toml::Table = REFERENCE.parse().unwrap();
    let mut tried = 0;
    for path in examples::leaves(&toml::Value::Table(table.clone())) {
        if DEFAULT_PRODUCER.contains(&path.as_str()) {
            continue;
        }
        let mut without = toml::Value::Table(table.clone());
        examples::remove(&mut without, &path);
        let text = toml::to_string(&without).unwrap();
        assert_eq!(scratch.read(&text).unwrap(), whole, "without {path}");
        tried += 1;
    }
    assert!(tried > 40, "only {tried} keys");
}

/// The reference with all keys set that it shows as not set.
fn everything_set() -> String {
    let set = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key.to_owned(),
        _ => line.to_owned(),
    };
    REFERENCE.lines().map(set).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_has_exactly_the_keys_of_the_code() {
    let text = everything_set();
    let (scratch, path) = (Scratch::new(), Path::new("reference.toml"));
    let environment = scratch.environment();
    let context = LoadContext::new(&environment);
    let file = SourceFile { context: &context, path, text: &text, base: scratch.path() };
    read_file(&file, Settings::from_table).expect("the reference with all keys is valid TOML");
    let table: toml::Table = text.parse().unwrap();
    let named = examples::nodes(&toml::Value::Table(table));
    let named: BTreeSet<String> = named.iter().map(|path| without_indices(path)).collect();
    let free = |path: &str| {
        ["rules.domain_aliases.", "syslog.clients.maps.domain.values."]
            .iter()
            .any(|prefix| path.starts_with(prefix))
    };
    let named: BTreeSet<String> = named
        .into_iter()
        .filter(|path| !free(path) && path != "syslog.clients.maps.domain")
        .collect();
    assert_eq!(context.known_keys(), named);
}

#[test]
fn the_example_values_in_the_reference_are_valid() {
    let problems = Scratch::new().read(&everything_set()).expect_err("its files are not there");
    let expected = [
        "cannot read",
        "has 3 secrets",
        "has 4 secrets",
        "is not a shipped",
        "names apply to a certificate of the built-in CA only",
    ];
    for problem in &problems {
        let text = problem.to_string();
        assert!(expected.iter().any(|why| text.contains(why)), "{text}");
    }
}

#[test]
fn the_documentation_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, reference_markdown()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference_markdown(),
        "docs/configuration.md is old: BLESS=1 cargo test -p rollcall-config documentation"
    );
}

#[test]
fn the_documentation_describes_every_key() {
    let page = reference_markdown();
    let table: toml::Table = everything_set().parse().unwrap();
    for path in examples::leaves(&toml::Value::Table(table)) {
        let key = path.rsplit('.').next().unwrap().trim_end_matches(|c| "[]0123456789".contains(c));
        let row = page.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        let free = path.contains(".values.");
        let row =
            if free { "| x | y | meaning |" } else { row.unwrap_or_else(|| panic!("{path}")) };
        assert!(row.len() > format!("| `{key}` |  |  |").len(), "{path} has no meaning");
    }
}

#[test]
fn a_change_affects_only_its_part() {
    let scratch = Scratch::new();
    let before = scratch.read(REFERENCE).unwrap();
    let after = scratch.read(&REFERENCE.replace("\"loopback\"", "\"here\"")).unwrap();
    assert_ne!(before.syslog, after.syslog);
    assert_ne!(before.rules, after.rules, "the client has another authority");
    let others = |s: &Settings| (s.ptim.clone(), s.enforcement.clone(), s.rest.clone(), s.log);
    assert_eq!(others(&before), others(&after));
}

#[test]
fn an_unauthenticated_sender_creates_no_session_by_default() {
    let scratch = Scratch::new();
    for (name, text) in [("ca.crt", "PEM"), ("syslog.crt", "PEM"), ("syslog.key", "PEM")] {
        scratch.file(name, text, 0o600);
    }
    let settings = scratch
        .read(
            "[[syslog]]\nname = 's'\nudp = ['127.0.0.1:5514']\n\
             tls = { listen = ['127.0.0.1:6514'], certificate = 'syslog.crt', key = 'syslog.key', \
             client_ca = 'ca.crt' }\n\
             [[syslog.clients]]\nname = 'address'\naddresses = ['10.0.0.1']\n\
             [[syslog.clients]]\nname = 'both'\naddresses = ['10.0.0.2']\ncertificate_names = ['b']\n\
             [[syslog.clients]]\nname = 'certificate'\ncertificate_names = ['c']\n\
             [[syslog.clients]]\nname = 'granted'\naddresses = ['10.0.0.3']\nallow = ['login']\n",
        )
        .unwrap();
    let begins = |index: usize| {
        let client = &settings.syslog[0].clients[index];
        (client.authority.may_begin_sessions(), client.allows_unauthenticated_sessions())
    };
    assert_eq!(
        [begins(0), begins(1), begins(2), begins(3)],
        [(false, false), (false, false), (true, false), (true, true)]
    );
}

#[test]
fn authorities_are_part_of_the_rules() {
    let scratch = Scratch::new();
    let point = |name: &str, push: &str| {
        format!(
            "[[enforcement.points]]\nname = '{name}'\nclient_id = '{name}'\n\
             addresses = ['10.0.0.1']\nsecret_hash = '{HASH}'\n[enforcement.points.push]\n{push}\n"
        )
    };
    let quiet = point("quiet", "");
    let loud = "allow = ['vpn_up']\nallow_domains = ['Corp']\nallow_roles = ['vpn-*']\nmax_age = '5m'\n\
                [[enforcement.points.push.grants]]\nallow = ['login']\nallow_networks = ['10.1.0.0/16']\n\
                allow_roles = ['*', 'x']\nallow_device = false\nallow_posture = true";
    let text = quiet + &point("loud", loud);
    let settings = scratch.read(&text).unwrap();
    let [quiet, loud] = settings.enforcement.points.as_slice() else { panic!("two points") };
    assert_eq!(quiet.push, None);
    let authority = loud.push.as_ref().unwrap();
    let expected = [
        Grant {
            kinds: vec![Kind::VpnUp],
            domains: vec![Name::new("corp").unwrap()],
            roles: RoleGrant::Matching(vec![Glob::new("vpn-*").unwrap()]),
            device: true,
            ..Grant::default()
        },
        Grant {
            kinds: vec![Kind::Login],
            networks: vec!["10.1.0.0/16".parse().unwrap()],
            roles: RoleGrant::All,
            posture: true,
            ..Grant::default()
        },
    ];
    assert_eq!(authority.grants, expected);
    assert_eq!(authority.max_age, Some(Duration::from_secs(300)));
    let Rules { authorities, .. } = &settings.rules;
    let key = |point: &EnforcementPoint| (settings.ptim.name.clone(), point.name.clone());
    assert_eq!(authorities.get(&key(loud)), Some(authority));
    assert_eq!(authorities.get(&key(quiet)), None);
}

#[test]
fn a_restriction_without_kinds_is_rejected() {
    let scratch = Scratch::new();
    let point = format!(
        "[[enforcement.points]]\nname = 'fw'\nclient_id = 'fw'\naddresses = ['10.0.0.1']\n\
         secret_hash = '{HASH}'\n[enforcement.points.push]\nallow_networks = ['10.8.0.0/16']\n"
    );
    let errors = scratch.read(&point).unwrap_err().to_string();
    assert!(errors.contains("enforcement.points[0].push.allow") && errors.contains("is missing"));
    let granted = point.replace("[enforcement.points.push]", "[[enforcement.points.push.grants]]");
    assert!(scratch.read(&granted).unwrap_err().to_string().contains("grants[0].allow"));
}

#[test]
fn aliases_are_resolved_in_rules_filters_and_authorities() {
    let scratch = Scratch::new();
    scratch.file("password", "canary", 0o600);
    let text = "[rules.domain_aliases]\nlab = 'lab.example.com'\n\
                [rules.ignore]\nusers = ['svc-*@corp', 'bob']\ndomains = ['LAB', 'c*']\n\
                [[active_directory]]\nname = 'ad'\ndomain = 'corp.example.com'\nnetbios = 'CORP'\n\
                account = 'a@corp.example.com'\nsecret_file = 'password'\ntransport = 'ldap'\n\
                bind = 'ntlm'\n\
                [[enforcement.points]]\nname = 'fw'\naddresses = ['10.0.0.1']\nclient_id = 'fw'\n\
                secret_hash = 'HASH'\nfilter.domains = ['Corp', 'other']\n\
                push = { allow = ['vpn_up'], allow_domains = ['CORP', 'other'] }\n";
    let text = text.replace("HASH", HASH);
    let settings = scratch.read(&text).unwrap();
    let rules = &settings.rules;
    let name = |text| Name::new(text).unwrap();
    let written = |globs: &[Glob]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(written(&rules.ignore.domains), ["lab.example.com", "c*"]);
    assert_eq!(written(rules.ignore.users.as_slice()), ["svc-*@corp.example.com", "bob"]);
    assert_eq!(written(&settings.enforcement.points[0].domains), ["corp.example.com", "other"]);
    let granted = &rules.authorities[&(name("ptim"), name("fw"))].grants[0].domains;
    assert_eq!(*granted, [name("corp.example.com"), name("other")]);
    assert_eq!(rules.domain_aliases[&name("corp")], name("corp.example.com"));
}

#[test]
fn no_output_contains_a_secret() {
    let scratch = Scratch::new();
    let settings = examples::prepared(&scratch, "ptim").unwrap();
    let shown = format!("{settings}\n{settings:?}\n{settings:#?}");
    assert!(shown.contains("<redacted>"));
    assert!(!shown.contains("$argon2id"), "{shown}");
    assert!(!format!("{:?}", scratch.environment()).contains("argon2"));
}

#[test]
fn the_effective_configuration_has_the_defaults() {
    let scratch = Scratch::new();
    let shown = examples::prepared(&scratch, "two-firewalls").unwrap().to_string();
    for line in [
        "[enforcement.limits]\n",
        "connections = 512\n",
        "body_size = \"1 MiB\"\n",
        "addresses = [\n    \"10.0.0.1/32\",\n    \"10.0.0.2/32\",\n]\n",
        "no_session = \"empty\"\n",
        "max_groups = 200\n",
        "allow = []\n",
        "[log]\nformat = \"json\"\nlevel = \"warn\"\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}

#[test]
fn the_effective_configuration_is_a_configuration_with_the_same_meaning() {
    for name in examples::NAMES {
        let scratch = Scratch::new();
        let settings = examples::prepared(&scratch, name).unwrap();
        let again = read(
            Path::new("rollcall.toml"),
            &settings.to_string(),
            Path::new("/nowhere"),
            &scratch.environment(),
        );
        assert_eq!(again.map_err(|problems| problems.to_string()), Ok(settings), "{name}");
    }
}

#[test]
fn an_inline_hash_is_redacted_and_the_redaction_is_no_hash() {
    let scratch = Scratch::new();
    let text = format!(
        "[[enforcement.points]]\nname = 'fw'\nclient_id = 'fw'\naddresses = ['10.0.0.1']\n\
         secret_hash = '{HASH}'\n"
    );
    let shown = scratch.read(&text).unwrap().to_string();
    assert!(shown.contains("secret_hash = \"<redacted>\"\n"), "{shown}");
    let problems = scratch.read(&shown).unwrap_err().to_string();
    assert!(problems.contains("secret_hash is not a hash that begins with"), "{problems}");
}

#[test]
fn an_old_key_is_refused_with_its_new_name() {
    for (text, expected) in [
        ("drain = '5s'\n", "1: drain is not a known key; did you mean `shutdown_timeout`?"),
        ("[history]\n", "1: history is not a known key; did you mean `change_log`?"),
        (
            "[rules]\nweaker_waits = '1h'\n",
            "2: rules.weaker_waits is not a known key; did you mean `weaker_proof_delay`?",
        ),
        (
            "[[push.secure_edge]]\nname = 'e'\nurl = 'https://e'\ncheck = '1h'\n",
            "4: push.secure_edge[0].check is not a known key; did you mean `verify_interval`?",
        ),
        (
            "[[syslog]]\nname = 's'\nudp = ['127.0.0.1:0']\n[[syslog.clients]]\nname = 'c'\n\
             addresses = ['10.0.0.1']\nmay = ['login']\n",
            "7: syslog[0].clients[0].may is not a known key; did you mean `allow`?",
        ),
    ] {
        let found = wrong(text);
        assert!(found.iter().any(|found| found.starts_with(expected)), "{found:?}");
    }
}

#[test]
fn paths_are_relative_to_the_file() {
    let scratch = Scratch::new();
    let path = scratch.file("rollcall.toml", "data = 'd'\n[rest]\ntoken_file = '/t'\n", 0o644);
    let settings = load(Some(&path), &scratch.environment()).unwrap();
    assert_eq!(settings.data, scratch.path().join("d"));
    assert_eq!(settings.rest.token_file, Path::new("/t"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_a_configuration_or_has_errors(text: String) {
        let _ = Scratch::new().read(&text);
    }

    /// Any lines of the reference, cut anywhere, cause no panic.
    #[test]
    fn truncated_lines_cause_no_panic(
        lines in proptest::sample::subsequence(REFERENCE.lines().collect::<Vec<_>>(), 0..80),
        cut in 0usize..4000,
    ) {
        let text = lines.join("\n");
        let cut = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        if let Err(problems) = Scratch::new().read(&text[..cut]) {
            prop_assert!(problems.iter().count() > 0);
        }
    }
}

#[test]
fn the_table_reader_records_known_keys_and_effective_values() {
    let environment = Environment::new(|_| None, TimeZone::UTC);
    let context = LoadContext::new(&environment);
    let (path, base) = (Path::new("f"), Path::new(""));
    let file = SourceFile { context: &context, path, text: "a = 1\nb = 2\n", base };
    let read = read_file(&file, |table: &TableReader<'_>| table.get::<u32>("a"));
    assert_eq!(
        read.map(|(value, effective)| (value, effective.to_string())),
        Some((Some(1), "a = 1\n".to_owned()))
    );
    assert_eq!(context.known_keys(), BTreeSet::from(["a".to_owned()]));
    let problems: Vec<String> = context.into_errors().iter().map(ConfigError::to_string).collect();
    assert_eq!(problems, ["f:2: b is not a known key; did you mean `a`?"]);
}
