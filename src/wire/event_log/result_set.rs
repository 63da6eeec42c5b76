//! One event of a response in its envelope: the BinXML and the position in the log.

use strum::{EnumIter, IntoStaticStr};

use super::bytes::{ByteReader, UnexpectedEnd};

/// Why the envelope of an event is invalid. The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum ResultSetError {
    /// The event lies outside of the response.
    #[error("the event is outside of the response")]
    Outside,
    /// The envelope is truncated.
    #[error("the event ends within its header, its XML or its bookmark")]
    Short,
    /// An offset points into the header.
    #[error("an offset of the event points into its header")]
    Offset,
    /// The channel of the bookmark is out of range.
    #[error("the channel of the event's bookmark is out of range")]
    Channel,
}

impl ResultSetError {
    /// The label, for instance `outside`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<UnexpectedEnd> for ResultSetError {
    fn from(_: UnexpectedEnd) -> Self {
        Self::Short
    }
}

/// A result set (MS-EVEN6 section 2.2.17). Despite its name it holds one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultSet<'a> {
    /// The BinXML, for [`Decoder::record`](super::Decoder::record).
    pub event: &'a [u8],
    /// The position in the log.
    pub position: RecordPosition<'a>,
    subqueries: &'a [u8],
}

/// The bookmark in binary form: the last record read from every channel of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition<'a> {
    /// The index of the channel of this event.
    pub channel: usize,
    /// The read direction. No call of Rollcall reads backward.
    pub direction: ReadDirection,
    records: &'a [u8],
}

/// The read direction of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadDirection {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// The size of the fields before the XML.
const HEADER: usize = 0x10;

/// The size of the fields of a bookmark before its record numbers.
const POSITION_HEADER: usize = 0x18;

impl<'a> ResultSet<'a> {
    /// Reads the envelope of one event. `eventOffset` points to `binXmlSize`, and the XML follows.
    ///
    /// # Errors
    /// [`ResultSetError`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, ResultSetError> {
        let mut header = ByteReader::new(bytes);
        let total = header.size()?;
        let whole = bytes.get(..total).ok_or(ResultSetError::Short)?;
        let mut header = ByteReader::within(whole, 4, 12)?;
        let (_, event, bookmark) = (header.size()?, header.size()?, header.size()?);
        if event < HEADER || bookmark < HEADER {
            return Err(ResultSetError::Offset);
        }
        let rest = total.checked_sub(event).ok_or(ResultSetError::Short)?;
        let mut fields = ByteReader::within(whole, event, rest)?;
        let size = fields.size()?;
        let event = fields.take(size)?;
        let count = fields.size()?;
        let subqueries = fields.take(count.saturating_mul(4))?;
        let position = RecordPosition::read(whole.get(bookmark..).ok_or(ResultSetError::Short)?)?;
        Ok(Self { event, position, subqueries })
    }

    /// The indexes of the subqueries that selected the event.
    pub fn subqueries(&self) -> impl Iterator<Item = u32> {
        self.subqueries.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id))
    }
}

