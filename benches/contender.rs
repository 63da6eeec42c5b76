//! The programs that are measured, each started on loopback: Rollcall, a receiver that only counts, and
//! the usual alternative: rsyslog, which parses the lines with liblognorm or regular expressions and
//! writes to Redis.

mod bare;
mod rollcall;
mod rsyslog;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::rollcall::Rollcall;

use self::rsyslog::{Extraction, Rsyslog};

/// Where programs are, and where files may be written.
#[derive(Debug, Clone)]
pub struct Stand {
    /// The `rollcall` program.
    pub server: PathBuf,
    /// This program.
    pub load: PathBuf,
}

/// All of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts datagrams and lines.
    Bare,
    /// Rollcall with its shipped templates.
    Rollcall,
    /// The same with its journal in memory, so that nothing survives.
    Volatile,
    /// rsyslog with liblognorm, and Redis.
    Rsyslog,
    /// rsyslog with regular expressions, and Redis.
    RsyslogRegex,
}

/// One of them, running.
pub trait Contender {
    /// Where it receives, UDP and TCP on one port.
    fn listens(&self) -> SocketAddr;

    /// How many lines have gone all the way: a session that can be asked for, a key in Redis, or,
    /// for lines without an event, thrown away and counted.
    fn through(&mut self) -> io::Result<u64>;

    /// The processor time of all its processes so far.
    fn processor_time(&self) -> io::Result<Duration>;
}

impl Kind {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare receiver",
            Self::Rollcall => "Rollcall",
            Self::Volatile => "Rollcall, journal in memory",
            Self::Rsyslog => "rsyslog + Redis",
            Self::RsyslogRegex => "rsyslog by regex + Redis",
        }
    }

    /// Starts it, and waits until it listens.
    pub fn start(self, stand: &Stand) -> io::Result<Box<dyn Contender>> {
        Ok(match self {
            Self::Bare => Box::new(bare::Bare::start(stand)?),
            Self::Rollcall => Box::new(Rollcall::start(stand)?),
            Self::Volatile => {
                Box::new(Rollcall::start_with(stand, "\n[journal]\nstorage = \"memory\"\n")?)
            }
            Self::Rsyslog => Box::new(Rsyslog::start(Extraction::Liblognorm)?),
            Self::RsyslogRegex => Box::new(Rsyslog::start(Extraction::Regex)?),
        })
    }
}
