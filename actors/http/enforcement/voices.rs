//! How firewalls are spoken to: what goes out of each set of groups is prepared once for all points
//! with the same dialect and the same filter of groups.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rollcall_identity::Session;
use rollcall_wire::srx::{Dialect, Voice};
use sha2::{Digest, Sha256};

use super::cookie::enter_list;

/// One voice, shared by all points that have it. A lock, because many answers are written at once,
/// and nearly all of them hold nothing that is new.
#[derive(Debug)]
pub(super) struct SharedVoice {
    voice: RwLock<Voice>,
    /// What is told by it, in one figure.
    pub(super) wording: Wording,
}

impl SharedVoice {
    pub(super) fn new(voice: Voice) -> Self {
        let wording = Wording::of(&voice);
        Self { voice: RwLock::new(voice), wording }
    }

    /// Those of `all` that is like `voice`, or else `voice` itself, which is then one of them.
    pub(super) fn among(all: &mut Vec<Arc<Self>>, voice: Voice) -> Arc<Self> {
        let is_like = |other: &&Arc<Self>| {
            let other = other.read();
            other.dialect() == voice.dialect() && other.groups() == voice.groups()
        };
        if let Some(known) = all.iter().find(is_like) {
            return Arc::clone(known);
        }
        let shared = Arc::new(Self::new(voice));
        all.push(Arc::clone(&shared));
        shared
    }

    /// The voice, once it has learnt what reports of these sessions hold. To be kept for no longer
    /// than one answer is written.
    pub(super) fn for_sessions<'s>(
        &self,
        sessions: impl Iterator<Item = &'s Session> + Clone,
    ) -> RwLockReadGuard<'_, Voice> {
        let voice = self.read();
        if sessions.clone().all(|session| voice.knows(session)) {
            return voice;
        }
        drop(voice);
        // What a thread that panicked left is whole: a phrase is entered when it is written.
        let mut voice = self.voice.write().unwrap_or_else(PoisonError::into_inner);
        sessions.for_each(|session| voice.learn(session));
        drop(voice);
        self.read()
    }

    fn read(&self) -> RwLockReadGuard<'_, Voice> {
        self.voice.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In which words a session is told, whatever the encoding: how users and domains are called, which
/// groups go out. A firewall that was told in other words has to hear everything again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wording(pub(super) [u8; 32]);

/// To be raised when the same dialect writes a session in other words than before: then every
/// firewall hears everything once more after the update, and not only of what changes.
///
/// 2: the state of a device is also told as a role.
const WORDS: &str = "2";

impl Wording {
    fn of(voice: &Voice) -> Self {
        let Dialect { user, domain, posture, roles, .. } = voice.dialect();
        let groups = voice.groups();
        let mut hash = Sha256::new();
        let names = groups.names.iter().map(ToString::to_string).collect();
        let bases = groups.bases.iter().map(ToString::to_string).collect();
        let dialect = vec![format!("{user:?} {domain:?} {posture:?} {roles} {}", groups.limit)];
        for list in [vec![WORDS.to_owned()], names, bases, dialect] as [Vec<String>; 4] {
            enter_list(&mut hash, list);
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

    fn voice(change: impl FnOnce(&mut Dialect, &mut GroupFilter)) -> Voice {
        let (mut dialect, mut groups) = (Dialect::default(), GroupFilter::default());
        change(&mut dialect, &mut groups);
        Voice::new(dialect, groups)
    }

    #[test]
    fn points_that_are_spoken_to_alike_share_a_voice() {
        let mut all = Vec::new();
        let first = SharedVoice::among(&mut all, Voice::default());
        let other = SharedVoice::among(&mut all, voice(|_, groups| groups.limit = 7));
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(Arc::ptr_eq(&first, &SharedVoice::among(&mut all, Voice::default())));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn other_words_are_another_wording_and_another_encoding_is_not() {
        let wording = |voice: Voice| Wording::of(&voice);
        let xml = wording(voice(|dialect, _| dialect.format = Format::Xml));
        assert_eq!(xml, wording(Voice::default()));
        let all = [
            // The words by default have their place in a cookie as well: an update may write others.
            Wording::default(),
            wording(Voice::default()),
            wording(voice(|dialect, _| dialect.domain = DomainForm::Netbios)),
            wording(voice(|dialect, _| dialect.roles = 10)),
            wording(voice(|dialect, _| dialect.posture = PostureForm::Role)),
            wording(voice(|_, groups| groups.limit = 10)),
            wording(voice(|_, groups| groups.names = vec![Glob::new("vpn-*").unwrap()])),
            wording(voice(|_, groups| groups.bases = vec![BaseDn::new("OU=vpn-*").unwrap()])),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other != one), "{at}");
        }
    }
}
