//! Parses the RFC 5424 header: version, time, host, application, process, message ID, structured
//! data.

use memchr::memchr;
use rollcall_identity::Timestamp;

use super::{SyslogMessage, trim_start, without_bom};
use crate::syslog::structured::StructuredData;
use crate::syslog::timestamp::{SenderClock, looks_like_iso};

/// The bytes after VERSION, when `rest`, the bytes after PRI, begins with a number, a space, and a
/// timestamp or its nil value.
pub(super) fn after_version(rest: &[u8]) -> Option<&[u8]> {
    let ([b'1'..=b'9', b' ', header @ ..] | [b'1'..=b'9', b'0'..=b'9', b' ', header @ ..]) = rest
    else {
        return None;
    };
    (header.starts_with(b"- ") || looks_like_iso(header)).then_some(header)
}

/// Parses a header that begins with TIMESTAMP. If it ends early, the rest is text.
pub(super) fn read<'a>(
    header: &'a [u8],
    seen: Timestamp,
    clock: &mut SenderClock,
) -> SyslogMessage<'a> {
    let (time, rest) = word(header);
    let (host, rest) = word(rest);
    let (app, rest) = word(rest);
    let (proc_id, content) = word(rest);
    let (msg_id, rest) = word(content);
    let (data, rest) = StructuredData::split(rest);
    SyslogMessage {
        priority: None,
        at: clock.read(time, seen).map(|(at, _)| at),
        host: given(host),
        // Ivanti writes a tag with the colon of RFC 3164.
        app: given(app.strip_suffix(b":").unwrap_or(app)),
        proc_id: given(proc_id),
        msg_id: given(msg_id),
        data,
        text: without_bom(trim_start(rest)),
        content,
    }
}

/// The bytes up to a space, and the rest.
fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b' ', bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

fn given(word: &[u8]) -> Option<&[u8]> {
    (!word.is_empty() && word != b"-").then_some(word)
}
