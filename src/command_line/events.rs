//! `events`: whether event logs of Windows can be read, and what Rollcall makes of recorded ones.

mod replay;

use std::path::Path;

use clap::Subcommand;
use rollcall_producers::event_log::{Report, Source, test};
use serde_json::json;

use super::output::{Form, Output};
use super::{Failed, settings};

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// Connect to each server, prove the account, subscribe, and say what is wrong.
    Test {
        /// Only the source of this name [default: all of the configuration].
        name: Option<String>,
    },
    /// Read a recorded log as a server's would be read, and print its events and decisions.
    Replay(replay::Replay),
}

impl Events {
    pub(super) fn run(&self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failed> {
        match self {
            Self::Test { name } => look_at(name.as_deref(), config, output),
            Self::Replay(replay) => replay.run(config, output),
        }
    }
}

/// Looks at each source in turn.
fn look_at(
    name: Option<&str>,
    config: Option<&Path>,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let settings = settings(config)?;
    let sources = settings.event_log.iter().flat_map(Source::all);
    let wanted = |source: &Source| name.is_none_or(|name| source.name().as_str() == name);
    let wanted: Vec<Source> = sources.filter(wanted).collect();
    if wanted.is_empty() {
        let named = name.map(|name| format!(" of the name {name:?}")).unwrap_or_default();
        return Err(Failed::Usage(format!("the configuration has no event log{named}")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failed::Request(why.to_string()))?;
    let mut worked = true;
    for source in &wanted {
        let report = runtime.block_on(test(source));
        worked &= report.failure.is_none();
        print(source, &report, output)?;
        output.flush()?;
    }
    if worked { Ok(()) } else { Err(Failed::Nothing) }
}

fn print(source: &Source, report: &Report, output: &mut Output<'_>) -> Result<(), Failed> {
    let name = source.name().as_str();
    let failure = report.failure.as_ref();
    let remedy = failure.and_then(|failure| failure.remedy());
    if output.form() == Form::Json {
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
        None => output.line("  it can be read")?,
    }
    match remedy {
        Some(remedy) => output.line(format!("  what helps: {remedy}")),
        None => Ok(()),
    }
}
