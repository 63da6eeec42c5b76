//! `rollcall check`: prints the effective configuration, or all errors.

use std::path::Path;

use rollcall_config::Settings;
use rollcall_server::{BindError, check_data_folder};
use serde_json::json;

use super::output::{Output, OutputFormat};
use super::{CommandError, settings};

/// Prints the effective configuration as TOML, or fails with all errors.
///
/// The JSON output has both: `problems` is the list of errors, and `resolved` is the effective
/// configuration, or `null` if there are errors.
pub(super) fn check(config: Option<&Path>, output: &mut Output<'_>) -> Result<(), CommandError> {
    let checked = settings(config);
    let folder = checked.as_ref().map_or(Ok(()), check_data);
    if output.format() == OutputFormat::Text {
        output.line(checked?)?;
        return folder.map_err(|error| CommandError::Usage(error.to_string()));
    }
    let problems = checked.as_ref().err().into_iter().flatten().map(|problem| {
        json!({
            "file": problem.file.display().to_string(),
            "line": problem.line,
            "key": problem.key,
            "message": problem.message,
        })
    });
    let data = checked.as_ref().map(|settings| settings.data.display().to_string());
    let folder_problem = folder.as_ref().err().map(|error| {
        json!({"file": data.as_ref().ok(), "line": null, "key": "data", "message": error.to_string()})
    });
    let problems = problems.chain(folder_problem);
    let resolved = checked.as_ref().ok().map(|settings| &settings.effective);
    output.line(json!({"problems": problems.collect::<Vec<_>>(), "resolved": resolved}))?;
    checked.map(drop).map_err(CommandError::from)?;
    folder.map_err(|error| CommandError::Usage(error.to_string()))
}

/// Checks the data folder, if it exists, as the server does at its start as the owner of the folder.
fn check_data(settings: &Settings) -> Result<(), BindError> {
    match settings.data.exists() {
        true => check_data_folder(&settings.data, settings.is_evaluation),
        false => Ok(()),
    }
}
