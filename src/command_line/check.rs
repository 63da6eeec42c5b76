//! `rollcall check`: prints the effective configuration, or all errors.

use std::path::Path;

use serde_json::json;

use super::output::{Output, OutputFormat};
use super::{CommandError, settings};

/// Prints the effective configuration as TOML, or fails with all errors.
///
/// The JSON output has both: `problems` is the list of errors, and `resolved` is the effective
/// configuration, or `null` if there are errors.
pub(super) fn check(config: Option<&Path>, output: &mut Output<'_>) -> Result<(), CommandError> {
    let checked = settings(config);
    if output.format() == OutputFormat::Text {
        return output.line(checked?);
    }
    let problems = checked.as_ref().err().into_iter().flatten().map(|problem| {
        json!({
            "file": problem.file.display().to_string(),
            "line": problem.line,
            "key": problem.key,
            "message": problem.message,
        })
    });
    let resolved = checked.as_ref().ok().map(|settings| &settings.effective);
    output.line(json!({"problems": problems.collect::<Vec<_>>(), "resolved": resolved}))?;
    checked.map(drop).map_err(CommandError::from)
}
