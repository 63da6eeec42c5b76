//! A template: a TOML file that describes how to parse the lines of one kind of sender, with sample
//! lines that verify it.
//!
//! ```toml
//! name = "example"
//! description = "What sends these lines"
//! source = "Where the sample lines are from"
//! none = ["N/A"]                  # placeholder values that mean none, ignoring case
//! user_from = ["user", "ike_id"]  # the first of these groups with a value is the user
//!
//! [map.domain]                    # a field looked up in a table by another group
//! from = "vpn"
//! values = { corp-vpn = "corp.example.com" }
//!
//! [[rule]]                        # the first matching rule is used
//! kind = "vpn_up"                 # or: drop = "not_success"
//! prefilter = " is up. "          # the rule is tried only if the line has this literal
//! regex = 'VPN (?<vpn>[^ ]+) is up\. User (?<user>[^ ]+) has (?<ip>[^ ]+)'
//!
//! [[sample]]
//! line = '<30>Nov 21 19:49:37 fw1 vpnd[7]: VPN corp-vpn is up. User alice has 192.0.2.7'
//! event = { kind = "vpn_up", address = "192.0.2.7", user = "alice", domain = "corp.example.com" }
//! ```

use std::str::FromStr;

use rollcall_identity::{Kind, Name};

use super::client_defaults::LineContext;
use super::error::SyslogParseError;
use super::field_mapping::FieldMapping;
use super::message::SyslogMessage;
use super::rule::{Rule, RuleAction, RuleMismatch};
use super::sample::Sample;
use super::template_file::{TemplateErrors, TemplateFileError, TemplateSection};
use super::template_settings::TemplateSettings;
use super::values::{LookupTables, TemplateField};

/// The maximum number of rules of a template.
const MAX_RULES: usize = 32;

/// A compiled template.
#[derive(Debug, Clone)]
pub struct Template {
    name: Name,
    description: String,
    source: String,
    shared: TemplateSettings,
    rules: Vec<(Rule, FieldMapping)>,
    samples: Vec<Sample>,
}

/// The result of a template for a matching line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TemplateOutcome {
    /// The number of appended events.
    Events(usize),
    /// No event; another template may match.
    Problem(SyslogParseError),
    /// A rule with `drop` matched.
    Dropped(SyslogParseError),
}

impl Template {
    /// Parses and compiles a template file.
    ///
    /// # Errors
    /// All errors in the file. The samples are not run: see [`Template::verify`].
    pub fn from_toml(text: &str) -> Result<Self, Vec<TemplateFileError>> {
        let mut problems = TemplateErrors::default();
        let template = TemplateSection::root(text, &mut problems)
            .and_then(|root| Self::read_sections(root, &mut problems));
        match template {
            Some(template) if problems.0.is_empty() => Ok(template),
            _ => Err(problems.0),
        }
    }

    fn read_sections(mut root: TemplateSection, problems: &mut TemplateErrors) -> Option<Self> {
        let name = root.text("name", problems);
        let name = problems.note("name", Name::new(&name));
        let description = root.text("description", problems);
        let source = root.text("source", problems);
        let user_from = match root.list("user_from", problems) {
            list if list.is_empty() => vec![TemplateField::User.as_str().to_owned()],
            list => list,
        };
        let mut shared = TemplateSettings::read(&mut root, problems);
        let map_keys = read_maps(&mut root, &mut shared.maps, problems);
        let is_known = |name: &str| {
            TemplateField::from_str(name).is_ok()
                || user_from.iter().any(|group| group == name)
                || map_keys.iter().any(|(_, group)| group == name)
        };
        let sections = root.sections("rule", problems);
        if sections.is_empty() || sections.len() > MAX_RULES {
            problems.add("rule", format!("requires 1 to {MAX_RULES} rules"));
        }
        let mut rules = Vec::new();
        for section in sections {
            let key = section.key("regex");
            let Some(rule) = Rule::read(section, &is_known, problems) else { continue };
            let reading = FieldMapping::new(&rule, &user_from, &map_keys);
            check_fields(&rule, &reading, &key, problems);
            rules.push((rule, reading));
        }
        let samples = root.sections("sample", problems);
        let samples: Vec<Sample> =
            samples.into_iter().filter_map(|sample| Sample::read(sample, problems)).collect();
        let gives = |sample: &Sample| sample.gives_events();
        if !samples.iter().any(gives) || samples.iter().all(gives) {
            problems.add("sample", "requires a sample with an event and a sample without");
        }
        root.finish(problems);
        Some(Self { name: name?, description, source, shared, rules, samples })
    }

    /// The name, for instance `junos-vpn`.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What sends these lines.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Where the sample lines are from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether every rule uses the literal matcher.
    pub fn is_literal(&self) -> bool {
        self.rules.iter().all(|(rule, _)| rule.is_literal())
    }

