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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum SenderTime {
    /// The sender's, when the line has a time.
    #[default]
    Trust,
    /// Rollcall's: the moment of arrival, for senders with a wrong clock.
    Arrival,
}
