//! How an enforcement point is answered, as it is written beside it.

use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use crate::leaf::{Leaf, text};
use crate::section::Section;

/// The spelling of answers. The default is what is likeliest for an SRX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dialect {
    /// The encoding of the body.
    pub format: AnswerFormat,
    /// How a user is written.
    pub user: UserForm,
    /// How times are written.
    pub time: TimeForm,
    /// How it is said that nobody is at an address.
    pub miss: Miss,
    /// The most roles in one report. The SRX takes 200 of a user.
    pub roles: usize,
}

/// The encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// JSON with the field names of JIMS.
    #[default]
    Json,
    /// XML in the model of the SRX's Web API.
    Xml,
}

/// How a user is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserForm {
    /// `alice`
    #[default]
    Bare,
    /// `corp.example.com\alice`
    DownLevel,
    /// `alice@corp.example.com`
    UserAtDomain,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    /// `2026-11-21T19:50:32.353Z` (RFC 3339)
    #[default]
    Rfc3339,
    /// Whole seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
}

/// The answer about an address where nobody is. For the SRX all of them mean: unknown user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// 200 without a report.
    #[default]
    Empty,
    /// 200 with one report of the null user.
    NullUser,
    /// 404 without a report.
    NotFound,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: AnswerFormat::default(),
            user: UserForm::default(),
            time: TimeForm::default(),
            miss: Miss::default(),
            roles: 200,
        }
    }
}

/// Reads a `dialect` section.
pub(crate) fn read(section: &Section<'_>) -> Dialect {
    let default = Dialect::default();
    Dialect {
        format: section.get("format").map_or(default.format, |Word(format)| format),
        user: section.get("user").map_or(default.user, |Word(user)| user),
        time: section.get("time").map_or(default.time, |Word(time)| time),
        miss: section.get("miss").map_or(default.miss, |Word(miss)| miss),
        roles: section.within("roles", default.roles, 0..=1000),
    }
}

/// A word of a closed set that serde knows.
struct Word<T>(T);

impl<T: for<'de> Deserialize<'de>> Leaf for Word<T> {
    const EXPECTED: &'static str = "a word in quotes";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        // serde names the words that there are.
        let unknown = |why: Error| format!("is an {why}");
        T::deserialize(deserializer).map(Self).map_err(unknown)
    }
}
