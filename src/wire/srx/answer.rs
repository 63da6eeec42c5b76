//! Responses to an SRX, written directly into the output buffer.

use std::sync::Arc;

use rollcall_identity::Session;

use super::{Asked, Format, Miss, Report, Speaker, json_answer, xml_answer};

/// A summary of a written response, for counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The number of reports.
    pub reports: usize,
    /// The number of groups left out because of [`Dialect::roles`](super::Dialect::roles) or the
    /// limit of the group filter.
    pub roles_left_out: usize,
}

/// Appends the response to a batch query to `out`: the reports in order, and the cookie for the
/// next query.
pub fn batch<'a>(
    speaker: Speaker<'_>,
    reports: impl IntoIterator<Item = Report<'a>>,
    cookie: &str,
    out: &mut Vec<u8>,
) -> Answer {
    written(speaker, reports, Some(cookie), out)
}

/// Appends the response to an IP query to `out`. [`Dialect::miss`](super::Dialect::miss) determines
/// the response for an address without a session.
pub fn ip(
    speaker: Speaker<'_>,
    asked: Asked,
    found: Option<&Arc<Session>>,
    out: &mut Vec<u8>,
) -> Answer {
    let report = found.map(|session| Report::from(&**session));
    match (report, speaker.voice.dialect().miss) {
        (None, Miss::NullUser) => written(speaker, [asked.nobody()], None, out),
        (None, Miss::NotFound) => Answer { status: 404, ..written(speaker, None, None, out) },
        (report, _) => written(speaker, report, None, out),
    }
}

/// Appends the response to a user query to `out`: all addresses of the user, possibly none.
pub fn user<'a>(
    speaker: Speaker<'_>,
    sessions: impl IntoIterator<Item = &'a Session>,
    out: &mut Vec<u8>,
) -> Answer {
    written(speaker, sessions.into_iter().map(Report::from), None, out)
}

pub(super) fn written<'a>(
    speaker: Speaker<'_>,
    reports: impl IntoIterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) -> Answer {
    let mut count = 0;
    let counted = reports.into_iter().inspect(|_| count += 1);
    let roles_left_out = match speaker.voice.dialect().format {
        Format::Json => json_answer::write(speaker, counted, cookie, out),
        Format::Xml => xml_answer::write(speaker, counted, cookie, out),
    };
    Answer { status: 200, reports: count, roles_left_out }
}

#[cfg(test)]
mod tests;
