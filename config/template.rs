//! A syslog template as a setting: a name, and a text that is known to be good.

use std::sync::Arc;

use rollcall_identity::Name;

/// How one kind of line is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name, the `name` in its file.
    pub name: Name,
    /// The file.
    pub text: Arc<str>,
}
