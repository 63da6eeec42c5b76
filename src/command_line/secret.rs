//! `rollcall secret hash`: hashes a client secret for the configuration.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::Subcommand;
use rollcall_http::admission::secret;
use serde_json::Value;
use zeroize::Zeroizing;

use super::CommandError;
use super::output::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// Read a secret from standard input and print its argon2id hash.
    ///
    /// Example: `echo THE-SECRET | rollcall secret hash`
    Hash,
}

/// The maximum length of the input in bytes. An SRX accepts secrets of up to 128 characters.
const MAX_LENGTH: u64 = 1024;

impl Secret {
    /// Reads one line. A secret is never an argument, because every user of the machine can see the
    /// arguments of a process.
    pub(super) fn run(
        &self,
        input: &mut impl BufRead,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let Self::Hash = self;
        if io::stdin().is_terminal() {
            let hint = "enter the secret (input is visible; use a pipe to hide it)";
            let _ = writeln!(io::stderr(), "{hint}");
        }
        let mut text = Zeroizing::new(String::new());
        let read = input.by_ref().take(MAX_LENGTH).read_line(&mut text);
        read.map_err(|why| CommandError::Request(format!("cannot read the secret: {why}")))?;
        let typed = text.trim_end_matches(['\r', '\n']);
        if typed.is_empty() {
            return Err(CommandError::Usage(
                "standard input is empty; pass the secret on the first line".to_owned(),
            ));
        }
        let hash = secret::hash(typed);
        output.either(&Value::from(hash.expose()), hash.expose())
    }
}
