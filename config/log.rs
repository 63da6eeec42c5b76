//! The `log` table: format and level of the log on standard error.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::scalar::keyword_enum;
use crate::table_reader::TableReader;

/// The settings of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// The format of a line.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// The format of a log line.
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
pub enum LogFormat {
    /// Human-readable text.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

keyword_enum!(LogFormat: "\"text\" or \"json\"");

/// The level of a log line, most severe first.
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
pub enum LogLevel {
    /// Defects of Rollcall.
    Error,
    /// Conditions that an operator can fix.
    Warn,
    /// State changes of producers, listeners and firewalls.
    #[default]
    Info,
    /// Connections and requests.
    Debug,
    /// Single events.
    Trace,
}

keyword_enum!(LogLevel: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"");

impl LogFormat {
    /// The keyword of the configuration, for example `json`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl LogLevel {
    /// The keyword of the configuration, for example `info`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl LogSettings {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        Self {
            format: table.get_or("format", LogFormat::default()),
            level: table.get_or("level", LogLevel::default()),
        }
    }
}
