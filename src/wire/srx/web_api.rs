//! What is posted to an SRX whose authentication source is ClearPass: the Web API of the firewall
//! itself, `userfw-entries` in XML.

use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use rollcall_identity::Change;
use rollcall_identity::directory::GroupFilter;

use super::answer::written;
use super::{Answer, Dialect, Format, PostureForm, Report, Speaker, Voice};

/// Where entries are posted.
pub const PATH: &str = "/api/userfw/v1/post-entry";

/// The value of `Content-Type`.
pub const CONTENT_TYPE: &str = "application/xml";

/// The most roles of a user that an SRX takes.
pub const ROLES: usize = 200;

/// How such a firewall is spoken to, with at most `roles` roles of a user and those `groups`.
pub fn voice(roles: usize, groups: GroupFilter) -> Voice {
    let (format, posture, roles) = (Format::Xml, PostureForm::Field, roles.min(ROLES));
    let dialect = Dialect { format, posture, roles, ..Dialect::default() };
    Voice::new(dialect, groups)
}

/// Appends the document that tells `changes` to `out`: a logon or a logoff each.
pub fn entries(speaker: Speaker<'_>, changes: &[Change], out: &mut Vec<u8>) -> Answer {
    written(speaker, changes.iter().map(Report::from), None, out)
}

/// Why an entry is not in the firewall, although it answered 2xx.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unaccepted {
    /// Its answer holds an element that says error, with this text.
    #[error("the firewall answered an error: {0}")]
    Error(String),
    /// Its answer is a page for people, such as the login page of J-Web on another port.
    #[error("the answer is a page of HTML, not of the Web API")]
    Page,
    /// Its answer is XML that ends in the middle.
    #[error("the answer is broken XML")]
    Broken,
}

/// The longest text of an error that is repeated.
const SAID: usize = 200;

/// Looks through the body of an answer with status 2xx. Juniper does not document it: nothing, and
/// whatever is not XML, is taken as success; XML in which an element's name says error is not.
///
/// # Errors
/// [`Unaccepted`] says what the answer says.
pub fn accepted(body: &[u8]) -> Result<(), Unaccepted> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with('<') {
        return Ok(());
    }
    let mut reader = Reader::from_str(text);
    let (mut within, mut said, mut depth, mut root) = (None, String::new(), 0_usize, true);
    loop {
        match reader.read_event().map_err(|_| Unaccepted::Broken)? {
            Xml::DocType(name) if begins_html(&name) => return Err(Unaccepted::Page),
            Xml::Start(start) => {
                let name = start.local_name().as_ref().to_ascii_lowercase();
                if std::mem::take(&mut root) && name == "html" {
                    return Err(Unaccepted::Page);
                }
                depth += 1;
                if within.is_none() && says_error(&name) {
                    within = Some(depth);
                }
            }
            Xml::Empty(element)
                if says_error(&element.local_name().as_ref().to_ascii_lowercase()) =>
            {
                return Err(Unaccepted::Error(String::new()));
            }
            Xml::Text(piece) if within.is_some() => {
                let printed = |c: char| if c.is_control() { ' ' } else { c };
                said.extend(piece.chars().map(printed).take(SAID.saturating_sub(said.len())));
            }
            Xml::End(_) => {
                if within == Some(depth) {
                    return Err(Unaccepted::Error(said.trim().to_owned()));
                }
                depth = depth.checked_sub(1).ok_or(Unaccepted::Broken)?;
            }
            Xml::Eof => return if depth == 0 { Ok(()) } else { Err(Unaccepted::Broken) },
            _ => {}
        }
    }
}

fn says_error(name: &str) -> bool {
    name.contains("error")
}

fn begins_html(doctype: &str) -> bool {
    doctype.trim_start().get(..4).is_some_and(|name| name.eq_ignore_ascii_case("html"))
}

#[cfg(test)]
mod tests;
