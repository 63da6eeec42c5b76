//! One rule of a template: its conditions, its pattern, and the variables it captures.

use std::borrow::Cow;

use memchr::memmem::Finder;
use rollcall_identity::Kind;

use super::error::SyslogParseError;
use super::message::SyslogMessage;
use super::pattern::{Pattern, Progress};
use super::template_file::{TemplateErrors, TemplateSection};
use super::values::TemplateField;

/// The maximum number of variables of a rule.
const MAX_VARIABLES: usize = 16;

/// The minimum length of a prefilter, in bytes. A shorter one would be found in too many lines.
const SHORTEST_PREFILTER: usize = 4;

/// The captured values by variable number; `None` for a group that did not take part.
pub(super) type CapturedValues<'a> = [Option<Cow<'a, [u8]>>; MAX_VARIABLES];

/// What a matching rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleAction {
    Event(Kind),
    /// Gives no event, and ends the search.
    Drop(SyslogParseError),
}

/// The source of the values.
#[derive(Debug, Clone)]
enum ValueSource {
    /// A pattern over the text, and the variable of each group.
    Text(Box<Pattern>, Vec<(usize, usize)>),
    /// Paths into the JSON object at the end of the text, by variable.
    Json(Vec<Vec<String>>),
    /// Parameter names of the structured data, by variable.
    Structured(Vec<String>),
}

/// Why a rule does not match a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RuleMismatch {
    Prefilter,
    App,
    MsgId,
    Pattern(Progress),
    /// The text has no JSON object.
    NoObject,
    /// The variable without a required value, and its value.
    Required(usize, Option<String>),
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) meaning: RuleAction,
    pub(super) prefilter: String,
    finder: Finder<'static>,
    pub(super) apps: Vec<String>,
    pub(super) msg_ids: Vec<String>,
    place: ValueSource,
    required: Vec<(usize, Vec<String>)>,
    /// The names of the variables.
    pub(super) variables: Vec<String>,
}

impl Rule {
    /// Parses one `[[rule]]`. `is_known` returns whether the template uses a group name.
    pub(super) fn read(
        mut section: TemplateSection,
        is_known: &dyn Fn(&str) -> bool,
        problems: &mut TemplateErrors,
    ) -> Option<Self> {
        let before = problems.0.len();
        let meaning = read_meaning(&mut section, problems);
        let prefilter = section.text("prefilter", problems);
        if !prefilter.is_empty() && prefilter.len() < SHORTEST_PREFILTER {
            let what = format!("is shorter than {SHORTEST_PREFILTER} bytes");
            problems.add(section.key("prefilter"), what);
        }
        let apps = section.list("app", problems);
        let msg_ids = section.list("msg_id", problems);
        let required_key = section.key("require");
        let required = section.section("require", problems);
        let required = required.map(|s| s.entries(problems)).unwrap_or_default();
        let is_required = |name: &str| required.iter().any(|(key, _)| key == name);
        let mut variables = Vec::new();
        let place_key = section.key("regex");
        let place = read_place(&mut section, &mut variables, &required, problems);
        section.finish(problems);
        let unknown: Vec<&String> =
            variables.iter().filter(|name| !is_known(name) && !is_required(name)).collect();
        for name in unknown {
            problems
                .add(&place_key, format!("group `{name}` is neither a field nor the key of a map"));
        }
        if variables.len() > MAX_VARIABLES {
            problems.add(&place_key, format!("has more than {MAX_VARIABLES} named values"));
        }
        let mut requirements = Vec::new();
        for (name, values) in required {
            match variables.iter().position(|known| *known == name) {
                Some(variable) => requirements.push((variable, values)),
                None => problems.add(format!("{required_key}.{name}"), "is not a named group"),
            }
        }
        if problems.0.len() > before {
            return None;
        }
        let finder = Finder::new(&prefilter).into_owned();
        let required = requirements;
        let (meaning, place) = (meaning?, place?);
        Some(Self { meaning, prefilter, finder, apps, msg_ids, place, required, variables })
    }

