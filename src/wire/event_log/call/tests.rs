//! Every call and response against bytes that `ndrdump --validate eventlog6` of Samba 4.17 accepts.
//! Only EvtRpcClose differs: Samba's definition leaves out the handle.

use proptest::prelude::*;

use super::*;
use crate::event_log::{Bookmark, Decoder};
use crate::msrpc::ndr::{ContextHandle, NdrErrorKind};

macro_rules! vector {
    ($name:literal) => {
        crate::event_log::tests::bytes(include_str!(concat!(
            "../../../../tests/corpus/event_log/call/",
            $name,
            ".hex"
        )))
    };
}

const HANDLE: ContextHandle =
    ContextHandle::new(0, Uuid::new(0x1122_3344, 0x5566, 0x7788, 0x99aa_bbcc_ddee_ff00));
const CONTROL: ContextHandle =
    ContextHandle::new(0, Uuid::new(0x0011_2233, 0x4455, 0x6677, 0x8899_aabb_ccdd_eeff));

/// The query, with its quotes as in the test vectors.
const QUERY: &str = "<QueryList><Query Id=\"0\" Path=\"Security\"><Select Path=\"Security\">\
    *[System[(EventID=4624)]]</Select></Query></QueryList>";

#[test]
fn subscription_is_opened() {
    let bookmark = Bookmark::after("Security", 4711);
    let mut call = RegisterRemoteSubscription {
        channel: None,
        query: QUERY,
        start: SubscriptionStart::After(&bookmark),
        delivery: Delivery::Pull,
        gaps: GapPolicy::Reject,
    };
    assert_eq!(call.stub().unwrap(), vector!("subscribe"));
    call = RegisterRemoteSubscription {
        channel: Some("Security"),
        query: "*",
        start: SubscriptionStart::Now,
        delivery: Delivery::Push,
        gaps: GapPolicy::Continue,
    };
    assert_eq!(call.stub().unwrap(), vector!("subscribe-now"));
    let stub = call.stub().unwrap();
    let oldest =
        RegisterRemoteSubscription { start: SubscriptionStart::Oldest, ..call }.stub().unwrap();
    assert_eq!(
        (stub.last_chunk(), oldest.last_chunk()),
        (Some(&[1, 0, 0, 0]), Some(&[2, 0, 0, 0]))
    );

    let opened = RegisterRemoteSubscription::decode(&vector!("subscribed")).unwrap();
    assert_eq!((opened.handle, opened.control), (HANDLE, CONTROL));
    assert_eq!((opened.status, opened.error), (CallStatus::Success, [0; 3]));
    let channels = [("Security", CallStatus::Success), ("Odd", CallStatus::InvalidChannelPath)];
    let channels = channels.map(|(name, status)| ChannelStatus { name: Some(name.into()), status });
    assert_eq!(opened.channels, channels);

    let refused = RegisterRemoteSubscription::decode(&vector!("subscribe-refused")).unwrap();
    assert!(refused.handle.is_null() && refused.control.is_null());
    assert_eq!((refused.status, refused.error), (CallStatus::InvalidQuery, [15001, 3, 7]));
}

#[test]
fn query_is_opened() {
    let (channel, order) = (Some("Security"), EventOrder::OldestFirst);
    let call = RegisterLogQuery { channel, query: QUERY, order };
    assert_eq!(call.stub().unwrap(), vector!("query"));
    let newest = RegisterLogQuery { order: EventOrder::NewestFirst, ..call }.stub().unwrap();
    assert_eq!(newest.last_chunk(), Some(&[1, 2, 0, 0]));
    let opened = RegisterLogQuery::decode(&vector!("queried")).unwrap();
    assert_eq!((opened.handle, opened.control), (HANDLE, CONTROL));
    assert_eq!((opened.status, opened.channels), (CallStatus::Success, vec![]));
}

#[test]
fn events_are_requested_and_decoded() {
    let (handle, timeout) = (HANDLE, Duration::from_millis(1500));
    let next = RemoteSubscriptionNext { handle, records: 200, timeout };
    assert_eq!(next.stub().unwrap(), vector!("next"));
    let stub = vector!("events");
    let batch = RemoteSubscriptionNext::decode(&stub).unwrap();
    assert_eq!((batch.status, batch.events().len()), (CallStatus::Success, 2));
    let mut decoder = Decoder::default();
    let read: Vec<_> = batch
        .events()
        .map(|event| {
            let event = event.unwrap();
            assert_eq!(event.subqueries().collect::<Vec<_>>(), [0]);
            let xml = decoder.xml(event.event).unwrap();
            (event.position.record_id(), xml.contains("<EventID>100</EventID>"))
        })
        .collect();
    assert_eq!(read, [(Some(4710), false), (Some(6), true)]);
    let none = vector!("no-events");
    let batch = RemoteSubscriptionNext::decode(&none).unwrap();
    assert_eq!((batch.status, batch.events().len()), (CallStatus::Timeout, 0));
}

#[test]
fn events_are_pushed() {
    let next = RemoteSubscriptionNextAsync { handle: HANDLE, records: 200 };
    assert_eq!(next.stub().unwrap(), vector!("next-async"));
    let stub = vector!("events-async");
    let batch = RemoteSubscriptionNextAsync::decode(&stub).unwrap();
    assert_eq!((batch.status, batch.events().len()), (CallStatus::Success, 1));
}

#[test]
fn query_is_read_to_its_end() {
    let timeout = Duration::MAX;
    let next = QueryNext { handle: HANDLE, records: 1024, timeout };
    assert_eq!(next.stub().unwrap(), vector!("query-next"));
    let stub = vector!("query-events");
    assert_eq!(QueryNext::decode(&stub).unwrap().events().len(), 1);
    let end = vector!("query-end");
    assert_eq!(QueryNext::decode(&end).unwrap().status, CallStatus::NoMoreItems);
}

