//! The whole configuration as it is meant.

use std::path::PathBuf;
use std::time::Duration;

use rollcall_identity::Rules;

use crate::{Enforcement, History, Log, Ptim, Rest, Syslog};

/// Everything that Rollcall is configured with. Sections compare, so that a reload restarts only
/// what changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The folder of everything that Rollcall writes.
    pub data: PathBuf,
    /// How long a stopping server may take to finish what it holds.
    pub drain: Duration,
    /// The rules in force, with what every syslog client and every pusher may speak for.
    pub rules: Rules,
    /// How long ended sessions are remembered.
    pub history: History,
    /// The syslog producers.
    pub syslog: Vec<Syslog>,
    /// The pushing producer.
    pub ptim: Ptim,
    /// The listener of the firewalls.
    pub enforcement: Enforcement,
    /// The listener of the administrators.
    pub rest: Rest,
    /// The log.
    pub log: Log,
}
