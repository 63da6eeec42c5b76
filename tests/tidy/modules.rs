//! Rules inside a crate: no import cycle between its files, and no two public types of one name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::layers::{ARROWS, production, test_files};
use super::{files, from_root, none, root};

/// A module of a crate by its path, for instance `["cache", "membership_updates"]`; the root is empty.
type Module = Vec<String>;

/// The production code of a crate: the lines of each module, without comments and tests.
fn sources(folder: &str) -> BTreeMap<Module, String> {
    let all = files(folder, &[".rs"]);
    let tests = test_files(&all);
    let below = |path: &Path| {
        ARROWS
            .iter()
            .any(|(other, _)| other.len() > folder.len() && path.starts_with(root().join(other)))
    };
    let own = all.iter().filter(|path| !tests.iter().any(|test| path.starts_with(test)));
    own.filter(|path| !below(path))
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let code = production(&text).map(|line| line.split("//").next().unwrap_or_default());
            (module_of(folder, path), code.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

fn module_of(folder: &str, path: &Path) -> Module {
    let path = path.strip_prefix(root().join(folder)).unwrap().with_extension("");
    let parts: Module = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts == ["lib"] || parts == ["main"] { Module::new() } else { parts }
}

/// The paths of a `use` tree: `a::{b, c::{d, e}}` gives `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[begin..]);
    let nonempty = parts.into_iter().filter(|part| !part.trim().is_empty());
    nonempty.flat_map(expand).map(|part| format!("{}{part}", prefix.trim())).collect()
}

/// The paths that begin with `crate`, `self` or `super` in `code`, imports expanded.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let tree = code[at + 4..].split(';').next().unwrap_or_default();
        found.extend(expand(tree));
    }
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != ':' && c != '_');
            found.push(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
    found
}

/// The module that `path`, written in `from`, leads to.
fn resolve(path: &str, from: &Module, modules: &BTreeMap<Module, String>) -> Option<Module> {
    let mut parts = path.split("::").map(str::trim).peekable();
    let mut at = match *parts.peek()? {
        "crate" => Module::new(),
        "self" | "super" => from.clone(),
        _ => return None,
    };
    for part in parts {
        match part {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            part => {
                let mut deeper = at.clone();
                deeper.push(part.to_owned());
                if !modules.contains_key(&deeper) {
                    break;
                }
                at = deeper;
            }
        }
    }
    Some(at)
}

/// Whether one of the two contains the other.
fn is_family(one: &Module, other: &Module) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn imports(modules: &BTreeMap<Module, String>) -> BTreeMap<&Module, BTreeSet<Module>> {
    let of_module = |(from, code): (&Module, &String)| {
        let to = paths(code).into_iter().filter_map(|path| resolve(&path, from, modules));
        to.filter(|to| !is_family(from, to)).collect()
    };
    modules.iter().map(|module| (module.0, of_module(module))).collect()
}

/// The modules that `from` reaches over imports.
fn reached(from: &Module, imports: &BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut next: Vec<Module> = imports[from].iter().cloned().collect();
    while let Some(module) = next.pop() {
        if found.insert(module.clone()) {
            next.extend(imports[&module].iter().cloned());
        }
    }
    found
}

#[test]
fn no_import_cycle_is_inside_a_crate() {
    let mut faults = Vec::new();
    for (folder, _) in ARROWS {
        let modules = sources(folder);
        let imports = imports(&modules);
        let in_cycle = imports.keys().filter(|module| reached(module, &imports).contains(**module));
        faults.extend(in_cycle.map(|module| format!("{folder}: {}", module.join("::"))));
    }
    none("these modules import each other in a cycle", &faults);
}

#[test]
fn an_import_tree_gives_every_path() {
    let given = expand("crate::a::{b, c::{D, e::F}, self}");
    assert_eq!(given, ["crate::a::b", "crate::a::c::D", "crate::a::c::e::F", "crate::a::self"]);
}

/// The public types that `code` declares.
fn public_types(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("pub")?;
        let rest =
            rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |r| r.1);
        let (kind, name) = rest.trim_start().split_once(' ')?;
        let is_type = ["struct", "enum", "trait", "type", "union"].contains(&kind);
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        is_type.then(|| &name[..end])
    })
}

#[test]
fn no_two_public_types_of_a_crate_share_a_name() {
    let mut faults = Vec::new();
    for (folder, _) in ARROWS {
        let modules = sources(folder);
        let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (module, code) in &modules {
            for name in public_types(code) {
                places.entry(name).or_default().push(module.join("::"));
            }
        }
        let shared = places.iter().filter(|(_, places)| places.len() > 1);
        faults.extend(shared.map(|(name, places)| format!("{folder}: {name} in {places:?}")));
    }
    none("public types of one name", &faults);
}

#[test]
fn every_crate_of_the_workspace_is_looked_at() {
    for (folder, _) in ARROWS {
        assert!(sources(folder).len() > 1, "{folder}");
        assert!(files(folder, &[".rs"]).iter().all(|path| from_root(path).starts_with(folder)));
    }
}
