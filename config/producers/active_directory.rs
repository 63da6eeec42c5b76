//! Which directories are read: their domain controllers, how Rollcall proves itself to them, and how
//! often it asks what changed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rollcall_identity::Name;

use crate::account::ServiceAccount;
use crate::leaf::{CertificatePin, Domain, Host};
use crate::listener::certificate_file;
use crate::section::Section;

/// One domain of Active Directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveDirectory {
    /// Its name as a producer.
    pub name: Name,
    /// The DNS name of the domain, in lower case.
    pub domain: Name,
    /// Its NetBIOS name, in lower case, where the configuration calls it so elsewhere.
    pub netbios: Option<Name>,
    /// Its domain controllers in the order in which they are tried; empty to ask DNS.
    pub servers: Vec<String>,
    /// Who is asked for their addresses; empty for what the machine is configured with.
    pub name_servers: Vec<SocketAddr>,
    /// How the connection is protected.
    pub transport: Transport,
    /// The authority that signs the controllers' certificates, PEM.
    pub ca: Option<PathBuf>,
    /// SHA-256 of certificates that are taken whoever signed them.
    pub pins: Vec<CertificatePin>,
    /// How Rollcall proves itself.
    pub bind: Bind,
    /// Whether Kerberos and NTLM are bound to the TLS connection.
    pub channel_binding: bool,
    /// Its account; for a simple bind its name may be a distinguished one.
    pub account: ServiceAccount,
    /// Where accounts and groups are; empty for the whole domain.
    pub bases: Vec<String>,
    /// How often it is asked what changed.
    pub interval: Duration,
    /// How it is asked.
    pub changes: Changes,
    /// Whether the controllers are asked to say at once that something changed.
    pub notify: bool,
    /// Whether users that are written without a domain belong to this one.
    pub default_domain: bool,
    /// Whether mail addresses are read.
    pub mail: bool,
    /// What becomes of the sessions of an account that is switched off.
    pub when_disabled: Sessions,
    /// And of one that is deleted.
    pub when_deleted: Sessions,
    /// What a controller may cost.
    pub limits: DirectoryLimits,
}

/// How a connection to a domain controller is protected.
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
pub enum Transport {
    /// TLS from the first byte, port 636.
    #[default]
    Ldaps,
    /// TLS on port 389, begun with StartTLS (RFC 4511 section 4.14).
    StartTls,
    /// Port 389 without TLS; all but a simple bind sign and seal what is sent.
    Ldap,
}

/// How Rollcall proves itself.
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
pub enum Bind {
    /// By the password itself.
    #[default]
    Simple,
    /// By Kerberos, or by NTLM where Kerberos is not to be had (GSS-SPNEGO, RFC 4178).
    Spnego,
    /// By NTLM.
    Ntlm,
    /// By Kerberos.
    Kerberos,
}

/// How a controller is asked what changed.
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
pub enum Changes {
    /// By its update sequence numbers (uSNChanged), which every account may read.
    #[default]
    Usn,
    /// By DirSync, which tells single members of groups.
    DirSync,
}

/// What becomes of the sessions of an account that the directory takes away.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Sessions {
    /// They stay until they end by themselves.
    Keep,
    /// They end.
    End,
}

/// What a controller may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryLimits {
    /// How long a connection, with its TLS handshake, may take.
    pub connect: Duration,
    /// How long a controller may be silent while it answers.
    pub answer: Duration,
    /// How long one reading may take.
    pub read: Duration,
    /// The most entries on one page of an answer.
    pub page: u32,
    /// The most objects and members that one reading may bring.
    pub objects: usize,
    /// How often everything is read and compared, whatever the changes said.
    pub compare: Duration,
    /// How often the servers before the one that answers are tried.
    pub back: Duration,
}

impl Default for DirectoryLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            read: Duration::from_secs(1800),
            page: 500,
            objects: 10_000_000,
            compare: Duration::from_secs(12 * 3600),
            back: Duration::from_secs(300),
        }
    }
}

impl DirectoryLimits {
    fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let seconds = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
        Self {
            connect: section.within("connect", default.connect, seconds(1, 60)),
            answer: section.within("answer", default.answer, seconds(1, 600)),
            read: section.within("read", default.read, seconds(10, 24 * 3600)),
            // Active Directory's own limit is 1,000 (MaxPageSize); it answers with less, not more.
            page: section.within("page", default.page, 10..=5_000),
            objects: section.within("objects", default.objects, 1_000..=1_000_000_000),
            compare: section.within("compare", default.compare, seconds(60, 30 * 24 * 3600)),
            back: section.within("back", default.back, seconds(1, 24 * 3600)),
        }
    }
}

