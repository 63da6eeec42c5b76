//! What an identity producer saw, about one address, at one moment.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

use crate::{Address, Membership, Name, Precision, Principal, Sid, Timestamp};

/// What kind of thing a producer saw. The closed set of JIMS and the SRX, and our own expiry.
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
    /// A user logged off. Ends the session of that user only.
    Logout,
    /// A VPN tunnel came up and this inner address was assigned. May begin a session.
    VpnUp,
    /// The tunnel with this inner address went down. Ends the session of that user only.
    VpnDown,
    /// The tunnel's keys were renewed: the user is still there.
    Rekey,
    /// Other proof that the user is still there, such as RADIUS interim accounting.
    Refresh,
    /// A device was seen at the address: a machine account's logon, a DHCP lease.
    DeviceSeen,
    /// A directory says otherwise who somebody is or which groups they are in: groups, a new name.
    /// Alters a session that is there, and never begins one; of a user and a device, only what it
    /// names.
    Membership,
    /// The logoff time of the session passed. Proposed by the cache, never by a producer.
    Expiry,
}

impl Kind {
    /// Whether a session can begin with this kind of event.
    pub const fn begins(self) -> bool {
        matches!(self, Self::Login | Self::VpnUp)
    }

    /// Whether it says that a user left.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Logout | Self::VpnDown)
    }

    /// Whether a source can send it. The others Rollcall proposes to itself.
    pub const fn is_sent(self) -> bool {
        !matches!(self, Self::Membership | Self::Expiry)
    }

    /// The name used in configuration, metrics and JSON, for instance `vpn_up`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How well a source knows that somebody is at an address, the weakest first. A weaker login does not
/// displace another user whom a stronger one put there, as long as that user is still seen: see
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
    /// A client named the host it is at, and that host's own account was seen there.
    HostName,
    /// Somebody connected to a server from there: a person, or a program that runs as another.
    Connection,
    /// A ticket was used there that an earlier logon brought.
    Ticket,
    /// Somebody logged on there, opened a tunnel from there, or a source of authority says so.
    #[default]
    Logon,
}

impl Proof {
    /// The name used in JSON, for instance `connection`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The kinds of identity producer. One word each, the file name in every tier.
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
    /// Lines from firewalls, VPN gateways, DHCP and RADIUS servers.
    Syslog,
    /// VPN and captive-portal events pushed by SRX firewalls, and events posted as JSON.
    Ptim,
    /// Users, devices and groups read from Active Directory.
    ActiveDirectory,
    /// The security logs of domain controllers and Exchange servers.
    EventLog,
    /// Rollcall itself: expiry.
    Cache,
}

impl Producer {
    /// The word, for instance `syslog`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Which producer, speaking for whom, saw an event. Made once for each client and template and
/// shared by all their events.
#[derive(Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Origin {
    /// The kind of producer.
    pub kind: Producer,
    /// The configured name of the producer, for instance `syslog`.
    pub producer: Name,
    /// The configured client or enforcement point that sent it, for instance `branch-fw`.
    pub client: Name,
    /// The template or dialect that read it, for instance `junos-vpn`.
    pub form: Name,
}

/// The state of a device as the SRX knows it.
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
    /// Being checked.
    Transition,
    /// Confined.
    Quarantine,
    /// Known to be infected.
    Infected,
    /// Nothing is known.
    Unknown,
}

impl Posture {
    /// The word used in JSON and sentences, for instance `quarantine`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Names of groups, shared between the sessions that have the same ones; `None` when the source
/// said nothing about groups, which is not the same as an empty list.
pub type Roles = Option<Arc<[Name]>>;

/// What a producer saw. It speaks of one address: a VPN login with IPv4 and IPv6 is two events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// Where.
    pub address: Address,
    /// Who, when the source said so: a login without it is the SRX's null user.
    pub principal: Option<Principal>,
    /// The host name of the device, without a machine account's `$`.
    pub device: Option<Name>,
    /// The groups the source listed.
    pub roles: Roles,
    /// What directories say of the user and the device; entered where the event is ordered.
    pub membership: Membership,
    /// Whom the user was called before, when a directory renamed them.
    pub renamed_from: Option<Box<Principal>>,
    /// The account's security identifier, when the source said so: a directory asks for it before
    /// the name, which anybody who forges a ticket can choose.
    pub sid: Option<Box<Sid>>,
    /// How well it is proven that the user is at the address.
    pub proof: Proof,
    /// The device's state, when the source said so.
    pub posture: Option<Posture>,
    /// When it happened, by the source's clock.
    pub at: Timestamp,
    /// How fine that clock writes.
    pub precision: Precision,
    /// When Rollcall received it, by Rollcall's clock.
    pub seen: Timestamp,
    /// Who says so.
    pub origin: Arc<Origin>,
}

impl Event {
    /// An event of which no more is known than this: nobody is named, and it was received when it
    /// happened, to the millisecond.
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
