//! `rollcall test directory`: tests the connection to each configured directory.

use std::path::Path;

use rollcall_config::ActiveDirectory;
use rollcall_producers::active_directory::{DirectoryError, test};
use rollcall_producers::remote::{AccountGuard, TestReport};
use rollcall_runtime::clock::Clock;

use super::print_report;
use crate::command_line::output::Output;
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
    // An account that is refused once is not tried for the other domains.
    let accounts = AccountGuard::default();
    let mut succeeded = true;
    for directory in selected {
        let report = test_one(directory, &accounts)?;
        succeeded &= report.failure.is_none();
        print_report(directory.name.as_str(), &report, output)?;
        output.flush()?;
    }
    if succeeded { Ok(()) } else { Err(CommandError::NotFound) }
}

fn test_one(
    directory: &ActiveDirectory,
    accounts: &AccountGuard,
) -> Result<TestReport<DirectoryError>, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| CommandError::Request(why.to_string()))?;
    let report = runtime.block_on(test(directory, accounts, &Clock::system()));
    report.map_err(|why| CommandError::Usage(why.to_string()))
}
