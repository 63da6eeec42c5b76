//! Event log bookmarks as text. A bookmark is stored with the events it covers and sent to the
//! server after a restart.

use std::fmt::Write;

use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};

/// A position in the channels of a query (MS-EVEN6 section 2.2.14).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bookmark {
    /// The position in each channel, at most [`Bookmark::CHANNELS`].
    pub channels: Vec<ChannelPosition>,
}

/// The last event read from a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPosition {
    /// For instance `Security`.
    pub channel: String,
    /// `EventRecordID`.
    pub record_id: u64,
    /// Whether the last event of all came from this channel.
    pub current: Current,
}

/// Whether a channel had the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Current {
    /// The last event came from another channel.
    #[default]
    No,
    /// The last event came from this channel.
    Yes,
}

/// Why a text is not a valid bookmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookmarkError {
    /// Longer than the limit.
    #[error("the bookmark is longer than {} characters", Bookmark::LENGTH)]
    TooLong,
    /// Not XML, or another document.
    #[error("the bookmark is not XML with the root element BookmarkList")]
    Shape,
    /// A position without a channel.
    #[error("a Bookmark has no Channel")]
    Channel,
    /// A position without a valid record number.
    #[error("RecordId of a Bookmark is missing or not a number")]
    RecordId,
    /// More channels than a server accepts.
    #[error("the bookmark has more than {} channels", Bookmark::CHANNELS)]
    TooMany,
}

impl Bookmark {
    /// `MAX_RPC_QUERY_CHANNEL_SIZE`: the maximum number of channels of a query.
    pub const CHANNELS: usize = 512;
    /// The maximum length in bytes: a multiple of a bookmark for one channel. A server accepts 1
    /// MiB (`MAX_RPC_BOOKMARK_LENGTH`).
    pub const LENGTH: usize = 1 << 16;

    /// The position after the event `record_id` of the only channel.
    pub fn after(channel: &str, record_id: u64) -> Self {
        let channel = channel.to_owned();
        Self { channels: vec![ChannelPosition { channel, record_id, current: Current::Yes }] }
    }

    /// The last record read from `channel`.
    pub fn record_id(&self, channel: &str) -> Option<u64> {
        let same = |mark: &&ChannelPosition| mark.channel.eq_ignore_ascii_case(channel);
        self.channels.iter().find(same).map(|mark| mark.record_id)
    }

    /// The XML form of MS-EVEN6.
    pub fn to_xml(&self) -> String {
        let mut xml = "<BookmarkList>".to_owned();
        for mark in &self.channels {
            let (channel, id) = (escape(&mark.channel), mark.record_id);
            let current = match mark.current {
                Current::Yes => " IsCurrent='true'",
                Current::No => "",
            };
            // Writing to a String does not fail.
            let _ = write!(xml, "<Bookmark Channel='{channel}' RecordId='{id}'{current}/>");
        }
        xml + "</BookmarkList>"
    }

    /// Parses the XML of a server or of [`Bookmark::to_xml`].
    ///
    /// # Errors
    /// [`BookmarkError`].
    pub fn from_xml(xml: &str) -> Result<Self, BookmarkError> {
        if xml.len() > Self::LENGTH {
            return Err(BookmarkError::TooLong);
        }
        let mut reader = quick_xml::Reader::from_str(xml);
        let mut bookmark = Self::default();
        let mut depth = 0;
        let mut seen = false;
        loop {
            let event = reader.read_event().map_err(|_| BookmarkError::Shape)?;
            match event {
                Event::Start(tag) if depth == 0 && is(&tag, "BookmarkList") && !seen => {
                    (depth, seen) = (1, true);
                }
                Event::Empty(tag) if depth == 0 && is(&tag, "BookmarkList") && !seen => {
                    seen = true;
                }
                Event::Start(tag) if depth == 1 && is(&tag, "Bookmark") => {
                    bookmark.add(&tag)?;
                    depth = 2;
                }
                Event::Empty(tag) if depth == 1 && is(&tag, "Bookmark") => bookmark.add(&tag)?,
                Event::End(_) if depth > 0 => depth -= 1,
                Event::Text(text) if text.chars().all(char::is_whitespace) => {}
                Event::Decl(_) | Event::Comment(_) if depth == 0 => {}
                Event::Eof if depth == 0 && seen => return Ok(bookmark),
                _ => return Err(BookmarkError::Shape),
            }
        }
    }

