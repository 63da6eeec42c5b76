//! Windows logons: reads events of a server's security log that prove who is at which address.
//!
//! A [`LogonReader`] follows one source. It reads each [`LogRecord`] by the table in
//! `event_rules.rs`, one row per event ID, and returns an event or an [`IgnoreReason`]. Only
//! success audits are read; failures are only counted.
//!
//! ```text
//! LogRecord ─► success? ─► rule ─► guards ─► account: SID, then name ─► address ─► Event
//! ```

pub mod auditing;
mod event_rules;
mod fields;
mod guards;
mod host_addresses;
mod ignore_reason;
mod location;
mod logon_account;
mod open_logons;
mod settings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use ipnet::IpNet;

use self::event_rules::{AddressField, EVENT_RULES, EventRule, FAILURE_IDS, Meaning};
pub use self::event_rules::{event_source, readable_event_ids};
pub use self::host_addresses::HostAddresses;
pub use self::ignore_reason::IgnoreReason;
pub use self::location::UnresolvedLogon;
use self::location::{Location, Observation};
use self::logon_account::LogonAccount;
use self::open_logons::{OpenLogon, OpenLogons};
pub use self::settings::{LogonSettings, ServerRole};
use crate::{Address, Event, Kind, Name, Origin, Producer, Timestamp};

/// The fields of an event by their names in Microsoft's manifest, such as `TargetUserName`. Newer
/// versions of an event add and reorder fields but never rename them, so fields are read by name.
pub trait Fields {
    /// The field `name` as the event viewer shows it: a SID as `S-1-5-...`, numbers in decimal or
    /// with a `0x` prefix. `None` if the event has no such field.
    fn text(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// A record of an event log, however it was received.
#[derive(Clone, Copy)]
pub struct LogRecord<'a> {
    /// EventID.
    pub id: u16,
    /// TimeCreated, by the server's clock.
    pub time: Timestamp,
    /// EventRecordID, for messages about the record.
    pub record_id: u64,
    /// The server that wrote it: a DNS or NetBIOS name.
    pub computer: &'a str,
    /// The log that it was written to.
    pub channel: &'a str,
    /// The name of its provider.
    pub provider: &'a str,
    /// The keywords, 0 if there are none. They contain the audit result.
    pub keywords: u64,
    /// The fields.
    pub fields: &'a dyn Fields,
}

/// The result of reading a record. A record is about one address, so it yields at most one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// A logon, a logoff or another observation.
    Event(Event),
    /// A logon at a host of which only the name is known: look it up in [`HostAddresses`] and call
    /// [`LogonReader::locate`].
    Unresolved(UnresolvedLogon),
    /// The record was ignored, for this reason.
    Ignored(IgnoreReason),
}

/// Reads the records of one source, in order.
#[derive(Debug)]
pub struct LogonReader {
    settings: LogonSettings,
    /// The origin for each rule: explanations show the event ID.
    origins: Vec<Arc<Origin>>,
    open_logons: OpenLogons,
}

impl LogonReader {
    /// The keywords of success and failure audits (winmeta.xml).
    const SUCCESS: u64 = 0x0020_0000_0000_0000;
    const FAILURE: u64 = 0x0010_0000_0000_0000;

    /// A reader for the source `client` in the configuration of `producer`.
    pub fn new(settings: LogonSettings, producer: &Name, client: &Name) -> Self {
        let origin = |rule: &EventRule| {
            let form = Name::new(&rule.id.to_string()).expect("a number is a name");
            let (producer, client) = (producer.clone(), client.clone());
            Arc::new(Origin { kind: Producer::EventLog, producer, client, form })
        };
        let origins = EVENT_RULES.iter().map(origin).collect();
        Self { settings, origins, open_logons: OpenLogons::default() }
    }

    /// Replaces the networks of servers, where no user is.
    pub fn set_servers(&mut self, servers: Vec<IpNet>) {
        self.settings.servers = servers;
    }

    /// Reads `record`, received at `seen`.
    pub fn read(&mut self, record: &LogRecord<'_>, seen: Timestamp) -> ReadOutcome {
        match self.evaluate(record) {
            Ok((Location::At(address, observation), origin)) => {
                ReadOutcome::Event(observation.event(address, (record.time, seen), origin))
            }
            Ok((Location::Host(host, observation), origin)) => {
                ReadOutcome::Unresolved(UnresolvedLogon {
                    host,
                    observation,
                    at: record.time,
                    seen,
                    origin,
                })
            }
            Err(reason) => ReadOutcome::Ignored(reason),
        }
    }

