//! Splits a TCP or TLS connection into syslog messages.
//!
//! RFC 6587 has two framings, detected by the first bytes of a connection: a number, a space and
//! `<` is octet counting (the only one in RFC 5425), everything else is one message per line.
//! Memory is bounded by the limit and one read.

use memchr::memchr2;
use strum::{EnumIter, IntoStaticStr};

/// The default maximum message length, in bytes. The longest known message is a Cisco ISE
/// authentication of 8 KiB.
pub const DEFAULT_LIMIT: usize = 64 * 1024;

/// The maximum number of digits of an octet count. More would mean ten megabytes or more.
const COUNT_DIGITS: usize = 7;

/// Why a part of the stream is not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum FrameError {
    /// Longer than the limit. The message is skipped and the next one is found.
    #[error("message is longer than the limit")]
    TooLong,
    /// An octet count is not 1 to 7 digits and a space. The start of the next message is unknown:
    /// the connection must be closed.
    #[error("octet count is not a number of at most {COUNT_DIGITS} digits and a space")]
    InvalidCount,
    /// The connection begins like HTTP or TLS: a web page can make a browser send a line to this port.
    /// The connection must be closed.
    #[error("connection begins like HTTP or TLS, not like syslog")]
    OtherProtocol,
    /// The connection was closed within an octet-counted message.
    #[error("connection closed within a message")]
    Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Undecided,
    Counted,
    Lines,
    /// After an invalid count, or the beginning of another protocol.
    Lost,
}

/// A message that is being skipped because it is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skipping {
    Nothing,
    Octets(usize),
    Line,
}

/// Splits the bytes of one connection into messages.
#[derive(Debug)]
pub struct SyslogFramer {
    limit: usize,
    framing: Framing,
    skipping: Skipping,
    /// The read buffer. Valid bytes are in `used..end`.
    buffer: Vec<u8>,
    /// The consumed bytes of `buffer`.
    used: usize,
    /// The end of the read bytes.
    end: usize,
    /// The bytes of `buffer` that are known to have no line end.
    searched: usize,
}

