//! Rules over the files as files: what may lie where, and how each begins.

use std::fs;

use super::{files, from_root, name, none, root, text};

/// What design.md and ARCHITECTURE.md agree upon; everything else goes into one of these.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "actors",
    "benches",
    "config",
    "dashboards",
    "docs",
    "fuzz",
    "packaging",
    "rollcall-data",
    "src",
    "target",
    "tests",
];

#[test]
fn the_top_level_holds_only_the_agreed_names() {
    let entries = fs::read_dir(root()).unwrap().map(|entry| name(&entry.unwrap().path()));
    let strange = |name: &String| !name.starts_with('.') && !TOP.contains(&name.as_str());
    none("not agreed upon", &entries.filter(strange).collect::<Vec<_>>());
}

#[test]
fn every_source_file_begins_by_saying_what_it_is() {
    let mut silent = Vec::new();
    for path in files("", &[".rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        let sentence = text.lines().next().and_then(|line| line.strip_prefix("//! "));
        if sentence.is_none_or(|sentence| sentence.len() < 20) {
            silent.push(from_root(&path));
        }
    }
    none("the first line is not `//!` and a sentence", &silent);
}

#[test]
fn every_script_says_what_it_is_and_stops_at_its_first_error() {
    let scripts = ["tests/run", ".ci/run"].map(|path| (path.to_owned(), text(path)));
    let others = files("", &[".sh"]).into_iter();
    let others = others.map(|path| (from_root(&path), fs::read_to_string(&path).unwrap()));
    let mut faults = Vec::new();
    for (path, text) in others.chain(scripts) {
        let mut lines = text.lines();
        let shell = lines.next().is_some_and(|line| line.starts_with("#!"));
        let said = lines.next().is_some_and(|line| line.starts_with("# "));
        if !shell || !said || !text.contains("\nset -eu") {
            faults.push(path);
        }
    }
    none("no `#!`, no sentence, or no `set -eu`", &faults);
}

#[test]
fn nothing_is_left_to_do() {
    // Split, so that this very file is not found.
    let marks = [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("FIX", "ME")];
    let mut found = Vec::new();
    for path in files("", &[".rs", ".toml", ".sh"]) {
        let text = fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {}", from_root(&path), at + 1, line.trim()));
            }
        }
    }
    none("left to do", &found);
}

#[test]
fn no_module_is_a_drawer() {
    let drawers =
        ["common", "utils", "util", "helpers", "helper", "core", "models", "misc", "logic"];
    let stem = |path: &std::path::PathBuf| {
        path.file_stem().is_some_and(|stem| drawers.iter().any(|drawer| stem == *drawer))
    };
    let found = files("", &[".rs"]).into_iter().filter(stem).map(|path| from_root(&path));
    none("named after nothing", &found.collect::<Vec<_>>());
}

#[test]
fn what_the_architecture_names_exists() {
    let text = text("ARCHITECTURE.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let mut missing = Vec::new();
    for place in
        quoted.filter(|quoted| quoted.contains('/') && !quoted.contains(char::is_whitespace))
    {
        // Routes and patterns are no places in the tree.
        if place.starts_with('/') || place.contains(['<', '*', ':', '{']) {
            continue;
        }
        if !root().join(place).exists() {
            missing.push(place.to_owned());
        }
    }
    none("ARCHITECTURE.md names what is not there", &missing);
    for folder in ["src/identity", "src/wire", "actors", "config", "tests", "dashboards"] {
        assert!(text.contains(folder), "ARCHITECTURE.md does not name {folder}");
    }
}

#[test]
fn what_a_document_shows_of_a_configuration_can_be_read() {
    let mut unread = Vec::new();
    for path in files("", &[".md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for shown in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if let Err(error) = shown.parse::<toml::Table>() {
                unread.push(format!("{}: {}: {shown}", from_root(&path), error.message()));
            }
        }
    }
    none("a document shows what is no TOML", &unread);
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for path in files("", &[".md"]) {
        let text = fs::read_to_string(&path).unwrap();
        let folder = path.parent().unwrap_or(root());
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !folder.join(file).exists() {
                broken.push(format!("{}: {target}", from_root(&path)));
            }
        }
    }
    none("broken links", &broken);
}
