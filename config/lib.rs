//! What an administrator writes, and what it means: one file of configuration, read and checked
//! as a whole before anything listens.
//!
//! ```text
//! rollcall.toml ──┐                                        ┌─ Ok(Settings): what actors are built from
//! clients.toml ───┼─► Section (as written) ─► load ────────┤
//! templates ──────┘    every problem is kept, none stops   └─ Err(Problems): all of them, with file and key
//! ```
//!
//! Without a file, [`REFERENCE`] is in force: the embedded default is the reference itself.

mod account;
mod authority;
mod clients_file;
mod describe;
mod dialect;
mod enforcement;
mod file;
mod groups;
mod history;
mod journal;
mod leaf;
mod listener;
mod log;
mod nearest;
mod problem;
mod producers;
mod push;
mod reading;
mod reference;
mod rest;
mod rules;
mod secret;
mod section;
mod settings;
mod syslog;
mod template;
#[cfg(test)]
mod tests;
mod validator;

pub use account::ServiceAccount;
pub use clients_file::{CLIENTS_FILE, NewPoint, NotAdded, add_point};
pub use enforcement::{Enforcement, Lockout, Point};
pub use history::History;
pub use journal::{Journal, JournalKind};
pub use leaf::CertificatePin;
pub use listener::{HttpLimits, Tls};
pub use log::{Format, Level, Log};
pub use problem::{Problem, Problems};
pub use producers::active_directory::{
    ActiveDirectory, Bind, Changes, DirectoryLimits, Sessions, Transport as DirectoryTransport,
};
pub use producers::event_log::{Auth, EventLog, EventLogLimits, EventLogSource, Mapper};
pub use producers::ptim::{Ptim, Pusher};
pub use producers::syslog::{
    SenderTime, Syslog, SyslogClient, SyslogLimits, SyslogTls, ValueMap, ValueMaps,
};
pub use push::{Compression, Manner, SecureEdge, SrxWebApi, Target};
pub use reading::Environment;
pub use reference::{REFERENCE, reference_markdown};
pub use rest::Rest;
pub use secret::{BadSecret, Secret, SecretHash};
pub use settings::{Settings, load};
pub use syslog::SHIPPED;
pub use template::Template;
pub use validator::{Validator, ValidatorClient};
