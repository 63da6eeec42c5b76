//! `replay`: who would be where if other rules had been in force for the last hours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rollcall_identity::{Principal, Session};
use rollcall_journal::{Differing, Replayed, replay};
use rollcall_server::in_force;
use serde_json::{Value, json};

use super::journal::folder_of;
use super::output::Output;
use super::{Failed, settings};

/// How far back.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// How many hours of the journal are folded by the rules of the configuration.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=87_600))]
    hours: u64,
    /// The folder of the journal [default: the one of the configuration].
    #[arg(long, value_name = "FOLDER")]
    journal: Option<PathBuf>,
}

impl Replay {
    /// Prints a line for each address that would have somebody else. The configuration is the other
    /// one: its rules are tried, on the journal that it names.
    pub(super) fn run(&self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failed> {
        let settings = settings(config)?;
        let folder = match &self.journal {
            Some(folder) => folder.clone(),
            None => folder_of(&settings)?,
        };
        let hours = Duration::from_secs(self.hours * 3600);
        let replayed = replay(&folder, &in_force(&settings), hours)
            .map_err(|damage| Failed::Request(format!("{}: {damage}", folder.display())))?;
        let Replayed { from, until, revision, events, differing, notes } = &replayed;
        for one in differing {
            output.either(&shape(one), line(one))?;
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
                "{differ} from the table at {until}: {events} events since {from} were folded by \
                 the other rules"
            ),
        )
    }
}

fn shape(Differing { address, has, would_have }: &Differing) -> Value {
    let side = |session: &Session| {
        json!({
            "user": session.principal.as_ref().map(|who| &who.user),
            "domain": session.principal.as_ref().and_then(|who| who.domain.as_ref()),
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

/// `10.0.0.7  alice@corp -> nobody`, and in the next line why.
fn line(Differing { address, has, would_have }: &Differing) -> String {
    let who = |session: Option<&Session>| {
        let Some(session) = session else { return "nobody".to_owned() };
        let device = || session.device.as_ref().map(|device| format!("device {device}"));
        session.principal.as_ref().map(Principal::to_string).or_else(device).unwrap_or_default()
    };
    let (has, other) = (who(has.as_deref()), who(would_have.session.as_deref()));
    let why = match (&would_have.session, would_have.competed.first()) {
        (None, Some(record)) => record.to_string(),
        _ => would_have.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    format!("{address:<15}  {has} -> {other}\n    {why}")
}