    /// The number of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|known| known == name)
    }

    /// The numbers and fields of the variables that have addresses.
    pub(super) fn addresses(&self) -> Vec<(TemplateField, usize)> {
        let field =
            |name: &String| name.parse::<TemplateField>().ok().filter(|field| field.is_address());
        let numbered = self.variables.iter().enumerate();
        numbered.filter_map(|(at, name)| field(name).map(|field| (field, at))).collect()
    }

    /// Whether the rule uses the literal matcher; rules for JSON or structured data do not.
    pub(super) fn is_literal(&self) -> bool {
        matches!(&self.place, ValueSource::Text(pattern, _) if pattern.is_literal())
    }

    /// The captured values, or why the rule does not match. The reasons are cheap except
    /// [`RuleMismatch::Pattern`], which [`Rule::progress`] completes.
    pub(super) fn find<'a>(
        &self,
        message: &SyslogMessage<'a>,
    ) -> Result<Result<CapturedValues<'a>, SyslogParseError>, RuleMismatch> {
        if self.finder.find(message.content).is_none() {
            return Err(RuleMismatch::Prefilter);
        }
        if !is_one_of(&self.apps, message.app) {
            return Err(RuleMismatch::App);
        }
        if !is_one_of(&self.msg_ids, message.msg_id) {
            return Err(RuleMismatch::MsgId);
        }
        let found = match &self.place {
            ValueSource::Text(pattern, groups) => {
                let no_progress = Progress { parts: (0, 0), end: 0, wanted: String::new() };
                let spans = pattern.find(message.text).ok_or(RuleMismatch::Pattern(no_progress))?;
                let mut found = CapturedValues::default();
                for (group, variable) in groups {
                    let text = spans[*group].map(|(start, end)| &message.text[start..end]);
                    found[*variable] = text.map(Cow::Borrowed);
                }
                found
            }
            ValueSource::Json(paths) => {
                let start = memchr::memchr(b'{', message.text).ok_or(RuleMismatch::NoObject)?;
                match serde_json::from_slice(&message.text[start..]) {
                    Ok(object) => at_paths(&object, paths),
                    Err(_) => return Ok(Err(SyslogParseError::BadJson)),
                }
            }
            ValueSource::Structured(names) => {
                let mut found = CapturedValues::default();
                for param in message.data.params() {
                    let at = names.iter().position(|name| name.as_bytes() == param.name);
                    if let Some(at) = at {
                        found[at].get_or_insert_with(|| param.value());
                    }
                }
                found
            }
        };
        for (variable, values) in &self.required {
            let value = found[*variable].as_deref();
            if !value.is_some_and(|value| is_one_of(values, Some(value))) {
                let value = value.map(|value| String::from_utf8_lossy(value).into_owned());
                return Err(RuleMismatch::Required(*variable, value));
            }
        }
        Ok(Ok(found))
    }

    /// The pattern, if the rule has one.
    #[cfg(test)]
    pub(super) fn pattern(&self) -> Option<&Pattern> {
        match &self.place {
            ValueSource::Text(pattern, _) => Some(pattern),
            ValueSource::Json(_) | ValueSource::Structured(_) => None,
        }
    }

    /// The progress of the pattern in `text`; `None` for a rule without one.
    pub(super) fn progress(&self, text: &[u8]) -> Option<Progress> {
        match &self.place {
            ValueSource::Text(pattern, _) => Some(pattern.progress(text)),
            ValueSource::Json(_) | ValueSource::Structured(_) => None,
        }
    }
}

fn read_meaning(
    section: &mut TemplateSection,
    problems: &mut TemplateErrors,
) -> Option<RuleAction> {
    let kind: Option<String> = section.take("kind", problems);
    let drop: Option<String> = section.take("drop", problems);
    match (kind, drop) {
        (Some(kind), None) => match kind.parse() {
            Ok(kind) if Kind::is_sent(kind) => Some(RuleAction::Event(kind)),
            Ok(kind) => {
                let what = format!("`{}` cannot be produced by a template", kind.as_str());
                problems.add(section.key("kind"), what);
                None
            }
            Err(_) => {
                problems.add(section.key("kind"), format!("`{kind}` is not a kind of event"));
                None
            }
        },
        (None, Some(reason)) => {
            let what = format!("`{reason}` is not a known reason");
            let reason = reason.parse().map_err(|_| what);
            problems.note(section.key("drop"), reason).map(RuleAction::Drop)
        }
        _ => {
            problems.add(section.key("kind"), "requires either `kind` or `drop`");
            None
        }
    }
}

/// Parses `regex`, `json` or `structured` and appends the variables, including those used only by
/// `require`.
fn read_place(
    section: &mut TemplateSection,
    variables: &mut Vec<String>,
    required: &[(String, Vec<String>)],
    problems: &mut TemplateErrors,
) -> Option<ValueSource> {
    let regex: Option<String> = section.take("regex", problems);
    let json = section.section("json", problems);
    let structured = section.section("structured", problems);
    let key = section.key("regex");
    match (regex, json, structured) {
        (Some(regex), None, None) => {
            let pattern = problems.note(key, Pattern::new(&regex))?;
            let mut groups = Vec::new();
            for (group, name) in pattern.names() {
                groups.push((group, variables.len()));
                variables.push(name.to_owned());
            }
            Some(ValueSource::Text(Box::new(pattern), groups))
        }
        (None, Some(json), None) => {
            let paths = named_places(json, variables, required, problems);
            let steps = |path: String| path.split('.').map(str::to_owned).collect();
            Some(ValueSource::Json(paths.into_iter().map(steps).collect()))
        }
        (None, None, Some(structured)) => {
            Some(ValueSource::Structured(named_places(structured, variables, required, problems)))
        }
        _ => {
            problems.add(key, "requires exactly one of `regex`, `json` and `structured`");
            None
        }
    }
}

fn named_places(
    section: TemplateSection,
    variables: &mut Vec<String>,
    required: &[(String, Vec<String>)],
    problems: &mut TemplateErrors,
) -> Vec<String> {
    let mut places = Vec::new();
    for (name, mut place) in section.entries(problems) {
        variables.push(name);
        places.push(place.pop().unwrap_or_default());
    }
    for (place, _) in required {
        variables.push(place.clone());
        places.push(place.clone());
    }
    places
}

/// The strings and numbers at `paths`; null and missing values give `None`.
fn at_paths<'a>(object: &serde_json::Value, paths: &[Vec<String>]) -> CapturedValues<'a> {
    let mut found = CapturedValues::default();
    for (value, path) in found.iter_mut().zip(paths) {
        let at = path.iter().try_fold(object, |object, step| object.get(step));
        *value = match at {
            Some(serde_json::Value::String(text)) => Some(Cow::Owned(text.clone().into_bytes())),
            Some(serde_json::Value::Number(number)) => {
                Some(Cow::Owned(number.to_string().into_bytes()))
            }
            _ => None,
        };
    }
    found
}

/// Whether `value` is one of `allowed`, ignoring case. An empty list allows any value.
fn is_one_of(allowed: &[String], value: Option<&[u8]>) -> bool {
    allowed.is_empty()
        || value.is_some_and(|v| allowed.iter().any(|a| a.as_bytes().eq_ignore_ascii_case(v)))
}
