//! The command line: runs the server, validates a configuration, and queries a running server.

mod backup;
mod check;
mod client;
mod event_log;
mod groups;
mod history;
mod journal;
mod output;
mod push;
mod rules;
mod secret;
mod server;
mod session_text;
mod sessions;
mod status;
mod test;
#[cfg(test)]
mod tests;
mod watch;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rollcall_config::{ConfigErrors, Environment, Settings};

use self::output::{Output, OutputFormat};

/// The user identity service for firewalls.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, propagate_version = true)]
struct CommandLine {
    /// Configuration file [default: the embedded default].
    #[arg(long, global = true, env = "ROLLCALL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, one value per line.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    server: ServerOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

/// How to connect to the running server. Defaults come from the configuration.
#[derive(Debug, Clone, Default, Args)]
struct ServerOptions {
    /// URL of the REST API [default: the REST listener of the configuration].
    #[arg(long, global = true, env = "ROLLCALL_URL", value_name = "URL")]
    url: Option<String>,
    /// File with the bearer token [default: admin.token in the data folder].
    #[arg(long, global = true, env = "ROLLCALL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// CA of the server's certificate, PEM [default: the built-in CA in the data folder].
    #[arg(long, global = true, env = "ROLLCALL_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server. This is the default command.
    Serve,
    /// Validate the configuration and print it with all defaults, or print all errors.
    Check,
    /// Print the session of an address.
    Lookup(sessions::AddressArgs),
    /// Explain why an address has its session, or why it has none.
    Explain(sessions::AddressArgs),
    /// List sessions.
    Sessions(sessions::List),
    /// Query past sessions in the journal.
    #[command(subcommand)]
    History(history::History),
    /// Print each change of a session as it happens.
    Watch(watch::Watch),
    /// Print the status of a part of the server.
    #[command(subcommand)]
    Status(status::Status),
    /// List the groups of a user, including nested groups.
    Groups(groups::Groups),
    /// Reload the configuration of the server. An invalid configuration changes nothing.
    Reload,
    /// Manage enforcement points.
    #[command(subcommand)]
    Client(client::Client),
    /// Verify or resync push targets.
    #[command(subcommand)]
    Push(push::Push),
    /// Verify or export the journal.
    #[command(subcommand)]
    Journal(journal::Journal),
    /// Back up the journal to a file, while the server runs or not.
    Backup(backup::Backup),
    /// Evaluate rules.
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Hash secrets.
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Test connections and syslog templates.
    #[command(subcommand)]
    Test(test::Test),
    /// Process recorded Windows event logs.
    #[command(subcommand)]
    EventLog(event_log::EventLog),
    /// Print the OpenAPI description of the REST API.
    Openapi,
}

/// Why a command ended without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandError {
    /// The result is empty. It was printed.
    NotFound,
    /// The server, a file or the network failed.
    Request(String),
    /// The arguments or the configuration are invalid.
    Usage(String),
    /// The reader of standard output closed it. This is not a failure.
    OutputClosed,
}

impl CommandError {
    /// 0 success, 1 nothing found or request failed, 2 invalid arguments or configuration.
    fn exit(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::OutputClosed => 0,
            Self::NotFound | Self::Request(_) => 1,
            Self::Usage(_) => 2,
        })
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::NotFound | Self::OutputClosed => None,
            Self::Request(text) | Self::Usage(text) => Some(text),
        }
    }
}

impl From<ConfigErrors> for CommandError {
    fn from(problems: ConfigErrors) -> Self {
        Self::Usage(problems.to_string())
    }
}

/// Runs the command in `arguments`, which begin with the program name.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(answer) => {
            // Help and version arrive here, too. A closed pipe is not an error.
            let _ = answer.print();
            return ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2));
        }
    };
    let format = if line.json { OutputFormat::Json } else { OutputFormat::Text };
    // Not locked, because the server logs from other threads. Buffered for long lists.
    let mut output = Output::new(Box::new(BufWriter::new(io::stdout())), format);
    let done = dispatch(line, &mut output).and_then(|()| output.flush());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // Partial output precedes the error message.
            let _ = output.flush();
            if let Some(text) = failed.text() {
                let _ = writeln!(io::stderr(), "rollcall: {text}");
            }
            failed.exit()
        }
    }
}

fn dispatch(line: CommandLine, output: &mut Output<'_>) -> Result<(), CommandError> {
    let CommandLine { config, server: options, command, .. } = line;
    let server = || server::Server::connect(&options, config.as_deref());
    match command {
        None | Some(Command::Serve) => crate::serve(config.as_deref()),
        Some(Command::Check) => check::check(config.as_deref(), output),
        Some(Command::Lookup(args)) => args.lookup(&server()?, config.as_deref(), output),
        Some(Command::Explain(args)) => args.explain(&server()?, output),
        Some(Command::Sessions(list)) => list.run(&server()?, output),
        Some(Command::History(history)) => history.run(&server()?, output),
        Some(Command::Watch(watch)) => watch.run(&server()?, output),
        Some(Command::Status(status)) => status.run(&server()?, output),
        Some(Command::Groups(groups)) => groups.run(&server()?, output),
        Some(Command::Reload) => status::reload(&server()?, output),
        Some(Command::Client(client)) => client.run(config.as_deref(), &options, output),
        Some(Command::Push(push)) => push.run(&server()?, output),
        Some(Command::Journal(journal)) => journal.run(config.as_deref(), output),
        Some(Command::Backup(backup)) => backup.run(config.as_deref(), output),
        Some(Command::Rules(rules)) => rules.run(config.as_deref(), output),
        Some(Command::Secret(secret)) => secret.run(&mut io::stdin().lock(), output),
        Some(Command::Test(test)) => test.run(config.as_deref(), output),
        Some(Command::EventLog(event_log)) => event_log.run(config.as_deref(), output),
        Some(Command::Openapi) => output.text(&rollcall_http::rest::openapi()),
    }
}

/// Loads the configuration as the server does.
fn settings(config: Option<&std::path::Path>) -> Result<Settings, ConfigErrors> {
    rollcall_config::load(config, &Environment::process())
}
