//! What Rollcall depends on: each with a reason, a licence that may be given on, and one version.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::{none, root, text};

/// Licences under which everything may be given on together with MIT OR Apache-2.0. CDLA is that of
/// data: Mozilla's list of authorities, which the command line verifies with.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that are never taken in, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "all TLS is rustls"),
    ("native-tls", "all TLS is rustls"),
    ("xml-rs", "expands entities without bound"),
    ("sled", "lost acknowledged writes when the power was cut"),
    ("fancy-regex", "matches in exponential time"),
    ("pcre2", "matches in exponential time"),
    ("chrono", "jiff is the one library of time; only evtx has it, for its winstructs"),
    ("serde_yaml", "is given up by its author"),
    ("reqwest", "ureq is the one HTTP client"),
    ("h2", "nothing speaks HTTP/2, and version 0.3 has RUSTSEC-2026-0258"),
];

/// Crates that are banned but in the hands of these, and of nobody else.
const EXCUSED: &[(&str, &str)] = &[("chrono", "winstructs")];

/// Crates of which two versions are linked, and whose fault it is.
const TWICE: &[(&str, &str)] = &[
    ("base64", "ureq moved on to 0.23; actix-web and ours are at 0.22"),
    ("bitflags", "winstructs, of evtx, is at 1"),
    ("block-buffer", "follows digest"),
    ("cpufeatures", "sha2 0.10 has 0.2; rand 0.10's chacha20 has 0.3"),
    ("crypto-common", "follows digest"),
    ("digest", "argon2 0.5 has 0.10; sspi has 0.11"),
    (
        "getrandom",
        "argon2's rand_core 0.6, proptest's rand 0.9 and uuid are a generation apart each",
    ),
    ("hashbrown", "indexmap moved on to 0.17; metrics is at 0.16, and so are we"),
    ("http", "actix-web 4 keeps 0.2; ureq has 1"),
    ("num-derive", "winstructs, of evtx, has 0.3; sspi has 0.5"),
    ("rand", "proptest and metrics have 0.9; actix-http has 0.10"),
    ("rand_core", "argon2 0.5 has 0.6; proptest and actix-http have later ones"),
    ("sha2", "ours is of argon2's generation; sspi is one ahead"),
    ("syn", "derive macros move to 3 one by one"),
    ("synstructure", "follows syn"),
    ("thiserror", "winstructs, of evtx, is at 1"),
    ("thiserror-impl", "follows thiserror"),
];

/// One package that is linked on Linux.
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    /// The names of what it depends on itself.
    needs: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    // Everything is fetched already, or this test would not have been built.
    let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("x86_64-unknown-linux-gnu")
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let linked: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages = packages.filter(|package| linked.contains(package["id"].as_str().unwrap()));
    let needs = needs(nodes);
    let owned = |value: &Value| value.as_str().map(str::to_owned);
    let package = |package: &Value| Package {
        name: owned(&package["name"]).unwrap(),
        version: owned(&package["version"]).unwrap(),
        licence: owned(&package["license"]),
        needs: needs.get(package["id"].as_str().unwrap()).cloned().unwrap_or_default(),
    };
    packages.map(package).collect()
}

/// The names of what each package really links, by the identifier of the package.
fn needs(nodes: &[Value]) -> BTreeMap<&str, BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |node: &Value| -> BTreeSet<String> {
        node["deps"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect()
    };
    nodes.iter().map(|node| (node["id"].as_str().unwrap(), of(node))).collect()
}

/// Whether the crate `name` is excused, and nobody else among `packages` has it.
fn is_excused(name: &str, packages: &[Package]) -> bool {
    let Some((_, by)) = EXCUSED.iter().find(|(banned, _)| *banned == name) else { return false };
    packages.iter().filter(|package| package.needs.contains(name)).all(|holder| holder.name == *by)
}

#[test]
fn every_licence_is_on_the_list() {
    let fine = |package: &Package| package.licence.as_deref().is_some_and(may_be_given_on);
    let packages = packages();
    let strange = packages.iter().filter(|package| !fine(package));
    let strange = strange.map(|package| format!("{}: {:?}", package.name, package.licence));
    none("licences that nobody has agreed to", &strange.collect::<Vec<_>>());
}

/// Whether an SPDX expression can be met with the list: one of each `OR`, all of each `AND`.
fn may_be_given_on(expression: &str) -> bool {
    // `/` is how `OR` was written before SPDX.
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = any_of(&words);
    met && rest.is_empty()
}

fn any_of<'a, 'b>(words: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    let (mut met, mut rest) = all_of(words);
    while let ["OR", after @ ..] = rest {
        let other = all_of(after);
        met |= other.0;
        rest = other.1;
    }
    (met, rest)
}

fn all_of<'a, 'b>(words: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    let (mut met, mut rest) = licence(words);
    while let ["AND", after @ ..] = rest {
        let other = licence(after);
        met &= other.0;
        rest = other.1;
    }
    (met, rest)
}

fn licence<'a, 'b>(words: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    match words {
        ["(", inside @ ..] => match any_of(inside) {
            (met, [")", rest @ ..]) => (met, rest),
            (_, rest) => (false, rest),
        },
        [name, "WITH", exception, rest @ ..] => {
            (LICENCES.contains(&format!("{name} WITH {exception}").as_str()), rest)
        }
        [name, rest @ ..] => (LICENCES.contains(name), rest),
        [] => (false, &[]),
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_has_them() {
    for (expression, fine) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-2.0 OR MIT", true),
        ("GPL-2.0 AND MIT", false),
        ("MIT/Apache-2.0", true),
        ("(MIT OR GPL-2.0) AND Unicode-3.0", true),
        ("(MIT OR GPL-2.0) AND LGPL-2.1", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("GPL-2.0 OR", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(may_be_given_on(expression), fine, "{expression:?}");
    }
}

#[test]
fn nothing_that_is_banned_is_linked() {
    let packages = packages();
    let linked = |name: &str| packages.iter().any(|package| package.name == name);
    let banned = BANNED.iter().filter(|(name, _)| linked(name) && !is_excused(name, &packages));
    none("banned", &banned.map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>());
}

#[test]
fn two_versions_of_a_crate_have_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(package.name).or_default().insert(package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let explained = |name: &str| TWICE.iter().any(|(twice, _)| *twice == name);
    let faults: Vec<String> = versions
        .iter()
        .filter(|(name, _)| !explained(name))
        .map(|(name, versions)| format!("{name}: {versions:?}"))
        .collect();
    none("linked in several versions, without a reason", &faults);
    let past = TWICE.iter().filter(|(name, _)| !versions.contains_key(*name));
    none("no longer linked twice", &past.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let text = text("Cargo.toml");
    let section = text.split("[workspace.dependencies]\n").nth(1).expect("the section is there");
    let section = section.split("\n[").next().unwrap_or_default();
    let lines = section.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let silent = lines.filter(|line| !line.starts_with("rollcall-") && !has_reason(line));
    none("no reason", &silent.map(str::to_owned).collect::<Vec<_>>());
}

/// Whether a line of TOML ends in a comment of words.
fn has_reason(line: &str) -> bool {
    line.rsplit_once(" # ").is_some_and(|(_, reason)| reason.split_whitespace().count() >= 2)
}
