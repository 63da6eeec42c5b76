//! Answers as JSON: `{"report_entries":[{"ip-address":...}],"cookie":"..."}`.

use rollcall_identity::Name;

use super::dialect::{self, Dialect, TimeForm};
use super::{Activity, Report, answer};

/// Appends the document to `out`. A report without a user has empty names: a reader that expects
/// the fields finds them.
pub(super) fn write<'a>(
    dialect: &Dialect,
    reports: impl Iterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"report_entries\":[");
    for (at, report) in reports.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_report(dialect, &report, out);
    }
    out.push(b']');
    if let Some(cookie) = cookie {
        out.extend_from_slice(b",\"cookie\":");
        string(out, [cookie]);
    }
    out.push(b'}');
}

fn write_report(dialect: &Dialect, report: &Report<'_>, out: &mut Vec<u8>) {
    let domain = report.principal.and_then(|principal| principal.domain.as_ref());
    out.extend_from_slice(b"{\"ip-address\":\"");
    dialect::address(out, report.address);
    out.extend_from_slice(b"\",\"user-name\":");
    string(out, report.principal.map_or([""; 3], |principal| dialect.user(principal)));
    out.extend_from_slice(b",\"domain-name\":");
    string(out, [domain.map_or("", Name::as_str)]);
    out.extend_from_slice(b",\"roles\":[");
    for (at, role) in report.roles.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(out, [role.as_str()]);
    }
    out.extend_from_slice(b"],\"device-name\":");
    string(out, [report.device.map_or("", Name::as_str)]);
    out.extend_from_slice(b",\"timestamp\":");
    if dialect.time == TimeForm::Rfc3339 {
        out.push(b'"');
        dialect.time(report.at, out);
        out.push(b'"');
    } else {
        dialect.time(report.at, out);
    }
    out.extend_from_slice(match report.activity {
        Activity::Login => b",\"activity\":\"login\"".as_slice(),
        Activity::Logout => b",\"activity\":\"logout\"",
    });
    if let Some(posture) = report.posture {
        out.extend_from_slice(b",\"posture\":");
        string(out, [answer::posture(posture)]);
    }
    out.push(b'}');
}

/// One JSON string made of `pieces` (RFC 8259 section 7).
fn string<const N: usize>(out: &mut Vec<u8>, pieces: [&str; N]) {
    out.push(b'"');
    for piece in pieces {
        let mut rest = piece.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, ..0x20 | b'"' | b'\\')) {
            out.extend_from_slice(&rest[..at]);
            match rest[at] {
                plain @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', plain]),
                control => dialect::text(out, format_args!("\\u{control:04x}")),
            }
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
    }
    out.push(b'"');
}
