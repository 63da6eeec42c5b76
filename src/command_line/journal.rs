//! `journal`: is what lies on the disk what was written, and every event of it as JSON.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rollcall_config::{JournalKind, Settings};
use rollcall_identity::{Event, GroupSet, Name, Principal, Revision, Timestamp};
use rollcall_journal::{Damage, Inspected, export, inspect};
use serde_json::{Value, json};

use super::output::Output;
use super::{Failed, settings};

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub(super) enum Journal {
    /// Read every file from beginning to end: is it what was written? Also while a server runs.
    Check,
    /// Print every event, oldest first, one JSON object on a line.
    Export(Period),
}

/// When the events were received.
#[derive(Debug, Args)]
pub(super) struct Period {
    /// Only what was received at this time or later, for instance 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only what was received before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

/// What a command can fail with, and what a file can.
enum Stopped {
    Printing(Failed),
    Damaged(Damage),
}

impl From<Damage> for Stopped {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Printing(failed)
    }
}

impl Journal {
    /// Does it.
    pub(super) fn run(self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failed> {
        let folder = folder_of(&settings(config)?)?;
        let done = match self {
            Self::Check => check(&folder, output),
            Self::Export(period) => period.export(&folder, output),
        };
        done.map_err(|stopped| match stopped {
            Stopped::Printing(failed) => failed,
            Stopped::Damaged(damage) => Failed::Request(format!("{}: {damage}", folder.display())),
        })
    }
}

/// The folder of the journal, when there is one.
pub(super) fn folder_of(settings: &Settings) -> Result<PathBuf, Failed> {
    let journal = &settings.journal;
    if journal.kind == JournalKind::Memory {
        let text = "the configuration keeps the journal in memory: nothing is on disk";
        return Err(Failed::Request(text.to_owned()));
    }
    if !journal.folder.exists() {
        let folder = journal.folder.display();
        let text = format!("there is no journal at {folder}: is this the server's configuration?");
        return Err(Failed::Request(text));
    }
    Ok(journal.folder.clone())
}

fn check(folder: &Path, output: &mut Output<'_>) -> Result<(), Stopped> {
    let mut damaged = 0;
    inspect(folder, |found| {
        damaged += usize::from(!found.problems.is_empty());
        output.either(&json!(found), line(&found)).map_err(Stopped::Printing)
    })?;
    match damaged {
        0 => Ok(()),
        1 => Err(Failed::Request("a file is damaged".to_owned()).into()),
        more => Err(Failed::Request(format!("{more} files are damaged")).into()),
    }
}

fn line(found: &Inspected) -> String {
    let Inspected { file, first, last, rows, problems } = found;
    let verdict = if problems.is_empty() { "good".to_owned() } else { problems.join("; ") };
    let holds = match file.starts_with("snapshot") {
        true => format!("{rows} sessions after {last}"),
        false => format!("{rows} events, {first} to {last}"),
    };
    format!("{file}  {holds}  {verdict}")
}

impl Period {
    fn export(self, folder: &Path, output: &mut Output<'_>) -> Result<(), Stopped> {
        let from = self.from.unwrap_or(Timestamp::from_millis(i64::MIN));
        let until = self.until.unwrap_or(Timestamp::from_millis(i64::MAX));
        export(folder, (from, until), |epoch, revision, event| {
            output.line(exported(epoch, revision, event)).map_err(Stopped::Printing)
        })
    }
}

/// An event, in the words of the REST interface.
fn exported(epoch: u64, revision: Revision, event: &Event) -> Value {
    let who = |principal: &Principal| json!({"user": principal.user, "domain": principal.domain});
    let groups = |set: &Option<GroupSet>| {
        let names = |set: &GroupSet| -> Vec<Name> {
            set.as_slice().iter().map(|group| group.name.clone()).collect()
        };
        set.as_ref().map(names)
    };
    json!({
        "epoch": epoch,
        "revision": revision,
        "seen": event.seen,
        "at": event.at,
        "precision": event.precision,
        "kind": event.kind,
        "address": event.address,
        "user": event.principal.as_ref().map(|who| &who.user),
        "domain": event.principal.as_ref().and_then(|who| who.domain.as_ref()),
        "formerly": event.renamed_from.as_deref().map(who),
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
