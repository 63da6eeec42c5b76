//! The sample lines of a template with their expected results.

use std::fmt;
use std::str::FromStr;

use rollcall_identity::{Address, Event, Kind, Name, Posture, Timestamp};
use serde::Deserialize;

use super::error::SyslogParseError;
use super::template_file::{TemplateErrors, TemplateSection};

/// The default time of arrival of a sample: 2026-11-21T20:00:00Z.
const SEEN: i64 = 1_795_291_200_000;

/// A line and its expected result.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    line: String,
    seen: Timestamp,
    wanted: Result<Vec<Expected>, NoEvent>,
}

/// Why a sample gives no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoEvent {
    Unmatched,
    Problem(SyslogParseError),
}

/// An expected event. Missing fields must be absent, except for the time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    kind: Kind,
    address: Address,
    user: Option<Name>,
    domain: Option<Name>,
    device: Option<Name>,
    groups: Option<Vec<Name>>,
    posture: Option<Posture>,
    at: Option<Timestamp>,
}

/// A sample line whose result differs from the template file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleFailure {
    /// The number of the sample, from 1.
    pub sample: usize,
    /// The line.
    pub line: String,
    /// The expected result.
    pub wanted: String,
    /// The actual result.
    pub got: String,
}

impl fmt::Display for SampleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sample, line, wanted, got } = self;
        write!(f, "sample[{sample}]: wanted {wanted}, got {got}, from {line}")
    }
}

impl Sample {
    /// Parses one `[[sample]]`.
    pub(super) fn read(
        mut section: TemplateSection,
        problems: &mut TemplateErrors,
    ) -> Option<Self> {
        let line = section.text("line", problems);
        let seen: Option<String> = section.take("seen", problems);
        let seen = match seen {
            Some(seen) => problems.note(section.key("seen"), Timestamp::from_str(&seen))?,
            None => Timestamp::from_millis(SEEN),
        };
        let event: Option<toml::Value> = section.take("event", problems);
        let none: Option<String> = section.take("none", problems);
        let wanted = match (event, none.as_deref()) {
            (Some(event), None) => {
                let events = match event {
                    toml::Value::Array(events) => events,
                    event => vec![event],
                };
                let events = events.into_iter().map(toml::Value::try_into);
                let events: Result<Vec<Expected>, toml::de::Error> = events.collect();
                let events = events.map_err(|error| error.message().to_owned());
                problems.note(section.key("event"), events).map(Ok)
            }
            (None, Some("unmatched")) => Some(Err(NoEvent::Unmatched)),
            (None, Some(reason)) => {
                let problem =
                    SyslogParseError::from_str(reason).map_err(|_| "is not a known reason");
                let problem = problems.note(section.key("none"), problem);
                problem.map(|problem| Err(NoEvent::Problem(problem)))
            }
            _ => {
                problems.add(section.key("event"), "requires either `event` or `none`");
                None
            }
        };
        section.finish(problems);
        Some(Self { line, seen, wanted: wanted? })
    }

    pub(super) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn gives_events(&self) -> bool {
        self.wanted.is_ok()
    }

    /// The time of arrival of the line.
    pub(super) fn seen(&self) -> Timestamp {
        self.seen
    }

    /// Compares the result of the line with the expected one; `number` is the sample, from 1.
    pub(super) fn check(
        &self,
        number: usize,
        got: Result<&[Event], NoEvent>,
    ) -> Option<SampleFailure> {
        let got = got.map(|events| events.iter().map(Expected::of).collect::<Vec<_>>());
        let agree = match (&self.wanted, &got) {
            (Ok(wanted), Ok(got)) => {
                wanted.len() == got.len() && wanted.iter().zip(got).all(|(w, g)| w.agrees(g))
            }
            (wanted, got) => wanted == got,
        };
        (!agree).then(|| SampleFailure {
            sample: number,
            line: self.line.clone(),
            wanted: describe(&self.wanted),
            got: describe(&got),
        })
    }
}

fn describe(result: &Result<Vec<Expected>, NoEvent>) -> String {
    match result {
        Ok(events) => events.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        Err(NoEvent::Unmatched) => "no match".to_owned(),
        Err(NoEvent::Problem(problem)) => format!("{} ({problem})", problem.as_str()),
    }
}

impl Expected {
    fn of(event: &Event) -> Self {
        let principal = event.principal.as_ref();
        Self {
            kind: event.kind,
            address: event.address,
            user: principal.map(|principal| principal.user.clone()),
            domain: principal.and_then(|principal| principal.domain.clone()),
            device: event.device.clone(),
            groups: event.roles.as_ref().map(|roles| roles.to_vec()),
            posture: event.posture,
            at: Some(event.at),
        }
    }

    fn agrees(&self, got: &Self) -> bool {
        Self { at: self.at.or(got.at), ..self.clone() } == *got
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.address)?;
        let names = [("user", &self.user), ("domain", &self.domain), ("device", &self.device)];
        for (label, name) in names {
            if let Some(name) = name {
                write!(f, " {label}={name}")?;
            }
        }
        if let Some(groups) = &self.groups {
            let names: Vec<&str> = groups.iter().map(Name::as_str).collect();
            write!(f, " groups={}", names.join("|"))?;
        }
        if let Some(posture) = self.posture {
            write!(f, " posture={}", <&str>::from(posture))?;
        }
        self.at.map_or(Ok(()), |at| write!(f, " at={at}"))
    }
}
