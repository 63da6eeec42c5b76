//! A syslog template as a setting: found by its name or its file, read once, and known to be good.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rollcall_identity::Name;
use rollcall_wire::syslog;

use crate::nearest::nearest;
use crate::section::Section;
use crate::{Problem, SHIPPED, file};

/// How one kind of line is read, and the text that says so: by it two settings are compared.
#[derive(Debug, Clone)]
pub struct Template {
    text: Box<str>,
    /// The template, whose samples came out as it says.
    pub template: Arc<syslog::Template>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Template {}

impl Template {
    /// Its name, the `name` in its file.
    pub fn name(&self) -> &Name {
        self.template.name()
    }

    /// Reads a template, or says everything that is wrong with it, its samples included.
    fn read(text: &str) -> Result<Self, Vec<String>> {
        let told = |problem: &syslog::TemplateFileError| problem.to_string();
        let template = syslog::Template::from_toml(text)
            .map_err(|problems| problems.iter().map(told).collect::<Vec<_>>())?;
        let failures: Vec<_> = template.verify().iter().map(ToString::to_string).collect();
        match failures.is_empty() {
            true => Ok(Self { text: text.into(), template: Arc::new(template) }),
            false => Err(failures),
        }
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
                found.extend(self.in_file(section, &place, &section.resolve(text)));
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

    fn in_file(&self, section: &Section<'_>, place: &str, path: &Path) -> Option<Arc<Template>> {
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
