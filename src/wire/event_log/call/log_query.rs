//! EvtRpcRegisterLogQuery: a query over the current events of a log (MS-EVEN6 section 3.1.4.12).

use super::{
    CHANNEL_NAME, EventLogCall, EventLogCallError, OpenedHandles, TEXT, checked, write_text,
};
use crate::msrpc::ndr::{NdrError, NdrWriter};

/// Opens a query over a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterLogQuery<'a> {
    /// The channel, if the query does not name it.
    pub channel: Option<&'a str>,
    /// XPath, or [`EventLogQuery::to_xml`](crate::event_log::EventLogQuery::to_xml).
    pub query: &'a str,
    /// The order of the events.
    pub order: EventOrder,
}

/// The order of the events of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOrder {
    /// Oldest first.
    OldestFirst,
    /// Newest first.
    NewestFirst,
}

/// `EvtQueryChannelPath`: the path is a channel, not a file.
const CHANNEL: u32 = 0x1;

impl EventLogCall for RegisterLogQuery<'_> {
    const OPNUM: u16 = 5;
    type Response<'a> = OpenedHandles;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let order = match self.order {
            EventOrder::OldestFirst => 0x100,
            EventOrder::NewestFirst => 0x200,
        };
        let channel = self.channel.map(|text| checked(text, "the channel", CHANNEL_NAME));
        let mut writer = NdrWriter::new();
        writer.unique(channel.transpose()?, NdrWriter::wide_string);
        write_text(&mut writer, checked(self.query, "the query", TEXT)?);
        writer.u32(CHANNEL | order);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<OpenedHandles, NdrError> {
        OpenedHandles::read(stub)
    }
}
