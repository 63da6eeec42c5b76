//! `rollcall test`: tests connections to directories and event logs, and syslog templates.

pub(super) mod directory;
pub(super) mod event_log;
pub(super) mod syslog;

use std::io;
use std::path::Path;

use clap::Subcommand;

use crate::command_line::CommandError;
use crate::command_line::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Test {
    /// Parse syslog lines from standard input and print the events.
    ///
    /// Example: `rollcall test syslog --template junos-vpn < messages.log`
    Syslog(syslog::TestSyslog),
    /// Connect to each directory, authenticate and read one page.
    Directory {
        /// Test only the directory with this name [default: all].
        name: Option<String>,
    },
    /// Connect to each Windows event log, authenticate and subscribe.
    EventLog {
        /// Test only the event log with this name [default: all].
        name: Option<String>,
    },
}

impl Test {
    pub(super) fn run(
        &self,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        match self {
            Self::Syslog(test) => test.run(config, &mut io::stdin().lock(), output),
            Self::Directory { name } => directory::test_all(name.as_deref(), config, output),
            Self::EventLog { name } => event_log::test_all(name.as_deref(), config, output),
        }
    }
}
