//! `rollcall test directory`: tests the connection to each configured directory.

use std::path::Path;

use rollcall_config::ActiveDirectory;
use rollcall_producers::active_directory::{DirectoryTestReport, test};
use rollcall_runtime::clock::Clock;
use serde_json::json;

use crate::command_line::output::{Output, OutputFormat};
use crate::command_line::{CommandError, settings};

/// Tests the directory `name`, or all directories.
pub(super) fn test_all(
    name: Option<&str>,
    config: Option<&Path>,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let settings = settings(config)?;
    let selected =
        |directory: &&ActiveDirectory| name.is_none_or(|name| directory.name.as_str() == name);
    let selected: Vec<_> = settings.active_directory.iter().filter(selected).collect();
    if selected.is_empty() {
        let named = name.map(|name| format!(" with the name {name:?}")).unwrap_or_default();
        return Err(CommandError::Usage(format!(
            "the configuration has no [[active_directory]] table{named}"
        )));
    }
    let mut succeeded = true;
    for directory in selected {
        let report = test_one(directory)?;
        succeeded &= report.failure.is_none();
        print(directory, &report, output)?;
        output.flush()?;
    }
    if succeeded { Ok(()) } else { Err(CommandError::NotFound) }
}

fn test_one(directory: &ActiveDirectory) -> Result<DirectoryTestReport, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| CommandError::Request(why.to_string()))?;
    let report = runtime.block_on(test(directory, &Clock::system()));
    report.map_err(|why| CommandError::Usage(why.to_string()))
}

fn print(
    directory: &ActiveDirectory,
    report: &DirectoryTestReport,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let name = directory.name.as_str();
    let failure = report.failure.as_ref();
    if output.format() == OutputFormat::Json {
        let stage: Option<&'static str> = failure.map(|failure| failure.stage().into());
        let failure = failure.map(ToString::to_string);
        let lines = &report.lines;
        return output.line(json!({
            "name": name, "lines": lines, "stage": stage, "failure": failure,
        }));
    }
    output.line(format!("{name}:"))?;
    for line in &report.lines {
        output.line(format!("  {line}"))?;
    }
    match failure {
        Some(failure) => output.line(format!("  failed: {failure}")),
        None => output.line("  ok"),
    }
}
