//! `rollcall test event-log`: tests the connection to each configured Windows event log.

use std::path::Path;

use rollcall_producers::event_log::{EventLogTestReport, Source, test};
use serde_json::json;

use crate::command_line::output::{Output, OutputFormat};
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
    let mut succeeded = true;
    for source in &selected {
        let report = runtime.block_on(test(source));
        succeeded &= report.failure.is_none();
        print(source, &report, output)?;
        output.flush()?;
    }
    if succeeded { Ok(()) } else { Err(CommandError::NotFound) }
}

fn print(
    source: &Source,
    report: &EventLogTestReport,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let name = source.name().as_str();
    let failure = report.failure.as_ref();
    let remedy = failure.and_then(|failure| failure.remedy());
    if output.format() == OutputFormat::Json {
        let stage: Option<&'static str> = failure.map(|failure| failure.stage().into());
        let failure = failure.map(ToString::to_string);
        return output.line(json!({
            "name": name, "lines": report.lines, "stage": stage, "failure": failure,
            "remedy": remedy,
        }));
    }
    output.line(format!("{name}:"))?;
    for line in &report.lines {
        output.line(format!("  {line}"))?;
    }
    match failure {
        Some(failure) => output.line(format!("  failed: {failure}"))?,
        None => output.line("  ok")?,
    }
    match remedy {
        Some(remedy) => output.line(format!("  remedy: {remedy}")),
        None => Ok(()),
    }
}