    fn add(&mut self, tag: &BytesStart<'_>) -> Result<(), BookmarkError> {
        if self.channels.len() == Self::CHANNELS {
            return Err(BookmarkError::TooMany);
        }
        let (mut channel, mut record_id, mut current) = (None, None, Current::No);
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|_| BookmarkError::Shape)?;
            let value =
                quick_xml::escape::unescape(&attribute.value).map_err(|_| BookmarkError::Shape)?;
            match attribute.key.as_ref() {
                "Channel" => channel = Some(value.into_owned()),
                "RecordId" => record_id = value.parse().ok(),
                "IsCurrent" if matches!(&*value.to_ascii_lowercase(), "true" | "1") => {
                    current = Current::Yes;
                }
                _ => {}
            }
        }
        let channel = channel.filter(|name| !name.is_empty()).ok_or(BookmarkError::Channel)?;
        let record_id = record_id.ok_or(BookmarkError::RecordId)?;
        self.channels.push(ChannelPosition { channel, record_id, current });
        Ok(())
    }
}

fn is(tag: &BytesStart<'_>, name: &str) -> bool {
    tag.name().as_ref() == name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bookmark_is_encoded_as_servers_accept_it() {
        let bookmark = Bookmark::after("Security", 4711);
        let xml = "<BookmarkList><Bookmark Channel='Security' RecordId='4711' IsCurrent='true'/>\
            </BookmarkList>";
        assert_eq!((bookmark.to_xml().as_str(), Bookmark::from_xml(xml)), (xml, Ok(bookmark)));
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        // MS-EVEN6 section 4.3.
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<BookmarkList>\r\n  \
            <Bookmark Channel=\"Microsoft-Windows-PrintSpooler/Operational\" RecordId=\"9\"/>\r\n  \
            <Bookmark Channel=\"c:/dir1/dir2/file.evtx\" RecordId=\"1\"/>\r\n  \
            <Bookmark Channel=\"System\" RecordId=\"26\" IsCurrent=\"True\"/>\r\n</BookmarkList>\r\n";
        let bookmark = Bookmark::from_xml(xml).unwrap();
        let current: Vec<_> = bookmark.channels.iter().map(|mark| mark.current).collect();
        assert_eq!(current, [Current::No, Current::No, Current::Yes]);
        assert_eq!(bookmark.record_id("system"), Some(26));
        assert_eq!(bookmark.record_id("Security"), None);
    }

    #[test]
    fn invalid_bookmarks_are_rejected_with_a_reason() {
        for (xml, why) in [
            ("", BookmarkError::Shape),
            ("<BookmarkList>", BookmarkError::Shape),
            ("<Bookmark Channel='a' RecordId='1'/>", BookmarkError::Shape),
            ("<BookmarkList/><BookmarkList/>", BookmarkError::Shape),
            ("<!DOCTYPE a><BookmarkList/>", BookmarkError::Shape),
            ("<BookmarkList>x</BookmarkList>", BookmarkError::Shape),
            ("<BookmarkList><Bookmark RecordId='1'/></BookmarkList>", BookmarkError::Channel),
            ("<BookmarkList><Bookmark Channel='a'/></BookmarkList>", BookmarkError::RecordId),
            (
                "<BookmarkList><Bookmark Channel='a' RecordId='-1'/></BookmarkList>",
                BookmarkError::RecordId,
            ),
            (
                "<BookmarkList><Bookmark Channel='&a;' RecordId='1'/></BookmarkList>",
                BookmarkError::Shape,
            ),
        ] {
            assert_eq!(Bookmark::from_xml(xml), Err(why), "{xml}");
        }
        let many = "<Bookmark Channel='a' RecordId='1'/>".repeat(513);
        let many = format!("<BookmarkList>{many}</BookmarkList>");
        assert_eq!(Bookmark::from_xml(&many), Err(BookmarkError::TooMany));
        assert_eq!(Bookmark::from_xml(&many.repeat(4)), Err(BookmarkError::TooLong));
        assert_eq!(Bookmark::from_xml("<BookmarkList/>"), Ok(Bookmark::default()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn encoding_round_trips(channel in "[ -~ä]{1,20}", record_id in any::<u64>()) {
            let bookmark = Bookmark::after(&channel, record_id);
            prop_assert_eq!(Bookmark::from_xml(&bookmark.to_xml()), Ok(bookmark));
        }

        #[test]
        fn arbitrary_text_is_handled(text in "[<>/a-zA-Z='&; ]{0,60}") {
            let _ = Bookmark::from_xml(&text);
        }
    }
}
