//! Who is told of changes without asking: Juniper Secure Edge, and firewalls in ClearPass mode.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::directory::GroupFilter;
use rollcall_identity::{Filter, Glob, Name};

use crate::leaf::{BaseUrl, Label};
use crate::listener::{certificate_file, key_file};
use crate::section::Section;
use crate::{file, groups};

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the log, the metrics, the answers of REST, and its files in the data folder.
    pub name: Name,
    /// Where it listens: scheme, host and port, without a slash at the end.
    pub url: String,
    /// What its certificate is verified with, PEM.
    pub authorities: PathBuf,
    /// What Rollcall shows of itself: certificate and key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// How long one request may take from its beginning to the end of its answer.
    pub timeout: Duration,
    /// The most changes in one request.
    pub batch: usize,
    /// The pause after a first failure.
    pub first_retry: Duration,
    /// The longest pause.
    pub longest_retry: Duration,
    /// Of whose domains it hears; empty means all.
    pub domains: Vec<Glob>,
    /// The networks it hears of; empty means all.
    pub include: Vec<IpNet>,
    /// The networks it never hears of.
    pub exclude: Vec<IpNet>,
    /// How it is spoken to.
    pub manner: Manner,
}

/// How a target is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// As a cloud service.
    SecureEdge(SecureEdge),
    /// As a firewall in ClearPass mode.
    SrxWebApi(SrxWebApi),
}

/// What belongs to a cloud service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureEdge {
    /// The client id and secret, JSON; made from the onboarding token when it is missing.
    pub credentials: PathBuf,
    /// The token of the first start, which is exchanged for them.
    pub onboarding: Option<PathBuf>,
    /// Whether bodies are compressed.
    pub compression: Compression,
    /// The most batches on their way at once, where the service takes more than one.
    pub in_flight: usize,
    /// How often what it holds is compared with what it should hold.
    pub check: Duration,
}

/// How bodies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// By gzip (RFC 1952).
    Gzip,
    /// As they are.
    Plain,
}

/// What belongs to a firewall in ClearPass mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrxWebApi {
    /// The user of its Web API.
    pub user: String,
    /// The file with the password.
    pub password: PathBuf,
    /// The most entries a second.
    pub rate: u32,
    /// The most roles of a user; the firewall takes 200.
    pub roles: usize,
    /// Which groups of the directory it is told.
    pub groups: GroupFilter,
}

/// What Debian, Ubuntu, Alpine and Arch keep the authorities of the web in.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

const TIMEOUT: Duration = Duration::from_secs(30);

/// A second is long for a server and short for whoever waits; five minutes is how long a target
/// that was down for a day may still be behind when it is back.
const RETRIES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