    /// The sample lines with their expected results.
    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The sample lines.
    pub fn sample_lines(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(Sample::line)
    }

    /// The patterns of the rules that have one.
    #[cfg(test)]
    pub(super) fn patterns(&self) -> impl Iterator<Item = &super::pattern::Pattern> {
        self.rules.iter().filter_map(|(rule, _)| rule.pattern())
    }

    /// One literal per rule: a line without any of them does not match this template.
    pub(super) fn prefilters(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|(rule, _)| &*rule.prefilter)
    }

    /// Appends the events of the line. `None` when no rule matches.
    pub(super) fn read(
        &self,
        message: &SyslogMessage<'_>,
        context: &LineContext<'_>,
        out: &mut Vec<rollcall_identity::Event>,
    ) -> Option<TemplateOutcome> {
        self.rules.iter().find_map(|(rule, reading)| {
            Some(match (rule.find(message).ok()?, rule.meaning) {
                (Err(problem), _) => TemplateOutcome::Problem(problem),
                (Ok(_), RuleAction::Drop(problem)) => TemplateOutcome::Dropped(problem),
                (Ok(found), RuleAction::Event(kind)) => reading
                    .events(kind, &found, message, (&self.shared, context), out)
                    .map_or_else(TemplateOutcome::Problem, TemplateOutcome::Events),
            })
        })
    }

    /// The captured values of the first matching rule: its number, from 1, and names and values.
    pub(super) fn values(
        &self,
        message: &SyslogMessage<'_>,
    ) -> Option<(usize, Vec<(&str, String)>)> {
        let mut rules = self.rules.iter().enumerate();
        let (number, rule, found) = rules.find_map(|(at, (rule, _))| {
            Some((at + 1, rule, rule.find(message).ok()?.unwrap_or_default()))
        })?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let values = rule.variables.iter().map(String::as_str).zip(&found);
        let values = values.filter_map(|(name, v)| Some((name, text(v.as_deref()?))));
        Some((number, values.collect()))
    }

    /// The rules that do not match, with their number, from 1, and the reason.
    pub(super) fn misses(&self, message: &SyslogMessage<'_>) -> Vec<(usize, &Rule, RuleMismatch)> {
        let rules = self.rules.iter().enumerate();
        rules
            .filter_map(|(at, (rule, _))| Some((at + 1, rule, rule.find(message).err()?)))
            .collect()
    }
}

/// Parses `[map.FIELD]` and returns the key group of each field.
fn read_maps(
    root: &mut TemplateSection,
    maps: &mut LookupTables,
    problems: &mut TemplateErrors,
) -> Vec<(TemplateField, String)> {
    let mut keys = Vec::new();
    let Some(section) = root.section("map", problems) else { return keys };
    for (name, mut map) in section.named_sections(problems) {
        let group = map.text("from", problems);
        let values = map.section("values", problems);
        let values = values.map(|values| values.entries(problems)).unwrap_or_default();
        match name.parse() {
            Ok(
                field @ (TemplateField::Domain
                | TemplateField::Device
                | TemplateField::Posture
                | TemplateField::User),
            ) => {
                for (from, to) in values {
                    maps.insert(field, &from, to.first().map_or("", String::as_str));
                }
                keys.push((field, group));
            }
            _ => {
                problems
                    .add(map.key("from"), "only user, domain, device and posture can have maps");
            }
        }
        map.finish(problems);
    }
    keys
}

