//! The Web API of an SRX whose authentication source is ClearPass: `userfw-entries` posted as XML.

use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use rollcall_identity::Change;
use rollcall_identity::directory::GroupFilter;

use super::response::written;
use super::{
    Dialect, Format, PostureForm, Report, ResponseFormatter, ResponseSummary, ResponseWriter,
};

/// The path of the API.
pub const PATH: &str = "/api/userfw/v1/post-entry";

/// The value of `Content-Type`.
pub const CONTENT_TYPE: &str = "application/xml";

/// The maximum number of roles of a user on an SRX.
pub const ROLES: usize = 200;

/// The formatter for such a firewall, with at most `roles` roles per user and the filter `groups`.
pub fn formatter(roles: usize, groups: GroupFilter) -> ResponseFormatter {
    let (format, posture, roles) = (Format::Xml, PostureForm::Field, roles.min(ROLES));
    let dialect = Dialect { format, posture, roles, ..Dialect::default() };
    ResponseFormatter::new(dialect, groups)
}

/// Appends the document with one logon or logoff per change to `out`.
pub fn write_entries(
    writer: ResponseWriter<'_>,
    changes: &[Change],
    out: &mut Vec<u8>,
) -> ResponseSummary {
    written(writer, changes.iter().map(Report::from), None, out)
}

/// Why a 2xx response does not confirm the entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostEntryError {
    /// The response has an error element, with this text.
    #[error("the firewall returned an error: {0}")]
    Error(String),
    /// The response is an HTML page, such as the login page of J-Web on another port.
    #[error("the response is an HTML page, not from the Web API: check the port")]
    HtmlPage,
    /// The response is malformed XML.
    #[error("the response is malformed XML")]
    MalformedXml,
    /// The response has an unknown form; its beginning.
    #[error("the response is not from the Web API: {0:?}")]
    UnknownForm(String),
    /// The status is not that of the Web API.
    #[error("the status is {0} instead of 200")]
    Status(u16),
}

/// The maximum length of a quoted error text.
const QUOTE_LIMIT: usize = 200;

/// Whether a response with a 2xx status confirms the entries.
///
/// Juniper does not document it. Its own test library accepts only the status 200. The body must be
/// empty, a few words that mean success, or XML whose root element is named like a response and in
/// which no element is named like an error, unless its content is 0, such as a code or a count. Any
/// other body is not from the Web API.
///
/// # Errors
/// [`PostEntryError`] describes the response.
pub fn check_response(status: u16, body: &[u8]) -> Result<(), PostEntryError> {
    if status != 200 {
        return Err(PostEntryError::Status(status));
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() || means_success(text) {
        return Ok(());
    }
    if !text.starts_with('<') {
        return Err(PostEntryError::UnknownForm(printable(text)));
    }
    let mut reader = Reader::from_str(text);
    let (mut within, mut quoted, mut depth, mut root) = (None, String::new(), 0_usize, true);
    loop {
        match reader.read_event().map_err(|_| PostEntryError::MalformedXml)? {
            Xml::DocType(name) if begins_html(&name) => return Err(PostEntryError::HtmlPage),
            Xml::Start(start) => {
                let name = start.local_name().as_ref().to_ascii_lowercase();
                if std::mem::take(&mut root) {
                    check_root(&name, text)?;
                }
                depth += 1;
                if within.is_none() && is_error_name(&name) {
                    within = Some(depth);
                }
            }
            Xml::Empty(element)
                if is_error_name(&element.local_name().as_ref().to_ascii_lowercase()) =>
            {
                return Err(PostEntryError::Error(String::new()));
            }
            Xml::Empty(element) if std::mem::take(&mut root) => {
                check_root(&element.local_name().as_ref().to_ascii_lowercase(), text)?;
            }
            Xml::Text(piece) if within.is_some() => {
                quoted.extend(
                    printable(&piece).chars().take(QUOTE_LIMIT.saturating_sub(quoted.len())),
                );
            }
            Xml::End(_) => {
                if within == Some(depth) {
                    match quoted.trim() {
                        "0" => (within, quoted) = (None, String::new()),
                        error => return Err(PostEntryError::Error(error.to_owned())),
                    }
                }
                depth = depth.checked_sub(1).ok_or(PostEntryError::MalformedXml)?;
            }
            Xml::Eof => return if depth == 0 { Ok(()) } else { Err(PostEntryError::MalformedXml) },
            _ => {}
        }
    }
}

/// Checks that the root element is that of a response.
fn check_root(root: &str, text: &str) -> Result<(), PostEntryError> {
    const PARTS: [&str; 9] =
        ["userfw", "response", "result", "reply", "status", "success", "message", "error", "ok"];
    match root {
        "html" => Err(PostEntryError::HtmlPage),
        root if PARTS.iter().any(|part| root.contains(part)) => Ok(()),
        _ => Err(PostEntryError::UnknownForm(printable(text))),
    }
}

/// The beginning of a text, sanitized for a log.
fn printable(text: &str) -> String {
    text.chars().take(QUOTE_LIMIT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether a few words, such as `OK` or `{"status": "success"}`, mean success.
fn means_success(text: &str) -> bool {
    let words = || text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    let is_good = |word: String| matches!(&*word, "ok" | "success" | "successful" | "succeeded");
    let is_bad = |word: String| {
        is_error_name(&word) || word.starts_with("fail") || matches!(&*word, "not" | "no")
    };
    let is_short = text.len() <= QUOTE_LIMIT && !text.starts_with('<');
    is_short && words().any(is_good) && !words().any(is_bad)
}

fn is_error_name(name: &str) -> bool {
    name.contains("error")
}

fn begins_html(doctype: &str) -> bool {
    doctype.trim_start().get(..4).is_some_and(|name| name.eq_ignore_ascii_case("html"))
}

#[cfg(test)]
mod tests;