    /// The result for `unresolved`, after its host was found at `address`.
    pub fn locate(&self, unresolved: UnresolvedLogon, address: Address) -> ReadOutcome {
        let UnresolvedLogon { observation, at, seen, origin, .. } = unresolved;
        match location::check_usable(address, &self.settings) {
            Ok(()) => ReadOutcome::Event(observation.event(address, (at, seen), origin)),
            Err(reason) => ReadOutcome::Ignored(reason),
        }
    }

    /// The observation, its location and its origin.
    fn evaluate(
        &mut self,
        record: &LogRecord<'_>,
    ) -> Result<(Location, Arc<Origin>), IgnoreReason> {
        let (rule, origin) = self.rule_for(record)?;
        for guard in rule.guards {
            guard.check(record, &self.settings)?;
        }
        let found = match (rule.meaning, rule.address) {
            (Meaning::Startup, _) => {
                self.open_logons.remove_computer(record.computer);
                return Err(IgnoreReason::Started);
            }
            (Meaning::Logoff, AddressField::Logon(field)) => self.logoff(record, rule, field)?,
            _ => self.logon(record, rule)?,
        };
        Ok((found, origin))
    }

    /// The rule for `record`, if it is a success audit that is read.
    fn rule_for(
        &self,
        record: &LogRecord<'_>,
    ) -> Result<(&'static EventRule, Arc<Origin>), IgnoreReason> {
        if FAILURE_IDS.contains(&record.id) || record.keywords & Self::FAILURE != 0 {
            return Err(IgnoreReason::Failure);
        }
        let index = EVENT_RULES
            .iter()
            .position(|rule| rule.id == record.id)
            .ok_or(IgnoreReason::NotRead)?;
        if !self.settings.ids.contains(&record.id) {
            return Err(IgnoreReason::NotRead);
        }
        // A record of another log or provider may be written by other programs than Windows
        // auditing.
        let is_audit = record.channel.eq_ignore_ascii_case("Security")
            && record.provider.eq_ignore_ascii_case("Microsoft-Windows-Security-Auditing");
        match () {
            () if !is_audit => Err(IgnoreReason::OtherLog),
            () if record.keywords & Self::SUCCESS == 0 => Err(IgnoreReason::Failure),
            () => Ok((&EVENT_RULES[index], self.origins[index].clone())),
        }
    }

    /// A user or device is at the address or host that the record names.
    fn logon(
        &mut self,
        record: &LogRecord<'_>,
        rule: &EventRule,
    ) -> Result<Location, IgnoreReason> {
        let account = LogonAccount::read(record, rule.account, &self.settings)?;
        let kind = match (rule.meaning, account.device.is_some()) {
            (Meaning::Logoff, true) => return Err(IgnoreReason::UnknownLogon),
            (_, true) => Kind::DeviceSeen,
            (Meaning::Logoff, false) => Kind::Logout,
            (Meaning::StillPresent, false) => Kind::Refresh,
            (_, false) => Kind::Login,
        };
        let observation = Observation { kind, account, proof: rule.proof };
        let found = location::find(record, rule.address, observation, &self.settings)?;
        if let Location::At(address, Observation { kind: Kind::Login, account, .. }) = &found
            && guards::is_interactive(record)
            && let Some(id) = fields::field_number(record, "TargetLogonId")
        {
            let logon = OpenLogon { address: *address, account: account.clone() };
            self.open_logons.insert(record.computer, id, logon);
        }
        Ok(found)
    }

    /// A logoff, which identifies only the logon. The server and the account must match, because
    /// logon IDs start again with each start of the server.
    fn logoff(
        &mut self,
        record: &LogRecord<'_>,
        rule: &EventRule,
        field: &str,
    ) -> Result<Location, IgnoreReason> {
        let id = fields::field_number(record, field).ok_or(IgnoreReason::UnknownLogon)?;
        let sid = rule.account.sid(record).map(Box::new);
        let logon =
            self.open_logons.remove(record.computer, id).ok_or(IgnoreReason::UnknownLogon)?;
        if logon.account.sid != sid {
            return Err(IgnoreReason::UnknownLogon);
        }
        let observation =
            Observation { kind: Kind::Logout, account: logon.account, proof: rule.proof };
        Ok(Location::At(logon.address, observation))
    }
}
