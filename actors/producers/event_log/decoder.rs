//! Decodes the records of a response to events, drop reasons, the bookmark after the last record,
//! and notices about the log itself.

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

/// Decodes records to events, in their order.
pub(super) struct RecordDecoder {
    reader: LogonReader,
    decoder: Decoder,
    auditing: AuditMonitor,
    /// The addresses of computers, as observed by all servers.
    hosts: SharedHosts,
    /// The gaps in the record numbers of the current log.
    pub(super) continuity: Continuity,
}

/// The content of a response, except its events.
#[derive(Debug, Default)]
pub(super) struct DecodedBatch {
    /// The number of records that could not be decoded.
    pub(super) unreadable: u64,
    /// The number of the first of them, if it is known, and the error.
    pub(super) first_unreadable: Option<(Option<u64>, String)>,
    /// The newest record that was decoded.
    pub(super) last: Option<LastEvent>,
    /// Losses that the records themselves report.
    pub(super) gaps: Vec<LastGap>,
}

/// Why a record cannot be decoded.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    ResultSet(#[from] ResultSetError),
    #[error(transparent)]
    BinXml(#[from] BinXmlError),
}

impl RecordDecoder {
    /// A decoder for the server of `source`. The servers of the network have the addresses
    /// `addresses`.
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

    /// Sets the current addresses of the servers of the network.
    pub(super) fn set_server_addresses(&mut self, source: &Source, addresses: &BTreeSet<IpAddr>) {
        self.reader.set_servers(servers(source, addresses));
    }

    /// The events that the server does not audit, as far as known.
    pub(super) fn unaudited(&self) -> Vec<AuditGap> {
        self.auditing.gaps()
    }

    /// Decodes the records of `batch`, received at `received`, into `input`, with the bookmark
    /// after them. A record that cannot be decoded is counted and skipped.
    pub(super) fn read(
        &mut self,
        batch: &EventBatch<'_>,
        received: Timestamp,
        input: &mut InputBatch,
    ) -> DecodedBatch {
        let (mut last, mut decoded) = (None, DecodedBatch::default());
        for found in batch.events() {
            let record_id = found.as_ref().ok().and_then(|set| set.position.record_id());
            last = record_id.or(last);
            self.check_continuity(record_id, received, &mut decoded);
            let read = found.map_err(RecordError::from);
            match read.and_then(|set| self.decode_record(&set, received, &mut decoded)) {
                Ok(outcome) => self.add_outcome(outcome, input),
                Err(why) => {
                    input.count_drop("unreadable", None);
                    decoded.unreadable += 1;
                    decoded.first_unreadable.get_or_insert((record_id, why.to_string()));
                }
            }
        }
        if let Some(record_id) = last {
            input.read = Some((log(), Arc::from(bookmark_xml(record_id).as_bytes())));
        }
        decoded
    }

    /// Adds the result of a record to `input`. A host name instead of an address is resolved first.
    fn add_outcome(&self, outcome: ReadOutcome, input: &mut InputBatch) {
        let outcome = match outcome {
            ReadOutcome::Unresolved(logon) => match self.hosts.find(&logon) {
                Some(address) => self.reader.locate(logon, address),
                None => return input.count_drop("unknown_host", None),
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
            ReadOutcome::Unresolved(_) => input.count_drop("unknown_host", None),
            ReadOutcome::Ignored(reason) => count_ignored(reason, input),
        }
    }

    fn check_continuity(
        &mut self,
        record_id: Option<u64>,
        at: Timestamp,
        decoded: &mut DecodedBatch,
    ) {
        let Some(Err(reset)) = record_id.map(|id| self.continuity.observe(id)) else { return };
        let (cause, after) = (GapCause::LogReset, reset.after);
        decoded.gaps.push(LastGap { at, cause, after, records: None });
    }

    fn decode_record(
        &mut self,
        set: &ResultSet<'_>,
        received: Timestamp,
        decoded: &mut DecodedBatch,
    ) -> Result<ReadOutcome, RecordError> {
        let record = self.decoder.record(set.event)?;
        let audit = AuditRecord::of(&record)?;
        let record = audit.record();
        let record_id = set.position.record_id().unwrap_or(record.record_id);
        decoded.last = Some(LastEvent { at: record.time, received, record_id });
        self.auditing.observe(&record);
        let gap = |cause, after, records| LastGap { at: received, cause, after, records };
        decoded.gaps.extend(match LogNotice::from_record(&record) {
            // The earlier records are deleted, whether they were read or not.
            Some(LogNotice::Cleared) => self
                .continuity
                .resolve_gap(record_id)
                .map(|lost| gap(GapCause::Cleared, lost.after, Some(lost.records))),
            Some(LogNotice::AuditsLost) => {
                Some(gap(GapCause::AuditsLost, record_id.saturating_sub(1), None))
            }
            Some(LogNotice::Policy(..)) | None => None,
        });
        Ok(self.reader.read(&record, received))
    }
}

/// The addresses that get no user sessions: the servers of the network and the configured networks.
fn servers(source: &Source, addresses: &BTreeSet<IpAddr>) -> Vec<IpNet> {
    let configured = source.settings.server_networks.iter().copied();
    configured.chain(addresses.iter().map(|address| IpNet::from(*address))).collect()
}

/// Counts a record without an event. Most records of a healthy server have none, so they share one
/// drop reason, with the detail in last_record of the template. An invalid name or address has a drop
/// reason of its own, because an administrator must check it.
fn count_ignored(reason: IgnoreReason, input: &mut InputBatch) {
    match reason {
        IgnoreReason::BadName | IgnoreReason::BadAddress => input.count_drop(reason.as_str(), None),
        other => input.count_drop("ignored", Name::new(other.as_str()).ok().as_ref()),
    }
}

/// The name of the read position in the journal.
pub(super) fn log() -> Name {
    Name::new(CHANNEL).expect("a constant is a valid name")
}

fn bookmark_xml(record_id: u64) -> String {
    Bookmark::after(CHANNEL, record_id).to_xml()
}

/// Decodes a committed bookmark. An invalid one gives `None`, and the log is read as at the first
/// start.
pub(super) fn bookmark(position: &[u8]) -> Option<Bookmark> {
    let text = std::str::from_utf8(position).ok()?;
    let bookmark = Bookmark::from_xml(text).ok()?;
    bookmark.record_id(CHANNEL).is_some().then_some(bookmark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_bookmark_is_decoded_and_other_text_is_ignored() {
        let xml = bookmark_xml(4711);
        assert_eq!(bookmark(xml.as_bytes()).unwrap().record_id(CHANNEL), Some(4711));
        for invalid in [&b""[..], b"<BookmarkList/>", b"\xff", b"4711"] {
            assert_eq!(bookmark(invalid), None, "{invalid:?}");
        }
    }
}
