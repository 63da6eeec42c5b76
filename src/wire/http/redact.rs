//! Formats an unknown request for the log, with every secret redacted.
//!
//! The requests of a real firewall are only partly documented. One log line must be enough to add
//! support for a new one; the readers of the log may not see the secrets.

use std::fmt::Write;

use super::json::Json;
use super::parameters::{PlusSign, percent_decoded};
use super::{HttpBody, RequestParts};

/// The maximum length of the result of [`redact`], in bytes.
const LIMIT: usize = 4096;

/// Bodies longer than this are not parsed; only their beginning is scanned.
const PARSED: usize = 64 * 1024;

/// Replaces a secret.
const HIDDEN: &str = "[redacted]";

/// Substrings of the names of secrets, in lower case, without `-`, `_` and spaces.
const SECRET_NAMES: [&str; 19] = [
    "secret",
    "passw",
    "passphrase",
    "passcode",
    "pwd",
    "token",
    "cookie",
    "authorization",
    "credential",
    "bearer",
    "basic",
    "sessionid",
    "apikey",
    "privatekey",
    "psk",
    "presharedkey",
    "sharedkey",
    "community",
    "otp",
];

/// Words that end the readable part of unstructured text: prefixes of the names above, and escapes
/// that could hide such a name.
const ALARMS: [&str; 23] = [
    "secret",
    "pass",
    "pwd",
    "token",
    "cookie",
    "authori",
    "credential",
    "bearer",
    "basic",
    "session",
    "api-key",
    "apikey",
    "api_key",
    "private",
    "psk",
    "pre-shared",
    "pre_shared",
    "shared",
    "community",
    "otp",
    "\\u00",
    "%",
    "&#",
];

/// Formats `request` on one line: method, path, query, the headers of [`RequestParts`] and the
/// body. Values of secret parameters (`client_secret`, any token, cookie or password) and the
/// credentials in `Authorization` are replaced. Text that cannot be parsed is cut after the first
/// word that could introduce a secret. Control characters are escaped. At most 4 KiB.
pub fn redact(request: &RequestParts<'_>) -> String {
    let mut line = LogLine(String::new());
    line.put(request.method);
    line.put(" ");
    let segments: Vec<String> = request.path.split('/').map(pair).collect();
    line.put(&segments.join("/"));
    if !request.query.is_empty() {
        line.put("?");
        line.put(&pairs(request.query));
    }
    if let Some(media_type) = request.content_type {
        line.header("content-type", &scanned(media_type));
    }
    if let Some(credentials) = request.authorization {
        let scheme = credentials.split(' ').next().unwrap_or_default();
        let known = ["Bearer", "Basic", "Digest", "Negotiate"];
        let known = known.iter().find(|known| known.eq_ignore_ascii_case(scheme));
        line.header("authorization", &format!("{} {HIDDEN}", known.unwrap_or(&"unknown")));
    }
    if let Some(cookies) = request.cookie_header {
        let names: Vec<String> = cookies.split(';').map(cookie_name).collect();
        line.header("cookie", &names.join(";"));
    }
    if request.x_cookie_header.is_some() {
        line.header("x-cookie", HIDDEN);
    }
    if !request.body.is_empty() {
        line.header("body", &body(request));
    }
    line.0
}

/// The output line. Text beyond [`LIMIT`] is cut, with a marker.
struct LogLine(String);

impl LogLine {
    const CUT: &'static str = "\u{2026}";

    fn put(&mut self, text: &str) {
        for c in text.chars() {
            if self.0.ends_with(Self::CUT) {
                return;
            }
            // The longest escape, `\u{10ffff}`, has 10 bytes.
            if self.0.len() + 10 + Self::CUT.len() > LIMIT {
                self.0.push_str(Self::CUT);
                return;
            }
            match c {
                '\u{2026}' => self.0.push_str("\\u{2026}"),
                '\\' => self.0.push_str("\\\\"),
                '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    self.0.extend(c.escape_unicode());
                }
                _ if c.is_control() => self.0.extend(c.escape_default()),
                _ => self.0.push(c),
            }
        }
    }

    fn header(&mut self, name: &str, value: &str) {
        self.put(" ");
        self.put(name);
        self.put("=");
        self.put(value);
    }
}

