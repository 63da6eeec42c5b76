//! Answers as XML, in the model of the SRX's own Web API (`userfw-entries`).

use rollcall_identity::Name;

use super::dialect;
use super::voice::Whose;
use super::{Activity, Report, Speaker, answer};

/// Appends the document to `out`, and returns how many roles were left out for want of room. What a
/// report does not have is not written: the model has no empty elements.
pub(super) fn write<'a>(
    speaker: Speaker<'_>,
    reports: impl Iterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) -> usize {
    let mut left_out = 0;
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<userfw-entries>");
    for report in reports {
        left_out += write_report(speaker, &report, out);
    }
    if let Some(cookie) = cookie {
        element(out, "cookie", [cookie]);
    }
    out.extend_from_slice(b"</userfw-entries>\n");
    left_out
}

fn write_report(speaker: Speaker<'_>, report: &Report<'_>, out: &mut Vec<u8>) -> usize {
    let (voice, dialect) = (speaker.voice, speaker.voice.dialect());
    let domain = report.principal.and_then(|principal| speaker.domain(principal));
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
    let mut left_out = voice.write(Whose::User(state), report.roles, report.groups, out);
    if let Some(posture) = dialect.field(report.posture) {
        element(out, "posture", [answer::posture(posture)]);
    }
    if let Some(device) = report.device.map(Name::as_str) {
        out.extend_from_slice(b"<end-user-attribute><device-identity>");
        element(out, "value", [device]);
        left_out += voice.write(Whose::Device, &[], report.device_groups, out);
        out.extend_from_slice(b"</device-identity></end-user-attribute>");
    }
    out.extend_from_slice(b"</userfw-entry>");
    left_out
}

/// A list of names, when there are any.
pub(super) fn write_names(whose: Whose, names: &[&Name], out: &mut Vec<u8>) {
    if names.is_empty() {
        return;
    }
    let (begin, item, end) = match whose {
        Whose::User(_) => (b"<role-list>".as_slice(), "role", b"</role-list>".as_slice()),
        Whose::Device => (b"<groups>".as_slice(), "group", b"</groups>".as_slice()),
    };
    out.extend_from_slice(begin);
    names.iter().for_each(|name| element(out, item, [name.as_str()]));
    out.extend_from_slice(end);
}

fn element<const N: usize>(out: &mut Vec<u8>, name: &str, pieces: [&str; N]) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    pieces.iter().for_each(|piece| escaped(out, piece.as_bytes()));
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// Text that can stand in an element (XML 1.0 sections 2.2 and 2.4), from UTF-8. Characters that XML
/// cannot hold at all, controls and U+FFFE and U+FFFF, become U+FFFD: refusing them would hide a
/// session from the firewall.
fn escaped(out: &mut Vec<u8>, mut rest: &[u8]) {
    // EF begins U+F000 to U+FFFF.
    let special = |byte: &u8| matches!(byte, ..0x20 | b'&' | b'<' | b'>' | b'"' | b'\'' | 0xef);
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (length, written) = match rest {
            [b'&', ..] => (1, b"&amp;".as_slice()),
            [b'<', ..] => (1, b"&lt;".as_slice()),
            [b'>', ..] => (1, b"&gt;".as_slice()),
            [b'"', ..] => (1, b"&quot;".as_slice()),
            [b'\'', ..] => (1, b"&apos;".as_slice()),
            [b'\r', ..] => (1, b"&#13;".as_slice()),
            [0xef, 0xbf, 0xbe | 0xbf, ..] => (3, "\u{fffd}".as_bytes()),
            [b'\t' | b'\n' | 0xef, ..] => (1, &rest[..1]),
            _ => (1, "\u{fffd}".as_bytes()),
        };
        out.extend_from_slice(written);
        rest = &rest[length..];
    }
    out.extend_from_slice(rest);
}
