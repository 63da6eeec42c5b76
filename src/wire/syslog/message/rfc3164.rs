//! Parses the RFC 3164 header: time, host and tag, all optional.

use rollcall_identity::Timestamp;

use super::{SyslogMessage, trim_start, without_bom};
use crate::syslog::structured::StructuredData;
use crate::syslog::timestamp::SenderClock;

/// The maximum length of a tag. RFC 3164 section 4.1.3 has 32; Junos has message names of 45.
const TAG_LIMIT: usize = 64;

/// Parses the bytes after PRI. Without a time, the first word is a host only when a tag with a
/// process ID follows.
pub(super) fn read<'a>(
    rest: &'a [u8],
    has_priority: bool,
    seen: Timestamp,
    clock: &mut SenderClock,
) -> SyslogMessage<'a> {
    let time = clock.read(rest, seen);
    let rest = after_colon(time.map_or(rest, |(_, length)| &rest[length..]));
    let (host, rest) = match time {
        Some(_) => host(rest),
        None => match host(rest) {
            (Some(name), after) if !has_priority && tag(after).is_some_and(|t| t.1.is_some()) => {
                (Some(name), after)
            }
            _ => (None, rest),
        },
    };
    let rest = after_colon(rest);
    let (app, proc_id, text) = match tag(rest) {
        Some((app, proc_id, text)) => (Some(app), proc_id, text),
        None => (None, None, rest),
    };
    let text = without_bom(trim_start(text));
    SyslogMessage {
        priority: None,
        at: time.map(|(at, _)| at),
        host,
        app,
        proc_id,
        msg_id: None,
        data: StructuredData::default(),
        text,
        content: text,
    }
}

/// Skips the ` : ` or `: ` that Cisco writes before its message name.
fn after_colon(bytes: &[u8]) -> &[u8] {
    let bytes = trim_start(bytes);
    match bytes {
        [b':', b' ', rest @ ..] => trim_start(rest),
        _ => bytes,
    }
}

/// A host name or address followed by a space. With a trailing colon it is a tag.
fn host(bytes: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let letters = bytes
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
        .count();
    let name = &bytes[..letters];
    if letters == 0 || name.ends_with(b":") || bytes.get(letters) != Some(&b' ') {
        return (None, bytes);
    }
    // `1 ` before a time is a nested RFC 5424 header, not a host.
    if name == b"1" { (None, bytes) } else { (Some(name), trim_start(&bytes[letters..])) }
}

/// A tag, the process ID, and the rest.
type Tag<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

/// `name:`, `name[pid]:` or `name[pid]`, followed by a space or the end.
fn tag(bytes: &[u8]) -> Option<Tag<'_>> {
    let letters = bytes
        .iter()
        .take(TAG_LIMIT + 1)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'))
        .count();
    if letters == 0 || letters > TAG_LIMIT {
        return None;
    }
    let (name, mut rest) = bytes.split_at(letters);
    let mut process = None;
    if let Some(inner) = rest.strip_prefix(b"[") {
        let length = inner.iter().take(TAG_LIMIT).take_while(|b| **b != b']').count();
        rest = inner[length..].strip_prefix(b"]")?;
        process = Some(&inner[..length]).filter(|process| !process.is_empty());
    }
    match (rest, process) {
        ([b':'], _) => Some((name, process, &[])),
        ([b':', b' ', text @ ..], _) | ([b' ', text @ ..], Some(_)) => Some((name, process, text)),
        _ => None,
    }
}
