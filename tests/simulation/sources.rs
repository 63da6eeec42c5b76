//! Producers: one reads a security log by bookmark, two push until they get an answer, and one sends
//! lines without acknowledgement.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use rollcall_identity::logon::{
    Fields, LogRecord, LogonReader, LogonSettings, ReadOutcome, ServerRole,
};
use rollcall_identity::{
    Address, Event, Kind, Name, Origin, Precision, Principal, Producer, ReadPosition, ReadSource,
    Timestamp,
};

use super::faults::Fault;
use super::truth::{FAILED, Truth};
use crate::harness::SeededRng;

/// How the events of a producer arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// It is read from a persistent log.
    Read,
    /// It is sent until it is acknowledged.
    Pushed,
    /// It is sent once.
    Unacknowledged,
}

/// A producer, and the addresses that only it reports on.
pub(super) struct Site {
    pub(super) transport: Transport,
    pub(super) origin: Arc<Origin>,
    addresses: Vec<Address>,
    /// The users that it knows by address.
    there: Vec<Option<String>>,
    /// The events that are not sent yet.
    queue: VecDeque<Event>,
    /// For a log: everything that was ever written.
    log: Vec<Logged>,
    /// The read position in its log.
    pub(super) place: usize,
    /// The events that were sent and not acknowledged.
    pub(super) waiting: Option<Vec<Event>>,
    last: Timestamp,
}

/// A record of a security log, with the relevant fields.
#[derive(Debug, Clone)]
struct Logged {
    id: u16,
    user: String,
    address: Address,
    at: Timestamp,
    status: &'static str,
}

impl Site {
    pub(super) fn new(transport: Transport, number: u8) -> Self {
        let (kind, producer) = match transport {
            Transport::Read => (Producer::EventLog, "event-log"),
            Transport::Pushed => (Producer::Ptim, "ptim"),
            Transport::Unacknowledged => (Producer::Syslog, "syslog"),
        };
        let client = name(&format!("site{number}"));
        let origin = Origin { kind, producer: name(producer), client, form: name("form") };
        let address = |host| format!("10.70.{number}.{host}").parse().expect("an address");
        let addresses: Vec<Address> = (1..=4).map(address).collect();
        Self {
            transport,
            origin: Arc::new(origin),
            there: vec![None; addresses.len()],
            addresses,
            queue: VecDeque::new(),
            log: Vec::new(),
            place: 0,
            waiting: None,
            last: Timestamp::EPOCH,
        }
    }

    pub(super) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The name of its log.
    pub(super) fn source(&self) -> ReadSource {
        ReadSource { producer: self.origin.producer.clone(), name: self.origin.client.clone() }
    }

    /// An event occurs at one of its addresses at `now`.
    pub(super) fn generate_event(
        &mut self,
        chance: &mut SeededRng,
        now: Timestamp,
        truth: &mut Truth,
    ) {
        let host = chance.below(self.addresses.len() as u64) as usize;
        self.last = now.max(self.last + std::time::Duration::from_millis(1));
        let (address, there) = (self.addresses[host], self.there[host].clone());
        let (kind, user) = match (there, chance.below(4)) {
            (Some(user), 0 | 1) if self.transport != Transport::Read => (Kind::Logout, user),
            (Some(user), 2) if self.transport != Transport::Unacknowledged => (Kind::Refresh, user),
            _ => (Kind::Login, format!("u{}", self.last.millis())),
        };
        if self.transport == Transport::Read && chance.once_in(4) {
            let (id, status) = if chance.once_in(2) { (4768, "0x12") } else { (4771, "0x18") };
            let (user, at) = (format!("{FAILED}{user}"), self.last);
            return self.log.push(Logged { id, user, address, at, status });
        }
        self.there[host] = (kind != Kind::Logout).then(|| user.clone());
        let (at, precision) = self.clock();
        let event = self.event((kind, &user), address, (at, precision));
        truth.say(&event);
        if self.transport == Transport::Read {
            let id = if kind == Kind::Login { 4768 } else { 4770 };
            return self.log.push(Logged { id, user, address, at, status: "0x0" });
        }
        self.queue.push_back(event);
    }

    /// The time as this producer writes it. Syslog has a resolution of one second.
    fn clock(&self) -> (Timestamp, Precision) {
        match self.transport {
            Transport::Unacknowledged => {
                let second = self.last.millis() / 1000 * 1000;
                (Timestamp::from_millis(second), Precision::Second)
            }
            _ => (self.last, Precision::Millisecond),
        }
    }

