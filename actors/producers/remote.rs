//! What producers that connect to remote systems have in common.
//!
//! ```text
//! resolve ─► connect ─► authenticate ─► follow ─► failure
//!    ▲                       │                       │ classify
//!    └───── backoff ◄────────┼───────────────────────┤
//!                            └─ refused: one pause ◄─┘ for all connections of the account
//! ```
//!
//! A producer implements `RemoteReader`; `follow` repeats its connections. [`AccountGuard`] bounds
//! the attempts to authenticate, so that a wrong password does not lock the account.

mod account;
mod connect;
mod failure;
mod follow;
mod resolver;
mod telemetry;
mod test_report;

pub use self::account::{AccountGuard, AccountRefused};
pub(crate) use self::account::{AuthAttempt, RemoteAccount};
pub(crate) use self::connect::connect;
pub use self::failure::{FailureClass, FailureStage, LastFailure, RemoteError};
pub(crate) use self::follow::{RemoteReader, follow};
pub use self::resolver::ResolveError;
pub(crate) use self::resolver::Resolver;
pub use self::test_report::TestReport;
