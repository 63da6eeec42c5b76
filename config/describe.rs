//! What `rollcall check` shows: the configuration as it was resolved, in plain lines.

use std::fmt::{self, Display, Formatter, Write};

use ipnet::IpNet;
use rollcall_identity::directory::GroupFilter;
use rollcall_identity::{Authority, Kind};

use crate::leaf::{Bytes, Ranged};
use crate::{
    ActiveDirectory, Enforcement, EventLog, Journal, JournalKind, Manner, Point, Settings,
    SrxWebApi, Syslog, SyslogClient, Target, Tls, Validator,
};

impl Display for Settings {
    /// One line for each thing; no secrets.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "data         {}", self.data.display())?;
        let rules = &self.rules;
        let (age, logoff) = (rules.max_age.written(), rules.logoff_time.written());
        writeln!(f, "rules        events up to {age} old, logoff after {logoff}")?;
        let mut exceptions: Vec<_> = rules.logoff_time_by_producer.iter().collect();
        exceptions.sort_by_key(|(producer, _)| producer.as_str());
        for (producer, time) in exceptions {
            writeln!(f, "             logoff after {} for {}", time.written(), producer.as_str())?;
        }
        let ignored = &rules.ignore;
        let (users, domains) =
            (listed(ignored.users.as_slice(), "no user"), listed(&ignored.domains, "no domain"));
        writeln!(
            f,
            "             ignoring {users}; {domains}; {}",
            networks(&ignored.networks, "no network")
        )?;
        let ends = self.history.tombstone_count;
        writeln!(
            f,
            "history      {ends} ended sessions, for {}",
            self.history.tombstones.written()
        )?;
        journal(f, &self.journal)?;
        for producer in &self.syslog {
            syslog(f, producer)?;
        }
        for directory in &self.active_directory {
            active_directory(f, directory)?;
        }
        for log in &self.event_log {
            event_log(f, log)?;
        }
        let (taken, name) = (if self.ptim.enabled { "taken" } else { "refused" }, &self.ptim.name);
        writeln!(f, "ptim         {name}: pushes are {taken}")?;
        for pusher in &self.ptim.clients {
            let from = networks(&pusher.addresses, "nowhere");
            writeln!(
                f,
                "  {}: from {from}, client id {}, secret (hidden)",
                pusher.name, pusher.client_id
            )?;
            authority(f, &pusher.authority)?;
        }
        enforcement(f, &self.enforcement)?;
        validator(f, &self.validator)?;
        self.push.iter().try_for_each(|each| target(f, each))?;
        let rest = &self.rest;
        writeln!(f, "rest         {} {}", rest.listen, protection(&rest.tls))?;
        writeln!(f, "             token in {}", rest.token_file.display())?;
        writeln!(f, "log          {}, {}", self.log.format.as_str(), self.log.level.as_str())?;
        write!(f, "drain        {}", self.drain.written())
    }
}

fn journal(f: &mut Formatter<'_>, journal: &Journal) -> fmt::Result {
    if journal.kind == JournalKind::Memory {
        return writeln!(f, "journal      in memory: every start begins with no session");
    }
    let (folder, events) = (journal.folder.display(), journal.segment_events);
    writeln!(f, "journal      in {folder}, kept {}", journal.retention.written())?;
    let (age, bytes) = (journal.segment_age.written(), Bytes(journal.retention_bytes).written());
    writeln!(f, "             up to {bytes}, in segments of {events} events or {age}")?;
    match journal.names_retention {
        Some(names) => writeln!(f, "             names in them are kept {}", names.written()),
        None => Ok(()),
    }
}

fn syslog(f: &mut Formatter<'_>, producer: &Syslog) -> fmt::Result {
    let tls = producer.tls.iter().flat_map(|tls| &tls.listen).map(|at| format!("tls {at}"));
    let udp = producer.udp.iter().map(|at| format!("udp {at}"));
    let tcp = producer.tcp.iter().map(|at| format!("tcp {at}"));
    let listeners: Vec<String> = udp.chain(tcp).chain(tls).collect();
    writeln!(f, "syslog       {}: {}", producer.name, listed(&listeners, "listens nowhere"))?;
    producer.clients.iter().try_for_each(|client| syslog_client(f, client))
}

