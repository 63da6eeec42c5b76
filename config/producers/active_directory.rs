//! The `active_directory` tables: domains, their domain controllers, authentication, synchronization.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rollcall_identity::Name;

use crate::account::{CREDENTIAL_RETRY, DEFAULT_CREDENTIAL_RETRY, ServiceAccount};
use crate::listener::certificate_file;
use crate::scalar::{CertificatePin, Domain, Host, keyword_enum};
use crate::table_reader::TableReader;

/// One domain of Active Directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveDirectory {
    /// The name of the producer.
    pub name: Name,
    /// The DNS name of the domain, in lower case.
    pub domain: Name,
    /// The NetBIOS name of the domain, in lower case. It becomes an alias of the DNS name.
    pub netbios: Option<Name>,
    /// The domain controllers in the order of preference; empty to discover them in DNS.
    pub servers: Vec<String>,
    /// The DNS servers that resolve the controllers; empty for those of the machine.
    pub name_servers: Vec<SocketAddr>,
    /// The encryption of the connection.
    pub transport: DirectoryTransport,
    /// The CA of the controllers' certificates, PEM.
    pub ca: Option<PathBuf>,
    /// The SHA-256 fingerprints of certificates that are accepted regardless of their issuer.
    pub pins: Vec<CertificatePin>,
    /// The bind method.
    pub bind: BindMethod,
    /// Whether Kerberos and NTLM use the channel binding of the TLS connection.
    pub channel_binding: bool,
    /// The service account. With a simple bind, its name can be a distinguished name.
    pub account: ServiceAccount,
    /// The search bases of accounts and groups; empty for the whole domain.
    pub search_bases: Vec<String>,
    /// How often the controller is polled for changes.
    pub poll_interval: Duration,
    /// How changes are detected.
    pub change_tracking: ChangeTracking,
    /// Whether change notifications are requested from the controllers.
    pub notify: bool,
    /// Whether users without a domain belong to this domain.
    pub default_domain: bool,
    /// Whether mail addresses are read.
    pub mail: bool,
    /// What happens to the sessions of a disabled account.
    pub when_disabled: SessionPolicy,
    /// What happens to the sessions of a deleted account.
    pub when_deleted: SessionPolicy,
    /// Timeouts, limits and intervals.
    pub limits: DirectoryLimits,
}

/// The encryption of a connection to a domain controller.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum DirectoryTransport {
    /// TLS from the first byte, port 636.
    #[default]
    Ldaps,
    /// StartTLS on port 389 (RFC 4511 section 4.14).
    StartTls,
    /// Port 389 without TLS. All bind methods except `simple` sign and seal the messages.
    Ldap,
}

keyword_enum!(DirectoryTransport: "\"ldaps\", \"starttls\" or \"ldap\"");

/// The bind method.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum BindMethod {
    /// The password in the bind request.
    #[default]
    Simple,
    /// Kerberos, or NTLM if Kerberos is not available (GSS-SPNEGO, RFC 4178).
    Spnego,
    /// NTLM.
    Ntlm,
    /// Kerberos.
    Kerberos,
}

keyword_enum!(BindMethod: "\"simple\", \"spnego\", \"ntlm\" or \"kerberos\"");

/// How changes are detected.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum ChangeTracking {
    /// Update sequence numbers (`uSNChanged`), which every account can read.
    #[default]
    Usn,
    /// The DirSync control, which reports single members of groups.
    DirSync,
}

keyword_enum!(ChangeTracking: "\"usn\" or \"dirsync\"");

/// What happens to the sessions of an account that was disabled or deleted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum SessionPolicy {
    /// The sessions continue until their logoff time.
    Keep,
    /// The sessions end.
    End,
}

keyword_enum!(SessionPolicy: "\"keep\" or \"end\"");

/// Timeouts, limits and intervals of the synchronization with a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryLimits {
    /// The timeout for connection, TLS handshake, bind and the root DSE together.
    pub connect_timeout: Duration,
    /// The timeout for each response message.
    pub response_timeout: Duration,
    /// The timeout for one synchronization.
    pub sync_timeout: Duration,
    /// The maximum number of entries per page of a paged search.
    pub page_size: u32,
    /// The maximum number of objects and members in one synchronization.
    pub max_objects: usize,
    /// The interval between full synchronizations, which find what change tracking missed.
    pub full_sync_interval: Duration,
    /// The interval of connection attempts to the preferred servers while another one is in use.
    pub failback_interval: Duration,
    /// How long a refused account is not tried again.
    pub credential_retry: Duration,
}

impl Default for DirectoryLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            // Samba searches the whole domain before it returns the first page: 10 s for 12,500
            // objects.
            response_timeout: Duration::from_secs(30),
            sync_timeout: Duration::from_secs(1800),
            page_size: 500,
            max_objects: 10_000_000,
            full_sync_interval: Duration::from_secs(12 * 3600),
            failback_interval: Duration::from_secs(300),
            credential_retry: DEFAULT_CREDENTIAL_RETRY,
        }
    }
}