impl Target {
    /// What it hears of.
    pub fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        filter.domains.clone_from(&self.domains);
        filter.include.clone_from(&self.include);
        filter.exclude.clone_from(&self.exclude);
        filter
    }

    /// Reads the section `push`.
    pub(crate) fn all(section: &Section<'_>, data: &std::path::Path) -> Vec<Self> {
        let folder = data.join("push");
        let mut targets = section.sections("secure_edge", |edge| {
            Self::read(edge, 1000, |edge, name| {
                SecureEdge::read(edge, name, &folder).map(Manner::SecureEdge)
            })
        });
        targets.extend(section.sections("srx_web_api", |srx| {
            Self::read(srx, 100, |srx, _| SrxWebApi::read(srx).map(Manner::SrxWebApi))
        }));
        targets
    }

    fn read(
        section: &Section<'_>,
        batch: usize,
        manner: impl FnOnce(&Section<'_>, &str) -> Option<Manner>,
    ) -> Option<Self> {
        let name = section.required::<Label>("name").map(|label| label.0);
        if let Some(name) = &name {
            section.claim("producer", "name", name.as_str());
        }
        let url = section.required::<BaseUrl>("url").map(|url| url.0);
        let insecure = section.or("insecure", false);
        if url.as_ref().is_some_and(|url| url.starts_with("http:") && !insecure) {
            section.complain("url", "is plain HTTP, on which secrets and users can be read: write https or insecure = true");
        }
        let authorities = certificate_file(section, "authorities");
        let shown = (certificate_file(section, "certificate"), key_file(section, "key"));
        let identity = match shown {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                section.complain("certificate", "and key belong together: one is missing");
                None
            }
        };
        let pauses = Duration::from_millis(10)..=Duration::from_secs(24 * 3600);
        let first_retry = section.within("first_retry", RETRIES.0, pauses.clone());
        let longest_retry = section.within("longest_retry", RETRIES.1, pauses);
        if first_retry > longest_retry {
            section.complain("longest_retry", "is shorter than first_retry");
        }
        let times = Duration::from_millis(100)..=Duration::from_secs(600);
        let timeout = section.within("timeout", TIMEOUT, times);
        let batch = section.within("batch", batch, 1..=10_000);
        let (domains, include, exclude) = section.section("filter", |filter| {
            let domains: Vec<Glob> = filter.list("domains").unwrap_or_default();
            let include: Vec<IpNet> = filter.list("include").unwrap_or_default();
            let exclude: Vec<IpNet> = filter.list("exclude").unwrap_or_default();
            (domains, include, exclude)
        });
        let manner = manner(section, name.as_ref().map_or("", Name::as_str));
        Some(Self {
            name: name?,
            url: url?,
            authorities: authorities.unwrap_or_else(|| PathBuf::from(AUTHORITIES)),
            identity,
            timeout,
            batch,
            first_retry,
            longest_retry,
            domains,
            include,
            exclude,
            manner: manner?,
        })
    }
}

impl SecureEdge {
    fn read(section: &Section<'_>, name: &str, folder: &std::path::Path) -> Option<Self> {
        let credentials = match section.get::<PathBuf>("credentials_file") {
            Some(path) => section.resolve(path),
            None => folder.join(format!("{name}.credentials")),
        };
        let onboarding =
            section.get::<PathBuf>("onboarding_token_file").map(|path| section.resolve(path));
        let check = |path: &PathBuf, key: &str| {
            if let Err(why) = file::secret_text(path) {
                section.complain(key, why);
            }
        };
        match (credentials.exists(), &onboarding) {
            (true, _) => check(&credentials, "credentials_file"),
            // Once it was exchanged, the token may be thrown away.
            (false, Some(token)) => check(token, "onboarding_token_file"),
            (false, None) => section.complain(
                "",
                "has no credentials: write onboarding_token_file, or credentials_file with those there are",
            ),
        }
        let compression =
            if section.or("gzip", true) { Compression::Gzip } else { Compression::Plain };
        // Four of a thousand keep a core busy over a line of 80 ms; each has a thread and a connection.
        let in_flight = section.within("in_flight", 4, 1..=16);
        let often = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);
        let check = section.within("check", Duration::from_secs(24 * 3600), often);
        Some(Self { credentials, onboarding, compression, in_flight, check })
    }
}

impl SrxWebApi {
    fn read(section: &Section<'_>) -> Option<Self> {
        let user = section.required::<String>("user");
        if user.as_ref().is_some_and(|user| user.contains(':') || user.contains(char::is_control)) {
            // RFC 7617 section 2.
            section.complain(
                "user",
                "holds a colon or a control character, which HTTP Basic cannot send",
            );
        }
        let password =
            section.required::<PathBuf>("password_file").map(|path| section.resolve(path));
        if let Some(Err(why)) = password.as_ref().map(|path| file::secret_text(path)) {
            section.complain("password_file", why);
        }
        // An SRX300 keeps up with some hundred entries a second beside its own work.
        let rate = section.within("rate", 200, 1..=100_000);
        let roles = section.within("roles", 200, 0..=200);
        let groups = section.section("groups", groups::read);
        Some(Self { user: user?, password: password?, rate, roles, groups })
    }
}
