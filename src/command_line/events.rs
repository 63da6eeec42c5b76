//! `events`: whether event logs of Windows can be read, and what Rollcall makes of recorded ones.

mod replay;

use std::path::Path;

use clap::Subcommand;

use super::Failed;
use super::output::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// Read a recorded log as a server's would be read, and print its events and decisions.
    Replay(replay::Replay),
}

impl Events {
    pub(super) fn run(&self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failed> {
        match self {
            Self::Replay(replay) => replay.run(config, output),
        }
    }
}
