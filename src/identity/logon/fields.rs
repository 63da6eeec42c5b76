//! Reads the fields of a record: text and numbers as Windows writes them.

use std::borrow::Cow;

use super::LogRecord;

/// The text of a field; `None` if it is missing, empty or `-`, with which Windows marks empty
/// values.
pub(super) fn field_text<'a>(record: &LogRecord<'a>, field: &str) -> Option<Cow<'a, str>> {
    let text = match record.fields.text(field)? {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty() && text != "-").then_some(text)
}

/// A number, in decimal or with a `0x` prefix.
pub(super) fn field_number(record: &LogRecord<'_>, field: &str) -> Option<u64> {
    let text = record.fields.text(field)?;
    let text = text.trim();
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