/// A rule that can never give an event is an error.
fn check_fields(rule: &Rule, reading: &FieldMapping, key: &str, problems: &mut TemplateErrors) {
    let RuleAction::Event(kind) = rule.meaning else { return };
    if rule.addresses().is_empty() {
        problems.add(key, "has no ip, ipv4, ipv6 or selector group");
    }
    if kind == Kind::DeviceSeen && !reading.has_device() {
        problems.add(key, "has no device group");
    }
    if kind != Kind::DeviceSeen && !reading.has_user() {
        problems.add(key, "has no user group");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"
name = "demo"
description = "d"
source = "s"
none = "N/A"
groups_separator = "|"
user_from = ["user", "ike_id"]
[constant]
domain = "Corp"
posture = "healthy"
[map.device]
from = "mac"
values = { "AA:BB" = "PC1$" }
[[rule]]
drop = "not_success"
prefilter = "denied"
regex = "denied"
[[rule]]
kind = "login"
prefilter = "logged on"
app = ["vpnd", "authd"]
regex = '(?<user>[^ ]+) (?<ike_id>[^ ]+) logged on at (?<ip>[^ ]+) mac (?<mac>[^ ]+) groups (?<groups>[^;]*);'
[[rule]]
kind = "logout"
prefilter = "LOGOFF"
msg_id = "LOGOFF"
structured = { user = "username", ip = "source-address" }
require = { reason = ["user request", "timeout"] }
[[sample]]
line = '<1>Nov 21 19:49:37 h vpnd: N/A alice logged on at 192.0.2.7 mac aa:bb groups a| N/A |b c;'
event = { kind = "login", address = "192.0.2.7", user = "alice", domain = "corp", device = "PC1", groups = ["a", "b c"], posture = "healthy" }
[[sample]]
line = '<1>Nov 21 19:49:37 h su: x alice logged on at 192.0.2.7 mac aa:bb groups ;'
none = "unmatched"
[[sample]]
line = '<1>Nov 21 19:49:37 h vpnd: N/A N/A logged on at 192.0.2.7 mac aa:bb groups ;'
none = "no_user"
[[sample]]
line = '<1>Nov 21 19:49:37 h vpnd: x alice logged on at 192.0.2.7 mac N/A groups ; denied'
none = "not_success"
[[sample]]
line = '<1>1 2026-11-21T19:49:37Z h authd 1 LOGOFF [junos@2636.1.1.1.2.40 username="al\"ice" source-address="192.0.2.7" reason="Timeout"]'
event = { kind = "logout", address = "192.0.2.7", user = "al\"ice", domain = "corp", posture = "healthy" }
[[sample]]
line = '<1>1 2026-11-21T19:49:37Z h authd 1 LOGOFF [junos@2636.1.1.1.2.40 username="alice" source-address="192.0.2.7" reason="reboot"]'
none = "unmatched"
"#;

    fn problems(text: &str) -> Vec<String> {
        Template::from_toml(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_key_has_its_effect() {
        let template = Template::from_toml(GOOD).unwrap();
        let failures: Vec<_> = template.verify().iter().map(ToString::to_string).collect();
        assert_eq!(failures, Vec::<String>::new());
    }

    #[test]
    fn all_errors_are_reported_with_their_keys() {
        let bad = r#"
name = ""
user_from = "user"
colour = "red"
[map.ip]
from = "x"
[[rule]]
kind = "arrival"
prefilter = "ab"
regex = '(?<user>[^ ]+) (?<what>x)'
[[rule]]
kind = "login"
prefilter = "long enough"
regex = '(?<user>'
[[rule]]
kind = "login"
drop = "ambiguous"
prefilter = "long enough"
[[rule]]
kind = "login"
prefilter = "long enough"
regex = '(?<user>x)'
[rule.require]
other = "y"
[[rule]]
kind = "expiry"
prefilter = "long enough"
regex = '(?<user>x) (?<ip>y)'
[[sample]]
line = "x"
none = "because"
when = "now"
[[sample]]
line = "x"
event = { kind = "login", address = "nowhere" }
"#;
        let problems = problems(bad);
        for wanted in [
            "name: is empty",
            "description: is missing",
            "source: is missing",
            "colour: is not a known key",
            "map.ip.from: only user",
            "rule[1].kind: `arrival` is not a kind",
            "rule[1].prefilter: is shorter",
            "rule[1].regex: group `what`",
            "rule[2].regex: regex parse error",
            "rule[3].kind: requires either",
            "rule[3].regex: requires exactly",
            "rule[4].require.other: is not a named group",
            "rule[5].kind: `expiry`",
            "sample[1].none: is not a known reason",
            "sample[1].when: is not a known key",
            "sample[2].event: ",
            "sample: requires a sample",
        ] {
            assert!(problems.iter().any(|p| p.starts_with(wanted)), "{wanted}: {problems:#?}");
        }
    }

    #[test]
    fn rule_that_can_never_give_an_event_is_rejected() {
        let without = |from: &str, to: &str| problems(&GOOD.replace(from, to)).join(" ");
        assert!(without("(?<ip>", "(?:").contains("has no ip"));
        assert!(without("kind = \"logout\"", "kind = \"device_seen\"").contains("no device"));
        assert!(problems("x =").iter().all(|problem| problem.starts_with("file: ")));
    }

    #[test]
    fn sample_failure_has_both_results() {
        let template = Template::from_toml(&GOOD.replace("user = \"alice\"", "user = \"bob\""));
        let failures = template.unwrap().verify();
        assert_eq!(failures.len(), 1);
        let text = failures[0].to_string();
        assert!(text.contains("user=bob") && text.contains("user=alice"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_a_template_or_has_errors(text in "\\PC{0,60}", cut in 0..GOOD.len()) {
            let _ = Template::from_toml(&text);
            let front: String = GOOD.chars().take(cut).collect();
            let _ = Template::from_toml(&format!("{front}{text}"));
        }
    }
}
