//! Where syslog lines are listened for, who may send them, and how each sender's lines are read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use rollcall_identity::{Authority, Name};

use crate::Template;
use crate::authority::{self, REFRESH_AND_END, everything};
use crate::leaf::{Domain, Zone};
use crate::listener::{Transport, certificate_file, key_file};
use crate::section::Section;
use crate::template::Templates;

/// One syslog producer: its listeners and its clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Syslog {
    /// Its name as a producer.
    pub name: Name,
    /// Where datagrams are received (RFC 5426).
    pub udp: Vec<SocketAddr>,
    /// Where plain streams are accepted (RFC 6587).
    pub tcp: Vec<SocketAddr>,
    /// Where TLS streams are accepted (RFC 5425).
    pub tls: Option<SyslogTls>,
    /// Who may send. A sender that fits several is the one with the narrowest network.
    pub clients: Vec<SyslogClient>,
    /// What one client may cost.
    pub limits: SyslogLimits,
}

/// Syslog over TLS (RFC 5425).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogTls {
    /// Where it is listened; the registered port is 6514.
    pub listen: Vec<SocketAddr>,
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority that signs the clients' certificates, PEM; `None` asks for none.
    pub client_ca: Option<PathBuf>,
}

/// What one syslog producer grants its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogLimits {
    /// The longest message, in bytes.
    pub message_bytes: usize,
    /// Streams of all clients at once.
    pub connections: usize,
    /// Streams of one client at once.
    pub connections_per_client: usize,
    /// After how long without a byte a stream is closed.
    pub idle: Duration,
    /// Lines of one client in a second, above which they are counted and dropped; `None` for all.
    pub lines_per_second: Option<u32>,
    /// The kernel's receive buffer of each UDP socket, in bytes.
    pub receive_buffer: usize,
}

/// Somebody who sends lines.
#[derive(Debug, Clone, PartialEq)]
pub struct SyslogClient {
    /// Its name in the log, the metrics and explanations.
    pub name: Name,
    /// From where it sends.
    pub addresses: Vec<IpNet>,
    /// Names (SAN or CN) of the certificates it may show instead, from wherever it connects.
    pub certificate_names: Vec<String>,
    /// How its lines are read: the first template that yields an event decides.
    pub templates: Vec<Arc<Template>>,
    /// The zone of times without one (RFC 3164).
    pub zone: TimeZone,
    /// Whose clock says when an event happened.
    pub sender_time: SenderTime,
    /// The domain of users that are written without one.
    pub domain: Option<Name>,
    /// Fields that follow from other groups of the template.
    pub maps: ValueMaps,
    /// What it may speak for.
    pub authority: Authority,
}

/// By the field that is filled, for instance `domain`.
pub type ValueMaps = BTreeMap<String, ValueMap>;

/// One field that follows from another group of the template, as a domain does from a VPN's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueMap {
    /// The named group of the template, for instance `vpn`.
    pub from: String,
    /// From the group's text to the field's.
    pub values: BTreeMap<String, String>,
}

/// Whose clock says when an event happened.
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
pub enum SenderTime {
    /// The sender's, when the line has a time.
    #[default]
    Trust,
    /// Rollcall's: the moment of arrival, for senders with a wrong clock.
    Arrival,
}

impl Default for SyslogLimits {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 10,
            connections: 1024,
            connections_per_client: 64,
            idle: Duration::from_secs(600),
            lines_per_second: None,
            receive_buffer: 8 << 20,
        }
    }
}

impl SyslogLimits {
    fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let idle = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
        let per_client = default.connections_per_client;
        Self {
            // RFC 5425 section 4.3.1: a receiver must take 2048 bytes.
            message_bytes: section.bytes("message_bytes", default.message_bytes, 2 << 10..=1 << 20),
            connections: section.within("connections", default.connections, 1..=65_536),
            connections_per_client: section.within(
                "connections_per_client",
                per_client,
                1..=65_536,
            ),
            idle: section.within("idle", default.idle, idle),
            lines_per_second: section
                .has("lines_per_second")
                .then(|| section.within("lines_per_second", 1, 1..=u32::MAX)),
            receive_buffer: section.bytes(
                "receive_buffer",
                default.receive_buffer,
                64 << 10..=1 << 30,
            ),
        }
    }
}

