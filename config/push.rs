//! The `push` tables: push targets, which are Juniper Secure Edge and SRX firewalls in ClearPass mode.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::directory::GroupFilter;
use rollcall_identity::{Filter, Glob, Name};

use crate::listener::{certificate_file, key_file};
use crate::scalar::{BaseUrl, FileStem};
use crate::session_filter::SessionFilter;
use crate::table_reader::TableReader;
use crate::{file, groups};

/// A push target: a system that receives each change as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTarget {
    /// The name in logs, metrics and the REST API, and of its files in the data folder.
    pub name: Name,
    /// The base URL: scheme, host and port, without a trailing slash.
    pub url: String,
    /// The CAs for its certificate, PEM.
    pub authorities: PathBuf,
    /// The client certificate and its private key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The timeout for one request, including its response.
    pub timeout: Duration,
    /// The maximum number of changes per request.
    pub batch: usize,
    /// The backoff after the first failure.
    pub first_retry: Duration,
    /// The maximum backoff.
    pub longest_retry: Duration,
    /// The domains of the users that it receives; empty means all.
    pub domains: Vec<Glob>,
    /// The networks that it receives; empty means all.
    pub include: Vec<IpNet>,
    /// The networks that it never receives.
    pub exclude: Vec<IpNet>,
    /// The protocol and its settings.
    pub protocol: PushProtocol,
}

/// The protocol of a push target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushProtocol {
    /// The Secure Edge API.
    SecureEdge(SecureEdge),
    /// The Web API of an SRX in ClearPass mode.
    SrxWebApi(SrxWebApi),
}

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

    /// Reads the `push` table.
    pub(crate) fn from_tables(table: &TableReader<'_>, data: &Path) -> Vec<Self> {
        let folder = data.join("push");
        let mut targets = table.subtables("secure_edge", |edge| {
            Self::from_table(edge, 1000, |edge, name| {
                SecureEdge::from_table(edge, name, &folder).map(PushProtocol::SecureEdge)
            })
        });
        targets.extend(table.subtables("srx_web_api", |srx| {
            Self::from_table(srx, 100, |srx, _| {
                SrxWebApi::from_table(srx).map(PushProtocol::SrxWebApi)
            })
        }));
        targets
    }

    fn from_table(
        table: &TableReader<'_>,
        batch: usize,
        protocol: impl FnOnce(&TableReader<'_>, &str) -> Option<PushProtocol>,
    ) -> Option<Self> {
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
        let batch = table.in_range("batch_size", batch, 1..=10_000);
        let filter = table.subtable("filter", SessionFilter::from_table);
        let protocol = protocol(table, name.as_ref().map_or("", Name::as_str));
        Some(Self {
            name: name?,
            url: url?,
            authorities: ca.unwrap_or_else(|| PathBuf::from(SYSTEM_CAS)),
            identity,
            timeout,
            batch,
            first_retry,
            longest_retry,
            domains: filter.domains,
            include: filter.include,
            exclude: filter.exclude,
            protocol: protocol?,
        })
    }
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
