//! Responses as JSON: `{"report_entries":[{"ip-address":...}],"cookie":"..."}`.

use rollcall_identity::Name;

use super::dialect::{self, TimeForm};
use super::json::string;
use super::report::{self, GroupOwner};
use super::{Activity, Report, ResponseWriter};

/// Appends the document to `out`. Returns the number of roles left out. A report without a user has
/// empty names, because readers expect the fields.
pub(super) fn write<'a>(
    writer: ResponseWriter<'_>,
    reports: impl Iterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) -> usize {
    let mut left_out = 0;
    out.extend_from_slice(b"{\"report_entries\":[");
    for (at, report) in reports.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        left_out += write_report(writer, &report, out);
    }
    out.push(b']');
    if let Some(cookie) = cookie {
        out.extend_from_slice(b",\"cookie\":");
        string(out, [cookie]);
    }
    out.push(b'}');
    left_out
}

fn write_report(writer: ResponseWriter<'_>, report: &Report<'_>, out: &mut Vec<u8>) -> usize {
    let dialect = writer.formatter.dialect();
    let domain = report.principal.and_then(|principal| writer.domain(principal));
    out.extend_from_slice(b"{\"ip-address\":\"");
    dialect::address(out, report.address);
    out.extend_from_slice(b"\",\"user-name\":");
    string(out, report.principal.map_or([""; 3], |who| dialect.user(&who.user, domain)));
    out.extend_from_slice(b",\"domain-name\":");
    string(out, [domain.map_or("", Name::as_str)]);
    out.extend_from_slice(b",\"roles\":");
    let state = dialect.role(report.posture);
    let mut left_out =
        writer.formatter.write(GroupOwner::User(state), report.roles, report.groups, out);
    out.extend_from_slice(b",\"device-name\":");
    string(out, [report.device.map_or("", Name::as_str)]);
    if let Some(groups) = report.device_groups.filter(|groups| !groups.as_slice().is_empty()) {
        out.extend_from_slice(b",\"device-groups\":");
        left_out += writer.formatter.write(GroupOwner::Device, &[], Some(groups), out);
    }
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
    if let Some(posture) = dialect.field(report.posture) {
        out.extend_from_slice(b",\"posture\":");
        string(out, [report::posture(posture)]);
    }
    out.push(b'}');
    left_out
}