fn is_secret(name: &str) -> bool {
    let name: String =
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

/// `text` up to and including the first word that could introduce a secret.
fn scanned(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let end = ALARMS.iter().filter_map(|alarm| Some(lower.find(alarm)? + alarm.len())).min();
    match end {
        // Byte positions are unchanged: only ASCII letters were converted.
        Some(end) if end < text.len() => format!("{}{HIDDEN}", &text[..end]),
        _ => text.to_owned(),
    }
}

fn pairs(text: &str) -> String {
    let pairs: Vec<String> = text.split('&').map(pair).collect();
    pairs.join("&")
}

/// `name=value`, decoded, so that percent-encoding cannot hide a name.
fn pair(text: &str) -> String {
    let Some(decoded) = percent_decoded(text, PlusSign::Space) else {
        return HIDDEN.to_owned();
    };
    match decoded.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{}={HIDDEN}", scanned_name(name)),
        Some((name, value)) => format!("{}={}", scanned(name), scanned(value)),
        None => scanned(&decoded),
    }
}

/// The name of a secret, if it is safe to show: `session=x;client_secret` is not.
fn scanned_name(name: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() <= 32 && name.chars().all(plain) { name } else { HIDDEN }
}

fn cookie_name(cookie: &str) -> String {
    match cookie.split_once('=') {
        Some((name, _)) => format!("{}={HIDDEN}", scanned_name(name.trim())),
        None => HIDDEN.to_owned(),
    }
}

fn body(request: &RequestParts<'_>) -> String {
    if request.body.len() > PARSED {
        let beginning = &request.body[..LIMIT];
        return format!("{} ({} bytes)", scanned(&readable(beginning)), request.body.len());
    }
    match request.body() {
        Ok(HttpBody::Empty) => String::new(),
        Ok(HttpBody::Form(text)) => pairs(text),
        Ok(HttpBody::Json(text)) => match Json::read(text) {
            Ok(value) => {
                let mut written = String::new();
                json(&value, &mut written);
                written
            }
            Err(_) => scanned(text),
        },
        Ok(HttpBody::Xml(text)) => xml(text).unwrap_or_else(|| scanned(text)),
        Err(_) => scanned(&readable(request.body)),
    }
}

/// Bytes as text, with invalid UTF-8 as `\xff`.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("writing to a String does not fail");
        }
    }
    text
}

fn json(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Json::Number(number) => out.push_str(number),
        Json::Text(text) => quoted(&scanned(text), out),
        Json::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                json(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                if is_secret(name) {
                    quoted(scanned_name(name), out);
                    out.push(':');
                    quoted(HIDDEN, out);
                } else {
                    quoted(&scanned(name), out);
                    out.push(':');
                    json(value, out);
                }
            }
            out.push('}');
        }
    }
}

fn quoted(text: &str, out: &mut String) {
    out.extend(["\"", &text.replace('"', "'"), "\""]);
}