impl<'a> RecordPosition<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ResultSetError> {
        let mut fields = ByteReader::new(bytes);
        let (size, _, channels) = (fields.size()?, fields.size()?, fields.size()?);
        let (channel, direction, at) = (fields.size()?, fields.u32()?, fields.size()?);
        if at < POSITION_HEADER {
            return Err(ResultSetError::Offset);
        }
        let rest = size.checked_sub(at).ok_or(ResultSetError::Short)?;
        let records = ByteReader::within(bytes, at, rest)?.take(channels.saturating_mul(8))?;
        if channel >= channels {
            return Err(ResultSetError::Channel);
        }
        let direction = match direction {
            0 => ReadDirection::Forward,
            _ => ReadDirection::Backward,
        };
        Ok(Self { channel, direction, records })
    }

    /// The record number (`EventRecordID`) of the event; available even if its BinXML is invalid.
    pub fn record_id(&self) -> Option<u64> {
        self.record_ids().nth(self.channel)
    }

    /// The last record read from each channel, in the order of the query.
    pub fn record_ids(&self) -> impl Iterator<Item = u64> {
        self.records.as_chunks::<8>().0.iter().map(|id| u64::from_le_bytes(*id))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A result set as in the specification.
    pub(in crate::event_log) fn wrapped(
        event: &[u8],
        subqueries: &[u32],
        channel: u32,
        records: &[u64],
    ) -> Vec<u8> {
        let bookmark = 0x14 + event.len() + 4 + 4 * subqueries.len();
        let size = POSITION_HEADER + 8 * records.len();
        let header = [bookmark + size, 0x10, 0x10, bookmark, event.len()];
        let mut out: Vec<u8> =
            header.iter().flat_map(|field| (*field as u32).to_le_bytes()).collect();
        out.extend(event);
        out.extend((subqueries.len() as u32).to_le_bytes());
        out.extend(subqueries.iter().flat_map(|id| id.to_le_bytes()));
        let fields = [size as u32, 0x18, records.len() as u32, channel, 0, 0x18];
        out.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        out.extend(records.iter().flat_map(|id| id.to_le_bytes()));
        out
    }

    #[test]
    fn envelope_has_event_and_position() {
        let bytes = wrapped(b"event", &[0, 7], 1, &[26, 4711]);
        let result = ResultSet::read(&bytes).unwrap();
        assert_eq!((result.event, result.position.channel), (&b"event"[..], 1));
        assert_eq!(result.position.direction, ReadDirection::Forward);
        assert_eq!(result.position.record_id(), Some(4711));
        assert_eq!(result.position.record_ids().collect::<Vec<_>>(), [26, 4711]);
        assert_eq!(result.subqueries().collect::<Vec<_>>(), [0, 7]);
        // The bytes after it belong to the next event.
        let longer = [&bytes[..], b"more"].concat();
        assert_eq!(ResultSet::read(&longer), Ok(result));
    }

    #[test]
    fn every_field_is_checked() {
        let bytes = wrapped(b"event", &[7], 0, &[26]);
        for end in 0..bytes.len() {
            assert_eq!(ResultSet::read(&bytes[..end]), Err(ResultSetError::Short), "{end}");
        }
        let with = |at: usize, value: u32| {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            ResultSet::read(&bytes).map(drop).unwrap_err()
        };
        let bookmark = bytes.len() - 0x20;
        for (at, value, problem) in [
            (0, 0, ResultSetError::Short),
            (8, 0, ResultSetError::Offset),
            (8, u32::MAX, ResultSetError::Short),
            (12, 4, ResultSetError::Offset),
            (12, u32::MAX, ResultSetError::Short),
            (16, u32::MAX, ResultSetError::Short),
            (25, u32::MAX, ResultSetError::Short),
            (bookmark, 8, ResultSetError::Short),
            (bookmark + 8, u32::MAX, ResultSetError::Short),
            (bookmark + 12, 1, ResultSetError::Channel),
            (bookmark + 20, 0, ResultSetError::Offset),
        ] {
            assert_eq!(with(at, value), problem, "{value} at {at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn envelopes_round_trip(
            event in proptest::collection::vec(any::<u8>(), 0..40),
            subqueries in proptest::collection::vec(any::<u32>(), 0..4),
            records in proptest::collection::vec(any::<u64>(), 1..4),
        ) {
            let bytes = wrapped(&event, &subqueries, 0, &records);
            let result = ResultSet::read(&bytes).unwrap();
            prop_assert_eq!(result.event, &event[..]);
            prop_assert_eq!(result.subqueries().collect::<Vec<_>>(), subqueries);
            prop_assert_eq!(result.position.record_ids().collect::<Vec<_>>(), records);
        }

        #[test]
        fn arbitrary_bytes_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = ResultSet::read(&bytes);
        }
    }
}
