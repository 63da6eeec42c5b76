//! How far a directory has been read, which only the server that said so can go on from.

use std::sync::Arc;

use rollcall_identity::directory::Guid;
use rollcall_wire::active_directory::RootDse;

/// How far it has been read, at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The server's settings (dsServiceName).
    service: String,
    /// Its invocation: another one after it was restored from a backup.
    invocation: Guid,
    /// How far.
    pub(super) mark: Mark,
}

/// A place in what a server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// Everything up to this update sequence number was read.
    Usn(u64),
    /// What DirSync goes on from.
    Cookie(Vec<u8>),
}

/// Why everything is read, and not only what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum FullResyncReason {
    /// It was never read before.
    First,
    /// Rollcall was started, and goes on at the server where it stopped.
    Start,
    /// It is time to compare.
    Due,
    /// Another server answers, whose numbers are its own.
    OtherServer,
    /// The server was restored from a backup, and says so by another invocation.
    Restored,
    /// The server's numbers have gone back, and it does not say so: a virtual machine was set back.
    SetBack,
}

/// The form in which a position is kept; another one is as if there were none.
const FORM: u8 = 1;

impl Position {
    /// At the server that says `root` of itself.
    pub(super) fn new(root: &RootDse, invocation: Guid, mark: Mark) -> Self {
        Self { service: root.service.clone(), invocation, mark }
    }

    /// Why the server that says `root` of itself, in the invocation `invocation`, cannot go on from
    /// here; `None` when it can. What one that was set back says from now on would not be heard.
    pub(super) fn breaks(&self, root: &RootDse, invocation: Guid) -> Option<FullResyncReason> {
        if self.service != root.service {
            return Some(FullResyncReason::OtherServer);
        }
        if self.invocation != invocation {
            return Some(FullResyncReason::Restored);
        }
        match &self.mark {
            Mark::Usn(usn) => (*usn > root.committed).then_some(FullResyncReason::SetBack),
            Mark::Cookie(_) => None,
        }
    }

    /// As it is kept: the form, the invocation, the length of the server's name and the name, then
    /// `u` and the number or `c` and the cookie.
    pub(super) fn to_bytes(&self) -> Arc<[u8]> {
        let Self { service, invocation, mark } = self;
        let mut bytes = vec![FORM];
        bytes.extend(invocation.0);
        // [`Distinguished::LIMIT`] is far less.
        bytes.extend(u32::try_from(service.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(service.as_bytes());
        match mark {
            Mark::Usn(usn) => {
                bytes.push(b'u');
                bytes.extend(usn.to_be_bytes());
            }
            Mark::Cookie(cookie) => {
                bytes.push(b'c');
                bytes.extend(cookie);
            }
        }
        bytes.into()
    }

    /// Reads what [`Position::to_bytes`] wrote; `None` when it is anything else.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (invocation, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (service, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let mark = match rest.split_first()? {
            (b'u', usn) => Mark::Usn(u64::from_be_bytes(usn.try_into().ok()?)),
            (b'c', cookie) => Mark::Cookie(cookie.to_vec()),
            _ => return None,
        };
        let service = String::from_utf8(service.to_vec()).ok()?;
        (*form == FORM).then_some(Self { service, invocation: Guid(*invocation), mark })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rollcall_identity::Name;

    use super::*;

    fn root(service: &str, committed: u64) -> RootDse {
        RootDse {
            domain: "DC=x".into(),
            configuration: "CN=Configuration,DC=x".into(),
            service: service.into(),
            host: Name::new("dc1").unwrap(),
            committed,
            clock: None,
            controls: Vec::new(),
        }
    }

    #[test]
    fn only_the_same_life_of_the_same_server_goes_on() {
        let (one, two) = (Guid([1; 16]), Guid([2; 16]));
        let position = Position::new(&root("a", 100), one, Mark::Usn(100));
        assert_eq!(position.breaks(&root("a", 100), one), None);
        assert_eq!(position.breaks(&root("a", 200), one), None);
        assert_eq!(position.breaks(&root("b", 200), one), Some(FullResyncReason::OtherServer));
        assert_eq!(position.breaks(&root("a", 200), two), Some(FullResyncReason::Restored));
        assert_eq!(position.breaks(&root("a", 99), one), Some(FullResyncReason::SetBack));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_position_is_read_as_it_was_kept(service: String, invocation: [u8; 16], usn: u64, cookie: Option<Vec<u8>>) {
            let mark = cookie.map_or(Mark::Usn(usn), Mark::Cookie);
            let position = Position { service, invocation: Guid(invocation), mark };
            prop_assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
        }

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            let _ = Position::from_bytes(&bytes);
        }
    }
}
