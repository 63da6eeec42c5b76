//! `check`: what the configuration means, or everything that is wrong with it.

use std::path::Path;

use serde_json::json;

use super::output::{Form, Output};
use super::{Failed, settings};

/// Prints the settings; all problems at once when there are any. As JSON both: `resolved` are the
/// lines of the plain form, `null` when there are problems.
pub(super) fn check(config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failed> {
    let checked = settings(config);
    if output.form() == Form::Plain {
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
    let resolved = checked
        .as_ref()
        .ok()
        .map(|settings| settings.to_string().lines().map(str::to_owned).collect::<Vec<String>>());
    output.line(json!({"problems": problems.collect::<Vec<_>>(), "resolved": resolved}))?;
    checked.map(drop).map_err(Failed::from)
}
