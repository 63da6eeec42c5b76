//! The `syslog` tables: listeners, senders, and how the lines of each sender are parsed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use rollcall_identity::{Authority, Name};
use toml::Value;
use toml::de::DeValue;

use crate::SyslogTemplate;
use crate::authority::{
    self, MAX_SESSIONS, MAX_UNAUTHENTICATED_SESSIONS, UNAUTHENTICATED, all_kinds,
};
use crate::listener::{certificate_file, key_file};
use crate::scalar::{Domain, FromToml, invalid, keyword_enum, text};
use crate::socket::TransportProtocol;
use crate::syslog_template::TemplateCache;
use crate::table_reader::TableReader;

/// One syslog producer: its listeners and its clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Syslog {
    /// The name of the producer.
    pub name: Name,
    /// The listen addresses for datagrams (RFC 5426).
    pub udp: Vec<SocketAddr>,
    /// The listen addresses for streams without TLS (RFC 6587).
    pub tcp: Vec<SocketAddr>,
    /// The listeners for streams with TLS (RFC 5425).
    pub tls: Option<SyslogTls>,
    /// The allowed senders. If an address matches several clients, the longest prefix decides.
    pub clients: Vec<SyslogClient>,
    /// The limits.
    pub limits: SyslogLimits,
}

/// Syslog over TLS (RFC 5425).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogTls {
    /// The listen addresses. The registered port is 6514.
    pub listen: Vec<SocketAddr>,
    /// The certificate with its chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The CA of client certificates, PEM; `None` disables client authentication.
    pub client_ca: Option<PathBuf>,
}

/// The limits of one syslog producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogLimits {
    /// The maximum size of a message in bytes.
    pub message_size: usize,
    /// The maximum number of streams.
    pub connections: usize,
    /// The maximum number of streams per client.
    pub connections_per_client: usize,
    /// The time without data after which a stream is closed.
    pub idle_timeout: Duration,
    /// The maximum rate per client; `None` for no limit. Lines above it are counted and dropped.
    pub lines_per_second: Option<u32>,
    /// The receive buffer of each UDP socket in bytes (`SO_RCVBUF`).
    pub receive_buffer: usize,
}

/// A syslog sender.
#[derive(Debug, Clone, PartialEq)]
pub struct SyslogClient {
    /// The name in logs, metrics and explanations.
    pub name: Name,
    /// The source addresses of the sender.
    pub addresses: Vec<IpNet>,
    /// The names (SAN or CN) of its client certificates. They identify it at any address.
    pub certificate_names: Vec<String>,
    /// The templates for its lines. The first one that yields an event decides.
    pub templates: Vec<Arc<SyslogTemplate>>,
    /// The time zone of timestamps without one (RFC 3164).
    pub zone: TimeZone,
    /// Which clock determines the time of an event.
    pub event_time: EventTimeSource,
    /// The domain of users without a domain.
    pub domain: Option<Name>,
    /// Lookup tables that derive fields from captured values.
    pub maps: LookupTables,
    /// What it may report.
    pub authority: Authority,
}

/// Lookup tables by the field that they set, for example `domain`.
pub type LookupTables = BTreeMap<String, LookupTable>;

/// A lookup table that derives a field from a captured value, for example the domain from the name
/// of the VPN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupTable {
    /// The named capture group of the template, for example `vpn`.
    pub from: String,
    /// The value of the field by captured value.
    pub values: BTreeMap<String, String>,
}

/// Which clock determines the time of an event.
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
pub enum EventTimeSource {
    /// The clock of the sender, if the line has a timestamp.
    #[default]
    Sender,
    /// The clock of Rollcall at the arrival of the line, for senders with a wrong clock.
    Arrival,
}

keyword_enum!(EventTimeSource: "\"sender\" or \"arrival\"");

/// The time zone of timestamps without one.
#[derive(Clone)]
enum Zone {
    /// The zone of this machine.
    Local,
    /// A zone of the IANA database.
    Named(TimeZone),
}

impl FromToml for Zone {
    const EXPECTED: &'static str = "\"local\", \"UTC\" or a zone such as \"Europe/Berlin\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        match text::<Self>(value)? {
            "local" => Ok(Self::Local),
            text => TimeZone::get(text).map(Self::Named).map_err(|_| invalid::<Self>(text)),
        }
    }

    fn to_toml(&self) -> Value {
        match self {
            Self::Local => "local".into(),
            Self::Named(zone) => zone.iana_name().unwrap_or("UTC").into(),
        }
    }
}

impl Default for SyslogLimits {
    fn default() -> Self {
        Self {
            message_size: 64 << 10,
            connections: 1024,
            connections_per_client: 64,
            idle_timeout: Duration::from_secs(600),
            lines_per_second: None,
            receive_buffer: 8 << 20,
        }
    }
}

impl SyslogLimits {
    fn from_table(table: &TableReader<'_>) -> Self {
        let default = Self::default();
        let idle_timeout = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
        let per_client = default.connections_per_client;
        Self {
            // RFC 5425 section 4.3.1: a receiver must accept messages of 2048 bytes.
            message_size: table.bytes_in_range(
                "message_size",
                default.message_size,
                2 << 10..=1 << 20,
            ),
            connections: table.in_range("connections", default.connections, 1..=65_536),
            connections_per_client: table.in_range(
                "connections_per_client",
                per_client,
                1..=65_536,
            ),
            idle_timeout: table.in_range("idle_timeout", default.idle_timeout, idle_timeout),
            lines_per_second: table
                .has("lines_per_second")
                .then(|| table.in_range("lines_per_second", 1, 1..=u32::MAX)),
            receive_buffer: table.bytes_in_range(
                "receive_buffer",
                default.receive_buffer,
                64 << 10..=1 << 30,
            ),
        }
    }
}

