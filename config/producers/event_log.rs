//! The `event_log` tables: Windows servers whose security logs are read, and their authentication.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::logon::{ServerRole, readable_event_ids};
use rollcall_identity::{Authority, Kind, Name};
use rollcall_wire::event_log::call::Delivery;
use strum::IntoEnumIterator;
use toml::Value;
use toml::de::DeValue;

use crate::account::{CREDENTIAL_RETRY, DEFAULT_CREDENTIAL_RETRY, ServiceAccount};
use crate::authority;
use crate::scalar::{FromToml, Host, keyword, keyword_enum};
use crate::table_reader::TableReader;

/// Servers that share one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog {
    /// The service account. Its name has a domain.
    pub account: ServiceAccount,
    /// The authentication method.
    pub auth: EventLogAuth,
    /// The KDC. `None` uses a domain controller itself, and discovers the KDC of other servers in
    /// DNS.
    pub kdc: Option<SocketAddr>,
    /// The DNS servers that resolve the servers; empty for those of the machine.
    pub name_servers: Vec<SocketAddr>,
    /// The authentication to the endpoint mappers.
    pub endpoint_mapper: EndpointMapperAuth,
    /// Networks without users, besides the servers themselves.
    pub server_networks: Vec<IpNet>,
    /// Whether Rollcall requests events, or the server sends them.
    pub delivery: Delivery,
    /// How far back a log is read at the first start, and after a gap.
    pub lookback: Duration,
    /// The time without events after which a server is reported as silent.
    pub silent_after: Duration,
    /// What the servers may report.
    pub authority: Authority,
    /// Timeouts and limits.
    pub limits: EventLogLimits,
    /// The servers.
    pub sources: Vec<EventLogSource>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLogSource {
    /// The name of the producer.
    pub name: Name,
    /// The full DNS name, or the address.
    pub host: String,
    /// The address; `None` to resolve the host.
    pub address: Option<IpAddr>,
    /// The port of the event log service; `None` to query the endpoint mapper.
    pub port: Option<NonZeroU16>,
    /// The role of the server.
    pub role: ServerRole,
    /// The IDs of the events that are read.
    pub event_ids: Vec<u16>,
}

/// The authentication method, always within SPNEGO.
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
pub enum EventLogAuth {
    /// Kerberos only.
    #[default]
    Kerberos,
    /// Kerberos, or NTLM if Kerberos is not available.
    Spnego,
    /// NTLM only.
    Ntlm,
}

keyword_enum!(EventLogAuth: "\"kerberos\", \"spnego\" or \"ntlm\"");

/// The authentication to an endpoint mapper.
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
pub enum EndpointMapperAuth {
    /// None, or authenticated if the endpoint mapper refuses that.
    #[default]
    Anonymous,
    /// Always authenticated and sealed.
    Sealed,
}

keyword_enum!(EndpointMapperAuth: "\"anonymous\" or \"sealed\"");
keyword_enum!(Delivery: "\"pull\" or \"push\"");

impl FromToml for ServerRole {
    const EXPECTED: &'static str = "\"domain_controller\" or \"exchange\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let roles: Vec<&str> = Self::iter().map(Into::into).collect();
        keyword(value, &roles)
    }

    fn to_toml(&self) -> Value {
        <&'static str>::from(self).into()
    }
}

/// Timeouts and limits of the connection to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLogLimits {
    /// The timeout for connecting.
    pub connect_timeout: Duration,
    /// The timeout for each response.
    pub response_timeout: Duration,
    /// The maximum number of events per response.
    pub batch_size: u32,
    /// How long a refused account is not tried again.
    pub credential_retry: Duration,
}

impl Default for EventLogLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            // About 300 KiB of logons, which are decoded and committed within milliseconds.
            batch_size: 200,
            credential_retry: DEFAULT_CREDENTIAL_RETRY,
        }
    }
}

/// A logon that is older than a day does not prove that the user is still at the address.
const LOOKBACK: std::ops::RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(24 * 3600);

/// Up to a day: the domain controller of a small office can have no events at night.
const SILENT_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(24 * 3600);

/// The kinds of event in security logs: logon, logoff, ticket, computer.
const KINDS: [Kind; 4] = [Kind::Login, Kind::Logout, Kind::Refresh, Kind::DeviceSeen];

