//! `rollcall push`: verifies or resyncs one push target.

use clap::Subcommand;

use super::CommandError;
use super::output::Output;
use super::server::{Response, Server};

#[derive(Debug, Subcommand)]
pub(super) enum Push {
    /// Compare the content of a push target with the current sessions.
    ///
    /// A difference triggers a full resync of the target.
    Verify {
        /// The name of the push target.
        name: String,
    },
    /// Send all current sessions to a push target again.
    Resync {
        /// The name of the push target.
        name: String,
    },
}

impl Push {
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
        match self {
            Self::Verify { name } => verify(name, server, output),
            Self::Resync { name } => resync(name, server, output),
        }
    }
}

fn verify(name: &str, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
    let result = match server.post(&format!("/api/v1/push-targets/{name}/verify"))? {
        Response::Found(result) => result,
        Response::NotFound(error) => return Err(CommandError::Request(error)),
    };
    let (differing, not_compared) = (&result["differing"], &result["not_compared"]);
    let text = match result["outcome"].as_str() {
        Some("same") => {
            format!("{name} is in sync; {not_compared} pages changed during the verification")
        }
        Some("unsupported") => format!("{name} does not support reading its content"),
        _ => format!("{differing} pages differ; a full resync of {name} has started"),
    };
    output.either(&result, text)
}

fn resync(name: &str, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
    match server.post(&format!("/api/v1/push-targets/{name}/resync"))? {
        Response::Found(done) => {
            output.either(&done, format!("a full resync of {name} has started"))
        }
        Response::NotFound(error) => Err(CommandError::Request(error)),
    }
}
