//! `rollcall backup`: copies the journal to a tar archive, while the server runs or not.

use std::path::{Path, PathBuf};

use clap::Args;
use rollcall_journal::{BackupReport, back_up};
use serde_json::json;

use super::journal::folder_of;
use super::output::Output;
use super::{CommandError, settings};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The tar archive to create. It must not exist.
    file: PathBuf,
}

impl Backup {
    /// Copies the journal and prints a summary.
    pub(super) fn run(
        &self,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let journal = folder_of(&settings(config)?)?;
        let refused = |damage: &dyn std::fmt::Display| {
            CommandError::Request(format!("{}: {damage}", self.file.display()))
        };
        let done = back_up(&journal, &self.file).map_err(|damage| refused(&damage))?;
        let BackupReport { segments, events, last, bytes, problems } = &done;
        let (to, megabytes) = (self.file.display(), bytes.div_ceil(1_000_000));
        let line = format!(
            "{to}  {segments} segments, {events} events up to {last}, {megabytes} MB; to restore \
             it, stop the server, empty {0}, tar -xf {to} -C {0} as the server's user, and start",
            journal.display()
        );
        output.either(&json!(done), line)?;
        match problems.as_slice() {
            [] => Ok(()),
            problems => Err(CommandError::Request(problems.join("; "))),
        }
    }
}