impl SyslogTls {
    fn read(section: &Section<'_>) -> Option<Self> {
        let listen = section.list("listen").unwrap_or_default();
        section.listens(Transport::Tcp, "listen", &listen);
        for key in ["listen", "certificate", "key"] {
            if !section.has(key) {
                section.complain(key, "is missing: TLS needs listen, certificate and key");
            }
        }
        let certificate = certificate_file(section, "certificate");
        let key = key_file(section, "key");
        let client_ca = certificate_file(section, "client_ca");
        Some(Self { listen, certificate: certificate?, key: key?, client_ca })
    }
}

impl Syslog {
    pub(crate) fn read(section: &Section<'_>, templates: &Templates) -> Option<Self> {
        let name = section.required::<Name>("name");
        if let Some(name) = &name {
            section.claim("producer", "name", name.as_str());
        }
        let udp = section.list("udp").unwrap_or_default();
        section.listens(Transport::Udp, "udp", &udp);
        let tcp = section.list("tcp").unwrap_or_default();
        section.listens(Transport::Tcp, "tcp", &tcp);
        let encrypted = section.has("tls");
        let tls = section.section("tls", |tls| if encrypted { SyslogTls::read(tls) } else { None });
        if udp.is_empty() && tcp.is_empty() && !encrypted {
            section.complain("", "listens nowhere: write udp, tcp or a tls section");
        }
        let limits = section.section("limits", SyslogLimits::read);
        let unproven = match &tls {
            Some(tls) => tls.client_ca.is_none(),
            None => !encrypted,
        };
        let clients = section.sections("clients", |client| {
            if unproven && client.has("certificate_names") {
                client.complain("certificate_names", "need tls.client_ca, which signs them");
            }
            SyslogClient::read(client, section, templates)
        });
        if !section.has("clients") {
            section.complain("clients", "is missing: without [[syslog.clients]] nobody may send");
        }
        Some(Self { name: name?, udp, tcp, tls, clients, limits })
    }
}

impl SyslogClient {
    fn read(section: &Section<'_>, producer: &Section<'_>, templates: &Templates) -> Option<Self> {
        let name = section.required::<Name>("name");
        if let Some(name) = &name {
            section.claim(format!("client of {}", producer.key()), "name", name.as_str());
        }
        let addresses: Vec<IpNet> = section.list("addresses").unwrap_or_default();
        for (index, network) in addresses.iter().enumerate() {
            let place = format!("addresses[{index}]");
            section.claim(format!("sender of {}", producer.key()), &place, &network.to_string());
        }
        let certificate_names: Vec<String> = section.list("certificate_names").unwrap_or_default();
        for (index, certificate) in certificate_names.iter().enumerate() {
            let place = format!("certificate_names[{index}]");
            section.claim(format!("certificate of {}", producer.key()), &place, certificate);
        }
        if !section.has("addresses") && !section.has("certificate_names") {
            section.complain("addresses", "is missing: write addresses or certificate_names");
        }
        // Anybody can send from an address; only a certificate proves who it is.
        let granted = if addresses.is_empty() { everything() } else { REFRESH_AND_END.to_vec() };
        let zone = match section.or("zone", Zone::Local) {
            Zone::Local => section.environment().local.clone(),
            Zone::Named(zone) => zone,
        };
        Some(Self {
            name: name?,
            addresses,
            certificate_names,
            templates: templates.read(section, "templates"),
            zone,
            sender_time: section.or("sender_time", SenderTime::default()),
            domain: section.get::<Domain>("domain").map(|domain| domain.0),
            maps: section.named_sections("maps", value_map).into_iter().collect(),
            authority: authority::read(section, granted),
        })
    }
}

/// The fields of an event that can follow from another group.
const MAPPED: [&str; 4] = ["domain", "device", "groups", "posture"];

fn value_map(field: &str, section: &Section<'_>) -> Option<(String, ValueMap)> {
    if !MAPPED.contains(&field) {
        let message = format!("is not a field that can be mapped: {}", MAPPED.join(", "));
        section.complain("", message);
    }
    let from = section.required::<String>("from");
    let values = section.entries::<String>("values").into_iter().collect();
    Some((field.to_owned(), ValueMap { from: from?, values }))
}
