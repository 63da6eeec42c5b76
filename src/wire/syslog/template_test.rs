//! Tests templates against lines, for `rollcall test syslog`: the events of each line or the most
//! relevant reason why there are none, and a summary.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rollcall_identity::{Event, Name, Origin, Producer, Timestamp};

use super::client_defaults::ClientDefaults;
use super::line_reader::{LineOutcome, LineReader};
use super::message::SyslogMessage;
use super::rule::{Rule, RuleMismatch};
use super::template::Template;
use super::timestamp::SenderClock;

/// The maximum length of a quoted part of a line, in bytes.
const QUOTED: usize = 48;

/// The maximum number of prefilters in a reason: all of most templates, not all of all shipped
/// ones.
const PREFILTERS: usize = 8;

/// Templates as one client would use them.
#[derive(Debug)]
pub struct TemplateTest {
    reader: LineReader,
    clock: SenderClock,
    summary: TestSummary,
}

/// The result of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineReport {
    /// The name of the template that matched, and its events.
    Events(String, Vec<Event>),
    /// The reason for no event.
    NoEvent(String),
}

/// The number of lines by result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestSummary {
    /// All lines.
    pub lines: usize,
    /// Lines that gave events.
    pub matched: usize,
    /// The number of events.
    pub events: usize,
    /// Lines without a matching template.
    pub unmatched: usize,
    /// Lines that matched without an event, by the label of the error.
    pub problems: BTreeMap<&'static str, usize>,
}

impl TemplateTest {
    /// A test of `templates` in order.
    pub fn new(templates: Vec<Arc<Template>>, defaults: ClientDefaults) -> Self {
        let clock = SenderClock::new(defaults.zone.clone());
        let with_origin = |template: Arc<Template>| {
            let name = template.name();
            let (producer, client, form) = (name.clone(), name.clone(), name.clone());
            (template, Arc::new(Origin { kind: Producer::Syslog, producer, client, form }))
        };
        let templates = templates.into_iter().map(with_origin).collect();
        Self {
            reader: LineReader::new(templates, defaults),
            clock,
            summary: TestSummary::default(),
        }
    }

    /// Reads one line as if it was received at `seen`.
    pub fn line(&mut self, line: &[u8], seen: Timestamp) -> LineReport {
        let message = SyslogMessage::read(line, seen, &mut self.clock);
        let mut events = Vec::new();
        let outcome = self.reader.read(&message, seen, &mut events);
        self.summary.lines += 1;
        let template = |at: usize| self.reader.templates().nth(at);
        let name = |at: usize| template(at).map_or("", |template| template.name().as_str());
        match outcome {
            LineOutcome::Matched { template: at, events: count } => {
                self.summary.matched += 1;
                self.summary.events += count;
                LineReport::Events(name(at).to_owned(), events)
            }
            LineOutcome::Problem { template: at, problem } => {
                *self.summary.problems.entry(problem.as_str()).or_default() += 1;
                let values = at.and_then(template).and_then(|template| template.values(&message));
                let mut reason = match (at, &values) {
                    (Some(at), Some((number, _))) => format!("{} rule {number}: ", name(at)),
                    _ => String::new(),
                };
                reason.push_str(&format!("{problem} ({})", problem.as_str()));
                for (name, value) in values.iter().flat_map(|(_, values)| values) {
                    reason.push_str(&format!(" {name}={}", quoted(value.as_bytes())));
                }
                LineReport::NoEvent(reason)
            }
            LineOutcome::Unmatched => {
                self.summary.unmatched += 1;
                LineReport::NoEvent(self.nearest_miss(&message))
            }
        }
    }

    /// The counts so far.
    pub fn summary(&self) -> &TestSummary {
        &self.summary
    }