impl EventLog {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let catch_up = table.in_range("lookback", Duration::from_secs(3600), LOOKBACK);
        let mut authority = authority::from_log_table(table, KINDS.to_vec());
        // Events of the lookback period are older than the default of `rules.max_age`.
        authority.max_age = authority.max_age.or(Some(catch_up).filter(|span| !span.is_zero()));
        let auth = table.get_or("auth", EventLogAuth::default());
        let sources = table.subtables("sources", EventLogSource::from_table);
        if !table.has("sources") {
            table.error_at("sources", "is missing: add at least one [[event_log.sources]] table");
        }
        let read = Self {
            auth,
            kdc: table.get("kdc"),
            name_servers: table.list("name_servers").unwrap_or_default(),
            endpoint_mapper: table.get_or("endpoint_mapper", EndpointMapperAuth::default()),
            server_networks: table.list("server_networks").unwrap_or_default(),
            delivery: table.get_or("delivery", Delivery::default()),
            lookback: catch_up,
            silent_after: table.in_range("silent_after", Duration::from_secs(900), SILENT_AFTER),
            authority,
            limits: table.subtable("limits", EventLogLimits::from_table),
            sources,
            // This is last: the keys before it are validated even if it is missing.
            account: ServiceAccount::from_table(table)?,
        };
        read.validate(table);
        Some(read)
    }

    /// The Kerberos realm for `source`: the domain of the account if it is a DNS name, or else the
    /// domain of the server.
    pub fn realm<'a>(&'a self, source: &'a EventLogSource) -> Option<&'a str> {
        let of_account = self.account.name.rsplit_once('@').map(|(_, domain)| domain);
        let of_host = || match source.host.parse::<IpAddr>() {
            Ok(_) => None,
            Err(_) => source.host.split_once('.').map(|(_, domain)| domain),
        };
        of_account.filter(|domain| domain.contains('.')).or_else(of_host)
    }

    /// Validates combinations of keys.
    fn validate(&self, table: &TableReader<'_>) {
        if !self.account.name.is_empty() && !self.account.has_domain() {
            table.error_at("account", "has no domain: write user@domain or DOMAIN\\user");
        }
        for (index, source) in self.sources.iter().enumerate() {
            if self.auth == EventLogAuth::Kerberos && source.host.parse::<IpAddr>().is_ok() {
                let message =
                    "is an address, but Kerberos requires the full DNS name of the server";
                table.error_at(&format!("sources[{index}].host"), message);
            }
            let asks_dns = self.kdc.is_none() && source.role == ServerRole::Exchange;
            if self.auth == EventLogAuth::Kerberos && asks_dns && self.realm(source).is_none() {
                let message = "is missing, and there is no DNS domain to discover it in: an Exchange \
                               server is not a KDC; set kdc, or write the account as user@domain";
                table.error_at("kdc", message);
            }
        }
    }
}

impl EventLogSource {
    fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let name = table.required::<Name>("name");
        if let Some(name) = &name {
            table.unique("producer", "name", name.as_str());
        }
        let host = table.required::<Host>("host");
        let port = table.has("port").then(|| table.in_range("port", 1_u32, 1..=65_535));
        let role = table.get_or("role", ServerRole::DomainController);
        let default = rollcall_identity::logon::LogonSettings::for_role(role).ids;
        let ids = table.list_or("event_ids", default.into_iter().map(u32::from).collect());
        Some(Self {
            event_ids: event_ids(table, &ids),
            port: port.and_then(|port| NonZeroU16::new(u16::try_from(port).ok()?)),
            address: table.get("address"),
            role,
            name: name?,
            host: host?.0,
        })
    }
}

/// The IDs of `written` that Rollcall can decode. Others are errors.
fn event_ids(table: &TableReader<'_>, written: &[u32]) -> Vec<u16> {
    let mut ids = Vec::new();
    for (index, id) in written.iter().enumerate() {
        match u16::try_from(*id).ok().filter(|id| readable_event_ids().any(|known| known == *id)) {
            Some(id) => ids.push(id),
            None => {
                let known =
                    readable_event_ids().map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
                let message = format!("is {id}, must be one of {known}");
                table.error_at(&format!("event_ids[{index}]"), message);
            }
        }
    }
    if written.is_empty() {
        table.error_at(
            "event_ids",
            "is empty, so that no event would be read; add an ID or remove the key",
        );
    }
    ids
}

impl EventLogLimits {
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
            batch_size: table.in_range("batch_size", default.batch_size, 1..=1024),
            credential_retry: table.in_range(
                "credential_retry",
                default.credential_retry,
                CREDENTIAL_RETRY,
            ),
        }
    }
}
