//! The settings that all rules of a template share.

use std::sync::Arc;

use rollcall_identity::{Name, Posture};

use super::template_file::{TemplateErrors, TemplateSection};
use super::values::LookupTables;

/// The settings that all rules of a template share.
#[derive(Debug, Clone, Default)]
pub(super) struct TemplateSettings {
    /// Placeholder values that mean none.
    pub(super) none: Vec<String>,
    /// The separator of groups.
    pub(super) separator: String,
    pub(super) maps: LookupTables,
    pub(super) domain: Option<Name>,
    pub(super) device: Option<Name>,
    pub(super) posture: Option<Posture>,
    pub(super) groups: Option<Arc<[Name]>>,
}

impl TemplateSettings {
    pub(super) fn read(root: &mut TemplateSection, problems: &mut TemplateErrors) -> Self {
        let mut shared = Self {
            none: root.list("none", problems),
            separator: root.take("groups_separator", problems).unwrap_or(",".to_owned()),
            ..Self::default()
        };
        if shared.separator.is_empty() {
            problems.add("groups_separator", "is empty");
        }
        let Some(mut section) = root.section("constant", problems) else { return shared };
        let mut name = |key: &str| {
            let text: String = section.take(key, problems)?;
            problems.note(section.key(key), Name::new(&text))
        };
        (shared.domain, shared.device) = (name("domain"), name("device"));
        if let Some(text) = section.take::<String>("posture", problems) {
            let posture = text.parse().map_err(|_| "is not a posture");
            shared.posture = problems.note("constant.posture", posture);
        }
        let groups = section.list("groups", problems);
        if !groups.is_empty() {
            let groups: Result<Vec<Name>, _> = groups.iter().map(|name| Name::new(name)).collect();
            shared.groups = problems.note("constant.groups", groups).map(Arc::from);
        }
        section.finish(problems);
        shared
    }
}
