//! Measures Rollcall on loopback and compares it with a bare receiver and with rsyslog and Redis; prints
//! the table of docs/performance.md. `benches/run` builds and starts it.

mod asking;
mod contender;
mod directory;
mod durable;
mod edge;
mod events;
mod firewall;
mod guessing;
mod history;
mod http;
mod line;
mod micro;
mod outcome;
mod process;
mod receiver;
mod sender;
mod suite;
mod table;
mod throughput;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use contender::Stand;
use outcome::Outcomes;
use suite::Suite;
use table::Table;

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, and print the table.
    Measure(Measure),
    /// Count datagrams and lines at ADDRESS, UDP and TCP, until standard input ends.
    Receive {
        /// Where to listen.
        address: SocketAddr,
    },
    /// Hold a large directory in memory, a step for each line of standard input.
    HoldDirectory {
        /// How many different sets of groups users are in.
        sets: u32,
    },
}

#[derive(clap::Args)]
struct Measure {
    /// The `rollcall` program.
    #[arg(long)]
    server: PathBuf,
    /// The number of runs.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
    /// The number of sessions of the large table.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=5_000_000))]
    sessions: u32,
    /// Measure only these parts.
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One line, one decision, one report: processor time.
    Micro,
    /// A directory of 100,000 users in 5,000 groups: memory and ingest.
    Directory,
    /// Windows event logs: decoding records, and following domain controllers.
    Events,
    /// Lines per second by UDP.
    Udp,
    /// Lines per second by TCP, events per second by HTTPS.
    Stream,
    /// A million sessions: memory, reading all of them, IP queries.
    Sessions,
    /// The cost of durable commits, and the time of a start after a kill.
    Journal,
    /// Wrong secrets: timing, and the effect on other clients.
    Secrets,
    /// History queries, over ten times as many events as sessions.
    History,
    /// All sessions pushed to a Secure Edge.
    Push,
    /// Propagation latency at half load, with polling firewalls.
    Visible,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Receive { address } => receiver::serve(address),
        Command::HoldDirectory { sets } => directory::hold(sets),
        Command::Measure(asked) => measure(asked),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(asked: Measure) -> io::Result<()> {
    let stand = Stand { server: asked.server, load: std::env::current_exe()? };
    let (mut table, mut outcomes) = (Table::default(), Outcomes::default());
    let sessions = asked.sessions;
    for run in 1..=asked.runs {
        eprintln!("run {run} of {}", asked.runs);
        let mut suite =
            Suite { stand: &stand, table: &mut table, outcomes: &mut outcomes, sessions };
        let wanted = |part: &&Part| asked.only.is_empty() || asked.only.contains(part);
        for part in Part::value_variants().iter().filter(wanted) {
            suite.measure(*part);
        }
    }
    println!("{table}\n{outcomes}");
    match outcomes.has_failures() {
        true => Err(io::Error::other("not everything could be measured, see above")),
        false => Ok(()),
    }
}
