//! `rollcall rules simulate`: the sessions that other rules would have created.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use rollcall_identity::{Principal, Session};
use rollcall_journal::{ReplayDifference, ReplayReport, replay};
use rollcall_server::effective_rules;
use serde_json::{Value, json};

use super::journal::folder_of;
use super::output::Output;
use super::{CommandError, settings};

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Apply the rules of a configuration to past events and print the sessions that differ.
    ///
    /// Example: `rollcall --config new.toml rules simulate --hours 24`
    Simulate(Simulate),
}

impl RulesCommand {
    pub(super) fn run(
        &self,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let Self::Simulate(simulate) = self;
        simulate.run(config, output)
    }
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Number of hours of the journal to replay.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=87_600))]
    hours: u64,
    /// Folder of the journal [default: the one of the configuration].
    #[arg(long, value_name = "FOLDER")]
    journal: Option<PathBuf>,
}

impl Simulate {
    /// Prints each address that would have another session with the rules of the configuration.
    fn run(&self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), CommandError> {
        let settings = settings(config)?;
        let folder = match &self.journal {
            Some(folder) => folder.clone(),
            None => folder_of(&settings)?,
        };
        let hours = Duration::from_secs(self.hours * 3600);
        let replayed = replay(&folder, &effective_rules(&settings), hours)
            .map_err(|damage| CommandError::Request(format!("{}: {damage}", folder.display())))?;
        let ReplayReport { from, until, revision, events, differing, notes } = &replayed;
        for one in differing {
            output.either(&difference_json(one), line(one))?;
        }
        for note in notes {
            output.either(&json!({"note": note}), format_args!("note: {note}"))?;
        }
        let summary = json!({
            "from": from, "until": until, "revision": revision, "events": events,
            "differing": differing.len(),
        });
        let differ = match differing.len() {
            1 => "1 address differs".to_owned(),
            count => format!("{count} addresses differ"),
        };
        output.either(
            &summary,
            format_args!(
                "{differ} from the sessions at {until}: {events} events since {from} were replayed \
                 with the rules of the configuration"
            ),
        )
    }
}

fn difference_json(ReplayDifference { address, has, would_have }: &ReplayDifference) -> Value {
    let side = |session: &Session| {
        json!({
            "user": session.principal.as_ref().map(|principal| &principal.user),
            "domain": session.principal.as_ref().and_then(|principal| principal.domain.as_ref()),
            "device": session.device,
        })
    };
    json!({
        "address": address,
        "has": has.as_deref().map(side),
        "would_have": would_have.session.as_deref().map(side),
        "why": would_have.to_string(),
    })
}

/// `10.0.0.7  alice@corp -> no session`, and the reason in the next line.
fn line(ReplayDifference { address, has, would_have }: &ReplayDifference) -> String {
    let user_or_device = |session: Option<&Session>| {
        let Some(session) = session else { return "no session".to_owned() };
        let device = || session.device.as_ref().map(|device| format!("device {device}"));
        session.principal.as_ref().map(Principal::to_string).or_else(device).unwrap_or_default()
    };
    let (has, other) =
        (user_or_device(has.as_deref()), user_or_device(would_have.session.as_deref()));
    let why = match (&would_have.session, would_have.competed.first()) {
        (None, Some(record)) => record.to_string(),
        _ => would_have.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    format!("{address:<15}  {has} -> {other}\n    {why}")
}
