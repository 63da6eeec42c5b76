//! The `push` tables: push targets. Each dialect has a section of its own, with the keys that all push
//! targets share and the keys of the dialect.

mod dialect_section;
mod secure_edge;
mod srx_web_api;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::{Filter, Glob, Name};

use self::dialect_section::PushSection;
pub use self::dialect_section::{DialectSection, DialectSettings};
pub use self::secure_edge::{Compression, SecureEdge};
pub use self::srx_web_api::SrxWebApi;
use crate::listener::{certificate_file, key_file};
use crate::scalar::{BaseUrl, FileStem};
use crate::session_filter::SessionFilter;
use crate::table_reader::TableReader;

/// The sections of push targets. A new dialect adds a file in `config/push` and one line here.
const SECTIONS: &[PushSection] = &[secure_edge::SECTION, srx_web_api::SECTION];

/// A push target: a system that receives each change as it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct PushTarget {
    /// The name in logs, metrics and the REST API, and of its files in the data folder.
    pub name: Name,
    /// The base URL: scheme, host and port, without a trailing slash.
    pub url: String,
    /// The CAs for its certificate, PEM.
    pub ca: PathBuf,
    /// The client certificate and its private key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The timeout for one request, including its response.
    pub timeout: Duration,
    /// The maximum number of changes per request.
    pub batch_size: usize,
    /// The backoff after the first failure.
    pub initial_backoff: Duration,
    /// The maximum backoff.
    pub max_backoff: Duration,
    /// The domains of the users that it receives; empty means all.
    pub domains: Vec<Glob>,
    /// The networks that it receives; empty means all.
    pub include: Vec<IpNet>,
    /// The networks that it never receives.
    pub exclude: Vec<IpNet>,
    /// The dialect and its settings.
    pub dialect: DialectSection,
}

/// The CA bundle of Debian, Ubuntu, Alpine and Arch.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";

const TIMEOUT: Duration = Duration::from_secs(30);

/// The default initial and maximum backoff. After a long outage, a target is behind by at most the
/// maximum when it is reachable again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

impl PushTarget {
    /// The filter for changes.
    pub fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        filter.domains.clone_from(&self.domains);
        filter.include.clone_from(&self.include);
        filter.exclude.clone_from(&self.exclude);
        filter
    }

    /// The names of all sections of push targets.
    pub fn sections() -> impl Iterator<Item = &'static str> {
        SECTIONS.iter().map(|section| section.name)
    }

    /// Reads the `push` table.
    pub(crate) fn from_tables(table: &TableReader<'_>, data: &Path) -> Vec<Self> {
        let folder = data.join("push");
        let targets = |section: &PushSection| {
            table.subtables(section.name, |target| Self::from_table(target, section, &folder))
        };
        SECTIONS.iter().flat_map(targets).collect()
    }

    fn from_table(table: &TableReader<'_>, section: &PushSection, folder: &Path) -> Option<Self> {
        let name = table.required::<FileStem>("name").map(|name| name.0);
        if let Some(name) = &name {
            table.unique("producer", "name", name.as_str());
        }
        let url = table.required::<BaseUrl>("url").map(|url| url.0);
        let insecure = table.get_or("insecure", false);
        if url.as_ref().is_some_and(|url| url.starts_with("http:") && !insecure) {
            let message = "is plain HTTP, which exposes secrets and user names on the network; write \
                           https, or set insecure = true";
            table.error_at("url", message);
        }
        let ca = certificate_file(table, "ca");
        let pair = (certificate_file(table, "certificate"), key_file(table, "key"));
        let identity = match pair {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                table.error_at("certificate", "and key must be set together, but one is missing");
                None
            }
        };
        let backoffs = Duration::from_millis(10)..=Duration::from_secs(24 * 3600);
        let first_retry = table.in_range("initial_backoff", BACKOFF.0, backoffs.clone());
        let longest_retry = table.in_range("max_backoff", BACKOFF.1, backoffs);
        if first_retry > longest_retry {
            table.error_at("max_backoff", "is shorter than initial_backoff");
        }
        let timeouts = Duration::from_millis(100)..=Duration::from_secs(600);
        let timeout = table.in_range("timeout", TIMEOUT, timeouts);
        let batch = table.in_range("batch_size", section.batch_size, 1..=10_000);
        let filter = table.subtable("filter", SessionFilter::from_table);
        let dialect = (section.read)(table, name.as_ref().map_or("", Name::as_str), folder);
        Some(Self {
            name: name?,
            url: url?,
            ca: ca.unwrap_or_else(|| PathBuf::from(SYSTEM_CAS)),
            identity,
            timeout,
            batch_size: batch,
            initial_backoff: first_retry,
            max_backoff: longest_retry,
            domains: filter.domains,
            include: filter.include,
            exclude: filter.exclude,
            dialect: dialect?,
        })
    }
}
