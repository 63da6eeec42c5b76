//! The configuration of Rollcall: one TOML file, validated as a whole before any listener is bound.
//!
//! ```text
//! rollcall.toml ──┐                                             ┌─ Ok(Settings)
//! clients.toml ───┼─► TableReader ─► from_table of each part ───┤
//! templates ──────┘                                             └─ Err(ConfigErrors): all errors
//! ```
//!
//! Without a file, [`REFERENCE`] applies: the reference of all keys is also the embedded default.
//!
//! Dependencies between the files: `load` → `settings` → the parts → `table_reader` → `scalar`. Each
//! part and each enum parses itself, so that `table_reader` and `scalar` know none of them.

mod account;
mod authority;
mod change_log;
mod clients_file;
mod dialect;
mod did_you_mean;
mod enforcement;
mod environment;
mod file;
mod groups;
mod journal;
mod listener;
mod load;
mod load_context;
mod log;
mod problem;
mod producers;
mod push;
mod reference;
mod renamed_keys;
mod rest;
mod rules;
mod scalar;
mod secret;
mod session_filter;
mod settings;
mod shipped_templates;
mod socket;
mod source_file;
mod syslog_template;
mod table_reader;
#[cfg(test)]
mod tests;
mod token_auth;
mod validator;

pub use account::ServiceAccount;
pub use change_log::ChangeLogLimits;
pub use clients_file::{
    AddPointError, CLIENTS_FILE, NewEnforcementPoint, PushGrants, add_point, grant_push,
};
pub use enforcement::{Enforcement, EnforcementPoint};
pub use environment::Environment;
pub use journal::{Journal, JournalStorage};
pub use listener::{HttpLimits, Tls};
pub use load::load;
pub use log::{LogFormat, LogLevel, LogSettings};
pub use problem::{ConfigError, ConfigErrors};
pub use producers::active_directory::{
    ActiveDirectory, BindMethod, ChangeTracking, DirectoryLimits, DirectoryTransport, SessionPolicy,
};
pub use producers::event_log::{
    EndpointMapperAuth, EventLog, EventLogAuth, EventLogLimits, EventLogSource,
};
pub use producers::ptim::{Ptim, PtimClient};
pub use producers::syslog::{
    EventTimeSource, LookupTable, LookupTables, Syslog, SyslogClient, SyslogLimits, SyslogTls,
};
pub use push::{Compression, DialectSection, DialectSettings, PushTarget, SecureEdge, SrxWebApi};
pub use reference::{REFERENCE, reference_markdown};
pub use rest::Rest;
pub use scalar::CertificatePin;
pub use secret::{Secret, SecretHash, SecretHashError};
pub use settings::Settings;
pub use shipped_templates::SHIPPED_TEMPLATES;
pub use syslog_template::SyslogTemplate;
pub use token_auth::Lockout;
pub use validator::{Validator, ValidatorClient};
