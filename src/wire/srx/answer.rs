//! The answers to an SRX: reports, written straight into the bytes that go out.

use std::sync::Arc;

use rollcall_identity::Session;

use super::{Asked, Format, Miss, Report, Speaker, json_answer, xml_answer};

/// What was written, for the counters of the enforcement point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How many reports it holds.
    pub reports: usize,
    /// How many groups were left out because somebody has more than
    /// [`Dialect::roles`](super::Dialect::roles), or than the filter of groups lets out.
    pub roles_left_out: usize,
}

/// Appends the answer to a batch query to `out`: the reports in order, and the cookie with which
/// the next question goes on behind the last of them.
pub fn batch<'a>(
    speaker: Speaker<'_>,
    reports: impl IntoIterator<Item = Report<'a>>,
    cookie: &str,
    out: &mut Vec<u8>,
) -> Answer {
    written(speaker, reports, Some(cookie), out)
}

/// Appends the answer to an IP query to `out`; what is said when nobody is there is
/// [`Dialect::miss`](super::Dialect::miss).
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

/// Appends the answer to a user query to `out`: every address where the user is, maybe none.
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
