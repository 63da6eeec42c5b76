//! Any bytes as the answer of a server, or as one event of it: nothing comes out that is not in it.

use rollcall_wire::event_log::call::{Close, EventLogCall, QueryNext, RegisterLogQuery};
use rollcall_wire::event_log::{Bookmark, ResultSet};

/// What must be true of an event, wherever it was found.
fn check(event: &ResultSet<'_>, all: &[u8]) {
    assert!(all.as_ptr_range().contains(&event.event.as_ptr()) || event.event.is_empty());
    assert!(event.event.len() + 4 * event.subqueries().count() <= all.len(), "bytes from nowhere");
    let records = event.position.record_ids().count();
    assert!(8 * records <= all.len() && event.position.channel < records, "a channel from nowhere");
    assert!(event.position.record_id().is_some());
}

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    if let Ok(event) = ResultSet::read(data) {
        check(&event, data);
    }
    if let Ok(batch) = QueryNext::decode(data) {
        assert!(8 * batch.events().len() <= data.len(), "events from nowhere");
        batch.events().flatten().for_each(|event| check(&event, data));
    }
    if let Ok(opened) = RegisterLogQuery::decode(data) {
        assert!(8 * opened.channels.len() <= data.len(), "channels from nowhere");
    }
    let _ = Close::decode(data);
    if let Ok(bookmark) = std::str::from_utf8(data)
        .map_err(drop)
        .and_then(|text| Bookmark::from_xml(text).map_err(drop))
    {
        assert_eq!(Bookmark::from_xml(&bookmark.to_xml()), Ok(bookmark), "not the one written");
    }
}
