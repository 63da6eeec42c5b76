//! EvtRpcRegisterRemoteSubscription: new events, from now or from a position in the log (MS-EVEN6
//! section 3.1.4.8).

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::{
    CHANNEL_NAME, EventLogCall, EventLogCallError, OpenedHandles, TEXT, checked, write_text,
};
use crate::event_log::Bookmark;
use crate::msrpc::ndr::{NdrError, NdrWriter};

/// Opens a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterRemoteSubscription<'a> {
    /// The channel, if the query does not name it.
    pub channel: Option<&'a str>,
    /// XPath, or [`EventLogQuery::to_xml`](crate::event_log::EventLogQuery::to_xml).
    pub query: &'a str,
    /// The start position.
    pub start: SubscriptionStart<'a>,
    /// Whether the client pulls the events or the server pushes them.
    pub delivery: Delivery,
    /// What happens when events after the start position were lost.
    pub gaps: GapPolicy,
}

/// The start position of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStart<'a> {
    /// The next new event.
    Now,
    /// The oldest event of the log.
    Oldest,
    /// The first event after this position.
    After(&'a Bookmark),
}

/// How events are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Delivery {
    /// With [`RemoteSubscriptionNext`](super::RemoteSubscriptionNext).
    #[default]
    Pull,
    /// With [`RemoteSubscriptionNextAsync`](super::RemoteSubscriptionNextAsync).
    Push,
}

/// What the server does when events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapPolicy {
    /// It continues.
    Continue,
    /// It rejects the subscription.
    Reject,
}

impl EventLogCall for RegisterRemoteSubscription<'_> {
    const OPNUM: u16 = 0;
    type Response<'a> = OpenedHandles;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        // EvtSubscribeStartAfterBookmark is 3; impacket has 4, which servers reject.
        let (start, bookmark) = match self.start {
            SubscriptionStart::Now => (1, None),
            SubscriptionStart::Oldest => (2, None),
            SubscriptionStart::After(bookmark) => (3, Some(bookmark.to_xml())),
        };
        let delivery = match self.delivery {
            Delivery::Pull => 0x1000_0000,
            Delivery::Push => 0,
        };
        let gaps = match self.gaps {
            GapPolicy::Continue => 0,
            GapPolicy::Reject => 0x0001_0000,
        };
        let channel = self.channel.map(|text| checked(text, "the channel", CHANNEL_NAME));
        let bookmark = bookmark.as_deref().map(|text| checked(text, "the bookmark", TEXT));
        let mut writer = NdrWriter::new();
        writer.unique(channel.transpose()?, NdrWriter::wide_string);
        write_text(&mut writer, checked(self.query, "the query", TEXT)?);
        writer.unique(bookmark.transpose()?, NdrWriter::wide_string);
        writer.u32(start | delivery | gaps);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<OpenedHandles, NdrError> {
        OpenedHandles::read(stub)
    }
}
