//! An event from a file, as one line of JSON: from `evtx_dump -o jsonl`, or flattened by NXLog or
//! Winlogbeat.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rollcall_identity::Timestamp;
use rollcall_identity::logon::{self, Fields};
use serde_json::{Map, Value};

/// The fields of a recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    id: u16,
    time: Timestamp,
    record_id: u64,
    computer: String,
    channel: String,
    provider: String,
    keywords: u64,
    fields: TextFields,
}

/// Fields as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TextFields(BTreeMap<String, String>);

impl Fields for TextFields {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name).map(|text| Cow::Borrowed(text.as_str()))
    }
}

/// Why a line is not a valid record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordedEventError {
    /// Another format, or a truncated line.
    #[error("the line is not a JSON object: {0}")]
    Json(String),
    /// A required field is missing or invalid.
    #[error("{0} is missing or invalid")]
    Missing(&'static str),
}

impl RecordedEvent {
    /// Parses one line.
    ///
    /// # Errors
    /// [`RecordedEventError`]; other lines are not affected.
    pub fn read(line: &str) -> Result<Self, RecordedEventError> {
        let value: Map<String, Value> =
            serde_json::from_str(line).map_err(|why| RecordedEventError::Json(why.to_string()))?;
        match value.get("Event") {
            Some(event) => Self::nested(event),
            None => Self::flat(&value),
        }
    }

    /// For [`logon::LogonReader::read`].
    pub fn record(&self) -> logon::LogRecord<'_> {
        logon::LogRecord {
            id: self.id,
            time: self.time,
            record_id: self.record_id,
            computer: &self.computer,
            channel: &self.channel,
            provider: &self.provider,
            keywords: self.keywords,
            fields: &self.fields,
        }
    }

    /// The format of `evtx_dump`: the XML structure of the event, with attributes under
    /// `#attributes`.
    fn nested(event: &Value) -> Result<Self, RecordedEventError> {
        let system = &event["System"];
        let id = system["EventID"].get("#text").unwrap_or(&system["EventID"]);
        Ok(Self {
            id: id_of(id)?,
            time: time_of(&system["TimeCreated"]["#attributes"]["SystemTime"])
                .ok_or(RecordedEventError::Missing("TimeCreated"))?,
            record_id: number(&system["EventRecordID"]).unwrap_or_default(),
            computer: required(&system["Computer"], "Computer")?,
            channel: required(&system["Channel"], "Channel")?,
            provider: required(&system["Provider"]["#attributes"]["Name"], "Provider")?,
            keywords: number(&system["Keywords"]).unwrap_or_default(),
            fields: event["EventData"].as_object().map_or(TextFields(BTreeMap::new()), texts),
        })
    }

    /// The flat format of NXLog. Its `EventTime` has no time zone and is not used.
    fn flat(event: &Map<String, Value>) -> Result<Self, RecordedEventError> {
        let of = |name| event.get(name).unwrap_or(&Value::Null);
        let time = time_of(of("TimeCreated")).or_else(|| time_of(of("@timestamp")));
        Ok(Self {
            id: id_of(of("EventID"))?,
            time: time.ok_or(RecordedEventError::Missing("TimeCreated or @timestamp"))?,
            record_id: number(of("RecordNumber")).unwrap_or_default(),
            computer: required(of("Hostname"), "Hostname")?,
            channel: required(of("Channel"), "Channel")?,
            provider: required(of("SourceName"), "SourceName")?,
            keywords: number(of("Keywords")).unwrap_or_default(),
            fields: texts(event),
        })
    }
}

fn id_of(value: &Value) -> Result<u16, RecordedEventError> {
    let id = number(value).and_then(|id| u16::try_from(id).ok());
    id.ok_or(RecordedEventError::Missing("EventID"))
}

fn time_of(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn required(value: &Value, name: &'static str) -> Result<String, RecordedEventError> {
    value.as_str().map(str::to_owned).ok_or(RecordedEventError::Missing(name))
}

/// A decimal number, or a hexadecimal one after `0x`. 64-bit values are sometimes written as
/// signed.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or(number.as_i64().map(i64::cast_unsigned)),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    }
}

/// The fields with a value.
fn texts(fields: &Map<String, Value>) -> TextFields {
    let present = |(name, value): (&String, &Value)| Some((name.clone(), text_of(value)?));
    TextFields(fields.iter().filter_map(present).collect())
}

