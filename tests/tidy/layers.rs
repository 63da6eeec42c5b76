//! The arrows between the layers, and what the pure ones never do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use super::{files, from_root, none, root, text};

/// The crates that do no I/O and read no clock.
const PURE: &[&str] = &["src/identity", "src/wire"];

/// What runs things, opens sockets, or reads clocks: not for the pure crates.
const RUNTIMES: &[&str] = &[
    "actix",
    "actix-web",
    "tokio",
    "tokio-rustls",
    "rustls",
    "crossbeam-channel",
    "futures-util",
    "futures-executor",
    "metrics",
    "nix",
    "tracing",
    "ureq",
    "fastrand",
    "uuid",
];

/// The same, as sources spell it.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::io::stdin",
    "std::process",
    "std::thread",
    "std::env",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "static mut",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "SystemTime::",
    "Instant",
    "::now()",
];

/// The crates of ours that each crate may use.
pub(super) const ARROWS: &[(&str, &[&str])] = &[
    ("src/identity", &[]),
    ("src/wire", &["identity"]),
    ("config", &["identity", "wire"]),
    ("actors/runtime", &["identity"]),
    ("actors/journal", &["identity", "runtime"]),
    ("actors/engine", &["identity", "runtime", "journal"]),
    ("actors/history", &["identity", "runtime", "journal"]),
    ("actors/producers", &["identity", "wire", "config", "runtime", "journal", "engine"]),
    ("actors/push", &["identity", "wire", "config", "runtime", "engine"]),
    (
        "actors/http",
        &[
            "identity",
            "wire",
            "config",
            "runtime",
            "journal",
            "engine",
            "history",
            "producers",
            "push",
        ],
    ),
    (
        "actors/server",
        &[
            "identity",
            "wire",
            "config",
            "runtime",
            "journal",
            "engine",
            "history",
            "producers",
            "push",
            "http",
        ],
    ),
];

fn manifest(folder: &str) -> Table {
    text(&format!("{folder}/Cargo.toml")).parse().unwrap()
}

fn dependencies(folder: &str) -> Vec<String> {
    let manifest = manifest(folder);
    let table = manifest.get("dependencies").and_then(|table| table.as_table());
    table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn pure_manifests_name_no_runtime() {
    let mut faults = Vec::new();
    for folder in PURE {
        let named = dependencies(folder).into_iter();
        let named = named.filter(|name| RUNTIMES.contains(&name.as_str()));
        faults.extend(named.map(|name| format!("{folder}: {name}")));
    }
    none("a pure crate depends on a runtime", &faults);
}

#[test]
fn the_arrows_between_our_crates_are_those_of_the_architecture() {
    for (folder, allowed) in ARROWS {
        let used = dependencies(folder);
        let used = used.iter().filter_map(|name| name.strip_prefix("rollcall-"));
        let strange: Vec<_> = used.filter(|name| !allowed.contains(name)).map(Into::into).collect();
        none(&format!("{folder} may use only {allowed:?}"), &strange);
    }
    let members = manifest(".")["workspace"]["members"].as_array().unwrap().clone();
    let known = ARROWS.iter().map(|(folder, _)| *folder);
    assert!(members.iter().filter_map(toml::Value::as_str).eq(known), "a crate has no arrows here");
}

#[test]
fn pure_sources_do_no_io_and_read_no_clock() {
    let mut faults = Vec::new();
    for folder in PURE {
        let sources = files(folder, &[".rs"]);
        let tests = test_files(&sources);
        for path in sources.iter().filter(|path| !tests.iter().any(|test| path.starts_with(test))) {
            for (at, line) in production(&fs::read_to_string(path).unwrap()).enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(word) = IMPURE.iter().find(|word| code.contains(**word)) {
                    faults.push(format!("{}:{}: {word}", from_root(path), at + 1));
                }
            }
        }
    }
    none("a pure crate does I/O, reads a clock or keeps global state", &faults);
}

/// The lines of a file up to the tests at its end.
pub(super) fn production(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let end = text.find("#[cfg(test)]\npub(crate) mod tests {").map_or(end, |at| at.min(end));
    text[..end].lines()
}

/// The files and folders of modules that are declared under `#[cfg(test)]`.
pub(super) fn test_files(sources: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut tests = BTreeSet::new();
    for path in sources {
        let text = fs::read_to_string(path).unwrap();
        let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| rest.lines().next());
        for line in declared {
            let module = line.trim_start_matches("pub(crate) ").strip_prefix("mod ");
            let Some(module) = module.and_then(|rest| rest.strip_suffix(';')) else { continue };
            let folder = folder_of_modules(path);
            tests.insert(folder.join(module));
            tests.insert(folder.join(format!("{module}.rs")));
        }
    }
    tests
}

/// Where the modules that a file declares lie.
fn folder_of_modules(path: &Path) -> PathBuf {
    match path.file_name().is_some_and(|name| name == "lib.rs" || name == "main.rs") {
        true => path.parent().unwrap_or(root()).to_owned(),
        false => path.with_extension(""),
    }
}

#[test]
fn unsafe_is_forbidden_everywhere() {
    let workspace = manifest(".");
    let level = workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str();
    assert_eq!(level, Some("forbid"));
    for folder in std::iter::once("").chain(ARROWS.iter().map(|(folder, _)| *folder)) {
        let manifest = manifest(if folder.is_empty() { "." } else { folder });
        let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherited.and_then(toml::Value::as_bool), Some(true), "{folder}/Cargo.toml");
    }
    let keyword = concat!("un", "safe ");
    let mut faults = Vec::new();
    for path in files("", &[".rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let spelled = [format!("{keyword}{{"), format!("{keyword}fn"), format!("{keyword}impl")];
        if code.into_iter().any(|line| spelled.iter().any(|spelled| line.contains(spelled))) {
            faults.push(from_root(&path));
        }
    }
    none("memory safety is given up", &faults);
}

#[test]
fn no_panic_is_turned_into_an_abort() {
    // The supervisor replaces actors that panic; an abort would end the server instead.
    let profiles = manifest(".").get("profile").cloned().unwrap_or(Table::new().into());
    for (name, profile) in profiles.as_table().into_iter().flatten() {
        assert_ne!(profile.get("panic").and_then(|panic| panic.as_str()), Some("abort"), "{name}");
    }
}