impl DirectoryLimits {
    fn from_table(table: &TableReader<'_>) -> Self {
        let default = Self::default();
        let seconds = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
        Self {
            connect_timeout: table.in_range(
                "connect_timeout",
                default.connect_timeout,
                seconds(1, 60),
            ),
            response_timeout: table.in_range(
                "response_timeout",
                default.response_timeout,
                seconds(1, 600),
            ),
            sync_timeout: table.in_range(
                "sync_timeout",
                default.sync_timeout,
                seconds(10, 24 * 3600),
            ),
            // A controller limits a larger page to its own MaxPageSize, 1,000 by default.
            page_size: table.in_range("page_size", default.page_size, 10..=5_000),
            max_objects: table.in_range("max_objects", default.max_objects, 1_000..=1_000_000_000),
            full_sync_interval: table.in_range(
                "full_sync_interval",
                default.full_sync_interval,
                seconds(60, 30 * 24 * 3600),
            ),
            failback_interval: table.in_range(
                "failback_interval",
                default.failback_interval,
                seconds(1, 24 * 3600),
            ),
            credential_retry: table.in_range(
                "credential_retry",
                default.credential_retry,
                CREDENTIAL_RETRY,
            ),
        }
    }
}

/// The valid poll intervals.
const POLL_INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

impl ActiveDirectory {
    /// The distinguished names of the search bases: `search_bases`, or that of the domain.
    pub fn effective_search_bases(&self) -> Vec<String> {
        if self.search_bases.is_empty() { vec![self.root()] } else { self.search_bases.clone() }
    }

    /// The distinguished name of the domain: `DC=corp,DC=example,DC=com`.
    pub fn root(&self) -> String {
        let parts = self.domain.as_str().split('.').map(|part| format!("DC={part}"));
        parts.collect::<Vec<_>>().join(",")
    }

    pub(crate) fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let name = table.required::<Name>("name");
        if let Some(name) = &name {
            table.unique("producer", "name", name.as_str());
        }
        let domain = table.required::<Domain>("domain").map(|domain| domain.0);
        if let Some(domain) = &domain {
            table.unique("directory", "domain", domain.as_str());
        }
        let netbios = table.get::<Domain>("netbios").map(|netbios| netbios.0);
        if let Some(netbios) = &netbios {
            table.unique("directory", "netbios", netbios.as_str());
        }
        let default_domain = table.get_or("default_domain", false);
        if default_domain {
            table.unique("default domain", "default_domain", "default_domain = true");
        }
        let limits = table.subtable("limits", DirectoryLimits::from_table);
        let servers: Vec<Host> = table.list("servers").unwrap_or_default();
        let transport = table.get_or("transport", DirectoryTransport::default());
        let bind = table.get_or("bind", BindMethod::default());
        refuse_clear_text(table, transport, bind);
        let read = Self {
            netbios,
            servers: servers.into_iter().map(|host| host.0).collect(),
            name_servers: table.list("name_servers").unwrap_or_default(),
            transport,
            ca: certificate_file(table, "ca"),
            pins: table.list("pins").unwrap_or_default(),
            bind,
            channel_binding: table.get_or("channel_binding", true),
            search_bases: table.list("search_bases").unwrap_or_default(),
            poll_interval: table.in_range("poll_interval", Duration::from_secs(30), POLL_INTERVALS),
            change_tracking: table.get_or("change_tracking", ChangeTracking::default()),
            notify: table.get_or("notify", true),
            default_domain,
            mail: table.get_or("mail", false),
            when_disabled: table.get_or("when_disabled", SessionPolicy::End),
            when_deleted: table.get_or("when_deleted", SessionPolicy::End),
            limits,
            // These are last: the keys before them are validated even if one of these is missing.
            account: ServiceAccount::from_table(table)?,
            name: name?,
            domain: domain?,
        };
        read.validate(table);
        Some(read)
    }

    /// Validates combinations of keys.
    fn validate(&self, table: &TableReader<'_>) {
        if self.transport != DirectoryTransport::Ldap && self.pins.is_empty() && !table.has("ca") {
            let message = "is missing: TLS requires the CA of the domain controllers, or pins";
            table.error_at("ca", message);
        }
        if self.bind != BindMethod::Simple && self.account.is_distinguished() {
            table.error_at(
                "account",
                "is a distinguished name, which only bind = \"simple\" accepts",
            );
        }
        for (index, base) in self.search_bases.iter().enumerate() {
            let (base, root) = (base.to_lowercase(), self.root().to_lowercase());
            if base != root && !base.ends_with(&format!(",{root}")) {
                table.error_at(
                    &format!("search_bases[{index}]"),
                    format!("must be below {}", self.root()),
                );
            }
        }
        let needs_name = matches!(self.bind, BindMethod::Kerberos);
        for (index, server) in self.servers.iter().enumerate() {
            if needs_name && server.parse::<IpAddr>().is_ok() {
                let message =
                    "is an address, but Kerberos requires the full DNS name of the server";
                table.error_at(&format!("servers[{index}]"), message);
            }
        }
    }
}

/// A password is sent without encryption only if `allow_clear_text` is set.
fn refuse_clear_text(table: &TableReader<'_>, transport: DirectoryTransport, bind: BindMethod) {
    let clear = transport == DirectoryTransport::Ldap && bind == BindMethod::Simple;
    if clear && !table.get_or("allow_clear_text", false) {
        let message = "is \"ldap\": a simple bind would send the password in clear text; set \
                       transport to \"ldaps\", or another bind, or allow_clear_text = true";
        table.error_at("transport", message);
    } else if !clear && table.get_or("allow_clear_text", false) {
        let message = "has no effect, because the password is not sent in clear text; remove it";
        table.error_at("allow_clear_text", message);
    }
}