    fn event(
        &self,
        (kind, user): (Kind, &str),
        address: Address,
        (at, precision): (Timestamp, Precision),
    ) -> Event {
        Event {
            principal: Principal::parse(&format!("{user}@corp"), None).ok(),
            precision,
            ..Event::bare(kind, address, at, Arc::clone(&self.origin))
        }
    }

    /// The next batch, received at `seen`, with its read position; `None` if there is none, or while
    /// an answer is pending.
    pub(super) fn next(
        &mut self,
        chance: &mut SeededRng,
        (seen, fault): (Timestamp, Option<Fault>),
    ) -> Option<(Vec<Event>, Option<ReadPosition>)> {
        let count = 1 + chance.below(4) as usize;
        if self.transport == Transport::Read {
            return self.read(count, (seen, fault));
        }
        if self.waiting.is_none() && !self.queue.is_empty() {
            let count = count.min(self.queue.len());
            self.waiting = Some(self.queue.drain(..count).collect());
        }
        let events = match self.transport {
            Transport::Unacknowledged => self.waiting.take()?,
            Transport::Pushed | Transport::Read => self.waiting.clone()?,
        };
        Some((events.into_iter().map(|event| Event { seen, ..event }).collect(), None))
    }

    /// Reads records after its position, as the event log reader of the server does.
    fn read(
        &mut self,
        count: usize,
        (seen, fault): (Timestamp, Option<Fault>),
    ) -> Option<(Vec<Event>, Option<ReadPosition>)> {
        let upto = (self.place + count).min(self.log.len());
        if self.waiting.is_some() || upto == self.place {
            return None;
        }
        let settings = LogonSettings::for_role(ServerRole::DomainController);
        let mut reader = LogonReader::new(settings, &self.origin.producer, &self.origin.client);
        let read = self.log[self.place..upto].iter().filter_map(|logged| {
            let doctored = match fault {
                Some(Fault::FailedLogonAccepted) => logged.as_logon(),
                _ => logged.clone(),
            };
            match doctored.read(&mut reader, seen) {
                ReadOutcome::Event(event) => Some(event),
                ReadOutcome::Unresolved(_) | ReadOutcome::Ignored(_) => None,
            }
        });
        let events: Vec<Event> = read.collect();
        self.waiting = Some(events.clone());
        Some((events, Some(self.read_to(upto))))
    }

    fn read_to(&self, place: usize) -> ReadPosition {
        let bytes = (place as u64).to_be_bytes();
        ReadPosition { source: self.source(), position: Arc::from(&bytes[..]) }
    }

    /// The number of events in its log before `place`.
    pub(super) fn events_before(&self, place: usize) -> usize {
        self.log[..place].iter().filter(|logged| !logged.has_failed()).count()
    }

    /// Whether everything was accepted.
    pub(super) fn is_drained(&self) -> bool {
        let is_read = self.transport != Transport::Read || self.place == self.log.len();
        is_read && self.queue.is_empty() && self.waiting.is_none()
    }
}

impl Logged {
    fn has_failed(&self) -> bool {
        self.status != "0x0"
    }

    /// As a reader that checks the kind of a record but not its outcome.
    fn as_logon(&self) -> Self {
        let id = if self.id == 4771 { 4768 } else { self.id };
        Self { id, status: "0x0", ..self.clone() }
    }

    fn read(&self, reader: &mut LogonReader, seen: Timestamp) -> ReadOutcome {
        let Self { id, user, address, at, status } = self;
        let fields = Fields4768 { user, address: address.to_string(), status };
        let record = LogRecord {
            id: *id,
            time: *at,
            record_id: 1,
            computer: "dc1.corp.example.com",
            channel: "Security",
            provider: "Microsoft-Windows-Security-Auditing",
            keywords: if self.has_failed() { FAILURE } else { SUCCESS },
            fields: &fields,
        };
        reader.read(&record, seen)
    }
}

/// The keywords of success and failure audits (winmeta.xml) in a classic log.
const SUCCESS: u64 = 0x8020_0000_0000_0000;
const FAILURE: u64 = 0x8010_0000_0000_0000;

/// The fields of 4768 and similar events.
struct Fields4768<'a> {
    user: &'a str,
    address: String,
    status: &'a str,
}

impl Fields for Fields4768<'_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(match name {
            "TargetUserName" => self.user.into(),
            "TargetDomainName" => "CORP".into(),
            "TargetSid" => "S-1-5-21-2871512113-613133000-3782238197-1104".into(),
            "ServiceName" => "krbtgt".into(),
            "Status" => self.status.into(),
            "PreAuthType" => "2".into(),
            "IpAddress" => self.address.as_str().into(),
            _ => return None,
        })
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("a word of the simulation is a name")
}
