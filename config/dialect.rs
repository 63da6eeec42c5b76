//! How an enforcement point is answered, as it is written beside it.

use rollcall_wire::srx::Dialect;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use toml::de::DeValue;

use crate::leaf::{Leaf, text};
use crate::section::Section;

/// Reads a `dialect` section.
pub(crate) fn read(section: &Section<'_>) -> Dialect {
    let default = Dialect::default();
    Dialect {
        format: section.get("format").map_or(default.format, |Word(format)| format),
        user: section.get("user").map_or(default.user, |Word(user)| user),
        domain: section.get("domain").map_or(default.domain, |Word(domain)| domain),
        time: section.get("time").map_or(default.time, |Word(time)| time),
        miss: section.get("miss").map_or(default.miss, |Word(miss)| miss),
        posture: section.get("posture").map_or(default.posture, |Word(posture)| posture),
        query_token: section.get("query_token").map_or(default.query_token, |Word(token)| token),
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
