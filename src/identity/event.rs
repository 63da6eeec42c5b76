//! What an identity producer observed about one address at one time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

use crate::{Address, Membership, Name, Precision, Principal, Sid, Timestamp};

/// The kind of event: the closed set of JIMS and the SRX, and Rollcall's own expiry.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// A user logged on. May begin a session.
    Login,
    /// A user logged off. Ends only that user's session.
    Logout,
    /// A VPN tunnel came up and this inner address was assigned. May begin a session.
    VpnUp,
    /// The tunnel with this inner address went down. Ends only that user's session.
    VpnDown,
    /// The tunnel was rekeyed: the user is still present.
    Rekey,
    /// Other confirmation that the user is still present, such as RADIUS interim accounting.
    Refresh,
    /// A device was seen at the address: a machine account logon or a DHCP lease.
    DeviceSeen,
    /// A directory reports new groups or a new name of a user or device. Changes an existing
    /// session and never begins one; it applies only to the user or device that it names.
    Membership,
    /// The session expired. Proposed by the cache, never by a producer.
    Expiry,
}

impl Kind {
    /// Whether this kind of event can begin a session.
    pub const fn begins(self) -> bool {
        matches!(self, Self::Login | Self::VpnUp)
    }

    /// Whether this kind of event ends a session.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Logout | Self::VpnDown)
    }

    /// Whether a source can send this kind of event. Rollcall generates the others itself.
    pub const fn is_sent(self) -> bool {
        !matches!(self, Self::Membership | Self::Expiry)
    }

    /// The name used in configuration, metrics and JSON, for example `vpn_up`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How strongly an event proves that the user is at the address, weakest first. A weaker login does
/// not displace another user with a stronger proof while that user is still active: see
/// [`Rules::weaker_proof_delay`](crate::Rules::weaker_proof_delay).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Proof {
    /// A client named its host, and the host's own account was seen at the address.
    HostName,
    /// A client connected to a server from the address: the user, or a program that runs as another
    /// user.
    Connection,
    /// A ticket from an earlier logon was used.
    Ticket,
    /// A logon, a VPN tunnel, or the report of an authoritative source.
    #[default]
    Logon,
}

impl Proof {
    /// The name used in JSON, for example `connection`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The kinds of identity producer. Each name is also the file name in every layer.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Producer {
    /// Messages from firewalls, VPN gateways, DHCP and RADIUS servers.
    Syslog,
    /// VPN and captive-portal events pushed by SRX firewalls, and events posted as JSON.
    Ptim,
    /// Users, devices and groups read from Active Directory.
    ActiveDirectory,
    /// The security logs of domain controllers and Exchange servers.
    EventLog,
    /// Rollcall itself, for expiry.
    Cache,
}

impl Producer {
    /// The name, for example `syslog`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The producer and client that an event comes from. Created once per client and template, and
/// shared by all their events.
#[derive(Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Origin {
    /// The kind of producer.
    pub kind: Producer,
    /// The configured name of the producer, for example `syslog`.
    pub producer: Name,
    /// The configured client or enforcement point that sent the event, for example `branch-fw`.
    pub client: Name,
    /// The template or dialect that parsed the event, for example `junos-vpn`.
    pub form: Name,
}

/// The posture of a device, as the SRX defines it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    EnumIter,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
pub enum Posture {
    /// The device meets the policy.
    Healthy,
    /// A check is due.
    Checkup,
    /// The check is in progress.
    Transition,
    /// The device is quarantined.
    Quarantine,
    /// The device is known to be infected.
    Infected,
    /// The posture is unknown.
    Unknown,
}

impl Posture {
    /// Whether a firewall restricts a device with this posture. Only a source that is granted
    /// postures can lift it from a session.
    pub const fn is_restrictive(self) -> bool {
        !matches!(self, Self::Healthy | Self::Unknown)
    }

    /// The name used in JSON and messages, for example `quarantine`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Group names, shared between sessions with the same groups. `None` means that the source reported
/// no groups, which differs from an empty list.
pub type Roles = Option<Arc<[Name]>>;

/// What a producer observed. An event is about one address: a VPN login with IPv4 and IPv6 is two
/// events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The kind of event.
    pub kind: Kind,
    /// The address.
    pub address: Address,
    /// The user, if the source reported one. A login without a user is the SRX's null user.
    pub principal: Option<Principal>,
    /// The host name of the device, without the `$` of a machine account.
    pub device: Option<Name>,
    /// The groups that the source listed.
    pub roles: Roles,
    /// The groups of the user and the device according to directories; set when the event is
    /// ordered.
    pub membership: Membership,
    /// The user's previous name, if a directory renamed the user.
    pub renamed_from: Option<Box<Principal>>,
    /// The account's security identifier, if the source reported it. Directory lookups prefer it to
    /// the name, which a forged ticket can contain at will.
    pub sid: Option<Box<Sid>>,
    /// How strongly the event proves that the user is at the address.
    pub proof: Proof,
    /// The device's posture, if the source reported it.
    pub posture: Option<Posture>,
    /// When it happened, by the source's clock.
    pub at: Timestamp,
    /// The precision of that clock.
    pub precision: Precision,
    /// When Rollcall received it, by Rollcall's clock.
    pub seen: Timestamp,
    /// The source of the event.
    pub origin: Arc<Origin>,
}

impl Event {
    /// The constructor for partial events: no user or device, received when it happened, with
    /// millisecond precision.
    pub fn bare(kind: Kind, address: Address, at: Timestamp, origin: Arc<Origin>) -> Self {
        Self {
            kind,
            address,
            principal: None,
            device: None,
            roles: None,
            membership: Membership::default(),
            renamed_from: None,
            sid: None,
            proof: Proof::default(),
            posture: None,
            at,
            precision: Precision::Millisecond,
            seen: at,
            origin,
        }
    }
}
