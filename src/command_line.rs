//! The command line: serves, checks a configuration, and asks a running server.

mod backup;
mod check;
mod client;
mod directory;
mod events;
mod groups;
mod health;
mod history;
mod journal;
mod output;
mod replay;
mod secret;
mod server;
mod sessions;
mod syslog_test;
mod tail;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rollcall_config::{Environment, Problems, Settings};

use self::output::{Form, Output};

/// Tells firewalls who is behind each IP address, and can always say why.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, propagate_version = true)]
struct CommandLine {
    /// The configuration; without it, the embedded default.
    #[arg(long, global = true, env = "ROLLCALL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, one value on a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    server: Reach,
    #[command(subcommand)]
    command: Option<Command>,
}

/// How to reach the running server. What is not given is taken from the configuration.
#[derive(Debug, Clone, Default, Args)]
struct Reach {
    /// The server's REST interface [default: where the configuration listens].
    #[arg(long, global = true, env = "ROLLCALL_URL", value_name = "URL")]
    url: Option<String>,
    /// The file with its token [default: admin.token in the data folder].
    #[arg(long, global = true, env = "ROLLCALL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The authority of its certificate, PEM [default: the one in the data folder].
    #[arg(long, global = true, env = "ROLLCALL_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop; this is also done without a command.
    Serve,
    /// Check the configuration: print what it means, or everything that is wrong with it.
    Check,
    /// Print who has an address.
    Who(sessions::Who),
    /// Print why an address has its user, or has none.
    Explain(sessions::Who),
    /// List sessions.
    Sessions(sessions::List),
    /// Print who was where, as the journal tells it.
    #[command(subcommand)]
    History(history::History),
    /// Print every change as it happens, and go on after a lost connection.
    Tail(tail::Tail),
    /// List the producers, what became of what they received, and why something was dropped.
    Producers,
    /// List the firewalls that may ask, and how far each of them is.
    EnforcementPoints,
    /// List those who are told without asking, and how far each of them is.
    PushTargets(health::Targets),
    /// List the groups of a user, nested ones included, or tell why a user is in one.
    Groups(groups::Groups),
    /// List the actors, with their mailboxes and restarts.
    Actors,
    /// Let the server read its configuration anew: all of it is put in force, or nothing.
    Reload,
    /// Manage the firewalls that may ask.
    #[command(subcommand)]
    Client(client::Client),
    /// Check the journal on disk, or print what is in it.
    #[command(subcommand)]
    Journal(journal::Journal),
    /// Copy the journal into a file, also while a server writes it.
    Backup(backup::Backup),
    /// Print who would be where if the rules of the given configuration had been in force.
    Replay(replay::Replay),
    /// Handle client secrets.
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Look at directories.
    #[command(subcommand)]
    Directory(directory::Directory),
    /// Look at event logs of Windows.
    #[command(subcommand)]
    Events(events::Events),
    /// Try syslog templates on lines from standard input.
    SyslogTest(syslog_test::SyslogTest),
    /// Print the OpenAPI description of the REST interface.
    Openapi,
}

/// Why a command ended without what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The answer is that there is nothing; it was printed.
    Nothing,
    /// The server, a file or the network refused.
    Request(String),
    /// The command or the configuration is wrong.
    Usage(String),
    /// Whoever read the output has gone, which is no failure.
    Unread,
}

impl Failed {
    /// 0 done, 1 nothing found or request failed, 2 wrong usage or configuration.
    fn exit(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unread => 0,
            Self::Nothing | Self::Request(_) => 1,
            Self::Usage(_) => 2,
        })
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Nothing | Self::Unread => None,
            Self::Request(text) | Self::Usage(text) => Some(text),
        }
    }
}

impl From<Problems> for Failed {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems.to_string())
    }
}

/// Runs the command that `arguments` say, the program's name first.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(answer) => {
            // Help and version come this way, too; whoever closed the pipe does not need them.
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
        }
    };
    let form = if line.json { Form::Json } else { Form::Plain };
    // Not locked: the server logs from other threads. Buffered, for a list of a million lines.
    let mut output = Output::new(Box::new(BufWriter::new(io::stdout())), form);
    let done = dispatch(line, &mut output).and_then(|()| output.flush());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // What was printed so far belongs before the reason why it is not more.
            let _ = output.flush();
            if let Some(text) = failed.text() {
                let _ = writeln!(io::stderr(), "rollcall: {text}");
            }
            failed.exit()
        }
    }
}

fn dispatch(line: CommandLine, output: &mut Output<'_>) -> Result<(), Failed> {
    let CommandLine { config, server: reach, command, .. } = line;
    let server = || server::Server::reach(&reach, config.as_deref());
    match command {
        None | Some(Command::Serve) => crate::serve(config.as_deref()),
        Some(Command::Check) => check::check(config.as_deref(), output),
        Some(Command::Who(who)) => who.who(&server()?, config.as_deref(), output),
        Some(Command::Explain(who)) => who.explain(&server()?, output),
        Some(Command::Sessions(list)) => list.run(&server()?, output),
        Some(Command::History(history)) => history.run(&server()?, output),
        Some(Command::Tail(tail)) => tail.run(&server()?, output),
        Some(Command::Producers) => health::producers(&server()?, output),
        Some(Command::EnforcementPoints) => health::points(&server()?, output),
        Some(Command::PushTargets(targets)) => targets.run(&server()?, output),
        Some(Command::Groups(groups)) => groups.run(&server()?, output),
        Some(Command::Actors) => health::actors(&server()?, output),
        Some(Command::Reload) => health::reload(&server()?, output),
        Some(Command::Client(client)) => client.run(config.as_deref(), &reach, output),
        Some(Command::Journal(journal)) => journal.run(config.as_deref(), output),
        Some(Command::Backup(backup)) => backup.run(config.as_deref(), output),
        Some(Command::Replay(replay)) => replay.run(config.as_deref(), output),
        Some(Command::Secret(secret)) => secret.run(&mut io::stdin().lock(), output),
        Some(Command::Directory(directory)) => directory.run(config.as_deref(), output),
        Some(Command::Events(events)) => events.run(config.as_deref(), output),
        Some(Command::SyslogTest(test)) => {
            test.run(config.as_deref(), &mut io::stdin().lock(), output)
        }
        Some(Command::Openapi) => output.text(&rollcall_http::rest::openapi()),
    }
}

/// Reads the configuration as the server would.
fn settings(config: Option<&std::path::Path>) -> Result<Settings, Problems> {
    rollcall_config::load(config, &Environment::process())
}
