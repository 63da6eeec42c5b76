//! EvtRpcRegisterRemoteSubscription: events as they are written, from now or from a place in the
//! log on (MS-EVEN6 section 3.1.4.8).

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::{BadCall, CHANNEL_NAME, Call, Opened, TEXT, checked, write_text};
use crate::event_log::Bookmark;
use crate::msrpc::ndr::{BadStub, Writer};

/// Opens a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterRemoteSubscription<'a> {
    /// The channel, where the query does not name it.
    pub channel: Option<&'a str>,
    /// XPath, or [`Query::to_xml`](crate::event_log::Query::to_xml).
    pub query: &'a str,
    /// Where to begin.
    pub start: Start<'a>,
    /// Who asks for the events.
    pub delivery: Delivery,
    /// What happens when events between the start and the oldest of the log are lost.
    pub gaps: Gaps,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// With the next event that is written.
    Now,
    /// With the oldest event of the log.
    Oldest,
    /// With the first event after this one.
    After(&'a Bookmark),
}

/// How events come to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Delivery {
    /// By [`RemoteSubscriptionNext`](super::RemoteSubscriptionNext).
    #[default]
    Pull,
    /// By [`RemoteSubscriptionNextAsync`](super::RemoteSubscriptionNextAsync).
    Push,
}

/// What the server does where it cannot give every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// It goes on.
    Accepted,
    /// It refuses the subscription.
    Refused,
}

impl Call for RegisterRemoteSubscription<'_> {
    const OPNUM: u16 = 0;
    type Answer<'a> = Opened;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        // EvtSubscribeStartAfterBookmark is 3: impacket has 4, which servers refuse.
        let (start, bookmark) = match self.start {
            Start::Now => (1, None),
            Start::Oldest => (2, None),
            Start::After(bookmark) => (3, Some(bookmark.to_xml())),
        };
        let delivery = match self.delivery {
            Delivery::Pull => 0x1000_0000,
            Delivery::Push => 0,
        };
        let gaps = match self.gaps {
            Gaps::Accepted => 0,
            Gaps::Refused => 0x0001_0000,
        };
        let channel = self.channel.map(|text| checked(text, "the channel", CHANNEL_NAME));
        let bookmark = bookmark.as_deref().map(|text| checked(text, "the bookmark", TEXT));
        let mut writer = Writer::new();
        writer.unique(channel.transpose()?, Writer::wide_string);
        write_text(&mut writer, checked(self.query, "the query", TEXT)?);
        writer.unique(bookmark.transpose()?, Writer::wide_string);
        writer.u32(start | delivery | gaps);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<Opened, BadStub> {
        Opened::read(stub)
    }
}