fn active_directory(f: &mut Formatter<'_>, directory: &ActiveDirectory) -> fmt::Result {
    let ActiveDirectory { name, domain, account, .. } = directory;
    let servers = listed(&directory.servers, "the servers that DNS names");
    let (transport, bind): (&str, &str) = (directory.transport.into(), directory.bind.into());
    writeln!(f, "directory    {name}: {domain}, {transport} to {servers}")?;
    writeln!(f, "             {bind} bind as {account}, secret (hidden)")?;
    let (changes, interval): (&str, _) = (directory.changes.into(), directory.interval.written());
    let (disabled, deleted): (&str, &str) =
        (directory.when_disabled.into(), directory.when_deleted.into());
    writeln!(f, "             changes by {changes} every {interval}")?;
    writeln!(f, "             sessions of disabled accounts {disabled}, of deleted {deleted}")
}

fn event_log(f: &mut Formatter<'_>, log: &EventLog) -> fmt::Result {
    let (auth, kdc): (&str, _) = (log.auth.into(), log.kdc.map(|at| at.to_string()));
    let kdc = kdc.unwrap_or_else(|| "each controller, or of whom DNS names".to_owned());
    writeln!(f, "event logs   as {}, secret (hidden), by {auth}, tickets of {kdc}", log.account)?;
    let (catch_up, silent) = (log.catch_up.written(), log.silent.written());
    let delivery: &str = log.delivery.into();
    writeln!(f, "             by {delivery}, from {catch_up} back; silent after {silent}")?;
    for source in &log.sources {
        let port = source.port.map(|port| format!(" port {port}")).unwrap_or_default();
        let role: &str = source.role.into();
        let ids: Vec<String> = source.event_ids.iter().map(u16::to_string).collect();
        writeln!(f, "  {}: {}{port}, {role}, events {}", source.name, source.host, ids.join(" "))?;
    }
    authority(f, &log.authority)
}

fn syslog_client(f: &mut Formatter<'_>, client: &SyslogClient) -> fmt::Result {
    let certificates = client.certificate_names.iter().map(|name| format!("certificate {name}"));
    let senders = client.addresses.iter().map(IpNet::to_string).chain(certificates);
    let senders: Vec<String> = senders.collect();
    writeln!(f, "  {}: from {}", client.name, listed(&senders, "nowhere"))?;
    let templates: Vec<&str> = client.templates.iter().map(|t| t.name().as_str()).collect();
    writeln!(f, "    templates {}", listed(&templates, "none"))?;
    let clock: &str = client.sender_time.into();
    let zone = client.zone.iana_name().unwrap_or("as this machine");
    write!(f, "    time {clock}, zone {zone}")?;
    match &client.domain {
        Some(domain) => writeln!(f, ", bare users are of {domain}")?,
        None => writeln!(f, ", bare users have no domain")?,
    }
    for (field, map) in &client.maps {
        writeln!(f, "    {field} from {}: {} values", map.from, map.values.len())?;
    }
    authority(f, &client.authority)
}

fn validator(f: &mut Formatter<'_>, validator: &Validator) -> fmt::Result {
    if validator.listen.is_empty() {
        return writeln!(f, "validator    switched off");
    }
    let listen = listed(&validator.listen, "nowhere");
    writeln!(f, "validator    {listen} {}", protection(&validator.tls))?;
    validator.clients.iter().try_for_each(|client| {
        let from = networks(&client.addresses, "nowhere");
        let (name, id) = (&client.name, &client.client_id);
        writeln!(f, "  {name}: from {from}, client id {id}, secret (hidden)")
    })
}

fn enforcement(f: &mut Formatter<'_>, enforcement: &Enforcement) -> fmt::Result {
    let listen = listed(&enforcement.listen, "switched off");
    writeln!(f, "enforcement  {listen} {}", protection(&enforcement.tls))?;
    let (token, query) = (&enforcement.token_path, &enforcement.query_path);
    let lifetime = enforcement.token_lifetime.written();
    writeln!(f, "             token {token} for {lifetime}, query {query}")?;
    if enforcement.points.is_empty() {
        writeln!(
            f,
            "             no enforcement point yet: rollcall client add NAME --address IP"
        )?;
    }
    enforcement.points.iter().try_for_each(|each| point(f, each))
}

