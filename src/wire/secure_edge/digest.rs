//! Digests over pages of sessions, which two sides can compare.

use rollcall_identity::{Address, Session};
use sha2::{Digest as _, Sha256};

/// The number of pages. With a million sessions a page has 250; a page that changes during a
/// comparison leaves 4,095 others.
pub const DIGEST_PAGES: usize = 4096;

/// The digests of all pages. The digest of a page is the exclusive or of the digests of its
/// sessions, so that it does not depend on their order, and adding and removing a session are the
/// same operation.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionDigest(Vec<[u8; 32]>);

impl Default for SessionDigest {
    /// No sessions.
    fn default() -> Self {
        Self(vec![[0; 32]; DIGEST_PAGES])
    }
}

impl std::fmt::Debug for SessionDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let empty = self.0.iter().filter(|page| **page == [0; 32]).count();
        write!(f, "Digest({} pages, {empty} empty)", self.0.len())
    }
}

impl SessionDigest {
    /// Adds a session, or removes it.
    pub fn toggle(&mut self, session: &Session) {
        let digest: [u8; 32] = Sha256::digest(line(session)).into();
        let page = &mut self.0[Self::page(session.address)];
        page.iter_mut().zip(digest).for_each(|(byte, other)| *byte ^= other);
    }

    /// The page of an address: the first two bytes of the SHA-256 of its text, big-endian, modulo
    /// the number of pages.
    pub fn page(address: Address) -> usize {
        let [high, low, ..]: [u8; 32] = Sha256::digest(address.to_string()).into();
        usize::from(u16::from_be_bytes([high, low])) % DIGEST_PAGES
    }

    /// The digest of one page in lower-case hexadecimal; 64 zeros for an empty page.
    pub fn hex(&self, page: usize) -> String {
        self.0[page].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The pages that differ from those of the other side.
    pub fn differing<'a>(&'a self, theirs: &'a [String]) -> impl Iterator<Item = usize> + 'a {
        let differs = |page: &usize| theirs.get(*page).is_none_or(|hex| *hex != self.hex(*page));
        (0..self.0.len()).filter(differs)
    }
}

/// The digested text of a session: address, user, domain, device, posture, roles, groups of the
/// user, groups of the device, in this order, with U+001F between them and U+001E before each item
/// of a list. Names cannot contain either.
fn line(session: &Session) -> String {
    let mut line = session.address.to_string();
    let principal = session.principal.as_ref();
    let domain = principal.and_then(|principal| principal.domain.as_ref());
    let names = [principal.map(|principal| &principal.user), domain, session.device.as_ref()];
    for name in names {
        line.push('\u{1f}');
        line.push_str(name.map_or("", |name| name.as_str()));
    }
    line.push('\u{1f}');
    line.push_str(session.posture.map_or("", |posture| posture.as_str()));
    line.push('\u{1f}');
    for role in session.roles.iter().flat_map(|roles| roles.iter()) {
        line.push('\u{1e}');
        line.push_str(role.as_str());
    }
    for groups in [&session.membership.user, &session.membership.device] {
        line.push('\u{1f}');
        for group in groups.iter().flat_map(|groups| groups.as_slice()) {
            line.push('\u{1e}');
            line.push_str(group.domain.as_str());
            line.push('\\');
            line.push_str(group.name.as_str());
        }
    }
    line
}
