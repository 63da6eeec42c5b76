//! What the documents say is proven: every test that they name exists, and every promise names one.

use std::collections::BTreeSet;
use std::fs;

use super::{files, from_root, none, text};

/// The names of tests in a document: in backticks, of five words or more. So long are no keys of the
/// configuration; metrics are, and begin otherwise.
fn named(document: &str) -> impl Iterator<Item = &str> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let is_name = move |name: &&str| {
        !name.starts_with("rollcall_")
            && name.split('_').count() >= 5
            && name.split('_').all(is_word)
    };
    document.split('`').skip(1).step_by(2).filter(is_name)
}

/// The names of all functions.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files("", &[".rs"]) {
        let text = fs::read_to_string(path).unwrap();
        let after = text.split("fn ").skip(1);
        names.extend(after.filter_map(|rest| rest.split(['(', '<']).next()).map(str::to_owned));
    }
    names
}

#[test]
fn every_test_that_a_document_names_exists() {
    let (known, mut faults, mut found) = (functions(), Vec::new(), 0);
    for path in files("", &[".md"]) {
        let document = fs::read_to_string(&path).unwrap();
        for name in named(&document) {
            found += 1;
            if !known.contains(name) {
                faults.push(format!("{}: {name}", from_root(&path)));
            }
        }
    }
    none("no test is called so", &faults);
    assert!(found > 50, "the documents name {found} tests");
}

#[test]
fn every_promise_to_a_source_names_the_test_that_proves_it() {
    let document = text("docs/reliability.md");
    let table = document.split("## Delivery guarantees by source").nth(1).unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 8, "{} rows", rows.len());
    let bare = rows.into_iter().filter(|row| {
        let proof = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
        named(proof).next().is_none()
    });
    none("nothing is said to prove it", &bare.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn every_limit_of_the_table_stands_where_it_says() {
    let document = text("docs/security.md");
    let rows = document.lines().skip_while(|line| !line.starts_with("| of what | limit")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 30, "{} rows", rows.len());
    let mut faults = Vec::new();
    for row in rows {
        let place = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
        let mut source = String::new();
        for word in place.split('`').skip(1).step_by(2) {
            if word.contains('/') {
                source = text(word);
                continue;
            }
            let is_there = |line: &str| {
                let line = line.trim_start_matches(['#', ' ']);
                let named = |before: &str| line.contains(&format!("{before}{word}"));
                named("const ") || named("struct ") || named("pub ") || line.starts_with(word)
            };
            if !source.lines().any(is_there) {
                faults.push(format!("{word}: {row}"));
            }
        }
        if source.is_empty() {
            faults.push(format!("nowhere: {row}"));
        }
    }
    none("a limit is not where the table says", &faults);
}

#[test]
fn every_log_line_in_the_table_is_logged() {
    let operations = text("docs/operations.md");
    let (_, table) = operations.split_once("Important log lines:").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|r| r.split('|').nth(1));
    let lines: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let sources: String = [files("actors", &[".rs"]), files("src", &[".rs"])]
        .into_iter()
        .flatten()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(lines.len() >= 5, "{lines:?}");
    let is_missing = |line: &&str| !sources.contains(&format!("\"{line}\""));
    let missing: Vec<String> = lines.into_iter().filter(is_missing).map(str::to_owned).collect();
    none("log lines in docs/operations.md that no source logs", &missing);
}
