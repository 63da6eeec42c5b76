//! Responses as XML, in the model of the SRX Web API (`userfw-entries`).

use rollcall_identity::Name;

use super::dialect;
use super::report::{self, GroupOwner};
use super::xml::element;
use super::{Activity, Report, ResponseWriter};

/// Appends the document to `out`. Returns the number of roles left out. Missing values are not
/// written: the model has no empty elements.
pub(super) fn write<'a>(
    writer: ResponseWriter<'_>,
    reports: impl Iterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) -> usize {
    let mut left_out = 0;
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<userfw-entries>");
    for report in reports {
        left_out += write_report(writer, &report, out);
    }
    if let Some(cookie) = cookie {
        element(out, "cookie", [cookie]);
    }
    out.extend_from_slice(b"</userfw-entries>\n");
    left_out
}

fn write_report(writer: ResponseWriter<'_>, report: &Report<'_>, out: &mut Vec<u8>) -> usize {
    let (formatter, dialect) = (writer.formatter, writer.formatter.dialect());
    let domain = report.principal.and_then(|principal| writer.domain(principal));
    out.extend_from_slice(b"<userfw-entry><source>rollcall</source><timestamp>");
    dialect.time(report.at, out);
    out.extend_from_slice(match report.activity {
        Activity::Login => b"</timestamp><operation>logon</operation><IP>".as_slice(),
        Activity::Logout => b"</timestamp><operation>logoff</operation><IP>",
    });
    dialect::address(out, report.address);
    out.extend_from_slice(b"</IP>");
    if let Some(domain) = domain {
        element(out, "domain", [domain.as_str()]);
    }
    if let Some(principal) = report.principal {
        element(out, "user", dialect.user(&principal.user, domain));
    }
    let state = dialect.role(report.posture);
    let mut left_out = formatter.write(GroupOwner::User(state), report.roles, report.groups, out);
    if let Some(posture) = dialect.field(report.posture) {
        element(out, "posture", [report::posture(posture)]);
    }
    if let Some(device) = report.device.map(Name::as_str) {
        out.extend_from_slice(b"<end-user-attribute><device-identity>");
        element(out, "value", [device]);
        left_out += formatter.write(GroupOwner::Device, &[], report.device_groups, out);
        out.extend_from_slice(b"</device-identity></end-user-attribute>");
    }
    out.extend_from_slice(b"</userfw-entry>");
    left_out
}
