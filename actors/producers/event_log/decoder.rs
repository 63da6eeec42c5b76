//! What an answer of a server comes to: events, reasons why most records are none, the bookmark behind
//! the last of them, and what the log says of itself.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rollcall_identity::logon::auditing::{AuditGap, AuditMonitor, LogNotice};
use rollcall_identity::logon::{IgnoreReason, LogonReader, LogonSettings, ReadOutcome};
use rollcall_identity::{Name, Timestamp};
use rollcall_wire::event_log::call::EventBatch;
use rollcall_wire::event_log::{
    AuditRecord, BinXmlError, Bookmark, Continuity, Decoder, ResultSet, ResultSetError,
};

use super::registry::SharedHosts;
use super::{CHANNEL, GapCause, LastEvent, LastGap, Source};
use crate::InputBatch;

/// Makes events of records, in their order.
pub(super) struct RecordDecoder {
    reader: LogonReader,
    decoder: Decoder,
    auditing: AuditMonitor,
    /// Where computers were seen, by whichever server.
    hosts: SharedHosts,
    /// What was left out of the log that is followed now.
    pub(super) continuity: Continuity,
}

/// What an answer was, besides the events in it.
#[derive(Debug, Default)]
pub(super) struct DecodedBatch {
    /// How many records could not be read.
    pub(super) unreadable: u64,
    /// The number of the first of them, where it is known, and what is wrong with it.
    pub(super) first_unreadable: Option<(Option<u64>, String)>,
    /// The newest record that could be read.
    pub(super) last: Option<LastEvent>,
    /// What was lost, as the records themselves say.
    pub(super) gaps: Vec<LastGap>,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
enum Bad {
    #[error(transparent)]
    ResultSet(#[from] ResultSetError),
    #[error(transparent)]
    Problem(#[from] BinXmlError),
}

impl RecordDecoder {
    /// For the server of `source`, in a network whose servers are at `addresses`.
    pub(super) fn new(source: &Source, addresses: &BTreeSet<IpAddr>, hosts: SharedHosts) -> Self {
        let (name, server) = (source.name(), &source.server);
        let mut settings = LogonSettings::for_role(server.role);
        settings.ids.clone_from(&server.event_ids);
        settings.servers = servers(source, addresses);
        Self {
            reader: LogonReader::new(settings, name, name),
            decoder: Decoder::default(),
            auditing: AuditMonitor::new(server.role, &server.event_ids),
            hosts,
            continuity: Continuity::default(),
        }
    }

    /// The servers of the network are at `addresses` now.
    pub(super) fn heed(&mut self, source: &Source, addresses: &BTreeSet<IpAddr>) {
        self.reader.set_servers(servers(source, addresses));
    }

    /// What the server does not audit, as far as it is known.
    pub(super) fn unaudited(&self) -> Vec<AuditGap> {
        self.auditing.gaps()
    }

    /// Reads the records of `batch`, which were received at `seen`, into `input`, with the bookmark
    /// behind them. A record that cannot be read is counted and passed over.
    pub(super) fn read(
        &mut self,
        batch: &EventBatch<'_>,
        seen: Timestamp,
        input: &mut InputBatch,
    ) -> DecodedBatch {
        let (mut last, mut gathered) = (None, DecodedBatch::default());
        for found in batch.events() {
            let record_id = found.as_ref().ok().and_then(|set| set.position.record_id());
            last = record_id.or(last);
            self.follows(record_id, seen, &mut gathered);
            let read = found.map_err(Bad::from);
            match read.and_then(|set| self.record(&set, seen, &mut gathered)) {
                Ok(outcome) => self.decided(outcome, input),
                Err(why) => {
                    input.count_drop("unreadable", None);
                    gathered.unreadable += 1;
                    gathered.first_unreadable.get_or_insert((record_id, why.to_string()));
                }
            }
        }
        if let Some(record_id) = last {
            input.read = Some((log(), Arc::from(written(record_id).as_bytes())));
        }
        gathered
    }

    /// What a record comes to, once the host is found that it may name instead of an address.
    fn decided(&self, outcome: ReadOutcome, input: &mut InputBatch) {
        let outcome = match outcome {
            ReadOutcome::Unresolved(unplaced) => match self.hosts.find(&unplaced) {
                Some(address) => self.reader.locate(unplaced, address),
                None => return input.count_drop("unplaced", None),
            },
            found => {
                if let ReadOutcome::Event(event) = &found {
                    self.hosts.record(event);
                }
                found
            }
        };
        match outcome {
            ReadOutcome::Event(event) => input.events.push(event),
            ReadOutcome::Unresolved(_) => input.count_drop("unplaced", None),
            ReadOutcome::Ignored(reason) => ignored(reason, input),
        }
    }

    fn follows(&mut self, record_id: Option<u64>, at: Timestamp, gathered: &mut DecodedBatch) {
        let Some(Err(anew)) = record_id.map(|id| self.continuity.observe(id)) else { return };
        let (cause, after) = (GapCause::LogReset, anew.after);
        gathered.gaps.push(LastGap { at, cause, after, records: None });
    }

    fn record(
        &mut self,
        set: &ResultSet<'_>,
        seen: Timestamp,
        gathered: &mut DecodedBatch,
    ) -> Result<ReadOutcome, Bad> {
        let record = self.decoder.record(set.event)?;
        let audit = AuditRecord::of(&record)?;
        let record = audit.record();
        let record_id = set.position.record_id().unwrap_or(record.record_id);
        gathered.last = Some(LastEvent { at: record.time, received: seen, record_id });
        self.auditing.observe(&record);
        let gap = |cause, after, records| LastGap { at: seen, cause, after, records };
        gathered.gaps.extend(match LogNotice::from_record(&record) {
            // What was there before is gone, asked for or not.
            Some(LogNotice::Cleared) => self
                .continuity
                .resolve_gap(record_id)
                .map(|lost| gap(GapCause::Cleared, lost.after, Some(lost.records))),
            Some(LogNotice::AuditsLost) => {
                Some(gap(GapCause::AuditsLost, record_id.saturating_sub(1), None))
            }
            Some(LogNotice::Policy(..)) | None => None,
        });
        Ok(self.reader.read(&record, seen))
    }
}

/// Where nobody works: the servers of the network, and what is configured.
fn servers(source: &Source, addresses: &BTreeSet<IpAddr>) -> Vec<IpNet> {
    let configured = source.settings.servers.iter().copied();
    configured.chain(addresses.iter().map(|address| IpNet::from(*address))).collect()
}

/// Counts a record that comes to nothing. Of a healthy server nearly all do, so that they are one
/// reason, with what it is in the place of a template; what cannot be a name or an address is a reason
/// of its own, for somebody to look at.
fn ignored(reason: IgnoreReason, input: &mut InputBatch) {
    match reason {
        IgnoreReason::BadName | IgnoreReason::BadAddress => input.count_drop(reason.as_str(), None),
        usual => input.count_drop("ignored", Name::new(usual.as_str()).ok().as_ref()),
    }
}

/// What the position in the log is called.
pub(super) fn log() -> Name {
    Name::new(CHANNEL).expect("the name is in the source")
}

fn written(record_id: u64) -> String {
    Bookmark::after(CHANNEL, record_id).to_xml()
}

/// The bookmark that was committed; what cannot be read is none, and the log is caught up with.
pub(super) fn bookmark(place: &[u8]) -> Option<Bookmark> {
    let text = std::str::from_utf8(place).ok()?;
    let bookmark = Bookmark::from_xml(text).ok()?;
    bookmark.record_id(CHANNEL).is_some().then_some(bookmark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_bookmark_is_read_again_and_another_text_is_none() {
        let xml = written(4711);
        assert_eq!(bookmark(xml.as_bytes()).unwrap().record_id(CHANNEL), Some(4711));
        for none in [&b""[..], b"<BookmarkList/>", b"\xff", b"4711"] {
            assert_eq!(bookmark(none), None, "{none:?}");
        }
    }
}
