//! EvtRpcRegisterLogQuery: a query over the current events of a log (MS-EVEN6 section 3.1.4.12).

use super::{BadCall, CHANNEL_NAME, Call, Opened, TEXT, checked, write_text};
use crate::msrpc::ndr::{BadStub, Writer};

/// Opens a query over a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterLogQuery<'a> {
    /// The channel, if the query does not name it.
    pub channel: Option<&'a str>,
    /// XPath, or [`EventLogQuery::to_xml`](crate::event_log::EventLogQuery::to_xml).
    pub query: &'a str,
    /// The order of the events.
    pub order: Order,
}

/// The order of the events of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    OldestFirst,
    /// Newest first.
    NewestFirst,
}

/// `EvtQueryChannelPath`: the path is a channel, not a file.
const CHANNEL: u32 = 0x1;

impl Call for RegisterLogQuery<'_> {
    const OPNUM: u16 = 5;
    type Answer<'a> = Opened;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        let order = match self.order {
            Order::OldestFirst => 0x100,
            Order::NewestFirst => 0x200,
        };
        let channel = self.channel.map(|text| checked(text, "the channel", CHANNEL_NAME));
        let mut writer = Writer::new();
        writer.unique(channel.transpose()?, Writer::wide_string);
        write_text(&mut writer, checked(self.query, "the query", TEXT)?);
        writer.u32(CHANNEL | order);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<Opened, BadStub> {
        Opened::read(stub)
    }
}