fn point(f: &mut Formatter<'_>, point: &Point) -> fmt::Result {
    let from = networks(&point.addresses, "nowhere");
    let Point { name, client_id, .. } = point;
    writeln!(f, "  {name}: from {from}, client id {client_id}, secret (hidden)")?;
    if let Ok(dialect) = toml::Value::try_from(&point.dialect) {
        writeln!(f, "    answered in {dialect}")?;
    }
    groups(f, &point.groups)?;
    let hears = networks(&point.include, "every network");
    let domains = listed(&point.domains, "every domain");
    match networks(&point.exclude, "").as_str() {
        "" => writeln!(f, "    hears of {domains}, {hears}")?,
        except => writeln!(f, "    hears of {domains}, {hears} except {except}")?,
    }
    match &point.push {
        Some(push) => authority(f, push),
        None => writeln!(f, "    may push nothing"),
    }
}

fn groups(f: &mut Formatter<'_>, filter: &GroupFilter) -> fmt::Result {
    let GroupFilter { names, bases, limit } = filter;
    match (names.is_empty(), bases.is_empty()) {
        (true, true) => write!(f, "    every group")?,
        (false, true) => write!(f, "    groups {}", listed(names, ""))?,
        (true, false) => write!(f, "    groups below {}", listed(bases, ""))?,
        (false, false) => {
            write!(f, "    groups {}, and below {}", listed(names, ""), listed(bases, ""))?;
        }
    }
    writeln!(f, ", at most {limit}")
}

fn target(f: &mut Formatter<'_>, target: &Target) -> fmt::Result {
    let Target { name, url, batch, .. } = target;
    writeln!(f, "push         {name}: {url}, {batch} changes at once")?;
    match &target.manner {
        Manner::SecureEdge(edge) => {
            let (credentials, often) = (edge.credentials.display(), edge.check.written());
            writeln!(
                f,
                "    as Secure Edge, credentials in {credentials}, compared every {often}"
            )?;
        }
        Manner::SrxWebApi(srx) => {
            let SrxWebApi { user, rate, roles, .. } = srx;
            writeln!(
                f,
                "    as the SRX Web API, user {user}, {rate} entries a second, {roles} roles"
            )?;
        }
    }
    let (domains, hears) =
        (listed(&target.domains, "every domain"), networks(&target.include, "every network"));
    match networks(&target.exclude, "").as_str() {
        "" => writeln!(f, "    hears of {domains}, {hears}"),
        except => writeln!(f, "    hears of {domains}, {hears} except {except}"),
    }
}

fn authority(f: &mut Formatter<'_>, authority: &Authority) -> fmt::Result {
    let kinds: Vec<&str> = authority.kinds.iter().map(|kind| kind.as_str()).collect();
    let domains = listed(&authority.domains, "every domain");
    let networks = networks(&authority.networks, "every network");
    write!(f, "    may {} for {networks}, {domains}", listed(&kinds, "do nothing"))?;
    match authority.max_age {
        Some(age) => writeln!(f, ", up to {} old", age.written()),
        None => writeln!(f),
    }
}

fn protection(tls: &Tls) -> String {
    match tls {
        Tls::SelfMade { names } => {
            format!("HTTPS, self-made certificate for {}", listed(names, "this host"))
        }
        Tls::Files { certificate, .. } => format!("HTTPS, certificate {}", certificate.display()),
        Tls::Plain => "HTTP, not encrypted".to_owned(),
    }
}

fn networks(networks: &[IpNet], none: &str) -> String {
    listed(networks, none)
}

fn listed<T: Display>(items: &[T], none: &str) -> String {
    let mut text = String::new();
    for item in items {
        let joint = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{joint}{item}");
    }
    if text.is_empty() { none.to_owned() } else { text }
}

impl SyslogClient {
    /// Whether it may begin sessions from an address, which on UDP and TCP anybody can forge.
    pub fn begins_unproven(&self) -> bool {
        !self.addresses.is_empty() && self.authority.kinds.iter().copied().any(Kind::begins)
    }
}
