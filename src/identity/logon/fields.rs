//! Reading the fields of a record: text and numbers as Windows writes them.

use std::borrow::Cow;

use super::LogRecord;

/// What a field says; `None` when it is not there, empty, or `-`, which is how Windows writes that
/// there is nothing to say.
pub(super) fn field_text<'a>(record: &LogRecord<'a>, field: &str) -> Option<Cow<'a, str>> {
    let text = match record.fields.text(field)? {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty() && text != "-").then_some(text)
}

/// A number, in decimal or after `0x`.
pub(super) fn field_number(record: &LogRecord<'_>, field: &str) -> Option<u64> {
    let text = record.fields.text(field)?;
    let text = text.trim();
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
