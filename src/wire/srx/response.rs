//! Responses to an SRX, written directly into the output buffer.

use std::sync::Arc;

use rollcall_identity::Session;

use super::{
    AddressQuery, Format, NoSessionResponse, Report, ResponseWriter, json_response, xml_response,
};

/// A summary of a written response, for counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseSummary {
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
pub fn write_batch<'a>(
    writer: ResponseWriter<'_>,
    reports: impl IntoIterator<Item = Report<'a>>,
    cookie: &str,
    out: &mut Vec<u8>,
) -> ResponseSummary {
    written(writer, reports, Some(cookie), out)
}

/// Appends the response to an IP query to `out`. [`Dialect::miss`](super::Dialect::miss) determines
/// the response for an address without a session.
pub fn write_address(
    writer: ResponseWriter<'_>,
    asked: AddressQuery,
    found: Option<&Arc<Session>>,
    out: &mut Vec<u8>,
) -> ResponseSummary {
    let report = found.map(|session| Report::from(&**session));
    match (report, writer.formatter.dialect().miss) {
        (None, NoSessionResponse::NullUser) => written(writer, [asked.null_user()], None, out),
        (None, NoSessionResponse::NotFound) => {
            ResponseSummary { status: 404, ..written(writer, None, None, out) }
        }
        (report, _) => written(writer, report, None, out),
    }
}

/// Appends the response to a user query to `out`: all addresses of the user, possibly none.
pub fn write_user<'a>(
    writer: ResponseWriter<'_>,
    sessions: impl IntoIterator<Item = &'a Session>,
    out: &mut Vec<u8>,
) -> ResponseSummary {
    written(writer, sessions.into_iter().map(Report::from), None, out)
}

pub(super) fn written<'a>(
    writer: ResponseWriter<'_>,
    reports: impl IntoIterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) -> ResponseSummary {
    let mut count = 0;
    let counted = reports.into_iter().inspect(|_| count += 1);
    let roles_left_out = match writer.formatter.dialect().format {
        Format::Json => json_response::write(writer, counted, cookie, out),
        Format::Xml => xml_response::write(writer, counted, cookie, out),
    };
    ResponseSummary { status: 200, reports: count, roles_left_out }
}

#[cfg(test)]
mod tests;
