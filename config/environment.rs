//! The environment of a configuration: environment variables and the local time zone.

use std::fmt;

use jiff::tz::TimeZone;

/// Returns the value of an environment variable; `None` if it is not set.
type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Everything outside of the configuration files that its values depend on.
pub struct Environment {
    variables: Variables,
    local_zone: TimeZone,
}

impl Environment {
    /// The variables of this process and the time zone of this machine.
    pub fn process() -> Self {
        Self::new(|name| std::env::var(name).ok(), TimeZone::system())
    }

    /// An environment with the given variables and the given local time zone.
    pub fn new(
        variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        local_zone: TimeZone,
    ) -> Self {
        Self { variables: Box::new(variables), local_zone }
    }

    /// The value of the variable `name`; `None` if it is not set.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }

    /// The zone of `zone = "local"`.
    pub(crate) fn local_zone(&self) -> &TimeZone {
        &self.local_zone
    }
}

impl fmt::Debug for Environment {
    /// Prints the zone only, because variables can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("local_zone", &self.local_zone).finish_non_exhaustive()
    }
}