#[test]
fn wait_cancel_and_close() {
    assert_eq!(RemoteSubscriptionWaitAsync { handle: HANDLE }.stub().unwrap(), vector!("wait"));
    let waited = RemoteSubscriptionWaitAsync::decode(&vector!("waited"));
    assert_eq!(waited, Ok(CallStatus::Success));
    assert_eq!(Cancel { control: CONTROL }.stub().unwrap(), vector!("cancel"));
    assert_eq!(Cancel::decode(&vector!("cancelled")), Ok(CallStatus::InvalidParameter));
    assert_eq!(Close { handle: HANDLE }.stub().unwrap(), vector!("close"));
    let closed = Closed { handle: ContextHandle::NULL, status: CallStatus::Success };
    assert_eq!(Close::decode(&vector!("closed")), Ok(closed));
}

#[test]
fn log_properties_are_decoded() {
    let open = OpenLogHandle { channel: "Security" };
    assert_eq!(open.stub().unwrap(), vector!("open-log"));
    let opened = OpenLogHandle::decode(&vector!("opened-log"));
    assert_eq!(opened, Ok(OpenedLog { handle: HANDLE, status: CallStatus::Success }));
    let ask = GetLogFileInfo { handle: HANDLE, property: LogProperty::OldestRecord };
    assert_eq!(ask.stub().unwrap(), vector!("log-info"));
    let said = vector!("log-oldest");
    let oldest = LogInfo { value: Some(0x1_0000_1267), status: CallStatus::Success };
    assert_eq!(GetLogFileInfo::decode(&said), Ok(oldest));
    let with = |at: usize, value: u32| {
        let mut stub = said.clone();
        stub[at..at + 4].copy_from_slice(&value.to_le_bytes());
        GetLogFileInfo::decode(&stub)
    };
    // The type: a 32-bit number, or a time; then the length, and the status.
    assert_eq!(with(16, 8).unwrap().value, Some(0x1267));
    assert_eq!(with(16, 0x11).unwrap().value, None);
    assert_eq!(with(20, 12).unwrap().value, None);
    assert_eq!(with(20, 17).unwrap_err().problem, NdrErrorKind::Value);
    assert_eq!(with(24, 5), Ok(LogInfo { value: None, status: CallStatus::AccessDenied }));
    assert_eq!(with(0, u32::MAX).unwrap_err().problem, NdrErrorKind::Count);
}

#[test]
fn invalid_calls_are_not_encoded() {
    let query = |channel, query| {
        RegisterLogQuery { channel, query, order: EventOrder::OldestFirst }.stub().map(drop)
    };
    let long = "x".repeat(TEXT);
    assert_eq!(query(None, &long), Err(EventLogCallError::TooLong("the query")));
    assert_eq!(query(None, &long[1..]), Ok(()));
    assert_eq!(query(Some(&long[..512]), "*"), Err(EventLogCallError::TooLong("the channel")));
    assert_eq!(query(Some("a\0b"), "*"), Err(EventLogCallError::Nul("the channel")));
    for records in [0, RECORDS + 1] {
        let next = RemoteSubscriptionNextAsync { handle: HANDLE, records };
        assert_eq!(next.stub(), Err(EventLogCallError::Records));
    }
    assert_eq!(EventLogCallError::Records.to_string(), "a request must be for 1 to 1024 events");
}

#[test]
fn contradictory_counts_are_rejected() {
    let whole = vector!("events");
    let with = |at: usize, value: u32| {
        let mut stub = whole.clone();
        stub[at..at + 4].copy_from_slice(&value.to_le_bytes());
        RemoteSubscriptionNext::decode(&stub).map(drop).unwrap_err().problem
    };
    // numActualRecords, the counts of both arrays, resultBufferSize.
    assert_eq!(with(0, 1), NdrErrorKind::Value);
    assert_eq!(with(8, u32::MAX), NdrErrorKind::Count);
    assert_eq!(with(36, 7), NdrErrorKind::Value);
    assert_eq!(with(0, u32::MAX), NdrErrorKind::Value);
    for end in 0..whole.len() {
        assert!(RemoteSubscriptionNext::decode(&whole[..end]).is_err(), "{end}");
    }
    let longer = [&whole[..], &[0; 4]].concat();
    let problem = RemoteSubscriptionNext::decode(&longer).unwrap_err().problem;
    assert_eq!(problem, NdrErrorKind::LeftOver);
}

#[test]
fn event_outside_of_the_response_does_not_affect_others() {
    let mut stub = vector!("events");
    // The size of the first event, after the offsets of both events.
    stub[28..32].copy_from_slice(&u32::MAX.to_le_bytes());
    let batch = RemoteSubscriptionNext::decode(&stub).unwrap();
    let events: Vec<_> = batch.events().collect();
    assert_eq!(events[0], Err(crate::event_log::ResultSetError::Outside));
    assert_eq!(events[1].unwrap().position.record_id(), Some(6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_responses_are_handled(
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let damage = |mut stub: Vec<u8>| {
            for (at, value) in &hits {
                let at = at.index(stub.len());
                stub[at] = *value;
            }
            stub
        };
        let events = damage(vector!("events"));
        if let Ok(batch) = QueryNext::decode(&events) {
            for event in batch.events().flatten() {
                prop_assert!(event.event.len() <= events.len());
            }
        }
        let _ = RegisterLogQuery::decode(&damage(vector!("subscribed")));
        let _ = Close::decode(&damage(vector!("closed")));
        let _ = OpenLogHandle::decode(&damage(vector!("opened-log")));
        let _ = GetLogFileInfo::decode(&damage(vector!("log-oldest")));
    }
}
