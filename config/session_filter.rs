//! The `filter` table: which sessions an enforcement point or a push target receives.

use ipnet::IpNet;
use rollcall_identity::Glob;

use crate::table_reader::TableReader;

/// Filters by domain and network.
#[derive(Debug, Default)]
pub(crate) struct SessionFilter {
    /// The domains of the users; empty means all.
    pub(crate) domains: Vec<Glob>,
    /// The networks; empty means all.
    pub(crate) include: Vec<IpNet>,
    /// Networks that are never included.
    pub(crate) exclude: Vec<IpNet>,
}

impl SessionFilter {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        Self {
            domains: table.list("domains").unwrap_or_default(),
            include: table.list("include").unwrap_or_default(),
            exclude: table.list("exclude").unwrap_or_default(),
        }
    }
}
