//! Response formatting for firewalls. The formatted group lists are shared by all points with the
//! same dialect and the same group filter.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rollcall_identity::Session;
use rollcall_wire::srx::{Dialect, ResponseFormatter};
use sha2::{Digest, Sha256};

use super::list_hash::hash_list;

/// A formatter that is shared by all points with the same settings. It is behind a lock, because
/// responses are written concurrently and nearly all of them need no new entry in its cache.
#[derive(Debug)]
pub(super) struct SharedFormatter {
    formatter: RwLock<ResponseFormatter>,
    /// The hash of what it writes.
    pub(super) format: FormatHash,
}

impl SharedFormatter {
    pub(super) fn new(formatter: ResponseFormatter) -> Self {
        let format = FormatHash::of(&formatter);
        Self { formatter: RwLock::new(formatter), format }
    }

    /// Returns the formatter in `all` that is equal to `formatter`, or adds `formatter`.
    pub(super) fn get_or_insert(
        all: &mut Vec<Arc<Self>>,
        formatter: ResponseFormatter,
    ) -> Arc<Self> {
        let is_equal = |other: &&Arc<Self>| {
            let other = other.read();
            other.dialect() == formatter.dialect() && other.groups() == formatter.groups()
        };
        if let Some(known) = all.iter().find(is_equal) {
            return Arc::clone(known);
        }
        let shared = Arc::new(Self::new(formatter));
        all.push(Arc::clone(&shared));
        shared
    }

    /// The formatter, after the groups of these sessions are in its cache. The guard must be held
    /// only while one response is written.
    pub(super) fn for_sessions<'s>(
        &self,
        sessions: impl Iterator<Item = &'s Session> + Clone,
    ) -> RwLockReadGuard<'_, ResponseFormatter> {
        let formatter = self.read();
        if sessions.clone().all(|session| formatter.is_cached(session)) {
            return formatter;
        }
        drop(formatter);
        // The cache behind a poisoned lock is consistent: an entry is added only when it is
        // complete.
        let mut formatter = self.formatter.write().unwrap_or_else(PoisonError::into_inner);
        sessions.for_each(|session| formatter.cache_groups(session));
        drop(formatter);
        self.read()
    }

    fn read(&self) -> RwLockReadGuard<'_, ResponseFormatter> {
        self.formatter.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash of how a session is written, independent of the encoding: the form of users and domains,
/// and which groups are sent. A firewall whose responses had another hash needs all sessions again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FormatHash(pub(super) [u8; 32]);

/// Must be incremented when the same dialect writes a session differently than before: every
/// firewall then receives all sessions once after the update, and not only new changes.
///
/// 2: the state of a device is also written as a role.
const FORMAT_VERSION: &str = "2";

impl FormatHash {
    fn of(formatter: &ResponseFormatter) -> Self {
        let Dialect { user, domain, posture, roles, .. } = formatter.dialect();
        let groups = formatter.groups();
        let mut hash = Sha256::new();
        let names = groups.names.iter().map(ToString::to_string).collect();
        let bases = groups.bases.iter().map(ToString::to_string).collect();
        let dialect = vec![format!("{user:?} {domain:?} {posture:?} {roles} {}", groups.limit)];
        for list in [vec![FORMAT_VERSION.to_owned()], names, bases, dialect] as [Vec<String>; 4] {
            hash_list(&mut hash, list);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use rollcall_identity::Glob;
    use rollcall_identity::directory::{BaseDn, GroupFilter};
    use rollcall_wire::srx::{DomainForm, Format, PostureForm};

    use super::*;

    fn formatter(change: impl FnOnce(&mut Dialect, &mut GroupFilter)) -> ResponseFormatter {
        let (mut dialect, mut groups) = (Dialect::default(), GroupFilter::default());
        change(&mut dialect, &mut groups);
        ResponseFormatter::new(dialect, groups)
    }

    #[test]
    fn points_with_equal_settings_share_a_formatter() {
        let mut all = Vec::new();
        let first = SharedFormatter::get_or_insert(&mut all, ResponseFormatter::default());
        let other =
            SharedFormatter::get_or_insert(&mut all, formatter(|_, groups| groups.limit = 7));
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(Arc::ptr_eq(
            &first,
            &SharedFormatter::get_or_insert(&mut all, ResponseFormatter::default())
        ));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn the_format_hash_depends_on_the_content_and_not_on_the_encoding() {
        let format = |formatter: ResponseFormatter| FormatHash::of(&formatter);
        let xml = format(formatter(|dialect, _| dialect.format = Format::Xml));
        assert_eq!(xml, format(ResponseFormatter::default()));
        let all = [
            // The default format has a hash too, because an update can change it.
            FormatHash::default(),
            format(ResponseFormatter::default()),
            format(formatter(|dialect, _| dialect.domain = DomainForm::Netbios)),
            format(formatter(|dialect, _| dialect.roles = 10)),
            format(formatter(|dialect, _| dialect.posture = PostureForm::Role)),
            format(formatter(|_, groups| groups.limit = 10)),
            format(formatter(|_, groups| groups.names = vec![Glob::new("vpn-*").unwrap()])),
            format(formatter(|_, groups| groups.bases = vec![BaseDn::new("OU=vpn-*").unwrap()])),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other != one), "{at}");
        }
    }
}
