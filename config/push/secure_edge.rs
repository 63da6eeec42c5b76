//! The `push.secure_edge` tables: targets with the Secure Edge API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dialect_section::{DialectSection, DialectSettings, PushSection};
use crate::file;
use crate::table_reader::TableReader;

/// The registration of the section.
pub(super) const SECTION: PushSection = PushSection {
    name: SecureEdge::SECTION,
    batch_size: 1000,
    read: |table, name, folder| {
        SecureEdge::from_table(table, name, folder).map(DialectSection::new)
    },
};

/// The settings for Secure Edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureEdge {
    /// The file with client ID and secret, JSON. It is created with the onboarding token if it does
    /// not exist.
    pub credentials: PathBuf,
    /// The file with the onboarding token, which the first start exchanges for credentials.
    pub onboarding: Option<PathBuf>,
    /// The compression of request bodies.
    pub compression: Compression,
    /// The maximum number of concurrent requests, if the service supports more than one.
    pub in_flight: usize,
    /// The interval between verifications of its content.
    pub check: Duration,
}

/// The compression of request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
    /// No compression.
    Plain,
}

impl DialectSettings for SecureEdge {
    const SECTION: &'static str = "secure_edge";
}

impl SecureEdge {
    fn from_table(table: &TableReader<'_>, name: &str, folder: &Path) -> Option<Self> {
        let default = folder.join(format!("{name}.credentials"));
        let credentials = table.file_path_or("credentials_file", default);
        let onboarding = table.file_path("onboarding_token_file");
        let check = |path: &PathBuf, key: &str| {
            if let Err(error) = file::secret_text(path) {
                table.error_at(key, error);
            }
        };
        match (credentials.exists(), &onboarding) {
            (true, _) => check(&credentials, "credentials_file"),
            // After the exchange, the token file is not needed.
            (false, Some(token)) => check(token, "onboarding_token_file"),
            (false, None) => table.error_at(
                "",
                "has no credentials: set onboarding_token_file, or credentials_file with existing \
                 credentials",
            ),
        }
        let compression =
            if table.get_or("gzip", true) { Compression::Gzip } else { Compression::Plain };
        // Four requests with 1,000 changes each keep one core busy at a round-trip time of 80 ms. Each
        // request has a thread and a connection.
        let in_flight = table.in_range("max_in_flight", 4, 1..=16);
        let intervals = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);
        let check = table.in_range("verify_interval", Duration::from_secs(24 * 3600), intervals);
        Some(Self { credentials, onboarding, compression, in_flight, check })
    }
}
