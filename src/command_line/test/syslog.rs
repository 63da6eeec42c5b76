//! `rollcall test syslog`: the events that templates create from lines, or the reasons for none.

use std::fs;
use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;
use rollcall_config::{SHIPPED_TEMPLATES, Settings, SyslogClient};
use rollcall_identity::{Event, Name, Principal};
use rollcall_producers::syslog::defaults;
use rollcall_runtime::clock::Clock;
use rollcall_wire::syslog::{ClientDefaults, DEFAULT_LIMIT, LineReport, Template, TemplateTest};
use serde_json::{Value, json};

use crate::command_line::output::{Output, OutputFormat};
use crate::command_line::{CommandError, settings};

#[derive(Debug, Args)]
pub(crate) struct TestSyslog {
    /// Use the templates, maps, domain, zone and clock of this client of the configuration:
    /// NAME, or PRODUCER/NAME if several producers have a client with this name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["templates", "domain", "zone"])]
    client: Option<String>,
    /// Name of a shipped template, or a file. Can be repeated [default: all shipped templates].
    #[arg(long = "template", value_name = "NAME|FILE")]
    templates: Vec<String>,
    /// Domain of users without a domain.
    #[arg(long)]
    domain: Option<Name>,
    /// Time zone of timestamps without one [default: the zone of this machine].
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

impl TestSyslog {
    /// Parses the lines of `input` and prints the result of each, and a summary.
    pub(crate) fn run(
        &self,
        config: Option<&Path>,
        input: &mut impl BufRead,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let mut trial = match &self.client {
            Some(client) => of_client(&settings(config)?, client)?,
            None => TemplateTest::new(self.templates()?, self.defaults()?),
        };
        let clock = Clock::system();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            // A longer line is cut as by a listener. The rest is a separate line.
            let read = input.by_ref().take(DEFAULT_LIMIT as u64).read_until(b'\n', &mut line);
            if read
                .map_err(|why| CommandError::Request(format!("cannot read line {number}: {why}")))?
                == 0
            {
                break;
            }
            let text = line.trim_ascii_end();
            if !text.is_empty() {
                print(number, &trial.line(text, clock.now()), output)?;
                output.flush()?;
            }
        }
        let summary = trial.summary();
        if output.format() == OutputFormat::Text {
            output.line(summary)?;
        }
        if summary.matched == 0 { Err(CommandError::NotFound) } else { Ok(()) }
    }

    fn defaults(&self) -> Result<ClientDefaults, CommandError> {
        let zone = match &self.zone {
            Some(zone) => {
                TimeZone::get(zone).map_err(|why| CommandError::Usage(why.to_string()))?
            }
            None => TimeZone::system(),
        };
        Ok(ClientDefaults { domain: self.domain.clone(), zone, ..ClientDefaults::default() })
    }

    fn templates(&self) -> Result<Vec<Arc<Template>>, CommandError> {
        if self.templates.is_empty() {
            return SHIPPED_TEMPLATES.iter().map(|(name, text)| template(name, text)).collect();
        }
        let named = |named: &String| match SHIPPED_TEMPLATES.iter().find(|(name, _)| name == named)
        {
            Some((name, text)) => template(name, text),
            None => {
                let text = fs::read_to_string(named).map_err(|why| {
                    let shipped: Vec<&str> =
                        SHIPPED_TEMPLATES.iter().map(|(name, _)| *name).collect();
                    let shipped = shipped.join(", ");
                    CommandError::Usage(format!(
                        "{named} is neither a file ({why}) nor a shipped template: {shipped}"
                    ))
                })?;
                template(named, &text)
            }
        };
        self.templates.iter().map(named).collect()
    }
}

/// A trial with the templates and defaults of a client of the configuration.
fn of_client(settings: &Settings, named: &str) -> Result<TemplateTest, CommandError> {
    let all: Vec<(String, &SyslogClient)> = settings
        .syslog
        .iter()
        .flat_map(|producer| {
            let whole = |client: &SyslogClient| format!("{}/{}", producer.name, client.name);
            producer.clients.iter().map(move |client| (whole(client), client))
        })
        .collect();
    let meant = |(whole, client): &&(String, &SyslogClient)| {
        whole == named || client.name.as_str() == named
    };
    let found: Vec<_> = all.iter().filter(meant).collect();
    let listed = |clients: &[&(String, &SyslogClient)]| {
        clients.iter().map(|(whole, _)| whole.as_str()).collect::<Vec<_>>().join(", ")
    };
    match found[..] {
        [(_, client)] => {
            let templates = client.templates.iter().map(|held| Arc::clone(&held.template));
            Ok(TemplateTest::new(templates.collect(), defaults(client)))
        }
        [] => {
            let known = listed(&all.iter().collect::<Vec<_>>());
            Err(CommandError::Usage(format!(
                "{named} is not a syslog client of the configuration; the clients are {known}"
            )))
        }
        _ => {
            Err(CommandError::Usage(format!("{named} is ambiguous; use one of {}", listed(&found))))
        }
    }
}

/// Compiles a template and verifies its samples.
fn template(name: &str, text: &str) -> Result<Arc<Template>, CommandError> {
    let listed = |problems: Vec<String>| {
        CommandError::Usage(
            problems.iter().map(|why| format!("{name}: {why}")).collect::<Vec<_>>().join("\n"),
        )
    };
    let template = Template::from_toml(text)
        .map_err(|problems| listed(problems.iter().map(ToString::to_string).collect()))?;
    let failures: Vec<_> = template.verify().iter().map(ToString::to_string).collect();
    if failures.is_empty() { Ok(Arc::new(template)) } else { Err(listed(failures)) }
}

fn print(number: usize, tried: &LineReport, output: &mut Output<'_>) -> Result<(), CommandError> {
    match tried {
        LineReport::NoEvent(why) => {
            let json = json!({"line": number, "events": [], "reason": why});
            output.either(&json, format_args!("{number}: no event: {why}"))
        }
        LineReport::Events(template, events) => {
            let shown: Vec<Value> = events.iter().map(event_json).collect();
            let json = json!({"line": number, "template": template, "events": shown});
            let lines =
                events.iter().map(|event| format!("{number}: {template}: {}", plain(event)));
            output.either(&json, lines.collect::<Vec<_>>().join("\n"))
        }
    }
}

/// An event as a line of text.
pub(crate) fn plain(event: &Event) -> String {
    let mut text = format!("{} {}", event.kind.as_str(), event.address);
    let user = event.principal.as_ref().map(Principal::to_string);
    let device = event.device.as_ref().map(Name::to_string);
    for (key, value) in [("user", user), ("device", device)] {
        text += &value.map(|value| format!(" {key}={value}")).unwrap_or_default();
    }
    let roles: Vec<&str> = event.roles.iter().flat_map(|r| r.iter()).map(Name::as_str).collect();
    if !roles.is_empty() {
        text += &format!(" groups={}", roles.join(","));
    }
    text + &format!(" at {}", event.at)
}

/// An event with the field names of `POST /api/v1/events`.
pub(crate) fn event_json(event: &Event) -> Value {
    json!({
        "kind": event.kind,
        "address": event.address,
        "user": event.principal.as_ref().map(|principal| &principal.user),
        "domain": event.principal.as_ref().and_then(|principal| principal.domain.as_ref()),
        "device": event.device,
        "groups": event.roles,
        "posture": event.posture,
        "at": event.at,
    })
}
