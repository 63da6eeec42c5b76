//! Every input of the fuzz corpora is run through its target again: what a fuzzer once found worth
//! keeping, and what once broke a reader. `fuzz/run` looks for new inputs.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

#[allow(unreachable_pub, reason = "the same file is a crate of its own for the fuzzer")]
#[path = "../fuzz/lib.rs"]
mod fuzz;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

#[test]
fn no_input_of_the_fuzz_corpora_breaks_its_reader() {
    for (name, target) in fuzz::targets::ALL {
        let mut inputs = files(&format!("fuzz/corpus/{name}"));
        if name == "template" {
            inputs.extend(files("config/syslog"));
        }
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            let data = fs::read(&input).unwrap();
            let run = panic::catch_unwind(AssertUnwindSafe(|| target(&data)));
            assert!(run.is_ok(), "{name} breaks on {}", input.display());
        }
    }
}

#[test]
fn every_fuzz_target_is_run_and_replayed() {
    let mut sources = files("fuzz/targets");
    sources.sort();
    let names = sources.iter().map(|path| path.file_stem().unwrap().to_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), fuzz::targets::ALL.map(|(name, _)| name));
    let script =
        fs::read_to_string(files("fuzz").into_iter().find(|it| it.ends_with("run")).unwrap());
    let listed = script.unwrap();
    for (name, _) in fuzz::targets::ALL {
        assert!(listed.contains(name), "fuzz/run does not run {name}");
    }
}