    /// The reason of the rule that matched furthest.
    fn nearest_miss(&self, message: &SyslogMessage<'_>) -> String {
        let nearest = self
            .reader
            .templates()
            .flat_map(|template| {
                template.misses(message).into_iter().map(move |miss| (template, miss))
            })
            .map(|(template, (number, rule, miss))| {
                let miss = match miss {
                    RuleMismatch::Pattern(progress) => {
                        RuleMismatch::Pattern(rule.progress(message.text).unwrap_or(progress))
                    }
                    miss => miss,
                };
                (template, number, rule, miss)
            })
            // The first of equally good ones.
            .min_by_key(|(.., miss)| Reverse(distance(miss)));
        match nearest {
            Some((.., RuleMismatch::Prefilter)) => self.no_prefilter(message),
            Some((template, number, rule, miss)) => {
                let reason = MismatchReason { rule, miss: &miss, message };
                format!("{} rule {number}: {reason}", template.name())
            }
            None => "no template".to_owned(),
        }
    }

    /// The reason when no prefilter was found. Prefilters with the longest matching prefix come
    /// first.
    fn no_prefilter(&self, message: &SyslogMessage<'_>) -> String {
        let mut wanted: Vec<(&Name, &str)> = Vec::new();
        for template in self.reader.templates() {
            for prefilter in template.prefilters() {
                if wanted.iter().all(|(_, known)| *known != prefilter) {
                    wanted.push((template.name(), prefilter));
                }
            }
        }
        // Stable: of equal ones, the earlier rule comes first.
        wanted.sort_by_key(|(_, prefilter)| Reverse(shared(message.text, prefilter)));
        let named = wanted.iter().take(PREFILTERS);
        let named: Vec<_> =
            named.map(|(template, prefilter)| format!("{prefilter:?} ({template})")).collect();
        let more = match wanted.len().saturating_sub(PREFILTERS) {
            0 => String::new(),
            more => format!("and {more} others"),
        };
        format!("the line has no prefilter: {}{more}", named.join(", "))
    }
}

/// The length of the longest prefix of `prefilter` that occurs in `text`, in bytes.
fn shared(text: &[u8], prefilter: &str) -> usize {
    let wanted = prefilter.as_bytes();
    let at = |place: usize| {
        text[place..].iter().zip(wanted).take_while(|(one, other)| one == other).count()
    };
    (0..text.len()).map(at).max().unwrap_or(0)
}

/// The rank of a mismatch.
fn distance(miss: &RuleMismatch) -> (usize, usize) {
    match miss {
        RuleMismatch::Prefilter => (0, 0),
        RuleMismatch::App | RuleMismatch::MsgId => (1, 0),
        RuleMismatch::NoObject => (2, 0),
        RuleMismatch::Pattern(progress) => (3, progress.parts.0 * 100 / progress.parts.1.max(1)),
        RuleMismatch::Required(..) => (4, 0),
    }
}

/// A mismatch as a message.
struct MismatchReason<'a> {
    rule: &'a Rule,
    miss: &'a RuleMismatch,
    message: &'a SyslogMessage<'a>,
}

impl fmt::Display for MismatchReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, miss, message } = self;
        let part = |part: Option<&[u8]>| quoted(part.unwrap_or(b"-"));
        match miss {
            RuleMismatch::Prefilter => {
                write!(f, "the prefilter {:?} does not occur in the line", rule.prefilter)
            }
            RuleMismatch::App => {
                write!(
                    f,
                    "the application is {}, not {}",
                    part(message.app),
                    rule.apps.join(" or ")
                )
            }
            RuleMismatch::MsgId => {
                let id = part(message.msg_id);
                write!(f, "the message id is {id}, not {}", rule.msg_ids.join(" or "))
            }
            RuleMismatch::NoObject => f.write_str("the text has no JSON object"),
            RuleMismatch::Required(variable, got) => {
                let name = rule.variables.get(*variable).map_or("", String::as_str);
                match got {
                    Some(got) => write!(f, "{name} is {}", quoted(got.as_bytes())),
                    None => write!(f, "{name} is missing"),
                }?;
                f.write_str(", which does not match `require`")
            }
            RuleMismatch::Pattern(progress) => {
                let (before, after) = message.text.split_at(progress.end.min(message.text.len()));
                if progress.parts.0 == 0 {
                    return write!(f, "{:?} does not occur in the line", progress.wanted);
                }
                let front = &before[before.len().saturating_sub(QUOTED)..];
                write!(
                    f,
                    "matches up to {}, then expects {:?} but finds {}",
                    quoted(front),
                    progress.wanted,
                    quoted(after)
                )
            }
        }
    }
}

