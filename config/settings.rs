//! The settings: the whole configuration after parsing, validation and defaults.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

use rollcall_identity::{Glob, Name, Rules};
use toml::Table;

use crate::syslog_template::TemplateCache;
use crate::table_reader::TableReader;
use crate::{
    ActiveDirectory, ChangeLogLimits, Enforcement, EnforcementPoint, EventLog, EventLogSource,
    Journal, LogSettings, Ptim, PushTarget, Rest, Syslog, SyslogClient, Tls, Validator, rules,
};

/// The whole configuration. Its parts implement `PartialEq`, so that a reload restarts only the
/// parts that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// How long a shutdown waits for requests and deliveries to complete.
    pub shutdown_timeout: Duration,
    /// The rules, including the authority of each source.
    pub rules: Rules,
    /// The limits of the change log.
    pub change_log: ChangeLogLimits,
    /// The journal.
    pub journal: Journal,
    /// The syslog producers.
    pub syslog: Vec<Syslog>,
    /// The domains of Active Directory.
    pub active_directory: Vec<ActiveDirectory>,
    /// The Windows event logs.
    pub event_log: Vec<EventLog>,
    /// The PTIM producer.
    pub ptim: Ptim,
    /// The enforcement listener.
    pub enforcement: Enforcement,
    /// The validator listener.
    pub validator: Validator,
    /// The push targets.
    pub push: Vec<PushTarget>,
    /// The REST listener.
    pub rest: Rest,
    /// The log.
    pub log: LogSettings,
    /// The configuration file with all defaults, without secrets.
    pub effective: Table,
    /// Whether there is no configuration file: the embedded default lets every program of this
    /// machine create sessions.
    pub is_evaluation: bool,
}

/// The valid shutdown timeouts. systemd kills a service after 90 s by default.
const SHUTDOWN_TIMEOUT: std::ops::RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(80);

impl Settings {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        let data = table.file_path_or("data", table.resolve("rollcall-data"));
        let templates = TemplateCache::default();
        let shutdown_timeout = Duration::from_secs(10);
        Self {
            shutdown_timeout: table.in_range(
                "shutdown_timeout",
                shutdown_timeout,
                SHUTDOWN_TIMEOUT,
            ),
            rules: table.subtable("rules", rules::from_table),
            change_log: table.subtable("change_log", ChangeLogLimits::from_table),
            journal: table.subtable("journal", |journal| Journal::from_table(journal, &data)),
            syslog: table.subtables("syslog", |syslog| Syslog::from_table(syslog, &templates)),
            active_directory: table.subtables("active_directory", ActiveDirectory::from_table),
            event_log: table.subtables("event_log", EventLog::from_table),
            ptim: table.subtable("ptim", Ptim::from_table),
            enforcement: table.subtable("enforcement", Enforcement::from_table),
            validator: table.subtable("validator", Validator::from_table),
            push: table.subtable("push", |push| PushTarget::from_tables(push, &data)),
            rest: table.subtable("rest", |rest| Rest::from_table(rest, &data)),
            log: table.subtable("log", LogSettings::from_table),
            data,
            effective: Table::new(),
            is_evaluation: false,
        }
    }

    /// The listeners whose traffic can be read on the network because of `insecure = true`. The
    /// REST listener on loopback is not one of them.
    pub fn insecure_listeners(&self) -> Vec<&'static str> {
        let Self { enforcement, validator, rest, .. } = self;
        let local = rest.listen.ip().to_canonical().is_loopback();
        let open = [
            ("enforcement", enforcement.tls == Tls::Disabled && !enforcement.listen.is_empty()),
            ("validator", validator.tls == Tls::Disabled && !validator.listen.is_empty()),
            ("rest", rest.tls == Tls::Disabled && !local),
        ];
        open.into_iter().filter(|(_, insecure)| *insecure).map(|(name, _)| name).collect()
    }

    /// Adds the authority of each source to the rules.
    pub(crate) fn add_authorities(&mut self) {
        let syslog = self.syslog.iter().flat_map(|producer| {
            let entry = |client: &SyslogClient| {
                ((producer.name.clone(), client.name.clone()), client.authority.clone())
            };
            producer.clients.iter().map(entry)
        });
        let logs = self.event_log.iter().flat_map(|log| {
            let entry = |source: &EventLogSource| {
                ((source.name.clone(), source.name.clone()), log.authority.clone())
            };
            log.sources.iter().map(entry)
        });
        let ptim: &Name = &self.ptim.name;
        let clients = self.ptim.clients.iter();
        let clients = clients.map(|p| ((ptim.clone(), p.name.clone()), p.authority.clone()));
        let entry = |point: &EnforcementPoint| {
            Some(((ptim.clone(), point.name.clone()), point.push.clone()?))
        };
        let points = self.enforcement.points.iter().filter_map(entry);
        self.rules.authorities.extend(syslog.chain(logs).chain(clients).chain(points));
    }

    /// Replaces domain aliases and NetBIOS names by the DNS name in authorities, filters and ignore
    /// rules, because sessions have the DNS name of the domain.
    pub(crate) fn resolve_domain_aliases(&mut self) {
        let netbios = self
            .active_directory
            .iter()
            .filter_map(|directory| Some((directory.netbios.clone()?, directory.domain.clone())));
        self.rules.domain_aliases.extend(netbios);
        let aliases = &self.rules.domain_aliases;
        let grants = self.rules.authorities.values_mut().flat_map(|source| &mut source.grants);
        for domain in grants.flat_map(|grant| &mut grant.domains) {
            if let Some(resolved) = aliases.get(domain) {
                domain.clone_from(resolved);
            }
        }
        let resolve = |domain: &str| aliases.get(&Name::new(domain).ok()?).map(Name::as_str);
        let points = self.enforcement.points.iter_mut().map(|point| &mut point.domains);
        let targets = self.push.iter_mut().map(|target| &mut target.domains);
        let ignored = &mut self.rules.ignore;
        for domains in points.chain(targets).chain([&mut ignored.domains]) {
            for glob in domains {
                let resolved = resolve(&glob.to_string()).and_then(|name| Glob::new(name).ok());
                *glob = resolved.unwrap_or_else(|| glob.clone());
            }
        }
        let user = |glob: &Glob| {
            let pattern = glob.to_string();
            let (user, domain) = pattern.rsplit_once('@')?;
            Glob::new(&format!("{user}@{}", resolve(domain)?)).ok()
        };
        let users = ignored.users.as_slice().iter();
        ignored.users = users.map(|glob| user(glob).unwrap_or_else(|| glob.clone())).collect();
    }
}

impl Display for Settings {
    /// The effective configuration as TOML: the configuration file with all defaults. Inline secret
    /// hashes are redacted; other secrets are references to files, credentials and variables.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(toml::to_string_pretty(&self.effective).map_err(|_| fmt::Error)?.trim_end())
    }
}
