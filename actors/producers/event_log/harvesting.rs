//! What an answer of a server comes to: events, reasons why most records are none, and the bookmark
//! behind the last of them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rollcall_identity::logon::{Outcome, Reader, Reason, Settings};
use rollcall_identity::{Name, Timestamp};
use rollcall_wire::event_log::call::Batch;
use rollcall_wire::event_log::{Audit, BadResultSet, Bookmark, Decoder, Problem, ResultSet};

use super::{CHANNEL, Source};
use crate::producers::Harvest;

/// Makes events of records, in their order.
pub(super) struct Harvester {
    reader: Reader,
    decoder: Decoder,
}

/// Records that cannot be read, of one answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// How many.
    pub(super) count: u64,
    /// The number of the first, where it is known, and what is wrong with it.
    pub(super) first: Option<(Option<u64>, String)>,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
enum Bad {
    #[error(transparent)]
    ResultSet(#[from] BadResultSet),
    #[error(transparent)]
    Problem(#[from] Problem),
}

impl Harvester {
    /// For the server of `source`, which is at `addresses`.
    pub(super) fn new(source: &Source, addresses: &[IpAddr]) -> Self {
        let name = source.name();
        let mut settings = Settings::of(source.server.role);
        settings.ids.clone_from(&source.server.event_ids);
        settings.servers.clone_from(&source.settings.servers);
        settings.servers.extend(addresses.iter().map(|address| IpNet::from(*address)));
        Self { reader: Reader::new(settings, name, name), decoder: Decoder::default() }
    }

    /// Reads the records of `batch`, which were received at `seen`, into `harvest`, with the bookmark
    /// behind them. A record that cannot be read is counted and passed over.
    pub(super) fn read(
        &mut self,
        batch: &Batch<'_>,
        seen: Timestamp,
        harvest: &mut Harvest,
    ) -> Unreadable {
        let (mut last, mut unreadable) = (None, Unreadable::default());
        for found in batch.events() {
            let record_id = found.as_ref().ok().and_then(|set| set.position.record_id());
            last = record_id.or(last);
            let read = found.map_err(Bad::from).and_then(|set| self.record(&set, seen));
            match read {
                Ok(Outcome::Event(event)) => harvest.events.push(event),
                Ok(Outcome::Unplaced(_)) => harvest.lost("unplaced", None),
                Ok(Outcome::Ignored(reason)) => ignored(reason, harvest),
                Err(why) => {
                    harvest.lost("unreadable", None);
                    unreadable.count += 1;
                    unreadable.first.get_or_insert((record_id, why.to_string()));
                }
            }
        }
        if let Some(record_id) = last {
            harvest.read = Some((log(), Arc::from(written(record_id).as_bytes())));
        }
        unreadable
    }

    fn record(&mut self, set: &ResultSet<'_>, seen: Timestamp) -> Result<Outcome, Bad> {
        let record = self.decoder.record(set.event)?;
        let audit = Audit::of(&record)?;
        Ok(self.reader.read(&audit.record(), seen))
    }
}

/// Counts a record that comes to nothing. Of a healthy server nearly all do, so that they are one
/// reason, with what it is in the place of a template; what cannot be a name or an address is a reason
/// of its own, for somebody to look at.
fn ignored(reason: Reason, harvest: &mut Harvest) {
    match reason {
        Reason::BadName | Reason::BadAddress => harvest.lost(reason.as_str(), None),
        usual => harvest.lost("ignored", Name::new(usual.as_str()).ok().as_ref()),
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