/// The beginning of `bytes` in quotes, escaped.
fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED)]);
    format!("{text:?}{}", if bytes.len() > QUOTED { "…" } else { "" })
}

impl fmt::Display for TestSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, matched, events, unmatched, problems } = self;
        write!(f, "{lines} lines: {matched} gave {events} events, {unmatched} unmatched")?;
        problems.iter().try_for_each(|(label, count)| write!(f, ", {count} {label}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
        name = "demo"
        description = "d"
        source = "s"
        [[rule]]
        kind = "vpn_up"
        prefilter = " is up. "
        regex = 'VPN (?<vpn0>[^ ]+) is up\. User (?<user>[^ ]+) has (?<ip>[^ ]+)'
        require = { vpn0 = ["a", "b"] }
        [[rule]]
        kind = "login"
        prefilter = "logon"
        app = "sshd"
        json = { user = "who", ip = "from" }
        [[sample]]
        line = "VPN a is up. User alice has 192.0.2.7"
        event = { kind = "vpn_up", address = "192.0.2.7", user = "alice" }
        [[sample]]
        line = "VPN a is up. User alice has not"
        none = "bad_address"
    "#;

    #[test]
    fn each_line_gives_its_events_or_a_reason() {
        let template = Template::from_toml(TEMPLATE).unwrap();
        assert_eq!(template.verify(), []);
        let mut trial = TemplateTest::new(vec![Arc::new(template)], ClientDefaults::default());
        let seen = "2026-11-21T20:00:00Z".parse().unwrap();
        let mut reason = |line: &str| match trial.line(line.as_bytes(), seen) {
            LineReport::Events(name, events) => format!("{name}: {}", events.len()),
            LineReport::NoEvent(reason) => reason,
        };
        for (line, wanted) in [
            ("VPN a is up. User alice has 192.0.2.7", "demo: 1"),
            ("VPN a is gone", "the line has no prefilter: \" is up. \" (demo), \"logon\" (demo)"),
            ("who is logoff", "the line has no prefilter: \" is up. \" (demo), \"logon\" (demo)"),
            ("logo of mine", "the line has no prefilter: \"logon\" (demo), \" is up. \" (demo)"),
            (
                "VPN a is up. Nobody has 192.0.2.7",
                "demo rule 1: matches up to \"VPN a\", then expects \" is up. User \" but finds \" is up. Nobody has 192.0.2.7\"",
            ),
            (
                "VPN c is up. User alice has 192.0.2.7",
                "demo rule 1: vpn0 is \"c\", which does not match `require`",
            ),
            ("<1>Nov 21 19:49:37 h su: logon", "demo rule 2: the application is \"su\", not sshd"),
            ("<1>Nov 21 19:49:37 h sshd: logon", "demo rule 2: the text has no JSON object"),
            ("<1>Nov 21 19:49:37 h sshd: logon {", "demo rule 2: the JSON is invalid (bad_json)"),
            (
                "VPN a is up. User alice has x",
                "demo rule 1: the address is invalid (bad_address) vpn0=\"a\" user=\"alice\" ip=\"x\"",
            ),
        ] {
            assert_eq!(reason(line), wanted, "{line}");
        }
        assert_eq!(
            trial.summary().to_string(),
            "10 lines: 1 gave 1 events, 7 unmatched, 1 bad_address, 1 bad_json"
        );
    }
}
