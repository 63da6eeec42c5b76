//! The cookie of a batch query: the position of a firewall in the log of changes, and the filter by
//! which it was read.
//!
//! The log of changes returns what is new, according to the filter of the reader. This is
//! sufficient as long as the filter is the same. When a reload or the firewall changes the filter,
//! a cursor misses changes in both directions: sessions that only the new filter admits are older
//! than the cursor, and the end of sessions that only the old filter admitted is not reported, nor
//! are later sessions at their addresses. A firewall would apply the rights of a user who has left
//! for as long as it keeps the entry.
//!
//! A cookie is therefore `cursor~fingerprint`. The fingerprint covers the effective filter and the
//! format in which sessions are written: which groups, which form of domain names. If the
//! fingerprint of a received cookie differs, all changes are reported again, from the first one: an
//! admitted session as a login, every other address as a logout without a user name. The old filter
//! is no longer known (Rollcall may have been restarted), so this includes logouts of addresses
//! that the firewall never had, which have no effect there. Until this full read is complete, the
//! cookie is `cursor~fingerprint~all`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rollcall_identity::{Cursor, Filter, Page, Timestamp};
use sha2::{Digest, Sha256};

use super::list_hash::hash_list;
use super::rendering::FormatHash;

/// The position of a firewall, as it is issued. Opaque to the firewall, safe in URLs and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    cursor: Cursor,
    /// `None` for a cookie of an earlier version: its filter is unknown.
    filter: Option<Fingerprint>,
    mode: Mode,
}

/// What a firewall receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// New changes that the filter admits.
    Incremental,
    /// All changes again, with logouts for what the filter does not admit.
    Full,
}

/// The text is not a cookie of Rollcall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidCookie;

/// The suffix that marks [`Mode::Full`].
const ALL: &str = "all";

impl Cookie {
    /// Replaces a cookie that is not of Rollcall: the state of the firewall is unknown.
    pub(super) const UNKNOWN: Self =
        Self { cursor: Cursor::UNKNOWN, filter: None, mode: Mode::Incremental };
}

impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cursor.fmt(f)?;
        let Some(Fingerprint(filter)) = self.filter else { return Ok(()) };
        write!(f, "~{filter:016x}")?;
        if self.mode == Mode::Full { write!(f, "~{ALL}") } else { Ok(()) }
    }
}

impl FromStr for Cookie {
    type Err = InvalidCookie;

    fn from_str(text: &str) -> Result<Self, InvalidCookie> {
        let mut parts = text.split('~');
        let cursor = parts.next().and_then(|cursor| cursor.parse().ok()).ok_or(InvalidCookie)?;
        let filter = parts.next().map(str::parse).transpose()?;
        let mode = match parts.next() {
            None => Mode::Incremental,
            Some(ALL) => Mode::Full,
            Some(_) => return Err(InvalidCookie),
        };
        if parts.next().is_some() { Err(InvalidCookie) } else { Ok(Self { cursor, filter, mode }) }
    }
}

/// A filter and a format as a hash: equal for filters that admit the same sessions in the same
/// format, in any order and on every computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint(u64);

impl Fingerprint {
    fn of(filter: &Filter, FormatHash(format): FormatHash) -> Self {
        let mut parts = vec![format];
        let mut rest = Some(filter);
        while let Some(part) = rest {
            let admits_all =
                part.domains.is_empty() && part.include.is_empty() && part.exclude.is_empty();
            if !admits_all {
                parts.push(part_of_filter(part));
            }
            rest = part.also.as_deref();
        }
        // All parts must admit a session, so their order is irrelevant.
        parts.sort_unstable();
        parts.dedup();
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(parts.concat())[..8]);
        Self(u64::from_be_bytes(first))
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidCookie;

    fn from_str(text: &str) -> Result<Self, InvalidCookie> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(Self).ok_or(InvalidCookie)
    }
}

fn part_of_filter(part: &Filter) -> [u8; 32] {
    let domains = part.domains.iter().map(|glob| glob.to_string().to_lowercase()).collect();
    let include = part.include.iter().map(|network| network.trunc().to_string()).collect();
    let exclude = part.exclude.iter().map(|network| network.trunc().to_string()).collect();
    let mut hash = Sha256::new();
    for mut list in [domains, include, exclude] as [Vec<String>; 3] {
        list.sort_unstable();
        list.dedup();
        hash_list(&mut hash, list);
    }
    hash.finalize().into()
}

/// How one batch query is answered.
#[derive(Debug, Clone)]
pub(super) struct BatchRead {
    /// The position from which the log is read; `None` for a firewall without a cookie.
    pub(super) cursor: Option<Cursor>,
    filter: Arc<Filter>,
    fingerprint: Fingerprint,
    mode: Mode,
    /// Whether a full read starts because the filter or the format changed.
    pub(super) filter_changed: bool,
}

impl BatchRead {
    /// Continues from `cookie`, with the effective filter and format.
    pub(super) fn new(cookie: Option<Cookie>, filter: Arc<Filter>, format: FormatHash) -> Self {
        let fingerprint = Fingerprint::of(&filter, format);
        let filter_changed = cookie.is_some_and(|cookie| cookie.filter != Some(fingerprint));
        let (cursor, mode) = match cookie {
            None => (None, Mode::Incremental),
            // Also during a full read: its pages were read with a filter that is obsolete too.
            Some(cookie) if filter_changed => (Some(cookie.cursor.replay()), Mode::Full),
            Some(cookie) => (Some(cookie.cursor), cookie.mode),
        };
        Self { cursor, filter, fingerprint, mode, filter_changed }
    }

    /// The filter to read the log with.
    pub(super) fn read_filter(&self) -> Arc<Filter> {
        match self.mode {
            Mode::Incremental => Arc::clone(&self.filter),
            Mode::Full => Arc::default(),
        }
    }

    /// Reduces the page that was read to what the firewall may receive, and returns the cookie to
    /// continue with.
    ///
    /// A full read is complete when the last page has been read. It is not complete earlier, for
    /// example at the newest change at the start of the read: a newer session that the filter does
    /// not admit hides the session that the firewall still has at that address.
    pub(super) fn finish_page(&self, page: &mut Page, now: Timestamp) -> Cookie {
        if self.mode == Mode::Full {
            for change in &mut page.changes {
                self.filter.redact(change, now);
            }
        }
        let mode = if page.more { self.mode } else { Mode::Incremental };
        Cookie { cursor: page.next, filter: Some(self.fingerprint), mode }
    }
}

#[cfg(test)]
mod tests;
