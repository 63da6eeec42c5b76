//! Answers as XML, in the model of the SRX's own Web API (`userfw-entries`).

use rollcall_identity::Name;

use super::dialect::{self, Dialect};
use super::{Activity, Report, answer};

/// Appends the document to `out`. What a report does not have is left out: the model has no empty
/// elements.
pub(super) fn write<'a>(
    dialect: &Dialect,
    reports: impl Iterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<userfw-entries>");
    for report in reports {
        write_report(dialect, &report, out);
    }
    if let Some(cookie) = cookie {
        element(out, "cookie", [cookie]);
    }
    out.extend_from_slice(b"</userfw-entries>\n");
}

fn write_report(dialect: &Dialect, report: &Report<'_>, out: &mut Vec<u8>) {
    let domain = report.principal.and_then(|principal| principal.domain.as_ref());
    out.extend_from_slice(b"<userfw-entry><source>rollcall</source><timestamp>");
    dialect.time(report.at, out);
    out.extend_from_slice(match report.activity {
        Activity::Login => b"</timestamp><operation>logon</operation><IP>".as_slice(),
        Activity::Logout => b"</timestamp><operation>logoff</operation><IP>",
    });
    dialect::text(out, report.address);
    out.extend_from_slice(b"</IP>");
    if let Some(domain) = domain {
        element(out, "domain", [domain.as_str()]);
    }
    if let Some(principal) = report.principal {
        element(out, "user", dialect.user(principal));
    }
    if !report.roles.is_empty() {
        out.extend_from_slice(b"<role-list>");
        for role in report.roles {
            element(out, "role", [role.as_str()]);
        }
        out.extend_from_slice(b"</role-list>");
    }
    if let Some(posture) = report.posture {
        element(out, "posture", [answer::posture(posture)]);
    }
    if let Some(device) = report.device.map(Name::as_str) {
        out.extend_from_slice(b"<end-user-attribute><device-identity>");
        element(out, "value", [device]);
        out.extend_from_slice(b"</device-identity></end-user-attribute>");
    }
    out.extend_from_slice(b"</userfw-entry>");
}

fn element<const N: usize>(out: &mut Vec<u8>, name: &str, pieces: [&str; N]) {
    dialect::text(out, format_args!("<{name}>"));
    pieces.iter().for_each(|piece| escaped(out, piece));
    dialect::text(out, format_args!("</{name}>"));
}

/// Text that can stand in an element (XML 1.0 sections 2.2 and 2.4). Characters that XML cannot
/// hold at all become U+FFFD: refusing them would hide a session from the firewall.
fn escaped(out: &mut Vec<u8>, text: &str) {
    let mut buffer = [0; 4];
    for c in text.chars() {
        out.extend_from_slice(match c {
            '&' => b"&amp;".as_slice(),
            '<' => b"&lt;",
            '>' => b"&gt;",
            '"' => b"&quot;",
            '\'' => b"&apos;",
            '\t' | '\n' => c.encode_utf8(&mut buffer).as_bytes(),
            '\r' => b"&#13;",
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}".as_bytes(),
            _ => c.encode_utf8(&mut buffer).as_bytes(),
        });
    }
}
