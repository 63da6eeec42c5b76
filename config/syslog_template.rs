//! Syslog templates as settings: found by name or path, parsed once, and verified with their samples.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rollcall_identity::Name;
use rollcall_wire::syslog;
use toml::Value;

use crate::did_you_mean::did_you_mean;
use crate::scalar::FromToml;
use crate::table_reader::TableReader;
use crate::{ConfigError, SHIPPED_TEMPLATES, file};

/// A syslog template and its text. Templates are equal if their texts are.
#[derive(Debug, Clone)]
pub struct SyslogTemplate {
    text: Box<str>,
    /// The compiled template. Its samples were verified.
    pub template: Arc<syslog::Template>,
}

impl PartialEq for SyslogTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SyslogTemplate {}

impl SyslogTemplate {
    /// The `name` in the template file.
    pub fn name(&self) -> &Name {
        self.template.name()
    }

    /// Compiles a template and verifies its samples. Returns all errors.
    fn compile(text: &str) -> Result<Self, Vec<String>> {
        let message = |problem: &syslog::TemplateFileError| problem.to_string();
        let template = syslog::Template::from_toml(text)
            .map_err(|problems| problems.iter().map(message).collect::<Vec<_>>())?;
        let failures: Vec<_> = template.verify().iter().map(ToString::to_string).collect();
        match failures.is_empty() {
            true => Ok(Self { text: text.into(), template: Arc::new(template) }),
            false => Err(failures),
        }
    }
}

/// The templates of one load, by file; `None` for invalid ones.
#[derive(Default)]
pub(crate) struct TemplateCache(RefCell<BTreeMap<PathBuf, Option<Arc<SyslogTemplate>>>>);

impl TemplateCache {
    /// Reads the list `templates` of a client: names of shipped templates and paths of other ones.
    /// Without the list, all shipped templates are used.
    pub(crate) fn listed_templates(&self, table: &TableReader<'_>) -> Vec<Arc<SyslogTemplate>> {
        let Some(listed) = table.list::<String>("templates") else {
            let shipped = SHIPPED_TEMPLATES.iter();
            return shipped.filter_map(|(name, text)| self.shipped(table, name, text)).collect();
        };
        let is_path = |text: &str| text.contains('/') || text.ends_with(".toml");
        let effective = |text: &String| match is_path(text) {
            true => table.resolve(text).to_toml(),
            false => text.to_toml(),
        };
        table.set_effective("templates", Value::Array(listed.iter().map(effective).collect()));
        let mut found = Vec::new();
        for (index, text) in listed.iter().enumerate() {
            let key = format!("templates[{index}]");
            if listed[..index].contains(text) {
                table.error_at(&key, format!("{text:?} is listed twice"));
            } else if is_path(text) {
                found.extend(self.in_file(table, &key, &table.resolve(text)));
            } else if let Some((name, body)) =
                SHIPPED_TEMPLATES.iter().find(|(name, _)| name == text)
            {
                found.extend(self.shipped(table, name, body));
            } else {
                table.error_at(&key, unknown(text));
            }
        }
        found
    }

    fn shipped(
        &self,
        table: &TableReader<'_>,
        name: &str,
        text: &str,
    ) -> Option<Arc<SyslogTemplate>> {
        self.compile_once(table, Path::new(&format!("(shipped template {name})")), text)
    }

    fn in_file(
        &self,
        table: &TableReader<'_>,
        key: &str,
        path: &Path,
    ) -> Option<Arc<SyslogTemplate>> {
        if let Some(known) = self.0.borrow().get(path) {
            return known.clone();
        }
        let text = file::text(path).map_err(|error| table.error_at(key, error)).ok()?;
        self.compile_once(table, path, &text)
    }

    /// Compiles `text`. Its errors are recorded for `file`, and only the first time.
    fn compile_once(
        &self,
        table: &TableReader<'_>,
        file: &Path,
        text: &str,
    ) -> Option<Arc<SyslogTemplate>> {
        if let Some(known) = self.0.borrow().get(file) {
            return known.clone();
        }
        let compiled = SyslogTemplate::compile(text).map(Arc::new);
        for message in compiled.as_ref().err().into_iter().flatten() {
            let (file, key, message) = (file.to_owned(), String::new(), message.clone());
            table.context().add_error(ConfigError { file, key, line: None, message });
        }
        let template = compiled.ok();
        self.0.borrow_mut().insert(file.to_owned(), template.clone());
        template
    }
}

fn unknown(text: &str) -> String {
    match did_you_mean(text, SHIPPED_TEMPLATES.iter().map(|(name, _)| *name)) {
        Some(meant) => format!("{text:?} is not a shipped template; did you mean \"{meant}\"?"),
        None => format!(
            "{text:?} is not a shipped template; for a file, write a path with / or .toml, such \
             as \"./{text}.toml\""
        ),
    }
}
