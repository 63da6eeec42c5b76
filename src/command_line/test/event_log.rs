//! `rollcall test event-log`: tests the connection to each configured Windows event log.

use std::path::Path;

use rollcall_producers::event_log::{Source, test};
use rollcall_producers::remote::AccountGuard;

use super::print_report;
use crate::command_line::output::Output;
use crate::command_line::{CommandError, settings};

/// Tests the event log `name`, or all event logs.
pub(super) fn test_all(
    name: Option<&str>,
    config: Option<&Path>,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let settings = settings(config)?;
    let sources = settings.event_log.iter().flat_map(Source::all);
    let selected = |source: &Source| name.is_none_or(|name| source.name().as_str() == name);
    let selected: Vec<Source> = sources.filter(selected).collect();
    if selected.is_empty() {
        let named = name.map(|name| format!(" with the name {name:?}")).unwrap_or_default();
        return Err(CommandError::Usage(format!(
            "the configuration has no [[event_log.sources]] table{named}"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| CommandError::Request(why.to_string()))?;
    // An account that is refused once is not tried at the other servers.
    let accounts = AccountGuard::default();
    let mut succeeded = true;
    for source in &selected {
        let report = runtime.block_on(test(source, &accounts));
        succeeded &= report.failure.is_none();
        print_report(source.name().as_str(), &report, output)?;
        output.flush()?;
    }
    if succeeded { Ok(()) } else { Err(CommandError::NotFound) }
}
