//! The `dialect` table: the format of the responses to an enforcement point.

use rollcall_wire::srx::Dialect;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};
use toml::Value;
use toml::de::DeValue;

use crate::scalar::{FromToml, text};
use crate::table_reader::TableReader;

pub(crate) fn from_table(table: &TableReader<'_>) -> Dialect {
    let default = Dialect::default();
    Dialect {
        format: table.get_or("format", SerdeKeyword(default.format)).0,
        user: table.get_or("user", SerdeKeyword(default.user)).0,
        domain: table.get_or("domain", SerdeKeyword(default.domain)).0,
        time: table.get_or("time", SerdeKeyword(default.time)).0,
        miss: table.get_or("no_session", SerdeKeyword(default.miss)).0,
        posture: table.get_or("posture", SerdeKeyword(default.posture)).0,
        query_token: table.get_or("query_token", SerdeKeyword(default.query_token)).0,
        roles: table.in_range("max_roles", default.roles, 0..=1000),
    }
}

/// A unit variant of an enum whose keywords serde derives.
struct SerdeKeyword<T>(T);

impl<T: for<'de> Deserialize<'de> + Serialize> FromToml for SerdeKeyword<T> {
    const EXPECTED: &'static str = "a keyword in quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        // The message of serde is "unknown variant …, expected one of …".
        T::deserialize(deserializer).map(Self).map_err(|error| format!("is an {error}"))
    }

    fn to_toml(&self) -> Value {
        Value::try_from(&self.0).expect("a unit variant serializes as a string")
    }
}
