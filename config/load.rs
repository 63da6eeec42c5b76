//! Loads the configuration: the file, the clients file in its data folder, and all referenced files.

use std::path::Path;

use crate::environment::Environment;
use crate::load_context::LoadContext;
use crate::source_file::SourceFile;
use crate::table_reader::read_file;
use crate::{ConfigError, ConfigErrors, REFERENCE, Settings, clients_file, file};

/// The file name of the embedded default in errors.
const EMBEDDED: &str = "(embedded default)";

/// Loads and validates the configuration at `path`, and the clients file in its data folder.
/// Without a path, loads [`REFERENCE`].
///
/// Relative paths are relative to the folder of the configuration; those of the embedded default
/// are relative to the working directory.
///
/// # Errors
/// All errors of the configuration, not only the first.
pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Settings, ConfigErrors> {
    match path {
        None => read(Path::new(EMBEDDED), REFERENCE, Path::new(""), environment)
            .map(|settings| Settings { is_evaluation: true, ..settings }),
        Some(path) => match file::text(path) {
            Ok(text) => read(path, &text, path.parent().unwrap_or(Path::new("")), environment),
            Err(message) => Err(unreadable(path, message)),
        },
    }
}

fn unreadable(path: &Path, message: String) -> ConfigErrors {
    let problem = ConfigError { file: path.to_owned(), key: String::new(), line: None, message };
    ConfigErrors::from_found(vec![problem]).expect("the list is not empty")
}

/// Parses the configuration `text`.
pub(crate) fn read(
    path: &Path,
    text: &str,
    base: &Path,
    environment: &Environment,
) -> Result<Settings, ConfigErrors> {
    let context = LoadContext::new(environment);
    let file = SourceFile { context: &context, path, text, base };
    let settings = read_file(&file, Settings::from_table).map(|(mut settings, effective)| {
        settings.effective = effective;
        let added = clients_file::read(&context, &settings.data);
        settings.enforcement.points.extend(added);
        settings.add_authorities();
        settings.resolve_domain_aliases();
        settings
    });
    match ConfigErrors::from_found(context.into_errors()) {
        Some(problems) => Err(problems),
        None => Ok(settings.expect("a file with a syntax error has an error")),
    }
}
