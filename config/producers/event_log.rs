//! Which event logs of Windows are read: the servers, how Rollcall proves itself to them, and which
//! of their events count.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::logon::{ServerRole, readable_event_ids};
use rollcall_identity::{Authority, Kind, Name};
use rollcall_wire::event_log::call::Delivery;

use crate::account::ServiceAccount;
use crate::authority;
use crate::leaf::Host;
use crate::section::Section;

/// Servers that are read with one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog {
    /// The account, with its domain.
    pub account: ServiceAccount,
    /// How Rollcall proves itself.
    pub auth: Auth,
    /// Who gives out tickets; `None` for a domain controller itself, and for other servers whoever DNS
    /// names for the domain.
    pub kdc: Option<SocketAddr>,
    /// Who is asked for the addresses of the servers; those of the machine when there are none.
    pub name_servers: Vec<SocketAddr>,
    /// How their endpoint mappers are asked.
    pub endpoint_mapper: Mapper,
    /// Where no person is, besides the servers themselves.
    pub servers: Vec<IpNet>,
    /// Who asks for events: Rollcall, or nobody once it has subscribed.
    pub delivery: Delivery,
    /// How far back a log is read at the first time, and after a gap.
    pub catch_up: Duration,
    /// After how long without any event a server is called silent.
    pub silent: Duration,
    /// What the servers may speak for.
    pub authority: Authority,
    /// What a server may cost.
    pub limits: EventLogLimits,
    /// The servers.
    pub sources: Vec<EventLogSource>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLogSource {
    /// Its name as a producer.
    pub name: Name,
    /// Its full name, or its address.
    pub host: String,
    /// Its address; `None` for those that the names of this machine know.
    pub address: Option<IpAddr>,
    /// The port of its event log; `None` to ask its endpoint mapper.
    pub port: Option<NonZeroU16>,
    /// What kind of server it is.
    pub role: ServerRole,
    /// The events that are read.
    pub event_ids: Vec<u16>,
}

/// How Rollcall proves itself, always within SPNEGO.
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
pub enum Auth {
    /// By Kerberos alone.
    #[default]
    Kerberos,
    /// By Kerberos, or by NTLM where Kerberos is not to be had.
    Spnego,
    /// By NTLM alone.
    Ntlm,
}

/// How an endpoint mapper is asked for a port.
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
pub enum Mapper {
    /// As nobody, and with a proof where it refuses that.
    #[default]
    Anonymous,
    /// With a proof and sealed, and never otherwise.
    Sealed,
}

/// What a server may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLogLimits {
    /// How long a connection may take.
    pub connect: Duration,
    /// How long a server may be silent while it answers.
    pub answer: Duration,
    /// The most events of one answer.
    pub records: u32,
}

impl Default for EventLogLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            // Some 300 KiB of logons: an answer that is read and committed within milliseconds.
            records: 200,
        }
    }
}

/// Longer than a day, nobody who logged on is sure to be there still.
const CATCH_UP: std::ops::RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(24 * 3600);

/// A domain controller of a small office has nothing to say at night.
const SILENT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(24 * 3600);

/// What logs say: a logon, a ticket, a logoff, a computer.
const KINDS: [Kind; 4] = [Kind::Login, Kind::Logout, Kind::Refresh, Kind::DeviceSeen];

impl EventLog {
    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let catch_up = section.within("catch_up", Duration::from_secs(3600), CATCH_UP);
        let mut authority = authority::read(section, KINDS.to_vec());
        // What is caught up with is older than what senders of lines may say.
        authority.max_age = authority.max_age.or(Some(catch_up).filter(|span| !span.is_zero()));
        let auth = section.or("auth", Auth::default());
        let sources = section.sections("sources", EventLogSource::read);
        if !section.has("sources") {
            section.complain("sources", "is missing, must be [[event_log.sources]] tables");
        }
        let read = Self {
            auth,
            kdc: section.get("kdc"),
            name_servers: section.list("name_servers").unwrap_or_default(),
            endpoint_mapper: section.or("endpoint_mapper", Mapper::default()),
            servers: section.list("servers").unwrap_or_default(),
            delivery: section.or("delivery", Delivery::default()),
            catch_up,
            silent: section.within("silent", Duration::from_secs(900), SILENT),
            authority,
            limits: section.section("limits", EventLogLimits::read),
            sources,
            // What is missing has been complained of when this is looked at.
            account: ServiceAccount::read(section)?,
        };
        read.check(section);
        Some(read)
    }

    /// The domain whose tickets `source` is shown: that of the account, when its name has the one that
    /// DNS knows, or else that of the server.
    pub fn realm<'a>(&'a self, source: &'a EventLogSource) -> Option<&'a str> {
        let of_account = self.account.name.rsplit_once('@').map(|(_, domain)| domain);
        let of_host = || match source.host.parse::<IpAddr>() {
            Ok(_) => None,
            Err(_) => source.host.split_once('.').map(|(_, domain)| domain),
        };
        of_account.filter(|domain| domain.contains('.')).or_else(of_host)
    }

    /// What each key allows alone, and not together.
    fn check(&self, section: &Section<'_>) {
        if !self.account.name.is_empty() && !self.account.has_domain() {
            section.complain("account", "lacks its domain: write user@domain or DOMAIN\\user");
        }
        for (index, source) in self.sources.iter().enumerate() {
            if self.auth == Auth::Kerberos && source.host.parse::<IpAddr>().is_ok() {
                let message = "is an address: Kerberos knows servers by their full names";
                section.complain(&format!("sources[{index}].host"), message);
            }
            let asks_dns = self.kdc.is_none() && source.role == ServerRole::Exchange;
            if self.auth == Auth::Kerberos && asks_dns && self.realm(source).is_none() {
                let message = "is missing, and no domain is named for which DNS could be asked: an \
                               Exchange server gives out no tickets";
                section.complain("kdc", message);
            }
        }
    }
}

impl EventLogSource {
    fn read(section: &Section<'_>) -> Option<Self> {
        let name = section.required::<Name>("name");
        if let Some(name) = &name {
            section.claim("producer", "name", name.as_str());
        }
        let host = section.required::<Host>("host");
        let port = section.has("port").then(|| section.within("port", 1_u32, 1..=65_535));
        let role = section.or("role", ServerRole::DomainController);
        let ids: Option<Vec<u32>> = section.list("event_ids");
        Some(Self {
            event_ids: match ids {
                Some(ids) => event_ids(section, &ids),
                None => rollcall_identity::logon::LogonSettings::for_role(role).ids,
            },
            port: port.and_then(|port| NonZeroU16::new(u16::try_from(port).ok()?)),
            address: section.get("address"),
            role,
            name: name?,
            host: host?.0,
        })
    }
}

/// Those that can be read, which say where somebody is.
fn event_ids(section: &Section<'_>, written: &[u32]) -> Vec<u16> {
    let mut ids = Vec::new();
    for (index, id) in written.iter().enumerate() {
        match u16::try_from(*id).ok().filter(|id| readable_event_ids().any(|known| known == *id)) {
            Some(id) => ids.push(id),
            None => {
                let known =
                    readable_event_ids().map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
                let message = format!("is {id}, must be one of {known}");
                section.complain(&format!("event_ids[{index}]"), message);
            }
        }
    }
    if written.is_empty() {
        section.complain("event_ids", "is empty: nothing would be read");
    }
    ids
}

impl EventLogLimits {
    fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let seconds = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
        Self {
            connect: section.within("connect", default.connect, seconds(1, 60)),
            answer: section.within("answer", default.answer, seconds(1, 600)),
            records: section.within("records", default.records, 1..=1024),
        }
    }
}
