//! What every actor runs on: supervisor, mailboxes, clock, TLS, metrics and event accounting.
//!
//! This crate knows nothing of events, sessions or firewalls beyond the values it counts. Every
//! other crate below `actors/` depends on it, and it depends on none of them.

mod actor_handle;
pub mod actor_metrics;
pub mod backoff;
pub mod clock;
pub mod clock_jump;
pub mod event_accounting;
pub mod event_counts;
pub mod log_rate_limit;
pub mod mailbox;
pub mod metric;
pub mod metrics;
pub mod prometheus;
pub mod status_cell;
pub mod supervisor;
pub mod telemetry;
pub mod thread_priority;
pub mod tls;