/// The text of a field. Of an array, the first item is used, as for an event from a server with
/// repeated fields.
fn text_of(value: &Value) -> Option<String> {
    let first = match value {
        Value::Array(items) => items.first()?,
        one => one,
    };
    match first {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NESTED: &str = r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":
        "Microsoft-Windows-Security-Auditing"}},"EventID":{"#attributes":{"Qualifiers":0},
        "#text":4768},"Keywords":"0x8020000000000000","TimeCreated":{"#attributes":
        {"SystemTime":"2021-04-14T18:25:03.123456Z"}},"EventRecordID":7,"Channel":"Security",
        "Computer":"dc1.corp.example.com"},"EventData":{"TargetUserName":"alice","Status":"0x0",
        "IpPort":0,"None":null}}}"##;

    const FLAT: &str = r#"{"EventID":4624,"@timestamp":"2020-09-22T02:00:00.1Z","RecordNumber":9,
        "Hostname":"DC1","Channel":"Security","SourceName":"Microsoft-Windows-Security-Auditing",
        "Keywords":-9214364837600034816,"LogonType":3}"#;

    #[test]
    fn both_formats_are_parsed() {
        let nested = RecordedEvent::read(NESTED).unwrap();
        let record = nested.record();
        assert_eq!((record.id, record.record_id), (4768, 7));
        assert_eq!(record.time.to_string(), "2021-04-14T18:25:03.123Z");
        assert_eq!((record.computer, record.channel), ("dc1.corp.example.com", "Security"));
        assert_eq!(record.keywords, 0x8020_0000_0000_0000);
        assert_eq!(record.fields.text("TargetUserName").as_deref(), Some("alice"));
        assert_eq!(record.fields.text("IpPort").as_deref(), Some("0"));
        assert_eq!(record.fields.text("None"), None);
        let flat = RecordedEvent::read(FLAT).unwrap();
        let record = flat.record();
        assert_eq!((record.id, record.record_id, record.computer), (4624, 9, "DC1"));
        assert_eq!(record.keywords, 0x8020_0000_0000_0000);
        assert_eq!(record.fields.text("LogonType").as_deref(), Some("3"));
    }

    #[test]
    fn first_of_repeated_fields_is_used() {
        for (written, read) in [
            (r#"["alice","bob"]"#, Some("alice")),
            (r#"["-"]"#, Some("-")),
            ("[7,8]", Some("7")),
            ("[true]", Some("true")),
            // The first item is null; later items are not used instead.
            (r#"[null,"bob"]"#, None),
            (r#"[["alice"]]"#, None),
            (r#"[{"user":"alice"},"bob"]"#, None),
            ("[]", None),
        ] {
            let line = NESTED.replace(r#""alice""#, written);
            let recorded = RecordedEvent::read(&line).unwrap();
            assert_eq!(recorded.record().fields.text("TargetUserName").as_deref(), read, "{line}");
            let line = FLAT.replace("\"LogonType\":3", &format!("\"LogonType\":{written}"));
            let recorded = RecordedEvent::read(&line).unwrap();
            assert_eq!(recorded.record().fields.text("LogonType").as_deref(), read, "{line}");
        }
    }

    #[test]
    fn missing_fields_are_named() {
        let without = |text: &str, key: &str| {
            RecordedEvent::read(&text.replace(key, "x")).unwrap_err().to_string()
        };
        assert_eq!(without(FLAT, "EventID"), "EventID is missing or invalid");
        assert!(without(FLAT, "@timestamp").starts_with("TimeCreated or @timestamp is missing"));
        assert!(without(FLAT, "Hostname").starts_with("Hostname is missing"));
        assert!(without(NESTED, "SystemTime").starts_with("TimeCreated is missing"));
        assert!(without(NESTED, "#text").starts_with("EventID is missing"));
        assert!(matches!(RecordedEvent::read("[1]"), Err(RecordedEventError::Json(_))));
        assert!(matches!(RecordedEvent::read(&NESTED[..50]), Err(RecordedEventError::Json(_))));
        let large = FLAT.replace("4624", "70000");
        assert_eq!(RecordedEvent::read(&large), Err(RecordedEventError::Missing("EventID")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_line_is_parsed_or_rejected(
            line in ".{0,60}",
            changes in proptest::collection::vec((0..NESTED.len(), any::<u8>()), 0..4),
        ) {
            let _ = RecordedEvent::read(&line);
            let mut bytes = NESTED.as_bytes().to_vec();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            let _ = RecordedEvent::read(&String::from_utf8_lossy(&bytes));
        }
    }
}
