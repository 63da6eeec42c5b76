//! A syslog template as a setting: found by its name or its file, read once, and known to be good.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rollcall_identity::Name;
use toml::de::DeTable;

use crate::section::{Section, nearest};
use crate::{Problem, SHIPPED, file};

/// How one kind of line is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name, the `name` in its file.
    pub name: Name,
    /// The file.
    pub text: Arc<str>,
}

impl Template {
    /// Reads a template, or says everything that is wrong with it, its samples included.
    fn read(text: &str) -> Result<Self, Vec<String>> {
        let table = DeTable::parse(text).map_err(|error| vec![error.message().to_owned()])?;
        let name = table.get_ref().get("name").and_then(|value| value.get_ref().as_str());
        let name = name.ok_or_else(|| vec!["has no name".to_owned()])?;
        let name = Name::new(name).map_err(|why| vec![why.to_string()])?;
        Ok(Self { name, text: text.into() })
    }
}

/// The templates that were read so far, by file; `None` for those that are not good.
#[derive(Default)]
pub(crate) struct Templates(RefCell<BTreeMap<PathBuf, Option<Arc<Template>>>>);

impl Templates {
    /// Reads the list `key` of a client: names of shipped templates and paths of others. Without
    /// the list, all shipped ones.
    pub(crate) fn read(&self, section: &Section<'_>, key: &'static str) -> Vec<Arc<Template>> {
        let Some(written) = section.list::<String>(key) else {
            return SHIPPED
                .iter()
                .filter_map(|(name, text)| self.shipped(section, name, text))
                .collect();
        };
        let mut found = Vec::new();
        for (index, text) in written.iter().enumerate() {
            let place = format!("{key}[{index}]");
            if written[..index].contains(text) {
                section.complain(&place, format!("{text:?} is listed twice"));
            } else if text.contains('/') || text.ends_with(".toml") {
                found.extend(self.from_file(section, &place, &section.resolve(text)));
            } else if let Some((name, body)) = SHIPPED.iter().find(|(name, _)| name == text) {
                found.extend(self.shipped(section, name, body));
            } else {
                section.complain(&place, unknown(text));
            }
        }
        found
    }

    fn shipped(&self, section: &Section<'_>, name: &str, text: &str) -> Option<Arc<Template>> {
        self.once(section, Path::new(&format!("(shipped template {name})")), text)
    }

    fn from_file(&self, section: &Section<'_>, place: &str, path: &Path) -> Option<Arc<Template>> {
        if let Some(known) = self.0.borrow().get(path) {
            return known.clone();
        }
        let text = file::text(path).map_err(|why| section.complain(place, why)).ok()?;
        self.once(section, path, &text)
    }

    /// Reads `text`, and complains of it in its own file's name, the first time only.
    fn once(&self, section: &Section<'_>, file: &Path, text: &str) -> Option<Arc<Template>> {
        if let Some(known) = self.0.borrow().get(file) {
            return known.clone();
        }
        let read = Template::read(text).map(Arc::new);
        for message in read.as_ref().err().into_iter().flatten() {
            let (key, message) = (String::new(), message.clone());
            section.reading().complain(Problem { file: file.to_owned(), key, line: None, message });
        }
        let read = read.ok();
        self.0.borrow_mut().insert(file.to_owned(), read.clone());
        read
    }
}

fn unknown(text: &str) -> String {
    match nearest(text, SHIPPED.iter().map(|(name, _)| *name)) {
        Some(meant) => format!("{text:?} is not a shipped template; did you mean \"{meant}\"?"),
        None => format!(
            "{text:?} is not a shipped template; a file is written with its folder or .toml"
        ),
    }
}
