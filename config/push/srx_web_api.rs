//! The `push.srx_web_api` tables: SRX firewalls in ClearPass mode.

use std::path::PathBuf;

use rollcall_identity::directory::GroupFilter;

use super::dialect_section::{DialectSection, DialectSettings, PushSection};
use crate::table_reader::TableReader;
use crate::{file, groups};

/// The registration of the section.
pub(super) const SECTION: PushSection = PushSection {
    name: SrxWebApi::SECTION,
    batch_size: 100,
    read: |table, _, _| SrxWebApi::from_table(table).map(DialectSection::new),
};

/// The settings for an SRX in ClearPass mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrxWebApi {
    /// The user name for the Web API.
    pub user: String,
    /// The file with the password.
    pub password: PathBuf,
    /// The maximum number of entries per second.
    pub rate: u32,
    /// The maximum number of roles per user. The firewall accepts 200.
    pub roles: usize,
    /// The directory groups that it receives.
    pub groups: GroupFilter,
}

impl DialectSettings for SrxWebApi {
    const SECTION: &'static str = "srx_web_api";
}

impl SrxWebApi {
    fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let user = table.required::<String>("user");
        if user.as_ref().is_some_and(|user| user.contains(':') || user.contains(char::is_control)) {
            // RFC 7617 section 2.
            table.error_at(
                "user",
                "contains a colon or a control character, which HTTP Basic cannot transmit",
            );
        }
        let password = table.required::<PathBuf>("password_file");
        let password = password.and_then(|_| table.file_path("password_file"));
        if let Some(Err(error)) = password.as_ref().map(|path| file::secret_text(path)) {
            table.error_at("password_file", error);
        }
        // An SRX300 processes a few hundred entries per second besides its other work.
        let rate = table.in_range("entries_per_second", 200, 1..=100_000);
        let roles = table.in_range("max_roles", 200, 0..=200);
        let groups = table.subtable("groups", groups::from_table);
        Some(Self { user: user?, password: password?, rate, roles, groups })
    }
}