/// XML without attributes and comments, and without the content of elements with a secret name.
/// `None` when it is not well-formed.
fn xml(text: &str) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(text);
    let mut written = String::new();
    let mut hidden = 0_usize;
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                let name = tag.name().into_inner();
                hidden += usize::from(hidden > 0 || is_secret(name));
                written.extend(["<", scanned_name(name), ">"]);
            }
            Event::Empty(tag) => {
                written.extend(["<", scanned_name(tag.name().into_inner()), "/>"]);
            }
            Event::End(tag) => {
                hidden = hidden.saturating_sub(1);
                written.extend(["</", scanned_name(tag.name().into_inner()), ">"]);
            }
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if hidden > 0 => {
                written.push_str(HIDDEN);
            }
            Event::Text(text) => written.push_str(&scanned(&text)),
            Event::CData(text) => written.push_str(&scanned(&text)),
            Event::GeneralRef(name) => written.extend(["&", &scanned(&name), ";"]),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            // No legitimate sender uses one, and it may contain a secret.
            Event::DocType(_) => return Some(format!("{written}<!DOCTYPE {HIDDEN}")),
            Event::Eof => return Some(written),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_values_are_shown() {
        let request = RequestParts {
            method: "POST",
            path: "/users/unknown",
            query: "begintime=0&entry%5Fcount=200&access_token=canary",
            content_type: Some("application/json"),
            authorization: Some("bearer canary"),
            cookie_header: Some("cookie=canary; x"),
            x_cookie_header: Some("canary"),
            body: br#"{"user":"CORP\\ursula","nested":{"Client-Secret":["canary"],"n":[1,true,null]}}"#,
        };
        assert_eq!(
            redact(&request),
            "POST /users/unknown?begintime=0&entry_count=200&access_token=[redacted] \
             content-type=application/json authorization=Bearer [redacted] \
             cookie=cookie=[redacted];[redacted] x-cookie=[redacted] \
             body={\"user\":\"CORP\\\\ursula\",\"nested\":{\"Client-Secret\":\"[redacted]\",\
             \"n\":[1,true,null]}}"
        );
        assert_eq!(format!("{request:?}"), redact(&request));
    }

    #[test]
    fn xml_keeps_its_structure() {
        let body = b"<?xml version='1.0'?><q a='canary'><ip>10.0.0.7</ip><cookie>can<b>ary</b></cookie><x/></q>";
        let request = RequestParts { method: "PUT", path: "/", body, ..RequestParts::default() };
        assert_eq!(
            redact(&request),
            "PUT / body=<q><ip>10.0.0.7</ip><cookie>[redacted]<b>[redacted]</b></cookie><x/></q>"
        );
    }

    #[test]
    fn one_request_is_one_short_line() {
        let body = "line\r\n\u{1b}[31m\u{202e}\\".repeat(100_000);
        for length in [40, 60_000, 500_000] {
            let body = &body.as_bytes()[..length];
            let line = redact(&RequestParts {
                method: "POST",
                path: "/\n",
                body,
                ..RequestParts::default()
            });
            assert!(line.len() <= LIMIT, "{}", line.len());
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line}");
        }
    }

    /// The canary as a secret in every place and encoding that a client may use.
    fn hidden_places(canary: &str, noise: &str) -> Vec<(String, String)> {
        let bodies = [
            format!("{noise}&client_secret={canary}"),
            format!("client%5Fsecret={canary}&{noise}"),
            format!("%63lient_%73ecret={canary}"),
            format!("a={noise};password={canary}"),
            format!("{{\"a\":1,\"client_secret\":\"{canary}\"}}"),
            format!("{{\"client_secret\":\"{canary}\""),
            format!("{{\"client\\u005fse\\u0063ret\":\"{canary}\"}}"),
            format!("{{\"client\\u005fse\\u0063ret\":\"{canary}"),
            format!("{{\"a\":[[{{\"accessToken\":{{\"x\":[\"{canary}\"]}}}}]]}}"),
            format!("{{\"a\":\"client_secret={canary}\"}}"),
            format!("<a><client_secret>{canary}</client_secret></a>"),
            format!("<a><password><![CDATA[{canary}]]></password>"),
            format!("<a password='{canary}'/>"),
            format!("<!DOCTYPE a [<!ENTITY b '{canary}'>]><a>&b;</a>"),
            format!("<a><!-- token {canary} --></a>"),
            format!("<a token='{canary}'"),
            format!("Authorization: Bearer {canary}"),
            format!("{noise}\u{0}X-Token: {canary}"),
        ];
        let mut places: Vec<_> = bodies.into_iter().map(|body| (String::new(), body)).collect();
        places.push((format!("{noise}&token={canary}"), String::new()));
        places.push((format!("TOKEN={canary}"), noise.to_owned()));
        places
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn secrets_are_never_shown(canary in "CANARY[a-z0-9]{8}", noise in "[ -~]{0,20}") {
            let bearer = format!("Bearer {canary}");
            let basic = format!("Basic {canary}");
            let cookie = format!("cookie={canary}; b={canary}");
            for (query, body) in hidden_places(&canary, &noise) {
                for authorization in [bearer.as_str(), basic.as_str(), canary.as_str()] {
                    let request = RequestParts {
                        method: "POST",
                        path: "/x",
                        query: &query,
                        content_type: None,
                        authorization: Some(authorization),
                        cookie_header: Some(&cookie),
                        x_cookie_header: Some(&canary),
                        body: body.as_bytes(),
                    };
                    let line = redact(&request);
                    prop_assert!(!line.contains("CANARY"), "{query} {body} gave {line}");
                }
            }
        }

        #[test]
        fn arbitrary_bytes_are_redacted_within_the_limit(path in any::<String>(), query in any::<String>(), body: Vec<u8>) {
            let request = RequestParts { path: &path, query: &query, body: &body, ..RequestParts::default() };
            prop_assert!(redact(&request).len() <= LIMIT);
        }
    }
}
