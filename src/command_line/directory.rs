//! `directory test`: whether the configured directories can be read, and in plain words why not.

use std::path::Path;

use clap::Subcommand;
use rollcall_config::ActiveDirectory;
use rollcall_producers::active_directory::{Report, test};
use rollcall_runtime::clock::Clock;
use serde_json::json;

use super::output::{Form, Output};
use super::{Failed, settings};

#[derive(Debug, Subcommand)]
pub(super) enum Directory {
    /// Connect, prove the account, read one page, and say what is wrong.
    Test {
        /// Only the directory of this name [default: all of the configuration].
        name: Option<String>,
    },
}

impl Directory {
    /// Looks at each directory in turn.
    pub(super) fn run(&self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failed> {
        let Self::Test { name } = self;
        let settings = settings(config)?;
        let wanted = |directory: &&ActiveDirectory| {
            name.as_ref().is_none_or(|name| directory.name.as_str() == name)
        };
        let wanted: Vec<_> = settings.active_directory.iter().filter(wanted).collect();
        if wanted.is_empty() {
            let named = name.as_ref().map(|name| format!(" of the name {name:?}"));
            let named = named.unwrap_or_default();
            return Err(Failed::Usage(format!("the configuration has no directory{named}")));
        }
        let mut worked = true;
        for directory in wanted {
            let report = look(directory)?;
            worked &= report.failure.is_none();
            print(directory, &report, output)?;
            output.flush()?;
        }
        if worked { Ok(()) } else { Err(Failed::Nothing) }
    }
}

fn look(directory: &ActiveDirectory) -> Result<Report, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| Failed::Request(why.to_string()))?;
    let report = runtime.block_on(test(directory, &Clock::system()));
    report.map_err(|why| Failed::Usage(why.to_string()))
}

fn print(
    directory: &ActiveDirectory,
    report: &Report,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let name = directory.name.as_str();
    let failure = report.failure.as_ref();
    if output.form() == Form::Json {
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
        None => output.line("  it can be read"),
    }
}
