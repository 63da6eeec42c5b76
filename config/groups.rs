//! The `groups` table: which directory groups a firewall receives.

use rollcall_identity::directory::{BaseDn, GroupFilter};
use toml::Value;
use toml::de::DeValue;

use crate::scalar::{FromToml, invalid, text};
use crate::table_reader::TableReader;

pub(crate) fn from_table(table: &TableReader<'_>) -> GroupFilter {
    let default = GroupFilter::default();
    GroupFilter {
        names: table.list("names").unwrap_or_default(),
        bases: table.list("bases").unwrap_or_default(),
        limit: table.in_range("max_groups", default.limit, 0..=1000),
    }
}

impl FromToml for BaseDn {
    const EXPECTED: &'static str =
        "a distinguished name in quotes, such as OU=VPN,DC=corp,DC=example,DC=com";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        Self::new(text).map_err(|_| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        self.to_string().into()
    }
}
