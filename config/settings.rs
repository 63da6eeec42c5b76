//! The whole configuration as it is meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rollcall_identity::{Glob, Name, Rules};

use crate::reading::{Document, Environment, Reading};
use crate::section::Section;
use crate::template::Templates;
use crate::{
    ActiveDirectory, Enforcement, EventLog, History, Journal, Log, Point, Problem, Problems, Ptim,
    REFERENCE, Rest, Syslog, Target, Tls, Validator, clients_file, file, rules,
};

/// Everything that Rollcall is configured with. Sections compare, so that a reload restarts only
/// what changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The folder of everything that Rollcall writes.
    pub data: PathBuf,
    /// How long a stopping server may take to finish what it holds.
    pub drain: Duration,
    /// The rules in force, with what every syslog client and every pusher may speak for.
    pub rules: Rules,
    /// How long ended sessions are remembered.
    pub history: History,
    /// What survives the process.
    pub journal: Journal,
    /// The syslog producers.
    pub syslog: Vec<Syslog>,
    /// The directories.
    pub active_directory: Vec<ActiveDirectory>,
    /// The event logs.
    pub event_log: Vec<EventLog>,
    /// The pushing producer.
    pub ptim: Ptim,
    /// The listener of the firewalls.
    pub enforcement: Enforcement,
    /// The listener of those who validate.
    pub validator: Validator,
    /// Those who are told without asking.
    pub push: Vec<Target>,
    /// The listener of the administrators.
    pub rest: Rest,
    /// The log.
    pub log: Log,
}

impl Settings {
    /// The listeners whose secrets and users can be read on the way: plain HTTP because `insecure`
    /// was written, and not the administrators' on loopback, which nobody else can read.
    pub fn insecure_listeners(&self) -> Vec<&'static str> {
        let Self { enforcement, validator, rest, .. } = self;
        let local = rest.listen.ip().to_canonical().is_loopback();
        let open = [
            ("enforcement", enforcement.tls == Tls::Plain && !enforcement.listen.is_empty()),
            ("validator", validator.tls == Tls::Plain && !validator.listen.is_empty()),
            ("rest", rest.tls == Tls::Plain && !local),
        ];
        open.into_iter().filter(|(_, insecure)| *insecure).map(|(name, _)| name).collect()
    }
}

/// The file name of the embedded default in problems.
const EMBEDDED: &str = "(embedded default)";

/// Reads and checks the configuration at `path`, and the clients file in its data folder. Without
/// a path, [`REFERENCE`] is read.
///
/// Relative paths are relative to the folder of the configuration; for the embedded default, to
/// the working directory.
///
/// # Errors
/// Every problem there is, not only the first.
pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Settings, Problems> {
    match path {
        None => read(Path::new(EMBEDDED), REFERENCE, Path::new(""), environment),
        Some(path) => match file::text(path) {
            Ok(text) => read(path, &text, path.parent().unwrap_or(Path::new("")), environment),
            Err(message) => Err(unreadable(path, message)),
        },
    }
}

fn unreadable(path: &Path, message: String) -> Problems {
    let problem = Problem { file: path.to_owned(), key: String::new(), line: None, message };
    Problems::from_found(vec![problem]).expect("one problem was found")
}

/// Reads the configuration `text`.
pub(crate) fn read(
    file: &Path,
    text: &str,
    base: &Path,
    environment: &Environment,
) -> Result<Settings, Problems> {
    let reading = Reading::new(environment);
    let document = Document { reading: &reading, file, text, base };
    let settings = document.read(Settings::read).map(|mut settings| {
        let added = clients_file::read(&reading, &settings.data);
        settings.enforcement.points.extend(added);
        settings.grant();
        settings.name_domains();
        settings
    });
    match Problems::from_found(reading.into_problems()) {
        Some(problems) => Err(problems),
        None => Ok(settings.expect("a file that is not read has a problem")),
    }
}

/// How long a drain may take: longer than any client is waited for, shorter than systemd's 90 s.
const DRAINS: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(80);

impl Settings {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let data = section.get("data").unwrap_or_else(|| PathBuf::from("rollcall-data"));
        let data = section.resolve(data);
        let templates = Templates::default();
        Self {
            drain: section.within("drain", Duration::from_secs(10), DRAINS),
            rules: section.section("rules", rules::read),
            history: section.section("history", History::read),
            journal: section.section("journal", |journal| Journal::read(journal, &data)),
            syslog: section.sections("syslog", |syslog| Syslog::read(syslog, &templates)),
            active_directory: section.sections("active_directory", ActiveDirectory::read),
            event_log: section.sections("event_log", EventLog::read),
            ptim: section.section("ptim", Ptim::read),
            enforcement: section.section("enforcement", Enforcement::read),
            validator: section.section("validator", Validator::read),
            push: section.section("push", |push| Target::all(push, &data)),
            rest: section.section("rest", |rest| Rest::read(rest, &data)),
            log: section.section("log", Log::read),
            data,
        }
    }

    /// Enters what every source may speak for into the rules.
    fn grant(&mut self) {
        let syslog = self.syslog.iter().flat_map(|producer| {
            let named = |client: &crate::SyslogClient| {
                ((producer.name.clone(), client.name.clone()), client.authority.clone())
            };
            producer.clients.iter().map(named)
        });
        let logs = self.event_log.iter().flat_map(|log| {
            let named = |source: &crate::EventLogSource| {
                ((source.name.clone(), source.name.clone()), log.authority.clone())
            };
            log.sources.iter().map(named)
        });
        let ptim: &Name = &self.ptim.name;
        let pushers = self.ptim.clients.iter();
        let pushers = pushers.map(|p| ((ptim.clone(), p.name.clone()), p.authority.clone()));
        let granted =
            |point: &Point| Some(((ptim.clone(), point.name.clone()), point.push.clone()?));
        let points = self.enforcement.points.iter().filter_map(granted);
        self.rules.authorities.extend(syslog.chain(logs).chain(pushers).chain(points));
    }

    /// Reads every name of a domain as what it is another name for. The users of a domain are known
    /// by its one name, so whoever writes another must mean the same.
    fn name_domains(&mut self) {
        let netbios = self
            .active_directory
            .iter()
            .filter_map(|directory| Some((directory.netbios.clone()?, directory.domain.clone())));
        self.rules.domain_aliases.extend(netbios);
        let aliases = &self.rules.domain_aliases;
        for domain in self.rules.authorities.values_mut().flat_map(|it| &mut it.domains) {
            if let Some(known) = aliases.get(domain) {
                domain.clone_from(known);
            }
        }
        let known = |domain: &str| aliases.get(&Name::new(domain).ok()?).map(Name::as_str);
        let points = self.enforcement.points.iter_mut().map(|point| &mut point.domains);
        let targets = self.push.iter_mut().map(|target| &mut target.domains);
        let ignored = &mut self.rules.ignore;
        for domains in points.chain(targets).chain([&mut ignored.domains]) {
            for glob in domains {
                let name = known(&glob.to_string()).and_then(|name| Glob::new(name).ok());
                *glob = name.unwrap_or_else(|| glob.clone());
            }
        }
        let user = |glob: &Glob| {
            let pattern = glob.to_string();
            let (user, domain) = pattern.rsplit_once('@')?;
            Glob::new(&format!("{user}@{}", known(domain)?)).ok()
        };
        let users = ignored.users.as_slice().iter();
        ignored.users = users.map(|glob| user(glob).unwrap_or_else(|| glob.clone())).collect();
    }
}
