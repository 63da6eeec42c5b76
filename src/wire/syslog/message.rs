//! Parses one syslog message in any variant of RFC 5424 or RFC 3164. Parsing never fails:
//! unrecognized parts remain in the text.

mod rfc3164;
mod rfc5424;

use rollcall_identity::Timestamp;

use super::structured::StructuredData;
use super::timestamp::{SenderClock, TimeWithPrecision, looks_like_iso};

/// Facility and severity (RFC 5424 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Priority(u8);

impl Priority {
    /// 0 (kernel) to 23 (local7).
    pub fn facility(self) -> u8 {
        self.0 / 8
    }

    /// 0 (emergency) to 7 (debug).
    pub fn severity(self) -> u8 {
        self.0 % 8
    }
}

/// The parts of a message, borrowed from its bytes. A missing part is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyslogMessage<'a> {
    /// Facility and severity.
    pub priority: Option<Priority>,
    /// The time from the sender.
    pub at: Option<TimeWithPrecision>,
    /// HOSTNAME.
    pub host: Option<&'a [u8]>,
    /// APP-NAME, or the TAG of RFC 3164.
    pub app: Option<&'a [u8]>,
    /// PROCID.
    pub proc_id: Option<&'a [u8]>,
    /// MSGID, not in RFC 3164.
    pub msg_id: Option<&'a [u8]>,
    /// Structured data; only its brackets are validated.
    pub data: StructuredData<'a>,
    /// MSG without byte order mark, leading spaces and trailing line end.
    pub text: &'a [u8],
    /// MSGID, structured data and MSG as received, which the prefilters search.
    pub content: &'a [u8],
}

impl<'a> SyslogMessage<'a> {
    /// Parses `bytes`, one frame or datagram received at `seen`. `clock` is the state of the
    /// sender, with the zone of its local times.
    pub fn read(bytes: &'a [u8], seen: Timestamp, clock: &mut SenderClock) -> Self {
        let bytes = without_bom(trim_end(bytes));
        let (priority, rest) = priority(bytes);
        let rest = trim_start(rest);
        let mut message = match rfc5424::after_version(rest) {
            Some(header) => rfc5424::read(header, seen, clock),
            None => rfc3164::read(rest, priority.is_some(), seen, clock),
        };
        if let Some(inner) = nested(&message) {
            message = rfc5424::read(inner, seen, clock).within(&message);
        }
        message.priority = priority;
        message
    }

    /// An inner message, with missing parts taken from the outer one.
    fn within(self, outer: &Self) -> Self {
        Self { at: self.at.or(outer.at), host: self.host.or(outer.host), ..self }
    }
}

/// The RFC 5424 header that a relay treated as text. rsyslog does so for messages from its local
/// socket: the version becomes the first word of the text, or the tag.
fn nested<'a>(message: &SyslogMessage<'a>) -> Option<&'a [u8]> {
    if message.app == Some(b"1") && looks_like_iso(message.text) {
        return Some(message.text);
    }
    let inner = message.text.strip_prefix(b"1 ")?;
    (message.app.is_none() && looks_like_iso(inner)).then_some(inner)
}

/// PRI: `<`, 0 to 191 in one to three digits, `>`.
fn priority(bytes: &[u8]) -> (Option<Priority>, &[u8]) {
    let digits = |digits: &[u8]| {
        digits.iter().try_fold(0_u16, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + u16::from(byte - b'0'))
        })
    };
    let length = match bytes {
        [b'<', _, b'>', ..] => 1,
        [b'<', _, _, b'>', ..] => 2,
        [b'<', _, _, _, b'>', ..] => 3,
        _ => return (None, bytes),
    };
    let value = digits(&bytes[1..=length]).filter(|value| *value < 192);
    match value.and_then(|value| u8::try_from(value).ok()) {
        Some(value) => (Some(Priority(value)), &bytes[length + 2..]),
        None => (None, bytes),
    }
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &bytes[spaces..]
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let trailer = bytes.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r' | 0)).count();
    &bytes[..bytes.len() - trailer]
}

