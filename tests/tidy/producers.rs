//! A kind of producer has one word, and that word is its file in every tier.

use std::collections::BTreeSet;

use super::{files, none, root};

/// The tiers: a folder and an ending, of which all files are producers.
const TIERS: &[(&str, &str)] = &[("config/producers", "rs"), ("docs/producers", "md")];

/// The places where a producer has its file among others.
const PLACES: &[(&str, &str)] =
    &[("actors/producers", "rs"), ("src/wire", "rs"), ("config/examples", "toml"), ("tests", "rs")];

/// The words of all tiers.
fn words() -> BTreeSet<String> {
    let of_tier = |&(folder, ending): &(&'static str, &'static str)| {
        let direct = move |path: &std::path::PathBuf| path.parent() == Some(&root().join(folder));
        let files = files(folder, &[&format!(".{ending}")]).into_iter().filter(direct);
        files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
    };
    TIERS.iter().flat_map(of_tier).collect()
}

#[test]
fn each_producer_has_its_siblings_in_every_tier() {
    let words = words();
    assert!(words.contains("syslog") && words.contains("ptim"), "{words:?}");
    let mut missing = Vec::new();
    for word in &words {
        for (folder, ending) in TIERS.iter().chain(PLACES) {
            let file = format!("{folder}/{word}.{ending}");
            if !root().join(&file).exists() {
                missing.push(file);
            }
        }
    }
    none("siblings are missing", &missing);
}