/// How often a directory may be asked what changed.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

impl ActiveDirectory {
    /// The distinguished names below which accounts and groups are looked for: `bases`, or that of
    /// the domain.
    pub fn places(&self) -> Vec<String> {
        if self.bases.is_empty() { vec![self.root()] } else { self.bases.clone() }
    }

    /// The distinguished name of the domain: `DC=corp,DC=example,DC=com`.
    pub fn root(&self) -> String {
        let parts = self.domain.as_str().split('.').map(|part| format!("DC={part}"));
        parts.collect::<Vec<_>>().join(",")
    }

    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let name = section.required::<Name>("name");
        if let Some(name) = &name {
            section.claim("producer", "name", name.as_str());
        }
        let domain = section.required::<Domain>("domain").map(|domain| domain.0);
        if let Some(domain) = &domain {
            section.claim("directory", "domain", domain.as_str());
        }
        let netbios = section.get::<Domain>("netbios").map(|netbios| netbios.0);
        if let Some(netbios) = &netbios {
            section.claim("directory", "netbios", netbios.as_str());
        }
        let default_domain = section.or("default_domain", false);
        if default_domain {
            section.claim("directory of bare names", "default_domain", "default_domain = true");
        }
        let limits = section.section("limits", DirectoryLimits::read);
        let servers: Vec<Host> = section.list("servers").unwrap_or_default();
        let transport = section.or("transport", Transport::default());
        let bind = section.or("bind", Bind::default());
        refuse_clear_text(section, transport, bind);
        let read = Self {
            netbios,
            servers: servers.into_iter().map(|host| host.0).collect(),
            name_servers: section.list("name_servers").unwrap_or_default(),
            transport,
            ca: certificate_file(section, "ca"),
            pins: section.list("pins").unwrap_or_default(),
            bind,
            channel_binding: section.or("channel_binding", true),
            bases: section.list("bases").unwrap_or_default(),
            interval: section.within("interval", Duration::from_secs(30), INTERVALS),
            changes: section.or("changes", Changes::default()),
            notify: section.or("notify", true),
            default_domain,
            mail: section.or("mail", false),
            when_disabled: section.or("when_disabled", Sessions::End),
            when_deleted: section.or("when_deleted", Sessions::End),
            limits,
            // What is missing has been complained of when these are looked at.
            account: ServiceAccount::read(section)?,
            name: name?,
            domain: domain?,
        };
        read.check(section);
        Some(read)
    }

    /// What each key allows alone, and not together.
    fn check(&self, section: &Section<'_>) {
        if self.transport != Transport::Ldap && self.pins.is_empty() && !section.has("ca") {
            let message = "is missing: TLS needs the authority of the domain controllers, or pins";
            section.complain("ca", message);
        }
        if self.bind != Bind::Simple && self.account.is_distinguished() {
            section.complain("account", "is a distinguished name, which only a simple bind takes");
        }
        for (index, base) in self.bases.iter().enumerate() {
            let (base, root) = (base.to_lowercase(), self.root().to_lowercase());
            if base != root && !base.ends_with(&format!(",{root}")) {
                section
                    .complain(&format!("bases[{index}]"), format!("is not below {}", self.root()));
            }
        }
        let needs_name = matches!(self.bind, Bind::Kerberos);
        for (index, server) in self.servers.iter().enumerate() {
            if needs_name && server.parse::<IpAddr>().is_ok() {
                let message = "is an address: Kerberos knows servers by their full names";
                section.complain(&format!("servers[{index}]"), message);
            }
        }
    }
}

/// A password that everybody on the way can read is sent only when that is what is wanted.
fn refuse_clear_text(section: &Section<'_>, transport: Transport, bind: Bind) {
    let clear = transport == Transport::Ldap && bind == Bind::Simple;
    if clear && !section.or("allow_clear_text", false) {
        let message = "is \"ldap\": a simple bind would send the password in clear text; write \
                       \"ldaps\", or another bind, or allow_clear_text = true";
        section.complain("transport", message);
    } else if !clear && section.or("allow_clear_text", false) {
        let message = "is not needed: the password is not sent in clear text";
        section.complain("allow_clear_text", message);
    }
}
