//! The producers of the house: drawn from the settings with everything bound that they need, and
//! compared with those at work when a reload asks for others.

use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall_config::{self as config, Settings};
use rollcall_identity::Name;

use super::doors::{self, Certificate, Listening, Obstacle};
use rollcall_engine::directory::SharedDirectory;
use rollcall_producers::active_directory::{ActiveDirectory, Teaching};
use rollcall_producers::event_log::{EventLog, EventLogs, Source};
use rollcall_producers::syslog::Syslog;
use rollcall_producers::{Producer, Producing};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;

/// A producer that can begin: everything it needs is bound and read.
#[derive(Clone)]
pub(super) struct Recruit {
    trade: Trade,
    made_from: MadeFrom,
}

/// A producer of each kind that the house hires by name.
#[derive(Clone)]
enum Trade {
    Syslog(Arc<Syslog>),
    ActiveDirectory(Arc<ActiveDirectory>),
    EventLog(Arc<EventLog>),
}

/// What a producer was made from; from anything else another one is made.
#[derive(Clone, PartialEq)]
enum MadeFrom {
    Syslog(Box<config::Syslog>, Certificate),
    ActiveDirectory(Box<config::ActiveDirectory>, Certificate),
    EventLog(Box<Source>),
}

/// A producer at work.
pub(super) struct Employed {
    recruit: Recruit,
    /// Its mailbox.
    pub(super) desk: Mailbox<Producing>,
}

/// The producers at work, by name.
pub(super) type Staff = BTreeMap<Name, Employed>;

/// The producers that the settings want and that are not at work yet, by name.
pub(super) type Recruits = BTreeMap<Name, Recruit>;

impl Recruit {
    /// What runs.
    pub(super) fn producer(&self) -> Arc<dyn Producer> {
        match &self.trade {
            Trade::Syslog(syslog) => Arc::clone(syslog) as _,
            Trade::ActiveDirectory(directory) => Arc::clone(directory) as _,
            Trade::EventLog(log) => Arc::clone(log) as _,
        }
    }

    /// The directory that it reads, when it reads one.
    pub(super) fn directory(&self) -> Option<&Arc<ActiveDirectory>> {
        match &self.trade {
            Trade::ActiveDirectory(directory) => Some(directory),
            Trade::Syslog(_) | Trade::EventLog(_) => None,
        }
    }

    /// The event log that it reads, when it reads one.
    pub(super) fn event_log(&self) -> Option<&EventLog> {
        match &self.trade {
            Trade::EventLog(log) => Some(log),
            Trade::Syslog(_) | Trade::ActiveDirectory(_) => None,
        }
    }

    /// Where it listens.
    pub(super) fn listening(&self, name: &Name) -> Vec<Listening> {
        let named = |(scheme, address)| Listening { name: name.to_string(), scheme, address };
        match &self.trade {
            Trade::Syslog(syslog) => syslog.listening().into_iter().map(named).collect(),
            Trade::ActiveDirectory(_) | Trade::EventLog(_) => Vec::new(),
        }
    }

    /// The domain of the directory that it reads.
    fn domain(&self) -> Option<&Name> {
        match &self.made_from {
            MadeFrom::ActiveDirectory(section, _) => Some(&section.domain),
            MadeFrom::Syslog(..) | MadeFrom::EventLog(_) => None,
        }
    }

    /// At work behind `desk`.
    pub(super) fn at(self, desk: Mailbox<Producing>) -> Employed {
        Employed { recruit: self, desk }
    }
}

/// Draws the producers of the settings that are not at work as they are wanted: on the sockets of
/// those at work, where the addresses stay. Directories enter what they say into `book`, and event logs
/// know of one another by `logs`. Everything that cannot be had is told to `obstacle`.
pub(super) fn draw(
    settings: &Settings,
    (clock, book, logs): (&Clock, &SharedDirectory, &EventLogs),
    staff: &Staff,
    mut obstacle: impl FnMut(Obstacle),
) -> Recruits {
    let mut recruits = Recruits::new();
    let before: Vec<&Syslog> = staff.values().filter_map(Employed::syslog).collect();
    for section in &settings.syslog {
        let made_from = MadeFrom::Syslog(Box::new(section.clone()), doors::certificate(section));
        if staff.get(&section.name).is_some_and(|e| e.recruit.made_from == made_from) {
            continue;
        }
        match doors::syslog(section, clock, &before) {
            Ok(syslog) => {
                let trade = Trade::Syslog(Arc::new(syslog));
                recruits.insert(section.name.clone(), Recruit { trade, made_from });
            }
            Err(error) => obstacle(error),
        }
    }
    for section in &settings.active_directory {
        let authority: Vec<_> = section.ca.iter().collect();
        let digest = doors::digest(&authority);
        let made_from = MadeFrom::ActiveDirectory(Box::new(section.clone()), digest);
        if staff.get(&section.name).is_some_and(|e| e.recruit.made_from == made_from) {
            continue;
        }
        let learner = Arc::new(Teaching::new(section, book.clone()));
        match ActiveDirectory::new(section, learner, clock.clone()) {
            Ok(directory) => {
                let trade = Trade::ActiveDirectory(Arc::new(directory));
                recruits.insert(section.name.clone(), Recruit { trade, made_from });
            }
            Err(error) => obstacle(Obstacle::wrong(&section.name, &error)),
        }
    }
    for source in settings.event_log.iter().flat_map(Source::all) {
        let (name, made_from) =
            (source.name().clone(), MadeFrom::EventLog(Box::new(source.clone())));
        if staff.get(&name).is_none_or(|e| e.recruit.made_from != made_from) {
            let log = EventLog::new(source, clock.clone(), logs.clone());
            let trade = Trade::EventLog(Arc::new(log));
            recruits.insert(name, Recruit { trade, made_from });
        }
    }
    recruits
}

/// The names of those at work whom the settings do not know any more.
pub(super) fn gone(settings: &Settings, staff: &Staff) -> Vec<Name> {
    let syslog = settings.syslog.iter().map(|section| &section.name);
    let directories = settings.active_directory.iter().map(|section| &section.name);
    let logs = settings.event_log.iter().flat_map(|section| &section.sources);
    let logs = logs.map(|source| &source.name);
    let wanted: Vec<&Name> = syslog.chain(directories).chain(logs).collect();
    staff.keys().filter(|name| !wanted.contains(name)).cloned().collect()
}

impl Employed {
    /// Takes out of `book` what only this one knows. What sessions say stays as it is.
    pub(super) async fn forget(&self, book: &SharedDirectory) {
        if let Some(domain) = self.recruit.domain().cloned() {
            let book = book.clone();
            // It fails only when it panics: then the domain stays known, and nobody asks for it.
            let _ = tokio::task::spawn_blocking(move || book.remove(&domain)).await;
        }
    }

    /// Whether `successor` reads the same directory: then what is known stays in force until it has
    /// read it.
    pub(super) fn reads_what_is_read_by(&self, successor: &Recruit) -> bool {
        self.recruit.domain() == successor.domain()
    }

    fn syslog(&self) -> Option<&Syslog> {
        match &self.recruit.trade {
            Trade::Syslog(syslog) => Some(syslog),
            Trade::ActiveDirectory(_) | Trade::EventLog(_) => None,
        }
    }
}
