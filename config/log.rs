//! What Rollcall writes about itself.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::section::Section;

/// The log, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    /// How a line looks.
    pub format: Format,
    /// The least important lines that are still written.
    pub level: Level,
}

/// How a line of the log looks.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The importance of a line of the log.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Level {
    /// What the makers of Rollcall must fix.
    Error,
    /// What an operator can fix.
    Warn,
    /// The life of producers, listeners and firewalls.
    #[default]
    Info,
    /// Connections and requests.
    Debug,
    /// Single events.
    Trace,
}

impl Format {
    /// The word of the configuration, for instance `json`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Level {
    /// The word of the configuration, for instance `info`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Log {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        Self {
            format: section.or("format", Format::default()),
            level: section.or("level", Level::default()),
        }
    }
}