impl SyslogTls {
    fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let listen = table.list("listen").unwrap_or_default();
        table.unique_listeners(TransportProtocol::Tcp, "listen", &listen);
        for key in ["listen", "certificate", "key"] {
            if !table.has(key) {
                table.error_at(key, "is missing: TLS requires listen, certificate and key");
            }
        }
        let certificate = certificate_file(table, "certificate");
        let key = key_file(table, "key");
        let client_ca = certificate_file(table, "client_ca");
        Some(Self { listen, certificate: certificate?, key: key?, client_ca })
    }
}

impl Syslog {
    pub(crate) fn from_table(table: &TableReader<'_>, templates: &TemplateCache) -> Option<Self> {
        let name = table.required::<Name>("name");
        if let Some(name) = &name {
            table.unique("producer", "name", name.as_str());
        }
        let udp = table.list("udp").unwrap_or_default();
        table.unique_listeners(TransportProtocol::Udp, "udp", &udp);
        let tcp = table.list("tcp").unwrap_or_default();
        table.unique_listeners(TransportProtocol::Tcp, "tcp", &tcp);
        let encrypted = table.has("tls");
        let tls =
            table.subtable("tls", |tls| if encrypted { SyslogTls::from_table(tls) } else { None });
        if udp.is_empty() && tcp.is_empty() && !encrypted {
            table.error_at("", "has no listener: add udp, tcp or a tls table");
        }
        let limits = table.subtable("limits", SyslogLimits::from_table);
        let without_client_ca = match &tls {
            Some(tls) => tls.client_ca.is_none(),
            None => !encrypted,
        };
        let clients = table.subtables("clients", |client| {
            if without_client_ca && client.has("certificate_names") {
                client.error_at("certificate_names", "requires tls.client_ca");
            }
            SyslogClient::from_table(client, table, templates)
        });
        if !table.has("clients") {
            table.error_at(
                "clients",
                "is missing: without [[syslog.clients]] every sender is refused",
            );
        }
        Some(Self { name: name?, udp, tcp, tls, clients, limits })
    }
}

impl SyslogClient {
    fn from_table(
        table: &TableReader<'_>,
        producer: &TableReader<'_>,
        templates: &TemplateCache,
    ) -> Option<Self> {
        let name = table.required::<Name>("name");
        if let Some(name) = &name {
            table.unique(format!("client of {}", producer.path()), "name", name.as_str());
        }
        let addresses: Vec<IpNet> = table.list("addresses").unwrap_or_default();
        for (index, network) in addresses.iter().enumerate() {
            let key = format!("addresses[{index}]");
            table.unique(format!("sender of {}", producer.path()), &key, &network.to_string());
        }
        let certificate_names: Vec<String> = table.list("certificate_names").unwrap_or_default();
        for (index, certificate) in certificate_names.iter().enumerate() {
            let key = format!("certificate_names[{index}]");
            table.unique(format!("certificate of {}", producer.path()), &key, certificate);
        }
        if !table.has("addresses") && !table.has("certificate_names") {
            table.error_at("addresses", "is missing: set addresses or certificate_names");
        }
        // A source address can be forged; only a certificate authenticates the sender.
        let (kinds, max_sessions) = match addresses.is_empty() {
            true => (all_kinds().collect(), MAX_SESSIONS),
            false => (UNAUTHENTICATED.to_vec(), MAX_UNAUTHENTICATED_SESSIONS),
        };
        let zone = match table.get_or("zone", Zone::Local) {
            Zone::Local => table.environment().local_zone().clone(),
            Zone::Named(zone) => zone,
        };
        Some(Self {
            name: name?,
            addresses,
            certificate_names,
            templates: templates.listed_templates(table),
            zone,
            event_time: table.get_or("event_time", EventTimeSource::default()),
            domain: table.get::<Domain>("domain").map(|domain| domain.0),
            maps: table.named_subtables("maps", value_map).into_iter().collect(),
            authority: authority::from_table(table, kinds, max_sessions),
        })
    }

    /// Whether senders that are identified only by their source address, which can be forged on UDP
    /// and TCP, can create sessions.
    pub fn allows_unauthenticated_sessions(&self) -> bool {
        !self.addresses.is_empty() && self.authority.may_begin_sessions()
    }
}

/// The fields that a lookup table can set.
const MAPPED: [&str; 4] = ["domain", "device", "groups", "posture"];

fn value_map(field: &str, table: &TableReader<'_>) -> Option<(String, LookupTable)> {
    if !MAPPED.contains(&field) {
        let message = format!(
            "is not a field that can be mapped; the valid fields are {}",
            MAPPED.join(", ")
        );
        table.error_at("", message);
    }
    let from = table.required::<String>("from");
    let values = table.entries::<String>("values").into_iter().collect();
    Some((field.to_owned(), LookupTable { from: from?, values }))
}