impl SyslogFramer {
    /// A framer for a new connection with messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            framing: Framing::Undecided,
            skipping: Skipping::Nothing,
            buffer: Vec::new(),
            used: 0,
            end: 0,
            searched: 0,
        }
    }

    /// Buffer space for the next read, of at least `least` bytes. Call [`SyslogFramer::next_frame`]
    /// until it returns `None` before, and [`SyslogFramer::filled`] after the read.
    pub fn room(&mut self, least: usize) -> &mut [u8] {
        // The remaining bytes came with the last read, so that each byte moves at most once.
        self.buffer.copy_within(self.used..self.end, 0);
        self.end -= self.used;
        self.searched = self.searched.saturating_sub(self.used);
        self.used = 0;
        let wanted = self.end.saturating_add(least);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Commits the first `count` bytes of [`SyslogFramer::room`]. A count beyond the buffer is
    /// reduced.
    pub fn filled(&mut self, count: usize) {
        if self.framing != Framing::Lost {
            self.end = self.end.saturating_add(count).min(self.buffer.len());
        }
    }

    /// Adds bytes from another buffer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// The unconsumed bytes.
    fn rest(&self) -> &[u8] {
        &self.buffer[self.used..self.end]
    }

    /// The next message without its trailer, or an error at this position; `None` when more bytes
    /// are needed. Nothing follows after [`FrameError::InvalidCount`].
    pub fn next_frame(&mut self) -> Option<Result<&[u8], FrameError>> {
        loop {
            if !self.skip() {
                return None;
            }
            let cut = match self.framing {
                Framing::Lost => return None,
                Framing::Undecided => {
                    let framing = self.detect()?;
                    if framing == Framing::Lost {
                        self.discard();
                        return Some(Err(FrameError::OtherProtocol));
                    }
                    self.framing = framing;
                    continue;
                }
                Framing::Counted => self.counted()?,
                Framing::Lines => self.line()?,
            };
            match cut {
                Ok((start, end)) if start == end => {}
                Ok((start, end)) => return Some(Ok(&self.buffer[start..end])),
                Err(problem) => return Some(Err(problem)),
            }
        }
    }

    /// The remaining bytes after the connection was closed and [`SyslogFramer::next_frame`]
    /// returned `None`: an unterminated line is a message (RFC 6587 section 3.4.2), a partial
    /// counted message is not.
    pub fn finish(&mut self) -> Option<Result<&[u8], FrameError>> {
        let (start, end) = (self.used, self.end);
        self.used = end;
        match (self.framing, self.skipping) {
            (Framing::Lost, _) | (_, Skipping::Line) => None,
            (Framing::Counted, Skipping::Octets(_)) => None,
            (Framing::Counted, _) => (start < end).then_some(Err(FrameError::Truncated)),
            (Framing::Undecided | Framing::Lines, _) => {
                let end = trimmed_end(&self.buffer, start, end);
                (start < end).then(|| Ok(&self.buffer[start..end]))
            }
        }
    }

    /// Whether an invalid count or another protocol was found: the connection must be closed.
    pub fn is_lost(&self) -> bool {
        self.framing == Framing::Lost
    }

    /// Skips messages that are too long, and line ends and NULs between messages. Returns false
    /// when more bytes are needed.
    fn skip(&mut self) -> bool {
        match self.skipping {
            Skipping::Nothing => {}
            Skipping::Octets(left) => {
                let now = left.min(self.end - self.used);
                self.used += now;
                self.skipping = Skipping::Octets(left - now);
                if now < left {
                    return false;
                }
                self.skipping = Skipping::Nothing;
            }
            Skipping::Line => {
                let Some(end) = memchr2(b'\n', 0, self.rest()) else {
                    self.used = self.end;
                    return false;
                };
                self.used += end + 1;
                self.skipping = Skipping::Nothing;
            }
        }
        let between = self.rest().iter().take_while(|b| is_trailer(**b)).count();
        self.used += between;
        self.used < self.end
    }

    /// Detects the framing from the first bytes; `None` while ambiguous.
    fn detect(&self) -> Option<Framing> {
        let rest = self.rest();
        let digits = rest.iter().take(COUNT_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > COUNT_DIGITS || rest[0] == b'0' {
            return match is_other_protocol(rest) {
                Some(true) => Some(Framing::Lost),
                Some(false) => Some(Framing::Lines),
                None => None,
            };
        }
        match (rest.get(digits), rest.get(digits + 1)) {
            (None, _) | (Some(b' '), None) => None,
            (Some(b' '), Some(b'<')) => Some(Framing::Counted),
            _ => Some(Framing::Lines),
        }
    }

    /// Discards the rest of the connection.
    fn discard(&mut self) {
        self.framing = Framing::Lost;
        self.buffer = Vec::new();
        (self.used, self.end, self.searched) = (0, 0, 0);
    }

    /// Start and end of the next octet-counted message (RFC 6587 section 3.4.1).
    fn counted(&mut self) -> Option<Result<(usize, usize), FrameError>> {
        let rest = self.rest();
        let digits = rest.iter().take(COUNT_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
        let ends_well = match rest.get(digits) {
            None if digits <= COUNT_DIGITS && digits > 0 => return None,
            end => end == Some(&b' '),
        };
        if !ends_well || digits == 0 || digits > COUNT_DIGITS || rest[0] == b'0' {
            self.discard();
            return Some(Err(FrameError::InvalidCount));
        }
        let count = rest[..digits].iter().fold(0, |n, digit| n * 10 + usize::from(digit - b'0'));
        let start = self.used + digits + 1;
        if count > self.limit {
            self.used = start;
            self.skipping = Skipping::Octets(count);
            return Some(Err(FrameError::TooLong));
        }
        let end = start + count;
        if end > self.end {
            return None;
        }
        self.used = end;
        Some(Ok((start, trimmed_end(&self.buffer, start, end))))
    }

    /// Start and end of the next message terminated by LF or NUL (RFC 6587 section 3.4.2).
    fn line(&mut self) -> Option<Result<(usize, usize), FrameError>> {
        let start = self.used;
        let from = self.searched.max(start);
        let found = memchr2(b'\n', 0, &self.buffer[from..self.end]).map(|at| from + at);
        let end = found.unwrap_or(self.end);
        self.searched = end;
        if end - start > self.limit {
            (self.used, self.skipping) = (end, Skipping::Line);
            return Some(Err(FrameError::TooLong));
        }
        self.used = found? + 1;
        Some(Ok((start, trimmed_end(&self.buffer, start, end))))
    }
}

/// The methods of HTTP requests (RFC 9110 section 9, RFC 5789) and of the HTTP/2 preface.
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PRI ",
];

/// The first bytes of a TLS handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: [u8; 2] = [22, 3];

/// Whether a connection begins like HTTP or TLS; `None` while ambiguous.
fn is_other_protocol(beginning: &[u8]) -> Option<bool> {
    let mut is_ambiguous = false;
    for known in METHODS.into_iter().chain([&TLS_HANDSHAKE[..]]) {
        if beginning.starts_with(known) {
            return Some(true);
        }
        is_ambiguous |= known.starts_with(beginning);
    }
    (!is_ambiguous).then_some(false)
}

fn is_trailer(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

fn trimmed_end(buffer: &[u8], start: usize, end: usize) -> usize {
    end - buffer[start..end].iter().rev().take_while(|b| is_trailer(**b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The messages of a connection that sends `bytes` in chunks of `size` and closes.
    fn read(bytes: &[u8], limit: usize, size: usize) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut framer = SyslogFramer::new(limit);
        let mut frames = Vec::new();
        for piece in bytes.chunks(size.max(1)) {
            framer.feed(piece);
            while let Some(frame) = framer.next_frame() {
                frames.push(frame.map(<[u8]>::to_vec));
            }
            let kept = limit + COUNT_DIGITS + 1;
            assert!(framer.rest().len() <= kept);
            assert!(framer.buffer.len() <= kept + size.max(1), "memory is bounded");
        }
        frames.extend(framer.finish().map(|frame| frame.map(<[u8]>::to_vec)));
        frames
    }

    fn ok(texts: &[&str]) -> Vec<Result<Vec<u8>, FrameError>> {
        texts.iter().map(|text| Ok(text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn both_framings_are_detected_in_any_chunking() {
        for size in 1..40 {
            let counted = b"17 <37>1 - - - one\n\n11 <37>two\ntwo";
            assert_eq!(read(counted, 64, size), ok(&["<37>1 - - - one", "<37>two\ntwo"]));
            let lines = b"<37>one\r\n\0<37>two\0\n<37>three";
            assert_eq!(read(lines, 64, size), ok(&["<37>one", "<37>two", "<37>three"]));
            let bare = b"2026-11-21T19:49:39Z vm sshd: a\n12 apples\n";
            assert_eq!(read(bare, 64, size), ok(&["2026-11-21T19:49:39Z vm sshd: a", "12 apples"]));
        }
    }

    #[test]
    fn long_message_is_skipped_and_the_next_is_found() {
        let long = "x".repeat(100);
        for size in [1, 7, 500] {
            let lines = format!("<1>a\n{long}\n<1>b\n");
            let seen = read(lines.as_bytes(), 50, size);
            assert_eq!(
                seen,
                [Ok(b"<1>a".to_vec()), Err(FrameError::TooLong), Ok(b"<1>b".to_vec())]
            );
            let counted = format!("4 <1>a100 {long}4 <1>b");
            assert_eq!(read(counted.as_bytes(), 50, size), seen);
        }
    }

    #[test]
    fn invalid_octet_count_ends_the_connection() {
        for bad in ["4 <1>axx <1>b", "4 <1>a12345678 <1>b", "4 <1>a0 <1>b", "4 <1>a5<1>bb"] {
            let seen = read(bad.as_bytes(), 50, 3);
            assert_eq!(seen, [Ok(b"<1>a".to_vec()), Err(FrameError::InvalidCount)], "{bad}");
        }
        assert_eq!(read(b"9 <1>a", 50, 3), [Err(FrameError::Truncated)]);
    }

    #[test]
    fn http_and_tls_are_refused_however_they_are_split() {
        let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        let post = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:5514\r\n\r\n<30>IKE_VPN_UP\n";
        for bytes in [&hello[..], post, b"\r\nGET /", b"PRI * HTTP/2.0\r\n"] {
            for size in [1, 2, bytes.len()] {
                let mut framer = SyslogFramer::new(100);
                let mut frames = Vec::new();
                for chunk in bytes.chunks(size) {
                    framer.feed(chunk);
                    while let Some(frame) = framer.next_frame() {
                        frames.push(frame.map(<[u8]>::to_vec));
                    }
                }
                assert_eq!(frames, [Err(FrameError::OtherProtocol)], "{size}");
                assert!(framer.is_lost());
            }
        }
        let mut framer = SyslogFramer::new(100);
        framer.feed(b"POST");
        assert_eq!(framer.next_frame(), None);
        framer.feed(b"GRES is up\n");
        assert_eq!(framer.next_frame(), Some(Ok(&b"POSTGRES is up"[..])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn result_does_not_depend_on_chunking(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\n'), Just(b' '), Just(b'<'), Just(0), b'0'..=b'9', any::<u8>()], 0..200),
            size in 1_usize..50,
        ) {
            prop_assert_eq!(read(&bytes, 20, size), read(&bytes, 20, bytes.len().max(1)));
        }

        #[test]
        fn counted_messages_round_trip(
            messages in proptest::collection::vec("<[0-9]{1,3}>[a-z\n ]{0,30}x", 1..8),
            size in 1_usize..50,
        ) {
            let stream: String =
                messages.iter().map(|m| format!("{} {m}", m.len())).collect();
            let frames = read(stream.as_bytes(), 64, size);
            let wanted: Vec<_> = messages.into_iter().map(|m| Ok(m.into_bytes())).collect();
            prop_assert_eq!(frames, wanted);
        }
    }
}
