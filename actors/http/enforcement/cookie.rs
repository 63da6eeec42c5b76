//! The cookie of a batch: up to where a firewall knows, and by which filter it came to know it.
//!
//! The log of changes tells what is new, by the filter of whoever reads. That is enough while the
//! filter stays what it is. When a reload or the firewall itself changes it, both directions go
//! wrong behind the back of a cursor: sessions that the new filter admits are older than it, and
//! nobody tells the end of those that only the old filter admitted, or of whoever has their address
//! since. A firewall would serve the rights of a user who left for as long as it keeps an entry.
//!
//! So a cookie is `cursor~fingerprint`, the fingerprint being that of the filter in force, and of the
//! words in which sessions are told: which groups, what domains are called. Shown under another one, everything is told once more, from the first change on: who is admitted as
//! a login, and everybody else as a logout of the address without a name. The old filter is not
//! known any more (Rollcall may have been restarted), so this says logout of addresses that the
//! firewall never heard of, which does nothing there. Until that reading has come to its end the
//! cookie is `cursor~fingerprint~all`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rollcall_identity::{Cursor, Filter, Page, Timestamp};
use sha2::{Digest, Sha256};

use super::list_hash::hash_list;
use super::rendering::FormatHash;

/// A firewall's place, as it is handed out. Opaque to the firewall, safe in URLs and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    cursor: Cursor,
    /// `None` for a cookie that an earlier version handed out: the filter is not known.
    filter: Option<Fingerprint>,
    mode: Mode,
}

/// What a firewall is being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// What is new, as far as the filter admits it.
    Incremental,
    /// Everything once more, and logouts of what the filter does not admit.
    Full,
}

/// A text that is no cookie of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidCookie;

/// The word that marks [`Mode::Full`].
const ALL: &str = "all";

impl Cookie {
    /// What stands for a cookie that is none of ours: nothing is known of what the firewall holds.
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

/// One filter with its wording among all: alike for filters that admit the same by the same words,
/// in any order and on every computer.
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
        // All of them must admit, so their order says nothing.
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

/// How one request for a batch is answered.
#[derive(Debug, Clone)]
pub(super) struct BatchRead {
    /// Where the log is read from; `None` for a firewall that knows nothing.
    pub(super) cursor: Option<Cursor>,
    filter: Arc<Filter>,
    fingerprint: Fingerprint,
    mode: Mode,
    /// Whether everything is begun here because the filter is another one.
    pub(super) filter_changed: bool,
}

impl BatchRead {
    /// Goes on from `cookie`, under the filter and in the words that are in force now.
    pub(super) fn new(cookie: Option<Cookie>, filter: Arc<Filter>, format: FormatHash) -> Self {
        let fingerprint = Fingerprint::of(&filter, format);
        let filter_changed = cookie.is_some_and(|cookie| cookie.filter != Some(fingerprint));
        let (cursor, mode) = match cookie {
            None => (None, Mode::Incremental),
            // Also in the middle of a reading of everything: what was told in it was by a filter
            // that is past as well.
            Some(cookie) if filter_changed => (Some(cookie.cursor.replay()), Mode::Full),
            Some(cookie) => (Some(cookie.cursor), cookie.mode),
        };
        Self { cursor, filter, fingerprint, mode, filter_changed }
    }

    /// By which filter the log is to be read.
    pub(super) fn read_filter(&self) -> Arc<Filter> {
        match self.mode {
            Mode::Incremental => Arc::clone(&self.filter),
            Mode::Full => Arc::default(),
        }
    }

    /// Makes of what was read what the firewall may hear, and the cookie with which it goes on.
    ///
    /// Everything has been told once a page is the last one there is. Not earlier, say at what was
    /// the newest change when the reading began: whoever came to an address since, and is not
    /// admitted, hides the one whom the firewall still holds there.
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
