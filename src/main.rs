//! The program: a server that tells firewalls who is behind each IP address, and the command line
//! that asks it.

mod command_line;

use std::path::Path;
use std::process::ExitCode;

use command_line::Failed;

fn main() -> ExitCode {
    command_line::run(std::env::args_os())
}

/// Serves until it is told to stop.
fn serve(_settings: Option<&Path>) -> Result<(), Failed> {
    Err(Failed::Request("this build has no server yet".to_owned()))
}