/// RFC 5424 section 6.4: a UTF-8 text may begin with a byte order mark.
fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn read(line: &[u8]) -> SyslogMessage<'_> {
        let seen = "2026-11-21T20:00:00Z".parse().unwrap();
        SyslogMessage::read(line, seen, &mut SenderClock::new(TimeZone::UTC))
    }

    /// Time of day, host, app, process, message ID, text.
    fn parts(line: &str) -> [String; 6] {
        let message = read(line.as_bytes());
        let text = |part: Option<&[u8]>| {
            part.map_or("-".to_owned(), |part| String::from_utf8_lossy(part).into_owned())
        };
        [
            message.at.map_or("-".to_owned(), |(at, _)| at.to_string()[11..].to_owned()),
            text(message.host),
            text(message.app),
            text(message.proc_id),
            text(message.msg_id),
            text(Some(message.text)),
        ]
    }

    #[test]
    fn lines_of_real_senders() {
        for (line, wanted) in [
            // util-linux logger
            (
                "<37>Nov 21 19:49:37 vm sshd[4242]: user alice",
                ["19:49:37Z", "vm", "sshd", "4242", "-", "user alice"],
            ),
            (
                "<37>1 2026-11-21T19:49:39.458765+00:00 vm sshd 4242 - [timeQuality tzKnown=\"1\"] user alice",
                ["19:49:39.458Z", "vm", "sshd", "4242", "-", "user alice"],
            ),
            ("<37>1 - - sshd 4242 - - user alice", ["-", "-", "sshd", "4242", "-", "user alice"]),
            // rsyslog: its three forwarding formats, and RFC 5424 nested in each
            (
                "<86>1 2026-11-21T19:50:32.300851+00:00 fw1.corp.example.com sshd - - -  Accepted\n",
                ["19:50:32.3Z", "fw1.corp.example.com", "sshd", "-", "-", "Accepted"],
            ),
            (
                "<86>2026-11-21T19:50:32.300851+00:00 fw1 sshd: Accepted",
                ["19:50:32.3Z", "fw1", "sshd", "-", "-", "Accepted"],
            ),
            (
                "<164>Nov 21 19:50:32 fw1 1 2026-11-21T19:50:32.308459+00:00 - vpnd - LOGIN [vpn@32473 user=\"bob\"] up",
                ["19:50:32.308Z", "fw1", "vpnd", "-", "LOGIN", "up"],
            ),
            (
                "<164>1 2026-11-21T19:50:32.308527+00:00 fw1 1 - - -  2026-11-21T19:50:32.308459+00:00 - vpnd - LOGIN [vpn@32473 user=\"bob\"] up\n",
                ["19:50:32.308Z", "fw1", "vpnd", "-", "LOGIN", "up"],
            ),
            // syslog-ng
            (
                "<86>1 2026-11-21T19:51:08+00:00 vm sshd 77 - [meta sequenceId=\"1\"] \u{feff}hello\r\n",
                ["19:51:08Z", "vm", "sshd", "77", "-", "hello"],
            ),
            // Cisco ASA with and without host and year
            (
                "<166>Nov 21 2026 19:51:08 single : %ASA-6-113039: Group <G>",
                ["19:51:08Z", "single", "-", "-", "-", "%ASA-6-113039: Group <G>"],
            ),
            (
                "<166>Nov 21 2026 19:51:08: %ASA-6-113039: Group",
                ["19:51:08Z", "-", "-", "-", "-", "%ASA-6-113039: Group"],
            ),
            ("<166>%ASA-6-113039: Group", ["-", "-", "-", "-", "-", "%ASA-6-113039: Group"]),
            ("<166>: %ASA-6-113039: Group", ["-", "-", "-", "-", "-", "%ASA-6-113039: Group"]),
            // Junos: without PRI and time, with a space after PRI, with a nested Pulse header
            (
                "vsrx-p4 iked[17437]: IKE_VPN_UP_ALARM_USER: VPN a from b",
                ["-", "vsrx-p4", "iked", "17437", "-", "IKE_VPN_UP_ALARM_USER: VPN a from b"],
            ),
            (
                "<166> 2026-05-08T10:54:24.756+10:00 AB-1 kmd[7]: x",
                ["00:54:24.756Z", "AB-1", "kmd", "7", "-", "x"],
            ),
            (
                "Oct 19 09:16:53 pcs 1 2021-10-19T09:16:53+02:00 10.5.2.3 PulseSecure: - - - 2021-10-19 a",
                ["07:16:53Z", "10.5.2.3", "PulseSecure", "-", "-", "2021-10-19 a"],
            ),
            // Palo Alto without a host, Fortinet without a header
            (
                "Nov 30 16:09:08 1,2021/03/24 11:30:00,0131",
                ["16:09:08Z", "-", "-", "-", "-", "1,2021/03/24 11:30:00,0131"],
            ),
            (
                "<189>date=2026-06-23 time=15:30:59",
                ["-", "-", "-", "-", "-", "date=2026-06-23 time=15:30:59"],
            ),
            ("", ["-", "-", "-", "-", "-", ""]),
        ] {
            assert_eq!(parts(line), wanted.map(str::to_owned), "{line}");
        }
    }

    #[test]
    fn priority_is_facility_and_severity() {
        let priority = read(b"<165>1 - - - - - -").priority.unwrap();
        assert_eq!((priority.facility(), priority.severity()), (20, 5));
        for bad in ["<192>x", "<>x", "<1234>x", "<a>x", "<12x", "x"] {
            assert_eq!(read(bad.as_bytes()).priority, None, "{bad}");
        }
    }

    #[test]
    fn invalid_utf8_is_kept() {
        let line = b"<30>Aug  3 10:18:44 srx1 kmd[14162]: Local IKE-ID: \rD\xca\xa6, x";
        assert_eq!(read(line).text, b"Local IKE-ID: \rD\xca\xa6, x");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_are_handled(
            head in prop_oneof![
                Just(""), Just("<1>"), Just("<1>1 "), Just("<1>1 - h a p m ["),
                Just("<1>Nov 21 19:49:37 "), Just("<1>1 2026-11-21T19:49:39Z h 1 - - - "),
            ],
            tail in proptest::collection::vec(
                prop_oneof![Just(b' '), Just(b'"'), Just(b']'), Just(b'\\'), any::<u8>()], 0..60),
        ) {
            let line = [head.as_bytes(), &tail].concat();
            let message = read(&line);
            prop_assert!(message.text.len() <= line.len());
            prop_assert!(message.content.len() >= message.text.len());
            prop_assert!(message.data.params().count() <= line.len());
        }
    }
}
