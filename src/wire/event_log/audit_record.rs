//! An event of the security log as input of the logon rules.

use std::borrow::Cow;

use rollcall_identity::Timestamp;
use rollcall_identity::logon::{self, Fields};

use super::binxml::{BinXmlError, Value};
use super::record::EventRecord;

impl Fields for EventRecord<'_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.field(name).map(Value::into_text)
    }
}

/// A record with its system fields as text.
#[derive(Debug)]
pub struct AuditRecord<'r> {
    record: &'r EventRecord<'r>,
    time: Timestamp,
    provider: Cow<'r, str>,
    channel: Cow<'r, str>,
    computer: Cow<'r, str>,
}

impl<'r> AuditRecord<'r> {
    /// Converts `record`.
    ///
    /// # Errors
    /// The record has no creation time, without which a logon cannot be ordered.
    pub fn of(record: &'r EventRecord<'r>) -> Result<Self, BinXmlError> {
        let system = &record.system;
        Ok(Self {
            record,
            time: system.at().ok_or(BinXmlError::Missing("TimeCreated"))?,
            provider: system.provider.to_text(),
            channel: system.channel.to_text(),
            computer: system.computer.to_text(),
        })
    }

    /// For [`logon::LogonReader::read`].
    pub fn record(&self) -> logon::LogRecord<'_> {
        let system = &self.record.system;
        logon::LogRecord {
            id: system.event_id,
            time: self.time,
            record_id: system.record_id.unwrap_or_default(),
            computer: &self.computer,
            channel: &self.channel,
            provider: &self.provider,
            keywords: system.keywords.unwrap_or_default(),
            fields: self.record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::bytes;
    use super::super::{Decoder, EventSection};
    use super::*;
    use crate::event_log::{EventField, FieldPath};

    /// MS-EVEN6 section 4.8.
    const TEMPLATE: &str = include_str!("../../../tests/corpus/event_log/template.hex");

    #[test]
    fn system_fields_and_event_fields_are_converted() {
        let bytes = bytes(TEMPLATE);
        let mut decoder = Decoder::default();
        let mut record = decoder.record(&bytes).unwrap();
        let field = |name, value| {
            let (section, name) = (EventSection::EventData, Some(Cow::Borrowed(name)));
            EventField::new(
                FieldPath { section, element: "Data".into(), attribute: None, name },
                value,
            )
        };
        let user = Value::Text(Cow::Borrowed("alice"));
        record.fields.extend([field("TargetUserName", user), field("Status", Value::Hex(0))]);
        let audit = AuditRecord::of(&record).unwrap();
        let read = audit.record();
        assert_eq!((read.id, read.record_id), (100, 6));
        assert_eq!(read.time.to_string(), "2006-06-14T21:40:54.625Z");
        assert_eq!(read.provider, "Microsoft-Windows-Wevttest");
        assert_eq!(read.channel, "Microsoft-Windows-Wevttest/Operational/Wevttest");
        assert_eq!(read.computer, "michaelm4-lh.ntdev.corp.microsoft.com");
        assert_eq!(read.keywords, 0x4000_0000_00e0_0000);
        assert_eq!(read.fields.text("TargetUserName").as_deref(), Some("alice"));
        assert_eq!(read.fields.text("Status").as_deref(), Some("0x0"));
        assert_eq!(read.fields.text("IpAddress"), None);
        let mut timeless = record.clone();
        timeless.system.time_created = None;
        assert_eq!(AuditRecord::of(&timeless).unwrap_err(), BinXmlError::Missing("TimeCreated"));
    }
}
