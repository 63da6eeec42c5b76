//! The read position in a directory. It is valid only at the server that issued it.

use std::sync::Arc;

use rollcall_identity::directory::Guid;
use rollcall_wire::active_directory::RootDse;

/// The read position at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The name of the server's settings object (dsServiceName).
    service: String,
    /// The invocation ID of the server. It changes when the server is restored from a backup.
    invocation: Guid,
    /// The position in the changes of the server.
    pub(super) mark: ChangeMarker,
}

/// A position in the changes of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChangeMarker {
    /// All changes up to this update sequence number are read.
    Usn(u64),
    /// The cookie from which DirSync continues.
    Cookie(Vec<u8>),
}

/// Why all objects are read instead of the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum FullResyncReason {
    /// The directory was never read before.
    First,
    /// Rollcall was started. The server is the one of the stored position.
    Start,
    /// The periodic comparison is due.
    Due,
    /// Another server answers. Update sequence numbers are local to a server.
    OtherServer,
    /// The server was restored from a backup, which its new invocation ID shows.
    Restored,
    /// The update sequence numbers of the server went back under the same invocation ID: a virtual
    /// machine was reverted to a snapshot.
    UsnRollback,
}

/// The version of the encoding. A position of another version is ignored.
const VERSION: u8 = 1;

impl Position {
    /// A position at the server with the root DSE `root`.
    pub(super) fn new(root: &RootDse, invocation: Guid, mark: ChangeMarker) -> Self {
        Self { service: root.service.clone(), invocation, mark }
    }

    /// Why the server with the root DSE `root` and the invocation ID `invocation` cannot continue
    /// from this position; `None` when it can. A server that was reverted to a snapshot would
    /// repeat update sequence numbers, so that new changes would be missed.
    pub(super) fn resync_reason(
        &self,
        root: &RootDse,
        invocation: Guid,
    ) -> Option<FullResyncReason> {
        if self.service != root.service {
            return Some(FullResyncReason::OtherServer);
        }
        if self.invocation != invocation {
            return Some(FullResyncReason::Restored);
        }
        match &self.mark {
            ChangeMarker::Usn(usn) => {
                (*usn > root.committed).then_some(FullResyncReason::UsnRollback)
            }
            ChangeMarker::Cookie(_) => None,
        }
    }

    /// The encoded position: version, invocation ID, length of the server name, server name, then
    /// `u` and the update sequence number or `c` and the cookie.
    pub(super) fn to_bytes(&self) -> Arc<[u8]> {
        let Self { service, invocation, mark } = self;
        let mut bytes = vec![VERSION];
        bytes.extend(invocation.0);
        // A distinguished name is far shorter than 4 GiB.
        bytes.extend(u32::try_from(service.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(service.as_bytes());
        match mark {
            ChangeMarker::Usn(usn) => {
                bytes.push(b'u');
                bytes.extend(usn.to_be_bytes());
            }
            ChangeMarker::Cookie(cookie) => {
                bytes.push(b'c');
                bytes.extend(cookie);
            }
        }
        bytes.into()
    }

    /// Decodes what [`Position::to_bytes`] encoded; `None` for other bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (invocation, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (service, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let mark = match rest.split_first()? {
            (b'u', usn) => ChangeMarker::Usn(u64::from_be_bytes(usn.try_into().ok()?)),
            (b'c', cookie) => ChangeMarker::Cookie(cookie.to_vec()),
            _ => return None,
        };
        let service = String::from_utf8(service.to_vec()).ok()?;
        (*version == VERSION).then_some(Self { service, invocation: Guid(*invocation), mark })
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
    fn a_position_is_valid_only_for_the_same_server_and_invocation() {
        let (one, two) = (Guid([1; 16]), Guid([2; 16]));
        let position = Position::new(&root("a", 100), one, ChangeMarker::Usn(100));
        assert_eq!(position.resync_reason(&root("a", 100), one), None);
        assert_eq!(position.resync_reason(&root("a", 200), one), None);
        assert_eq!(
            position.resync_reason(&root("b", 200), one),
            Some(FullResyncReason::OtherServer)
        );
        assert_eq!(position.resync_reason(&root("a", 200), two), Some(FullResyncReason::Restored));
        assert_eq!(
            position.resync_reason(&root("a", 99), one),
            Some(FullResyncReason::UsnRollback)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn an_encoded_position_decodes_to_the_same_position(service: String, invocation: [u8; 16], usn: u64, cookie: Option<Vec<u8>>) {
            let mark = cookie.map_or(ChangeMarker::Usn(usn), ChangeMarker::Cookie);
            let position = Position { service, invocation: Guid(invocation), mark };
            prop_assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes: Vec<u8>) {
            let _ = Position::from_bytes(&bytes);
        }
    }
}
