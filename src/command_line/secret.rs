//! `secret hash`: makes of a client secret what the configuration holds of it.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::Subcommand;
use rollcall_http::admission::secret;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Failed;
use super::output::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// Read a secret from standard input and print its argon2id hash for `secret_hash`.
    Hash,
}

/// The longest secret that an SRX takes has 128 characters; more is something else.
const LONGEST: u64 = 1024;

impl Secret {
    /// Reads one line. A secret is never an argument: the arguments of a process are shown to
    /// every user of the machine.
    pub(super) fn run(
        &self,
        input: &mut impl BufRead,
        output: &mut Output<'_>,
    ) -> Result<(), Failed> {
        let Self::Hash = self;
        if io::stdin().is_terminal() {
            let hint = "type the secret and Enter (it is shown; a pipe keeps it off the screen)";
            let _ = writeln!(io::stderr(), "{hint}");
        }
        let mut text = Zeroizing::new(String::new());
        let read = input.by_ref().take(LONGEST).read_line(&mut text);
        read.map_err(|why| Failed::Request(format!("cannot read the secret: {why}")))?;
        let typed = text.trim_end_matches(['\r', '\n']);
        if typed.is_empty() {
            return Err(Failed::Usage("there is no secret on standard input".to_owned()));
        }
        let hash = secret::hash(typed);
        output.either(&Value::from(hash.expose()), hash.expose())
    }
}
