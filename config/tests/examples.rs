//! Every example is valid, and a misspelled key or a value of another type is an error.

use toml::Value;

use super::*;

/// Every example, by name.
const EXAMPLES: [(&str, &str); 7] = [
    ("active_directory", include_str!("../examples/active_directory.toml")),
    ("branch-office", include_str!("../examples/branch-office.toml")),
    ("event_log", include_str!("../examples/event_log.toml")),
    ("ptim", include_str!("../examples/ptim.toml")),
    ("push", include_str!("../examples/push.toml")),
    ("syslog", include_str!("../examples/syslog.toml")),
    ("two-firewalls", include_str!("../examples/two-firewalls.toml")),
];

/// The names of all examples.
pub(super) const NAMES: [&str; EXAMPLES.len()] = {
    let mut names = [""; EXAMPLES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = EXAMPLES[index].0;
        index += 1;
    }
    names
};

/// Reads an example in a folder with the files that it refers to.
pub(super) fn prepared(scratch: &Scratch, name: &str) -> Result<Settings, ConfigErrors> {
    let (_, text) = EXAMPLES.iter().find(|(known, _)| *known == name).unwrap();
    let table = Value::Table(text.parse().unwrap());
    for path in leaves(&table) {
        let text = match path.rsplit('.').next().unwrap() {
            "secret_file" | "secret_credential" => HASH,
            "onboarding_token_file" | "password_file" => "SECRET",
            "certificate" | "key" | "client_ca" | "ca" => "PEM",
            _ => continue,
        };
        scratch.file(at(&table, &path).as_str().unwrap(), text, 0o600);
    }
    scratch.read(text)
}

#[test]
fn every_example_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, EXAMPLES.map(|(name, _)| name.to_owned()).into());
    for (name, _) in EXAMPLES {
        if let Err(problems) = prepared(&Scratch::new(), name) {
            panic!("{name}:\n{problems}");
        }
    }
}

/// The keys that refer to files, credentials and environment variables.
const NEEDS: [&str; 9] = [
    "certificate",
    "key",
    "client_ca",
    "ca",
    "onboarding_token_file",
    "password_file",
    "secret_file",
    "secret_credential",
    "secret_env",
];

#[test]
fn the_header_of_every_example_creates_the_files_that_it_refers_to() {
    for (name, text) in EXAMPLES {
        let heading: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let heading = heading.join("\n");
        assert!(heading.contains(&format!("rollcall --config {name}.toml check")), "{heading}");
        let table = Value::Table(text.parse().unwrap());
        let needed = leaves(&table)
            .into_iter()
            .filter(|path| NEEDS.contains(&path.rsplit('.').next().unwrap()));
        for path in needed {
            let needed = at(&table, &path).as_str().unwrap();
            let made =
                [format!("> {needed}"), format!("out {needed}"), format!("export {needed}=")];
            let copied = format!("cp syslog.crt {needed}");
            let made = made.iter().any(|made| heading.contains(made)) || heading.contains(&copied);
            assert!(made, "{name}: {path} = {needed:?} is not made in\n{heading}");
        }
    }
}

/// The examples and the reference, each with its scratch folder.
fn documents() -> Vec<(Scratch, &'static str, Value)> {
    let scratch = |(name, text): (&'static str, &str)| {
        let scratch = Scratch::new();
        prepared(&scratch, name).unwrap();
        (scratch, name, Value::Table(text.parse().unwrap()))
    };
    let mut documents: Vec<_> = EXAMPLES.into_iter().map(scratch).collect();
    documents.push((Scratch::new(), "reference", Value::Table(REFERENCE.parse().unwrap())));
    documents
}

/// Whether the administrator chooses this key.
fn is_free(path: &str) -> bool {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    parent == "rules.domain_aliases" || parent.ends_with(".values")
}

#[test]
fn every_misspelled_key_is_refused_with_its_path() {
    let mut tried = 0;
    for (scratch, name, whole) in documents() {
        for path in nodes(&whole).into_iter().filter(|path| !is_free(path)) {
            let mut mutated = whole.clone();
            let value = remove(&mut mutated, &path);
            let misspelled = format!("{path}q");
            insert(&mut mutated, &misspelled, value);
            let text = toml::to_string(&mutated).unwrap();
            let problems = scratch.read(&text).expect_err(&misspelled);
            let named =
                problems.iter().any(|p| p.key == misspelled && p.message.starts_with("is not a"));
            assert!(named, "{name}: {misspelled}:\n{problems}");
            tried += 1;
        }
    }
    assert!(tried > 150, "only {tried} keys");
}

#[test]
fn every_value_of_another_type_is_refused_with_its_path() {
    let mut tried = 0;
    for (scratch, name, whole) in documents() {
        let everything = nodes(&whole).into_iter().chain(items(&whole));
        for path in everything {
            let mut mutated = whole.clone();
            let value = at_mut(&mut mutated, &path);
            *value = match value {
                Value::Boolean(_) => Value::String("true".to_owned()),
                _ => Value::Boolean(true),
            };
            let text = toml::to_string(&mutated).unwrap();
            let problems = scratch.read(&text).expect_err(&path);
            assert!(problems.iter().any(|p| p.key == path), "{name}: {path}:\n{problems}");
            tried += 1;
        }
    }
    assert!(tried > 200, "only {tried} values");
}

/// The path of every key whose value is not a table.
pub(super) fn leaves(value: &Value) -> Vec<String> {
    let is_leaf = |path: &String| match at(value, path) {
        Value::Table(_) => false,
        Value::Array(items) => !items.iter().any(Value::is_table),
        _ => true,
    };
    nodes(value).into_iter().filter(is_leaf).collect()
}

/// The path of every key, tables included.
pub(super) fn nodes(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Table(table) => {
                for (key, value) in table {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    found.push(path.clone());
                    walk(value, &path, found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{path}[{index}]"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// The path of every item of every list.
fn items(value: &Value) -> Vec<String> {
    let of = |path: String| {
        let count = at(value, &path).as_array().map_or(0, Vec::len);
        (0..count).map(move |index| format!("{path}[{index}]"))
    };
    nodes(value).into_iter().flat_map(of).collect()
}

/// The steps of a path: `syslog`, `0` and `name` of `syslog[0].name`.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|step| !step.is_empty())
}

fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    steps(path).fold(value, |value, step| match value {
        Value::Array(items) => &items[step.parse::<usize>().unwrap()],
        value => &value[step],
    })
}

fn at_mut<'v>(value: &'v mut Value, path: &str) -> &'v mut Value {
    steps(path).fold(value, |value, step| match value {
        Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
        value => &mut value[step],
    })
}

fn parent<'v, 'p>(value: &'v mut Value, path: &'p str) -> (&'v mut toml::Table, &'p str) {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    (at_mut(value, parent).as_table_mut().unwrap(), key)
}

pub(super) fn remove(value: &mut Value, path: &str) -> Value {
    let (table, key) = parent(value, path);
    table.remove(key).unwrap()
}

fn insert(value: &mut Value, path: &str, new: Value) {
    let (table, key) = parent(value, path);
    table.insert(key.to_owned(), new);
}
