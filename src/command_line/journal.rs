//! `rollcall journal`: verifies the files of the journal, or exports its events as JSON.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rollcall_config::{JournalStorage, Settings};
use rollcall_identity::{GroupSet, Name, Principal, Timestamp};
use rollcall_journal::log::LogEntry;
use rollcall_journal::{Corruption, InspectReport, export, inspect};
use serde_json::{Value, json};

use super::output::Output;
use super::{CommandError, settings};

#[derive(Debug, Subcommand)]
pub(super) enum Journal {
    /// Verify the checksums of all files. The server can be running.
    Verify,
    /// Print all events, oldest first, one JSON object per line.
    Export(ReceivedPeriod),
}

/// The period in which events were received.
#[derive(Debug, Args)]
pub(super) struct ReceivedPeriod {
    /// Only events received at this time or later, for example 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only events received before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

/// An error of the output or of a file.
enum JournalCommandError {
    Output(CommandError),
    File(Corruption),
}

impl From<Corruption> for JournalCommandError {
    fn from(damage: Corruption) -> Self {
        Self::File(damage)
    }
}

impl From<CommandError> for JournalCommandError {
    fn from(failed: CommandError) -> Self {
        Self::Output(failed)
    }
}

impl Journal {
    pub(super) fn run(
        self,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let folder = folder_of(&settings(config)?)?;
        let done = match self {
            Self::Verify => verify(&folder, output),
            Self::Export(period) => period.export(&folder, output),
        };
        done.map_err(|stopped| match stopped {
            JournalCommandError::Output(failed) => failed,
            JournalCommandError::File(damage) => {
                CommandError::Request(format!("{}: {damage}", folder.display()))
            }
        })
    }
}

/// The folder of the journal. Fails if it does not exist.
pub(super) fn folder_of(settings: &Settings) -> Result<PathBuf, CommandError> {
    let journal = &settings.journal;
    if journal.kind == JournalStorage::Memory {
        let text =
            "the journal is in memory (journal.storage = \"memory\"), so that there are no files";
        return Err(CommandError::Request(text.to_owned()));
    }
    if !journal.folder.exists() {
        let folder = journal.folder.display();
        let text = format!(
            "there is no journal at {folder}; pass the configuration of the server with --config"
        );
        return Err(CommandError::Request(text));
    }
    Ok(journal.folder.clone())
}

fn verify(folder: &Path, output: &mut Output<'_>) -> Result<(), JournalCommandError> {
    let mut damaged = 0;
    inspect(folder, |found| {
        damaged += usize::from(!found.problems.is_empty());
        output.either(&json!(found), line(&found)).map_err(JournalCommandError::Output)
    })?;
    match damaged {
        0 => Ok(()),
        1 => Err(CommandError::Request("1 file is damaged".to_owned()).into()),
        more => Err(CommandError::Request(format!("{more} files are damaged")).into()),
    }
}

fn line(found: &InspectReport) -> String {
    let InspectReport { file, first, last, rows, problems } = found;
    let verdict = if problems.is_empty() { "ok".to_owned() } else { problems.join("; ") };
    let holds = match file.starts_with("snapshot") {
        true => format!("{rows} sessions after {last}"),
        false => format!("{rows} events, {first} to {last}"),
    };
    format!("{file}  {holds}  {verdict}")
}

impl ReceivedPeriod {
    fn export(self, folder: &Path, output: &mut Output<'_>) -> Result<(), JournalCommandError> {
        let from = self.from.unwrap_or(Timestamp::from_millis(i64::MIN));
        let until = self.until.unwrap_or(Timestamp::from_millis(i64::MAX));
        export(folder, (from, until), |entry| {
            output.line(exported(entry)).map_err(JournalCommandError::Output)
        })
    }
}

/// An event with the field names of the REST API.
fn exported(LogEntry { epoch, position, event }: &LogEntry) -> Value {
    let principal_json =
        |principal: &Principal| json!({"user": principal.user, "domain": principal.domain});
    let groups = |set: &Option<GroupSet>| {
        let names = |set: &GroupSet| -> Vec<Name> {
            set.as_slice().iter().map(|group| group.name.clone()).collect()
        };
        set.as_ref().map(names)
    };
    json!({
        "epoch": epoch,
        "revision": position,
        "seen": event.seen,
        "at": event.at,
        "precision": event.precision,
        "kind": event.kind,
        "address": event.address,
        "user": event.principal.as_ref().map(|principal| &principal.user),
        "domain": event.principal.as_ref().and_then(|principal| principal.domain.as_ref()),
        "formerly": event.renamed_from.as_deref().map(principal_json),
        "sid": event.sid,
        "proof": event.proof,
        "device": event.device,
        "posture": event.posture,
        "roles": event.roles,
        "user_groups": groups(&event.membership.user),
        "device_groups": groups(&event.membership.device),
        "origin": &*event.origin,
    })
}
